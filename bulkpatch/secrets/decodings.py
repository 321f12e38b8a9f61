"""What a text says once an encoding is taken off it: APIs hand back what they were sent, quoted, and quoted again."""

from __future__ import annotations

import html
import re
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from urllib.parse import unquote_plus

DEPTH_MAX = 2
"""Encodings that are taken off one after the other; with the one that is known by its form that makes three."""

TOKENS_MAX = 64
"""Words of a text that are tried as base64 or hex: a message has a handful."""

_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|.)", re.DOTALL)
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_TOKEN = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_QUARTET = 4


def decodings(text: str, depth: int = DEPTH_MAX) -> Iterator[str]:
    """``text`` without one of its encodings, for each that it may have, and those without another one."""
    for inner in (html.unescape(text), unquote_plus(text), _unescaped(text), _words(text)):
        if inner and inner != text:
            yield inner
            if depth > 1:
                yield from decodings(inner, depth - 1)


def _unescaped(text: str) -> str:
    """JSON's and Python's backslashes taken off."""
    if "\\" not in text:
        return text
    plain = _ESCAPED.sub(_character, text)
    return plain.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")  # pairs become one character


def _character(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _SHORT.get(code, code)


def _words(text: str) -> str:
    """What the long words say if they are hex, or base64 that begins at any place."""
    said = []
    for word in _TOKEN.findall(text)[:TOKENS_MAX]:
        try:
            said.append(bytes.fromhex(word).decode("utf-8", "replace"))
        except ValueError:
            plain = word.replace("+", "-").replace("/", "_")
            for at in range(_QUARTET):
                whole = plain[at : at + (len(plain) - at) // _QUARTET * _QUARTET]
                said.append(urlsafe_b64decode(whole).decode("utf-8", "replace"))
    return "\n".join(said)
