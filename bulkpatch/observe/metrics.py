"""A run as metrics: an OpenMetrics file that is replaced about once a second, and a port on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.model import Event, Progressed, RowState, RunEnded, RunStarted, Snapshot


class Metrics:
    """The port ``Observer`` that shows the newest snapshot. No label names a destination, so that series stay few.

    ``file`` is readable by all: whoever collects it is another user. A failure to write it is counted in ``lost``.
    ``port`` is served on 127.0.0.1 until the run ends. Raises ``InvalidInput`` (BP127) for one that is taken.
    """

    def __init__(self, *, file: Path | None = None, port: int | None = None) -> None:
        self.lost = 0
        self._file = file
        self._about: dict[str, str] = {}
        self._seen = Snapshot(total=0)
        self._exit_code: int | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._server: Any = None
        if port is not None:
            try:
                self._server, self._thread = start_http_server(port, addr="127.0.0.1", registry=self._registry)
            except OSError as error:
                words = f"--metrics-port {port} cannot be served: {os.strerror(error.errno or 0).lower()}"
                raise InvalidInput([Problem(code="BP127", message=words, hint="Give another port.")]) from None

    def notify(self, event: Event) -> None:
        """Take note of ``event``; all but progress, start and end is in the numbers already."""
        match event:
            case RunStarted():
                self._about = {"run": event.run_id, "job": event.job_name}
            case Progressed():
                self._seen = event.snapshot
            case RunEnded(result=result):
                self._seen, self._exit_code = result.snapshot, result.exit_code
            case _:
                return
        self._write()
        if isinstance(event, RunEnded) and self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def collect(self) -> Iterator[Metric]:
        """The newest snapshot, as families of metrics."""
        seen = self._seen
        yield InfoMetricFamily("bulkpatch_run", "Which run this is.", value=self._about)
        rows = GaugeMetricFamily("bulkpatch_rows", "Input rows by state.", labels=["state"])
        for state in RowState:
            if state in seen.states:
                rows.add_metric([state.value], seen.states[state])
        yield rows
        for name, words, value in (
            ("input_rows", "Rows that the run is about.", seen.total),
            ("in_flight", "Requests without an answer yet.", seen.in_flight),
            ("rate_limit", "Requests per second that are allowed.", seen.rate_limit),
            ("rate", "Requests per second that left lately.", seen.rate_now),
            ("elapsed_seconds", "Since this process began to send.", seen.elapsed_s),
            ("left_seconds", "Until the end, as far as it can be told.", seen.left_s),
            ("exit_code", "How the run ended.", self._exit_code),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"bulkpatch_{name}", words, value=value)
        for name, words, number in (
            ("requests", "Requests that left.", seen.sends),
            ("retries", "Requests that were not the first of their row.", seen.retries),
            ("throttled", "Answers that asked to slow down.", seen.throttled),
        ):
            yield CounterMetricFamily(f"bulkpatch_{name}", words, value=number)

    def _write(self) -> None:
        if self._file is None:
            return
        aside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        try:
            aside.write_bytes(generate_latest(self._registry))  # type: ignore[no-untyped-call]
            aside.chmod(0o644)
            aside.replace(self._file)
        except OSError:
            self.lost += 1
            aside.unlink(missing_ok=True)
