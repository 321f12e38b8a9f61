"""A row ends as its stage and its last verdict say, and a doubt is never called a refusal."""

from __future__ import annotations

import pytest
from core_rig import BUSY, DOUBT, FINAL, OK, UNMADE, work

from bulkpatch.core.verdicts import outcome_of
from bulkpatch.model import RowState, Stage, Verdict, VerdictKind

SKIP = Verdict(kind=VerdictKind.SKIP, code="BP421", message="vendor is another", http_status=200)


@pytest.mark.proves("G2")
@pytest.mark.parametrize(
    ("stage", "verdict", "doubted", "state"),
    [
        (Stage.PATCH, OK, False, RowState.ACCEPTED),
        (Stage.PATCH, OK, True, RowState.ACCEPTED),
        (Stage.PATCH, FINAL, False, RowState.REJECTED),
        (Stage.PATCH, FINAL, True, RowState.REJECTED),
        (Stage.PATCH, UNMADE, False, RowState.REJECTED),
        (Stage.PATCH, UNMADE, True, RowState.UNKNOWN),
        (Stage.PATCH, BUSY, False, RowState.EXHAUSTED),
        (Stage.PATCH, BUSY, True, RowState.UNKNOWN),
        (Stage.PATCH, DOUBT, True, RowState.UNKNOWN),
        (Stage.EXPECT, SKIP, False, RowState.SKIPPED),
        (Stage.EXPECT, FINAL, False, RowState.REJECTED),
        (Stage.EXPECT, BUSY, False, RowState.EXHAUSTED),
        (Stage.PRETEST, FINAL, False, RowState.REJECTED),
        (Stage.PRETEST, BUSY, False, RowState.EXHAUSTED),
        (Stage.VERIFY, OK, False, RowState.VERIFIED),
        (Stage.VERIFY, OK, True, RowState.VERIFIED),
        (Stage.VERIFY, FINAL, False, RowState.UNVERIFIED),
        (Stage.VERIFY, UNMADE, True, RowState.UNVERIFIED),
        (Stage.VERIFY, BUSY, False, RowState.UNVERIFIED),
        (Stage.VERIFY, SKIP, False, RowState.UNVERIFIED),
    ],
)
def test_where_a_row_ends(stage: Stage, verdict: Verdict, *, doubted: bool, state: RowState) -> None:
    one = work(1)
    one.stage, one.doubted = stage, doubted
    assert outcome_of(one, verdict) is state
