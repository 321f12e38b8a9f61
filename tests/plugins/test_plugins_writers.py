"""A report writer leaves plain private files in a folder of its own, or none and a reason."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from plugins_rig import install

from bulkpatch.plugins import found
from bulkpatch.reporting.others import FILES_MAX, write_others

Write = Callable[..., tuple[str, ...]]
FACTS = {"verdict": "all done", "run": {"rows": 2}}


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run's, as far as a writer sees it."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    pl.DataFrame({"row": [1, 2]}).write_parquet(folder / "outcomes.parquet")
    return folder


@pytest.fixture
def write(run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Lets a writer that does ``act`` write."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))

    def written(act: str, limit_s: float = 60.0) -> tuple[str, ...]:
        source = f"import os, time\ndef tally(outcomes, facts, folder):\n    {act}\n"
        install(site, "tally_writer", source=source, writers="tally = tally_writer:tally")
        found.cache_clear()
        sys.modules.pop("tally_writer", None)
        return write_others(run_folder, ["tally"], run_folder / "outcomes.parquet", FACTS, limit_s=limit_s)

    yield written
    found.cache_clear()
    sys.modules.pop("tally_writer", None)


def left(folder: Path) -> list[str]:
    """Everything below ``folder``, by name."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_writer_reads_the_outcomes_and_cannot_change_the_facts(write: Write, run_folder: Path) -> None:
    act = "(folder / 'n.txt').write_text(str(outcomes.collect().height) + facts.pop('verdict')); facts['run'].clear()"
    assert write(act) == ()
    assert (run_folder / "tally" / "n.txt").read_text() == "2all done"
    assert FACTS == {"verdict": "all done", "run": {"rows": 2}}


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("raise ValueError('hunter2')", "it failed (ValueError)"),
        ("pass", "it left no file"),
        ("(folder / 'link').symlink_to('/etc/hostname')", "it left what is no plain file with a plain name"),
        ("os.mkfifo(folder / 'pipe')", "it left what is no plain file with a plain name"),
        (
            "(folder / 'new.txt').write_text('new'); (folder / 'deep').mkdir()",
            "it left what is no plain file with a plain name",
        ),
        ("(folder / '-rf').write_text('')", "it left what is no plain file with a plain name"),
        ("(folder / 'a b').write_text('')", "it left what is no plain file with a plain name"),
        (f"[(folder / str(n)).write_text('') for n in range({FILES_MAX + 1})]", f"it left more than {FILES_MAX} files"),
        ("folder.rmdir()", "its files could not be kept: no such file or directory"),
    ],
)
def test_what_a_writer_may_not_leave_is_not_kept(write: Write, run_folder: Path, act: str, words: str) -> None:
    """And what it wrote for an earlier report stays."""
    assert write("(folder / 'old.txt').write_text('old')") == ()
    assert write(act) == (f"report writer tally: {words}",)
    assert left(run_folder) == ["outcomes.parquet", "tally", "tally/old.txt"]


def test_a_writer_that_takes_too_long_is_left_behind(write: Write, run_folder: Path) -> None:
    began_s = time.monotonic()
    assert write("time.sleep(20)", limit_s=0.2) == ("report writer tally: it did not end within 0.2 s",)
    assert time.monotonic() - began_s < 20
    assert left(run_folder) == ["outcomes.parquet"]


def test_a_link_in_the_way_is_not_followed(write: Write, run_folder: Path, tmp_path: Path) -> None:
    """Whatever stood at the writer's name makes room for a folder of ours."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (run_folder / "tally").symlink_to(elsewhere)
    assert write("(folder / 'new.txt').write_text('new')") == ()
    assert left(elsewhere) == []
    assert left(run_folder) == ["outcomes.parquet", "tally", "tally/new.txt"]
