"""The last lines of a command that sent: what became of it, and what to type next."""

from __future__ import annotations

from bulkpatch.errors import ExitCode
from bulkpatch.model import RowState, RunResult
from bulkpatch.observe.words import FAILED, count, duration, states

_RETRIED = frozenset({RowState.REJECTED, RowState.EXHAUSTED, RowState.UNKNOWN})
"""What ``retry`` takes without being told."""
_GATE_FAILED = "BP506"
"""A wave that failed its gate stays failed: a resume would stop there again."""


def ended_lines(result: RunResult) -> list[str]:
    """Verdict, counts by state, reason, then the commands that lead on. Plain text, one fact a line."""
    snapshot = result.snapshot
    told = [_verdict(result)]
    counted = [text for _, text in states(snapshot)]
    left = snapshot.total - snapshot.settled
    if left > 0:
        counted.append(f"pending {count(left)}")
    if counted:
        told.append(f"  {' · '.join(counted)} · in {duration(snapshot.elapsed_s)}")
    if result.reason:
        told.append(f"  {result.reason}" + (f" [{result.code}]" if result.code else ""))
    return told + [f"  {command}" for command in _next(result)]


def _verdict(result: RunResult) -> str:
    snapshot = result.snapshot
    failed = sum(snapshot.states.get(state, 0) for state in FAILED)
    all_rows = f"{count(snapshot.total)} {'row' if snapshot.total == 1 else 'rows'}"
    if snapshot.states.get(RowState.PLANNED):
        return f"Dry run: nothing was sent; {count(snapshot.states[RowState.PLANNED])} of {all_rows} would be."
    if result.exit_code == ExitCode.DONE:
        return f"Done: {all_rows}, none failed."
    if result.status == "finished":
        unknown = snapshot.states.get(RowState.UNKNOWN, 0)
        doubt = f", {count(unknown)} of them unknown: they may have been applied" if unknown else ""
        return f"Finished: {count(failed)} of {all_rows} failed{doubt}."
    how = "Interrupted" if result.status == "interrupted" else "Stopped"
    return f"{how}: {count(snapshot.settled)} of {all_rows} settled, {count(failed)} failed. The ledger is safe."


def _next(result: RunResult) -> list[str]:
    held = {state for state, number in result.snapshot.states.items() if number}
    commands = []
    if result.code == _GATE_FAILED:
        commands.append((f"bulkpatch retry {result.run_id}", "sends failed and untouched rows, as a new run"))
    elif result.status != "finished":
        commands.append((f"bulkpatch resume {result.run_id}", "goes on where it stopped"))
    elif held & _RETRIED:
        commands.append((f"bulkpatch retry {result.run_id}", "sends the failed rows again, as a new run"))
    commands.append((f"bulkpatch report {result.run_id}", "shows the outcomes"))
    if result.code:
        commands.append((f"bulkpatch explain {result.code}", "says what the code means"))
    longest = max(len(command) for command, _ in commands)
    return [f"{command:<{longest}}  {what}" for command, what in commands]
