"""Rows that ended in doubt, asked about: what the API shows settles them, and the rest is named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from api_rig import KEY, MACHINE, Bench, asked, flag, fleet_of, serving, set_before

from bulkpatch import api
from bulkpatch.errors import ExitCode, InvalidInput, KeyRefused, Mismatch
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import open_ledger
from bulkpatch.model import Rate, RunResult, Settlement
from bulkpatch.simulator.faults import Mishap
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

LOST = (Mishap.RESET_AFTER, Mishap.MALFORMED, Mishap.NO_CONTENT_204, Mishap.TRUNCATED)
"""Applied, and then no answer that says so."""
FAILED = (Mishap.ERROR_500, Mishap.RESET_BEFORE)
"""Not applied, and no answer that says so."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder of its own."""
    return Bench(tmp_path)


def renames(fleet: Fleet) -> list[dict[str, Any]]:
    """A row with a new name for each destination."""
    return [{"destination_id": one, "name": f"New {at}"} for at, one in enumerate(fleet.ids)]


def lost(fleet: Fleet) -> dict[str, tuple[Mishap, ...]]:
    """Every answer of the fleet gets lost after the change was made."""
    return {one: (LOST[at % len(LOST)],) for at, one in enumerate(fleet.ids)}


@pytest.fixture
def lost_run(bench: Bench) -> Iterator[tuple[Fleet, SimulatorServer, RunResult]]:
    """A run of three renames that were made, and not one answer."""
    fleet = fleet_of(3)
    with serving(fleet, lost(fleet)) as server:
        result = bench.run(renames(fleet), server.url)
        assert result.exit_code == ExitCode.UNKNOWN_ROWS
        yield fleet, server, result


def acts(result: RunResult, kind: str) -> list[Mapping[str, Any]]:
    """The details of what was done to a run."""
    with RunLock(Path(result.folder)):
        ledger = open_ledger(Path(result.folder))
        found = [json.loads(act.detail) for act in ledger.acts() if act.kind == kind]
        ledger.close()
    return found


def test_every_row_with_readable_fields_is_settled_and_the_rest_is_named(bench: Bench) -> None:
    """Replies lost after applying, and before; the judge is what the server really did."""
    fleet = fleet_of(150)
    faulty = [one for at, one in enumerate(fleet.ids) if at % 5 in {0, 2}]  # under half: the breaker stays closed
    kinds = (*LOST, *FAILED)
    named = fleet.ids[:100]
    rows = [{"destination_id": one, "name": f"New {at}", "machine_type_id": MACHINE} for at, one in enumerate(named)]
    rows += [{"destination_id": one, "machine_type_id": MACHINE} for one in fleet.ids[100:]]
    with serving(fleet, {one: (kinds[at % len(kinds)],) for at, one in enumerate(faulty)}) as server:
        result = bench.run(rows, server.url)
        assert result.snapshot.states == {"unknown": 60, "accepted": 90}
        before = len(fleet.arrivals)
        found = api.reconcile("latest", bench.options())
    readable, hidden = faulty[:40], faulty[40:]
    applied = {one for one in readable if fleet.effects[one]}
    assert 20 < len(applied) < 40
    assert (found.applied, found.not_applied, found.unknown) == (len(applied), 40 - len(applied), 20)
    assert found.exit_code == ExitCode.UNKNOWN_ROWS
    assert [one.destination_id for one in found.unsettled] == list(hidden)
    assert {one.why for one in found.unsettled} == {"no field that the row sets can be read back"}
    assert {arrival.method for arrival in asked(fleet, before)} == {"GET"}
    assert found.reads == len(asked(fleet, before)) == 2  # pages of a hundred
    for row in bench.outcomes(result).iter_rows(named=True):
        expected: tuple[str, str | None] = ("accepted", None)
        if row["destination_id"] in hidden:
            expected = ("unknown", row["error_code"])
        elif row["destination_id"] in readable:
            made = row["destination_id"] in applied
            expected = ("accepted", "BP424") if made else ("exhausted", "BP425")
            assert row["vendor"] == "postgres"  # what was read stands in the report
        assert (row["state"], row["error_code"]) == expected
    assert acts(result, "reconciled") == [{"applied": len(applied), "not_applied": 40 - len(applied), "unknowable": 20}]


def test_a_run_without_doubt_ends_as_if_no_answer_was_lost(
    bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]
) -> None:
    """All applied: exit 0, and so say ``run.json``, the failures and the row's story."""
    fleet, _, result = lost_run
    found = api.reconcile(result.run_id, bench.options())
    assert (found.applied, found.unknown, found.exit_code) == (3, 0, ExitCode.DONE)
    stands = json.loads((Path(result.folder) / "run.json").read_text())
    assert (stands["counts"], stands["exit_code"], stands["state"]) == ({"accepted": 3}, 0, "finished")
    assert stands["sends"] == 3  # what the run itself left there stays
    assert stands["leak_check"]["hits"] == 0
    assert (Path(result.folder) / "failures.csv").read_text().count("\n") == 1
    assert "DONE: all 3 rows" in (Path(result.folder) / "summary.md").read_text()
    (row,) = api.story(result.run_id, fleet.ids[0], bench.reports).rows
    assert isinstance(row.events[-1], Settlement)
    assert (row.state, row.events[-1].code) == ("accepted", "BP424")


def test_rows_that_were_not_applied_are_failed_rows(bench: Bench) -> None:
    """Exit 1, and ``retry`` takes them and no other."""
    fleet = fleet_of(3)
    faults = {**lost(fleet), fleet.ids[1]: (Mishap.ERROR_500, None)}
    with serving(fleet, faults) as server:
        result = bench.run(renames(fleet), server.url)
        found = api.reconcile(result.run_id, bench.options())
        assert (found.applied, found.not_applied, found.exit_code) == (2, 1, ExitCode.ROWS_FAILED)
        again = api.retry(result.run_id, bench.options())
    assert (again.exit_code, again.snapshot.states) == (ExitCode.DONE, {"accepted": 1})
    assert [fleet.effects[one] for one in fleet.ids] == [1, 1, 1]


def test_a_change_that_shows_no_difference_stays_in_doubt(bench: Bench) -> None:
    """The name was so before, and what was sent with it is never shown: whether it arrived cannot be told."""
    fleet = fleet_of(2)
    rows = [{"destination_id": fleet.ids[0], "name": "Same"}, {"destination_id": fleet.ids[1], "name": "New"}]
    set_before(fleet, 0, name="Same")
    with serving(fleet, lost(fleet)) as server:
        bench.run(rows, server.url, patch=f'machine_type_id = "{MACHINE}"')
        found = api.reconcile("latest", bench.options())
    assert (found.applied, found.unknown, found.exit_code) == (1, 1, ExitCode.UNKNOWN_ROWS)
    assert [one.why for one in found.unsettled] == ["its readable fields had the same values before"]


def test_a_destination_that_is_gone_is_said_to_be(bench: Bench) -> None:
    """Nobody can tell any more what became of it."""
    fleet = fleet_of(3)
    with serving(fleet, lost(fleet)) as server:
        result = bench.run(renames(fleet), server.url)
    left = Fleet.from_rows(fleet.ids[:2], ("postgres",), seed=7, clock=fleet.clock)
    for at, one in enumerate(left.ids):
        left.patch(one, {"destination": {"name": f"New {at}"}})
    with serving(left) as server:
        found = api.reconcile(result.run_id, bench.options(settings=flag(server.url)))
    assert (found.applied, found.unknown) == (2, 1)
    assert [(one.row, one.why) for one in found.unsettled] == [(3, "the API shows no such destination")]


def test_rows_that_share_a_request_are_settled_together(bench: Bench) -> None:
    """The copy of a row was never sent by itself; it counts, and is not asked about twice."""
    fleet = fleet_of(1)
    with serving(fleet, lost(fleet)) as server:
        result = bench.run(renames(fleet) * 2, server.url)
        found = api.reconcile(result.run_id, bench.options())
    assert (found.applied, found.unknown, found.reads) == (2, 0, 1)
    assert bench.outcomes(result)["state"].to_list() == ["accepted", "accepted"]


def test_a_limit_leaves_the_others_unknown(bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]) -> None:
    """Only the first rows are asked about; a second call goes on."""
    result = lost_run[2]
    first = api.reconcile(result.run_id, bench.options(limit=1))
    assert (first.applied, first.unknown, first.reads, first.unsettled) == (1, 2, 1, ())
    second = api.reconcile(result.run_id, bench.options())
    assert (second.applied, second.unknown, second.exit_code) == (2, 0, ExitCode.DONE)


def test_what_is_settled_is_not_asked_again(bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]) -> None:
    """No request and no act, and the exit code is that of the run as it stands now."""
    fleet, _, result = lost_run
    api.reconcile(result.run_id, bench.options())
    before = len(fleet.arrivals)
    again = api.reconcile(result.run_id, bench.options())
    assert (again.applied, again.reads, again.exit_code) == (0, 0, ExitCode.DONE)
    assert (len(fleet.arrivals), len(acts(result, "reconciled"))) == (before, 1)


@pytest.mark.parametrize("at_hand", [True, False])
def test_a_secret_that_the_api_shows_goes_into_no_report(bench: Bench, at_hand: bool) -> None:  # noqa: FBT001
    """What is at hand is watched for as in the run; what is not is no reason to ask nothing."""
    fleet, secret = fleet_of(1), "canary-7Hq2mZx9"
    bench.environ["PW"] = secret
    with serving(fleet, lost(fleet)) as server:
        result = bench.run(renames(fleet), server.url, patch='postgres.password_auth.password = { secret = "env:PW" }')
        shown = secret if at_hand else "another"
        fleet.patch(fleet.ids[0], {"destination": {"name": f"once {shown}"}})
        if not at_hand:
            del bench.environ["PW"]
        assert api.reconcile(result.run_id, bench.options()).not_applied == 1
    assert bench.outcomes(result)["name"].to_list() == ["once <redacted>" if at_hand else "once another"]


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def test_a_refused_key_settles_nothing(bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]) -> None:
    """Exit 4, and the rows stay as they were."""
    result = lost_run[2]
    bench.environ["PREQUEL_API_KEY"] = KEY + "x"
    with pytest.raises(KeyRefused) as refused:
        api.reconcile(result.run_id, bench.options())
    assert refused.value.exit_code == ExitCode.KEY_REFUSED
    assert (bench.outcomes(result)["state"].to_list(), acts(result, "reconciled")) == (["unknown"] * 3, [])


@pytest.mark.parametrize("moved", ["job.toml", "job.ndjson"])
def test_a_job_or_input_that_moved_is_refused(
    bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult], moved: str
) -> None:
    """What the rows were to set can be told from the originals alone: exit 6, and nothing is asked."""
    fleet, _, result = lost_run
    path, before = bench.folder / moved, len(fleet.arrivals)
    path.write_text(path.read_text().replace("New 0", "New 9") + "\n# later\n" * (moved == "job.toml"))
    with pytest.raises(Mismatch):
        api.reconcile(result.run_id, bench.options())
    assert len(fleet.arrivals) == before


def test_a_run_that_is_worked_on_is_left_alone(
    bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]
) -> None:
    """Its lock is honoured."""
    with RunLock(Path(lost_run[2].folder)), pytest.raises(Mismatch) as refused:
        api.reconcile("latest", bench.options())
    assert refused.value.code == "BP601"


def test_another_api_is_asked_only_if_it_is_named_for_this_command(
    bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]
) -> None:
    """What a fleet elsewhere shows would settle rows wrongly, and no key goes there unasked."""
    fleet, server, result = lost_run
    with serving(fleet_of(3)) as other:
        elsewhere = {key: type(one)(value=one.value, source="environment") for key, one in flag(other.url).items()}
        with pytest.raises(Mismatch) as refused:
            api.reconcile(result.run_id, bench.options(settings=elsewhere))
        assert (refused.value.code, server.url in refused.value.hint) == ("BP614", True)
        assert list(other.fleet.arrivals) == []
    assert len(fleet.arrivals) == 4  # the run's own: one page, three PATCHes


def test_a_simulated_run_cannot_be_asked_about(bench: Bench) -> None:
    """Its API went with it; a fresh one would show that nothing was ever applied."""
    fleet = fleet_of(20)
    job = bench.job(renames(fleet), "https://api.prequel.co")
    result = api.run(job, bench.options(simulate=True, faults="500=1", simulator_rate=Rate(count=1000, unit_s=1)))
    assert result.exit_code == ExitCode.UNKNOWN_ROWS
    with pytest.raises(Mismatch) as refused:
        api.reconcile(result.run_id, bench.options())
    assert refused.value.code == "BP614"


def test_no_such_run(bench: Bench) -> None:
    """A name that is none is told as such."""
    with pytest.raises(InvalidInput):
        api.reconcile("latest", bench.options())


# ── the command ──────────────────────────────────────────────────────────────────────────────


def test_the_command_says_it_in_lines_and_as_one_object(
    bench: Bench, lost_run: tuple[Fleet, SimulatorServer, RunResult]
) -> None:
    """Counts on stdout, the exit code that the rows have; in JSON mode one object and nothing else."""

    def program(*arguments: str) -> subprocess.CompletedProcess[str]:
        environ = {"PREQUEL_API_KEY": KEY, "BULKPATCH_REPORT_DIR": str(bench.reports)}
        command = [sys.executable, "-m", "bulkpatch", *arguments]
        return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)

    said = program("reconcile", "latest", "--limit", "1")
    assert (said.returncode, said.stderr) == (7, "")
    assert said.stdout.splitlines()[:2] == [
        f"{lost_run[2].run_id}: 1 applied, 0 not applied",
        "  2 rows stay unknown; 1 reads",
    ]
    said = program("reconcile", "latest", "-o", "json")
    found = json.loads(said.stdout)
    assert (said.returncode, found["schema"], found["applied"]) == (0, "bulkpatch.reconcile/1", 2)
