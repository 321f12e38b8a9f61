"""A wrong row is shown where it is wrong: the cell, its column, its neighbours; and nothing that may be a secret."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_rig import (
    FORMATS,
    PASSWORD,
    above_carets,
    open_input,
    problem_of,
    problem_raised,
    problems_of,
    width_of,
    write_job,
    write_table,
)

from bulkpatch.errors import Problem
from bulkpatch.errors.frames import LINE_CHARS_MAX, ROOM_MIN, inert, narrowed
from bulkpatch.job.columns import lay_out
from bulkpatch.job.load import load_job
from bulkpatch.job.parts import Header, Kind, Quote
from bulkpatch.job.row_frames import FRAMES_MAX, MASK, RowFrames
from bulkpatch.job.secret_cells import SecretCells
from bulkpatch.secrets.rules import CellRules

PORT: Final = "postgres.port"
LABELS: Final = 'labels = ["customer"]'

# ── how it looks ─────────────────────────────────────────────────────────────────────────────


def test_the_cell_its_column_and_its_neighbours(tmp_path: Path) -> None:
    """The name of the column stands above the cell, the carets below; of a secret field a mask, however long it is."""
    text = f'destination_id,customer,{PORT},{PASSWORD}\nd1,acme,1,env:A\nd2,"Acme, Inc",54x2,env:B\n'
    problem = problem_of(tmp_path, text, options=LABELS)
    assert problem.frame.split("\n") == [
        f"1 | …n_id,customer,{PORT},{PASSWORD}",
        f'3 | d2,"Acme, Inc",54x2,{MASK}',
        "  |                ^^^^",
    ]


def test_an_object_a_line(tmp_path: Path) -> None:
    """Its names stand in the line itself."""
    row = {"destination_id": "d1", PORT: "54x2", PASSWORD: "env:A"}
    problem = problem_of(tmp_path, json.dumps(row) + "\n", kind="ndjson")
    assert problem.frame.split("\n") == [
        f'1 | {{"destination_id": "d1", "{PORT}": "54x2", "{PASSWORD}": {MASK}}}',
        "  |                                           ^^^^^^",
    ]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_row_without_a_line(tmp_path: Path, kind: str) -> None:
    """By its number, each cell behind its name."""
    table = {"destination_id": ["d1", "d2"], PORT: ["1", "54x2"], PASSWORD: ["env:A", "env:B"]}
    problem = problem_of(tmp_path, table, kind=kind)
    assert problem.frame.split("\n") == [
        f"2 | destination_id = d2, {PORT} = 54x2, {PASSWORD} = {MASK}",
        "  |                                      ^^^^",
    ]


def test_rows_of_several_typed_files_are_found_by_their_own_number(tmp_path: Path) -> None:
    for number, ports in enumerate([["1", "2"], ["3", "54x2"]]):
        ids = [f"d{number}{at}" for at in range(2)]
        write_table(tmp_path / f"part-{number}.parquet", {"destination_id": ids, PORT: ports})
    rows = open_input(tmp_path, "part-*.parquet")
    problem = problem_raised(rows.check)
    assert problem.row == 4
    assert problem.frame.startswith(f"2 | destination_id = d11, {PORT} = 54x2\n")


def test_a_row_that_is_wrong_as_a_whole(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, "destination_id,customer,name\nd1,acme,\n", options=LABELS)
    assert problem.code == "BP218"
    assert problem.frame == "2 | d1,acme,\n  | ^^^^^^^^"


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("\ufeffdestination_id,name,P\r\n", "d1,x,54x2\r\n"),
        ("destination_id,name,P\r\n", '"d1","x ""y"", z",54x2\r\n'),
        ("destination_id,name,P\n", "d1,漢字漢字ｆｕｌｌ,54x2"),
        ("destination_id,name,P\n", "d1,e\u0301e\u0301,54x2\n"),
        ("destination_id,name,P\n", "d1,\x1b[31m\x1b]0;x\x07\u202e\u2066\u200b\ufeff,54x2\n"),
        ("destination_id,name,P\n", "d1,👩‍🚀🏽🇩🇪,54x2\n"),
        ("destination_id,name,P\n", "d1,a\tb\tc,54x2\n"),
        ("destination_id,name,P\n", f"d1,{'x' * 5_000},54x2\n"),
        ("destination_id,name,P\n", 'd1,"two\r\nlines",54x2\n'),
        ("P,name,destination_id\n", "54x2,x,d1\n"),
        (f"destination_id,{','.join(f'_bp_{at}' for at in range(300))},P\n", f"d1,{',' * 299},54x2\n"),
    ],
)
@pytest.mark.parametrize("kind", ["csv", "tsv"])
def test_shapes_of_text_files(tmp_path: Path, kind: str, head: str, row: str) -> None:
    """Byte order marks, line ends, quotes, tabs, wide and hostile characters: the carets are right, nothing obeys."""
    text = f"{head.replace('P', PORT)}{row}"
    if kind == "tsv":
        text = text.replace("\t", " ").replace('"x ""y"", z"', '"x ""y"" z"').replace(",", "\t")
    problem = problem_of(tmp_path, text, kind=kind)
    (name, cell), count = above_carets(problem.frame)
    assert (name.startswith(PORT), cell[:4], count) == (True, "54x2", 4)
    assert all(one.isprintable() for one in problem.frame.replace("\n", ""))
    assert len(problem.frame.split("\n")) == 3
    assert max(map(width_of, problem.frame.split("\n"))) <= 2 * LINE_CHARS_MAX


def test_a_cell_of_any_length_is_one_line(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f"destination_id,{PORT},name\nd1,{'9' * 4_000}x,n\n")
    (_, cell), count = above_carets(problem.frame)
    assert count == 41
    assert cell == f"{'9' * 40}…,n"
    (huge,) = problems_of(tmp_path, f"destination_id,name\nd1,{'x' * 70_000}\n")
    assert (huge.code, huge.frame.split("\n")[1]) == ("BP211", f"2 | d1,{MASK}")


CELLS: Final = st.text(st.characters(exclude_characters="\0\x1a\r\n{", exclude_categories=["Cs"]), max_size=60)


@settings(max_examples=150, deadline=None)
@given(before=st.lists(CELLS, max_size=8), after=st.lists(CELLS, max_size=4), width=st.integers(ROOM_MIN + 4, 120))
def test_carets_stand_under_the_cell_whatever_stands_beside_it(
    tmp_path_factory: pytest.TempPathFactory, before: list[str], after: list[str], width: int
) -> None:
    """Of any row, whole and cut to any width; the name of the column stands above it."""
    names = [f"l{at}" for at in range(len(before) + len(after))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["destination_id", *names[: len(before)], PORT, *names[len(before) :]])
    writer.writerow(["d1", *before, "54x2", *after])
    options = f"labels = {json.dumps(names)}"
    (problem,) = (
        one
        for one in problems_of(tmp_path_factory.mktemp("rows"), text.getvalue(), options=options)
        if one.column_name == PORT
    )
    for frame in (problem.frame, narrowed(problem.frame, width)):
        lines, count = above_carets(frame)
        assert count == 4
        assert lines[1].startswith("54x2")
        assert lines[0].startswith(("p", "…")) or len(lines[0]) < 4
        assert all(one.isprintable() for one in frame.replace("\n", ""))
    assert max(map(width_of, narrowed(problem.frame, width).split("\n"))) <= width
    shown = [inert(one)[:8] for one in before if one.isascii() and one.isalnum()][-1:]
    assert all(one in problem.frame for one in shown if not problem.frame.split("\n")[1].startswith("2 | …"))


# ── what it costs ────────────────────────────────────────────────────────────────────────────


class Asked:
    """A reader that only notes what it is asked to show."""

    def __init__(self) -> None:
        names = ("destination_id", "name")
        self.header = Header(file="f", names=names, kinds={name: {Kind.TEXT: None} for name in names}, dtypes={})
        self.numbers: list[int] = []

    def quotes(self, numbers: Collection[int]) -> Sequence[Quote]:
        """None."""
        self.numbers += numbers
        return []


def test_only_the_first_problems_are_looked_up_and_none_where_nothing_is_wrong(tmp_path: Path) -> None:
    job = load_job(write_job(tmp_path, "f.csv"))
    asked = Asked()
    cells = SecretCells(CellRules(allow_short=False), inline=False)
    frames = RowFrames(lay_out(job, asked.header), [asked], asked=(), secret_cells=cells)  # type: ignore[list-item]
    assert frames.drawn([], []) == []
    assert frames.drawn([Problem(code="BP203", message="", file="f", line=3)], [])[0].frame == ""
    assert asked.numbers == []
    frames.drawn([Problem(code="BP214", message="", file="f", line=at + 2, row=at + 1) for at in range(1_000)], [])
    assert sorted(asked.numbers) == list(range(2, FRAMES_MAX + 2))


def test_the_first_are_drawn(tmp_path: Path) -> None:
    text = "destination_id,name\n" + "".join(f"d {at},n\n" for at in range(FRAMES_MAX + 5))
    frames = [bool(one.frame) for one in problems_of(tmp_path, text)]
    assert frames == [True] * FRAMES_MAX + [False] * 5


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("change", ["written", "gone"])
def test_a_file_that_changed_draws_nothing(tmp_path: Path, kind: str, change: str) -> None:
    """What stands there now may be another row."""
    path = write_table(tmp_path / f"input.{kind}", {"destination_id": ["d 1", "d2"], "name": ["a", "b"]})
    rows = open_input(tmp_path, path.name)
    problem = problem_raised(rows.check)
    assert problem.frame
    os.utime(path, ns=(1, 1)) if change == "written" else path.unlink()
    assert [one.frame for one in rows.drawn([Problem(code="BP214", message="", file=problem.file, row=1, line=2)])] == [
        ""
    ]


def test_far_down_in_a_large_file(tmp_path: Path) -> None:
    """Beyond the first stretch that is read, rows of several lines before it, the last line without an end."""
    filler = "".join(f'd{at},"{"x" * 400}\n{"y" * 400}"\n' for at in range(3_000))
    problem = problem_of(tmp_path, f"destination_id,name\n{filler}d last,n")
    assert problem.line == 6_002
    assert problem.frame.split("\n")[1] == "6002 | d last,n"


# ── in a narrow terminal ─────────────────────────────────────────────────────────────────────


@settings(max_examples=200, deadline=None)
@given(
    line=st.text(max_size=150),
    lead=st.integers(0, 100),
    count=st.integers(1, 100),
    columns=st.integers(1, 200),
)
def test_any_frame_fits(line: str, lead: int, count: int, columns: int) -> None:
    """Each line within the columns, or the least that is shown; the carets stay."""
    frame = f"12 | {inert(line)}\n   | {' ' * lead}{'^' * count}"
    shown = narrowed(frame, columns).split("\n")
    assert max(map(width_of, shown)) <= max(columns, 5 + ROOM_MIN)
    assert "^" in shown[-1]
    assert shown[0].startswith("12 |")
