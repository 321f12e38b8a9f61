"""What the doctor sees: each trap on its own, and nothing where there is none."""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bulkpatch.api.diagnosing import DISK_BYTES_MIN, TRAPS, Finding, diagnose
from bulkpatch.engine.system import SystemClock
from bulkpatch.model import Secret
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

CLOCK = SystemClock()


class Ahead:
    """A clock that an operator set wrong."""

    def monotonic(self) -> float:
        """As ever."""
        return CLOCK.monotonic()

    def wall_us(self) -> int:
        """An hour later."""
        return CLOCK.wall_us() + 3_600_000_000


def looked(folder: Path, environ: Mapping[str, str] | None = None, **how: object) -> dict[str, Finding]:
    """What is found, by name, with nothing asked over a network."""
    wanted = {
        "clock": CLOCK,
        "concurrency": 8,
        "open_files_max": 48,
        "online": False,
        "base_url": "https://localhost",
        **how,
    }
    found = diagnose(folder, environ=environ or {}, **wanted)  # type: ignore[arg-type]
    return {one.name: one for one in found}


def test_a_good_machine_has_nothing_bad_and_is_left_as_it_was(tmp_path: Path) -> None:
    found = looked(tmp_path / "reports")
    assert {one.level for one in found.values()} == {"ok"}
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", TRAPS)
def test_each_trap_of_the_environment_is_named(tmp_path: Path, name: str) -> None:
    found = looked(tmp_path, {name: "x"})
    assert found[name].level == TRAPS[name][0]
    assert "environment" not in found


def test_a_proxy_in_lower_case_is_seen_too(tmp_path: Path) -> None:
    assert looked(tmp_path, {"https_proxy": "x"})["https_proxy"].level == "ok"


def test_a_folder_that_others_may_write_to_is_bad(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    found = looked(tmp_path)["report folder"]
    assert (found.level, "others may write" in found.words) == ("bad", True)
    assert "--report-dir" in found.fix


def test_more_requests_than_open_files_is_bad(tmp_path: Path) -> None:
    assert looked(tmp_path, open_files_max=None)["open files"].level == "ok"
    found = looked(tmp_path, concurrency=9)["open files"]
    assert (found.level, "ulimit -n" in found.fix) == ("bad", True)


def test_a_full_disk_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=DISK_BYTES_MIN - 1))
    assert looked(tmp_path)["disk"].level == "warn"


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    """The simulated API."""
    fleet = Fleet.synthetic(1, 7, clock=CLOCK)
    with SimulatorServer(fleet, key=Secret("sk_staging_0123456789", reference="test")) as served:
        yield served


def test_an_api_that_answers_tells_its_time(tmp_path: Path, server: SimulatorServer) -> None:
    """No key is sent to ask for it; a clock that is wrong is warned of."""
    found = looked(tmp_path, online=True, base_url=server.url)
    assert (found["API"].level, found["clock"].level) == ("ok", "ok")
    assert looked(tmp_path, online=True, base_url=server.url, clock=Ahead())["clock"].level == "warn"
    assert not server.fleet.arrivals


def test_nobody_there_is_bad(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = looked(tmp_path, online=True, base_url=f"http://127.0.0.1:{port}")["API"]
    assert (found.level, "no answer" in found.words) == ("bad", True)
    assert looked(tmp_path, online=True, base_url="http://example.com")["API"].level == "bad"


def test_a_key_that_is_not_set_would_keep_a_run_from_starting(tmp_path: Path) -> None:
    assert looked(tmp_path, {}, key="env:PW")["key"].level == "bad"
    assert looked(tmp_path, {"PW": "x"}, key="env:PW")["key"].level == "ok"
    assert "key" not in looked(tmp_path, {}, key="exec:vault read key")
