"""Brings rows from the sealed input to the dispatcher, a batch at a time, skipping those that are settled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bulkpatch.errors import Mismatch
from bulkpatch.model import Operation, PendingRow
from bulkpatch.ports import Executor, Ledger, Source


class Feeder:
    """Pulls ``source`` on the ledger's thread, since each batch is joined with what the ledger knows."""

    def __init__(self, source: Source, ledger: Ledger, executor: Executor) -> None:
        self._source = source
        self._ledger = ledger
        self._executor = executor
        self._wave: int | None = None
        self._known: dict[int, PendingRow] = {}
        self._batches: Iterator[Sequence[Operation]] = iter(())

    def begin(self, wave: int) -> None:
        """Go through the input once for the rows of ``wave`` that are not settled."""
        self._wave = wave
        self._known.clear()
        self._batches = iter(self._source.operations(self._wanted))

    async def next_rows(self) -> list[tuple[Operation, PendingRow]] | None:
        """The next rows that are not settled, or None at the end.

        Raises ``Mismatch`` (BP602) if a row's body is not the one that was planned.
        """
        return await self._executor.run(self._pull)

    def _pull(self) -> list[tuple[Operation, PendingRow]] | None:
        batch = next(self._batches, None)
        return None if batch is None else [(op, self._match(op)) for op in batch]

    def _wanted(self, first: int, last: int) -> Sequence[int]:
        pending = self._ledger.pending_between(first, last, wave=self._wave)
        self._known.update((row.row, row) for row in pending)
        return [row.row for row in pending]

    def _match(self, op: Operation) -> PendingRow:
        known = self._known.pop(op.row)
        if known.destination_id != op.destination_id or known.digest != op.digest:
            raise Mismatch(
                "BP602",
                f"row {op.row} is not the one that was planned",
                hint="Put the original input back, or start a new run with the new one.",
            )
        return known
