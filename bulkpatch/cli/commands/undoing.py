"""``reconcile`` and ``reverse``: what became of rows in doubt, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.api.reconciling import Reconciled
from bulkpatch.api.reversing import FieldReversal, Reversal
from bulkpatch.cli.settings import Common
from bulkpatch.cli.speaking import say, say_json
from bulkpatch.cli.wiring import options_of
from bulkpatch.errors import ExitCode
from bulkpatch.observe.words import count

_COMMON = Common()


def reconcile(
    run: str,
    *,
    output: Annotated[Literal["text", "json"], Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Ask the API about rows that ended unknown, and settle those that can be settled. Reads only.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    done = api.reconcile(run, options_of(common))
    if output == "json":
        say_json("bulkpatch.reconcile/1", asdict(done))
    else:
        say(*_reconciled_lines(done))
    return int(done.exit_code)


def reverse(
    run: str,
    *,
    out: Annotated[Path, Parameter(alias="-o", help="Folder for the job and its input; nothing is overwritten.")],
    json: Annotated[bool, Parameter(negative="", help="One JSON object on stdout.")] = False,
    common: Common = _COMMON,
) -> int:
    """Write the job and the input that undo a run, and say what cannot be undone. The API is not asked.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    made = api.reverse(run, options_of(common), out)
    if json:
        say_json("bulkpatch.reverse/1", asdict(made))
    else:
        say(*_reversal_lines(made))
    return int(ExitCode.DONE if made.job is not None else ExitCode.ROWS_FAILED)


def _reconciled_lines(done: Reconciled) -> Iterator[str]:
    yield f"{done.run_id}: {count(done.applied)} applied, {count(done.not_applied)} not applied"
    yield f"  {count(done.unknown)} rows stay unknown; {count(done.reads)} reads"
    for one in done.unsettled:
        yield f"  unknowable   row {one.row}  {one.destination_id}: {one.why}"
    if hidden := done.unknown - len(done.unsettled):
        yield f"  and {count(hidden)} more: bulkpatch report {done.run_id} --by state"
    if done.not_applied:
        yield f"  next: bulkpatch retry {done.run_id}"
    yield from (f"  note: {note}" for note in done.notes)


def _reversal_lines(made: Reversal) -> Iterator[str]:
    yield f"{made.run_id}: {count(made.touched)} destinations were changed, or may have been"
    widest = max((len(one.path) for one in made.fields), default=0)
    for one in made.fields:
        yield f"  {one.path:<{widest}}  {', '.join(_field_words(one))}"
    if made.changed_since:
        yield f"  changed since by another run: {count(made.changed_since)} destinations, such as"
        yield from (f"    {destination_id}  by {run}" for destination_id, run in made.samples)
    yield from (f"  note: {note}" for note in made.notes)
    if made.job is None:
        yield "nothing can be put back, so nothing was written"
        return
    yield f"wrote {made.job}"
    yield f"wrote {made.input} ({count(made.rows)} rows)"
    yield f"next: review them, then bulkpatch plan {made.job}"


def _field_words(one: FieldReversal) -> Iterator[str]:
    if one.reversible:
        since = f" ({count(one.changed_since)} changed since)" if one.changed_since else ""
        yield f"{count(one.reversible)} reversible{since}"
    if one.unchanged:
        yield f"{count(one.unchanged)} as before"
    yield from (f"{count(number)} irreversible: {why}" for why, number in one.irreversible.items())
