"""``failures.csv``: the failed rows as input for the next run of the same job, with what became of them beside it."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO, TypeAlias

import polars as pl

from bulkpatch.errors import InvalidInput, Mismatch
from bulkpatch.model import RunHeader
from bulkpatch.ports import Redactor
from bulkpatch.reporting.columns import FAILED
from bulkpatch.reporting.inert import csv_line, no_formula, refuse_secrets

Cells: TypeAlias = tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]
"""The input's column names, and its rows in order: row number and the text of each cell."""
CellSource: TypeAlias = Callable[[Sequence[int]], Cells]
"""Row numbers, ascending → exactly these rows of the sealed input, with inline secrets as ``<redacted>``.

Raises ``InvalidInput``, ``Mismatch`` or ``OSError``, at once or under way, where the input is gone or another one.
"""

IGNORED_PREFIX: Final = "_bp_"
GONE: Final = "the input was not found as it was: ids only, the other cells of the row are missing"
FILE: Final = "failures.csv"
LINES_PER_CHECK: Final = 1_000
"""Lines that are searched for secrets and written at once; about 1 MiB at most of ordinary rows."""

OURS: Final = {
    "_bp_row": "row",
    "_bp_state": "state",
    "_bp_error_code": "error_code",
    "_bp_error": "error",
    "_bp_http_status": "http_status",
    "_bp_attempts": "attempts",
}
_INPUT: Final = "_bp_input"
_NOTE: Final = "_bp_note"


class _Gone(Exception):
    """The input cannot be read as it was."""


def write_failures(  # noqa: PLR0913  (two texts in, one out, and what they are checked against)
    path: Path,
    outcomes: pl.LazyFrame,
    *,
    header: RunHeader,
    cells: CellSource | None,
    id_column: str,
    redactor: Redactor,
) -> str | None:
    """Write the failed rows of ``outcomes`` (in input order) to ``path``; returns a note if only ids could be given.

    The input's cells stand as they were, apart from columns that begin with ``_bp_``: these are written anew. Our own
    columns are safe to open in a spreadsheet.
    """
    failed = outcomes.filter(pl.col("state").is_in([str(state) for state in FAILED]))
    wanted = array("q", failed.select("row").collect()["row"])
    if wanted and cells is not None:
        try:
            _write(path, redactor, _whole_lines(cells, wanted, failed, header))
        except _Gone:
            pass
        else:
            return None
    note = [_NOTE] if wanted else []
    _write(path, redactor, _id_lines(failed, header, id_column, note))
    return GONE if wanted else None


def _whole_lines(cells: CellSource, wanted: Sequence[int], failed: pl.LazyFrame, header: RunHeader) -> Iterator[str]:
    names, rows = _ask(lambda: cells(wanted))
    kept = [index for index, name in enumerate(names) if not name.startswith(IGNORED_PREFIX)]
    yield csv_line([*(names[index] for index in kept), *OURS, _INPUT])
    for fact in _facts(failed):
        number, texts = _ask(lambda: next(rows, (0, ())))
        if number != fact["row"] or len(texts) != len(names):
            raise _Gone
        yield csv_line([*(texts[index] for index in kept), *_ours(fact, header)])


def _id_lines(failed: pl.LazyFrame, header: RunHeader, id_column: str, note: Sequence[str]) -> Iterator[str]:
    yield csv_line([*note, id_column, *OURS, _INPUT])
    for fact in _facts(failed):
        yield csv_line([*(GONE for _ in note), fact["destination_id"], *_ours(fact, header)])


def _ask(question: Callable[[], Any]) -> Any:
    """The answer of the cell source, whose errors say that the input is gone; those of the disk do not."""
    try:
        return question()
    except (InvalidInput, Mismatch, OSError):
        raise _Gone from None


def _facts(failed: pl.LazyFrame) -> Iterator[dict[str, Any]]:
    narrow = failed.select("destination_id", *OURS.values())
    for batch in narrow.collect_batches(maintain_order=True):
        yield from batch.iter_rows(named=True)


def _ours(fact: dict[str, Any], header: RunHeader) -> list[str]:
    texts = ["" if fact[name] is None else no_formula(str(fact[name])) for name in OURS.values()]
    more = f" and {len(header.inputs) - 1} more" if len(header.inputs) > 1 else ""
    source = header.inputs[0].path if header.inputs else "input"
    return [*texts, no_formula(f"{source}{more} row {fact['row']}")]


def _write(path: Path, redactor: Redactor, lines: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _pour(file, redactor, lines)


def _pour(file: TextIO, redactor: Redactor, lines: Iterator[str]) -> None:
    while chunk := list(islice(lines, LINES_PER_CHECK)):
        refuse_secrets(redactor, chunk, FILE)
        file.writelines(chunk)
