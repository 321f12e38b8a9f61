"""Rows that name one destination: found by hash in little memory, then looked at as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

import polars as pl

from bulkpatch.errors import CODES, Problem
from bulkpatch.job.bodies import same_body
from bulkpatch.job.naming import shown
from bulkpatch.job.parts import ROW
from bulkpatch.model import Operation

PAIRS_SHOWN_MAX: Final = 5
"""Pairs of rows that are named one by one; enough to see the pattern."""


class IdIndex:
    """Sixteen bytes a row: the hash of its id, whatever the case, and its number."""

    def __init__(self) -> None:
        self._parts: list[pl.DataFrame] = []

    def add(self, frame: pl.DataFrame, column: str) -> None:
        """Take note of the ids in ``column``."""
        self._parts.append(frame.select(pl.col(column).fill_null("").str.to_lowercase().hash().alias("id"), ROW))

    def suspects(self) -> frozenset[int]:
        """The rows whose id may stand in another row, too; ids that differ by case count."""
        if not self._parts:
            return frozenset()
        whole = pl.concat(self._parts)
        self._parts = []
        hashes = whole["id"].sort()  # an eighth of the memory of is_duplicated, which keeps a table of all
        shared = hashes.filter(hashes == hashes.shift(1)).unique()
        return frozenset(whole.filter(pl.col("id").is_in(shared.implode()))[ROW])


def settle(
    operations: Iterable[Sequence[Operation]], *, file_of: Callable[[int], str], report: Callable[[Problem], None]
) -> dict[int, int]:
    """Each row whose destination and body stand in a row before → that row. Different bodies are reported (BP217)."""
    first: dict[str, Operation] = {}
    spellings: dict[str, Operation] = {}
    leads: dict[int, int] = {}
    clashes = cases = 0
    for operation in (one for batch in operations for one in batch):
        lead = first.get(operation.destination_id)
        if lead is None:
            kept = first[operation.destination_id] = replace(operation, body=b"", labels=())
            other = spellings.setdefault(operation.destination_id.lower(), kept)
            cases += other is not kept
            if other is not kept and cases <= PAIRS_SHOWN_MAX:
                words = f"the ids of {_place(other)} and {_place(operation)} differ by case only"
                report(_problem("BP225", words, operation, file_of, warning=True))
        elif same_body(lead, operation):
            leads[operation.row] = lead.row
        else:
            clashes += 1
            if clashes <= PAIRS_SHOWN_MAX:
                name = shown(operation.destination_id)
                words = f"{_place(lead)} and {_place(operation)} name the destination {name} and set different things"
                report(_problem("BP217", words, operation, file_of))
            else:
                last = operation
    if clashes > PAIRS_SHOWN_MAX:
        words = f"and {clashes - PAIRS_SHOWN_MAX:,} more such pairs, up to here"
        report(_problem("BP217", words, last, file_of))
    return leads


def _place(operation: Operation) -> str:
    return f"row {operation.row}" + (f" (line {operation.line})" if operation.line is not None else "")


def _problem(
    code: str, words: str, operation: Operation, file_of: Callable[[int], str], *, warning: bool = False
) -> Problem:
    return Problem(
        code=code,
        message=words,
        hint=CODES[code].fix,
        file=file_of(operation.row),
        line=operation.line,
        row=operation.row,
        warning=warning,
    )
