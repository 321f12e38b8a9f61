"""The JSON Schema of a job file, for editors: the grammar, and under [patch] and [expect] the API's catalogue.

Whatever ``load_job`` accepts, the schema accepts; what only several keys together tell is left to
``check``. Some editors read it by draft 7, so nothing that decides stands beside a ``$ref``.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, assert_never

from bulkpatch.job.grammar import JobFile
from bulkpatch.job.patch import ONLY_READ
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue
from bulkpatch.prequel.values import INTEGER_MAX

Schema: TypeAlias = dict[str, Any]

LINE_CHARS_MAX: Final = 118
"""Characters up to which a part of the schema stands on one line, so that each field has a line of its own."""

_NAME: Final[Schema] = {"type": "string", "minLength": 1}


def job_schema() -> Schema:
    """The schema as a JSON value; equal grammars and catalogues give equal ones."""
    drawn = _tidied(JobFile.model_json_schema())
    tables: Schema = drawn["$defs"]
    for name in ("columns", "previous"):
        tables["InputTable"]["properties"][name]["additionalProperties"] = _ref("field_path")
    properties = drawn["properties"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bulkpatch job",
        "description": drawn["description"],
        "type": "object",
        "required": drawn["required"],
        "additionalProperties": False,
        "properties": {
            **properties,
            "patch": {**_described(properties["patch"]), "anyOf": [_ref("patch"), _ref("unknown_fields")]},
            "expect": {**_described(properties["expect"]), "anyOf": [_ref("expect")]},
        },
        "if": {"properties": {"api": _allows_unknown()}, "required": ["api"]},
        "else": {"properties": {"patch": _ref("patch")}},
        "$defs": {**tables, **_forms(), "patch": _patch(""), "expect": _expect("")},
    }


def as_text(schema: Schema) -> str:
    """The schema as the file holds it."""
    return "".join(_pieces(schema, "", 0)) + "\n"


def _pieces(value: Any, indent: str, begin: int) -> Iterator[str]:
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or begin + len(line) <= LINE_CHARS_MAX:
        yield line
        return
    inner = indent + " "
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    items = (
        [(f"{json.dumps(key)}: ", one) for key, one in value.items()]
        if isinstance(value, dict)
        else [("", one) for one in value]
    )
    for number, (key, one) in enumerate(items):
        yield ("," if number else opening) + f"\n{inner}{key}"
        yield from _pieces(one, inner, len(inner + key))
    yield f"\n{indent}{closing}"


# ── the grammar ──────────────────────────────────────────────────────────────────────────────


def _tidied(drawn: Any) -> Any:
    """Without what says nothing of TOML: titles made of names, and nulls."""
    if isinstance(drawn, list):
        return [_tidied(one) for one in drawn]
    if not isinstance(drawn, dict):
        return drawn
    kept = {
        key: _tidied(value)
        for key, value in drawn.items()
        if not (key == "title" and isinstance(value, str)) and (key, value) != ("default", None)
    }
    forms = [form for form in kept.pop("anyOf", []) if form != {"type": "null"}]
    kept |= forms[0] if len(forms) == 1 and "$ref" not in forms[0] else {"anyOf": forms} if forms else {}
    return {**{key: kept[key] for key in ("description", "type") if key in kept}, **kept}


def _described(schema: Mapping[str, Any]) -> Schema:
    return {"description": schema["description"]}


def _allows_unknown() -> Schema:
    return {"properties": {"allow_unknown_fields": {"const": True}}, "required": ["allow_unknown_fields"]}


# ── the fields of the API ────────────────────────────────────────────────────────────────────


def _patch(path: str) -> Schema:
    """The table under [patch] at ``path``, or the field."""
    field = catalogue().field(path)
    if field is None:
        return _table({child: _patch(child) for child in catalogue().children(path)})
    return _about(field, _or_column(_enum(field)) if field.enum else _ref(f"patch_{_form(field)}"))


def _expect(path: str) -> Schema:
    """The table under [expect] at ``path``, or the field: only what a GET shows."""
    field = ONLY_READ.get(path) or catalogue().field(path)
    if field is not None:
        return _about(field, _enum(field) if field.enum else _ref(_form(field)))
    children = [*([] if path else ONLY_READ), *catalogue().children(path)]
    return _table({child: _expect(child) for child in children if _is_readable(child)})


def _is_readable(path: str) -> bool:
    field = catalogue().field(path)
    return field is None or field.readable


def _table(children: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {path.rpartition(".")[2]: schema for path, schema in children.items()},
    }


def _about(field: Field, form: Schema) -> Schema:
    """``form`` with what is known of the field. A description beside a ``$ref`` would not be shown."""
    about: Schema = {"description": field.description} if field.description else {}
    if field.known_values:
        about["examples"] = list(field.known_values)
    return {**about, "anyOf": [form]} if about and "$ref" in form else {**form, **about}


def _form(field: Field) -> str:
    return "secret" if field.secret else field.type.value


def _enum(field: Field) -> Schema:
    """The values that are allowed; numbers also as the text that a cell would hold."""
    if field.type not in {FieldType.INTEGER, FieldType.NUMBER}:
        return {"enum": list(field.enum)}
    text = {"type": "string", "pattern": f"^-?({'|'.join(map(re.escape, field.enum))})$"}
    return {"anyOf": [{"enum": [json.loads(one) for one in field.enum]}, text]}


def _forms() -> Schema:
    """What a value may be, by the type of its field, and under [patch] also in the words of a table."""
    values = {kind.value: _value(kind) for kind in dict.fromkeys(field.type for field in catalogue().fields.values())}
    secret = [_words("secret", {"secret": _ref("reference")}), _words("column", {"column": _NAME})]
    return {
        "reference": {
            "description": 'A secret reference, such as "env:NAME".',
            "type": "string",
            "pattern": "^[a-z][a-z0-9-]*:",
        },
        "field_path": {"description": "A field of the API.", "enum": list(catalogue().fields)},
        "unknown_fields": {"description": "With [api] allow_unknown_fields = true.", "type": "object"},
        **values,
        **{f"patch_{name}": _or_column(_ref(name)) for name in values},
        "patch_secret": {
            "description": 'A secret: { secret = "env:NAME" }, {name} in it filled from the row, or { column = "…" }.',
            "anyOf": secret,
        },
    }


def _value(kind: FieldType) -> Schema:
    """TOML's value of a field, or the text that a cell would hold."""
    text: Schema = {"type": "string"}
    match kind:
        case FieldType.STRING:
            return {"description": "Text.", **text}
        case FieldType.INTEGER | FieldType.NUMBER:
            number = {"type": kind.value, "minimum": -INTEGER_MAX, "maximum": INTEGER_MAX}
            return {"description": "A number.", "anyOf": [number, {**text, "pattern": "^-?[0-9][0-9.eE+-]*$"}]}
        case FieldType.BOOLEAN:
            return {
                "description": "true or false.",
                "anyOf": [{"type": "boolean"}, {**text, "pattern": "^(true|false)$"}],
            }
        case FieldType.STRING_LIST:
            return {"description": "A list of texts.", "anyOf": [{"type": "array", "items": text}, text]}
        case FieldType.OBJECT:
            return {"description": "Any JSON value."}
        case _:
            assert_never(kind)


def _or_column(value: Schema) -> Schema:
    """The value itself, or a column that holds it."""
    words = 'A value, or { column = "…", default = … }.'
    return {"description": words, "anyOf": [value, _words("column", {"column": _NAME, "default": value})]}


def _words(required: str, properties: Schema) -> Schema:
    return {"type": "object", "required": [required], "additionalProperties": False, "properties": properties}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


if __name__ == "__main__":
    sys.stdout.write(as_text(job_schema()))
