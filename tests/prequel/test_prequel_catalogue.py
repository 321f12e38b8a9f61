"""The catalogue knows every field of the update call, and which of them are secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulkpatch.prequel.browse import describe
from bulkpatch.prequel.catalogue import FieldType, catalogue

SEED_BODY: dict[str, Any] = json.loads(Path(__file__).with_name("seed_body.json").read_bytes())["destination"]
"""The example body of the API's page of the call, as data."""
NOT_ON_THE_PAGE = {"bigquery", "redshift", "redshift_serverless", "s3_compatible"}


def leaves(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of each leaf of a JSON object."""
    for name, value in node.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


@pytest.mark.parametrize(("path", "shown"), list(leaves(SEED_BODY)))
def test_every_field_of_the_seed_body_is_known_with_its_type(path: str, shown: Any) -> None:
    """The page's placeholders tell the types: 123, true, "<string>", a list; "<unknown>" tells nothing."""
    field = catalogue().field(path)
    assert field is not None
    if shown == "<unknown>":
        return
    expected = {str: "string", int: "integer", bool: "boolean", list: "string_list"}[type(shown)]
    assert field.type == expected
    assert field.source == "seed"


def test_all_25_vendors_are_known() -> None:
    """The 21 vendor objects of the page and four that are found elsewhere."""
    on_the_page = {name for name, value in SEED_BODY.items() if isinstance(value, dict)}
    assert len(on_the_page) == 21
    assert set(catalogue().vendors) == on_the_page | NOT_ON_THE_PAGE
    assert len(catalogue().vendors) == 25


def secret_paths(schema: Any, schemas: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Where ``x-secret`` stands, by a walk that shares nothing with the catalogue's."""
    while "$ref" in schema:
        schema = schemas[schema["$ref"].split("/")[-1]]
    if schema.get("x-secret"):
        yield ".".join(path)
    for name, inner in schema.get("properties", {}).items():
        yield from secret_paths(inner, schemas, (*path, name))


def test_every_secret_of_the_schema_is_marked_and_cannot_be_read_back() -> None:
    """Exactly the ``x-secret`` leaves are secret; none of them is readable."""
    document = yaml.safe_load(resources.files("bulkpatch.prequel").joinpath("openapi.yaml").read_text("utf-8"))
    schemas = document["components"]["schemas"]
    expected = set(secret_paths(schemas["DestinationPatch"], schemas))
    fields = catalogue().fields
    assert {path for path, field in fields.items() if field.secret} == expected
    assert {path for path, field in fields.items() if not field.readable} == expected | {"machine_type_id"}
    assert {"postgres.password_auth.password", "redshift.aws_access_keys.password"} < expected


def test_every_name_that_sounds_like_a_credential_is_secret() -> None:
    """A field that the schema's author forgot to mark would show here."""
    words = ("password", "secret", "token", "wallet", "secret_key", "service_account_key")
    for path, field in catalogue().fields.items():
        name = path.rpartition(".")[2]
        if name.endswith(words):
            assert field.secret, path


def test_a_service_account_key_is_any_json_and_secret() -> None:
    """The API takes it as an object, not as text."""
    field = catalogue().field("bigquery.gcp_service_account_key.service_account_key")
    assert field is not None
    assert (field.type, field.secret, field.vendor) == (FieldType.OBJECT, True, "bigquery")
    assert field.source == "docs"


def test_values_are_closed_or_open_as_the_schema_says() -> None:
    """Frequencies are a closed list; a selector has known values and stays open to more."""
    frequency = catalogue().field("frequency_minutes")
    selector = catalogue().field("s3.auth_method")
    assert frequency is not None
    assert selector is not None
    assert frequency.enum == ("0", "15", "60", "360", "720", "1440")
    assert frequency.vendor is None
    assert (selector.enum, selector.known_values) == ((), ("aws_iam_role", "aws_access_keys"))
    assert selector.vendor == "s3"


def test_the_tree_can_be_walked() -> None:
    """Children are whole paths; only inner nodes are objects; walking from the top meets every leaf once."""
    known = catalogue()
    assert known.is_object("postgres.password_auth")
    assert not known.is_object("postgres.host")
    assert not known.is_object("postgrez")
    assert known.children("postgres.password_auth") == (
        "postgres.password_auth.username",
        "postgres.password_auth.password",
    )
    assert known.children("postgres.host") == ()
    met, waiting = [], list(known.children(""))
    while waiting:
        path = waiting.pop()
        waiting.extend(known.children(path))
        if not known.is_object(path):
            met.append(path)
    assert sorted(met) == sorted(known.fields)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("nme", "name"),
        ("is_enable", "is_enabled"),
        ("postgress.host", "postgres.host"),
        ("postgres.pasword", "postgres.password_auth.password"),
        ("postgres.passwordauth.username", "postgres.password_auth.username"),
        ("snowflake.password", "snowflake.password_auth.password"),
        ("enabledModels", "enabled_models"),
        ("db_user", None),
        ("zzzz", None),
        ("", None),
        ("a" * 100_000, None),
    ],
)
def test_a_typing_error_is_led_back(typed: str, meant: str | None) -> None:
    """By the last name below the part that is known, else by the whole path; far-off words get no suggestion."""
    assert catalogue().suggest(typed) == meant


def test_describe_shows_a_field_a_node_a_vendor_or_all() -> None:
    """An unknown path is None, not an empty list: the command can then suggest."""
    one = describe("postgres.port")
    assert one is not None
    assert [field.path for field in one] == ["postgres.port"]
    below = describe("postgres.ssh_tunnel")
    assert below is not None
    assert len(below) == 4
    vendor = describe("s3")
    assert vendor is not None
    assert {field.vendor for field in vendor} == {"s3"}
    everything = describe()
    assert everything is not None
    assert len(everything) == len(catalogue().fields)
    assert describe("postgres.") is None
    assert describe("postgre") is None
