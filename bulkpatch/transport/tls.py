"""One TLS context for all connections: verified, 1.2 or newer, with no way to turn it off."""

from __future__ import annotations

import ssl
from pathlib import Path


def make_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Trusts the system's authorities, and those in ``ca_file`` instead if it is given."""
    context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def is_identity(error: BaseException) -> bool:
    """Whether somewhere below ``error`` the peer's certificate was refused."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
