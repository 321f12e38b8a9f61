"""What ``run.json`` and a live run's answer hold of a snapshot is that snapshot."""

from __future__ import annotations

import json

from bulkpatch.api.runfile import facts_of, snapshot_of
from bulkpatch.model import RowState, Snapshot, WaveView

WAVE = WaveView(number=2, waves=3, rows=60, tried=40, failed=1, phase="soaking", name="a tenth", waits_s=4.5)
MOMENT = Snapshot(
    total=100,
    states={RowState.ACCEPTED: 40, RowState.REJECTED: 1},
    in_flight=3,
    sends=50,
    retries=9,
    throttled=2,
    rate_asked=20.0,
    rate_limit=10.5,
    rate_now=9.8,
    p50_ms=12.0,
    p95_ms=80.0,
    elapsed_s=7.0,
    left_s=400.0,
    soaks_s=300.0,
    opens_in_s=60.0,
    approvals=1,
    bound_by="the rate",
    paused=True,
    wave=WAVE,
    stopping="why",
)


def test_a_snapshot_comes_back_whole() -> None:
    """Every field of it, so that ``status`` says what the live view says."""
    assert snapshot_of(json.loads(json.dumps({"rows": 100, **facts_of(MOMENT)}))) == MOMENT


def test_a_file_of_another_version_is_read_as_far_as_it_goes() -> None:
    """Less than is asked for, or more."""
    assert snapshot_of({"rows": 7, "counts": {"noop": 2}}) == Snapshot(total=7, states={RowState.NOOP: 2})
    told = {"rows": 100, **facts_of(MOMENT), "at_wave": {**facts_of(MOMENT)["at_wave"], "mood": "new"}, "new": 1}
    assert snapshot_of(told) == MOMENT
