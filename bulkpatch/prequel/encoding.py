"""Assignments → the one canonical body: keys sorted at every level, UTF-8, so that equal changes have equal digests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import msgspec

from bulkpatch.prequel.catalogue import FieldType, catalogue
from bulkpatch.prequel.values import CoercionError, check_json, parse_json

LAYOUTS_CACHED_MAX: Final = 4096
"""Sets of paths whose layout is kept: the rows of a job differ in values, and hardly in which cells are filled."""

_ENCODER: Final = msgspec.json.Encoder(order="deterministic")


def split(path: str) -> tuple[str, ...]:
    """``"postgres.password_auth.password"`` → its names. Raises ``ValueError`` for an empty name."""
    names = tuple(path.split("."))
    if not all(names):
        raise ValueError("a field path is names joined by single dots")
    return names


def encode_body(assignments: Mapping[str, Any]) -> bytes:
    """The PATCH body that sets each dotted path to its value, canonical.

    Raises ``CoercionError`` for a value that is no plain JSON (NaN, half a surrogate pair, a date), and
    ``ValueError`` if one path runs through another.
    """
    destination: dict[str, Any] = {}
    for (around, last), value in zip(_layout(tuple(assignments)), assignments.values(), strict=True):
        if not (type(value) is str and value.isascii()):  # nearly every value is, and that is JSON for every reader
            check_json(value)
        node = destination
        for name in around:
            node = node.setdefault(name, {})
        node[last] = value
    return _ENCODER.encode({"destination": destination})


@lru_cache(maxsize=LAYOUTS_CACHED_MAX)
def _layout(paths: tuple[str, ...]) -> tuple[tuple[tuple[str, ...], str], ...]:
    """The names around each path and its last one, once it is sure that none runs through another."""
    layout = tuple(map(split, paths))
    taken = set(layout)
    if any(names[:at] in taken for names in layout for at in range(1, len(names))):
        raise ValueError("a field path runs through another one that has a value")
    return tuple((names[:-1], names[-1]) for names in layout)


def with_secrets(body: bytes, values: Sequence[tuple[tuple[str, ...], str]]) -> bytes:
    """``body`` with each text in the place of the reference at its path (below ``destination``), canonical.

    The text of an object-typed field is JSON of an object, and is put in parsed. Raises ``CoercionError``
    for a text that does not fit or has no place; it never shows the text.
    """
    document = msgspec.json.decode(body)
    for path, text in values:
        _around(document, path)[path[-1]] = _secret(path, text)
    return _ENCODER.encode(document)


def _around(document: Any, path: tuple[str, ...]) -> Any:
    """The object in which the reference at ``path`` stands."""
    parent = node = document
    for name in ("destination", *path):
        parent, node = node, node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, str):
        raise CoercionError("the body holds no reference at the place of a secret")
    return parent


def _secret(path: tuple[str, ...], text: str) -> Any:
    field = catalogue().field(".".join(path))
    if field is None or field.type is not FieldType.OBJECT:
        check_json(text)
        return text
    value = parse_json(text)
    if not isinstance(value, dict):
        raise CoercionError("not a JSON object", "the field takes the whole JSON document, such as a key file")
    return value
