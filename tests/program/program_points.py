"""A fault at one system call of a job of 40 rows: the job, the points at which a fault can strike, and one strike."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from program_forks import ForkBench, Forks
from program_parrot import Answer, Asked, Parrot
from program_rig import Ended, Ledger, read_ledger, renaming_job, renaming_rows, until
from program_trace import watching

ROWS = 40
CONCURRENCY = 8
IDS = tuple(f"id-{number:03d}" for number in range(ROWS))
CALLS = {
    "main": ("pwrite64", "fdatasync", "fsync", "sendto", "write", "rename", "openat", "unlink"),
    "ledger": ("pwrite64", "fdatasync", "ftruncate", "unlink"),
}
"""By thread: the main one seeds and sends, the other one writes the ledger."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """The ``number``-th time that a thread makes a call."""

    thread: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.thread}:{self.call}:{self.number}"


class Accepting:
    """Accepts every PATCH after ``latency_s``, and keeps when which came in."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.came: list[tuple[float, str]] = []

    def __call__(self, asked: Asked) -> Answer:
        """One PATCH."""
        one = id_of(asked)
        self.came.append((time.monotonic(), one))
        time.sleep(self.latency_s)
        envelope = {"status": "success", "message": "", "data": {"destination": {"id": one}}}
        return 200, {}, json.dumps(envelope).encode()


def id_of(asked: Asked) -> str:
    """The destination that was written to."""
    return asked.path.rpartition("/")[2]


@dataclass
class Place:
    """Where a job of 40 rows runs as a fork, against a server that accepts everything."""

    bench: ForkBench
    api: Accepting

    def arrived(self) -> Counter[str]:
        """How often each destination was written to."""
        return Counter(one for _, one in list(self.api.came))

    def work(self, *arguments: str, point: Point | None = None, fault: str = "", to: Path | None = None) -> Ended:
        """One process; ``fault`` strikes at ``point``, or its thread's calls are written down in ``to``."""
        if point is None:
            return self.bench.run(*arguments)
        held = self.bench.folder / "held"
        held.unlink(missing_ok=True)
        child = self.bench.start(*arguments, hold=point.thread)
        until(lambda: child.gone or (held.exists() and held.read_text()))
        if child.gone:
            return child.wait()
        when = f":when={point.number}" if "when=" not in fault else ""
        tracer = watching(int(held.read_text()), point.call, fault=fault + when if fault else "", to=to)
        try:
            return child.wait()
        finally:
            tracer.wait(30)

    @property
    def began(self) -> bool:
        """There is a run with a ledger."""
        return bool(self.bench.runs) and (self.bench.latest / "ledger.sqlite").exists()

    def finish(self, *arguments: str) -> None:
        """Go on to the end with what there is, or begin. Of a run that is over only the report may be missing."""
        going_on = ("resume", "latest") if self.began else ("run", "job.toml")
        ended = self.bench.run(*going_on, "--yes", *arguments)
        if "BP608" in ended.err:
            ended = self.bench.run("report", "latest")
        assert ended.code == 0, ended.err


@contextmanager
def place(forks: Forks, folder: Path, *, latency_s: float = 0.0, **send: Any) -> Iterator[Place]:
    """A new one in ``folder``; ``send`` overrides what its job says under ``[send]``."""
    folder.mkdir(parents=True)
    api = Accepting(latency_s)
    with Parrot(api) as parrot, ForkBench(folder) as bench:
        bench.forks = forks
        bench.write("fleet.csv", renaming_rows(IDS))
        limits: dict[str, Any] = {"rate": "1000000/s", "concurrency": CONCURRENCY, **send}
        bench.write("job.toml", renaming_job(parrot.url, **limits))
        yield Place(bench, api)


def points(forks: Forks, folder: Path, arguments: Sequence[str] = ("run", "job.toml", "--yes")) -> list[Point]:
    """Every point of a job that meets no fault, as one run of it has them."""
    found: list[Point] = []
    for thread, calls in CALLS.items():
        with place(forks, folder / thread) as where:
            to = folder / f"{thread}.trace"
            ended = where.work(*arguments, point=Point(thread=thread, call=",".join(calls), number=0), to=to)
            assert ended.code == 0, ended.err
        made = Counter(line.partition("(")[0] for line in to.read_text().splitlines())
        found += [
            Point(thread=thread, call=call, number=number) for call in calls for number in range(1, made[call] + 1)
        ]
    return found


@contextmanager
def named(what: object) -> Iterator[None]:
    """A failure inside says which case it was."""
    try:
        yield
    except BaseException as failure:
        failure.add_note(f"at {what}")
        raise


@dataclass(frozen=True, kw_only=True)
class Left:
    """What a process left that was struck: the ledger, and what had arrived by then."""

    ledger: Ledger
    arrived: Mapping[str, int]


def left_by(where: Place) -> Left | None:
    """Look, and hold it against the guarantee; None: the run had not begun, so nothing may have arrived."""
    arrived = where.arrived()
    if not where.began:
        assert not arrived
        return None
    ledger = read_ledger(where.bench.latest)
    assert len(ledger.open) <= CONCURRENCY
    assert ledger.open.isdisjoint(ledger.states)
    assert all(ledger.intents.get(one, 0) >= number for one, number in arrived.items())
    assert set(ledger.states.values()) <= {"accepted"}
    assert all(arrived[one] for one in ledger.states)
    return Left(ledger=ledger, arrived=arrived)


def check_ended(where: Place, story: Sequence[Left]) -> None:
    """All rows are accepted; none that was settled was sent again, and twice only what was in doubt."""
    end = where.arrived()
    last = read_ledger(where.bench.latest)
    assert set(last.states) == set(IDS) == set(end)
    for left in story:
        assert all(end[one] == left.arrived[one] for one in left.ledger.states)
    for one in IDS:
        assert end[one] <= 1 + sum(one in left.ledger.open for left in story)
    found = where.bench.outcomes()
    assert found["row"].to_list() == list(range(1, ROWS + 1))
    assert set(found["state"]) == {"accepted"}
