"""Where a row ends, by the stage it was in and what its last attempt came to."""

from __future__ import annotations

from bulkpatch.core.work import Work
from bulkpatch.model import RowState, Stage, Verdict, VerdictKind


def outcome_of(work: Work, verdict: Verdict) -> RowState:
    """The state that ``verdict``, after which nothing more is asked, gives the row."""
    if work.stage is Stage.VERIFY:
        return RowState.VERIFIED if verdict.kind is VerdictKind.ACCEPTED else RowState.UNVERIFIED
    if verdict.kind is VerdictKind.ACCEPTED:
        return RowState.ACCEPTED
    if verdict.kind is VerdictKind.SKIP:
        return RowState.SKIPPED
    if verdict.kind is VerdictKind.FINAL:
        # An answer that was understood ends a doubt; a request that could not be made does not.
        return RowState.UNKNOWN if work.doubted and verdict.http_status is None else RowState.REJECTED
    return RowState.UNKNOWN if work.doubted else RowState.EXHAUSTED
