"""The demo: the real program, as child processes, against the embedded simulator."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from bulkpatch.cli.settings import CLOCK, ENVIRON
from bulkpatch.cli.speaking import tell
from bulkpatch.errors import Broken, ExitCode
from bulkpatch.ledger.folder import list_runs
from bulkpatch.ledger.opening import FILE
from bulkpatch.model import Secret
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

SEED = 20_231_201
FAULTS = "500=0.05,503=0.04,429=0.01,reset_before=0.03,reset_after=0.04,truncated=0.02,malformed=0.02"
REFUSED = (17, 97, 177)
"""Rows that the API refuses for good, so that failures are seen; so far apart that the guard lets the run go on."""
KEY = "sk_staging_" + "demonstration"
STEP_S_MAX = 300.0
"""Seconds that one step may take on a busy machine."""

_JOB = """[job]
name = "demo"

[input]
path   = "fleet.csv"
labels = ["customer"]

[patch]
machine_type_id = "3c90c3cc-0d44-4b50-8888-8dd25736052a"

[send]
rate        = "60/s"
concurrency = 8
timeout     = "2s"

[guard]
max_failed = "5%"
"""


class Demonstration:
    """One demo. Its job and input are kept below the report folder, so that everything shown can be looked at."""

    def __init__(self, reports: Path, *, rows: int) -> None:
        self._reports = reports
        self._rows = rows
        self._folder = reports / "demo-input"

    def run(self) -> int:
        """Serve, send, kill, resume, report. Returns 0 if all of it went as it should."""
        fleet = Fleet.synthetic(self._rows, SEED, clock=CLOCK)
        job = self._write_input(fleet.ids)
        refused = ",".join(fleet.ids[row] for row in REFUSED if row < self._rows)
        faults = FaultPlan.parse(f"{FAULTS},reject={refused}", seed=SEED)
        with SimulatorServer(fleet, key=Secret(KEY, reference="demo"), faults=faults) as server:
            tell(
                f"1. A simulated API with {self._rows} destinations at {server.url}; a quarter of its answers go wrong."
            )
            tell("2. A run, killed with -9 on its way:")
            self._killed(job, server.url)
            run = list_runs(self._reports)[-1]
            tell("", f"3. The same run, resumed: bulkpatch resume {run.name}")
            code = self._program("resume", run.name, "--yes", "--base-url", server.url).wait(STEP_S_MAX)
        return self._verdict(run, code, fleet)

    def _write_input(self, ids: object) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        customers = ("acme", "globex", "initech", "umbrella")
        lines = ["destination_id,customer,name,enabled_models"]
        for number, destination_id in enumerate(ids):  # type: ignore[arg-type, var-annotated]
            models = "orders;invoices" if number % 3 == 0 else ""
            lines.append(f"{destination_id},{customers[number % 4]},Fleet {number + 1:04d},{models}")
        (self._folder / "fleet.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        job = self._folder / "demo.toml"
        job.write_text(_JOB, encoding="utf-8")
        return job

    def _killed(self, job: Path, url: str) -> None:
        before = set(list_runs(self._reports))
        child = self._program("run", str(job), "--yes", "--base-url", url)
        deadline_s = CLOCK.monotonic() + STEP_S_MAX
        while child.poll() is None and CLOCK.monotonic() < deadline_s:
            begun = [run for run in list_runs(self._reports) if run not in before and (run / FILE).exists()]
            if begun and _settled(begun[-1]) >= self._rows // 4:
                break
            time.sleep(0.05)
        child.kill()
        if (code := child.wait()) != -signal.SIGKILL:
            raise Broken("BP901", f"the demo's run ended by itself before it was killed (exit code {code})")
        tell("   killed.")

    def _program(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "bulkpatch", *arguments, "--report-dir", str(self._reports)]
        return subprocess.Popen(command, env={**ENVIRON, "PREQUEL_API_KEY": KEY})  # noqa: S603  (our own program)

    def _verdict(self, run: Path, code: int, fleet: Fleet) -> int:
        stands = json.loads((run / "run.json").read_text("utf-8"))
        accepted, rejected = stands["counts"].get("accepted", 0), stands["counts"].get("rejected", 0)
        applied = sum(1 for effects in fleet.effects.values() if effects)
        more = sum(effects - 1 for effects in fleet.effects.values() if effects > 1)
        tell(
            "",
            f"4. {accepted} rows accepted, {rejected} refused on purpose; the API changed {applied} destinations.",
            f"   {more} were applied twice: answers that were lost, sent again since a body sets absolute values.",
            f"   report: {run}",
            f"   look at {run / 'report.html'} and {run / 'failures.csv'}",
        )
        if code != ExitCode.ROWS_FAILED or accepted + rejected != self._rows or applied != accepted:
            raise Broken("BP901", f"the demo did not end as it should (exit code {code}, counts {stands['counts']})")
        return int(ExitCode.DONE)


def _settled(run: Path) -> int:
    try:
        return int(json.loads((run / "run.json").read_text("utf-8"))["settled"])
    except (OSError, ValueError, KeyError):
        return 0
