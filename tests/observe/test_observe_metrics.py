"""A run as metrics and as traces: what a collector reads while it runs and after it ended."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from observe_rig import ended, snapshot, started
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from bulkpatch.errors import InvalidInput
from bulkpatch.model import (
    Outcome,
    Progressed,
    RowSetBack,
    RowSettled,
    RowState,
    Setback,
    Stage,
)
from bulkpatch.observe.metrics import Metrics
from bulkpatch.observe.tracing import Traces

AT_US = 1_790_000_000_000_000
STARTED = started(run_id="rename-1", job_name="rename")
SEEN = snapshot(total=10, states={RowState.ACCEPTED: 7, RowState.REJECTED: 1}, in_flight=2, sends=11, left_s=1.5)
ENDED = ended(exit_code=3, snapshot=SEEN)


def samples(text: str) -> Mapping[str, float]:
    """What an OpenMetrics parser reads, by name and labels."""
    return {
        f"{one.name}{''.join(sorted(one.labels.values()))}": one.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for one in family.samples
    }


def test_the_file_holds_the_newest_snapshot_and_in_the_end_the_exit_code(tmp_path: Path) -> None:
    path = tmp_path / "bulkpatch.prom"
    metrics = Metrics(file=path)
    metrics.notify(STARTED)
    metrics.notify(Progressed(snapshot=SEEN))
    seen = samples(path.read_text())
    assert seen["bulkpatch_run_inforenamerename-1"] == 1
    assert (seen["bulkpatch_rowsaccepted"], seen["bulkpatch_rowsrejected"]) == (7, 1)
    assert (seen["bulkpatch_requests_total"], seen["bulkpatch_in_flight"], seen["bulkpatch_left_seconds"]) == (
        11,
        2,
        1.5,
    )
    assert "bulkpatch_exit_code" not in seen
    metrics.notify(ENDED)
    assert samples(path.read_text())["bulkpatch_exit_code"] == 3
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_cannot_be_written_costs_nothing_but_itself(tmp_path: Path) -> None:
    metrics = Metrics(file=tmp_path / "missing" / "x.prom")
    metrics.notify(STARTED)
    metrics.notify(ENDED)
    assert metrics.lost == 2


def test_the_port_serves_the_same_until_the_run_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match="cannot be served"):
            Metrics(port=port)
    metrics = Metrics(port=port)
    metrics.notify(STARTED)
    metrics.notify(Progressed(snapshot=SEEN))
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as reply:
        assert b'bulkpatch_rows{state="accepted"} 7.0' in reply.read()
    metrics.notify(ENDED)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5)


def test_each_attempt_that_was_answered_is_a_span_below_the_run() -> None:
    """With when it began and ended, what it was of, and no word of what the API said."""
    kept = InMemorySpanExporter()
    traces = Traces(kept)
    traces.notify(STARTED)
    setback = Setback(
        row=1, attempt=1, stage=Stage.PATCH, at_us=AT_US, code="BP404", error="secret words", http_status=503,
        latency_us=250_000,
    )  # fmt: skip
    traces.notify(RowSetBack(destination_id="d1", setback=setback))
    traces.notify(RowSetBack(destination_id="d1", setback=replace(setback, withdrawn=True)))
    done = Outcome(row=1, attempt=2, stage=Stage.VERIFY, state=RowState.VERIFIED, at_us=AT_US, http_status=200)
    traces.notify(RowSettled(destination_id="d1", outcome=done))
    traces.notify(RowSettled(destination_id="d2", outcome=replace(done, attempt=0, state=RowState.NOOP)))
    traces.notify(ENDED)
    spans = kept.get_finished_spans()
    assert [span.name for span in spans] == ["bulkpatch.patch", "bulkpatch.verify", "bulkpatch.run"]
    patch, verify, run = spans
    assert patch.parent is not None
    assert run.context is not None
    assert patch.parent.span_id == run.context.span_id
    assert patch.end_time == AT_US * 1000
    assert patch.start_time == AT_US * 1000 - 250_000_000
    assert (patch.status.is_ok, verify.status.is_ok, run.status.is_ok) == (False, True, False)
    assert dict(patch.attributes or {})["http.response.status_code"] == 503
    assert "secret words" not in "".join(span.to_json() for span in spans)
