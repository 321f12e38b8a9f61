"""The API's calls as requests, and which address and key may be used for them."""

from __future__ import annotations

import ipaddress
import re
from typing import Final
from urllib.parse import quote, urlsplit

from bulkpatch.model import Request

API_VERSION: Final = "2023-12-01"
KEY_HEADER: Final = "X-API-KEY"
VERSION_HEADER: Final = "X-Prequel-Api-Version"

ID_PATTERN: Final = "^[A-Za-z0-9_-]{1,128}$"
"""What may stand as an id in a path: nothing that a URL gives a meaning to, so an id cannot change the address."""
PAGE_SIZE_MAX: Final = 100
"""Destinations on a page; the API's own maximum."""
URL_LENGTH_MAX: Final = 2048
"""Characters of a base URL; longer ones are pasted by mistake."""

_ID: Final = re.compile(ID_PATTERN[1:-1], re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_PREFIX: Final = re.compile(r"(/(?!\.{1,2}(/|$))[A-Za-z0-9._~-]+)*", re.ASCII)
_PRINTABLE: Final = re.compile(r"[!-~]+", re.ASCII)
_PUBLIC_HOSTS: Final = frozenset({"api.prequel.co", "eu-api.prequel.co"})
_TEST_WORDS: Final = ("staging", "sandbox")


def is_destination_id(text: str) -> bool:
    """Whether ``text`` may be sent as an id."""
    return _ID.fullmatch(text) is not None


def patch(destination_id: str, body: bytes) -> Request:
    """Update one destination. Raises ``ValueError`` for a bad id."""
    return Request(method="PATCH", path=_destination(destination_id), body=body)


def get(destination_id: str) -> Request:
    """Read one destination. Raises ``ValueError`` for a bad id."""
    return Request(method="GET", path=_destination(destination_id))


def test_connection(destination_id: str, body: bytes) -> Request:
    """Test a destination with the changes of ``body``, which are not saved. Raises ``ValueError`` for a bad id."""
    return Request(method="POST", path=f"{_destination(destination_id)}/test-connection", body=body)


def list_page(page_size: int = PAGE_SIZE_MAX, cursor: str | None = None) -> Request:
    """One page of destinations; ``cursor`` comes from the page before. Raises ``ValueError`` for a bad size."""
    if not 1 <= page_size <= PAGE_SIZE_MAX:
        raise ValueError(f"a page holds 1 to {PAGE_SIZE_MAX} destinations")
    after = f"&cursor={quote(cursor, safe='')}" if cursor else ""
    return Request(method="GET", path=f"/destinations?page_size={page_size}{after}")


def transfers(destination_id: str) -> Request:
    """The newest transfers of one destination, as many as a page holds. Raises ``ValueError`` for a bad id."""
    path = f"{_destination(destination_id)}/transfers?page_size={PAGE_SIZE_MAX}&order=desc"
    return Request(method="GET", path=path)


def start_transfer(destination_id: str) -> Request:
    """Queue a transfer of all enabled models, not in full. Not repeatable: each call queues one more.

    Raises ``ValueError`` for a bad id.
    """
    return Request(method="POST", path=f"{_destination(destination_id)}/transfer", body=b"{}")


def _destination(destination_id: str) -> str:
    if not is_destination_id(destination_id):
        raise ValueError("a destination id is 1 to 128 letters, digits, _ and -")
    return f"/destinations/{destination_id}"


def check_base_url(url: str) -> str:
    """``url`` with its host in lower case and no slash at its end. Raises ``ValueError``, which never shows it.

    https to any host; http to loopback only. A path before the API's own is kept.
    """
    if len(url) > URL_LENGTH_MAX or not _PRINTABLE.fullmatch(url):
        raise ValueError("a base URL is printable ASCII without blanks, at most 2,048 characters")
    if "?" in url or "#" in url:
        raise ValueError("a base URL has no query and no fragment")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("a base URL is https://HOST, with :PORT and a path if need be") from None
    if "@" in parts.netloc:
        raise ValueError("a base URL holds no user and no password")
    if parts.scheme not in {"http", "https"}:
        raise ValueError("a base URL begins with https://")
    address = _address(host)
    if parts.scheme == "http" and not (host == "localhost" or _is_loopback(address)):
        raise ValueError("plain http is allowed to loopback addresses only; use https")
    prefix = parts.path.removesuffix("/")
    if not (address or _HOST.fullmatch(host)) or parts.netloc.endswith(":") or not _PREFIX.fullmatch(prefix):
        raise ValueError("a base URL is https://HOST, with :PORT and a path if need be")
    shown = f"[{host}]" if isinstance(address, ipaddress.IPv6Address) else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{prefix}"


def key_class(key_text: str) -> str:
    """``staging``, ``production`` or ``other``: what the key's prefix says of it."""
    if key_text.startswith("sk_staging_"):
        return "staging"
    return "production" if key_text.startswith("sk_prod_") else "other"


def mix_up(base_url: str, key_class: str) -> str | None:
    """Why a key of ``key_class`` and a checked ``base_url`` hardly belong together, or None."""
    host = urlsplit(base_url).hostname or ""
    if key_class == "staging" and host in _PUBLIC_HOSTS:
        return f"a staging key, and the production address {host}"
    if key_class == "production" and any(word in host for word in _TEST_WORDS):
        return f"a production key, and the test address {host}"
    return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_loopback
    return address == ipaddress.IPv6Address("::1")
