"""A cell or a typed value → the JSON value of its field; types come from the catalogue, and nothing is guessed."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable
from typing import Any, Final, assert_never

from bulkpatch.prequel.catalogue import Field, FieldType
from bulkpatch.prequel.values import CoercionError, check_json, check_text, parse_json

__all__ = ["CoercionError", "cell_pattern", "coerce_text", "coerce_value", "text_of"]

ENUM_SHOWN_MAX: Final = 12
"""Allowed values named in a hint; more would fill the screen for each bad cell."""

INTEGER_READ_MAX: Final = 20
"""Characters of a whole number that are read: enough to see that it is beyond 2^53, and no work for a long one."""

_INTEGER: Final = re.compile(r"-?(0|[1-9][0-9]*)", re.ASCII)
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_BOOLEANS: Final = {"true": True, "false": False}


def coerce_text(field: Field, text: str) -> Any:
    """The JSON value that the cell ``text`` means for ``field``. Raises ``CoercionError``."""
    value = _READERS[field.type](text)
    _check_enum(field, value)
    return value


def coerce_value(field: Field, value: Any) -> Any:
    """A value that has a type already (TOML, Parquet, NDJSON), if it fits; a string is read as a cell is.

    Raises ``CoercionError``. Null never fits: only ``[input] null`` asks for it.
    """
    if isinstance(value, str):
        return coerce_text(field, value)
    if not _fits(field.type, value):
        raise CoercionError(f"not {_NOUNS[field.type]}", f"the value is {_noun(value)}")
    check_json(value)
    _check_enum(field, value)
    return value


def text_of(field: Field, value: Any) -> str:
    """The cell that means ``value`` for ``field``. Raises ``CoercionError`` where there is none; null has none."""
    check_json(value)
    plain = isinstance(value, str) and field.type is not FieldType.OBJECT
    text: str = value if plain else json.dumps(value, ensure_ascii=False)
    if (read := coerce_text(field, text)) != value or type(read) is not type(value):
        raise CoercionError("no cell of the field means this value")
    return text


def cell_pattern(field: Field) -> str | None:
    """A pattern for whole columns, safe in Python's and Rust's syntax: cells that it matches are coerced without error.

    Strings, enums and Booleans: exactly those. Integers: those of up to 15 digits. None: only
    ``coerce_text`` can tell.
    """
    if field.enum and field.type in {FieldType.STRING, FieldType.INTEGER}:
        return f"^(?:{'|'.join(map(re.escape, field.enum))})$"
    return _PATTERNS.get(field.type)


def _string(text: str) -> str:
    check_text(text)
    return text


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise CoercionError("not a whole number", "digits only, such as 5432: no blanks, no 1.0, no 1e5")
    value = int(text[:INTEGER_READ_MAX])
    check_json(value)
    return value


def _number(text: str) -> int | float:
    if _INTEGER.fullmatch(text):
        return _integer(text)
    if not _NUMBER.fullmatch(text):
        raise CoercionError("not a number", "write it as JSON does, such as 5432 or 0.5: no blanks, no NaN")
    value = float(text)
    check_json(value)
    return value


def _boolean(text: str) -> bool:
    if text not in _BOOLEANS:
        raise CoercionError("not a Boolean", "write true or false, in lower case")
    return _BOOLEANS[text]


def _string_list(text: str) -> list[str]:
    if text.startswith("["):
        value: list[str] = parse_json(text)
        if not _fits(FieldType.STRING_LIST, value):
            raise CoercionError("not a list of strings", 'write ["a", "b"] or a;b')
        return value
    check_text(text)
    entries = text.split(";")
    if any(not entry or entry != entry.strip() for entry in entries):
        raise CoercionError(
            "an entry of the list is empty or has blanks around it",
            'write a;b, or ["a", " b"] where a blank is meant; [] is the empty list',
        )
    return entries


def _object(text: str) -> Any:
    try:
        return parse_json(text)
    except CoercionError as error:
        raise CoercionError(
            error.reason, error.hint or 'the field takes JSON; plain text is written "in quotes"'
        ) from None


_READERS: Final[dict[FieldType, Callable[[str], Any]]] = {
    FieldType.STRING: _string,
    FieldType.INTEGER: _integer,
    FieldType.NUMBER: _number,
    FieldType.BOOLEAN: _boolean,
    FieldType.STRING_LIST: _string_list,
    FieldType.OBJECT: _object,
}
_NOUNS: Final = {
    FieldType.STRING: "text",
    FieldType.INTEGER: "a whole number",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "a Boolean",
    FieldType.STRING_LIST: "a list of strings",
    FieldType.OBJECT: "JSON",
}
_PATTERNS: Final = {
    FieldType.STRING: "^(?s:.*)$",
    FieldType.INTEGER: "^(?:-?(?:0|[1-9][0-9]{0,14}))$",
    FieldType.BOOLEAN: "^(?:true|false)$",
}


def _fits(kind: FieldType, value: Any) -> bool:
    match kind:
        case FieldType.STRING:
            return isinstance(value, str)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case FieldType.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case FieldType.STRING_LIST:
            return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)
        case FieldType.OBJECT:
            return value is not None
        case _:
            assert_never(kind)


def _noun(value: Any) -> str:
    """What ``value`` is, by type alone."""
    for kind in (FieldType.BOOLEAN, FieldType.INTEGER, FieldType.NUMBER, FieldType.STRING_LIST):
        if _fits(kind, value):
            return _NOUNS[kind]
    return "null" if value is None else "of another type"


def _check_enum(field: Field, value: Any) -> None:
    if not field.enum or str(value) in field.enum:
        return
    near = difflib.get_close_matches(str(value), field.enum, n=1)
    shown = ", ".join(field.enum[:ENUM_SHOWN_MAX])
    more = ", …" if len(field.enum) > ENUM_SHOWN_MAX else ""
    meant = f"did you mean {near[0]}? " if near else ""
    raise CoercionError("not one of the allowed values", f"{meant}Allowed: {shown}{more}")
