"""The fields a PATCH may set, read from the packaged OpenAPI file: the one place that knows their names."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, TypeAlias

import yaml

Schema: TypeAlias = Mapping[str, Any]

SUGGEST_LENGTH_MAX: Final = 200
"""Characters compared for a suggestion: the longest path has under 100, and difflib is quadratic."""
NAME_LIKENESS_MIN: Final = 0.75
"""How alike two field names must be to be taken for one (difflib ratio); below, they share letters only."""
PATH_LIKENESS_MIN: Final = 0.6
"""The same for whole paths; difflib's own default."""
UNREADABLE: Final = frozenset({"machine_type_id"})
"""Paths that are no secrets and yet stand in no read example, so reading back cannot confirm them."""


class FieldType(StrEnum):
    """What a field holds. ``object`` is any JSON value: the schema leaves its shape open."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    STRING_LIST = "string_list"
    OBJECT = "object"


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One leaf of the body.

    ``enum`` is closed, ``known_values`` is open to more; both as text. ``readable``: a GET shows it.
    ``vendor`` is the vendor object it lies in, None for fields of every destination. ``source`` is
    ``seed`` (on the API's page of the call) or ``docs`` (found elsewhere).
    """

    path: str
    type: FieldType
    enum: tuple[str, ...] = ()
    known_values: tuple[str, ...] = ()
    secret: bool = False
    sensitive: bool = False
    readable: bool = True
    vendor: str | None = None
    description: str = ""
    source: str = "seed"
    format: str = ""


class Catalogue:
    """Every field, by dotted path below ``destination``, in the order of the OpenAPI file."""

    __slots__ = ("_children", "fields", "vendors")

    fields: Mapping[str, Field]
    vendors: tuple[str, ...]

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self.fields = MappingProxyType(dict(fields))
        self.vendors = tuple(dict.fromkeys(field.vendor for field in fields.values() if field.vendor))
        children: dict[str, dict[str, None]] = {}
        for path in fields:
            for parent, child in _steps(path):
                children.setdefault(parent, {})[child] = None
        self._children = {parent: tuple(found) for parent, found in children.items()}

    def field(self, path: str) -> Field | None:
        """The leaf at ``path``, or None."""
        return self.fields.get(path)

    def children(self, prefix: str) -> tuple[str, ...]:
        """The whole paths one step below ``prefix`` (``""``: the top); empty for a leaf or an unknown path."""
        return self._children.get(prefix, ())

    def is_object(self, path: str) -> bool:
        """Whether ``path`` is an inner node: it has fields below it and no value of its own."""
        return path in self._children

    def suggest(self, path: str) -> str | None:
        """The known path most likely meant by ``path``, or None.

        Below the part of ``path`` that is known, a like name wins (``postgres.pasword``); else the
        most alike whole path.
        """
        path = path[:SUGGEST_LENGTH_MAX]
        deepest = [parent for parent, _ in _steps(path) if parent in self._children][-1]
        below = f"{deepest}." if deepest else ""
        known = [child for found in self._children.values() for child in found if child.startswith(below)]
        by_name: dict[str, list[str]] = {}
        for candidate in known:
            by_name.setdefault(_name(candidate), []).append(candidate)
        alike = difflib.get_close_matches(_name(path), by_name, n=1, cutoff=NAME_LIKENESS_MIN)
        found = difflib.get_close_matches(path, by_name[alike[0]] if alike else known, n=1, cutoff=0.0)
        if not found or (not alike and _likeness(path, found[0]) < PATH_LIKENESS_MIN):
            return None
        return found[0]


@cache
def catalogue() -> Catalogue:
    """The catalogue of the packaged OpenAPI file; read once a process."""
    text = resources.files(__package__).joinpath("openapi.yaml").read_bytes()
    document = yaml.load(text, Loader=yaml.CSafeLoader)
    schemas: Mapping[str, Schema] = document["components"]["schemas"]
    root = schemas["UpdateDestinationRequest"]["properties"]["destination"]
    return Catalogue({field.path: field for field in _leaves("", root, schemas, "seed")})


def _leaves(path: str, schema: Schema, schemas: Mapping[str, Schema], source: str) -> Iterator[Field]:
    """The leaves of ``schema``; what lies inside something found elsewhere counts as found elsewhere."""
    schema = _resolved(schema, schemas)
    source = "docs" if source == "docs" else schema.get("x-source", "seed")
    if "properties" not in schema:
        yield _leaf(path, schema, source)
        return
    for name, inner in schema["properties"].items():
        yield from _leaves(f"{path}.{name}" if path else name, inner, schemas, source)


def _resolved(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    """``schema`` with its ``$ref`` put in; what stands beside the reference wins."""
    if "$ref" not in schema:
        return schema
    return {**schemas[schema["$ref"].rpartition("/")[2]], **schema}


def _leaf(path: str, schema: Schema, source: str) -> Field:
    secret = bool(schema.get("x-secret"))
    vendor, inside, _ = path.partition(".")
    return Field(
        path=path,
        type=_type(schema),
        enum=tuple(map(str, schema.get("enum", ()))),
        known_values=tuple(map(str, schema.get("x-extensible-enum", ()))),
        secret=secret,
        sensitive=bool(schema.get("x-sensitive")),
        readable=not secret and not schema.get("writeOnly") and path not in UNREADABLE,
        vendor=vendor if inside else None,
        description=schema.get("description", ""),
        source=source,
        format=schema.get("format", ""),
    )


def _type(schema: Schema) -> FieldType:
    match schema.get("type"):
        case "array" if schema.get("items", {}).get("type") == "string":
            return FieldType.STRING_LIST
        case "string" | "integer" | "number" | "boolean" as plain:
            return FieldType(plain)
        case _:
            return FieldType.OBJECT


def _steps(path: str) -> Iterator[tuple[str, str]]:
    """Each inner node on the way to ``path`` and the node below it, from the top down."""
    parent = ""
    for name in path.split("."):
        child = f"{parent}.{name}" if parent else name
        yield parent, child
        parent = child


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()
