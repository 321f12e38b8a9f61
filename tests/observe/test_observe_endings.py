"""The last lines say how it ended before anything else, and what to type next."""

from __future__ import annotations

from observe_rig import RUN, result, snapshot

from bulkpatch.errors import ExitCode
from bulkpatch.model import FailureKind, RowState
from bulkpatch.observe.endings import ended_lines


def test_a_run_without_failures() -> None:
    """One command to look at it, none to mend it."""
    done = snapshot(total=6_028, states={RowState.ACCEPTED: 6_016, RowState.NOOP: 12})
    assert ended_lines(result(exit_code=ExitCode.DONE, snapshot=done)) == [
        "Done: 6,028 rows, none failed.",
        "  accepted 6,016 · noop 12 · in 2 min 4 s",
        f"  bulkpatch report {RUN}  shows the outcomes",
    ]


def test_on_a_narrow_terminal_commands_stay_whole() -> None:
    """Words are broken between words, and what a command does goes below it."""
    stopped = result(status="stopped", exit_code=3, snapshot=snapshot(), code="BP501", reason="2.1% of the rows failed")
    assert ended_lines(stopped, 40) == [
        "Stopped: 6,033 of 12,000 rows settled, 5",
        "  failed. The ledger is safe.",
        "  accepted 6,016 · noop 12 · rejected 4",
        "  · unknown 1 · pending 5,967 · in 2 min",
        "  4 s",
        "  2.1% of the rows failed [BP501]",
        f"  bulkpatch resume {RUN}",
        "    goes on where it stopped",
        f"  bulkpatch report {RUN}",
        "    shows the outcomes",
        "  bulkpatch explain BP501",
        "    says what the code means",
    ]
    assert ended_lines(stopped, 200) == ended_lines(stopped)


def test_a_run_of_one_row() -> None:
    """In the singular."""
    one = snapshot(total=1, states={RowState.VERIFIED: 1}, elapsed_s=0.4)
    assert ended_lines(result(exit_code=ExitCode.DONE, snapshot=one))[0] == "Done: 1 row, none failed."


def test_a_run_with_failed_and_unknown_rows() -> None:
    """Unknown rows are not called failed and left at that; retry is offered."""
    assert ended_lines(result(exit_code=ExitCode.UNKNOWN_ROWS)) == [
        "Finished: 5 of 6,033 rows failed, 1 of them unknown: they may have been applied.",
        "  accepted 6,016 · noop 12 · rejected 4 · unknown 1 · in 2 min 4 s",
        f"  bulkpatch reconcile {RUN}  asks the API which of the unknown rows were applied",
        f"  bulkpatch retry {RUN}      sends the failed rows again, as a new run",
        f"  bulkpatch report {RUN}     shows the outcomes",
    ]


def test_a_simulator_that_is_gone_is_not_asked() -> None:
    """What is unknown of a simulated run stays so."""
    assert not [line for line in ended_lines(result(exit_code=7, simulated=True)) if "reconcile" in line]


def test_failures_are_grouped_by_cause() -> None:
    """The most frequent first, each with its state: two states of one message are two causes. The rest is a number."""
    kinds = [
        FailureKind(rows=1_200, state=RowState.REJECTED, code="BP401", error="no such machine"),
        FailureKind(rows=7, state=RowState.EXHAUSTED, code="BP403", error="HTTP 500"),
        FailureKind(rows=3, state=RowState.UNKNOWN, code="BP403", error="HTTP 500"),
        *(FailureKind(rows=1, state=RowState.SKIPPED) for _ in range(3)),
    ]
    lines = ended_lines(result(failures=tuple(kinds), failure_kinds=12))
    assert [line for line in lines if "✗" in line] == [
        "  ✗ 1,200 x rejected: BP401 no such machine",
        "  ✗     7 x exhausted: BP403 HTTP 500",
        "  ✗     3 x unknown: BP403 HTTP 500",
        "  ✗     1 x skipped:",
        "  ✗     1 x skipped:",
        "  ✗ and 7 more causes",
    ]


def test_rows_that_retry_would_not_take() -> None:
    """Skipped and unverified rows alone do not call for a retry."""
    skipped = snapshot(total=3, states={RowState.ACCEPTED: 2, RowState.SKIPPED: 1})
    lines = ended_lines(result(snapshot=skipped))
    assert lines[0] == "Finished: 1 of 3 rows failed."
    assert not [line for line in lines if "retry" in line]


def test_a_run_that_was_stopped() -> None:
    """Reason, code and resume; what is pending is counted."""
    stopped = result(
        status="stopped", exit_code=3, snapshot=snapshot(), code="BP501", reason="2.1% of the rows tried failed"
    )
    assert ended_lines(stopped) == [
        "Stopped: 6,033 of 12,000 rows settled, 5 failed. The ledger is safe.",
        "  accepted 6,016 · noop 12 · rejected 4 · unknown 1 · pending 5,967 · in 2 min 4 s",
        "  2.1% of the rows tried failed [BP501]",
        f"  bulkpatch resume {RUN}  goes on where it stopped",
        f"  bulkpatch report {RUN}  shows the outcomes",
        f"  {'bulkpatch explain BP501':<{len('bulkpatch resume ' + RUN)}}  says what the code means",
    ]


def test_a_run_whose_wave_failed_its_gate() -> None:
    """A resume would stop at the same gate, so it is not what is offered."""
    lines = ended_lines(result(status="stopped", exit_code=3, snapshot=snapshot(), code="BP506", reason="1 of 1"))
    assert lines[3] == f"  bulkpatch retry {RUN}   sends failed and untouched rows, as a new run"
    assert not [line for line in lines if "resume" in line]


def test_a_run_that_was_interrupted() -> None:
    """By a signal."""
    lines = ended_lines(result(status="interrupted", exit_code=130, snapshot=snapshot(states={}), code="BP503"))
    assert lines[0] == "Interrupted: 0 of 12,000 rows settled, 0 failed. The ledger is safe."
    assert lines[1] == "  pending 12,000 · in 2 min 4 s"
