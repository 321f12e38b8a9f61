"""Cells become what their field says, or are refused; nothing is guessed, trimmed or shown."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.prequel.coercion import CoercionError, cell_pattern, coerce_text, coerce_value

STRING = Field(path="name", type=FieldType.STRING)
INTEGER = Field(path="postgres.port", type=FieldType.INTEGER)
NUMBER = Field(path="n", type=FieldType.NUMBER)
BOOLEAN = Field(path="is_enabled", type=FieldType.BOOLEAN)
LIST = Field(path="enabled_models", type=FieldType.STRING_LIST)
OBJECT = Field(path="o", type=FieldType.OBJECT)
CHOICE = Field(path="c", type=FieldType.STRING, enum=("parquet", "csv", "a.b"))
FREQUENCY = catalogue().fields["frequency_minutes"]
ALL = (STRING, INTEGER, NUMBER, BOOLEAN, LIST, OBJECT, CHOICE, FREQUENCY)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
CELLISH = (
    TEXT
    | st.from_regex(r"-?[0-9]{1,20}(\.[0-9]+)?(e[0-9])?", fullmatch=True)
    | st.sampled_from(
        ["true", "false", "True", "007", "-0", "1e5", "parquet", "csv", "60", "a;b", "[]", '["x"]', "NaN", "null", "\n"]
    )
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def refusal(field: Field, text: str) -> CoercionError | None:
    """The error with which ``text`` is refused, if it is."""
    try:
        coerce_text(field, text)
    except CoercionError as error:
        return error
    return None


def refused(field: Field, text: str) -> str:
    """The whole message with which ``text`` is refused."""
    error = refusal(field, text)
    assert error is not None
    return f"{error} {error.reason} {error.hint}"


@given(TEXT)
@settings(deadline=None, max_examples=50)
def test_a_string_field_takes_every_text_as_it_is(text: str) -> None:
    """No type is read into it and no blank is taken off."""
    assert coerce_text(STRING, text) == text


@pytest.mark.parametrize(
    "text", ["007", "00123", "1E5", "NA", "null", "true", " x ", "e\u0301", "\xe9", "\r\n", "=1+1"]
)
def test_text_that_looks_like_something_else_stays_text(text: str) -> None:
    """``007`` stays ``007``; NFC and NFD stay apart."""
    assert coerce_text(STRING, text) == text
    assert coerce_value(STRING, text) == text


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("-0", 0), ("5432", 5432), ("-1", -1), (str(2**53), 2**53)])
def test_whole_numbers_are_read(text: str, value: int) -> None:
    """Plain decimal digits, up to 2^53 either way."""
    assert coerce_text(INTEGER, text) == value


@pytest.mark.parametrize(
    "text",
    ["", " 1", "1 ", "1\n", "+1", "007", "1.0", "1e5", "0x1F", "1_000", "1,000", "\u0661", "--1", "-", "NaN", "true"],
)
def test_anything_else_is_no_whole_number(text: str) -> None:
    """Not even where it would be clear what was meant."""
    assert "not a whole number" in refused(INTEGER, text)


@pytest.mark.parametrize("text", [str(2**53 + 1), str(-(2**53) - 1), "9" * 50_000])
def test_whole_numbers_beyond_2_to_the_53_are_refused(text: str) -> None:
    """Readers that keep numbers as doubles would take another number; length costs no time."""
    assert "2^53" in refused(INTEGER, text)
    assert "2^53" in refused(NUMBER, text)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("0.5", 0.5), ("-1e3", -1000.0), ("2.50", 2.5)])
def test_numbers_are_read_as_json_does(text: str, value: float) -> None:
    """A whole number stays whole."""
    found = coerce_text(NUMBER, text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["", ".5", "1.", "01", "NaN", "Infinity", "-inf", "1e999", " 1"])
def test_what_json_has_no_number_for_is_refused(text: str) -> None:
    """Infinity by overflow included."""
    assert "number" in refused(NUMBER, text)


def test_only_lower_case_true_and_false_are_booleans() -> None:
    """1, yes and TRUE are refused with the way to write it."""
    assert coerce_text(BOOLEAN, "true") is True
    assert coerce_text(BOOLEAN, "false") is False
    for text in ("TRUE", "True", "1", "0", "yes", "", " true", "true\n"):
        assert "write true or false" in refused(BOOLEAN, text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a;b", ["a", "b"]),
        ("a", ["a"]),
        ("*", ["*"]),
        ("[]", []),
        ('["a;b", " c"]', ["a;b", " c"]),
        ("1;2", ["1", "2"]),
    ],
)
def test_lists_are_json_or_semicolons(text: str, value: list[str]) -> None:
    """Entries stay text."""
    assert coerce_text(LIST, text) == value


@pytest.mark.parametrize("text", ["", "a;", ";a", "a;;b", "a; b", "[1]", '["a"', "[null]", '[["a"]]', '["a"] x'])
def test_lists_that_leave_a_doubt_are_refused(text: str) -> None:
    """A blank beside a semicolon would be sent as part of a name."""
    refused(LIST, text)


@given(JSON_VALUES)
@settings(deadline=None, max_examples=100)
def test_any_json_comes_back_as_it_was_written(value: Any) -> None:
    """An object field reads JSON text whole; typed values pass as they are."""
    assert coerce_text(OBJECT, json.dumps(value)) == value
    assert coerce_text(OBJECT, json.dumps(value, ensure_ascii=False)) == value
    if value is not None and not isinstance(value, str):
        assert coerce_value(OBJECT, value) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("plain", "quotes"),
        ("", "JSON"),
        ("{'a': 1}", "double quotes"),
        ('{"a": 1, "a": 2}', "twice"),
        ('{"b": [{"a": 1, "\\u0061": 2}]}', "twice"),
        ("NaN", "NaN"),
        ("[Infinity]", "NaN"),
        ("[1e999]", "JSON"),
        ('"\\ud800"', "JSON"),
        ('{"\\udfff": 1}', "JSON"),
        ('"\ud800"', "JSON"),
        ("{} {}", "JSON"),
        ("\ufeff{}", "JSON"),
        ("[9007199254740993]", "2^53"),
        ("[" * 65 + "]" * 65, "64 levels"),
        ('{"a":' * 65 + "1" + "}" * 65, "64 levels"),
        ("[" * 100_000 + "]" * 100_000, "64 levels"),
    ],
)
def test_json_that_readers_understand_differently_is_refused(text: str, says: str) -> None:
    """Twice-named keys, NaN, half surrogate pairs, great depth, numbers that would be rounded."""
    assert says in refused(OBJECT, text)


def test_an_unclosed_tower_of_brackets_is_refused() -> None:
    """As too deep or as no JSON: the parser may give up for either reason."""
    assert refused(OBJECT, "[" * 2_000)


def test_64_levels_are_taken() -> None:
    """Brackets inside strings and side by side do not count as depth."""
    assert coerce_text(OBJECT, "[" * 64 + "]" * 64)
    assert coerce_text(OBJECT, json.dumps(["[{" * 100, *([] for _ in range(100)), {'a"[': "\\"}]))


def test_a_closed_choice_names_what_was_nearly_meant() -> None:
    """The hint lists what is allowed, and never the cell."""
    assert coerce_text(CHOICE, "csv") == "csv"
    assert coerce_text(FREQUENCY, "60") == 60
    assert "did you mean parquet" in refused(CHOICE, "parkuet")
    assert "Allowed: 0, 15, 60" in refused(FREQUENCY, "30")
    with pytest.raises(CoercionError, match="allowed"):
        coerce_value(FREQUENCY, 61)


def test_open_choices_take_new_words() -> None:
    """The API adds values without notice."""
    assert coerce_text(catalogue().fields["s3.auth_method"], "brand_new") == "brand_new"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (STRING, 7),
        (STRING, True),
        (INTEGER, True),
        (INTEGER, 1.0),
        (INTEGER, 2**53 + 1),
        (NUMBER, False),
        (NUMBER, math.nan),
        (NUMBER, math.inf),
        (BOOLEAN, 1),
        (LIST, [1]),
        (LIST, {"a": 1}),
        (LIST, ["\ud800"]),
        (OBJECT, {"a": math.nan}),
        (OBJECT, {1: "a"}),
        (OBJECT, {"a": b"x"}),
        (OBJECT, None),
        (STRING, None),
        (STRING, "\ud800"),
    ],
)
def test_typed_values_must_fit(field: Field, value: Any) -> None:
    """A Boolean is no integer, 1.0 is none either, and null is never implied."""
    with pytest.raises(CoercionError):
        coerce_value(field, value)


def test_typed_values_that_fit_pass_and_strings_are_read_as_cells() -> None:
    """So ``port = "5432"`` in a job means what the cell 5432 means."""
    assert coerce_value(INTEGER, 5432) == 5432
    assert coerce_value(INTEGER, "5432") == 5432
    assert coerce_value(NUMBER, 5) == 5
    assert [coerce_value(BOOLEAN, one) for one in (True, False)] == [True, False]
    assert coerce_value(LIST, ["a"]) == ["a"]
    assert coerce_value(LIST, "a;b") == ["a", "b"]
    assert coerce_value(OBJECT, "[1]") == [1]


@pytest.mark.parametrize("field", ALL, ids=lambda field: f"{field.type}-{field.path}")
@given(CELLISH)
@settings(deadline=None, max_examples=60)
def test_a_pattern_admits_only_cells_that_are_coerced(field: Field, text: str) -> None:
    """And of strings, choices and Booleans, all of them."""
    pattern = cell_pattern(field)
    if pattern is None:
        assert field.type in {FieldType.NUMBER, FieldType.STRING_LIST, FieldType.OBJECT}
        return
    matched = re.fullmatch(pattern[1:-1], text) is not None
    coerced = refusal(field, text) is None
    assert coerced or not matched
    if field.type in {FieldType.STRING, FieldType.BOOLEAN}:
        assert matched == coerced


def test_the_pattern_of_whole_numbers_stops_short_of_2_to_the_53() -> None:
    """Fifteen digits are certain; longer ones are left to ``coerce_text``."""
    pattern = cell_pattern(INTEGER)
    assert pattern is not None
    assert [re.search(pattern, text) is not None for text in ("-" + "9" * 15, "9" * 16, str(2**53 + 1))] == [1, 0, 0]


def deep(levels: int) -> Any:
    """Lists inside lists."""
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def test_typed_values_have_the_same_depth() -> None:
    """64 levels pass, 65 do not."""
    assert coerce_value(OBJECT, deep(64)) == deep(64)
    with pytest.raises(CoercionError, match="64 levels"):
        coerce_value(OBJECT, deep(65))


def test_patterns_mean_the_same_in_polars() -> None:
    """Rust's syntax takes them, anchored at both ends, line breaks included."""
    texts = ["60", "60\n", "\n60", "true", "TRUE", "007", "a.b", "aXb", "csv", "", "x\ny", "-5", "9" * 15, "9" * 16]
    column = pl.Series(texts)
    for field in ALL:
        pattern = cell_pattern(field)
        if pattern is not None:
            expected = [re.fullmatch(pattern[1:-1], text) is not None for text in texts]
            assert column.str.contains(pattern).to_list() == expected, pattern


@given(st.sampled_from([INTEGER, NUMBER, BOOLEAN, LIST, OBJECT, CHOICE, FREQUENCY]), CELLISH)
@settings(deadline=None, max_examples=200)
def test_no_refusal_shows_the_value(field: Field, text: str) -> None:
    """Neither the message, nor the hint, nor an exception that a traceback would print before it."""
    error = refusal(field, f"{text}CaNaRy7f3a{text}")
    if error is None:
        assert field is LIST
        return
    assert "CaNaRy" not in f"{error} {error.reason} {error.hint} {error!r} {error.__dict__}"
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
