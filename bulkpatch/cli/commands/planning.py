"""``check`` and ``plan``: everything that can be known before anything is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import Common
from bulkpatch.cli.showing import plan_lines
from bulkpatch.cli.speaking import say, say_json, tell
from bulkpatch.cli.wiring import options_of

_COMMON = Common()


def check(
    job: Path,
    *,
    output: Annotated[Literal["text", "json"], Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Parse a job and every row of its input; report all errors at once. Touches neither secrets nor network.

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


def plan(
    job: Path,
    *,
    offline: Annotated[bool, Parameter(negative="", help="Do not read the fleet.")] = False,
    json: Annotated[bool, Parameter(negative="", help="One JSON object on stdout.")] = False,
    common: Common = _COMMON,
) -> int:
    """Show what a job would do: its bodies, its cost and its limits. Sends nothing.

    Parameters
    ----------
    job
        The job file.
    """
    made = api.plan(job, options_of(common))
    if not offline:
        tell("note: the fleet is not read yet; this is the plan as --offline makes it")
    if json:
        document = {
            "job": made.job.name,
            "rows": made.rows,
            "sends": made.sends,
            "left_out": made.left_out,
            "fields": dict(made.fields),
            "secret_references": made.references,
            "seconds": made.seconds,
            "bound_by": made.bound_by,
            "guard": made.guard_text,
            "sample": [
                {"row": op.row, "destination_id": op.destination_id, "body": op.body.decode()} for op in made.sample
            ],
            "warnings": list(made.warnings),
        }
        say_json("bulkpatch.plan/1", document)
    else:
        say(*plan_lines(made))
    return 0
