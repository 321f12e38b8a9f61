"""Frames of rows: what is wrong is seen in the row itself, and the carets stand below it, whatever the cells hold."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len, set_cell_size
from rows_rig import open_input, problem_of, problems_of, rows_of, write_table

from bulkpatch.errors import InvalidInput
from bulkpatch.errors.frames import LINE_CHARS_MAX, ROOM_MIN, columns_of, inert, narrowed
from bulkpatch.job.naming import SHOWN_CHARS_MAX
from bulkpatch.job.row_frames import FRAMES_MAX, MASK

FLAG: Final = "is_enabled"
LABELS: Final = 'labels = ["customer", "region"]'


def under(frame: str) -> str:
    """What stands above the carets, by columns as an independent judge counts them."""
    line, carets = frame.split("\n")[-2:]
    first, last = carets.index("^"), carets.rindex("^") + 1
    assert set(carets[carets.index("|") + 1 :]) <= {" ", "^"}
    head = set_cell_size(line, first)
    assert line.startswith(head), "the carets begin within a character"
    return set_cell_size(line[len(head) :], last - first)


def frames_of(folder: Path, content: Any, **more: Any) -> list[str]:
    return [problem.frame for problem in problems_of(folder, content, **more)]


def frame_of(folder: Path, content: Any, **more: Any) -> str:
    return problem_of(folder, content, **more).frame


# ── how a row is drawn ───────────────────────────────────────────────────────────────────────


def test_a_row_stands_as_it_does_in_the_file_below_the_name_of_its_column(tmp_path: Path) -> None:
    content = f'destination_id,customer,region,name,{FLAG}\na,acme,eu,x,true\nb,"Zum, Beispiel",eu,"say ""hi""",jein\n'
    frame = frame_of(tmp_path, content, options=LABELS)
    assert frame.split("\n") == [
        "1 | …tination_id,customer,region,name,is_enabled",
        '3 | b,"Zum, Beispiel",eu,"say ""hi""",jein',
        "  |                                   ^^^^",
    ]


@pytest.mark.parametrize("head", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(("kind", "sign"), [("csv", ","), ("tsv", "\t")])
def test_mark_line_ends_and_separators_move_nothing(
    tmp_path: Path, *, kind: str, sign: str, end: str, head: str
) -> None:
    rows = [["destination_id", "customer", "region", FLAG], ["a", "x", "y", "true"], ["b", '"x\ty"', "", "jein"], []]
    content = head + end.join(sign.join(row) for row in rows)
    frame = frame_of(tmp_path, content, kind=kind, options=LABELS)
    assert under(frame) == "jein"
    assert frame.split("\n")[1] == '3 | b{0}"x y"{0}{0}jein'.format(sign.replace("\t", "→"))


def test_an_ndjson_line_stands_as_it_is(tmp_path: Path) -> None:
    lines = [
        '{"destination_id":"a","is_enabled":true}',
        '  { "customer" :\t"\\u0061, \\"b\\"", "is_enabled": "je\\u0069n" , "destination_id": "b"}\r',
    ]
    frame = frame_of(tmp_path, "\n".join(lines) + "\n", kind="ndjson", options='labels = ["customer"]')
    assert under(frame) == '"je\\u0069n"'
    shown = '2 |   { "customer" : "\\u0061, \\"b\\"", "is_enabled": "je\\u0069n" , "destination_id": "b"}'
    assert frame.split("\n")[0] == shown


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_a_row_without_a_line_is_written_out(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], "customer": ["x", None], FLAG: ["true", "jein"]}
    frame = frame_of(tmp_path, table, kind=kind, options='labels = ["customer"]')
    assert frame.split("\n")[0] == "2 | destination_id = a, customer = , is_enabled = jein".replace("= a", "= b")
    assert under(frame) == "jein"


@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_each_file_of_a_pattern_has_rows_of_its_own(tmp_path: Path, kind: str) -> None:
    """The number of the row is that in the whole input; what is drawn stands in the file that is named."""
    for name, cells in (("a", ["true"] * 3), ("b", ["true", "no-b"]), ("c", ["no-c", "true"])):
        write_table(
            tmp_path / f"part-{name}.{kind}",
            {"destination_id": [f"{name}{at}" for at in range(len(cells))], FLAG: cells},
        )
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, f"part-*.{kind}").check()
    assert [(Path(one.file or "").name[5], one.row, under(one.frame).strip('"')) for one in refused.value.problems] == [
        ("b", 5, "no-b"),
        ("c", 6, "no-c"),
    ]


def test_a_row_of_another_width_in_a_later_file_has_its_number_in_the_whole_input(tmp_path: Path) -> None:
    (tmp_path / "part-a.csv").write_text("destination_id,name\na,x\nb,y\n")
    (tmp_path / "part-b.csv").write_text("destination_id,name\nc,x\nd\n")
    with pytest.raises(InvalidInput) as refused:
        open_input(tmp_path, "part-*.csv").check()
    (problem,) = refused.value.problems
    assert (problem.row, problem.line, problem.frame) == (4, 3, "3 | d\n  |  ^")


def test_what_concerns_the_whole_row_is_below_all_of_it(tmp_path: Path) -> None:
    assert frame_of(tmp_path, "destination_id,name\na,x\nbb,\n") == "3 | bb,\n  | ^^^"


def test_a_row_with_too_many_cells_or_too_few_shows_where(tmp_path: Path) -> None:
    """What stands in no column is not shown."""
    many, few = frames_of(tmp_path, "destination_id,name\na,x,y,z\nb\n")
    assert many == f"2 | a,x,{MASK},{MASK}\n  |     ^^^"
    assert few == "3 | b\n  |  ^"


def test_a_quote_out_of_place_shows_its_cell_and_nothing_of_what_follows(tmp_path: Path) -> None:
    inside, after = frames_of(tmp_path, 'destination_id,name\na,x"y,z\nb,"x"y\nc,z\n')
    assert (
        inside == f"1 | destination_id,name\n2 |              a,{MASK}\n  |                ^^^" or under(inside) == MASK
    )
    assert inside.split("\n")[1] == f"2 | a,{MASK}"
    assert after.split("\n")[1] == f"3 | b,{MASK}"
    assert under(after) == MASK


def test_where_there_is_nothing_to_see_nothing_is_drawn(tmp_path: Path) -> None:
    """Blank lines, lines that are no JSON, and what is wrong with a header."""
    assert frames_of(tmp_path, "destination_id,name\n\na,x\n") == [""]
    assert frames_of(tmp_path, '{"destination_id":"a","name":"x"}\n{"x\n', kind="ndjson") == [""]
    assert frames_of(tmp_path, "destination_id,nmae\na,x\n") == [""]


def test_only_the_first_problems_are_drawn(tmp_path: Path) -> None:
    """The twentieth is, in the order in which they are told; those after it have their places all the same."""
    content = f"destination_id,{FLAG}\n" + "".join(f"id{at},no\n" for at in range(FRAMES_MAX + 5))
    problems = problems_of(tmp_path, content)
    assert [bool(one.frame) for one in problems] == [True] * FRAMES_MAX + [False] * 5
    assert problems[-1].line == FRAMES_MAX + 6


def test_rows_far_from_the_beginning_are_found(tmp_path: Path) -> None:
    """Beyond several stretches that are read at once, with quotes and without, between cells of several lines."""
    filler = "".join(f'id{at},"a\n{"x" * 90}","b""c"\nid{at}b,y,z\n' for at in range(15_000))
    content = f"destination_id,customer,region,{FLAG}\n" + filler.replace("z\n", "z,true\n").replace(
        'c"\n', 'c",false\n'
    )
    frame = frame_of(tmp_path, content + 'last,"q, r",s,jein\n', options=LABELS)
    assert frame.split("\n")[1] == f'{2 + 3 * 15_000} | last,"q, r",s,jein'
    assert under(frame) == "jein"


# ── carets, whatever the cells hold ──────────────────────────────────────────────────────────

LETTERS: Final = st.sampled_from(
    [*"abcXYZ0159 _-.;|^'\\/{}[]=", '"', ",", "\t", "é", "e\u0301", "ß", "Ω", "я", "א", "ب", "ก\u0e34",
     "日", "本", "한", "、",
     "\uff21",
     "🙂", "👍🏽", "🇩🇪", "❤\ufe0f", "👩\u200d💻",
     "\x1b[31m", "\x1b]0;x\x07", "\x07", "\x7f", "\x9b", "\u202e", "\u2066", "\u200b", "\u00ad",
     "\ufeff", "\u2028", "\u3000", "\u3164", "\U000e0041", "\u0300\u0301\u0302", "•", "…"]
)  # fmt: skip
TEXTS: Final = st.lists(LETTERS, max_size=60).map("".join)


@settings(max_examples=80, deadline=None)
@given(
    cells=st.lists(TEXTS, min_size=1, max_size=8),
    at=st.integers(0, 7),
    wrong=TEXTS.filter(lambda text: text.strip() not in {"", "true", "false"}),
    kind=st.sampled_from(["csv", "tsv", "ndjson"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    width=st.integers(14, 200),
)
def test_the_carets_stand_below_the_cell(  # noqa: PLR0913  (the parts of a row)
    tmp_path_factory: pytest.TempPathFactory,
    *,
    cells: list[str],
    at: int,
    wrong: str,
    kind: str,
    quoting: Any,
    width: int,
) -> None:
    """In the row as it is drawn, and as it is cut for a terminal; nothing in either moves a cursor."""
    names = [f"l{number}" for number in range(len(cells))]
    columns = {"destination_id": "a", **dict(zip(names, cells, strict=True))}
    ordered = [*list(columns)[: at + 1], FLAG, *list(columns)[at + 1 :]]
    row = {name: columns.get(name, wrong) for name in ordered}
    if kind == "ndjson":
        raw = json.dumps(wrong, ensure_ascii=False)
        content = json.dumps(row, ensure_ascii=False) + "\n"
    else:
        text, only = io.StringIO(), io.StringIO()
        delimiter = "," if kind == "csv" else "\t"
        csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator="\n").writerows([ordered, row.values()])
        csv.writer(only, delimiter=delimiter, quoting=quoting, lineterminator="").writerow([wrong, ""])
        raw, content = only.getvalue().removesuffix('""').removesuffix(delimiter), text.getvalue()
    folder = tmp_path_factory.mktemp("rows")
    frame = frame_of(folder, content, kind=kind, options=f"labels = {json.dumps(names)}")
    shown = inert(raw[:SHOWN_CHARS_MAX]) + "…" * (len(raw) > SHOWN_CHARS_MAX)
    assert under(frame) == shown
    assert frame.replace("\n", "").isprintable()
    small = narrowed(frame, width)
    assert small.replace("\n", "").isprintable()
    assert all(cell_len(line) <= max(width, ROOM_MIN + len("2 | ")) for line in small.split("\n"))
    part = under(small)
    assert part.rstrip("… ") in shown
    if cell_len(shown) <= width - 10:
        assert part == shown
    if kind != "ndjson":
        assert len(frame.split("\n")) == 3
        if FLAG in small.split("\n")[0]:
            line, carets = small.split("\n")[0], small.split("\n")[-1]
            assert cell_len(line[: line.index(FLAG)]) == carets.index("^")


def test_a_wide_row_is_cut_around_its_cell(tmp_path: Path) -> None:
    """500 columns of long cells: one line of each, with the cell and its name in it."""
    names = [f"label_{at}" for at in range(500)]
    header = ["destination_id", *names[:250], FLAG, *names[250:]]
    row = ["a", *["x" * 300] * 250, "jein", *["y" * 300] * 250]
    frame = frame_of(
        tmp_path, "\n".join([",".join(header), ",".join(row), ""]), options=f"labels = {json.dumps(names)}"
    )
    assert under(frame) == "jein"
    assert all(len(line) <= LINE_CHARS_MAX + 50 for line in frame.split("\n"))
    for width in (20, 40, 80, 120):
        small = narrowed(frame, width).split("\n")
        assert max(map(len, small)) <= width
        assert small[0].index(FLAG[:4]) == small[1].index("jein") == small[2].index("^")


# ── a file that is not what it was ───────────────────────────────────────────────────────────


def changed(path: Path) -> None:
    path.write_text(path.read_text().replace("jein", "a much longer cell"))


def gone(path: Path) -> None:
    path.unlink()


def another(path: Path) -> None:
    """Of the same size and time."""
    facts = path.stat()
    text = path.read_text().replace("jein", "nein")
    path.unlink()
    (path.parent / "space").touch()
    path.write_text(text)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))


@pytest.mark.parametrize("happens", [changed, gone, another])
@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
def test_of_a_file_that_changed_or_went_nothing_is_drawn(
    tmp_path: Path, kind: str, happens: Callable[[Path], None]
) -> None:
    """The errors are told all the same."""
    rows = rows_of(tmp_path, {"destination_id": ["a", "b"], FLAG: ["true", "jein"]}, kind=kind)
    path = tmp_path / f"input.{kind}"
    with pytest.raises(InvalidInput) as refused:
        rows.check()
    (found,) = refused.value.problems
    assert under(found.frame).strip('"') == "jein"
    if kind == "parquet" and happens is not gone:
        path.write_bytes(path.read_bytes() + b"PAR1")
    else:
        happens(path)
    (problem,) = rows.drawn([replace(found, frame="")])
    assert problem.frame == ""
    assert problem.line == found.line


def test_the_judge_and_the_program_count_columns_alike() -> None:
    """Of each character above, as it is shown."""
    for letters in ("日本", "e\u0301", "ก\u0e34", "🙂", "•", "…", "א", inert("❤\ufe0f👍🏽🇩🇪")):
        assert columns_of(letters) == cell_len(letters)
