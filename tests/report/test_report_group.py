"""Groupings of the outcomes: right numbers, a fixed order, unknown names refused with a suggestion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from bulkpatch.errors import InvalidInput
from bulkpatch.model import RowState
from bulkpatch.reporting.columns import FAILED, outcome_schema
from bulkpatch.reporting.group import grouped

SCHEMA = outcome_schema(["customer", "state"])


def outcomes(*rows: dict[str, Any]) -> pl.LazyFrame:
    """Outcomes with the given cells; all others null, numbered from 1, each its own destination."""
    full = [{"row": n, "destination_id": f"d{n}", "attempts": 1} | row for n, row in enumerate(rows, start=1)]
    return pl.LazyFrame([dict.fromkeys(SCHEMA) | row for row in full], schema=SCHEMA)


TWO_CUSTOMERS = outcomes(
    {"state": "accepted", "label_customer": "b", "latency_ms": 10.0, "rows_transferred": 5},
    {"state": "rejected", "label_customer": "b", "latency_ms": 30.0, "attempts": 4},
    {"state": "accepted", "label_customer": "a", "latency_ms": 20.0, "volume_transferred_in_mb": 1.5},
    {"state": "not_attempted", "attempts": 0},
)


@pytest.mark.parametrize("name", ["customer", "label_customer"])
def test_numbers_by_label(name: str) -> None:
    """One line per value, sorted, the missing value last."""
    table = grouped(TWO_CUSTOMERS, [name])
    picked = table.select("label_customer", "count", "accepted", "rejected", "failed", "failed_share", "attempts_sum")
    assert picked.rows() == [
        ("a", 1, 1, 0, 0, 0.0, 1),
        ("b", 2, 1, 1, 1, 0.5, 5),
        (None, 1, 0, 0, 1, 1.0, 0),
    ]
    assert table["latency_p95_ms"].to_list() == [20.0, 30.0, None]
    assert table["rows_transferred_sum"].to_list() == [None, 5, None]
    assert table["volume_transferred_in_mb_sum"].to_list() == [1.5, None, None]


def test_a_column_wins_over_a_label_of_its_name() -> None:
    """``state`` is the row's state; the label of that name is ``label_state``."""
    assert grouped(TWO_CUSTOMERS, ["state"]).columns[0] == "state"
    assert grouped(TWO_CUSTOMERS, ["label_state"]).columns[0] == "label_state"


def test_every_state_has_its_count() -> None:
    """Counts of all states add up to the rows, and the failed ones to ``failed``."""
    table = grouped(outcomes(*({"state": str(state)} for state in RowState)), ["wave"])
    assert table["count"].item() == len(RowState)
    assert all(table[str(state)].item() == 1 for state in RowState)
    assert table["failed"].item() == len(FAILED)


def test_a_destination_named_twice_counts_its_request_and_transfer_once() -> None:
    """Two rows of one destination were sent once and carry the same reply."""
    twice = {"destination_id": "d", "state": "accepted", "rows_transferred": 7, "vendor": "s3"}
    table = grouped(outcomes(twice, twice), ["vendor"])
    assert table.select("count", "attempts_sum", "rows_transferred_sum").row(0) == (2, 1, 7)


def test_sums_beyond_their_type_are_null_and_not_wrong() -> None:
    """A sum that wrapped around would be a lie."""
    huge = {"state": "accepted", "rows_transferred": 2**62, "volume_transferred_in_mb": 1.7e308}
    table = grouped(outcomes(huge, huge, huge), ["state"])
    assert table.select("rows_transferred_sum", "volume_transferred_in_mb_sum").row(0) == (None, None)


@pytest.mark.parametrize("name", [name for name in SCHEMA if name != "label_state"])
def test_any_column_can_be_grouped_by(name: str) -> None:
    """Lists, times and numbers too, and twice the same is once."""
    rows = outcomes({"state": "accepted", "fields": ["a", "b"]}, {"state": "noop", "fields": ["a", "b"]})
    table = grouped(rows, [name, name])
    assert table.columns[:2] == [name, "count"]
    assert table["count"].sum() == 2


def test_the_order_is_that_of_the_columns_given() -> None:
    """Sorted by the first column, then by the second."""
    rows = outcomes(*({"state": state, "wave": wave} for wave in (2, 1) for state in ("noop", "accepted")))
    assert grouped(rows, ["wave", "state"]).select("wave", "state").rows() == [
        (1, "accepted"),
        (1, "noop"),
        (2, "accepted"),
        (2, "noop"),
    ]


def test_all_unknown_names_are_told_at_once_with_a_suggestion() -> None:
    """A typing error costs one try."""
    with pytest.raises(InvalidInput) as caught:
        grouped(TWO_CUSTOMERS, ["custmer", "vendor", "zzz\x1b"])
    assert [problem.code for problem in caught.value.problems] == ["BP120", "BP120"]
    assert "customer" in caught.value.problems[0].hint
    assert "\x1b" not in caught.value.problems[1].message


def test_without_a_column_all_rows_are_one_group() -> None:
    """Even if there are none."""
    assert grouped(TWO_CUSTOMERS, []).select("count", "accepted", "failed", "attempts_sum").row(0) == (4, 2, 2, 6)
    assert grouped(TWO_CUSTOMERS.clear(), []).select("count", "failed", "failed_share").row(0) == (0, 0, None)


@pytest.mark.parametrize("content", [None, b"", b"no parquet"])
def test_a_missing_or_damaged_file_is_told_as_such(tmp_path: Path, content: bytes | None) -> None:
    """With the command that mends it."""
    path = tmp_path / "outcomes.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidInput) as caught:
        grouped(path, ["state"])
    assert "bulkpatch report" in caught.value.hint


def test_a_folder_with_glob_characters_is_a_plain_folder(tmp_path: Path) -> None:
    """The report folder is the user's choice."""
    folder = tmp_path / "a[1]*=b"
    folder.mkdir()
    TWO_CUSTOMERS.sink_parquet(folder / "outcomes.parquet")
    assert grouped(folder / "outcomes.parquet", ["state"])["count"].sum() == 4
