"""JSON as the API takes it: nothing that a reader could understand in two ways, and errors that never show a value."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

DEPTH_MAX: Final = 64
"""Levels of nesting; no body or reply of the API has over 8, and parsers differ from a few hundred on."""
INTEGER_MAX: Final = 2**53
"""Beyond it, a reader that keeps numbers as doubles takes another number than was meant."""

_STRING: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")


class CoercionError(ValueError):
    """A value does not fit. ``reason`` and ``hint`` are prose; neither ever holds the value."""

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


def parse_json(text: str) -> Any:
    """JSON text → value. Raises ``CoercionError`` if it is no JSON, names a key twice, or fails ``check_json``."""
    try:
        value = msgspec.json.decode(text)
        json.loads(text, object_pairs_hook=_once_each)
    except RecursionError:
        raise CoercionError(f"nested deeper than {DEPTH_MAX} levels") from None
    except (msgspec.MsgspecError, UnicodeError, json.JSONDecodeError):
        raise CoercionError("not valid JSON", "strings and keys stand in double quotes; NaN is no JSON") from None
    check_json(value)
    return value


def check_json(value: Any, depth: int = 0) -> None:
    """Raise ``CoercionError`` unless ``value`` becomes the same JSON for every reader."""
    match value:
        case None | bool():
            pass
        case str():
            check_text(value)
        case int() | float():
            _check_number(value)
        case list() | tuple():
            _check_items(value, depth)
        case dict():
            if not all(isinstance(key, str) for key in value):
                raise CoercionError("a key that is no text")
            _check_items([*value, *value.values()], depth)
        case _:
            raise CoercionError("a type that JSON does not have", "write it as text")


def check_text(text: str) -> None:
    """Raise ``CoercionError`` if ``text`` is no Unicode text."""
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise CoercionError("half a surrogate pair stands in the text", "export it again as UTF-8") from None


def _check_number(value: float) -> None:
    if isinstance(value, int):
        if abs(value) > INTEGER_MAX:
            raise CoercionError("a whole number beyond ±2^53", "other programs would round it")
    elif not math.isfinite(value):
        raise CoercionError("not a finite number")


def _check_items(items: Iterable[Any], depth: int) -> None:
    if depth == DEPTH_MAX:
        raise CoercionError(f"nested deeper than {DEPTH_MAX} levels")
    for item in items:
        check_json(item, depth + 1)


def too_deep(document: bytes) -> bool:
    """Whether well-formed JSON is nested deeper than ``DEPTH_MAX``.

    Few brackets settle it at once. Else what is no bracket is dropped, and each round takes off
    the innermost level.
    """
    if document.count(b"[") + document.count(b"{") <= DEPTH_MAX:
        return False
    brackets = _STRING.sub(b"", document).translate(_ONE_KIND, _NOT_BRACKETS)
    for _ in range(DEPTH_MAX):
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise CoercionError("a key stands twice in one object")
    return found
