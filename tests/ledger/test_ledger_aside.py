"""What a dead run's ledger says, read without touching it."""

from __future__ import annotations

from pathlib import Path

from ledger_rig import header, intent, outcome, seeds

from bulkpatch.ledger.aside import counts_aside
from bulkpatch.ledger.opening import create
from bulkpatch.model import RowState


def test_what_is_in_the_log_only_is_counted_and_nothing_is_touched(tmp_path: Path) -> None:
    """As a kill leaves it: open, with its last commits in the write-ahead log. Who holds it open is not disturbed."""
    ledger = create(tmp_path, header(), seeds(20))
    ledger.commit([intent(1), outcome(1), intent(2)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert counts_aside(tmp_path) == {RowState.ACCEPTED: 1, RowState.IN_FLIGHT: 1, RowState.PENDING: 18}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    ledger.commit([outcome(2)])
    ledger.close()
    assert counts_aside(tmp_path) == {RowState.ACCEPTED: 2, RowState.PENDING: 18}


def test_what_cannot_be_told_is_not_guessed(tmp_path: Path) -> None:
    assert counts_aside(tmp_path) is None
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger" * 1000)
    assert counts_aside(tmp_path) is None
