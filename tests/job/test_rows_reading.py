"""What stands in a file is what is read: every cell, in every format, in chunks of any size, with its row and line."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from rows_rig import (
    FORMATS,
    PASSWORD,
    all_operations,
    assert_told,
    cells_of,
    everything,
    open_input,
    operations_of,
    problem_of,
    rows_of,
    source_of,
    write_job,
    write_table,
)

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.delimited import Delimited
from bulkpatch.job.load import load_job
from bulkpatch.job.ndjson import Ndjson
from bulkpatch.job.parts import LINE, ROW
from bulkpatch.job.rows import Rows, open_rows
from bulkpatch.job.seal import UNPACKED_BYTES_MAX, find, keep
from bulkpatch.job.typed import Typed
from bulkpatch.secrets.rules import CellRules

CHUNKS = st.integers(1, 40) | st.just(1 << 20)
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\x1a"), max_size=8) | st.sampled_from(
    ["", " ", ",", "\t", '"', '""', "\n", "\r\n", "\r", "a\nb", "é", "\ufeff", "007", "\U0001f600", "',\"\n", "=1"]
)
NAMES = st.lists(
    st.text(
        st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=["L", "N", "P", "S"]), min_size=1, max_size=6
    ).filter(lambda name: name != "*" and not name.startswith("^") and not name.lower().startswith("sep=")),
    min_size=2,
    max_size=4,
    unique=True,
).filter(lambda names: names[0][0] not in "[{<%")
QUOTING = st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])


def tables(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    """A header of two to four columns, and rows of as many cells."""
    return NAMES.flatmap(
        lambda names: st.lists(st.lists(cells, min_size=len(names), max_size=len(names)), max_size=6).map(
            lambda rows: [names, *rows]
        )
    )


def written(rows: list[list[str]], separator: str, quoting: Any, end: str) -> bytes:
    """``rows`` as Python's csv module writes them; it leaves a lone CR unquoted unless told to quote all."""
    if any("\r" in cell for row in rows for cell in row):
        quoting = csv.QUOTE_ALL
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples of a property; each writes its file anew."""
    return tmp_path_factory.mktemp("examples")


# ── text ─────────────────────────────────────────────────────────────────────────────────────


@settings(deadline=None, max_examples=120)
@given(
    kind=st.sampled_from([("csv", ","), ("tsv", "\t")]),
    rows=tables(CELLS),
    style=st.tuples(QUOTING, st.sampled_from(["\n", "\r\n"])),
    chunk=CHUNKS,
)
@example(kind=("csv", ","), rows=[["a", "b"], ['"', "\r\n"], ["", ""]], style=(csv.QUOTE_ALL, "\r\n"), chunk=1)
@example(kind=("csv", ","), rows=[["ab", "b"], ["\n\n\n", "x"]], style=(csv.QUOTE_ALL, "\n"), chunk=3)
def test_what_a_csv_writer_wrote_is_read_cell_by_cell(
    folder: Path, kind: tuple[str, str], rows: list[list[str]], style: tuple[Any, str], chunk: int
) -> None:
    """In all styles of quoting, with either line end, in chunks from one byte up; lines are those of an editor."""
    name, separator = f"input.{kind[0]}", kind[1]
    (folder / name).write_bytes(written(rows, separator, *style))
    reader = Delimited(source_of(folder, name), separator=separator, skip_blank_lines=False, chunk_bytes=chunk)
    assert list(reader.header.names) == rows[0]
    found = list(cells_of(reader))
    assert [[row[name] for name in rows[0]] for row in found] == rows[1:]
    assert [row[ROW] for row in found] == list(range(1, len(rows)))
    style = (csv.QUOTE_ALL, style[1]) if any("\r" in cell for row in rows for cell in row) else style
    starts = [written(rows[:at], separator, *style).count(b"\n") + 1 for at in range(1, len(rows))]
    assert [row[LINE] for row in found] == starts


@settings(deadline=None, max_examples=200)
@given(text=st.text(st.sampled_from('a,"\n\r'), max_size=40), chunk=st.integers(1, 12))
@example(text='a,"b\nc,d"e\nf,g', chunk=1)
@example(text='"\n"a\n","\n', chunk=1)
def test_any_text_is_read_or_refused_whatever_the_size_of_chunks(folder: Path, text: str, chunk: int) -> None:
    """No crash; the same rows, or the same first problem: what follows a torn quote is a guess."""
    (folder / "input.csv").write_bytes(b"x,y\n" + text.encode())

    def read(chunk_bytes: int) -> list[Any]:
        problems: list[Problem] = []
        rows: list[Any] = []
        source = source_of(folder, "input.csv")
        reader = Delimited(source, separator=",", skip_blank_lines=False, chunk_bytes=chunk_bytes)
        try:
            for frame in reader.frames(["x", "y"], problems.append):
                rows += frame.iter_rows()
        except InvalidInput as ended:
            problems += ended.problems
        return sorted((one.line or 0, one.column or 0, one.code) for one in problems)[:1] or rows

    assert read(chunk) == read(1 << 20)


JSON_CELLS = (
    st.none()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
    | st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=3), max_size=3)
    | st.dictionaries(st.text("ab", max_size=2), st.none() | st.integers(0, 9), max_size=2)
)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.fixed_dictionaries({"x": JSON_CELLS, "y": JSON_CELLS}), min_size=1, max_size=6),
    chunk=CHUNKS,
    style=st.tuples(st.booleans(), st.sampled_from(["\n", "\r\n"])),
)
def test_what_a_json_writer_wrote_is_read_value_by_value(
    folder: Path, rows: list[dict[str, Any]], chunk: int, style: tuple[bool, str]
) -> None:
    """A column of one kind keeps it; where kinds are mixed each value is text as JSON writes it, text as it stands."""
    content = "".join(json.dumps(row, ensure_ascii=style[0]) + style[1] for row in rows)
    (folder / "input.ndjson").write_bytes(content.encode())
    reader = Ndjson(source_of(folder, "input.ndjson"), skip_blank_lines=False, chunk_bytes=chunk)
    found = list(cells_of(reader))
    for name in ("x", "y"):
        native = reader.header.dtypes[name] != pl.String
        cells = [row[name] for row in rows]
        expected = (
            cells if native else [cell if cell is None or isinstance(cell, str) else json.dumps(cell) for cell in cells]
        )
        assert [row[name] for row in found] == expected
    assert [(row[ROW], row[LINE]) for row in found] == [(at, at) for at in range(1, len(rows) + 1)]


# ── all formats alike ────────────────────────────────────────────────────────────────────────

PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters='",\t'), max_size=6)


@settings(deadline=None, max_examples=25)
@given(
    cells=st.lists(
        st.tuples(PLAIN.filter(lambda text: text != "~"), st.sampled_from(["", "~", "5432", "22"]), PLAIN),
        min_size=1,
        max_size=6,
    )
)
def test_one_table_gives_the_same_operations_in_every_format(folder: Path, cells: list[tuple[str, str, str]]) -> None:
    """Row by row: body, digest, fields and labels do not depend on how the file is written."""
    names, ports, customers = (list(column) for column in zip(*cells, strict=True))
    table = {
        "destination_id": [f"d{at}" for at in range(len(cells))],
        "name": names,
        "postgres.port": ports,
        "customer": customers,
    }
    found = set()
    for kind in FORMATS:
        write_table(folder / f"input.{kind}", table)
        options = 'null = "~"\nlabels = ["customer"]'
        rows = open_input(folder, f"input.{kind}", options=options, patch="is_enabled = true")
        rows.check()
        found.add(
            tuple(
                (one.row, one.destination_id, one.body, one.digest, one.fields, one.labels)
                for one in all_operations(rows)
            )
        )
    assert len(found) == 1


def test_lines_are_told_where_a_format_has_them(tmp_path: Path) -> None:
    table = {"destination_id": ["a", "b"], "name": ["x", "y"]}
    lines = {kind: [one.line for one in operations_of(tmp_path, table, kind=kind)] for kind in FORMATS}
    assert lines == {"csv": [2, 3], "tsv": [2, 3], "ndjson": [1, 2], "parquet": [None, None], "arrow": [None, None]}


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_typed_files_are_read_in_batches_of_any_size(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": [f"d{at}" for at in range(50)], "name": ["x"] * 50}
    write_table(tmp_path / f"input.{kind}", table)
    for batch_rows in (1, 7, 50, 1_000):
        reader = Typed(source_of(tmp_path, f"input.{kind}"), batch_rows=batch_rows)
        assert [(row[ROW], row["destination_id"]) for row in cells_of(reader)] == [
            (at + 1, f"d{at}") for at in range(50)
        ]


def test_only_the_rows_that_are_wanted_are_compiled(tmp_path: Path) -> None:
    """Whatever a caller names, no other row is among them: not with a condition that leaves gaps either."""
    table = {"destination_id": [f"d{at}" for at in range(1, 11)], "name": ["x", "y"] * 5}
    rows = rows_of(tmp_path, table, options="where = \"name = 'x'\"")
    assert [one.row for one in all_operations(rows)] == [1, 3, 5, 7, 9]
    for wanted in ([], [3], [2, 3, 4, 5, 6], [1, 9], list(range(1, 11))):
        chosen = [one.row for batch in rows.operations(lambda *_: wanted) for one in batch]  # noqa: B023  (used at once)
        assert chosen == [row for row in wanted if row % 2]


# ── several files ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", FORMATS)
def test_a_glob_reads_files_by_name_and_counts_rows_on(tmp_path: Path, kind: str) -> None:
    """Rows are numbered through all files, lines in each; the order of columns may differ."""
    write_table(tmp_path / f"part-2.{kind}", {"name": ["z"], "destination_id": ["c"]})
    write_table(tmp_path / f"part-1.{kind}", {"destination_id": ["a", "b"], "name": ["x", "y"]})
    rows = open_input(tmp_path, f"part-*.{kind}")
    assert rows.check().rows == 3
    found = [(one.row, one.destination_id, one.body.decode()[-7:-2]) for one in all_operations(rows)]
    assert found == [(1, "a", '":"x"'), (2, "b", '":"y"'), (3, "c", '":"z"')]
    assert [Path(rows.file_of(row)).name for row in (1, 2, 3)] == [f"part-1.{kind}"] * 2 + [f"part-2.{kind}"]
    assert [Path(sealed.path).name for sealed in rows.seal] == [f"part-1.{kind}", f"part-2.{kind}"]


def test_a_glob_may_mix_formats(tmp_path: Path) -> None:
    for at, kind in enumerate(FORMATS):
        write_table(tmp_path / f"part.{kind}", {"destination_id": [f"d{at}"], "name": [kind]})
    rows = open_input(tmp_path, "part.*")
    assert rows.check().rows == len(FORMATS)
    assert [one.row for one in all_operations(rows)] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("kind", FORMATS)
def test_files_of_one_input_have_the_same_columns(tmp_path: Path, kind: str) -> None:
    """A column that only some files have would else be left out of the others, or of all."""
    write_table(tmp_path / f"part-1.{kind}", {"destination_id": ["a"], "name": ["x"]})
    write_table(tmp_path / f"part-2.{kind}", {"destination_id": ["b"], "postgres.port": ["22"]})
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, f"part-*.{kind}")
    (problem,) = refused.value.problems
    assert problem.code == "BP206"
    assert '"name" is missing and "postgres.port" is more' in problem.message
    assert Path(problem.file or "").name == f"part-2.{kind}"


def test_faults_of_several_files_stand_by_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "part-1.csv").write_text("destination_id,name\na,x\nb c,y\n")
    (tmp_path / "part-2.csv").write_text("destination_id,name\nd e,x\na,y\n")
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, "part-*.csv").check()
    found = [(Path(one.file or "").name, one.line, one.row, one.code) for one in refused.value.problems]
    assert found == [
        ("part-1.csv", 3, 2, "BP214"),
        ("part-2.csv", 2, 3, "BP214"),
        ("part-2.csv", 3, 4, "BP217"),
    ]


def test_a_file_of_a_glob_may_have_no_rows(tmp_path: Path) -> None:
    for at, rows in enumerate(["", "a,x\n", "", "b,y\n", ""]):
        (tmp_path / f"part-{at}.csv").write_text(f"destination_id,name\n{rows}")
    rows_of_all = open_input(tmp_path, "part-*.csv")
    assert rows_of_all.check().rows == 2
    assert [Path(rows_of_all.file_of(row)).name for row in (1, 2)] == ["part-1.csv", "part-3.csv"]


def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path) -> None:
    folder = tmp_path / "fleet [eu]*"
    folder.mkdir()
    for kind in FORMATS:
        write_table(folder / f"input.{kind}", {"destination_id": ["a"], "name": ["x"]})
        write_table(folder / f"input [1].{kind}", {"destination_id": ["b"], "name": ["x"]})
        assert [one.destination_id for one in all_operations(open_input(folder, f"inp?t.{kind}"))] == ["a"]
        assert [one.destination_id for one in all_operations(open_input(folder, f"input [1].{kind}"))] == ["b"]


# ── limits and skips ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("limit", [1, 2, 3, 9])
def test_a_limit_takes_the_first_rows_that_hold(tmp_path: Path, kind: str, limit: int) -> None:
    table = {"destination_id": ["a", "b", "c", "d", "e"], "name": ["x", "n", "x", "x", "n"]}
    rows = rows_of(tmp_path, table, kind=kind, options="where = \"name = 'x'\"", limit=limit)
    found = rows.check()
    assert [one.row for one in all_operations(rows)] == [1, 3, 4][:limit]
    assert (found.rows, found.rows + found.left_out) == (min(limit, 3), 5)


def test_a_limit_counts_through_all_files(tmp_path: Path) -> None:
    for at in range(4):
        (tmp_path / f"part-{at}.csv").write_text(f"destination_id,name\na{at},x\nb{at},x\n")
    rows = open_input(tmp_path, "part-*.csv", limit=3)
    assert [one.destination_id for one in all_operations(rows)] == ["a0", "b0", "a1"]
    assert (rows.check().rows, rows.check().left_out) == (3, 5)


def test_a_sample_is_the_first_operations(tmp_path: Path) -> None:
    rows = rows_of(
        tmp_path, {"destination_id": ["a", "b", "c"], "name": ["x", "n", "x"]}, options="where = \"name = 'x'\""
    )
    assert [one.row for one in rows.sample(5)] == [1, 3]
    assert [one.row for one in rows.sample(1)] == [1]


def test_every_row_is_seeded_with_its_lead(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, {"destination_id": ["a", "b", "a", "a"], "name": ["x", "y", "x", "x"]})
    seeds = [one for batch in rows.seed_rows() for one in batch]
    assert [(one.row, one.destination_id, one.lead) for one in seeds] == [
        (1, "a", None),
        (2, "b", None),
        (3, "a", 1),
        (4, "a", 1),
    ]
    assert rows.check().duplicates == 2


# ── what changes while it is read ────────────────────────────────────────────────────────────


def assert_changed(work: Iterator[Any]) -> None:
    """Going on with ``work`` ends with BP221."""
    with pytest.raises(InvalidInput) as refused:
        list(work)
    assert [problem.code for problem in refused.value.problems] == ["BP221"]


@pytest.mark.proves("G9")
@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
@pytest.mark.parametrize("change", ["grow", "rewrite", "replace", "touch", "delete"])
def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, kind: str, change: str) -> None:
    """Size, time and identity are looked at before and after."""
    table = {"destination_id": [f"d{at}" for at in range(100)], "name": ["x"] * 100}
    path = write_table(tmp_path / f"input.{kind}", table)
    source = source_of(tmp_path, path.name)
    reader = (
        Ndjson(source, skip_blank_lines=False, chunk_bytes=64)
        if kind == "ndjson"
        else Delimited(source, separator="," if kind == "csv" else "\t", skip_blank_lines=False, chunk_bytes=64)
    )
    cells = cells_of(reader)
    next(cells)
    match change:
        case "grow":
            with path.open("ab") as file:
                file.write(path.read_bytes().splitlines(keepends=True)[-1])
        case "rewrite":
            path.write_bytes(path.read_bytes().replace(b"x", b"y"))
            os.utime(path, ns=(0, source.mtime_ns + 1))
        case "replace":
            copy = tmp_path / "copy"
            copy.write_bytes(path.read_bytes())
            os.utime(copy, ns=(source.mtime_ns, source.mtime_ns))
            copy.replace(path)
        case "touch":
            os.utime(path)
        case _:
            path.unlink()
    if change == "delete":
        with pytest.raises(InvalidInput) as refused:
            list(cells)
        assert refused.value.code == "BP201"
    else:
        assert_changed(cells)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_that_changed_after_the_check_is_refused_when_it_is_compiled(tmp_path: Path, kind: str) -> None:
    rows = rows_of(tmp_path, {"destination_id": ["a", "b"], "name": ["x", "y"]}, kind=kind)
    rows.check()
    os.utime(tmp_path / f"input.{kind}", ns=(1, 1))
    assert_changed(rows.operations(lambda first, last: range(first, last + 1)))
    with pytest.raises(InvalidInput) as refused:
        rows.seal  # noqa: B018  (reading it is the act)
    assert refused.value.code == "BP221"


# ── packed ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
@pytest.mark.parametrize("name", ["input.{}", "input.{}.gz"])
def test_gzip_is_read_as_what_it_holds(tmp_path: Path, kind: str, name: str) -> None:
    plain = write_table(tmp_path / f"plain.{kind}", {"destination_id": ["a", "b"], "name": ["x", "é"]})
    path = tmp_path / name.format(kind)
    path.write_bytes(gzip.compress(plain.read_bytes()[:20]) + gzip.compress(plain.read_bytes()[20:]))
    packed = all_operations(open_input(tmp_path, path.name, decompress=True))
    assert packed == all_operations(open_input(tmp_path, plain.name))


def test_a_packed_file_of_a_packed_format_is_refused(tmp_path: Path) -> None:
    plain = write_table(tmp_path / "plain.parquet", {"destination_id": ["a"], "name": ["x"]})
    problem = problem_of(tmp_path, gzip.compress(plain.read_bytes()), kind="parquet", decompress=True)
    assert_told(problem, "BP204", "a format that is compressed itself", kind="parquet")


@pytest.mark.parametrize("cut", [10, -4])
def test_a_packed_file_that_is_cut_is_damaged(tmp_path: Path, cut: int) -> None:
    content = gzip.compress(b"destination_id,name\n" + b"".join(b"d%d,x\n" % at for at in range(100)))
    problem = problem_of(tmp_path, content[:cut], decompress=True)
    assert_told(problem, "BP220", "the compressed file is damaged")


def test_a_packed_file_is_sealed_as_it_lies_there(tmp_path: Path) -> None:
    content = gzip.compress(b"destination_id,name\na,x\n")
    rows = rows_of(tmp_path, content, decompress=True)
    assert rows.input_sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.long
def test_a_packed_file_that_becomes_larger_than_1_gib_is_refused(tmp_path: Path) -> None:
    """A bomb of a few MiB is stopped at the limit, not in memory."""
    with gzip.open(tmp_path / "input.csv", "wb", compresslevel=1) as file:
        file.write(b"destination_id,name\n")
        for _ in range(UNPACKED_BYTES_MAX // (1 << 20) + 1):
            file.write(b"d,x\n" * (1 << 18))
    job = load_job(write_job(tmp_path, "input.csv"))
    (source,) = find(job, stdin=None, spool=None, decompress=True)
    with pytest.raises(InvalidInput) as refused, source.open() as unpacked:
        _ = [len(data) for data in iter(lambda: unpacked.read(1 << 20), b"")]
    assert_told(refused.value.problems[0], "BP211", "more than 1 GiB", fix="Unpack it first")


# ── standard input ───────────────────────────────────────────────────────────────────────────

STDIN = b"destination_id,name\na,x\nb,y\n"


def stdin_rows(folder: Path, content: bytes | None, *, spool: Path | None = None, options: str = "") -> Rows:
    """The rows of a job that reads standard input."""
    job = load_job(write_job(folder, "-", options=options))
    stream = None if content is None else io.BytesIO(content)
    return open_rows(job, rules=CellRules(allow_short=False), stdin=stream, spool=spool)


def test_standard_input_is_read_once_and_checked_like_a_csv_file(tmp_path: Path) -> None:
    rows = stdin_rows(tmp_path, STDIN)
    assert rows.check().rows == 2
    assert [one.destination_id for one in all_operations(rows)] == ["a", "b"]
    with pytest.raises(InvalidInput) as refused:
        stdin_rows(tmp_path, b"destination_id,name\na b,x\n").check()
    (problem,) = refused.value.problems
    assert (problem.file, problem.line) == ("-", 2)


def test_its_copy_is_private_and_goes_with_the_process(tmp_path: Path) -> None:
    job = write_job(tmp_path, "-")
    program = """
import os, stat, sys
from pathlib import Path
from bulkpatch.job.load import load_job
from bulkpatch.job.rows import open_rows
from bulkpatch.secrets.rules import CellRules
os.umask(0)
rows = open_rows(load_job(Path(sys.argv[1])), rules=CellRules(allow_short=False), stdin=sys.stdin.buffer)
(sealed,) = rows.seal
print(rows.check().rows, oct(stat.S_IMODE(os.stat(sealed.path).st_mode)), sealed.path)
"""
    done = subprocess.run([sys.executable, "-c", program, str(job)], input=STDIN, capture_output=True, check=True)
    count, mode, path = done.stdout.decode().split()
    assert (count, mode) == ("2", "0o600")
    assert not Path(path).exists()


def test_a_copy_is_kept_where_only_its_owner_reads_it_and_over_nothing_else(tmp_path: Path) -> None:
    """It is what a resume reads; neither a file that is there nor the target of a link is written to."""
    job = load_job(write_job(tmp_path, "-"))
    (source,) = find(job, stdin=io.BytesIO(STDIN), spool=None, decompress=False)
    before = os.umask(0)
    try:
        keep(source, tmp_path / "kept.csv")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "kept.csv").stat().st_mode) == 0o600
    assert (tmp_path / "kept.csv").read_bytes() == STDIN
    again = stdin_rows(tmp_path, None, spool=tmp_path / "kept.csv")
    assert again.input_sha256 == hashlib.sha256(STDIN).hexdigest()
    (tmp_path / "link.csv").symlink_to(tmp_path / "target")
    for name in ("kept.csv", "link.csv"):
        with pytest.raises(OSError, match="File exists"):
            keep(source, tmp_path / name)
    assert not (tmp_path / "target").exists()


def test_standard_input_holds_no_secrets(tmp_path: Path) -> None:
    content = f"destination_id,{PASSWORD}\na,hunter2hunter2\n".encode()
    with pytest.raises(InvalidInput) as refused:
        stdin_rows(tmp_path, content, options="inline_secrets = true")
    (problem,) = refused.value.problems
    assert "standard input may not hold secrets" in problem.message
    assert "hunter2" not in everything(problem)


def test_standard_input_that_is_not_there_is_told(tmp_path: Path) -> None:
    for spool in (None, tmp_path / "nowhere"):
        with pytest.raises(InvalidInput) as refused:
            stdin_rows(tmp_path, None, spool=spool)
        assert refused.value.code == "BP201"


# ── ten million rows ─────────────────────────────────────────────────────────────────────────

LOOK = """
import sys, time
from pathlib import Path
from bulkpatch.job.load import load_job
from bulkpatch.job.rows import open_rows
from bulkpatch.secrets.rules import CellRules
begun = time.monotonic()
found = open_rows(load_job(Path(sys.argv[1])), rules=CellRules(allow_short=False)).check()
peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
print(found.rows, time.monotonic() - begun, int(peak) / 1024)
"""


def looked_at(folder: Path, rows: int, kind: str) -> tuple[int, float, float]:
    """Rows, seconds and peak MiB of a check in a process of its own: ids and three overrides."""
    frame = pl.select(row=pl.int_range(rows)).select(
        destination_id=pl.format("3c90c3cc-0d44-4b50-8888-{}", pl.col("row").cast(pl.String).str.zfill(12)),
        name=pl.format("Destination {}", "row"),
        is_enabled=pl.col("row") % 2 == 0,
        max_concurrent_transfers=pl.col("row") % 7,
    )
    path = folder / f"fleet.{kind}"
    _ = frame.write_parquet(path) if kind == "parquet" else frame.write_csv(path)
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(write_job(folder, path.name))], capture_output=True, text=True, check=True
    )
    count, seconds, peak_mib = done.stdout.split()
    return int(count), float(seconds), float(peak_mib)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_million_rows_are_checked_in_ten_seconds_and_a_gibibyte(tmp_path: Path, kind: str) -> None:
    rows, seconds, peak_mib = looked_at(tmp_path, 1_000_000, kind)
    assert rows == 1_000_000
    assert seconds < 10
    assert peak_mib < 1024


def test_memory_hardly_grows_with_the_rows(tmp_path: Path) -> None:
    """Sixteen bytes a row are kept, and a bounded number of rows at a time."""
    _, _, few_mib = looked_at(tmp_path, 50_000, "csv")
    _, _, many_mib = looked_at(tmp_path, 200_000, "csv")
    assert many_mib - few_mib < 40
