"""Which earlier run a report compares its own with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkpatch.api.earlier import earlier_run
from bulkpatch.model import RunHeader

HOUR_US = 3_600_000_000
FIRST_US = 1_764_000_000_000_000


def header(**more: Any) -> RunHeader:
    """A run that began in the tenth hour."""
    given: dict[str, Any] = {
        "run_id": "j-20251124T100000Z-aaaa",
        "job_name": "j",
        "job_path": "j.toml",
        "job_sha256": "",
        "inputs": (),
        "input_sha256": "",
        "base_url": "",
        "tool_version": "",
        "created_at_us": FIRST_US + 10 * HOUR_US,
    }
    return RunHeader(**{**given, **more})


def run(reports: Path, hour: int, *, name: str = "j", files: tuple[str, ...] = (), **facts: Any) -> Path:
    """A finished run of that hour, beside the others."""
    folder = reports / f"{name}-20251124T{hour:02d}0000Z-aaaa"
    folder.mkdir()
    for file in files or ("ledger.sqlite", "outcomes.parquet"):
        (folder / file).write_bytes(b"")
    told = {"job": name, "simulated": False, "dry_run": False, "created_at_us": FIRST_US + hour * HOUR_US, **facts}
    (folder / "run.json").write_text(json.dumps(told))
    return folder


def test_the_newest_run_of_the_same_job_before_it_is_taken(tmp_path: Path) -> None:
    """Not a later one, nor one of another job, nor itself."""
    run(tmp_path, 7)
    wanted = run(tmp_path, 8)
    run(tmp_path, 9, name="j-other")
    mine = run(tmp_path, 10)
    run(tmp_path, 11)
    assert earlier_run(mine, header()) == wanted
    assert earlier_run(tmp_path / "link" / ".." / mine.name, header()) == wanted


@pytest.mark.parametrize(
    "facts",
    [
        {"dry_run": True},
        {"simulated": True},
        {"job": "j-other"},
        {"created_at_us": None},
        {"created_at_us": "yesterday"},
        {"files": ("ledger.sqlite",)},
        {"files": ("outcomes.parquet",)},
    ],
    ids=str,
)
def test_a_run_that_says_nothing_about_this_one_is_passed_over(tmp_path: Path, facts: dict[str, Any]) -> None:
    """What was not sent, went elsewhere, or cannot be read."""
    run(tmp_path, 9, **facts)
    mine = run(tmp_path, 10)
    assert earlier_run(mine, header()) is None
    wanted = run(tmp_path, 5)
    assert earlier_run(mine, header()) == wanted


@pytest.mark.parametrize("text", ["", "[]", "1", "{", "\udc00"], ids=["empty", "list", "number", "half", "no text"])
def test_a_run_file_that_cannot_be_read_is_passed_over(tmp_path: Path, text: str) -> None:
    (run(tmp_path, 9) / "run.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    assert earlier_run(run(tmp_path, 10), header()) is None


def test_a_dry_run_is_compared_with_nothing(tmp_path: Path) -> None:
    """It has no answers."""
    run(tmp_path, 9)
    assert earlier_run(run(tmp_path, 10), header(dry_run=True)) is None
