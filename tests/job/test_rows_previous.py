"""Columns of values before the run: read and checked with the rest, and never sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from rows_rig import CANARY, FORMATS, PASSWORD, assert_told, bodies_of, check_of, everything, problem_of, rows_of

MAPPED = f'previous = {{ old_pw = "{PASSWORD}", old_name = "name" }}\nnull = "\\\\N"'
TABLE = {
    "destination_id": ["a", "b"],
    PASSWORD: ["env:NEW", "env:NEW"],
    "old_pw": ["env:OLD_A", "\\N"],
    "old_name": ["First", ""],
}


@pytest.mark.parametrize("kind", FORMATS)
def test_a_previous_value_is_neither_sent_nor_counted(tmp_path: Path, kind: str) -> None:
    """Bodies, counts and references are those of the fields alone, in every format."""
    found = check_of(tmp_path, TABLE, kind=kind, options=MAPPED)
    assert (found.fields, found.references, found.warnings) == ({PASSWORD: 2}, 2, ())
    sent = '{"postgres":{"password_auth":{"password":"env:NEW"}}}'
    assert bodies_of(tmp_path, TABLE, kind=kind, options=MAPPED) == [sent, sent]


def test_a_previous_column_called_like_a_field_does_not_set_it(tmp_path: Path) -> None:
    """The part that the job gives a column wins over its name."""
    table = {"destination_id": ["a"], "name": ["Before"], "is_enabled": ["false"]}
    assert bodies_of(tmp_path, table, options='previous = { name = "name" }') == ['{"is_enabled":false}']


def test_reports_get_the_references_back(tmp_path: Path) -> None:
    """The cells of a row stand as they were, so that failed rows can be reversed after they were run again."""
    names, rows = rows_of(tmp_path, TABLE, options=MAPPED).cells(lambda first, last: range(first, last + 1))
    assert [dict(zip(names, cells, strict=True))["old_pw"] for _, cells in rows] == ["env:OLD_A", "\\N"]


@pytest.mark.parametrize("inline", ["false", "true"])
def test_a_previous_secret_is_a_reference_whatever_cells_may_hold(tmp_path: Path, inline: str) -> None:
    """Nobody sends it, so nobody would watch for it: it is refused and not shown."""
    table = {"destination_id": ["a"], "name": ["x"], "old_pw": [CANARY]}
    options = f'previous = {{ old_pw = "{PASSWORD}" }}\ninline_secrets = {inline}'
    problem = problem_of(tmp_path, table, options=options)
    assert_told(problem, "BP301", "not a secret reference", line=2, row=1, column="old_pw")
    assert CANARY not in everything(problem)
    assert "inline_secrets" not in problem.hint


def test_a_previous_value_fits_its_field(tmp_path: Path) -> None:
    """What could not be put back is found before anything is sent."""
    table = {"destination_id": ["a"], "name": ["x"], "was": ["maybe"]}
    problem = problem_of(tmp_path, table, options='previous = { was = "is_enabled" }')
    assert_told(problem, "BP216", "not a Boolean", line=2, row=1, column="was")


def test_a_previous_column_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A job that counts on it must not run without it."""
    problem = problem_of(
        tmp_path, {"destination_id": ["a"], "name": ["x"]}, options='previous = { was = "is_enabled" }'
    )
    assert_told(problem, "BP228", "the job names a column that is not there", fix="")


def test_a_column_of_previous_secrets_is_nothing_that_is_seen(tmp_path: Path) -> None:
    """A label is shown in reports, and where a reference belongs a secret may be pasted."""
    table = {"destination_id": ["a"], "name": ["x"], "old_pw": ["env:OLD"]}
    options = f'previous = {{ old_pw = "{PASSWORD}" }}\nlabels = ["old_pw"]'
    assert_told(problem_of(tmp_path, table, options=options), "BP215", "a label", column="old_pw")
