"""Why libcurl has no whole answer, told from its code and from whether the request's turn had come.

libcurl asks before it writes a request (``PREREQFUNCTION``); while it has not asked, no byte of it left.
"""

from __future__ import annotations

import errno
import os
from typing import Final

import pycurl

from bulkpatch.model import FaultKind

_TOO_LARGE: Final = 100
"""CURLE_TOO_LARGE, which pycurl has no name for: headers without end."""
_AFTER: Final = {
    pycurl.E_OPERATION_TIMEDOUT: FaultKind.TIMEOUT,
    pycurl.E_PARTIAL_FILE: FaultKind.TRUNCATED,
    pycurl.E_FILESIZE_EXCEEDED: FaultKind.TOO_LARGE,
    pycurl.E_GOT_NOTHING: FaultKind.RESET,
    pycurl.E_SEND_ERROR: FaultKind.RESET,
    pycurl.E_RECV_ERROR: FaultKind.RESET,
    pycurl.E_ABORTED_BY_CALLBACK: FaultKind.RESET,  # it was about to send the request a second time
    pycurl.E_COULDNT_CONNECT: FaultKind.RESET,  # likewise, over a new connection
    pycurl.E_UNSUPPORTED_PROTOCOL: FaultKind.PROTOCOL,
    pycurl.E_FTP_WEIRD_SERVER_REPLY: FaultKind.PROTOCOL,
    _TOO_LARGE: FaultKind.TOO_LARGE,
}
_BEFORE: Final = {
    pycurl.E_COULDNT_RESOLVE_HOST: FaultKind.DNS,
    pycurl.E_OPERATION_TIMEDOUT: FaultKind.CONNECT_TIMEOUT,
    pycurl.E_PEER_FAILED_VERIFICATION: FaultKind.TLS_IDENTITY,
    pycurl.E_SSL_CONNECT_ERROR: FaultKind.TLS,
    pycurl.E_RECV_ERROR: FaultKind.TLS,
    pycurl.E_SEND_ERROR: FaultKind.TLS,
}
_SOCKETS: Final = {
    errno.EMFILE: FaultKind.NO_FILES,
    errno.ENFILE: FaultKind.NO_FILES,
    errno.ECONNREFUSED: FaultKind.REFUSED,
    errno.ETIMEDOUT: FaultKind.CONNECT_TIMEOUT,
}
_RECEIVED: Final = {"chunk hex-length": FaultKind.PROTOCOL, "response headers": FaultKind.TOO_LARGE}
"""What libcurl says of a chunk that is none, and of heads without end; its code is that of a broken connection."""
_OLD_TLS: Final = ("alert protocol version", "unsupported protocol")
"""OpenSSL's words for a peer that has nothing newer than TLS 1.1: like a wrong certificate, it does not pass."""
_NAMES: Final = {getattr(pycurl, name): name[2:] for name in dir(pycurl) if name.startswith("E_")}


def classify(code: int, words: str, *, started: bool, os_errno: int) -> FaultKind:
    """The kind of fault; ``os_errno`` is 0 if there was none. ``words`` are libcurl's, looked into and never shown."""
    if started:
        kind = _AFTER.get(code, FaultKind.UNCLASSIFIED)
        if code == pycurl.E_RECV_ERROR:
            return next((told for said, told in _RECEIVED.items() if said in words), kind)
        return kind
    if code == pycurl.E_SSL_CONNECT_ERROR and any(said in words for said in _OLD_TLS):
        return FaultKind.TLS_IDENTITY
    if code == pycurl.E_COULDNT_CONNECT:
        return _SOCKETS.get(os_errno, FaultKind.CONNECT)
    return _BEFORE.get(code, FaultKind.UNCLASSIFIED)


def name_of(code: int, os_errno: int) -> str:
    """What a fault is called: by the system where it was the system's, else by libcurl."""
    if code == pycurl.E_COULDNT_CONNECT and os_errno:
        return type(OSError(os_errno, "")).__name__
    return _NAMES.get(code, f"curl {code}")


def why_no_socket() -> int:
    """The system's error when it has no descriptor left, else 0: libcurl does not say, so it is asked again."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as failure:
        return failure.errno or 0
    return 0
