"""Ledger → Polars frames, batch by batch, so that memory does not grow with the run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from itertools import repeat
from operator import attrgetter
from typing import Any, Final

import polars as pl

from bulkpatch.errors import LedgerFailed
from bulkpatch.model import OutcomeRow, RowState, RunHeader
from bulkpatch.ports import ReadLedger
from bulkpatch.prequel.replies import Facts, decode_facts, parse_time
from bulkpatch.reporting.columns import INSTANT, LABEL_PREFIX, MODELS, REPLY, SEND, outcome_schema

BATCH_ROWS: Final = 10_000
"""Rows held at once. With 100 models each, their decoded facts take about 0.5 GB; smaller batches cost time."""

_LEDGER: Final[dict[str, pl.DataType]] = {
    "row": pl.Int64(),
    "destination_id": pl.String(),
    "state": pl.String(),
    "stage": pl.String(),
    "wave": pl.Int32(),
    "attempts": pl.Int32(),
    "http_status": pl.Int32(),
    "code": pl.String(),
    "error": pl.String(),
    "fields": pl.String(),
    "sent_at_us": pl.Int64(),
    "finished_at_us": pl.Int64(),
    "latency_us": pl.Int64(),
    "labels": pl.String(),
}
"""``OutcomeRow`` as columns, without the facts."""
_TOLD: Final = {name: dtype for name, dtype in REPLY.items() if name != "transfer_seconds"}
_METRICS: Final = list(MODELS)[4:]
_NO_FACTS: Final = Facts()
_REPLY: Final = attrgetter(*_TOLD)
_TRANSFER: Final = attrgetter("vendor", "transfer_id")
_MODEL: Final = attrgetter(*_METRICS)
"""The facts of a reply and of its models have the names of the columns."""

_USUAL_TIME: Final = r"^[12][0-9]{3}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,6})?Z$"
_SECOND_CHARS: Final = len("2026-01-02T03:04:05")


class Finality(Enum):
    """Whether a row without outcome may still be sent by the process that holds the run."""

    OPEN = "open"
    STOPPED = "stopped"

    def shown(self, state: str) -> str:
        """How the report calls ``state``: in a stopped run, what is pending was not attempted."""
        stopped = self is Finality.STOPPED and state == RowState.PENDING
        return str(RowState.NOT_ATTEMPTED) if stopped else state


def finality(header: RunHeader) -> Finality:
    """Of a run whose ledger is not being written to: only a dry run leaves its rows as they are."""
    return Finality.OPEN if header.dry_run else Finality.STOPPED


def outcome_frames(ledger: ReadLedger, *, final: Finality) -> Iterator[pl.DataFrame]:
    """The outcomes of every input row in input order, in the columns of ``outcome_schema``."""
    return (outcomes for outcomes, _ in report_frames(ledger, final=final))


def model_frames(ledger: ReadLedger) -> Iterator[pl.DataFrame]:
    """One row per input row and model of its destination's last transfer, in the columns of ``MODELS``.

    A destination that the input names twice stands there twice.
    """
    return (models for _, models in report_frames(ledger, final=Finality.OPEN))


def report_frames(ledger: ReadLedger, *, final: Finality) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """``outcome_frames`` and ``model_frames`` of the same rows side by side, each reply decoded once.

    Raises ``LedgerFailed`` where the ledger holds what no version of bulkpatch wrote.
    """
    labels = ledger.header().label_names
    for rows in ledger.outcome_rows(BATCH_ROWS):
        replies: list[tuple[Any, ...]] = []
        models: list[tuple[Any, ...]] = []
        try:
            for row in rows:
                facts = _NO_FACTS if row.facts is None else decode_facts(row.facts)
                replies.append(_REPLY(facts))
                models += [(row.destination_id, row.row, *_TRANSFER(facts), *_MODEL(model)) for model in facts.models]
            sent, replied = _sent(rows, labels, final), _told(_TOLD, replies)
            took = pl.col("transfer_ended_at") - pl.col("transfer_started_at")
            seconds = (took.dt.total_microseconds() / 1_000_000).alias("transfer_seconds")
            outcomes = sent.hstack(replied).with_columns(seconds).select(list(outcome_schema(labels)))
        except (ValueError, pl.exceptions.PolarsError):
            message = f"rows {rows[0].row} to {rows[-1].row} of the ledger hold what no bulkpatch wrote"
            raise LedgerFailed("BP605", message) from None
        yield outcomes, _told(MODELS, models)


def _sent(rows: Sequence[OutcomeRow], labels: Sequence[str], final: Finality) -> pl.DataFrame:
    """The columns of ``SEND`` and the labels, from rows as the ledger gives them."""
    values = dict(zip(OutcomeRow._fields, zip(*rows, strict=True), strict=True))
    raw = _frame(_LEDGER, (values[name] for name in _LEDGER))
    label = pl.col("labels").str.json_decode(pl.List(pl.String))
    return raw.select(
        pl.col("row", "destination_id"),
        pl.col("state").replace({str(state): final.shown(str(state)) for state in RowState}),
        pl.col("stage", "wave", "attempts", "http_status"),
        pl.col("code").alias("error_code"),
        pl.col("error"),
        pl.col("fields").str.json_decode(SEND["fields"]),
        pl.col("sent_at_us").cast(INSTANT).alias("sent_at"),
        pl.col("finished_at_us").cast(INSTANT).alias("finished_at"),
        (pl.col("latency_us") / 1000).alias("latency_ms"),
        *(label.list.get(n, null_on_oob=True).alias(LABEL_PREFIX + name) for n, name in enumerate(labels)),
    )


def _told(schema: Mapping[str, pl.DataType], rows: Sequence[tuple[Any, ...]]) -> pl.DataFrame:
    """What the API told, in the columns of ``schema``: times from its text; what the type cannot hold is null."""
    times = [name for name, dtype in schema.items() if dtype == INSTANT]
    texts = {name: pl.String() if name in times else dtype for name, dtype in schema.items()}
    frame = _frame(texts, zip(*rows, strict=True) if rows else repeat((), len(schema)))
    usual = frame.select(pl.col(times).str.contains(_USUAL_TIME).all()).row(0, named=True)
    return frame.with_columns(
        pl.when(pl.col(pl.Float64).is_finite()).then(pl.col(pl.Float64)),
        *(_usual_time(name) if usual[name] else _any_time(frame[name]) for name in times),
    )


def _frame(schema: Mapping[str, pl.DataType], columns: Iterable[Sequence[Any]]) -> pl.DataFrame:
    named = zip(schema.items(), columns, strict=True)
    return pl.DataFrame([pl.Series(name, values, dtype=dtype, strict=False) for (name, dtype), values in named])


def _usual_time(name: str) -> pl.Expr:
    """Column ``name``, all in the form of ``_USUAL_TIME``, as ``_any_time`` has it but six times as fast."""
    text = pl.col(name).str
    second = text.slice(0, _SECOND_CHARS).str.to_datetime(
        "%Y-%m-%dT%H:%M:%S", time_unit="us", strict=False, cache=False
    )
    digits = text.slice(_SECOND_CHARS + 1).str.strip_suffix("Z").str.pad_end(6, "0")
    return (second.cast(pl.Int64) + digits.cast(pl.Int64)).cast(INSTANT)


def _any_time(texts: pl.Series) -> pl.Series:
    return pl.Series(texts.name, list(map(parse_time, texts)), dtype=pl.Int64).cast(INSTANT)
