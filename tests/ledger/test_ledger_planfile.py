"""A kept plan is whole, and becomes the ledger of one run only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rig import header, seeds

from bulkpatch.errors import Mismatch
from bulkpatch.ledger.opening import create, open_ledger
from bulkpatch.ledger.planfile import read_plan, use_plan, write_plan


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of twenty rows."""
    made = tmp_path / "made"
    made.mkdir()
    create(made, header(), seeds(20)).close()
    write_plan(made, tmp_path / "kept.bpplan")
    return tmp_path / "kept.bpplan"


def used(plan: Path, name: str) -> Path:
    """The folder of a run that the plan became the ledger of."""
    folder = plan.parent / name
    folder.mkdir()
    use_plan(plan, folder, header(run_id=name), runs=())
    return folder


@pytest.mark.proves("G4")
def test_a_plan_is_used_once_though_nothing_is_left_of_the_run_that_used_it(plan: Path) -> None:
    """The mark is in the plan itself, so that it counts in another report folder, too."""
    with closing(open_ledger(used(plan, "first"))) as ledger:
        assert (ledger.header().run_id, len(ledger.pending_between(1, 20))) == ("first", 18)
    with pytest.raises(Mismatch, match="was used already, by first") as refused:
        used(plan, "second")
    assert refused.value.code == "BP613"
    assert list((plan.parent / "second").iterdir()) == []


@pytest.mark.proves("G9")
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE row SET destination_id = 'x' WHERE row = 3",
        "UPDATE row SET digest = x'00' WHERE row = 3",
        "UPDATE row SET wave = 2 WHERE row = 3",
        "DELETE FROM row WHERE row = 3",
        "UPDATE meta SET value = replace(value, 'x', 'y') || ' ' WHERE key = 'header'",
        "INSERT INTO act (at_us, kind, actor, detail) VALUES (0, 'approved', 'me', '{}')",
    ],
)
def test_a_plan_that_was_edited_is_refused(plan: Path, edit: str) -> None:
    """Whatever of it: the seal covers all that the run goes by."""
    with closing(sqlite3.connect(plan)) as file, file:
        file.execute(edit)
    with pytest.raises(Mismatch, match="was changed since it was made"):
        read_plan(plan)
