"""A piece of the disk that is held, and given back when the disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkpatch.errors import LedgerFailed
from bulkpatch.ledger.ballast import BYTES, FILE, Ballast


def test_it_holds_room_while_it_lasts(tmp_path: Path) -> None:
    """Blocks of the disk and no hole, readable by the user alone; at the end they are free."""
    with Ballast(tmp_path):
        held = (tmp_path / FILE).stat()
        assert held.st_size == BYTES
        assert held.st_blocks * 512 >= BYTES
        assert held.st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == []


def test_it_is_freed_once_and_laid_again(tmp_path: Path) -> None:
    """Freeing twice is freeing once, and what a killed process left is replaced, not followed."""
    other = tmp_path / "other"
    other.write_bytes(b"mine")
    (tmp_path / FILE).symlink_to(other)
    with Ballast(tmp_path) as ballast:
        assert (tmp_path / FILE).is_symlink() is False
        ballast.free()
        assert not (tmp_path / FILE).exists()
        ballast.free()
    assert other.read_bytes() == b"mine"


def test_where_it_cannot_be_laid_nothing_is_begun(tmp_path: Path) -> None:
    """The error is the disk's."""
    with pytest.raises(LedgerFailed), Ballast(tmp_path / "nowhere"):
        pytest.fail("it went on")
