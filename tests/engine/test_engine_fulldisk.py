"""A disk that is full: nothing more is sent, and the answers that are under way find their way into the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from engine_rig import HEADER, Listed, Run, ScriptedApi, Slow, accepts, id_in

from bulkpatch.core.work import Stop
from bulkpatch.errors import ExitCode, LedgerFailed
from bulkpatch.ledger.faults import translated
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Record, RowState

ROWS = 40
FULL = OSError(28, "full")


class FillingLedger(MemoryLedger):
    """Takes ``left`` commits, then meets a full disk until it is reopened. ``room_again``: how many it takes then."""

    def __init__(self, source: Listed, left: int, *, room_again: int = 1_000) -> None:
        super().__init__(HEADER, [source.seeds()])
        self.left = left
        self.room_again = room_again

    def commit(self, records: Sequence[Record]) -> None:
        """Until the disk is full."""
        if not self.left:
            self.close()
            raise translated(FULL)
        self.left -= 1
        super().commit(records)

    def reopen(self) -> None:
        """There is room."""
        self.left = self.room_again
        super().reopen()


def full_after(commits: int, **how: int) -> tuple[Run, FillingLedger]:
    """A run whose disk takes so many commits."""
    source = Listed(ROWS)
    ledger = FillingLedger(source, commits, **how)
    run = Run(source=source, ledger=ledger, api=ScriptedApi(accepts), make_room=ledger.reopen)
    return run, ledger


@pytest.mark.proves("G14", "G4")
def test_what_was_sent_is_answered_in_the_ledger(cases: Callable[[int], None]) -> None:
    """Wherever the disk fills: exit 8, every request that left has its outcome, no intent is left open."""
    points = range(1, 60)
    stopped = 0
    for commits in points:
        run, ledger = full_after(commits)
        stop = run.to_its_end()
        asked = {id_in(request) for _, request in run.api.asked}
        states = dict(ledger.counts())
        assert RowState.IN_FLIGHT not in states
        assert states.get(RowState.ACCEPTED, 0) == len(asked) == len(run.api.asked)
        if len(asked) == ROWS:
            continue
        stopped += 1
        assert isinstance(stop, Stop)
        assert (stop.code, stop.exit_code) == ("BP606", ExitCode.LEDGER)
        assert "Free at least 32 MiB" in stop.reason
    assert stopped > len(points) // 2
    cases(len(points))


def test_what_comes_in_groups_is_kept_too() -> None:
    """Commits that take long hold many records each: those of the group that failed and all behind it."""
    run, ledger = full_after(4)
    run.executor = Slow
    run.to_its_end()
    assert len(run.api.asked) >= run.limits.concurrency
    assert dict(ledger.counts())[RowState.ACCEPTED] == len(run.api.asked)


def test_a_disk_without_any_room_ends_the_run_as_it_stands() -> None:
    """The first failure is raised; the requests under way stay in doubt, at most as many as may be in flight."""
    run, ledger = full_after(9, room_again=0)
    with pytest.raises(LedgerFailed) as failed:
        run.to_its_end()
    assert failed.value.code == "BP606"
    ledger.reopen()
    assert 0 < dict(ledger.counts())[RowState.IN_FLIGHT] <= run.limits.concurrency


def test_a_disk_that_fails_otherwise_is_not_tried_again() -> None:
    """Only a full disk is: what a failing one wrote, or was to sync, is not trusted."""
    run, _ = full_after(9)
    tried: list[bool] = []
    run.make_room = lambda: tried.append(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("test_engine_fulldisk.FULL", OSError(5, "failing"))
        with pytest.raises(LedgerFailed) as failed:
            run.to_its_end()
    assert (failed.value.code, tried) == ("BP607", [])
