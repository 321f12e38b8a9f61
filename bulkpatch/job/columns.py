"""Which column of the input plays which part in the job, and what becomes of one that plays none."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from bulkpatch.errors import CODES, Problem
from bulkpatch.job.frames import one_line
from bulkpatch.job.naming import foreign_letters, nearest, shown
from bulkpatch.job.parts import Header, Kind, fits
from bulkpatch.job.references import template_columns
from bulkpatch.job.spec import Constant, FromColumn, FromSecret, Job
from bulkpatch.prequel.catalogue import Field, catalogue

IGNORED_PREFIX: Final = "_bp_"
"""Columns that reports write and input passes over."""
ORIGIN: Final = "_bp_input"
"""The one of them that says where a row came from: file and row."""

_IDS: Final = frozenset({Kind.TEXT})
_FILLINGS: Final = frozenset({Kind.TEXT, Kind.INTEGER})
_LABELS: Final = frozenset({Kind.TEXT, Kind.INTEGER, Kind.BOOLEAN, Kind.SCALAR})


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldColumn:
    """The cells of ``column`` set ``field``; an empty one leaves it to the job's own value, if there is one."""

    column: str
    field: Field


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How rows become bodies.

    ``constants`` are sent for every row unless a cell wins; so are ``templates``. ``previous`` columns hold
    what stood there before, and are never sent. ``names`` are the columns that are read, without those of
    the condition; ``origin``: the input has ``_bp_input``.
    """

    id: str
    constants: Mapping[str, Any]
    fields: tuple[FieldColumn, ...]
    templates: tuple[FromSecret, ...]
    labels: tuple[str, ...]
    previous: tuple[FieldColumn, ...] = ()
    origin: bool = False

    @property
    def secret(self) -> frozenset[str]:
        """The columns of secret fields."""
        return frozenset(one.column for one in (*self.fields, *self.previous) if one.field.secret)

    @property
    def fillings(self) -> tuple[str, ...]:
        """The columns that references are filled from, once each."""
        found = [name for one in self.templates for name in template_columns(one.template)]
        return tuple(dict.fromkeys(found))

    @property
    def names(self) -> tuple[str, ...]:
        """Every column that is needed, once."""
        found = [self.id, *(one.column for one in (*self.fields, *self.previous)), *self.labels, *self.fillings]
        return tuple(dict.fromkeys(found + [ORIGIN] * self.origin))

    def without(self, columns: Container[str]) -> Layout:
        """The same without the parts that ``columns`` play."""
        return replace(
            self,
            fields=tuple(one for one in self.fields if one.column not in columns),
            templates=tuple(
                one for one in self.templates if not any(name in columns for name in template_columns(one.template))
            ),
            labels=tuple(label for label in self.labels if label not in columns),
            previous=tuple(one for one in self.previous if one.column not in columns),
        )


def lay_out(job: Job, header: Header) -> Layout:
    """The parts that the columns of ``header`` play in ``job``.

    A column that the job names as id, as a label or for a field plays that part alone; any other
    that is called like a field sets it, also if ``where`` or a reference reads it.
    """
    known = catalogue()
    constants = {one.path: one.value for one in job.patch if isinstance(one, Constant)}
    constants |= {one.path: one.default for one in job.patch if isinstance(one, FromColumn) and one.default is not None}
    return Layout(
        id=job.input.id,
        constants=constants,
        fields=tuple(
            FieldColumn(column=column, field=field)
            for column, path in _fields(job, header)
            if (field := known.field(path)) is not None
        ),
        templates=tuple(one for one in job.patch if isinstance(one, FromSecret)),
        labels=job.input.labels,
        previous=tuple(
            FieldColumn(column=column, field=field)
            for column, path in job.input.previous.items()
            if (field := known.field(path)) is not None
        ),
        origin=ORIGIN in header.names,
    )


def _fields(job: Job, header: Header) -> Iterator[tuple[str, str]]:
    """Column and field path, in the order of the header; one column may fill several fields of [patch]."""
    for name in header.names:
        paths = [one.path for one in job.patch if isinstance(one, FromColumn) and one.column == name]
        paths += [job.input.columns[name]] if name in job.input.columns else []
        if not paths and name not in {job.input.id, *job.input.labels, *job.input.previous}:
            paths = [name]
        yield from ((name, path) for path in dict.fromkeys(paths))


def check_columns(
    job: Job, headers: Sequence[Header], layout: Layout, condition: Sequence[str]
) -> tuple[list[Problem], Layout | None]:
    """All that is wrong with the columns of all files; what is left of ``layout`` without them.

    ``condition`` are the columns that ``where`` reads. Nothing is left where the rows cannot be told
    apart, or an id could be shown that is a secret.
    """
    first = headers[0]
    named = {job.input.id, *job.input.labels, *job.input.columns, *job.input.previous, *condition, *layout.fillings}
    named |= {one.column for one in job.patch if isinstance(one, FromColumn)}
    exposed = list(_exposed(first, layout))
    problems = [*_set_twice(first, layout), *exposed]
    unsound = {job.input.id} if exposed else set()
    for header in headers:
        misfits = list(_misfits(header, layout))
        problems += [*_missing(job, header, named, condition), *_unknown(header, named), *misfits]
        unsound |= {one.column_name or "" for one in misfits} | (named - set(header.names))
        if set(header.names) != set(first.names):
            problems.append(_other_columns(first, header))
            unsound.add(job.input.id)
    if not problems and not (layout.constants or layout.fields or layout.templates):
        words = "no column sets a field, and neither does [patch]"
        problems.append(Problem(code="BP117", message=words, hint=CODES["BP117"].fix, file=first.file))
    whole = unsound.isdisjoint({job.input.id, *condition})
    return problems, layout.without(unsound) if whole else None


def _missing(job: Job, header: Header, named: set[str], condition: Sequence[str]) -> Iterator[Problem]:
    there = [one for one in header.names if not one.startswith(IGNORED_PREFIX)]
    for name in sorted(named - set(header.names)):
        code = "BP213" if name == job.input.id else "BP228"
        what = "there is no column" if code == "BP213" else "the job names a column that is not there:"
        meant = nearest(name, there)
        hint = f"Did you mean {shown(meant)}?" if meant else CODES[code].fix
        if name in condition and any(one.startswith(f"{name}.") for one in there):
            hint = "In where, a name with dots stands in double quotes: \"postgres.host\" = 'db1'."
        yield Problem(code=code, message=f"{what} {shown(name)}", hint=hint, file=header.file)


def _unknown(header: Header, named: set[str]) -> Iterator[Problem]:
    known = catalogue()
    for name in header.names:
        if name in named or name.startswith(IGNORED_PREFIX) or known.field(name) is not None:
            continue
        foreign = foreign_letters(name)
        words = f"unknown column {shown(name)}" + (f"; it contains {foreign}" if foreign else "")
        meant = nearest(name, [*named, *known.fields]) or known.suggest(name)
        hint = f"Did you mean {one_line(meant)}? " if meant else ""
        if known.is_object(name):
            hint = f"It is an object of the API: name one of its fields, such as {known.children(name)[0]}. "
        yield Problem(code="BP215", message=words, hint=hint + CODES["BP215"].fix, file=header.file)


def _other_columns(first: Header, header: Header) -> Problem:
    there, here = set(first.names), set(header.names)
    flaws = [f"{shown(min(there - here))} is missing"] if there - here else []
    flaws += [f"{shown(min(here - there))} is more"] if here - there else []
    return Problem(
        code="BP206",
        message=f"the columns are not those of {first.file}: {' and '.join(flaws)}",
        hint="Give all files of the input the same columns; an empty cell leaves its field alone.",
        file=header.file,
    )


def _set_twice(header: Header, layout: Layout) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for one in layout.fields:
        other = first.setdefault(one.field.path, one.column)
        if other != one.column:
            words = f"the columns {shown(other)} and {shown(one.column)} set the same field {one.field.path}"
            yield Problem(code="BP215", message=words, hint="Keep one of the two.", file=header.file)


def _exposed(header: Header, layout: Layout) -> Iterator[Problem]:
    """Columns of secrets whose cells would also go where they are seen."""
    known = catalogue()
    parts = [(layout.id, "the id")]
    parts += [(name, "a label, which reports show") for name in layout.labels]
    parts += [(name, "a part of a secret reference, which is stored") for name in layout.fillings]
    parts += [(one.column, f"the field {one.field.path}") for one in layout.fields if not one.field.secret]
    for name, part in parts:
        field = known.field(name)
        if name in layout.secret or (field is not None and field.secret):
            yield Problem(
                code="BP215",
                message=f"the column holds secrets, and the job takes it for {part}",
                hint="Give that part a column of its own.",
                file=header.file,
                column_name=name,
            )


def _misfits(header: Header, layout: Layout) -> Iterator[Problem]:
    """Columns whose cells have a type that their part does not take."""

    def flaws(column: str, fitting: Container[Kind], wanted: str, fix: str = "") -> Iterator[Problem]:
        for kind, line in header.kinds.get(column, {}).items():
            if kind not in fitting:
                holds = "holds" if line is None else "has, here first,"
                yield Problem(
                    code="BP219",
                    message=f"the column {holds} {kind.value}, and {wanted}",
                    hint=fix or CODES["BP219"].fix,
                    file=header.file,
                    line=line,
                    column_name=column,
                )

    yield from flaws(layout.id, _IDS, "ids are text", "Write the column as text: nothing is guessed of a number.")
    for one in (*layout.fields, *layout.previous):
        wanted = "a secret reference" if one.field.secret else one.field.type.value.replace("_", " ")
        yield from flaws(
            one.column, [kind for kind in Kind if fits(kind, one.field)], f"{one.field.path} takes {wanted}"
        )
    for name in layout.fillings:
        yield from flaws(name, _FILLINGS, "a reference is filled from text")
    for label in layout.labels:
        yield from flaws(label, _LABELS, "a label is one value")
