"""``check`` and ``plan``: everything that can be known before anything is sent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import Common
from bulkpatch.cli.showing import plan_document, plan_lines
from bulkpatch.cli.speaking import broken, say, say_json, tell
from bulkpatch.cli.wiring import options_of
from bulkpatch.errors import ExitCode

_COMMON = Common()


def check(
    job: Path,
    *,
    output: Annotated[Literal["text", "json"], Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Parse the job and every row of its input; report all errors at once. Keeps no secret, touches no network.

    Parameters
    ----------
    job
        The job file.
    """
    plan = api.check(job, options_of(common))
    for warning in plan.warnings:
        tell(f"warning: {warning}")
    if output == "json":
        say_json("bulkpatch.check/1", {"job": plan.job.name, "rows": plan.rows, "left_out": plan.left_out, "errors": 0})
    else:
        say(f"{plan.job.name}: {plan.rows} rows, no errors.")
    return 0


def plan(  # noqa: PLR0913  (the options of one command)
    job: Path,
    *,
    out: Annotated[Path | None, Parameter(alias="-o", help="Keep the plan here, to be run once: FILE.bpplan.")] = None,
    offline: Annotated[bool, Parameter(negative="", help="Do not read the fleet.")] = False,
    json: Annotated[bool, Parameter(negative="", help="One JSON object on stdout.")] = False,
    detailed_exitcode: Annotated[bool, Parameter(negative="", help="Exit 5 if there is work to do.")] = False,
    simulate: Annotated[bool, Parameter(negative="", help="Read an embedded simulator of the API.")] = False,
    common: Common = _COMMON,
) -> int:
    """Show what a job would do, against the live fleet: changes, cost, waves. Writes nothing to the API.

    Parameters
    ----------
    job
        The job file.
    """
    made = api.plan(job, options_of(common, simulate=simulate), offline=offline, out=out)
    if json:
        say_json("bulkpatch.plan/1", plan_document(made))
    else:
        say(*broken(sys.stdout, plan_lines(made)))
        if out is not None:
            say(f"  kept in      {out}; run it once: bulkpatch run {out}")
    return int(ExitCode.WORK_TO_DO if detailed_exitcode and made.sends else ExitCode.DONE)
