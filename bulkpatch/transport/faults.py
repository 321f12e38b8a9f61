"""Why there is no whole answer, told from what the libraries raised and from how far the request had come.

Never sent is claimed only where the order of things shows it: the connection was not made, or the
request was refused before its first byte. All else, and all that is not known here, is sent.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator

import httpx

from bulkpatch.model import FaultKind

_NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
_OLD_TLS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})
"""OpenSSL's reasons for a peer that has nothing newer than TLS 1.1: like a wrong certificate, it does not pass."""
_ENDINGS = (
    ("Server disconnected", FaultKind.RESET),
    ("peer ", FaultKind.TRUNCATED),
    ("Receive buffer too long", FaultKind.TOO_LARGE),
)
"""How h11 and httpcore begin what they say of a connection's end; they have one type for all of it."""


class Refused(Exception):
    """A reply that is not taken, and why."""

    def __init__(self, kind: FaultKind) -> None:
        super().__init__(kind)
        self.kind = kind


def classify(error: Exception, *, started: bool, handshaking: bool) -> tuple[FaultKind, bool]:
    """The kind of fault, and whether the request must be taken as sent.

    ``started``: the library had begun to write the request. ``handshaking``: TCP was connected
    and TLS had begun.
    """
    if started:
        kind = _after_start(error)
        return kind, kind is not FaultKind.INVALID_REQUEST
    if isinstance(error, TimeoutError):
        return FaultKind.CONNECT_TIMEOUT, False
    if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
        return _connecting(error, handshaking=handshaking), False
    return FaultKind.UNCLASSIFIED, True


def root_name(error: BaseException) -> str:
    """The name of the type that began it, which says more than the library's own."""
    *_, first = _causes(error)
    return type(first).__name__


def _after_start(error: Exception) -> FaultKind:
    match error:
        case Refused(kind=kind):
            return kind
        case TimeoutError():
            return FaultKind.TIMEOUT
        case httpx.LocalProtocolError():
            return FaultKind.INVALID_REQUEST
        case httpx.RemoteProtocolError():
            said = str(error)
            return next((kind for words, kind in _ENDINGS if said.startswith(words)), FaultKind.PROTOCOL)
        case httpx.NetworkError() | ssl.SSLError():
            return FaultKind.RESET
        case _:
            return FaultKind.UNCLASSIFIED


def _connecting(error: Exception, *, handshaking: bool) -> FaultKind:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return FaultKind.TLS_IDENTITY
    if any(isinstance(cause, ssl.SSLError) and cause.reason in _OLD_TLS for cause in causes):
        return FaultKind.TLS_IDENTITY
    if handshaking:
        return FaultKind.TLS
    if any(isinstance(cause, OSError) and cause.errno in _NO_FILES for cause in causes):
        return FaultKind.NO_FILES
    for kind, type_ in (
        (FaultKind.DNS, socket.gaierror),
        (FaultKind.REFUSED, ConnectionRefusedError),
        (FaultKind.CONNECT_TIMEOUT, TimeoutError),
    ):
        if any(isinstance(cause, type_) for cause in causes):
            return kind
    return FaultKind.CONNECT


def _causes(error: BaseException) -> Iterator[BaseException]:
    """``error`` and all below it, also where httpcore raised it "from None"; several addresses bring a group."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _causes(member)
    below = error.__cause__ or error.__context__
    if below is not None:
        yield from _causes(below)
