"""A look at an address without a key: whether anybody answers there, over TLS that can be trusted, and at what time."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bulkpatch.ports import Clock
from bulkpatch.prequel.requests import check_base_url
from bulkpatch.transport.tls import make_context

PROBE_S_MAX: Final = 5.0
"""Seconds that an address has to answer: as long as a connection may take in a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What came of it. ``problem`` says why nobody answered; else ``status``, and ``date`` as the server wrote it."""

    problem: str = ""
    status: int | None = None
    date: str = ""
    latency_ms: float = 0.0


def probe(base_url: str, *, clock: Clock, ca_file: Path | None = None) -> Probe:
    """One HEAD of the bare address: no key, no redirect, no proxy of the environment. Never raises."""
    try:
        address = check_base_url(base_url)
    except ValueError as error:
        return Probe(problem=str(error))
    began_s = clock.monotonic()
    try:
        with httpx.Client(
            verify=make_context(ca_file), trust_env=False, follow_redirects=False, timeout=PROBE_S_MAX
        ) as client:
            reply = client.head(address, headers={"Accept-Encoding": "identity"})
    except httpx.HTTPError as error:
        return Probe(problem=_words(error))
    latency_ms = (clock.monotonic() - began_s) * 1000
    return Probe(status=reply.status_code, date=reply.headers.get("Date", ""), latency_ms=latency_ms)


def _words(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate cannot be trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "it does not speak TLS 1.2 or newer"
        cause = cause.__cause__ or cause.__context__
    return "no answer in time" if isinstance(error, httpx.TimeoutException) else f"no answer ({type(error).__name__})"
