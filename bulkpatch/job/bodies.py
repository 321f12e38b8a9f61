"""Rows → operations: the job's own values, the row's cells over them, references in the place of secrets."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import polars as pl

from bulkpatch.job.columns import FieldColumn, Layout
from bulkpatch.job.parts import LINE, ROW
from bulkpatch.job.secret_cells import INLINE, SecretCells
from bulkpatch.job.text import texts
from bulkpatch.model import Operation, Secret, SecretSlot
from bulkpatch.prequel.catalogue import Field, FieldType
from bulkpatch.prequel.coercion import coerce_text
from bulkpatch.prequel.encoding import encode_body, split

_COLUMN: Final = re.compile(r"\{([^{}]+)\}")


class Compiler:
    """Compiles rows that were checked; raises ``CoercionError`` for one that was not."""

    def __init__(self, layout: Layout, *, null: str | None, secret_cells: SecretCells) -> None:
        self._layout = layout
        self._null = null
        self._secret_cells = secret_cells
        self._readers = [_reader(one.field) for one in layout.fields]
        self._paths = {one.path: split(one.path) for one in layout.templates}
        self._paths |= {one.field.path: split(one.field.path) for one in layout.fields}
        self._sorted: dict[tuple[str, ...], tuple[str, ...]] = {}

    def operations(self, frame: pl.DataFrame) -> list[Operation]:
        """One operation for each row of ``frame``, all text."""
        layout = self._layout
        ids, labels = texts(frame, layout.id), [frame[name].to_list() for name in layout.labels]
        cells = [texts(frame, one.column) for one in layout.fields]
        columns = list(zip(layout.fields, self._readers, cells, strict=True))
        fillings = {name: texts(frame, name) for name in layout.fillings}
        found = []
        # Every row is compiled several times over (to seal it, to compare it, to send it): what it lacks costs nothing.
        for at, (row, line) in enumerate(zip(frame[ROW].to_list(), frame[LINE].to_list(), strict=True)):
            assignments = dict(layout.constants)
            secrets: list[SecretSlot] = []
            if layout.templates:
                self._own(assignments, secrets, {name: column[at] for name, column in fillings.items()})
            for one, read, column in columns:
                if text := column[at]:
                    self._cell(assignments, secrets, one, read, text)
            body = encode_body(assignments)
            found.append(
                Operation(
                    row=row,
                    destination_id=ids[at],
                    body=body,
                    digest=hashlib.sha256(body).digest(),
                    fields=self._fields(tuple(assignments)),
                    secrets=tuple(secrets),
                    labels=tuple([label[at] or None for label in labels]) if labels else (),
                    line=line,
                )
            )
        return found

    def _own(self, assignments: dict[str, Any], secrets: list[SecretSlot], fillings: dict[str, str]) -> None:
        """The references of [patch], filled from the row."""
        for one in self._layout.templates:
            reference = _COLUMN.sub(lambda found: fillings[found[1]], one.template)
            assignments[one.path] = reference
            secrets.append(SecretSlot(path=self._paths[one.path], source=reference))

    def _cell(
        self,
        assignments: dict[str, Any],
        secrets: list[SecretSlot],
        one: FieldColumn,
        read: Callable[[str], Any],
        text: str,
    ) -> None:
        """A cell that is filled wins over what the job says."""
        path = one.field.path
        if one.field.secret:
            secrets[:] = [slot for slot in secrets if slot.path != self._paths[path]]
        if text == self._null:
            assignments[path] = None
        elif one.field.secret:
            source = self._secret_cells.read(text)
            assignments[path] = INLINE if isinstance(source, Secret) else source
            secrets.append(SecretSlot(path=self._paths[path], source=source))
        else:
            assignments[path] = read(text)

    def _fields(self, paths: tuple[str, ...]) -> tuple[str, ...]:
        found = self._sorted.get(paths)
        if found is None:
            found = self._sorted[paths] = tuple(sorted(paths))
        return found


def same_body(one: Operation, other: Operation) -> bool:
    """Whether both send the same, inline secrets included: their digests do not cover these."""
    return one.digest == other.digest and _inline(one) == _inline(other)


def _inline(operation: Operation) -> Sequence[str]:
    return [slot.source.reveal() for slot in operation.secrets if isinstance(slot.source, Secret)]


def _reader(field: Field) -> Callable[[str], Any]:
    if field.type is FieldType.STRING and not field.enum:
        return str
    return lambda text: coerce_text(field, text)
