"""A leak that is planted is found: in each encoding, at each place of a file, and in what SQLite leaves behind."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secrets_rig import ASCII, CANARIES, ENCODERS, NASTY, PEM, RealClock, SteppingClock, redactor_of

from bulkpatch.secrets.leaks import CHUNK_BYTES, Budget, search_folder
from bulkpatch.secrets.redaction import LiveRedactor


def search(folder: Path, redactor: LiveRedactor) -> set[tuple[str, str]]:
    """``(file, reference)`` of every leak found; nothing may have been skipped."""
    report = search_folder(folder, redactor, clock=RealClock())
    assert report.skipped == ()
    return {(name, reference) for name, reference, _ in report.hits}


@pytest.mark.proves("G7")
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_a_leak_in_each_encoding(tmp_path: Path, encoder: Callable[[str], bytes]) -> None:
    """Each canary is found in each encoding, in its own file, and a clean file is not accused."""
    for name, canary in CANARIES.items():
        (tmp_path / name).write_bytes(b"some text\n" + encoder(canary) + b"\nmore")
    (tmp_path / "clean").write_bytes(b"nothing here")
    expected = {(name, f"env:S{number}") for number, name in enumerate(CANARIES)}
    assert search(tmp_path, redactor_of(*CANARIES.values())) == expected


@pytest.mark.parametrize("back", [0, 1, 2, 5, 16, 31, 33, 500_001])
@pytest.mark.parametrize("others", [0, 9])
def test_a_leak_across_two_chunks(tmp_path: Path, back: int, others: int) -> None:
    """A secret that begins ``back`` bytes before the end of a chunk is found, in the overlap or deep inside."""
    for chunks in (1, 2):
        content = bytearray((chunks + 1) * CHUNK_BYTES)
        place = chunks * CHUNK_BYTES - back
        content[place : place + len(ASCII)] = ASCII.encode()
        (tmp_path / f"after{chunks}").write_bytes(content)
    assert search(tmp_path, redactor_of(ASCII, *(f"another-{number}" for number in range(others)))) == {
        ("after1", "env:S0"),
        ("after2", "env:S0"),
    }


@given(
    before=st.binary(max_size=70),
    value=st.text('ab\u00e9/"+ <', min_size=6, max_size=12),
    form=st.sampled_from([*ENCODERS]),
    others=st.sampled_from([0, 9]),
)
@settings(max_examples=200, deadline=None)
def test_a_leak_at_any_place(before: bytes, value: str, form: str, others: int) -> None:
    """Whatever stands before it, and at whatever alignment: an encoded secret is found."""
    redactor = redactor_of(value, *(f"{ASCII}{number}" for number in range(others)))
    document = before + ENCODERS[form](value)
    assert any(hit.end > len(before) and hit.reference == "env:S0" for hit in redactor.find(document))


def test_a_leak_in_sqlite_pages_that_were_freed_and_in_its_log(tmp_path: Path) -> None:
    """A deleted row in a free page and an open write-ahead log are bytes like others."""
    with contextlib.closing(sqlite3.connect(tmp_path / "freed.sqlite")) as freed:
        freed.execute("pragma secure_delete = off")
        freed.execute("create table t (a text)")
        freed.executemany("insert into t values (?)", [(f"row {number} {ASCII}",) for number in range(300)])
        freed.commit()
        freed.execute("delete from t")
        freed.commit()
    with contextlib.closing(sqlite3.connect(tmp_path / "log.sqlite")) as logged:
        logged.execute("pragma journal_mode = wal")
        logged.execute("create table t (a text)")
        logged.execute("insert into t values (?)", (NASTY,))
        logged.commit()
        found = search(tmp_path, redactor_of(ASCII, NASTY))
    assert {("freed.sqlite", "env:S0"), ("log.sqlite-wal", "env:S1")} <= found


def test_a_long_secret_that_sqlite_splits_over_its_pages(tmp_path: Path) -> None:
    """Of a value cut by overflow pages at least one watched piece stays whole."""
    with contextlib.closing(sqlite3.connect(tmp_path / "pages.sqlite")) as database:
        database.execute("create table t (a text)")
        database.execute("insert into t values (?)", ("x" * 300 + PEM,))
        database.commit()
    assert PEM.encode() not in (tmp_path / "pages.sqlite").read_bytes()
    assert search(tmp_path, redactor_of(PEM)) == {("pages.sqlite", "env:S0")}


def test_an_api_key_is_found_by_its_shape(tmp_path: Path) -> None:
    """No list is needed for what looks like a key of this API."""
    (tmp_path / "run.json").write_text('{"key":"sk_staging_0a1b2c"}')
    assert search(tmp_path, LiveRedactor()) == {("run.json", "an API key")}


def test_folders_are_entered_and_links_are_not(tmp_path: Path) -> None:
    """The search stays inside the run folder."""
    run = tmp_path / "run"
    (run / "deep").mkdir(parents=True)
    (run / "deep" / "file").write_text(ASCII)
    (tmp_path / "outside").write_text(ASCII)
    (run / "link").symlink_to(tmp_path / "outside")
    assert search(run, redactor_of(ASCII)) == {("deep/file", "env:S0")}


def test_what_the_budget_leaves_out_is_named(tmp_path: Path) -> None:
    """Bytes and seconds end the search, and the files left over are listed."""
    for name in "abc":
        (tmp_path / name).write_bytes(bytes(1000))
    by_bytes = search_folder(tmp_path, redactor_of(ASCII), clock=RealClock(), budget=Budget(bytes=1500))
    assert (by_bytes.files, by_bytes.skipped) == (1, ("b", "c"))
    by_time = search_folder(tmp_path, redactor_of(ASCII), clock=SteppingClock(1.0), budget=Budget(seconds=1.5))
    assert (by_time.files, by_time.skipped, by_time.searched_for) == (1, ("b", "c"), 1)


def test_a_file_that_cannot_be_read_counts_as_skipped(tmp_path: Path) -> None:
    """A file that goes away between listing and opening is no clean file."""
    (tmp_path / "gone").write_text(ASCII)

    class Vanishing(RealClock):
        def monotonic(self) -> float:
            (tmp_path / "gone").unlink(missing_ok=True)
            return super().monotonic()

    report = search_folder(tmp_path, redactor_of(ASCII), clock=Vanishing())
    assert report.files == 0
