"""Frames: the promised columns in their order and types, every row once, whatever the ledger holds."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from report_fakes import SENT_AT_US, ListLedger, outcome_row

from bulkpatch.errors import LedgerFailed
from bulkpatch.model import OutcomeRow, RowState
from bulkpatch.prequel.facts import Facts, ModelFacts, encode_facts, parse_time
from bulkpatch.reporting import Finality, finality, model_frames, outcome_frames
from bulkpatch.reporting.frames import BATCH_ROWS

INSTANT = pl.Datetime("us", "UTC")
PROMISED = [
    ("row", pl.Int64),
    ("destination_id", pl.String),
    ("state", pl.String),
    ("stage", pl.String),
    ("wave", pl.Int32),
    ("attempts", pl.Int32),
    ("http_status", pl.Int32),
    ("error_code", pl.String),
    ("error", pl.String),
    ("fields", pl.List(pl.String)),
    ("sent_at", INSTANT),
    ("finished_at", INSTANT),
    ("latency_ms", pl.Float64),
    ("vendor", pl.String),
    ("name", pl.String),
    ("recipient_id", pl.String),
    ("id_in_provider_system", pl.String),
    ("is_enabled", pl.Boolean),
    ("updated_at", INSTANT),
    ("transfer_id", pl.String),
    ("transfer_status", pl.String),
    ("transfer_started_at", INSTANT),
    ("transfer_ended_at", INSTANT),
    ("transfer_seconds", pl.Float64),
    ("rows_transferred", pl.Int64),
    ("delta_rows_transferred", pl.Int64),
    ("volume_transferred_in_mb", pl.Float64),
    ("transfer_error_code", pl.String),
    ("transfer_error_blame", pl.String),
    ("total_rows_last_billing_period", pl.Int64),
    ("total_delta_rows_last_billing_period", pl.Int64),
    ("total_rows_current_billing_period", pl.Int64),
    ("label_customer", pl.String),
    ("label_region", pl.String),
]
WHOLE = Facts(
    vendor="postgres",
    name="Acme",
    recipient_id="r1",
    id_in_provider_system="acme",
    is_enabled=False,
    updated_at="2026-01-02T03:04:05Z",
    transfer_id="t1",
    transfer_status="PARTIAL_FAILURE",
    transfer_started_at="2026-01-02T03:04:05.25Z",
    transfer_ended_at="2026-01-02T05:05:06.5+01:00",
    rows_transferred=10,
    delta_rows_transferred=3,
    volume_transferred_in_mb=1.5,
    transfer_error_code="PRQL-PVER",
    transfer_error_blame="host",
    total_rows_last_billing_period=100,
    total_delta_rows_last_billing_period=30,
    total_rows_current_billing_period=200,
    models=(
        ModelFacts(
            model_id="m1",
            model_name="orders",
            rows_transferred=10,
            delta_rows_transferred=3,
            volume_transferred_in_mb=1.5,
            start_transfer_window_at="2026-01-01T00:00:00Z",
            end_transfer_window_at="2026-01-02T00:00:00Z",
            most_recent_last_updated_at="2026-01-01T23:59:59.123456Z",
        ),
        ModelFacts(model_id="m2", error_code="PRQL-PVER", error_title="No", error_blame="host", error="Why"),
    ),
)


def table(*rows: OutcomeRow, labels: tuple[str, ...] = ("customer", "region")) -> pl.DataFrame:
    """The outcomes of ``rows`` in a stopped run."""
    return pl.concat(outcome_frames(ListLedger(rows, labels), final=Finality.STOPPED))


def test_columns_are_the_promised_ones() -> None:
    """Names, types and order."""
    frame = table(outcome_row(1, facts=encode_facts(WHOLE), labels=["a", "b"]))
    assert list(frame.schema.items()) == PROMISED


def test_columns_do_not_depend_on_what_is_known() -> None:
    """Nor on a row that was never sent, without reply and without labels."""
    unsent = outcome_row(1, RowState.PENDING, labels=[None, None])
    for rows in ([unsent], [outcome_row(1, facts=encode_facts(Facts()), labels=[None, None])]):
        assert list(table(*rows).schema.items()) == PROMISED
    assert list(table(unsent, labels=()).schema.items()) == PROMISED[:-2]


def test_values_of_a_row_that_has_all() -> None:
    """Every column holds what the ledger and the reply said."""
    frame = table(outcome_row(3, facts=encode_facts(WHOLE), labels=["acme", None], code="BP401", error="why"))
    row = frame.row(0, named=True)
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert row == {
        "row": 3,
        "destination_id": "dest-3",
        "state": "accepted",
        "stage": "patch",
        "wave": 1,
        "attempts": 1,
        "http_status": 200,
        "error_code": "BP401",
        "error": "why",
        "fields": ["postgres.password_auth.password"],
        "sent_at": datetime.fromtimestamp((SENT_AT_US + 3) / 1e6, UTC),
        "finished_at": datetime.fromtimestamp((SENT_AT_US + 1_503) / 1e6, UTC),
        "latency_ms": 1.5,
        **{name: getattr(WHOLE, name) for name, _ in PROMISED[13:32] if name != "transfer_seconds"},
        "updated_at": at,
        "transfer_started_at": at.replace(microsecond=250_000),
        "transfer_ended_at": datetime(2026, 1, 2, 4, 5, 6, 500_000, tzinfo=UTC),
        "transfer_seconds": 3661.25,
        "label_customer": "acme",
        "label_region": None,
    }


def test_without_a_reply_its_columns_are_null() -> None:
    """A row that was refused, and one that was never sent, know nothing of their destination."""
    frame = table(outcome_row(1, RowState.REJECTED, labels=[None, None]), outcome_row(2, RowState.PENDING))
    assert frame.select(name for name, _ in PROMISED[13:]).null_count().row(0) == (2,) * len(PROMISED[13:])
    assert frame.row(1, named=True)["sent_at"] is None
    assert frame.row(1, named=True)["latency_ms"] is None


@pytest.mark.parametrize(("final", "shown"), [(Finality.STOPPED, "not_attempted"), (Finality.OPEN, "pending")])
def test_a_pending_row_was_not_attempted_once_the_run_stopped(final: Finality, shown: str) -> None:
    """All other states are called what they are, ``in_flight`` too: the next resume settles it."""
    rows = [outcome_row(n, state) for n, state in enumerate(RowState, start=1)]
    states = pl.concat(outcome_frames(ListLedger(rows), final=final))["state"].to_list()
    assert states == [shown if state is RowState.PENDING else str(state) for state in RowState]


def test_a_dry_run_keeps_its_states() -> None:
    """It stopped nowhere."""
    assert finality(ListLedger([], dry_run=True).header()) is Finality.OPEN
    assert finality(ListLedger([]).header()) is Finality.STOPPED


def test_models_stand_one_below_the_other() -> None:
    """Per destination and model; a destination without models has none."""
    rows = [outcome_row(1, facts=encode_facts(WHOLE)), outcome_row(2, facts=encode_facts(Facts())), outcome_row(3)]
    frame = pl.concat(model_frames(ListLedger(rows)))
    assert frame.rows() == [
        (
            "dest-1",
            1,
            "postgres",
            "t1",
            "m1",
            "orders",
            10,
            3,
            1.5,
            datetime(2026, 1, 1, tzinfo=UTC),
            datetime(2026, 1, 2, tzinfo=UTC),
            datetime(2026, 1, 1, 23, 59, 59, 123456, tzinfo=UTC),
            None,
            None,
            None,
            None,
        ),
        ("dest-1", 1, "postgres", "t1", "m2", *[None] * 7, "PRQL-PVER", "No", "host", "Why"),
    ]


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows_transferred", 2**63), ("rows_transferred", 2**200), ("total_rows_last_billing_period", -(2**64))],
)
def test_a_count_that_no_column_holds_is_null(field: str, value: int) -> None:
    """The rest of the row stays."""
    frame = table(outcome_row(1, facts=encode_facts(Facts(vendor="s3", **{field: value}))))  # type: ignore[arg-type]
    assert frame.select("vendor", field).row(0) == ("s3", None)


TIMES = st.datetimes(timezones=st.just(UTC)).map(lambda at: at.isoformat().replace("+00:00", "Z"))
ODD = st.sampled_from(
    [
        None,
        "",
        "2026-02-30T00:00:00Z",
        "2026-01-02T24:00:00Z",
        "2026-01-02T23:59:60Z",
        "2026-1-2T3:4:5Z",
        "2026-01-02t03:04:05z",
        "2026-01-02T03:04:05.1Z",
        "2026-01-02T03:04:05.123456789Z",
        "2026-01-02T03:04:05+05:30",
        "2026-01-02T03:04:05Z\n",
        "\u0662026-01-02T03:04:05Z",
        "0000-01-01T00:00:00Z",
        "2026-01-02",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(TIMES | ODD, min_size=1, max_size=4))
@example(["2026-02-30T00:00:00Z"])
@example(["1969-12-31T23:59:59.5Z"])
def test_times_are_what_parse_time_makes_of_them(texts: list[str | None]) -> None:
    """In the fast way and in the slow one."""
    rows = [outcome_row(n, facts=encode_facts(Facts(updated_at=text))) for n, text in enumerate(texts, start=1)]
    assert table(*rows)["updated_at"].cast(pl.Int64).to_list() == list(map(parse_time, texts))


@pytest.mark.parametrize(
    "damage",
    [{"facts": b"{"}, {"facts": b"[1,2,3]"}, {"fields": "["}, {"labels": "no"}],
    ids=lambda damage: str(*damage.items()) if damage else "",
)
def test_a_damaged_ledger_is_told_as_such(damage: dict[str, Any]) -> None:
    """Without a word of what stands in it."""
    with pytest.raises(LedgerFailed) as caught:
        table(outcome_row(1, labels=["a", "b"])._replace(**damage))
    assert (caught.value.code, caught.value.exit_code) == ("BP605", 8)
    assert "rows 1 to 1" in caught.value.message


def test_batches_are_small_and_in_order() -> None:
    """So that memory does not grow with the run."""
    rows = [outcome_row(n) for n in range(1, BATCH_ROWS + 2)]
    frames = list(outcome_frames(ListLedger(rows), final=Finality.STOPPED))
    assert [frame.height for frame in frames] == [BATCH_ROWS, 1]
    assert frames[1]["row"].to_list() == [BATCH_ROWS + 1]
