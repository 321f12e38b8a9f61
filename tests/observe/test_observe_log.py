"""The log holds known fields, one object a line, no secret, and never stops a run."""

from __future__ import annotations

import json
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from observe_rig import CANARY, RUN, HandClock, ended, notice, progressed, sent, set_back, settled, started

from bulkpatch.errors import InvalidInput
from bulkpatch.model import Event, RowState, Secret
from bulkpatch.observe.log import FIELDS, LOG_BYTES_MAX, EventLog
from bulkpatch.secrets.redaction import LiveRedactor


def log_of(folder: Path, *, verbosity: int = 0, clock: HandClock | None = None) -> EventLog:
    """A log in ``folder`` that knows one secret."""
    redactor = LiveRedactor()
    redactor.add(Secret(CANARY, reference="env:PW"))
    return EventLog(
        folder / "log.jsonl", run_id=RUN, redactor=redactor, clock=clock or HandClock(), verbosity=verbosity
    )


def lines(folder: Path) -> list[dict[str, Any]]:
    """What the file holds; each line is one object."""
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


EVENTS: list[Event] = [
    started(),
    sent(1),
    settled(1, RowState.ACCEPTED),
    sent(2),
    set_back(2),
    sent(2),
    settled(2, RowState.REJECTED, "no such destination"),
    notice(),
    progressed(),
    ended(),
]


EVERYTHING = (
    "run_started attempt_sent row_settled attempt_sent row_set_back attempt_sent row_settled notice progress run_ended"
)


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [
        (0, "run_started row_set_back row_settled notice progress run_ended"),
        (1, "run_started row_set_back row_settled notice progress run_ended"),
        (2, EVERYTHING),
    ],
)
def test_which_events_have_a_line(tmp_path: Path, verbosity: int, expected: str) -> None:
    """Requests and rows that went well are told from -vv on; the rest always."""
    log = log_of(tmp_path, verbosity=verbosity)
    for event in EVENTS:
        log.notify(event)
    assert [line["event"] for line in lines(tmp_path)] == expected.split()
    assert log.every_request == (verbosity >= 2)
    assert log.lost == 0


def test_each_line_has_time_and_run(tmp_path: Path) -> None:
    """ISO 8601, UTC, from the clock that was given."""
    clock = HandClock()
    log = log_of(tmp_path, clock=clock)
    log.notify(set_back(7))
    clock.now_s += 61.25
    log.notify(notice())
    assert [line["at"] for line in lines(tmp_path)] == ["2026-07-04T08:09:10.500Z", "2026-07-04T08:10:11.750Z"]
    assert {line["run"] for line in lines(tmp_path)} == {RUN}
    assert lines(tmp_path)[0] == {
        "at": "2026-07-04T08:09:10.500Z", "event": "row_set_back", "run": RUN, "destination_id": "dest-7", "row": 7,
        "stage": "patch", "attempt": 2, "code": "BP408", "error": "no whole answer", "wait_ms": 250.0,
        "counted": True, "maybe_applied": False,
    }  # fmt: skip


def test_progress_every_ten_seconds_at_most(tmp_path: Path) -> None:
    """However often the run looks at itself."""
    clock = HandClock()
    log = log_of(tmp_path, clock=clock)
    for _ in range(100):
        log.notify(progressed())
        clock.now_s += 0.5
    assert len(lines(tmp_path)) == 5


def test_fields_that_are_not_known_are_dropped_and_counted(tmp_path: Path) -> None:
    """An allow-list: what nobody thought of stays out."""
    log = log_of(tmp_path)
    log.write("note", message="kept", body="dropped", headers={"X-API-KEY": "dropped"}, password="dropped")
    assert lines(tmp_path)[0].keys() == {"at", "event", "run", "message"}
    assert log.dropped_fields == 3
    log.notify(ended())
    assert lines(tmp_path)[1]["log_dropped_fields"] == 3


@given(
    st.dictionaries(
        st.text(max_size=12) | st.sampled_from(sorted(FIELDS - {"event"})), st.text() | st.integers() | st.none()
    )
)
@settings(max_examples=60, deadline=None)
def test_any_fields_make_one_line_of_known_ones(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, Any]
) -> None:
    """Whatever names and values come, the file stays one object a line."""
    folder = tmp_path_factory.mktemp("log")
    log = log_of(folder)
    log.write("note", **{name: value for name, value in fields.items() if name not in {"self", "event"}})
    log.close()
    assert log.lost == 0
    (line,) = lines(folder)
    assert line.keys() <= FIELDS


@pytest.mark.proves("G7")
def test_no_secret_and_no_control_character_reaches_the_file(tmp_path: Path) -> None:
    """In messages, ids, nested values and names; long texts are cut."""
    log = log_of(tmp_path)
    log.notify(settled(1, RowState.REJECTED, f"bad {CANARY}\n\x1b[31m{{}} {CANARY.encode().hex()}"))
    log.notify(notice(f"\u202e{CANARY}" + "x" * 1000))
    log.write("note", states={CANARY: [CANARY]}, message=Path(CANARY))
    content = (tmp_path / "log.jsonl").read_text()
    assert CANARY not in content
    assert CANARY.encode().hex() not in content
    assert all(" " <= character <= "~" or character == "\n" for character in content)
    assert content.count("\n") == 3
    assert lines(tmp_path)[0]["error"] == r"bad <redacted>\n\x1b[31m{} <redacted>"
    assert len(lines(tmp_path)[1]["message"]) == 300


def test_the_file_is_private_and_no_link(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask; links, folders and pipes are refused."""
    before = os.umask(0)
    try:
        log_of(tmp_path).close()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "log.jsonl").stat().st_mode) == 0o600
    for name in ("link", "pipe", "dir"):
        (tmp_path / name).mkdir()
    (tmp_path / "link" / "log.jsonl").symlink_to(tmp_path / "x")
    os.mkfifo(tmp_path / "pipe" / "log.jsonl")
    (tmp_path / "dir" / "log.jsonl").mkdir()
    for name in ("link", "pipe", "dir"):
        with pytest.raises(InvalidInput, match=r"log\.jsonl"):
            log_of(tmp_path / name)
    assert not (tmp_path / "x").exists()


def test_a_torn_last_line_does_not_spoil_the_next(tmp_path: Path) -> None:
    """A process that was killed while writing leaves half a line; the next one begins its own."""
    (tmp_path / "log.jsonl").write_text('{"at":"2026')
    log_of(tmp_path).notify(notice())
    torn, whole = (tmp_path / "log.jsonl").read_text().splitlines()
    assert torn == '{"at":"2026'
    assert json.loads(whole)["event"] == "notice"


def test_a_second_process_appends(tmp_path: Path) -> None:
    """As a resumed run does."""
    for _ in range(2):
        log = log_of(tmp_path)
        log.notify(notice())
        log.close()
    assert len(lines(tmp_path)) == 2


def test_what_cannot_be_written_is_counted(tmp_path: Path) -> None:
    """A closed file, or a value that breaks on being shown, costs the line and not the run."""

    class Breaks(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError(CANARY)

    log = log_of(tmp_path)
    log.write("note", states=Breaks())
    log.close()
    log.notify(notice())
    log.close()
    assert log.lost == 2


FULL = """
import resource, signal, sys
sys.path.insert(0, {tests!r})
from observe_rig import notice, settled
from test_observe_log import log_of
from bulkpatch.model import RowState
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = log_of(Path({folder!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
for _ in range(20): log.notify(notice())
lost = log.lost
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.notify(notice())
print(lost, log.lost)
"""


def test_a_full_disk_loses_lines_and_not_the_run(tmp_path: Path) -> None:
    """Lines that are lost are counted; when there is room again, whole lines follow."""
    assert resource.RLIM_INFINITY == -1
    program = FULL.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    lost, lost_after = map(int, done.stdout.split())
    content = (tmp_path / "log.jsonl").read_text().splitlines()
    assert lost == lost_after > 5
    assert json.loads(content[-1])["event"] == "notice"
    assert len(content) == 21 - lost + 1


def test_beyond_its_size_rows_are_counted_and_the_end_is_told(tmp_path: Path) -> None:
    """256 MiB of failures are enough; how the run ended still is in the log."""
    with (tmp_path / "log.jsonl").open("wb") as file:
        file.seek(LOG_BYTES_MAX)
        file.write(b"\n")
    log = log_of(tmp_path)
    log.notify(settled(1, RowState.REJECTED))
    log.notify(ended())
    assert log.lost == 1
    with (tmp_path / "log.jsonl").open("rb") as file:
        file.seek(LOG_BYTES_MAX + 1)
        (line,) = file.read().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["log_lost"]) == ("run_ended", 1)


def test_structlog_is_left_as_it_was(tmp_path: Path) -> None:
    """A library that logs through structlog itself is not touched, and does not touch this."""
    before = structlog.get_config()
    structlog_was_configured = structlog.is_configured()
    log_of(tmp_path).notify(notice())
    assert structlog.get_config() == before
    assert structlog.is_configured() == structlog_was_configured
