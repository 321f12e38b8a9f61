"""What the tests of the whole program share: a place with a job, the program as a child, and what it left behind."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import polars as pl

from bulkpatch.model import Secret
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.limits import busiest
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Arrival, Fleet

KEY = "sk_staging_program_0123456789"
MACHINE = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
PROGRAM = (sys.executable, "-m", "bulkpatch")
CUSTOMERS = ("acme", "globex", "initech", "umbrella")
DEADLINE_S = 90.0
"""Seconds after which a child is given up: many times what the slowest takes on a busy machine."""


class Clock:
    """The machine's clocks; the monotonic one is the same in every process."""

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def wall_us(self) -> int:
        """Microseconds since 1970."""
        return time.time_ns() // 1000


def fleet_of(n: int, *, seed: int = 7, vendors: Sequence[str] = (), **knobs: Any) -> Fleet:
    """A fleet on the machine's clocks."""
    return Fleet.synthetic(n, seed, clock=Clock(), vendors=vendors, **knobs)


def serving(fleet: Fleet, faults: str | FaultPlan = "none", *, key: str = KEY, **knobs: Any) -> SimulatorServer:
    """A server for ``fleet``; enter it to start it."""
    plan = FaultPlan.parse(faults, seed=3) if isinstance(faults, str) else faults
    return SimulatorServer(fleet, key=Secret(key, reference="test"), faults=plan, **knobs)


def until(holds: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Wait until ``holds()``, looking every few milliseconds."""
    end_s = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < end_s, "waited in vain"
        time.sleep(0.003)


def writes(fleet: Fleet) -> Sequence[Arrival]:
    """The PATCHes that came in; the fleet's state is read before the first of them."""
    return [arrival for arrival in list(fleet.arrivals) if arrival.method == "PATCH"]


def until_asked(fleet: Fleet, times: int, child: Child) -> None:
    """Wait until ``child`` has sent ``times`` PATCHes more than were sent before now."""
    before = len(writes(fleet))
    until(lambda: child.gone or len(writes(fleet)) >= before + times)
    assert len(writes(fleet)) >= before + times, child.wait().err


# ── the program ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A child that is gone. A negative ``code`` is the signal that ended it."""

    code: int
    out: str
    err: str
    seconds: float


class Child:
    """The program under way. Its output goes to files, so that nothing it says can hold it up."""

    def __init__(self, process: subprocess.Popen[bytes], streams: Sequence[IO[bytes]]) -> None:
        self.process = process
        self.pid = process.pid
        self._streams = streams
        self._began_s = time.monotonic()

    def wait(self, deadline_s: float = DEADLINE_S) -> Ended:
        """What came of it."""
        code = self.process.wait(deadline_s)
        seconds = time.monotonic() - self._began_s
        out, err = (self._said(stream) for stream in self._streams)
        return Ended(code=code, out=out, err=err, seconds=seconds)

    def kill(self) -> None:
        """SIGKILL, and wait until the kernel let go of all it held."""
        self.process.kill()
        self.process.wait()

    def signal(self, number: signal.Signals) -> float:
        """Send a signal; when, on the monotonic clock."""
        self.process.send_signal(number)
        return time.monotonic()

    @property
    def gone(self) -> bool:
        """Whether it ended."""
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        """What stands on stderr until now."""
        return os.pread(self._streams[1].fileno(), 1_000_000, 0).decode(errors="replace")

    def close(self) -> None:
        """End it, if it still lives, and let its files go."""
        if not self.gone:
            self.kill()
        for stream in self._streams:
            stream.close()

    def _said(self, stream: IO[bytes]) -> str:
        stream.seek(0)
        return stream.read().decode()


@dataclass
class Bench:
    """A folder of its own with a job, an input and run folders, and the children that work in it.

    ``environ`` is all that the children get.
    """

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reports = self.folder / "reports"
        self.temporary = self.folder / "tmp"
        self._children: list[Child] = []
        for made in (self.temporary, self.folder / "home"):
            made.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.temporary),
            "LANG": "C.UTF-8",
            "PREQUEL_API_KEY": KEY,
            "BULKPATCH_REPORT_DIR": str(self.reports),
            **self.environ,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for child in self._children:
            child.close()

    # ── what it is given ─────────────────────────────────────────────────────────────────────

    def write(self, name: str, text: str | bytes, *, mode: int = 0o644) -> Path:
        """A file of the folder."""
        path = self.folder / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    def renaming(self, fleet: Fleet, url: str, *, guard: object = "100%", **send: Any) -> Path:
        """A job that gives every destination of ``fleet`` a name and a machine type, and its input."""
        self.write("fleet.csv", renaming_rows(fleet.ids))
        return self.write("job.toml", renaming_job(url, guard=guard, **send))

    # ── what is done with it ─────────────────────────────────────────────────────────────────

    def start(self, *arguments: str | Path, environ: Mapping[str, str] | None = None, **how: Any) -> Child:
        """The program, begun. ``how`` is handed to ``Popen``."""
        return self.start_command([*PROGRAM, *map(str, arguments)], environ=environ, **how)

    def start_command(self, command: Sequence[str], *, environ: Mapping[str, str] | None = None, **how: Any) -> Child:
        """Any command, in the same world."""
        streams = [tempfile.TemporaryFile() for _ in ("out", "err")]  # noqa: SIM115  (closed with the child)
        process = subprocess.Popen(
            command,
            **{
                "cwd": self.folder,
                "env": {**self.environ, **(environ or {})},
                "stdin": subprocess.DEVNULL,
                "stdout": streams[0],
                "stderr": streams[1],
                **how,
            },
        )
        child = Child(process, streams)
        self._children.append(child)
        return child

    def run(self, *arguments: str | Path, **how: Any) -> Ended:
        """The program, begun and ended."""
        return self.start(*arguments, **how).wait()

    # ── what it left ─────────────────────────────────────────────────────────────────────────

    @property
    def runs(self) -> Sequence[Path]:
        """The run folders, oldest first."""
        found = self.reports.iterdir() if self.reports.is_dir() else ()
        return sorted(found, key=lambda folder: (folder.stat().st_ctime_ns, folder.name))

    @property
    def latest(self) -> Path:
        """The newest run folder."""
        return self.runs[-1]

    def stands(self) -> dict[str, Any]:
        """``run.json`` of the newest run."""
        return dict(json.loads((self.latest / "run.json").read_text()))

    def outcomes(self) -> pl.DataFrame:
        """``outcomes.parquet`` of the newest run."""
        return pl.read_parquet(self.latest / "outcomes.parquet")

    def ledger(self) -> Ledger:
        """What the newest run's ledger holds. Nobody may work on the run."""
        return read_ledger(self.latest)


def renaming_rows(ids: Iterable[str]) -> str:
    """An input with a label, a name for each row and models for every third."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["destination_id", "customer", "name", "enabled_models"])
    for number, destination_id in enumerate(ids):
        models = "orders;invoices" if number % 3 == 0 else ""
        lines.writerow([destination_id, CUSTOMERS[number % 4], f"Fleet {number + 1:04d}", models])
    return text.getvalue()


def renaming_job(url: str, *, path: str = "fleet.csv", guard: object = "100%", **send: object) -> str:
    """The job that goes with it. ``send`` overrides what stands under ``[send]``."""
    send = {"rate": "100/s", "concurrency": 8, "timeout": "5s", "attempts": 8, **send}
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in send.items())
    return f"""[job]
name = "rename"

[api]
base_url = "{url}"

[input]
path = "{path}"
labels = ["customer"]

[patch]
machine_type_id = "{MACHINE}"

[send]
{lines}

[guard]
max_failed = {json.dumps(guard)}
"""


def check_renamed(fleet: Fleet, ids: Sequence[str] | None = None) -> None:
    """The server holds what the plan of ``renaming`` says, and only that."""
    held = fleet.snapshot()
    for number, destination_id in enumerate(ids if ids is not None else fleet.ids):
        found = held[destination_id]
        assert found["destination"]["name"] == f"Fleet {number + 1:04d}"
        assert found["machine_type_id"] == MACHINE
        if number % 3 == 0:
            assert found["destination"]["enabled_models"] == ["orders", "invoices"]


# ── the ledger, read by a hand that owes nothing to the code under test ──────────────────────


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The facts of a ledger, by destination id."""

    intents: Mapping[str, int]
    open: frozenset[str]
    states: Mapping[str, str]
    latency_s_max: float


def read_ledger(run: Path) -> Ledger:
    """Read a copy, so that the ledger itself stays as a kill left it."""
    with tempfile.TemporaryDirectory() as aside:
        for name in ("ledger.sqlite", "ledger.sqlite-wal"):
            if (run / name).exists():
                shutil.copy(run / name, aside)
        with closing(sqlite3.connect(Path(aside, "ledger.sqlite"))) as copy:
            assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            ids = dict(copy.execute("SELECT row, destination_id FROM row"))
            intents = copy.execute(
                "SELECT row, attempt, EXISTS (SELECT 1 FROM setback s WHERE (s.row, s.attempt) = (i.row, i.attempt)"
                " AND withdrawn) FROM intent i"
            ).fetchall()
            setbacks = set(copy.execute("SELECT row, attempt FROM setback"))
            outcomes = copy.execute("SELECT row, state FROM outcome").fetchall()
            answered = {row for row, _ in outcomes}
            latency_us = copy.execute(
                "SELECT MAX(latency_us) FROM (SELECT latency_us FROM setback UNION ALL SELECT latency_us FROM outcome)"
            ).fetchone()[0]
    sent: dict[str, int] = {}
    for row, _, withdrawn in intents:
        sent[ids[row]] = sent.get(ids[row], 0) + (not withdrawn)
    return Ledger(
        intents=sent,
        open=frozenset(
            ids[row] for row, attempt, _ in intents if (row, attempt) not in setbacks and row not in answered
        ),
        states={ids[row]: state for row, state in outcomes},
        latency_s_max=(latency_us or 0) / 1e6,
    )


def check_rate(fleet: Fleet, rate: int, *, delay_s: float) -> int:
    """No second held more than ``rate`` requests as they left; returns the most that arrived within one.

    The server stamps a request when it has read it, at most ``delay_s`` after it left, which on a busy machine
    may be much. So what it stamped within ``1 - delay_s`` had left within one second.
    """
    times_s = [arrival.at_s for arrival in fleet.arrivals]  # reads count like writes
    if delay_s < 1.0:
        assert busiest(times_s, 1.0 - delay_s) <= rate
    return busiest(times_s)
