"""What a process is started in: few descriptors, no home, no locale, a wide umask, another time zone, another's key."""

from __future__ import annotations

import signal
import stat
import time
from pathlib import Path

import pytest
from program_rig import KEY, PROGRAM, Bench, check_renamed, fleet_of, serving, until_asked, writes

from bulkpatch.simulator.limits import busiest


def test_fault_32_a_process_that_was_asleep_makes_up_for_nothing(bench: Bench) -> None:
    """Stopped for two seconds, longer than an attempt may take: what was in flight is settled, and no burst follows."""
    fleet = fleet_of(40)
    with serving(fleet, latency_s=0.05) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="10/s", timeout="1s"), "--yes")
        until_asked(fleet, 5, child)
        child.signal(signal.SIGSTOP)
        time.sleep(2.0)
        asleep = len(writes(fleet))
        child.signal(signal.SIGCONT)
        ended = child.wait()
    assert ended.code == 0, ended.err
    check_renamed(fleet)
    woken_s = [arrival.at_s for arrival in writes(fleet)[asleep:]]
    assert busiest(woken_s, 0.5) < 10  # five are due; what was missed in the meantime are twenty


@pytest.mark.parametrize(("concurrency", "needed"), [(17, 66), pytest.param(64, 160, marks=pytest.mark.long)])
def test_fault_38_too_few_descriptors_are_noticed_before_anything_is_sent(
    bench: Bench, concurrency: int, needed: int
) -> None:
    """Where rows would fail for them (row 76 of the inputs, too): exit 2, the numbers, and a way out that works."""
    fleet = fleet_of(4)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, concurrency=concurrency)
        command = f"ulimit -n 64; exec {' '.join(PROGRAM)} run {job} --yes"
        ended = bench.start_command(["sh", "-c", command]).wait()
        assert ended.code == 2, ended.err
        words = f"error[BP119]: concurrency {concurrency} needs {needed} open files, and this process may have 64"
        assert words in ended.err
        assert not fleet.arrivals
        assert not bench.runs
        lower = bench.start_command(["sh", "-c", f"{command} --concurrency 16"]).wait()
    assert lower.code == 0, lower.err
    check_renamed(fleet)


def test_row_83_a_poor_environment_makes_no_difference(bench: Bench) -> None:
    """No HOME, LANG=C, a time zone that is none and umask 0: every row is accepted, and every file is ours alone."""
    fleet = fleet_of(3)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        table = bench.folder / "fleet.csv"
        table.write_text(table.read_text("utf-8").replace("Fleet 0002", "Flotte 漢é"), "utf-8")
        del bench.environ["HOME"]
        bench.environ |= {"LANG": "C", "LC_ALL": "C", "TZ": "Nowhere/Here"}
        command = f"umask 0; exec {' '.join(PROGRAM)} run {job} --yes"
        ended = bench.start_command(["sh", "-c", command]).wait()
    assert ended.code == 0, ended.err
    assert fleet.snapshot()[fleet.ids[1]]["destination"]["name"] == "Flotte 漢é"
    made = [bench.latest, *bench.latest.rglob("*")]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()} == {0o700}
    assert {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()} == {0o600}


@pytest.mark.parametrize(
    ("url", "key"), [("https://api.prequel.co", KEY), ("https://staging.prequel.co", "sk_prod_0123456789")]
)
def test_row_72_a_key_at_an_address_that_it_is_not_for_is_refused(bench: Bench, url: str, key: str) -> None:
    """Nothing is asked; what the user may do if it is meant is told."""
    job = bench.renaming(fleet_of(2), url)
    ended = bench.run("run", job, "--yes", "--confirm", "rename", environ={"PREQUEL_API_KEY": key})
    assert (ended.code, "error[BP112]" in ended.err, "--i-know" in ended.err) == (2, True, True), ended.err
    assert key not in ended.err
    assert not bench.runs


def test_row_82_a_file_for_tls_keys_is_refused_and_a_proxy_gets_nothing(bench: Bench, tmp_path: Path) -> None:
    """SSLKEYLOGFILE is told and not written; proxies, certificates and netrc of the environment change nothing."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url)
        log = tmp_path / "keys.log"
        refused = bench.run("run", job, "--yes", environ={"SSLKEYLOGFILE": str(log)})
        assert (refused.code, "error[BP118]" in refused.err, log.exists()) == (2, True, False), refused.err
        nowhere = "http://127.0.0.1:9"
        leading_astray = {"HTTP_PROXY": nowhere, "http_proxy": nowhere, "ALL_PROXY": nowhere, "NETRC": "/dev/null"}
        assert bench.run("run", job, "--yes", environ=leading_astray | {"SSL_CERT_FILE": "/dev/null"}).code == 0
    check_renamed(fleet)
