"""What the tests of the library's door share: a folder with jobs, a served fleet, and calls as a caller makes them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from bulkpatch import api
from bulkpatch.api.options import Options
from bulkpatch.engine.system import SystemClock
from bulkpatch.job.spec import Origin
from bulkpatch.model import RunResult, Secret
from bulkpatch.simulator.faults import FaultPlan, Mishap
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Arrival, Fleet

KEY: Final = "sk_staging_api_0123456789"
MACHINE: Final = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
PASSWORD: Final = "postgres.password_auth.password"
CLOCK: Final = SystemClock()


def fleet_of(n: int, *vendors: str) -> Fleet:
    """A fleet on the machine's clocks."""
    return Fleet.synthetic(n, 7, clock=CLOCK, vendors=vendors or ("postgres",))


def serving(
    fleet: Fleet, overrides: Mapping[str, Sequence[Mishap | None]] | None = None, *, reads: bool = False
) -> SimulatorServer:
    """A server for ``fleet``, in which these destinations meet these faults, ``reads`` too; enter it to start it."""
    faults = FaultPlan(overrides=overrides or {}, reads=reads)
    return SimulatorServer(fleet, key=Secret(KEY, reference="test"), faults=faults)


def set_before(fleet: Fleet, at: int, **fields: Any) -> str:
    """Give one destination a past of its own; its id. That change is no effect of anything under test."""
    destination_id = fleet.ids[at]
    fleet.patch(destination_id, {"destination": fields})
    fleet.effects.clear()
    return destination_id


def settings_of(fleet: Fleet) -> Mapping[str, Any]:
    """What each destination shows, without what every change moves."""
    return {
        destination_id: {name: value for name, value in one["destination"].items() if name != "updated_at"}
        for destination_id, one in fleet.snapshot().items()
    }


def asked(fleet: Fleet, since: int = 0) -> Sequence[Arrival]:
    """The requests that came in, from number ``since`` on."""
    return list(fleet.arrivals)[since:]


@dataclass
class Bench:
    """A folder of its own with jobs, inputs and runs."""

    folder: Path
    environ: dict[str, str] = field(default_factory=lambda: {"PREQUEL_API_KEY": KEY})
    draw: Callable[[], float] = random.Random(5).random  # noqa: S311  (any chance will do)

    @property
    def reports(self) -> Path:
        """Where the runs lie."""
        return self.folder / "reports"

    def options(self, **more: Any) -> Options:
        """As a caller wants it. The environment is a copy: what is read leaves it."""
        return Options(clock=CLOCK, environ=dict(self.environ), draw=self.draw, report_dir=self.reports, **more)

    def job(self, rows: Sequence[Mapping[str, Any]], url: str, *, name: str = "job", **tables: str) -> Path:
        """A job over ``rows``; ``tables`` are further lines of ``input`` and ``patch``, and ``more`` tables."""
        (self.folder / f"{name}.ndjson").write_text("".join(json.dumps(row) + "\n" for row in rows))
        text = f"""[job]
name = "{name}"
[api]
base_url = "{url}"
[input]
path = "{name}.ndjson"
{tables.get("input", "")}
[patch]
{tables.get("patch", "")}
[send]
rate = "1000/s"
attempts = 1
[guard]
max_failed = "100%"
{tables.get("more", "")}
"""
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return path

    def run(self, rows: Sequence[Mapping[str, Any]], url: str, **tables: str) -> RunResult:
        """Such a job, run."""
        return api.run(self.job(rows, url, **tables), self.options())

    def outcomes(self, result: RunResult) -> pl.DataFrame:
        """What the report says of each row."""
        return pl.read_parquet(Path(result.folder) / "outcomes.parquet")


def flag(url: str) -> Mapping[str, Origin]:
    """The setting that ``--base-url`` makes."""
    return {"api.base_url": Origin(value=url, source="flag")}
