"""A job and its rows are looked at together: what is wrong with either is told at once, and nothing that follows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from api_rig import KEY, Bench

from bulkpatch import api
from bulkpatch.errors import InvalidInput, Problem

URL = "http://127.0.0.1:9"
ROWS = ({"destination_id": "id-a", "is_enabled": "yes"}, {"destination_id": "id/b", "is_enabled": True})
OF_ROWS = ["BP216", "BP214"]


def problems_of(bench: Bench, job: Path, *, run: bool = False) -> Sequence[Problem]:
    """What ``check``, or ``run``, says."""
    with pytest.raises(InvalidInput) as refused:
        (api.run if run else api.check)(job, bench.options())
    return refused.value.problems


@pytest.mark.parametrize(
    ("table", "code"),
    [
        ('[guard]\nmin_tried = "x"', "BP105"),
        ("[limits]\nper_recipient = 3", "BP105"),
        ('[verify]\nconnection_test = "sometimes"', "BP105"),
        ('[expect]\nvendr = "postgres"', "BP107"),
        ("[sned]\nx = 1", "BP103"),
    ],
)
def test_a_table_that_is_no_matter_of_the_rows_hides_none_of_their_flaws(tmp_path: Path, table: str, code: str) -> None:
    """The job's first, then the rows' as they would have been told without it."""
    bench = Bench(tmp_path)
    job = bench.job(ROWS, URL, more=table if "guard" not in table else "")
    if "guard" in table:
        job.write_text(job.read_text().replace("[guard]", table))
    assert [one.code for one in problems_of(bench, job)] == [code, *OF_ROWS]


def test_flaws_of_many_tables_are_told_with_those_of_the_rows(tmp_path: Path) -> None:
    """The job's name, the address, the rate and a transport that is none; and the columns of the waves still count."""
    bench = Bench(tmp_path)
    rows = [{**row, "region": "eu"} for row in ROWS]
    job = bench.job(rows, "ftp://x", more='[[wave]]\nsize = "rest"\nby = "region"\n', input='labels = ["region"]')
    job.write_text(job.read_text().replace('"job"', '"Bad Name"').replace('"1000/s"', '"quick"\ntransport = "pigeon"'))
    told = problems_of(bench, job)
    assert [one.line for one in told] == [2, 4, 11, 12, 1, 2]
    assert [one.code for one in told[4:]] == OF_ROWS


@pytest.mark.parametrize(
    "tables", [{"input": 'nul = "x"'}, {"patch": "is_enabld = true"}, {"more": "[[wave]]\nsize = 0"}]
)
def test_a_job_that_says_wrongly_how_rows_are_read_is_told_alone(tmp_path: Path, tables: dict[str, str]) -> None:
    """What its rows are is not known before it is mended."""
    bench = Bench(tmp_path)
    told = problems_of(bench, bench.job(ROWS, URL, **tables))
    assert {one.code for one in told}.isdisjoint(OF_ROWS)


def test_sound_rows_add_nothing_to_the_flaws_of_their_job(tmp_path: Path) -> None:
    """Also where the key is missing, or a file that the job names."""
    bench = Bench(tmp_path)
    job = bench.job([{"destination_id": "id-a", "is_enabled": True}], URL)
    text = job.read_text()
    job.write_text(text.replace('"1000/s"', '"quick"'))
    assert [one.code for one in problems_of(bench, job)] == ["BP106"]
    job.write_text(text.replace("[api]", '[api]\nca_file = "missing.pem"'))
    assert [one.code for one in problems_of(bench, job)] == ["BP105"]
    job.write_text(text)
    assert [one.code for one in problems_of(Bench(tmp_path, environ={}), job, run=True)] == ["BP302"]


@pytest.mark.parametrize(
    ("environ", "more", "code"),
    [
        ({}, "", "BP302"),
        ({"PREQUEL_API_KEY": "two words"}, "", "BP304"),
        ({"PREQUEL_API_KEY": KEY}, 'ca_file = "missing.pem"', "BP105"),
    ],
)
def test_a_key_or_a_file_that_does_not_serve_hides_no_flaw_of_the_rows(
    tmp_path: Path, environ: dict[str, str], more: str, code: str
) -> None:
    bench = Bench(tmp_path, environ=environ)
    job = bench.job(ROWS, URL)
    job.write_text(job.read_text().replace("[api]", f"[api]\n{more}"))
    assert [one.code for one in problems_of(bench, job, run=True)] == [code, *OF_ROWS]


def test_a_linked_job_finds_its_input_beside_the_link(tmp_path: Path) -> None:
    """Where it was named, and not where the link leads to."""
    (tmp_path / "here").mkdir()
    (tmp_path / "there").mkdir()
    here, there = Bench(tmp_path / "here"), Bench(tmp_path / "there")
    real = there.job([{"destination_id": "id-there", "is_enabled": True}], URL)
    link = here.job([{"destination_id": one, "is_enabled": True} for one in ("id-a", "id-b")], URL)
    link.unlink()
    link.symlink_to(real)
    assert [api.check(job, here.options()).rows for job in (link, real)] == [2, 1]
