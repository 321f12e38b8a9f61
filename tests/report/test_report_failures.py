"""failures.csv is input for the same job: the cells of the failed rows as they were, ours beside them, harmless."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_fakes import Blind, Watchful, header

from bulkpatch.errors import Broken, Mismatch
from bulkpatch.model import InputFile, RowState
from bulkpatch.reporting.columns import FAILED, SEND
from bulkpatch.reporting.failures import GONE, Cells, CellSource, write_failures

OURS = ["_bp_row", "_bp_state", "_bp_error_code", "_bp_error", "_bp_http_status", "_bp_attempts", "_bp_input"]


def outcomes(*rows: tuple[int, RowState, str | None]) -> pl.LazyFrame:
    """Outcomes of rows given by number, state and error."""
    facts = [
        {
            "row": row,
            "destination_id": f"dest-{row}",
            "state": str(state),
            "attempts": 1,
            "error_code": error and "BP401",
            "error": error,
        }
        for row, state, error in rows
    ]
    return pl.LazyFrame(facts, schema={name: SEND[name] for name in facts[0]} | {"http_status": SEND["http_status"]})


def source(names: Sequence[str], table: Mapping[int, Sequence[str]]) -> CellSource:
    """An input that holds ``table``."""

    def cells(wanted: Sequence[int]) -> Cells:
        return names, iter([(row, table[row]) for row in wanted])

    return cells


def written(table: pl.LazyFrame, cells: CellSource | None, *, canary: str = "no such text") -> tuple[str, str | None]:
    """The file that ``write_failures`` makes, and its note."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "failures.csv"
        note = write_failures(
            path, table, header=header(rows=9), cells=cells, id_column="dest", redactor=Watchful(canary)
        )
        return path.read_bytes().decode(), note


def parsed(text: str) -> list[list[str]]:
    """What a CSV reader makes of ``text``."""
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


NASTY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6) | st.sampled_from(
    [
        "",
        "a\nb",
        "a\rb",
        "\r\n",
        '"',
        '""',
        'a"b',
        ",",
        "=1+1",
        "@x",
        "+1",
        "-1",
        "\t",
        " lead",
        "trail ",
        "\\N",
        "\uff1d1",
    ]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(NASTY, NASTY), min_size=1, max_size=4))
def test_input_cells_come_back_byte_for_byte(cells: list[tuple[str, str]]) -> None:
    """Whatever stands in a cell, a CSV reader gives it back as it was."""
    table = dict(enumerate(cells, start=1))
    text, note = written(
        outcomes(*((row, RowState.REJECTED, "no") for row in table)), source(["dest", "postgres.host"], table)
    )
    lines = parsed(text)
    assert note is None
    assert lines[0] == ["dest", "postgres.host", *OURS]
    assert [tuple(line[:2]) for line in lines[1:]] == cells


def test_only_failed_rows_stand_there_in_input_order() -> None:
    """Every failed state, no other; row numbers, codes and messages beside the cells."""
    states = list(RowState)
    table = outcomes(*((row, state, "why") for row, state in enumerate(states, start=1)))
    text, _ = written(table, source(["dest"], {row: [f"dest-{row}"] for row in range(1, len(states) + 1)}))
    lines = parsed(text)[1:]
    assert [line[2] for line in lines] == [str(state) for state in states if state in FAILED]
    assert [int(line[1]) for line in lines] == sorted(int(line[1]) for line in lines)
    assert lines[0][1:] == [lines[0][1], "unverified", "BP401", "why", "", "1", f"input row {lines[0][1]}"]


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_our_columns_are_no_formulas(first: str) -> None:
    """A server's message cannot become a formula in a spreadsheet."""
    text, _ = written(outcomes((1, RowState.REJECTED, first + "cmd|'/C calc'!A0")), None)
    assert parsed(text.replace("\0", "NUL"))[1][5].startswith("'" + first.replace("\0", "NUL"))


def test_columns_of_an_earlier_report_are_written_anew() -> None:
    """failures.csv of a run that was fed with failures.csv has each column once."""
    names = ["_bp_note", "dest", "_bp_row", "_bp_error"]
    text, _ = written(outcomes((7, RowState.SKIPPED, "new")), source(names, {7: ["n", "dest-7", "3", "old"]}))
    assert parsed(text) == [["dest", *OURS], ["dest-7", "7", "skipped", "BP401", "new", "", "1", "input row 7"]]


def gone_at_once(wanted: Sequence[int]) -> Cells:
    """An input that is no longer there."""
    raise FileNotFoundError(wanted)


def changed_under_way(wanted: Sequence[int]) -> Cells:
    """An input that turns out to be another one after its first row."""

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        yield wanted[0], ["dest-x"]
        raise Mismatch("BP602", "the input changed")

    return ["dest"], rows()


@pytest.mark.parametrize(
    "cells",
    [
        None,
        gone_at_once,
        changed_under_way,
        source(["dest"], {1: ["dest-1"], 2: ["dest-2", "one cell too many"]}),
        lambda wanted: (["dest"], iter([(wanted[0], ["dest-1"])])),
        lambda wanted: (["dest"], iter([(row + 1, ["dest-1"]) for row in wanted])),
    ],
    ids=["none", "gone", "changed", "ragged", "short", "shifted"],
)
def test_without_its_input_it_holds_ids_and_says_so(cells: CellSource | None) -> None:
    """No half file and no cell of another row: ids only, in columns that the job takes as input."""
    text, note = written(outcomes((1, RowState.UNKNOWN, "x"), (2, RowState.NOT_ATTEMPTED, None)), cells)
    lines = parsed(text)
    assert note == GONE
    assert lines[0] == ["_bp_note", "dest", *OURS]
    assert [line[:3] for line in lines[1:]] == [[GONE, "dest-1", "1"], [GONE, "dest-2", "2"]]


def test_without_failures_it_is_a_header_and_the_input_is_not_read() -> None:
    """A run that went well reads its input no second time."""
    text, note = written(outcomes((1, RowState.ACCEPTED, None)), gone_at_once)
    assert (parsed(text), note) == ([["dest", *OURS]], None)


def test_other_errors_of_the_source_are_not_swallowed() -> None:
    """Only a missing or changed input is expected."""

    def broken(wanted: Sequence[int]) -> Cells:
        raise Broken("BP901", str(wanted))

    with pytest.raises(Broken):
        written(outcomes((1, RowState.REJECTED, None)), broken)


def test_a_live_secret_in_a_cell_is_refused() -> None:
    """The sink looks at what it writes."""
    with pytest.raises(Broken) as caught:
        written(
            outcomes((1, RowState.REJECTED, None)), source(["dest"], {1: ["hunter2-hunter2"]}), canary="hunter2-hunter2"
        )
    assert caught.value.code == "BP902"
    assert "hunter2" not in caught.value.message


def test_the_original_file_is_named(tmp_path: Path) -> None:
    """So that a masked cell can be found again; several files are told by the first and a number."""
    files = tuple(InputFile(path=f"=fleet-{n}.csv", size=1, mtime_ns=0, sha256="0") for n in (1, 2, 3))
    run = header(rows=1)
    named = type(run)(**{name: getattr(run, name) for name in run.__slots__} | {"inputs": files})
    path = tmp_path / "failures.csv"
    write_failures(
        path,
        outcomes((1, RowState.REJECTED, None)),
        header=named,
        cells=None,
        id_column="dest",
        redactor=Blind(),
    )
    assert parsed(path.read_text())[1][-1] == "'=fleet-1.csv and 2 more row 1"
