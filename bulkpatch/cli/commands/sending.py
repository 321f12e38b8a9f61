"""``run``, ``resume`` and ``retry``: everything that sends."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import ENVIRON, Common, Sending
from bulkpatch.cli.speaking import columns, tell
from bulkpatch.cli.step_summary import SUMMARY, append_step_summary
from bulkpatch.cli.wiring import consent, options_of
from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.model import RowState, RunResult
from bulkpatch.observe.endings import ended_lines

_COMMON = Common()
_SENDING = Sending()
_PAGE = "report.html"
"""What of a run's folder is looked at first."""


def run(  # noqa: PLR0913  (the options of one command)
    job: Path,
    *,
    dry_run: Annotated[bool, Parameter(negative="", help="Read the fleet and report; write nothing.")] = False,
    simulate: Annotated[bool, Parameter(negative="", help="Send to an embedded simulator of the API.")] = False,
    faults: Annotated[str, Parameter(help="Faults of the simulator: none, some, rough, or 500=0.03,…")] = "none",
    common: Common = _COMMON,
    sending: Sending = _SENDING,
) -> int:
    """Plan a job, ask, then send it; or do exactly what a saved plan says.

    Parameters
    ----------
    job
        The job file, or a plan that `bulkpatch plan -o` kept.
    """
    asked = consent(sending, quiet=common.quiet, simulate=simulate, dry_run=dry_run)
    return _ended(api.run(job, options_of(common, sending, simulate=simulate, dry_run=dry_run, faults=faults, **asked)))


def resume(
    run: str,
    *,
    accept_input_changes: Annotated[
        bool, Parameter(negative="", help="The input was edited: send what is new or changed, as a new run.")
    ] = False,
    common: Common = _COMMON,
    sending: Sending = _SENDING,
) -> int:
    """Go on where a run stopped, for whatever reason.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    asked = consent(sending, quiet=common.quiet or not accept_input_changes)
    return _ended(api.resume(run, options_of(common, sending, accept_input_changes=accept_input_changes, **asked)))


def retry(
    run: str,
    *,
    only: Annotated[str, Parameter(help="States to take, with commas between.")] = "",
    common: Common = _COMMON,
    sending: Sending = _SENDING,
) -> int:
    """Send the failed rows of a run again, as a new run.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    options = options_of(common, sending, **consent(sending, quiet=common.quiet))
    return _ended(api.retry(run, options, _states(only) if only else api.RETRIED))


def _states(text: str) -> frozenset[RowState]:
    words = {word.strip() for word in text.split(",") if word.strip()}
    known = {state.value for state in RowState}
    if unknown := sorted(words - known):
        message = f"--only: no such state: {', '.join(unknown)}"
        raise InvalidInput([Problem(code="BP120", message=message, hint=f"One of {', '.join(sorted(known))}.")])
    return frozenset(RowState(word) for word in words)


def _ended(result: RunResult) -> int:
    tell(*ended_lines(result, columns(sys.stderr)), f"  report: {result.folder}/{_PAGE}")
    append_step_summary(Path(result.folder) / SUMMARY, ENVIRON)
    return int(result.exit_code)
