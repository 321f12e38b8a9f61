"""The one TLS context of all connections: verified, 1.2 or newer, with nothing to turn that off."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

from bulkpatch.errors import InvalidInput, Problem


def make_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Trusts httpx's bundle of public authorities, or those in ``ca_file`` alone if it is given.

    No environment variable adds an authority or has the session keys written down.
    Raises ``InvalidInput`` for a file that holds no certificates.
    """
    if ca_file is None:
        context = httpx.create_ssl_context(trust_env=False)
    else:
        try:
            context = ssl.create_default_context(cafile=str(ca_file))
        except OSError:  # of which ssl.SSLError is one
            message = f"{ca_file} is not a readable file of certificates (PEM)"
            raise InvalidInput([Problem(code="BP105", message=message)]) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.keylog_filename = None  # type: ignore[assignment]  # None ends what SSLKEYLOGFILE began
    return context
