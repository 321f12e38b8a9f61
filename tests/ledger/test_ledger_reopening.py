"""What a process finds beside a ledger that was killed: its own log, which is folded back, or another run's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger_rig import act, header, intent, outcome, seeds

from bulkpatch.errors import ExitCode, LedgerFailed
from bulkpatch.ledger.opening import FILE, OWNER, create, open_ledger
from bulkpatch.ledger.sqlite import SqliteLedger
from bulkpatch.model import RowState

LOG = f"{FILE}-wal"


def killed(folder: Path, run_id: str) -> Path:
    """A ledger of ten rows as a kill leaves it: its last commits stand in the log only."""
    with closing(create(made(folder / "alive"), header(run_id=run_id), seeds(10))) as ledger:
        ledger.commit([act("started", detail=json.dumps({OWNER: run_id}))])
        ledger.commit([intent(1), outcome(1), intent(2)])
        left = made(folder / "left")
        for name in (FILE, LOG):
            shutil.copy(folder / "alive" / name, left / name)
    return left


def made(folder: Path) -> Path:
    """A new folder."""
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def reopened(tmp_path: Path) -> Iterator[SqliteLedger]:
    """The next process's."""
    with closing(open_ledger(killed(tmp_path, "one"))) as ledger:
        yield ledger


def test_a_log_is_written_anew_before_more_is_added_to_it(tmp_path: Path, reopened: SqliteLedger) -> None:
    """It may be in memory only, where an fsync of it had failed: all of it is put into the file, and that is synced."""
    assert (tmp_path / "left" / LOG).stat().st_size == 0
    assert reopened.counts() == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 1, RowState.PENDING: 8}
    alone = made(tmp_path / "alone")
    shutil.copy(tmp_path / "left" / FILE, alone / FILE)
    with closing(open_ledger(alone)) as without_log:
        assert without_log.counts() == reopened.counts()


def test_another_runs_log_is_refused_untouched(tmp_path: Path) -> None:
    """Though it is sound, and of the same rows."""
    left, other = killed(tmp_path / "1", "one"), killed(tmp_path / "2", "two")
    shutil.copy(other / LOG, left / LOG)
    before = {path.name: path.read_bytes() for path in left.iterdir()}
    with pytest.raises(LedgerFailed) as refused:
        open_ledger(left)
    assert (refused.value.code, refused.value.exit_code) == ("BP605", ExitCode.LEDGER)
    assert {path.name: path.read_bytes() for path in left.iterdir()} == before
