"""Never sent is claimed only where the order of things shows it."""

from __future__ import annotations

import ssl

import httpx
import pytest

from bulkpatch.model import FaultKind
from bulkpatch.transport.faults import classify

UNKNOWN = [
    ValueError("x"),
    RuntimeError("x"),
    httpx.PoolTimeout("x"),
    httpx.UnsupportedProtocol("x"),
    httpx.ReadError("x"),
    httpx.WriteError("x"),
    httpx.RemoteProtocolError("x"),
    ExceptionGroup("x", [OSError("x")]),
]


@pytest.mark.proves("G2")
@pytest.mark.parametrize("handshaking", [False, True])
@pytest.mark.parametrize("error", UNKNOWN, ids=repr)
def test_what_is_not_known_counts_as_sent(error: Exception, *, handshaking: bool) -> None:
    """Whatever is raised before the first byte and is no failure to connect."""
    assert classify(error, started=False, handshaking=handshaking) == (FaultKind.UNCLASSIFIED, True)


@pytest.mark.proves("G2")
@pytest.mark.parametrize("handshaking", [False, True])
@pytest.mark.parametrize(
    "error", [*UNKNOWN, httpx.ConnectError("x"), httpx.ConnectTimeout("x"), TimeoutError(), ssl.SSLError("x")], ids=repr
)
def test_once_the_first_byte_may_have_left_everything_counts_as_sent(error: Exception, *, handshaking: bool) -> None:
    """By whatever name a library calls it: some call a connection that was closed under a request one never made."""
    kind, sent = classify(error, started=True, handshaking=handshaking)
    assert sent
    assert kind is not FaultKind.INVALID_REQUEST


@pytest.mark.parametrize("error", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), TimeoutError()], ids=repr)
def test_a_connection_that_was_not_made_carried_nothing(error: Exception) -> None:
    assert not classify(error, started=False, handshaking=False)[1]
