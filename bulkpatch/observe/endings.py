"""The last lines of a command that sent: what became of it, and what to type next."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bulkpatch.errors import ExitCode
from bulkpatch.model import FailureKind, RowState, RunResult
from bulkpatch.observe.words import FAILED, count, duration, states, within

_RETRIED = frozenset({RowState.REJECTED, RowState.EXHAUSTED, RowState.UNKNOWN})
"""What ``retry`` takes without being told."""
KINDS_SHOWN = 5
"""Causes of failure that are listed: the end of a run is to fit on a screen."""
_GATE_FAILED = "BP506"
"""A wave that failed its gate stays failed: a resume would stop there again."""


def ended_lines(result: RunResult, width: int | None = None) -> list[str]:
    """Verdict, counts by state, reason, failures by cause, then the commands that lead on: one fact a line.

    Words are broken into ``width`` columns, if there is one; commands stay whole, to be copied.
    """
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
    told += [f"  ✗ {line}" for line in failure_lines(result.failures, result.failure_kinds)]
    held = {state for state, number in snapshot.states.items() if number}
    commands = next_commands(
        result.run_id, status=result.status, code=result.code, states=held, simulated=result.simulated
    )
    broken = [part for line in told for part in within(width, line)]
    return broken + [f"  {line}" for line in command_lines(commands, width and width - 2)]


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


def failure_lines(kinds: Sequence[FailureKind], of: int) -> list[str]:
    """Failed rows grouped by cause, the most frequent first; ``of`` is how many causes there are."""
    shown = kinds[:KINDS_SHOWN]
    widest = max((len(count(kind.rows)) for kind in shown), default=0)
    lines = [
        " ".join(filter(None, (f"{count(kind.rows):>{widest}} x {kind.state.value}:", kind.code, kind.error)))
        for kind in shown
    ]
    if of > len(shown):
        lines.append(f"and {count(of - len(shown))} more causes")
    return lines


def next_commands(
    run_id: str, *, status: str, code: str | None, states: Collection[RowState], simulated: bool = False
) -> list[tuple[str, str]]:
    """What to type next, each with what it does; ``states`` are those that hold rows."""
    commands = []
    if code == _GATE_FAILED:
        commands.append((f"bulkpatch retry {run_id}", "sends failed and untouched rows, as a new run"))
    elif status != "finished":
        commands.append((f"bulkpatch resume {run_id}", "goes on where it stopped"))
    elif not _RETRIED.isdisjoint(states):
        if RowState.UNKNOWN in states and not simulated:
            commands.append((f"bulkpatch reconcile {run_id}", "asks the API which of the unknown rows were applied"))
        commands.append((f"bulkpatch retry {run_id}", "sends the failed rows again, as a new run"))
    commands.append((f"bulkpatch report {run_id}", "shows the outcomes"))
    if code:
        commands.append((f"bulkpatch explain {code}", "says what the code means"))
    return commands


def command_lines(commands: Sequence[tuple[str, str]], width: int | None = None) -> list[str]:
    """Each command with what it does beside it, or below it where that would not fit into ``width`` columns."""
    longest = max(len(command) for command, _ in commands)
    if width is None or all(longest + 2 + len(what) <= width for _, what in commands):
        return [f"{command:<{longest}}  {what}" for command, what in commands]
    return [line for command, what in commands for line in (command, f"  {what}")]
