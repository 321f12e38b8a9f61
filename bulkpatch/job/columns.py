"""Which column of the input plays which part in the job, and what becomes of one that plays none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bulkpatch.errors import CODES, Problem
from bulkpatch.job.naming import foreign_letters, nearest, shown
from bulkpatch.job.parts import Header, Kind, fits
from bulkpatch.job.references import template_columns
from bulkpatch.job.spec import Constant, FromColumn, FromSecret, Job
from bulkpatch.prequel.catalogue import Field, catalogue

IGNORED_PREFIX: Final = "_bp_"
"""Columns that reports write and input passes over."""
ORIGIN: Final = "_bp_input"
"""The one of them that says where a row came from: file and row."""

_PLAIN: Final = frozenset({Kind.TEXT, Kind.INTEGER})
_LABELS: Final = frozenset({Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN, Kind.SCALAR})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldColumn:
    """The cells of ``column`` set ``field``; an empty one leaves it to the job's own value, if there is one."""

    column: str
    field: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows become bodies.

    ``constants`` are sent for every row unless a cell wins; so are ``templates``. ``names`` are the
    columns that are read, without those of the condition; ``origin``: the input has ``_bp_input``.
    """

    id: str
    constants: Mapping[str, Any]
    fields: tuple[FieldColumn, ...]
    templates: tuple[FromSecret, ...]
    labels: tuple[str, ...]
    origin: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is needed, once."""
        found = [self.id, *(one.column for one in self.fields), *self.labels]
        found += [column for template in self.templates for column in template_columns(template.template)]
        return tuple(dict.fromkeys(found + [ORIGIN] * self.origin))


def lay_out(job: Job, header: Header, condition: Sequence[str]) -> tuple[Layout, list[Problem]]:
    """The parts that the columns of ``header`` play in ``job``, and every column that fits none.

    ``condition`` are the columns that ``where`` uses. A column that the job names plays that part
    alone; any other that is called like a field sets it.
    """
    mapped = dict(job.input.columns)
    mapped |= {one.column: one.path for one in job.patch if isinstance(one, FromColumn) and one.column not in mapped}
    named = {job.input.id, *job.input.labels, *mapped, *condition}
    named |= {column for one in job.patch if isinstance(one, FromSecret) for column in template_columns(one.template)}
    known = catalogue()
    fields = [
        FieldColumn(column=column, field=field)
        for column, path in _fields(job, header, mapped, named)
        if (field := known.field(path)) is not None
    ]
    constants = {one.path: one.value for one in job.patch if isinstance(one, Constant)}
    constants |= {one.path: one.default for one in job.patch if isinstance(one, FromColumn) and one.default is not None}
    layout = Layout(
        id=job.input.id,
        constants=constants,
        fields=tuple(fields),
        templates=tuple(one for one in job.patch if isinstance(one, FromSecret)),
        labels=job.input.labels,
        origin=ORIGIN in header.names,
    )
    problems = [*_missing(job, header, named), *_unknown(header, named), *_set_twice(header, layout)]
    return layout, problems + ([] if problems else list(_misfits(header, layout)))


def _fields(job: Job, header: Header, mapped: Mapping[str, str], named: set[str]) -> Iterator[tuple[str, str]]:
    """Column and field path, in the order of the header; one column may fill several fields of [patch]."""
    for name in header.names:
        if name in mapped:
            paths = [one.path for one in job.patch if isinstance(one, FromColumn) and one.column == name]
            paths += [job.input.columns[name]] if name in job.input.columns else []
            yield from ((name, path) for path in dict.fromkeys(paths))
        elif name not in named:
            yield name, name


def _missing(job: Job, header: Header, named: set[str]) -> Iterator[Problem]:
    for name in sorted(named - set(header.names)):
        meant = nearest(name, [one for one in header.names if not one.startswith(IGNORED_PREFIX)])
        code = "BP213" if name == job.input.id else "BP228"
        what = "there is no column" if code == "BP213" else "the job names a column that is not there:"
        hint = f"Did you mean {shown(meant)}?" if meant else CODES[code].fix
        yield Problem(code=code, message=f"{what} {shown(name)}", hint=hint, file=header.file)


def _unknown(header: Header, named: set[str]) -> Iterator[Problem]:
    known = catalogue()
    for name in header.names:
        if name in named or name.startswith(IGNORED_PREFIX) or known.field(name) is not None:
            continue
        foreign = foreign_letters(name)
        words = f"unknown column {shown(name)}" + (f"; it contains {foreign}" if foreign else "")
        meant = nearest(name, [*named, *known.fields]) or known.suggest(name)
        hint = f"Did you mean {meant}? " if meant else ""
        if known.is_object(name):
            hint = f"It is an object of the API: name one of its fields, such as {known.children(name)[0]}. "
        yield Problem(code="BP215", message=words, hint=hint + CODES["BP215"].fix, file=header.file)


def _set_twice(header: Header, layout: Layout) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for one in layout.fields:
        other = first.setdefault(one.field.path, one.column)
        if other != one.column:
            words = f"the columns {shown(other)} and {shown(one.column)} set the same field {one.field.path}"
            yield Problem(code="BP215", message=words, hint="Keep one of the two.", file=header.file)


def _misfits(header: Header, layout: Layout) -> Iterator[Problem]:
    """Columns whose cells have a type that their part does not take."""

    def refuse(column: str, wanted: str, fix: str) -> Problem:
        kinds = " and ".join(sorted(kind.value for kind in header.kinds[column]))
        words = f"the column holds {kinds}, and {wanted}"
        return Problem(code="BP219", message=words, hint=fix, file=header.file, column_name=column)

    if header.kinds[layout.id] != {Kind.TEXT}:
        yield refuse(layout.id, "ids are text", "Write the column as text: nothing is guessed of a number.")
    for one in layout.fields:
        if not all(fits(kind, one.field) for kind in header.kinds[one.column]):
            field = one.field
            wanted = "a secret reference" if field.secret else field.type.value.replace("_", " ")
            yield refuse(one.column, f"{field.path} takes {wanted}", CODES["BP219"].fix)
    for template in layout.templates:
        for column in template_columns(template.template):
            if not header.kinds[column] <= _PLAIN:
                yield refuse(column, "a reference is filled from text", CODES["BP219"].fix)
    for label in layout.labels:
        if not header.kinds[label] <= _LABELS:
            yield refuse(label, "a label is one value", CODES["BP219"].fix)
