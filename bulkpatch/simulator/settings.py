"""A destination's settings: checked against the field catalogue, merged, and split into shown and hidden."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.simulator.refusals import Refusal

READ_ONLY = frozenset(
    {
        "id",
        "recipient_id",
        "id_in_provider_system",
        "products",
        "created_at",
        "updated_at",
        "last_successful_transfer_ended_at",
        "last_completed_transfer",
        "total_rows_transferred_last_billing_period",
        "total_delta_rows_transferred_last_billing_period",
        "total_rows_transferred_current_billing_period",
    }
)
"""Fields of a read that a PATCH may carry without effect."""

DEPTH_MAX = 64
"""Levels of objects in a change; the API has five, and Python's own stack ends at some hundreds."""


class Settings:
    """The settings of one destination. ``shown`` holds no write-only value; ``hidden`` holds those, by path."""

    __slots__ = ("hidden", "shown")

    def __init__(self, first: Mapping[str, Any]) -> None:
        self.shown: dict[str, Any] = {}
        self.hidden: dict[str, Any] = {}
        self.merge(first)

    def merge(self, change: Mapping[str, Any]) -> None:
        """Deep merge: objects are merged, all else is replaced, null clears a value or a whole object."""
        self._merge(self.shown, change, "")

    def _merge(self, into: dict[str, Any], change: Mapping[str, Any], above: str) -> None:
        for name, value in change.items():
            path = above + name
            field = catalogue().field(path)
            if field is not None and not field.readable:
                self.hidden[path] = value
            elif isinstance(value, dict) and field is None:
                inner = into.get(name)
                inner = inner if isinstance(inner, dict) else {}
                self._merge(inner, value, path + ".")
                into[name] = inner
                if not inner:  # an object of nothing but secrets is not shown
                    del into[name]
            else:
                into[name] = value
                if value is None:
                    self._forget_below(path + ".")

    def _forget_below(self, above: str) -> None:
        for path in [path for path in self.hidden if path.startswith(above)]:
            del self.hidden[path]


def writable(body: Any, vendor: str) -> dict[str, Any]:
    """The change in ``body`` (``{"destination": {…}}``) to a destination of ``vendor``.

    Unknown fields pass: the API grows. Raises ``Refusal`` 400 for a value of the wrong type, another
    vendor's object, or a change of vendor.
    """
    change = body.get("destination") if isinstance(body, dict) else None
    if not isinstance(change, dict):
        raise Refusal(400, "destination is required, and is an object")
    if change.get("vendor", vendor) != vendor:
        raise Refusal(400, "the vendor of a destination cannot be changed")
    strangers = [other for other in catalogue().vendors if other in change and other != vendor]
    if strangers:
        raise Refusal(400, f"this destination's vendor is {vendor}, but {strangers[0]} was given")
    misfit = next(_misfits(change, ""), None)
    if misfit is not None:
        raise Refusal(400, misfit)
    return {name: value for name, value in change.items() if name not in READ_ONLY and name != "vendor"}


def _misfits(change: Mapping[str, Any], above: str) -> Iterator[str]:
    """What does not fit its field, as messages that name the field and never the value."""
    for name, value in change.items():
        path = above + name
        field = catalogue().field(path)
        if path.count(".") >= DEPTH_MAX:
            yield f"objects may be nested {DEPTH_MAX} deep"
        elif "." in name:
            yield f"{above or 'destination'} has a field with a dot in its name: nest objects instead"
        elif value is None:
            continue
        elif field is not None:
            if not _fits(field, value):
                yield f"{path} must be {_WORDS[field.type]}"
            elif field.enum and str(value) not in field.enum:
                yield f"{path} must be one of {', '.join(field.enum)}"
        elif isinstance(value, dict):
            yield from _misfits(value, path + ".")
        elif catalogue().is_object(path):
            yield f"{path} must be an object"


_WORDS = {
    FieldType.STRING: "a string",
    FieldType.INTEGER: "an integer",
    FieldType.NUMBER: "a number",
    FieldType.BOOLEAN: "a boolean",
    FieldType.STRING_LIST: "a list of strings",
    FieldType.OBJECT: "a JSON value",
}


def _fits(field: Field, value: Any) -> bool:
    match field.type:
        case FieldType.STRING:
            return isinstance(value, str)
        case FieldType.BOOLEAN:
            return isinstance(value, bool)
        case FieldType.INTEGER:
            return isinstance(value, int) and not isinstance(value, bool)
        case FieldType.NUMBER:
            return isinstance(value, (int, float)) and not isinstance(value, bool)
        case FieldType.STRING_LIST:
            return isinstance(value, list) and all(isinstance(entry, str) for entry in value)
        case FieldType.OBJECT:
            return True
