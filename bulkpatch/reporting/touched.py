"""Which destinations a run changed, or may have changed, from its outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

import polars as pl

from bulkpatch.model import RowState
from bulkpatch.ports import ReadLedger
from bulkpatch.reporting.frames import Finality, outcome_frames
from bulkpatch.reporting.group import readable, scan
from bulkpatch.reporting.write import OUTCOMES

CHANGED: Final = frozenset({RowState.ACCEPTED, RowState.VERIFIED, RowState.UNVERIFIED, RowState.UNKNOWN})
"""The states of rows whose destination was changed, or may have been."""
_OPEN: Final = frozenset({RowState.IN_FLIGHT, RowState.PENDING})
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Touch: TypeAlias = tuple[str, Sequence[str], int]
"""A destination's id, the fields that were set, and when the last of it was heard (microseconds since 1970)."""


def touched(source: Path | ReadLedger, *, since_us: int) -> Iterator[Touch]:
    """What the run did after ``since_us``: ``source`` is the folder of a finished run, or a ledger.

    A row that was sent and has no outcome may have changed it when it was first sent. Raises ``InvalidInput`` where
    the outcomes cannot be read.
    """
    if isinstance(source, Path):
        with readable():
            for frame in _after(scan(source / OUTCOMES), since_us).collect_batches(maintain_order=True):
                yield from _touches(frame)
        return
    for frame in outcome_frames(source, final=Finality.OPEN):
        yield from _touches(_after(frame.lazy(), since_us).collect())


def _after(outcomes: pl.LazyFrame, since_us: int) -> pl.LazyFrame:
    at = pl.coalesce("finished_at", "sent_at")
    state = pl.col("state")
    settled = state.is_in([str(one) for one in CHANGED])
    under_way = state.is_in([str(one) for one in _OPEN]) & (pl.col("attempts") > 0)
    after = at > _EPOCH + timedelta(microseconds=since_us)
    return outcomes.filter((settled | under_way) & after).select(
        "destination_id", "fields", at.dt.epoch("us").alias("at_us")
    )


def _touches(frame: pl.DataFrame) -> Iterator[Touch]:
    yield from frame.iter_rows()
