"""The forms in which a secret can turn up in a file: what a leak looks like, byte for byte."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

NEEDLE_BYTES_MIN = 6
"""Shorter byte strings turn up by chance, so neither a secret nor a form of it below this is watched."""

FRAGMENT_BYTES = 64
FRAGMENTED_BYTES_MIN = 1024
"""From this length on, three pieces of 64 bytes are watched as well: a database splits a long text over its pages."""

_UNQUOTED_BY_BROWSERS = "!'()*"
_SAME_EVERYWHERE = re.compile(r"[A-Za-z0-9._~-]+")
"""Characters that no text format escapes: most generated passwords need no other form."""

_KEY_LINE = re.compile(r"[A-Za-z0-9+/=_-]{32,}")
"""A line of a PEM file: it is secret by itself, whatever becomes of the line ends around it."""

_ESCAPE = re.compile(r"%[0-9A-F]{2}|\\u[0-9a-f]{4}")
_HTML_IN_JSON = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def encodings(value: str) -> dict[bytes, str]:
    """Each byte string that shows ``value``, with the name of the encoding; equal forms stand once.

    The forms: raw, JSON (ASCII, UTF-8, escaped slash, escaped HTML), URL and form in either case,
    HTML, Python's repr, CSV's doubled quotes, UTF-16LE, hex in either case, base64 (plain and
    URL-safe) at each of its three offsets, pieces of long ones, and the lines of a key file.
    """
    raw = value.encode()
    forms = {raw: "raw"}
    if not _SAME_EVERYWHERE.fullmatch(value):
        for name, text in _text_forms(value):
            forms.setdefault(text.encode(), name)
    forms.setdefault(value.encode("utf-16-le"), "utf-16le")
    forms.setdefault(raw.hex().encode(), "hex")
    forms.setdefault(raw.hex().upper().encode(), "hex-upper")
    for offset in range(3):
        plain = _base64_core(raw, offset)
        forms.setdefault(plain, f"base64+{offset}")
        forms.setdefault(plain.translate(bytes.maketrans(b"+/", b"-_")), f"base64url+{offset}")
    for form, name in list(forms.items()):
        forms.update((piece, f"{name} (part)") for piece in _pieces(form))
    forms.update((line.encode(), "raw (line)") for line in value.splitlines() if _KEY_LINE.fullmatch(line))
    return {form: name for form, name in forms.items() if len(form) >= NEEDLE_BYTES_MIN}


def _text_forms(value: str) -> Iterator[tuple[str, str]]:
    for name, document in (("json", json.dumps(value)), ("json-utf8", json.dumps(value, ensure_ascii=False))):
        body = document[1:-1]
        yield name, body
        yield f"{name}-slash", body.replace("/", "\\/")
        yield f"{name}-html", body.translate(_HTML_IN_JSON)
        yield f"{name}-upper", _ESCAPE.sub(lambda found: "\\u" + found[0][2:].upper(), body)
    for name, text in (
        ("url", quote(value, safe="")),
        ("url", quote(value)),
        ("url", quote(value, safe=_UNQUOTED_BY_BROWSERS)),
        ("form", quote_plus(value)),
    ):
        yield name, text
        yield f"{name}-lower", _ESCAPE.sub(lambda found: found[0].lower(), text)
    yield "html", html.escape(value)
    yield "html", html.escape(value, quote=False)
    yield "html", html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")
    yield "repr", repr(value)[1:-1]
    yield "repr", repr(value.encode())[2:-1]
    yield "csv", value.replace('"', '""')


def _base64_core(raw: bytes, offset: int) -> bytes:
    """What base64 makes of ``raw`` behind ``offset`` other bytes, but for the characters shared with its neighbours."""
    first = (0, 2, 3)[offset]
    last = (offset + len(raw)) * 8 // 6
    return b64encode(bytes(offset) + raw)[first:last]


def _pieces(form: bytes) -> Iterator[bytes]:
    if len(form) >= FRAGMENTED_BYTES_MIN:
        for quarter in (1, 2, 3):
            start = len(form) * quarter // 4
            yield form[start : start + FRAGMENT_BYTES]
