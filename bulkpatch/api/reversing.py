"""Writes what would undo a run: an ordinary job and its input, for a person to review. The API is not asked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

from bulkpatch.api.later import other_runs
from bulkpatch.api.opened import Opened
from bulkpatch.api.options import Options
from bulkpatch.api.starting import reopen, same_input
from bulkpatch.api.undoing import Tally, Touched, Undoing, Undone
from bulkpatch.core.guarding import in_words
from bulkpatch.errors import InvalidInput, Mismatch, Problem
from bulkpatch.job.reversal import NULL, reversal_job, reversal_line, reversal_name, sayable
from bulkpatch.ledger.faults import disk_faults
from bulkpatch.ledger.folder import resolve_run
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import open_ledger
from bulkpatch.model import RunHeader
from bulkpatch.ports import Redactor
from bulkpatch.prequel.undoing import Way
from bulkpatch.reporting.inert import one_line, refuse_secrets

NAMED_MAX: Final = 20
"""Destinations named that were changed since; the input marks them all."""
LINES_PER_CHECK: Final = 1_000
"""Lines that are searched for secrets and written at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldReversal:
    """One field of the run, in destinations. ``changed_since`` are among the ``reversible``.

    ``irreversible`` counts by reason. ``unchanged`` were as the run set them before: there is nothing to undo.
    """

    path: str
    reversible: int
    changed_since: int
    unchanged: int
    irreversible: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """What was written, and what it undoes. ``job`` is None where nothing can be put back.

    ``touched`` destinations were changed or may have been; the input has ``rows`` of them. ``changed_since`` were
    changed by another run in a field that this one set; ``samples`` names some of them, each with that run.
    """

    run_id: str
    job: Path | None
    input: Path | None
    touched: int
    rows: int
    fields: tuple[FieldReversal, ...]
    changed_since: int
    samples: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def reverse(run_name: str, options: Options, out: Path) -> Reversal:
    """Write the job and the input that undo a run into the folder ``out``; nothing there is overwritten.

    Raises ``InvalidInput`` (BP125, BP122), and ``Mismatch`` where the run is held, changed nothing, or its job or
    input moved.
    """
    folder = resolve_run(options.report_dir, run_name)
    with RunLock(folder), ExitStack() as at_end:
        ledger = open_ledger(folder)
        at_end.callback(ledger.close)
        header = ledger.header()
        files = _files(out, header)
        opened = reopen(folder, header, replace(options, limit=None), with_key=False)
        at_end.callback(opened.resolver.close)
        same_input(opened, header, ledger)
        opened.rows.check()
        touched = Touched(ledger, opened.rows.followers)
        if not touched:
            words = f"{header.run_id} changed no destination, and cannot have: there is nothing to undo"
            raise Mismatch("BP608", words, hint="Its rows: bulkpatch report RUN --by state")
        others = other_runs(folder.parent, folder, since_us=touched.since_us)
        undoing = Undoing(ledger, opened, touched, others)
        tally, samples = _counted(undoing)
        blanks = tally.blanks()
        notes = [f"run {one_line(run)} was not looked at: {why}" for run, why in others.unread]
        if tally.commands:
            notes.append(f"exec: commands start in the folder of the new job, not in {opened.job.folder}")
        made = Reversal(
            run_id=header.run_id,
            job=None,
            input=None,
            touched=len(touched),
            rows=sum(1 for one in undoing.rows() if blanks or _cells(one)) if tally.empty.total() else tally.rows,
            fields=tuple(_field(tally, path) for path in sorted(tally.ways)),
            changed_since=tally.changed_since,
            samples=tuple(samples),
            notes=tuple(notes),
        )
        return _written(made, files, undoing, blanks=blanks, header=header) if made.rows else made


def _files(out: Path, header: RunHeader) -> tuple[Path, Path]:
    name = reversal_name(header.job_name)
    files = out / f"{name}.toml", out / f"{name}.ndjson"
    for path in files:
        if os.path.lexists(path):
            problem = Problem(code="BP125", message=f"{path} exists already", hint="Name another folder: -o DIR.")
            raise InvalidInput([problem])
    return files


def _counted(undoing: Undoing) -> tuple[Tally, Sequence[tuple[str, str]]]:
    tally, samples = Tally(), list[tuple[str, str]]()
    for one in undoing.rows():
        tally.add(one)
        if one.change is not None and len(samples) < NAMED_MAX:
            samples.append((one.destination_id, one.change.run))
    return tally, samples


def _field(tally: Tally, path: str) -> FieldReversal:
    ways = tally.ways[path]
    return FieldReversal(
        path=path,
        reversible=ways[Way.REVERSIBLE],
        changed_since=tally.since[path],
        unchanged=ways[Way.UNCHANGED],
        irreversible=dict(tally.why_not.get(path, {})),
    )


def _cells(one: Undone) -> Mapping[str, str]:
    """The cells of a row that say something; null has its token, and empty text stands in the job."""
    return {path: NULL if cell is None else cell for path, cell in one.cells.items() if cell is None or sayable(cell)}


# ── as files ─────────────────────────────────────────────────────────────────────────────────


def _written(
    made: Reversal, files: tuple[Path, Path], undoing: Undoing, *, blanks: Sequence[str], header: RunHeader
) -> Reversal:
    """Put the input in place, then the job."""
    opened, (job_path, input_path) = undoing.opened, files
    _make(job_path.parent)
    _put(input_path, (_line(one) for one in undoing.rows() if blanks or _cells(one)), opened.redactor)
    text = reversal_job(
        opened.job,
        base_url=opened.job.api.base_url if header.simulated else header.base_url,
        input_name=input_path.name,
        blanks=blanks,
        comment=list(_comment(made, job_path, header, opened)),
    )
    try:
        _put(job_path, [text], opened.redactor)
    except BaseException:
        input_path.unlink(missing_ok=True)
        raise
    return replace(made, job=job_path, input=input_path)


def _line(one: Undone) -> str:
    since = {"changed_since": one.change.run} if one.change is not None else {}
    return reversal_line(one.destination_id, _cells(one), {"row": one.row, **since})


def _comment(made: Reversal, path: Path, header: RunHeader, opened: Opened) -> Iterator[str]:
    yield f"Undoes run {made.run_id} of job {header.job_name}: puts {made.rows} destinations back to what they showed"
    yield "before it. Made from the run's own record, without asking the API: a person should review it first, with"
    yield f"    bulkpatch plan {path.name}"
    yield f"Guard: {in_words(opened.job.guard, made.rows)}."
    for one in made.fields:
        for why, number in one.irreversible.items():
            yield f"NOT undone: {one_line(one.path)} of {number} destinations: {why}."
    if made.changed_since:
        yield f"Changed since by another run: {made.changed_since} destinations, marked _bp_changed_since in the input;"
        yield "this job puts them back to what they were before the run, over what came after."
    yield from (f"Note: {one_line(note)}." for note in made.notes)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(folder, error) from None


def _put(path: Path, lines: Iterable[str], redactor: Redactor) -> None:
    """Write a file of ours, 0600 and durable; nothing of it is left where that fails."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
    except OSError as error:
        raise _unusable(path, error) from None
    left = iter(lines)
    try:
        with disk_faults(), open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123  (a descriptor)
            while chunk := list(islice(left, LINES_PER_CHECK)):
                refuse_secrets(redactor, chunk, path.name)
                file.writelines(chunk)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _unusable(path: Path, error: OSError) -> InvalidInput:
    words = f"{path} cannot be written: {os.strerror(error.errno or 0)}"
    return InvalidInput([Problem(code="BP122", message=words, hint="Name another folder: -o DIR.")])
