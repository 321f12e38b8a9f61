"""What would undo an operation: each of its fields as it was before, where that is known and can be said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import msgspec

from bulkpatch.model import Operation
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.prequel.coercion import CoercionError, text_of
from bulkpatch.prequel.diff import is_shown, same
from bulkpatch.prequel.live import value_at

WRITE_ONLY: Final = "write-only: the API never shows it, and no previous column says what it was"
NO_PRE_IMAGE: Final = "it is not known what it was before"
NO_COLUMN: Final = "a field that the catalogue does not know: no column can set it"
NO_CELL: Final = "what it was has no form as a cell of this field"


class Way(StrEnum):
    """What can be done about one field. ``UNCHANGED``: it was as the row set it before, so there is nothing to undo."""

    REVERSIBLE = "reversible"
    IRREVERSIBLE = "irreversible"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldUndo:
    """One field, undone. ``cell`` is the text that puts it back, None for null. Prints without values."""

    path: str
    way: Way
    cell: str | None = field(default=None, repr=False)
    why: str = ""


def undo(
    operation: Operation, before: Mapping[str, Any] | None, previous: Mapping[str, str | None]
) -> Iterator[FieldUndo]:
    """Each field of ``operation``, in its order, from its pre-image or else from the cells of ``previous`` columns.

    Both are by path; a pre-image that is not known is None, a previous null is None.
    """
    change = msgspec.json.decode(operation.body)["destination"]
    for path in operation.fields:
        if before is not None and path in before:
            yield _from_pre_image(path, value_at(change, path), before[path])
        elif path in previous:
            yield FieldUndo(path=path, way=Way.REVERSIBLE, cell=previous[path])
        else:
            why = NO_PRE_IMAGE if is_shown(path) else WRITE_ONLY
            yield FieldUndo(path=path, way=Way.IRREVERSIBLE, why=why)


def _from_pre_image(path: str, after: Any, before: Any) -> FieldUndo:
    known = catalogue().field(path)
    if same(after, before):
        return FieldUndo(path=path, way=Way.UNCHANGED)
    if known is None:
        return FieldUndo(path=path, way=Way.IRREVERSIBLE, why=NO_COLUMN)
    try:
        return FieldUndo(path=path, way=Way.REVERSIBLE, cell=None if before is None else text_of(known, before))
    except CoercionError:
        return FieldUndo(path=path, way=Way.IRREVERSIBLE, why=NO_CELL)
