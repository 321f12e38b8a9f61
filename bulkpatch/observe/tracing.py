"""A run as OpenTelemetry spans: one for the run, and below it one for each attempt that was answered."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, Status, StatusCode

from bulkpatch.model import Event, Outcome, RowSetBack, RowSettled, RunEnded, RunStarted, Setback
from bulkpatch.observe.words import FAILED


class Traces:
    """The port ``Observer`` that exports over OTLP/HTTP to where ``OTEL_EXPORTER_OTLP_ENDPOINT`` says.

    Ids, stages, states and codes only: what an API said stays in the ledger. A collector that is away costs spans,
    never the run.
    """

    def __init__(self, exporter: SpanExporter | None = None) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": "bulkpatch"}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter or OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("bulkpatch")
        self._run: Span | None = None

    def notify(self, event: Event) -> None:
        """Begin, add to, or end the trace."""
        match event:
            case RunStarted():
                about: dict[str, str | int] = {
                    "bulkpatch.run": event.run_id,
                    "bulkpatch.job": event.job_name,
                    "bulkpatch.rows": event.total,
                }
                self._run = self._tracer.start_span("bulkpatch.run", attributes=about)
            case RowSetBack(setback=setback) if not setback.withdrawn:
                self._attempt(event.destination_id, setback, failed=True)
            case RowSettled(outcome=outcome) if outcome.attempt:
                self._attempt(event.destination_id, outcome, failed=outcome.state in FAILED)
            case RunEnded(result=result) if self._run is not None:
                self._run.set_attribute("bulkpatch.exit_code", result.exit_code)
                self._run.set_status(Status(StatusCode.ERROR if result.exit_code else StatusCode.OK, result.code))
                self._run.end()
                self._provider.shutdown()
            case _:
                pass

    def _attempt(self, destination_id: str, came: Setback | Outcome, *, failed: bool) -> None:
        if self._run is None:
            return
        end_ns = came.at_us * 1000
        facts: dict[str, str | int] = {
            "bulkpatch.row": came.row,
            "bulkpatch.destination": destination_id,
            "bulkpatch.attempt": came.attempt,
            "bulkpatch.state": came.state.value if isinstance(came, Outcome) else "set back",
        }
        if came.http_status is not None:
            facts["http.response.status_code"] = came.http_status
        span = self._tracer.start_span(
            f"bulkpatch.{came.stage.value}",
            context=trace.set_span_in_context(self._run),
            start_time=end_ns - (came.latency_us or 0) * 1000,
            attributes=facts,
        )
        span.set_status(Status(StatusCode.ERROR, came.code) if failed else Status(StatusCode.OK))
        span.end(end_ns)
