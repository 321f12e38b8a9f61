"""One table in every form: machines get it whole and exact, people get it aligned and harmless."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.reporting.inert import NOTHING, code_span, one_line
from bulkpatch.reporting.tables import export

FRAME = pl.DataFrame(
    {
        "label_customer": ["=1+1", None, "a|`<b>\n\x1b[31m"],
        "count": [1, -2, 3000],
        "accepted": [1, 0, 2],
        "skipped": [0, 0, 0],
        "failed_share": [0.123456, None, 1.0],
        "sent_at": [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), None, None],
    }
)


def test_json_is_one_object_with_a_schema() -> None:
    """Values exact, times in RFC 3339, missing ones null."""
    document = json.loads(export(FRAME, "json"))
    assert list(document) == ["schema", "groups"]
    assert document["schema"] == "bulkpatch.reporting/1"
    assert document["groups"][0] == {
        "label_customer": "=1+1",
        "count": 1,
        "accepted": 1,
        "skipped": 0,
        "failed_share": 0.123456,
        "sent_at": "2026-01-02T03:04:05Z",
    }


def test_csv_runs_no_formula_and_keeps_negative_numbers() -> None:
    """Text that begins like a formula is quoted by an apostrophe; a number is none."""
    text = export(FRAME, "csv")
    assert isinstance(text, str)
    lines = list(csv.reader(io.StringIO(text, newline="")))
    assert lines[0] == FRAME.columns
    assert lines[1] == ["'=1+1", "1", "1", "0", "0.123456", "2026-01-02T03:04:05Z"]
    assert lines[2] == ["", "-2", "0", "0", "", ""]
    assert lines[3][0] == "a|`<b>\n\x1b[31m"


def test_parquet_is_the_frame() -> None:
    """Same names, types and values."""
    content = export(FRAME, "parquet")
    assert isinstance(content, bytes)
    assert pl.read_parquet(io.BytesIO(content)).equals(FRAME)


def test_text_is_aligned_and_moves_no_cursor() -> None:
    """Numbers to the right, escapes shown as text, states that no row has left out."""
    assert export(FRAME.drop("sent_at"), "text") == (
        "label_customer          count  accepted  failed_share\n"
        "----------------------  -----  --------  ------------\n"
        "=1+1                        1         1        0.1235\n"
        "                           -2         0\n"
        "a|`<b>\\u000a\\u001b[31m   3000         2           1.0\n"
    )


def test_markdown_holds_text_as_code() -> None:
    """A pipe, a backtick, a tag or a line break in a label stays in its cell."""
    assert export(FRAME.select("label_customer", "count", "skipped"), "md") == (
        "| `label_customer` | `count` |\n"
        "| --- | --- |\n"
        "| `=1+1` | 1 |\n"
        f"| {NOTHING} | -2 |\n"
        "| `a¦'\u2039b\u203a\\u000a\\u001b[31m` | 3,000 |\n"
    )


@pytest.mark.parametrize("form", ["text", "md", "csv", "json"])
def test_an_empty_table_has_its_head(form: str) -> None:
    """No rows is a result too."""
    assert "groups" in str(export(FRAME.clear(), "json"))
    assert export(FRAME.clear(), form)  # type: ignore[arg-type]  # the literal is the parameter's


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=30))
def test_a_code_span_is_one_line_without_markup(text: str) -> None:
    """Nothing in it can end the code, the cell or the page."""
    span = code_span(text)
    assert span == NOTHING or (span[0] == span[-1] == "`" and len(span) > 2)
    assert not set(span[1:-1]) & set("`|<>\n\r\x1b\u202e\u2028")


def test_one_line_is_cut_at_its_limit() -> None:
    """Escapes count as what they take on the screen."""
    assert one_line("x" * 50, limit=50) == "x" * 50
    assert one_line("x" * 51, limit=50) == "x" * 49 + "…"
    assert len(one_line("\x1b" * 20, limit=50)) == 50
