"""Every bad input of the matrix (reliability.md, section 3) is refused by code and place, or taken as it stands.

A test is called by the number of its row there. No message shows a cell that may be a secret.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rows_rig import (
    CANARY,
    FORMATS,
    PASSWORD,
    SERVICE_KEY,
    Table,
    all_operations,
    assert_told,
    bodies_of,
    check_of,
    everything,
    line_of,
    open_input,
    operations_of,
    problem_of,
    problems_of,
    rows_of,
    write_job,
    write_table,
)

from bulkpatch.errors import InvalidInput

PORT = "postgres.port"
METADATA = "bigquery.federated_gcp_service_account_role.workload_identity_federation_metadata"
CONSTANT = 'machine_type_id = "m1"'

each_format = pytest.mark.parametrize("kind", FORMATS)
each_text = pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
each_typed = pytest.mark.parametrize("kind", ["parquet", "arrow"])
each_separated = pytest.mark.parametrize(("kind", "separator"), [("csv", ","), ("tsv", "\t")])


def ids(*cells: str | None) -> Table:
    """A table with these ids, in which each row sets a name."""
    return {"destination_id": cells, "name": ["n"] * len(cells)}


def raw(kind: str, *cells: str) -> bytes:
    """``ids(*cells)`` as the text file that holds it, cells as they stand."""
    if kind == "ndjson":
        lines = [json.dumps({"destination_id": cell, "name": "n"}) for cell in cells]
    else:
        separator = "," if kind == "csv" else "\t"
        lines = [separator.join(row) for row in [("destination_id", "name"), *((cell, "n") for cell in cells)]]
    return "".join(f"{line}\n" for line in lines).encode()


def duplicated_columns(path: Path) -> None:
    """A Parquet file in which two columns have one name: Polars writes none, so a name is changed in the file."""
    pl.DataFrame({"destination_id": ["a"], "nam1": ["x"], "nam2": ["y"]}).write_parquet(
        path, compression="uncompressed"
    )
    path.write_bytes(path.read_bytes().replace(b"nam2", b"nam1"))


# ── ids ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.proves("G15")
@each_format
def test_row_01_an_id_of_digits_stays_as_it_stands(tmp_path: Path, kind: str) -> None:
    assert [one.destination_id for one in operations_of(tmp_path, ids("00123", "1E5"), kind=kind)] == ["00123", "1E5"]


@each_format
def test_row_02_an_id_that_excel_made_a_number_is_refused(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, ids("a", "1.23E+12"), kind=kind)
    words = 'the id "1.23E+12" looks like Excel scientific notation'
    assert_told(
        problem, "BP214", words, fix="as text", kind=kind, line=line_of(kind, 2), row=2, column="destination_id"
    )


@each_format
def test_row_03_long_ids_are_taken_with_a_warning_where_they_end_in_zeros(tmp_path: Path, kind: str) -> None:
    table = ids("12345678901234567890123", "12345678901234567000000", "100000000000000", "12345678901234567000000000")
    found = check_of(tmp_path, table, kind=kind)
    assert found.rows == 4
    (warning,) = found.warnings
    assert warning.warning
    assert_told(
        warning, "BP227", "may have been rounded", kind=kind, line=line_of(kind, 2), row=2, column="destination_id"
    )


@each_separated
def test_row_10_blanks_around_a_name_are_shown(tmp_path: Path, kind: str, separator: str) -> None:
    problem = problem_of(tmp_path, f" destination_id {separator}name\na{separator}b\n", kind=kind)
    assert_told(
        problem, "BP206", "column 1 has blanks around it", fix='did you mean "destination_id"?', kind=kind, line=1
    )


@each_format
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Destination_ID", 'unknown column "Destination_ID"'),
        ("dest\u0456nation_id", "it contains U+0456 CYRILLIC SMALL LETTER BYELORUSSIAN-UKRAINIAN I"),
    ],
)
def test_row_11_a_name_in_another_case_or_with_a_look_alike_is_told(
    tmp_path: Path, kind: str, name: str, words: str
) -> None:
    missing, unknown = problems_of(tmp_path, {name: ["a"], "name": ["b"]}, kind=kind)
    assert_told(missing, "BP213", 'no column "destination_id"', fix=f'Did you mean "{name}"?', kind=kind)
    assert_told(unknown, "BP215", words, fix="Did you mean destination_id?", kind=kind)


@each_format
@pytest.mark.parametrize("blank", ["", "   "])
def test_row_15_a_blank_id_is_refused(tmp_path: Path, kind: str, blank: str) -> None:
    problem = problem_of(tmp_path, ids("a", blank), kind=kind)
    assert_told(problem, "BP214", "blank id", kind=kind, line=line_of(kind, 2), row=2, column="destination_id")


@pytest.mark.proves("G15")
@each_format
@pytest.mark.parametrize("text", [" b", "b ", "b\u00a0", "\u3000b"])
def test_row_15_blanks_around_an_id_are_refused(tmp_path: Path, kind: str, text: str) -> None:
    """They are never taken off: it would be another id."""
    problem = problem_of(tmp_path, ids("a", text), kind=kind)
    fix, line = "Take them off.", line_of(kind, 2)
    assert_told(problem, "BP214", "blanks around it", fix=fix, kind=kind, line=line, row=2, column="destination_id")


def test_row_15_a_line_of_spaces_is_no_blank_line(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, "destination_id\na\n   \n", patch=CONSTANT, skip_blank_lines=True)
    assert_told(problem, "BP214", "blank id", line=3, row=2, column="destination_id")


@each_format
def test_row_16_an_id_with_a_line_break_is_refused(tmp_path: Path, kind: str) -> None:
    table = ids("a", "b\nc")
    if kind in {"csv", "tsv"}:
        table = ids("a", '"b\nc"')
    problem = problem_of(tmp_path, table, kind=kind)
    words = r'the id "b\nc" has a line break'
    assert_told(problem, "BP214", words, kind=kind, line=line_of(kind, 2), row=2, column="destination_id")


@each_format
def test_row_28_an_excel_text_marker_in_an_id_is_told(tmp_path: Path, kind: str) -> None:
    apostrophe, equals = problems_of(tmp_path, ids("'001", "=001"), kind=kind)
    for row, problem in enumerate([apostrophe, equals], 1):
        words = "an Excel text marker stands in the id"
        assert_told(problem, "BP214", words, kind=kind, line=line_of(kind, row), row=row, column="destination_id")


@each_separated
def test_row_28_the_quoted_marker_is_told_as_what_it_is(tmp_path: Path, kind: str, separator: str) -> None:
    problem = problem_of(tmp_path, f'destination_id{separator}name\n="001"{separator}n\n', kind=kind)
    assert_told(problem, "BP208", 'Excel text marker (="…")', kind=kind, line=2, row=1, column="destination_id")
    assert problem.column == 2


@each_format
def test_row_34_letters_beyond_ascii_are_named_and_never_normalised(tmp_path: Path, kind: str) -> None:
    composed, combining = problems_of(tmp_path, ids("caf\u00e9", "cafe\u0301"), kind=kind)
    assert_told(composed, "BP214", "U+00E9", kind=kind, line=line_of(kind, 1), row=1, column="destination_id")
    assert_told(combining, "BP214", "U+0301", kind=kind, line=line_of(kind, 2), row=2, column="destination_id")


@each_format
def test_row_37_five_pairs_of_rows_with_one_id_and_different_bodies_are_named(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"] * 9, "name": [f"n{row}" for row in range(9)]}
    *pairs, more = problems_of(tmp_path, table, kind=kind)
    assert len(pairs) == 5
    for row, problem in enumerate(pairs, 2):
        lead = "row 1" if line_of(kind, 1) is None else f"row 1 (line {line_of(kind, 1)})"
        assert_told(problem, "BP217", f"{lead} and row {row}", kind=kind, line=line_of(kind, row), row=row)
    assert_told(more, "BP217", "and 3 more", kind=kind, line=line_of(kind, 9), row=9)


@each_format
def test_row_37_ids_that_differ_by_case_are_sent_with_a_warning(tmp_path: Path, kind: str) -> None:
    found = check_of(tmp_path, ids("abc", "x", "ABC"), kind=kind)
    assert (found.rows, found.duplicates) == (3, 0)
    (warning,) = found.warnings
    assert_told(warning, "BP225", "differ by case only", kind=kind, line=line_of(kind, 3), row=3)


@each_format
def test_row_39_a_long_id_is_refused_and_cut(tmp_path: Path, kind: str) -> None:
    assert check_of(tmp_path, ids("a" * 128), kind=kind).rows == 1
    problem = problem_of(tmp_path, ids("Q" * 129), kind=kind)
    assert_told(
        problem, "BP214", "has 129 characters", kind=kind, line=line_of(kind, 1), row=1, column="destination_id"
    )
    assert "Q" * 40 in problem.message
    assert "Q" * 41 not in everything(problem)


@each_typed
@pytest.mark.parametrize(
    ("cells", "dtype", "words"),
    [
        ([1, 2], pl.Int64, "whole numbers"),
        ([True, False], pl.Boolean, "Booleans"),
        ([1.0, 2.0], pl.Float64, "fractions"),
        (["a", "b"], pl.Categorical, "categories"),
        ([["a"], ["b"]], pl.List(pl.String), "lists of text"),
        ([b"a", b"b"], pl.Binary, "binary"),
    ],
)
def test_row_60_an_id_of_any_type_but_text_is_refused_by_its_type(
    tmp_path: Path, kind: str, cells: list[Any], dtype: Any, words: str
) -> None:
    table = {"destination_id": pl.Series(cells, dtype=dtype), "name": ["x", "y"]}
    problem = problem_of(tmp_path, table, kind=kind)
    assert_told(problem, "BP219", words, fix="as text", kind=kind, column="destination_id")


def test_row_60_the_first_number_among_ndjson_ids_is_found(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a", "b", 3, 4], "name": ["n"] * 4}, kind="ndjson")
    assert_told(problem, "BP219", "whole numbers, and ids are text", kind="ndjson", line=3, column="destination_id")


# ── the file as such ─────────────────────────────────────────────────────────────────────────


@each_text
def test_row_04_a_byte_order_mark_is_taken_off(tmp_path: Path, kind: str) -> None:
    (operation,) = operations_of(tmp_path, b"\xef\xbb\xbf" + raw(kind, "a"), kind=kind)
    assert (operation.destination_id, operation.line) == ("a", line_of(kind, 1))


@each_text
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_row_05_utf_16_is_told_with_and_without_its_mark(tmp_path: Path, kind: str, encoding: str) -> None:
    problem = problem_of(tmp_path, raw(kind, "a", "b").decode().encode(encoding), kind=kind)
    assert_told(problem, "BP203", "UTF-16", fix="Save it as UTF-8", kind=kind)


@each_text
def test_row_06_a_byte_that_is_no_utf_8_is_told_by_line_and_offset(tmp_path: Path, kind: str) -> None:
    content = raw(kind, "a", "b", "c").replace(b"c", b"\xe9")
    if kind != "ndjson":
        content = raw(kind, "a", "b", "X").replace(b"X", b"\xe9")
    problem = problem_of(tmp_path, content, kind=kind)
    place = f"byte {content.index(0xE9) + 1} of the file (0xE9)"
    assert_told(problem, "BP203", place, kind=kind, line=line_of(kind, 3))


@each_text
def test_row_06_rows_before_that_byte_are_looked_at_too(tmp_path: Path, kind: str) -> None:
    content = raw(kind, "a", "no id", "X").replace(b"X", b"\xe9")
    assert [one.code for one in problems_of(tmp_path, content, kind=kind)] == ["BP214", "BP203"]


@each_text
def test_row_07_a_nul_is_told_by_line(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, raw(kind, "a", "X").replace(b"X", b"b\0"), kind=kind)
    line = line_of(kind, 2)
    assert_told(problem, "BP210", f"a NUL stands on line {line}", kind=kind, line=line)


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_row_07_a_nul_within_a_typed_cell_is_told_by_row_and_column(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a", "b"], "name": ["x", "y\0z"]}, kind=kind)
    assert_told(problem, "BP210", "a NUL", kind=kind, line=line_of(kind, 2), row=2, column="name")


@each_separated
def test_row_09_and_27_a_column_without_a_name_is_refused(tmp_path: Path, kind: str, separator: str) -> None:
    empty = problem_of(tmp_path, f"destination_id{separator}{separator}name\n", kind=kind)
    assert_told(empty, "BP206", "column 2 has no name", kind=kind, line=1)
    trailing = problem_of(tmp_path, f"destination_id{separator}name{separator}\na{separator}b{separator}\n", kind=kind)
    assert_told(trailing, "BP206", "column 3 has no name", kind=kind, line=1)


@each_text
def test_row_14_a_blank_line_is_refused_unless_it_may_be_skipped(tmp_path: Path, kind: str) -> None:
    content = raw(kind, "a", "b").decode().splitlines(keepends=True)
    content.insert(len(content) - 1, "\n")
    text = "".join(content)
    line = line_of(kind, 2)
    problem = problem_of(tmp_path, text, kind=kind)
    assert_told(problem, "BP209", "blank line", fix="--skip-blank-lines", kind=kind, line=line, row=2)
    rows = rows_of(tmp_path, text, kind=kind, skip_blank_lines=True)
    assert rows.check().rows == 2
    assert [(one.row, one.line) for one in all_operations(rows)] == [(1, line_of(kind, 1)), (2, line_of(kind, 3))]


@each_separated
def test_row_17_a_quote_that_is_never_closed_is_told_where_it_opens(tmp_path: Path, kind: str, separator: str) -> None:
    rows = [("destination_id", "name"), ("a", "x"), ("b", f'"{CANARY}'), ("c", "z")]
    problem = problem_of(tmp_path, "".join(separator.join(row) + "\n" for row in rows), kind=kind)
    assert_told(problem, "BP208", "the quote that opens here", kind=kind, line=3, row=2, column="name")
    assert problem.column == 3
    assert CANARY not in everything(problem)


@each_separated
def test_row_17_it_is_found_among_cells_that_are_quoted(tmp_path: Path, kind: str, separator: str) -> None:
    """The next quote closes it, so that what is seen first lies a line below."""
    rows = ["destination_id{}name", 'a{}"x"', 'b{}"y', 'c{}"z"', 'd{}"z"']
    problem = problem_of(tmp_path, "".join(row.format(separator) + "\n" for row in rows), kind=kind)
    assert_told(problem, "BP208", "the quote that opens here", kind=kind, line=3, row=2, column="name")


@each_separated
def test_row_18_a_stray_quote_is_told_by_line_and_column(tmp_path: Path, kind: str, separator: str) -> None:
    rows = ["destination_id{}name", 'a{}5" pipe', 'b{}"x"y', "c{}z"]
    inside, behind = problems_of(tmp_path, "".join(row.format(separator) + "\n" for row in rows), kind=kind)
    assert_told(inside, "BP208", "inside a cell that is not quoted", kind=kind, line=2, row=1, column="name")
    assert_told(behind, "BP208", "follows the closing quote", kind=kind, line=3, row=2, column="name")
    assert (inside.column, behind.column) == (4, 6)


@pytest.mark.parametrize(
    ("kind", "separator", "words"), [("csv", ";", ";"), ("csv", "\t", "a tab"), ("tsv", ",", "a comma")]
)
def test_row_20_another_separator_is_recognised(tmp_path: Path, kind: str, separator: str, words: str) -> None:
    problem = problem_of(tmp_path, f"destination_id{separator}name\na{separator}b\n", kind=kind)
    assert_told(problem, "BP205", f"only one column found; the separator looks like {words}", kind=kind, line=1)


def test_row_21_the_separator_line_of_excel_is_to_be_removed(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, "sep=,\ndestination_id,name\na,b\n")
    assert_told(problem, "BP206", "Excel's sep=", fix="Remove line 1", line=1)


@each_text
@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_row_23_an_empty_file_is_told_as_such(tmp_path: Path, kind: str, content: bytes) -> None:
    assert_told(problem_of(tmp_path, content, kind=kind), "BP202", "the file is empty", kind=kind)


@pytest.mark.proves("G15")
@each_format
def test_row_24_and_54_an_empty_cell_leaves_its_field_alone(tmp_path: Path, kind: str) -> None:
    """Neither an empty nor a quoted empty cell is ever null; only the token that the job declares is."""
    quoted = '""' if kind in {"csv", "tsv"} else ""
    table = {"destination_id": ["a", "b", "c", "d"], "name": ["", quoted, None, "~"], PORT: ["1"] * 4}
    port = '{"postgres":{"port":1}}'
    assert bodies_of(tmp_path, table, kind=kind, options='null = "~"') == [
        port,
        port,
        port,
        '{"name":null,"postgres":{"port":1}}',
    ]


@each_format
def test_row_25_words_for_nothing_are_sent_as_text_with_one_warning(tmp_path: Path, kind: str) -> None:
    words = ["NA", "null", "None", "NaN"]
    table = {"destination_id": ["a", "b", "c", "d"], "name": words}
    assert bodies_of(tmp_path, table, kind=kind) == [f'{{"name":"{word}"}}' for word in words]
    (warning,) = check_of(tmp_path, table, kind=kind).warnings
    assert_told(warning, "BP226", "are sent as text", kind=kind, line=line_of(kind, 1), row=1, column="name")


def test_row_25_the_warning_comes_once_for_a_column_of_all_files(tmp_path: Path) -> None:
    for at in range(3):
        (tmp_path / f"part-{at}.csv").write_text(f"destination_id,name,postgres.host\nd{at},NA,NaN\n")
    warnings = open_input(tmp_path, "part-*.csv").check().warnings
    found = [(Path(one.file or "").name, one.row, one.column_name) for one in warnings]
    assert found == [("part-0.csv", 1, "name"), ("part-0.csv", 1, "postgres.host")]


@each_format
def test_row_26_a_hash_makes_no_comment_of_the_header(tmp_path: Path, kind: str) -> None:
    missing, unknown = problems_of(tmp_path, {"#destination_id": ["a"], "name": ["b"]}, kind=kind)
    assert_told(missing, "BP213", "no column", fix="#destination_id", kind=kind)
    assert_told(unknown, "BP215", 'unknown column "#destination_id"', kind=kind)


@each_text
def test_row_29_the_end_mark_of_old_windows_tools_is_told(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, raw(kind, "a") + b"\x1a", kind=kind)
    line = line_of(kind, 2)
    assert_told(problem, "BP210", f"a stray 0x1A stands on line {line}", kind=kind, line=line)


@each_text
def test_row_30_gzip_is_unpacked_only_when_that_is_asked_for(tmp_path: Path, kind: str) -> None:
    packed = gzip.compress(raw(kind, "a", "b"))
    problem = problem_of(tmp_path, packed, kind=kind)
    assert_told(problem, "BP204", "compressed input", fix="--decompress (limit 1 GiB)", kind=kind)
    assert [one.row for one in operations_of(tmp_path, packed, kind=kind, decompress=True)] == [1, 2]
    damaged = problem_of(tmp_path, packed[:-9], kind=kind, decompress=True)
    assert_told(damaged, "BP220", "the compressed file is damaged", kind=kind)


@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html>\n<html><body>Sign in</body></html>", "this is HTML"),
        (b"\xef\xbb\xbf\n <html><head>", "this is HTML"),
        (b'<?xml version="1.0"?>', "this is HTML or XML"),
        (b"PK\x03\x04....", "perhaps an Excel workbook"),
        (b"\xd0\xcf\x11\xe0....", "old Excel workbook"),
        (b"%PDF-1.7", "this is PDF"),
        (b"PAR1........PAR1", "this is Parquet"),
        (b"ARROW1......ARROW1", "this is Arrow"),
        (b"BZh91AY", "compressed input"),
    ],
)
def test_row_32_a_file_of_another_kind_is_recognised(tmp_path: Path, kind: str, content: bytes, words: str) -> None:
    assert_told(problem_of(tmp_path, content, kind=kind), "BP204", words, kind=kind)


@pytest.mark.parametrize("content", ['[{"destination_id": "a"}]', '{"destination_id": "a"}\n', ' \n[\n{"a": 1}\n]'])
def test_row_32_json_is_no_csv(tmp_path: Path, content: str) -> None:
    assert_told(problem_of(tmp_path, content), "BP204", "this is JSON", fix=".ndjson")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("destination_id,name\na,b\n", "not valid JSON"),
        ('[{"destination_id": "a"}]\n', "no JSON object"),
        ("[\n", "not valid JSON"),
        ("{}\n", "no line names a column"),
        ('"a"\n', "no JSON object"),
    ],
)
def test_row_32_what_is_no_ndjson_is_told_by_its_first_line(tmp_path: Path, content: str, words: str) -> None:
    assert_told(problem_of(tmp_path, content, kind="ndjson"), "BP220", words, kind="ndjson", line=1)


@pytest.mark.parametrize("name", ["input.xlsx", "input.ods", "input", "input.json", "input.csv.zip"])
def test_row_32_a_name_that_says_no_kind_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("destination_id,name\na,b\n")
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, name)
    assert refused.value.code == "BP204"


@each_format
def test_row_35_a_cell_over_64_kib_is_refused(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], "name": ["x" * (64 * 1024), "y" * (64 * 1024 + 1)]}
    problem = problem_of(tmp_path, table, kind=kind)
    assert_told(
        problem, "BP211", "the cell is larger than 64 KiB", kind=kind, line=line_of(kind, 2), row=2, column="name"
    )
    assert "yy" not in everything(problem)


@pytest.mark.parametrize("quote", ["", '"'])
def test_row_35_a_huge_cell_ends_the_reading_before_it_is_in_memory(tmp_path: Path, quote: str) -> None:
    """10 MB with and without quotes: the row is told by its line, after the rows before it."""
    content = f"destination_id,name\na,b\nno id,c\nd,{quote}{'x' * 10_000_000}{quote}\n"
    bad, huge = problems_of(tmp_path, content)
    assert bad.code == "BP214"
    assert_told(huge, "BP211", "the row is larger than 1 MiB", line=4)


def test_row_35_a_mebibyte_in_quotes_is_one_cell(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f'destination_id,name\na,"{"x" * (1 << 20)}"\nb,c\n')
    assert_told(problem, "BP211", "the cell is larger than 64 KiB", line=2, row=1, column="name")


@each_format
def test_row_36_at_most_512_columns(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"], **{f"_bp_{at}": ["x"] for at in range(511)}}
    assert check_of(tmp_path, table, kind=kind, patch=CONSTANT).rows == 1
    problem = problem_of(tmp_path, {**table, "_bp_more": ["x"]}, kind=kind, patch=CONSTANT)
    assert_told(problem, "BP211", "more than 512 columns", kind=kind, line=1 if kind in {"csv", "tsv"} else None)


@each_typed
@pytest.mark.parametrize("damage", ["cut", "csv", "empty", "short", "footer"])
def test_row_56_and_57_a_truncated_or_foreign_typed_file_is_told(tmp_path: Path, kind: str, damage: str) -> None:
    path = write_table(tmp_path / f"good.{kind}", ids("a", "b"))
    whole = path.read_bytes()
    content = {
        "cut": whole[:-20],
        "csv": b"destination_id,name\na,b\n",
        "empty": b"",
        "short": whole[:6],
        "footer": whole[:-40] + bytes(36) + whole[-6:],
    }[damage]
    assert problem_of(tmp_path, content, kind=kind).code == "BP220"


def test_row_59_a_column_that_stands_twice_is_named(tmp_path: Path) -> None:
    duplicated_columns(tmp_path / "input.parquet")
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, "input.parquet")
    (problem,) = refused.value.problems
    assert_told(problem, "BP206", 'the column "nam1" stands twice', kind="parquet")


@each_separated
def test_row_59_a_name_that_stands_twice_is_refused_in_text_too(tmp_path: Path, kind: str, separator: str) -> None:
    problem = problem_of(tmp_path, separator.join(["destination_id", "name", "name"]) + "\n", kind=kind)
    assert_told(problem, "BP206", 'the column "name" stands 2 times', kind=kind, line=1)


@each_typed
def test_row_62_a_file_without_rows_is_told(tmp_path: Path, kind: str) -> None:
    table = {name: pl.Series([], dtype=pl.String) for name in ("destination_id", "name")}
    problem = problem_of(tmp_path, table, kind=kind)
    assert_told(problem, "BP202", "no row below the header", kind=kind)


@each_separated
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_row_62_a_header_alone_is_told(tmp_path: Path, kind: str, separator: str, end: str) -> None:
    problem = problem_of(tmp_path, f"destination_id{separator}name{end}", kind=kind)
    assert_told(problem, "BP202", "no row below the header", kind=kind)


def test_row_62_an_encrypted_parquet_is_named(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, b"PARE" + bytes(40) + b"PARE", kind="parquet")
    assert_told(problem, "BP220", "the Parquet file is encrypted", kind="parquet")


def test_row_62_an_arrow_stream_is_named(tmp_path: Path) -> None:
    pl.DataFrame(ids("a")).write_ipc_stream(tmp_path / "stream")
    problem = problem_of(tmp_path, (tmp_path / "stream").read_bytes(), kind="arrow")
    assert_told(problem, "BP220", "Arrow stream", kind="arrow")


def test_row_62_many_row_groups_are_read_in_order(tmp_path: Path) -> None:
    pl.DataFrame(ids(*(f"d{at}" for at in range(2_000)))).write_parquet(tmp_path / "input.parquet", row_group_size=1)
    operations = all_operations(open_input(tmp_path, "input.parquet"))
    assert [(one.row, one.destination_id) for one in operations] == [(at + 1, f"d{at}") for at in range(2_000)]


@each_format
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_row_47_a_number_that_json_does_not_have_is_refused_in_the_job(tmp_path: Path, kind: str, value: str) -> None:
    """TOML has them, and no field of the API takes one."""
    (problem,) = problems_of(tmp_path, ids("a"), kind=kind, patch=f"postgres.port = {value}")
    assert (problem.code, Path(problem.file or "").name, problem.line) == ("BP108", "job.toml", 8)


# ── what the matrix does not list ────────────────────────────────────────────────────────────


@each_separated
def test_lines_that_end_with_cr_alone_are_told(tmp_path: Path, kind: str, separator: str) -> None:
    """In a file of such lines, and at the first one of others: what follows cannot be told apart."""
    rows = [f"destination_id{separator}name", f"no id{separator}x", f"b{separator}y", f"no id{separator}z"]
    whole = problem_of(tmp_path, "\r".join(rows) + "\r", kind=kind)
    assert_told(whole, "BP212", "the lines end with CR alone", fix="LF or CRLF", kind=kind)
    before, one = problems_of(tmp_path, "\n".join(rows[:3]) + "\r" + rows[3], kind=kind)
    assert before.code == "BP214"
    assert_told(one, "BP212", "a line ends with CR alone", kind=kind, line=3, column="name")
    large = problem_of(tmp_path, ("\r".join(rows) + "\r") * 1_000, kind=kind)
    assert large.code == "BP212"


@each_separated
def test_a_line_break_in_quotes_may_be_any(tmp_path: Path, kind: str, separator: str) -> None:
    content = f'destination_id{separator}name\r\na{separator}"x\ry\r\nz\n"\r\nb{separator}w\r\n'
    operations = operations_of(tmp_path, content, kind=kind)
    assert [json.loads(one.body)["destination"]["name"] for one in operations] == ["x\ry\r\nz\n", "w"]
    assert [one.line for one in operations] == [2, 5]


@each_separated
def test_a_row_of_another_width_is_told(tmp_path: Path, kind: str, separator: str) -> None:
    rows = [["destination_id", "name"], ["a", "x", "y"], ["b"], ["c", "z"], ["d", "z", ""]]
    long, short, last = problems_of(tmp_path, "".join(separator.join(row) + "\n" for row in rows), kind=kind)
    assert_told(long, "BP207", "the row has 3 cells, and the header 2", kind=kind, line=2, row=1)
    assert_told(short, "BP207", "the row has 1 cell, and the header 2", kind=kind, line=3, row=2)
    assert_told(last, "BP207", "the row has 3 cells", kind=kind, line=5, row=4)


@each_format
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("na\u200bme", "not seen: U+200B"),
        ("na\u00a0me", "not seen: U+00A0"),
        ("na\x1b[31mme", "not seen: U+001B"),
        ("\ufeffname", "not seen: U+FEFF"),
        ("*", "is a pattern"),
        ("^name$", "is a pattern"),
        ("^.*$", "is a pattern"),
    ],
)
def test_a_name_that_is_not_what_it_seems_is_refused(tmp_path: Path, kind: str, name: str, words: str) -> None:
    table = {"destination_id": ["a"], "name": ["x"], name: ["y"]}
    problem = problem_of(
        tmp_path, table, kind=kind, options=f"labels = [{json.dumps(name)}]" if name[0] in "*^" else ""
    )
    assert_told(problem, "BP206", words, kind=kind, line=1 if kind in {"csv", "tsv"} else None)
    assert "\x1b" not in problem.message + problem.hint


@each_format
def test_a_column_called_like_an_object_is_shown_its_fields(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a"], "postgres": ["b"], "name": ["c"]}, kind=kind)
    assert_told(problem, "BP215", 'unknown column "postgres"', fix="such as postgres.host", kind=kind)


@each_format
def test_two_columns_for_one_field_are_refused(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"], "title": ["b"], "name": ["c"]}
    problem = problem_of(tmp_path, table, kind=kind, options='[input.columns]\ntitle = "name"')
    assert_told(problem, "BP215", '"title" and "name" set the same field name', kind=kind)


@each_format
@pytest.mark.parametrize(
    ("options", "patch"),
    [
        ('labels = ["custmer"]', ""),
        ('[input.columns]\ncustmer = "postgres.host"', ""),
        ("", 'postgres.host = { column = "custmer" }'),
        ("", 'postgres.password_auth.password = { secret = "env:PW_{custmer}" }'),
        ("where = \"custmer = 'x'\"", ""),
    ],
)
def test_a_column_of_the_job_that_is_not_there_is_named(tmp_path: Path, kind: str, options: str, patch: str) -> None:
    table = {"destination_id": ["a"], "name": ["b"], "_bp_customer": ["c"], "customer": ["d"]}
    labels = "" if options.startswith("labels") else 'labels = ["customer"]\n'
    problems = problems_of(tmp_path, table, kind=kind, options=labels + options, patch=patch)
    missing = next(problem for problem in problems if problem.code == "BP228")
    assert_told(missing, "BP228", '"custmer"', fix='Did you mean "customer"?', kind=kind)


@pytest.mark.parametrize(
    "line", ['{"destination_id":"a","name":"x","name":"y"}', '{"destination_id":"a","name":NaN}', "{", "5"]
)
def test_an_ndjson_line_that_could_be_read_in_two_ways_is_refused(tmp_path: Path, line: str) -> None:
    good = '{"destination_id":"g","name":"x"}'
    problem = problem_of(tmp_path, f"{good}\n{line}\n{good}\n", kind="ndjson")
    assert_told(problem, "BP220", "", fix="one JSON object", kind="ndjson", line=2, row=2)


def test_an_ndjson_file_with_a_key_a_row_is_stopped_at_the_limit(tmp_path: Path) -> None:
    lines = "".join(f'{{"destination_id":"a","k{at}":1}}\n' for at in range(5_000))
    assert_told(problem_of(tmp_path, lines, kind="ndjson"), "BP211", "more than 512 columns", kind="ndjson")


def test_a_header_cell_of_any_size_is_shown_cut(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f'destination_id,name,"{"Q" * 200_000}"\na,b,c\n')
    assert_told(problem, "BP215", "unknown column")
    assert "Q" * 41 not in everything(problem)


@each_typed
def test_damaged_records_are_told_without_what_polars_says_of_them(tmp_path: Path, kind: str) -> None:
    table = ids(*(f"d{at}" for at in range(300)))
    whole = write_table(tmp_path / f"good.{kind}", table).read_bytes()
    middle = len(whole) // 2 if kind == "arrow" else 60
    problem = problem_of(tmp_path, whole[:middle] + bytes(40) + whole[middle + 40 :], kind=kind)
    assert_told(problem, "BP220", "damaged", fix="Write it again", kind=kind)


# ── finding and opening it ───────────────────────────────────────────────────────────────────


def refused_at_once(folder: Path, path: str, **more: Any) -> str:
    """The message with which an input is refused that is not even opened."""
    with pytest.raises(InvalidInput) as refused:
        open_input(folder, path, **more)
    (problem,) = refused.value.problems
    assert problem.code == "BP201"
    assert problem.hint
    assert problem.file is not None
    return problem.message


def test_row_40_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    assert refused_at_once(tmp_path, "folder.csv") == "the input is a folder"
    for path in ["pipe.csv", "/dev/null", "/dev/zero", "/dev/stdin", "/dev/fd/0", "/proc/self/environ"]:
        assert refused_at_once(tmp_path, path) == "the input is not a regular file"


def test_row_40_memory_backed_folders_are_folders(tmp_path: Path) -> None:
    """Secrets are best kept there, so they are no devices."""
    if not os.access("/dev/shm", os.W_OK):  # noqa: S108
        pytest.skip("there is none here")
    path = Path("/dev/shm") / f"bulkpatch-{os.getpid()}.csv"  # noqa: S108
    path.write_bytes(raw("csv", "a"))
    try:
        assert open_input(tmp_path, str(path)).check().rows == 1
    finally:
        path.unlink()


def test_row_41_what_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    (tmp_path / "ring.csv").symlink_to(tmp_path / "ring.csv")
    assert "no such file or directory" in refused_at_once(tmp_path, "missing.csv")
    assert "no such file or directory" in refused_at_once(tmp_path, "dangling.csv")
    assert "symbolic links" in refused_at_once(tmp_path, "ring.csv")
    assert "too long" in refused_at_once(tmp_path, "x" * 300 + ".csv")
    assert "matches no file" in refused_at_once(tmp_path, "none-*.csv")
    assert "matches no file" in refused_at_once(tmp_path, "x" * 300 + "*.csv")  # by fuzzing: an internal error


def test_row_41_a_name_of_a_file_is_shown_on_one_line_and_must_be_text(tmp_path: Path) -> None:
    (tmp_path / "a\x1b[31m\nb.csv").write_bytes(raw("csv", "no id"))
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, "a*.csv").check()
    (problem,) = refused.value.problems
    assert (problem.code, problem.file) == ("BP214", str(tmp_path / r"a\x1b[31m\nb.csv"))
    (tmp_path / os.fsdecode(b"c\xff.csv")).write_bytes(raw("csv", "a"))
    assert "no UTF-8" in refused_at_once(tmp_path, "c*.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_row_41_permissions_are_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_bytes(raw("csv", "a"))
    (tmp_path / "input.csv").chmod(0)
    assert "permission denied" in refused_at_once(tmp_path, "input.csv")


@each_format
def test_row_42_a_file_that_changed_since_it_was_opened_is_refused(tmp_path: Path, kind: str) -> None:
    rows = rows_of(tmp_path, ids("a", "b"), kind=kind)
    write_table(tmp_path / f"input.{kind}", ids("a", "b", "c"))
    with pytest.raises(InvalidInput) as refused:
        rows.check()
    (problem,) = refused.value.problems
    assert_told(problem, "BP221", "changed while it was read", kind=kind)


@each_format
def test_row_43_a_misspelt_path_is_offered_the_nearest(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"], "postgres.pasword_auth.username": ["b"], "name": ["c"]}
    problem = problem_of(tmp_path, table, kind=kind)
    fix = "Did you mean postgres.password_auth.username?"
    assert_told(problem, "BP215", 'unknown column "postgres.pasword_auth.username"', fix=fix, kind=kind)


def test_row_43_a_column_mapped_to_an_unknown_path_is_offered_the_nearest(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, ids("a"), options='[input.columns]\nx = "postgres.prt"')
    assert problem.code == "BP107"
    assert "postgres.port" in problem.hint
    assert Path(problem.file or "").name == "job.toml"


# ── cells ────────────────────────────────────────────────────────────────────────────────────


@each_format
def test_row_44_only_true_and_false_are_booleans(tmp_path: Path, kind: str) -> None:
    cells = ["true", "false", "TRUE", "True", "yes", "1", "0", "t", " true", "on"]
    table = {"destination_id": [f"d{at}" for at in range(10)], "is_enabled": cells}
    problems = problems_of(tmp_path, table, kind=kind)
    assert [problem.row for problem in problems] == [3, 4, 5, 6, 7, 8, 9, 10]
    for problem in problems:
        fix, line = "write true or false", line_of(kind, problem.row or 0)
        assert_told(
            problem, "BP216", "not a Boolean", fix=fix, kind=kind, line=line, row=problem.row, column="is_enabled"
        )


@each_format
def test_row_46_a_whole_number_beyond_2_to_the_53_is_refused(tmp_path: Path, kind: str) -> None:
    cells = [str(2**53), str(2**53 + 1), "9" * 30, "-" + "9" * 5_000]
    table = {"destination_id": ["a", "b", "c", "d"], PORT: cells}
    for row, problem in enumerate(problems_of(tmp_path, table, kind=kind), 2):
        assert_told(problem, "BP216", "beyond ±2^53", kind=kind, line=line_of(kind, row), row=row, column=PORT)


@pytest.mark.parametrize("line", ['{"destination_id":"a"', '["a"]', "nonsense", '{"destination_id":"\\ud800'])
def test_one_broken_line_without_its_end_is_told_as_any_other(tmp_path: Path, line: str) -> None:
    """A file that stops in its first line; found by fuzzing: it was an internal error."""
    problem = problem_of(tmp_path, line, kind="ndjson")
    assert (problem.code, problem.line) == ("BP220", 1)


def test_a_suggestion_shows_no_character_that_cannot_be_seen(tmp_path: Path) -> None:
    """The job's own column name may hold a byte order mark."""
    problems = problems_of(
        tmp_path, "destination_id,port,name\na,1,n\n", options='columns = { "po\\uFEFFrt" = "postgres.port" }'
    )
    told = "".join(problem.message + problem.hint for problem in problems)
    assert "po\\ufeffrt" in told
    assert told.isprintable()


@pytest.mark.parametrize("digits", [17, 400, 4000])
@pytest.mark.parametrize("place", ["postgres.port", "something_new", "destination.deep.inside"])
def test_row_46_a_number_of_any_length_in_the_job_is_refused(tmp_path: Path, place: str, digits: int) -> None:
    """Longer than any float, too; found by fuzzing: it was an internal error."""
    more = "[api]\nallow_unknown_fields = true"
    told = problems_of(tmp_path, ids("a"), patch=f"{place} = {'9' * digits}", more=more)
    assert {Path(problem.file or "").name for problem in told} == {"job.toml"}


def test_row_46_numbers_of_any_length_in_ndjson_are_told_like_any_other(tmp_path: Path) -> None:
    table = {"destination_id": ["a", "b", "c"], PORT: [5432, 2**53 + 1, 10**30]}
    for row, problem in enumerate(problems_of(tmp_path, table, kind="ndjson"), 2):
        assert_told(problem, "BP216", "beyond ±2^53", kind="ndjson", line=row, row=row, column=PORT)


@each_typed
def test_row_46_so_are_wide_integers(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], PORT: pl.Series([22, 2**64 - 1], dtype=pl.UInt64)}
    problem = problem_of(tmp_path, table, kind=kind)
    assert_told(problem, "BP216", "beyond ±2^53", kind=kind, row=2, column=PORT)


@each_format
@pytest.mark.parametrize("depth", [65, 2_000, 20_000])
def test_row_50_json_nested_deeper_than_64_levels_is_refused(tmp_path: Path, kind: str, depth: int) -> None:
    table = {"destination_id": ["a", "b"], METADATA: ["[1]", "[" * depth + "]" * depth]}
    problem = problem_of(tmp_path, table, kind=kind)
    words = "deeper than 64 levels"
    assert_told(problem, "BP216", words, kind=kind, line=line_of(kind, 2), row=2, column=METADATA)


@each_format
def test_row_51_half_a_surrogate_pair_is_refused(tmp_path: Path, kind: str) -> None:
    cells = ['["a"]', r'["\ud800"]']
    if kind in {"csv", "tsv"}:
        cells = ['"[""a""]"', r'"[""\ud800""]"']
    problem = problem_of(tmp_path, {"destination_id": ["a", "b"], "enabled_models": cells}, kind=kind)
    assert problem.code == "BP216"
    assert (problem.row, problem.column_name) == (2, "enabled_models")


def test_row_51_so_it_is_in_ndjson_itself(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, '{"destination_id":"a","name":"\\ud800"}\n', kind="ndjson")
    assert_told(problem, "BP220", "half a surrogate pair", kind="ndjson", line=1, row=1)


@each_format
def test_row_53_a_row_that_changes_nothing_is_refused(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], "name": ["x", ""], PORT: ["", ""]}
    problem = problem_of(tmp_path, table, kind=kind)
    assert_told(problem, "BP218", "the row changes nothing", kind=kind, line=line_of(kind, 2), row=2)


@each_format
def test_row_53_an_input_of_ids_alone_is_told_once(tmp_path: Path, kind: str) -> None:
    assert_told(problem_of(tmp_path, {"destination_id": ["a", "b"]}, kind=kind), "BP117", "sets a field", kind=kind)


@each_format
def test_row_53_a_misspelt_column_is_told_and_not_what_follows_from_it(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a", "b"], "nam": ["x", "y"]}, kind=kind)
    assert_told(problem, "BP215", 'unknown column "nam"', fix="Did you mean name?", kind=kind)


@each_typed
@pytest.mark.parametrize(
    ("column", "cells", "words"),
    [
        (PORT, pl.Series([5.0]), "fractions"),
        (PORT, pl.Series(["5.0"]).cast(pl.Decimal(10, 1)), "fractions"),
        ("name", pl.Series(["x"], dtype=pl.Categorical), "categories"),
        ("name", pl.Series([0]).cast(pl.Datetime), "times"),
        ("name", pl.Series([0]).cast(pl.Date), "times"),
        ("name", pl.Series([0]).cast(pl.Duration), "times"),
        ("name", pl.Series([5]), "whole numbers"),
        ("name", pl.Series([True]), "Booleans"),
        ("is_enabled", pl.Series([1]), "whole numbers"),
        ("enabled_models", pl.Series([[1, 2]]), "other lists"),
        ("enabled_models", pl.Series([[1.5]]), "nested data"),
        (METADATA, pl.Series([{"a": 1}]), "nested data"),
        ("name", pl.Series([b"x"]), "binary"),
    ],
)
def test_row_63_a_type_that_does_not_fit_its_field_is_named(
    tmp_path: Path, kind: str, column: str, cells: pl.Series, words: str
) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a"], column: cells}, kind=kind)
    assert_told(problem, "BP219", words, fix="text", kind=kind, column=column)
    assert f"{column} takes" in problem.message


def test_row_63_in_ndjson_the_first_such_line_is_named(tmp_path: Path) -> None:
    table = {"destination_id": ["a", "b", "c"], PORT: [5432, 5432.0, "5432"]}
    problem = problem_of(tmp_path, table, kind="ndjson")
    assert_told(problem, "BP219", "fractions", kind="ndjson", line=2, column=PORT)


# ── secrets ──────────────────────────────────────────────────────────────────────────────────


@each_format
def test_row_64_a_secret_in_a_column_of_references_is_refused_and_not_shown(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b", "c"], PASSWORD: ["env:PW", CANARY, f"Env:{CANARY}"]}
    problems = problems_of(tmp_path, table, kind=kind)
    for row, problem in zip([2, 3], problems, strict=True):
        words, fix = "not a secret reference", "set [input] inline_secrets = true"
        assert_told(problem, "BP301", words, fix=fix, kind=kind, line=line_of(kind, row), row=row, column=PASSWORD)
        assert CANARY not in everything(problem)


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_row_64_a_secret_of_digits_is_not_shown_either(tmp_path: Path, kind: str) -> None:
    problem = problem_of(tmp_path, {"destination_id": ["a"], PASSWORD: [918273645]}, kind=kind)
    line = line_of(kind, 1)
    assert_told(problem, "BP219", "takes a secret reference", kind=kind, line=line, column=PASSWORD)
    assert "918273645" not in everything(problem)


def test_row_64_a_key_file_as_an_object_of_ndjson_is_not_shown_either(tmp_path: Path) -> None:
    """A cell of a secret field is text, with inline secrets too: an object would be written anew."""
    table = {"destination_id": ["a"], SERVICE_KEY: [{"private_key": CANARY}]}
    problem = problem_of(tmp_path, table, kind="ndjson", options="inline_secrets = true")
    assert_told(problem, "BP219", "takes a secret reference", kind="ndjson", line=1, column=SERVICE_KEY)
    assert CANARY not in everything(problem)


@each_format
def test_row_65_a_reference_without_a_target_is_refused(tmp_path: Path, kind: str) -> None:
    cells = ["env:", "fd:x", "exec:'", "gcp-sm:projects/p/secrets/s"]
    table = {"destination_id": ["a", "b", "c", "d"], PASSWORD: cells}
    problems = problems_of(tmp_path, table, kind=kind)
    assert [(problem.code, problem.row) for problem in problems] == [
        ("BP301", 1),
        ("BP301", 2),
        ("BP301", 3),
        ("BP307", 4),
    ]
    assert all(
        problem.column_name == PASSWORD and problem.line == line_of(kind, problem.row or 0) for problem in problems
    )


@each_format
@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (f"{CANARY}\n", "BP304"),
        (f"{CANARY}\r", "BP304"),
        (f"x{CANARY}\ry", "BP304"),
        (f" {CANARY}", "BP304"),
        ("   ", "BP304"),
        ("short", "BP305"),
        ("value:short", "BP305"),
        ("*" * 8, "BP304"),
        ("value:********", "BP304"),
        ("<redacted>", "BP304"),
    ],
)
def test_row_67_an_inline_secret_that_cannot_be_one_is_refused(tmp_path: Path, kind: str, cell: str, code: str) -> None:
    written = f'"{cell}"' if kind in {"csv", "tsv"} else cell
    table = {"destination_id": ["a"], PASSWORD: [written]}
    problem = problem_of(tmp_path, table, kind=kind, options="inline_secrets = true")
    assert (problem.code, problem.row, problem.column_name) == (code, 1, PASSWORD)
    assert problem.line == line_of(kind, 1)
    assert CANARY not in everything(problem)


@each_format
def test_row_67_a_key_file_in_a_cell_must_be_a_json_object(tmp_path: Path, kind: str) -> None:
    cells = [f'"{CANARY}"', f'["{CANARY}"]', CANARY]
    table = {"destination_id": ["a", "b", "c"], SERVICE_KEY: cells}
    if kind in {"csv", "tsv"}:
        table[SERVICE_KEY] = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    problems = problems_of(tmp_path, table, kind=kind, options="inline_secrets = true")
    for row, problem in enumerate(problems, 1):
        words = "the whole JSON document"
        assert_told(problem, "BP304", words, kind=kind, line=line_of(kind, row), row=row, column=SERVICE_KEY)
        assert CANARY not in everything(problem)
    assert len(problems) == 3


@pytest.mark.parametrize("inline", ["false", "true"])
@pytest.mark.parametrize(
    ("column", "options", "patch", "part"),
    [
        (PASSWORD, f'labels = ["{PASSWORD}"]', CONSTANT, "a label"),
        ("pw", f'labels = ["pw"]\n[input.columns]\npw = "{PASSWORD}"', "", "a label"),
        ("pw", f'id = "pw"\nlabels = ["destination_id"]\n[input.columns]\npw = "{PASSWORD}"', "", "the id"),
        ("pw", f'[input.columns]\npw = "{PASSWORD}"', 'name = { column = "pw" }', "the field name"),
        (PASSWORD, "", f'name = {{ column = "{PASSWORD}" }}', "the field name"),
        (
            "pw",
            '[input.columns]\npw = "redshift.aws_access_keys.password"',
            'redshift.aws_access_keys.secret_key = { secret = "env:KEY_{pw}" }',
            "a part of a secret reference",
        ),
    ],
)
def test_a_column_of_secrets_plays_no_part_in_which_it_would_be_seen(  # noqa: PLR0913, PLR0917  (a case has many sides)
    tmp_path: Path, column: str, options: str, patch: str, part: str, inline: str
) -> None:
    """Labels are reported, fields stand in the body, references are shown: none may hold what a secret column does."""
    content = f"destination_id,{column}\na,{CANARY}!\n"
    problems = problems_of(tmp_path, content, options=f"inline_secrets = {inline}\n{options}", patch=patch)
    assert_told(problems[0], "BP215", f"the column holds secrets, and the job takes it for {part}", column=column)
    for problem in problems:
        assert CANARY not in everything(problem)


# ── all at once, and through the command ─────────────────────────────────────────────────────

FAULTS = f"""destination_id,name,is_enabled,{PORT},mysql.port,{PASSWORD},customer
id one,n,,,,,acme
,n,,,,,acme
c,n,yes,,,,acme
d,n,,1.0,,,acme
e,n
f,5" pipe,,,,,acme

g,n,,1,2,,acme
h,,,,,,acme
i,n,,,,{CANARY},acme
j,n,,,,,
k,n,,,,,acme
k,m,,,,,acme
l,"{"x" * 70_000}",,,,,acme
"""


def test_a_file_with_every_fault_tells_them_all_in_order(tmp_path: Path) -> None:
    """One look mends everything: faults of lines, cells, rows and pairs stand as they do in the file."""
    problems = problems_of(tmp_path, FAULTS, options='labels = ["customer"]')
    assert [(problem.line, problem.code) for problem in problems] == [
        (2, "BP214"),
        (3, "BP214"),
        (4, "BP216"),
        (5, "BP216"),
        (6, "BP207"),
        (7, "BP208"),
        (8, "BP209"),
        (9, "BP109"),
        (10, "BP218"),
        (11, "BP301"),
        (14, "BP217"),
        (15, "BP211"),
    ]
    assert [problem.row for problem in problems] == [line - 1 for line, _ in [(one.line or 0, 0) for one in problems]]
    assert CANARY not in everything(problems[9])


@each_format
def test_faults_of_header_and_rows_are_told_together(tmp_path: Path, kind: str) -> None:
    """A column that plays no part hides nothing of the others; only what follows from it is left out."""
    table = {"destination_id": ["a", "b c", "d"], "nam": ["x", "y", "z"], "is_enabled": ["TRUE", "", "true"]}
    problems = problems_of(tmp_path, table, kind=kind)
    assert [(problem.code, problem.row) for problem in problems] == [("BP215", None), ("BP216", 1), ("BP214", 2)]


def test_no_more_than_a_thousand_problems_are_listed_and_the_rest_is_counted(tmp_path: Path) -> None:
    content = "destination_id,is_enabled\n" + "".join(f"d{row},yes\n" for row in range(1_500))
    with pytest.raises(InvalidInput) as refused:
        check_of(tmp_path, content)
    assert [problem.row for problem in refused.value.problems] == list(range(1, 1_001))
    assert refused.value.omitted == 500


def run_command(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """The real program, started as a user starts it."""
    return subprocess.run([sys.executable, "-m", "bulkpatch", *words], capture_output=True, text=True, check=False)


COMMANDS: dict[str, tuple[str, bytes | Table, str]] = {
    "many faults": ("csv", FAULTS.encode(), "input.csv:4, row 3 (column is_enabled)"),
    "a torn quote": ("tsv", b'destination_id\tname\na\t5" x\n', "input.tsv:2:4, row 1 (column name)"),
    "a bad id": ("ndjson", b'{"destination_id":"a b","name":"x"}\n', "input.ndjson:1, row 1 (column destination_id)"),
    "an unknown column": ("csv", b"destination_id,nam\na,b\n", "input.csv"),
    "another encoding": ("csv", raw("csv", "a").decode().encode("utf-16"), "input.csv"),
    "a typed file": ("parquet", ids("a b"), "input.parquet, row 1 (column destination_id)"),
    "a secret": (
        "csv",
        f"destination_id,{PASSWORD}\na,{CANARY}\n".encode(),
        f"input.csv:2, row 1 (column {PASSWORD})",
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_the_command_exits_2_and_prints_the_place(tmp_path: Path, case: str) -> None:
    kind, content, place = COMMANDS[case]
    path = tmp_path / f"input.{kind}"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_table(path, content)
    options = 'labels = ["customer"]' if case == "many faults" else ""
    done = run_command("check", write_job(tmp_path, path.name, options=options))
    assert done.returncode == 2, done.stderr
    assert place in done.stderr
    assert "fix: " in done.stderr
    assert done.stdout == ""
    assert CANARY not in done.stderr


def test_row_65_a_variable_that_is_not_set_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "input.csv").write_text(f"destination_id,{PASSWORD}\na,env:BULKPATCH_TEST_MISSING\n", "utf-8")
    job = write_job(tmp_path, "input.csv")
    done = run_command("run", job, "--simulate", "--yes", "--report-dir", tmp_path / "reports")
    assert done.returncode == 2, done.stderr
    assert "BULKPATCH_TEST_MISSING" in done.stderr
