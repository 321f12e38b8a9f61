"""[patch], [expect] and [input.columns] against the API's catalogue of fields."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from bulkpatch.job.findings import Findings
from bulkpatch.job.references import Refused, check_template
from bulkpatch.job.spec import Constant, FromColumn, FromSecret, KeyPath, PatchField
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.prequel.coercion import CoercionError, coerce_value
from bulkpatch.prequel.values import check_json

CHILDREN_SHOWN_MAX: Final = 8
"""Fields of an object named in a hint."""

_FORM_KEYS: Final = ("column", "default", "secret")
_FORMS: Final = ({"secret"}, {"column"}, {"column", "default"})
_REFERENCE_HINT: Final = 'Write { secret = "env:NAME" } and put the value where the reference points.'

ONLY_READ: Final = {
    "vendor": Field(path="vendor", type=FieldType.STRING, description="Vendor of the destination, such as postgres."),
    "recipient_id": Field(
        path="recipient_id", type=FieldType.STRING, description="The recipient that the destination belongs to."
    ),
    "id_in_provider_system": Field(
        path="id_in_provider_system", type=FieldType.STRING, description="The recipient's id in your own system."
    ),
}
"""Fields of every destination that a GET shows and no PATCH sets."""

Placed: TypeAlias = Mapping[str, KeyPath]
"""Field paths that a job sets, and where it says so."""


def read_patch(
    table: Mapping[str, Any], findings: Findings, *, allow_unknown: bool
) -> tuple[tuple[PatchField, ...], Placed]:
    """The fields under ``[patch]``, and all places where one is set; what does not hold is found and left out."""

    def descend(dotted: str, value: Mapping[str, Any]) -> bool:
        unknown = allow_unknown and catalogue().field(dotted) is None
        return catalogue().is_object(dotted) or (unknown and bool(value) and set(value) not in _FORMS)

    fields: list[PatchField] = []
    placed: dict[str, KeyPath] = {}
    for dotted, path, value in _leaves(table, ("patch",), descend):
        placed[dotted] = path
        if _is_misnamed(path, findings):
            continue
        if catalogue().field(dotted) is None and (catalogue().is_object(dotted) or not allow_unknown):
            _unknown(dotted, path, findings)
        elif (field := _read_field(dotted, path, value, findings)) is not None:
            fields.append(field)
    return tuple(fields), placed


def read_expect(table: Mapping[str, Any], findings: Findings) -> dict[str, Any]:
    """Field path → the value that the live state must have."""
    found = {}
    known = catalogue()
    for dotted, path, value in _leaves(table, ("expect",), lambda dotted, _: known.is_object(dotted)):
        field = ONLY_READ.get(dotted) or known.field(dotted)
        if _is_misnamed(path, findings):
            continue
        if field is None:
            _unknown(dotted, path, findings)
        elif not field.readable:
            findings.add("BP108", path, "the API never shows this field", "Expect a field that can be read.", "key")
        else:
            found[dotted] = _coerced(field, path, value, findings)
    return found


def check_columns(columns: Mapping[str, str], findings: Findings, *, table: str = "columns") -> Placed:
    """Whether each column of ``[input.columns]``, or another table, names a field of its own; where each stands."""
    placed: dict[str, KeyPath] = {}
    for column, dotted in columns.items():
        path: KeyPath = ("input", table, column)
        if catalogue().field(dotted) is None:
            _unknown(dotted, path, findings, on="value")
        if (earlier := placed.setdefault(dotted, path)) != path:
            findings.add("BP108", path, f"{findings.place(earlier)} names the same field", "Keep one of the columns.")
    return placed


def check_together(patch: Placed, columns: Placed, findings: Findings) -> None:
    """Whether what the job sets fits in one body: the vendor of [patch] alone, and no field inside another.

    Without a vendor under [patch], columns of several may be mapped: each row fills those of its own.
    """
    _check_vendors(patch, columns, findings)
    _check_nesting({**columns, **patch}, findings)


def _check_vendors(patch: Placed, columns: Placed, findings: Findings) -> None:
    vendors = {dotted: dotted.partition(".")[0] for dotted in (*patch, *columns)}
    sent = next((dotted for dotted in patch if vendors[dotted] in catalogue().vendors), None)
    if sent is None:
        return
    told = {vendors[sent]}
    for dotted, path in (*patch.items(), *columns.items()):
        vendor = vendors[dotted]
        if vendor in catalogue().vendors and vendor not in told:
            told.add(vendor)
            words = f"{vendor} is a second vendor object beside {vendors[sent]} of {findings.place(patch[sent])}"
            findings.add("BP109", path, words, on="key")


def _check_nesting(placed: Placed, findings: Findings) -> None:
    for dotted, path in placed.items():
        steps = dotted.split(".")
        above = next((up for n in range(1, len(steps)) if (up := ".".join(steps[:n])) in placed), None)
        if above is not None:
            words = f"the field lies inside one that {findings.place(placed[above])} sets as a whole"
            findings.add("BP108", path, words, "Keep one of the two.", "key")


def _leaves(
    table: Mapping[str, Any], at: KeyPath, descend: Callable[[str, Mapping[str, Any]], bool]
) -> Iterator[tuple[str, KeyPath, Any]]:
    """Each field path of nested tables with its place and value; ``descend`` tells inner nodes from values.

    An empty table sets nothing.
    """
    for name, value in table.items():
        path = (*at, name)
        dotted = ".".join(map(str, path[1:]))
        if isinstance(value, dict) and descend(dotted, value):
            yield from _leaves(value, path, descend)
        else:
            yield dotted, path, value


def _read_field(dotted: str, path: KeyPath, value: Any, findings: Findings) -> PatchField | None:
    field = catalogue().field(dotted)
    if isinstance(value, dict):
        if set(value) in _FORMS:
            from_row = _from_secret if "secret" in value else _from_column
            return from_row(dotted, path, value, findings)
        if field is not None and (field.secret or field.type is not FieldType.OBJECT):
            _not_a_form(path, value, findings)
            return None
    if field is not None and field.secret:
        findings.add("BP110", path, "a secret field takes a reference only", _REFERENCE_HINT, "key")
        return None
    return Constant(path=dotted, value=_coerced(field, path, value, findings))


def _from_secret(dotted: str, path: KeyPath, value: Mapping[str, Any], findings: Findings) -> FromSecret | None:
    field, template = catalogue().field(dotted), value["secret"]
    if field is not None and not field.secret:
        findings.add("BP108", path, "not a secret field", "Give the value itself, or { column = … }.", "key")
        return None
    try:
        return FromSecret(path=dotted, template=check_template(template if isinstance(template, str) else ""))
    except Refused as error:
        findings.add(error.code, (*path, "secret"), str(error), error.hint)
        return None


def _from_column(dotted: str, path: KeyPath, value: Mapping[str, Any], findings: Findings) -> FromColumn | None:
    field, column, default = catalogue().field(dotted), value["column"], value.get("default")
    if not isinstance(column, str) or not column:
        findings.add("BP105", (*path, "column"), "the name of a column belongs here", 'Write { column = "NAME" }.')
    elif field is None:
        findings.add("BP108", path, "a field that is not known takes a constant or a secret", on="key")
    elif default is not None and field.secret:
        findings.add("BP110", (*path, "default"), "a secret field has no default", _REFERENCE_HINT, "key")
    else:
        at = (*path, "default")
        default = None if default is None else _coerced(field, at, default, findings)
        return FromColumn(path=dotted, column=column, default=default)
    return None


def _not_a_form(path: KeyPath, value: Mapping[str, Any], findings: Findings) -> None:
    unknown = [name for name in value if name not in _FORM_KEYS]
    for name in unknown:
        near = difflib.get_close_matches(name, _FORM_KEYS, n=1)
        hint = f"Did you mean {near[0]}?" if near else "Known here: column, default, secret."
        findings.add("BP103", (*path, name), "unknown key", hint, "key")
    if not unknown:
        hint = 'Write { column = "…" }, { column = "…", default = … } or { secret = "…" }.'
        findings.add("BP105", path, "either a column or a secret belongs here", hint)


def _coerced(field: Field | None, path: KeyPath, value: Any, findings: Findings) -> Any:
    try:
        if field is not None:
            return coerce_value(field, value)
        check_json(value)
    except CoercionError as error:
        findings.add("BP108", path, error.reason, error.hint)
    return value


def _is_misnamed(path: KeyPath, findings: Findings) -> bool:
    """Whether quotes hold what is not one name of a field: nothing, or a whole path."""
    if all(name and "." not in str(name) for name in path):
        return False
    hint = "Write a path without quotes, such as postgres.host."
    findings.add("BP107", path, "no name of a field is empty or has a dot in it", hint, "key")
    return True


def _unknown(dotted: str, path: KeyPath, findings: Findings, on: Literal["key", "value"] = "key") -> None:
    """A path that is no field. Only its key is shown: the value of a column may be a cell that was pasted there."""
    if catalogue().is_object(dotted):
        findings.add("BP108", path, "an object of the API takes no value of its own", _children(dotted), on)
        return
    meant = None if findings.full else catalogue().suggest(dotted)
    if path[0] == "expect" and (near := difflib.get_close_matches(dotted, ONLY_READ, n=1)):
        meant = near[0]
    hint = f"Did you mean {meant}?" if meant else "Browse the fields with `bulkpatch schema`."
    if path[0] == "patch":
        hint += " For a field that is new, set [api] allow_unknown_fields = true."
    findings.add("BP107", path, "the API has no such field", hint, on)


def _children(dotted: str) -> str:
    names = [child.rpartition(".")[2] for child in catalogue().children(dotted)]
    more = ", …" if len(names) > CHILDREN_SHOWN_MAX else ""
    return f"Set its fields: {', '.join(names[:CHILDREN_SHOWN_MAX])}{more}"
