"""The schema that editors read is the grammar's and the catalogue's own: drawn from them, and never stricter."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from hatchling.builders.wheel import WheelBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from job_rig import CONTRACT, SMALLEST, as_toml, load
from jsonschema import Draft7Validator, Draft202012Validator  # type: ignore[import-untyped]

from bulkpatch.cli.starters import NAMES, Answers, job_text
from bulkpatch.errors import InvalidInput
from bulkpatch.job.grammar import fields_at
from bulkpatch.job.schema import as_text, job_schema
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue

ROOT: Final = Path(__file__).parents[2]
FILE: Final = resources.files("bulkpatch.job").joinpath("job.schema.json")
SCHEMA: Final[dict[str, Any]] = json.loads(FILE.read_text("utf-8"))
VALIDATORS: Final = (Draft202012Validator(SCHEMA), Draft7Validator(SCHEMA))
"""By the schema's own draft, and by the one that some editors take it for."""


def accepts(text: str) -> bool:
    """Whether the schema accepts the job, by both drafts alike."""
    tables = tomllib.loads(text)
    first, second = (bool(validator.is_valid(tables)) for validator in VALIDATORS)
    assert first == second
    return first


def test_the_file_is_what_the_grammar_and_the_catalogue_give() -> None:
    """To write it: python -m bulkpatch.job.schema > bulkpatch/job/job.schema.json."""
    assert as_text(job_schema()) == FILE.read_text("utf-8"), (
        "python -m bulkpatch.job.schema > bulkpatch/job/job.schema.json"
    )
    assert json.loads(as_text(job_schema())) == job_schema()


def test_the_command_writes_the_file_with_any_seed_of_hashes() -> None:
    """The same bytes every time."""
    command = [sys.executable, "-m", "bulkpatch.job.schema"]
    done = subprocess.run(
        command, capture_output=True, check=True, env={"PYTHONHASHSEED": "7", "PYTHONUTF8": "1"}, cwd=ROOT
    )
    assert done.stdout.decode() == FILE.read_text("utf-8")


def test_it_is_a_schema_of_its_draft_and_of_draft_7() -> None:
    """And no reference in it leads nowhere."""
    Draft202012Validator.check_schema(SCHEMA)
    Draft7Validator.check_schema({**SCHEMA, "$schema": "http://json-schema.org/draft-07/schema#"})
    for node in _nodes(SCHEMA):
        if "$ref" in node:
            assert node["$ref"].removeprefix("#/$defs/") in SCHEMA["$defs"]
            assert set(node) <= {"$ref", "description"}, "an editor of draft 7 looks at nothing beside a reference"
    used = {node["$ref"].removeprefix("#/$defs/") for node in _nodes(SCHEMA) if "$ref" in node}
    assert used == set(SCHEMA["$defs"])


def test_the_wheel_holds_it() -> None:
    """An editor finds it beside the code."""
    included = {file.distribution_path for file in WheelBuilder(str(ROOT)).recurse_included_files()}
    assert "bulkpatch/job/job.schema.json" in included


def test_every_key_of_the_grammar_and_every_field_is_in_it() -> None:
    """[patch] has all fields with type, values and description; [expect] those that can be read, and three more."""
    tables = SCHEMA["$defs"]
    for section in fields_at(()):
        if section not in {"patch", "expect", "wave"}:
            name = SCHEMA["properties"][section]["$ref"].removeprefix("#/$defs/")
            assert list(tables[name]["properties"]) == list(fields_at((section,)))
    known = catalogue().fields
    patch = dict(_fields(tables["patch"]))
    expect = dict(_fields(tables["expect"]))
    assert list(patch) == list(known)
    assert list(expect) == [
        "vendor",
        "recipient_id",
        "id_in_provider_system",
        *(path for path, field in known.items() if field.readable),
    ]
    for path, field in known.items():
        kind = "secret" if field.secret else field.type.value
        assert patch[path].get("description", "") == field.description
        assert tuple(patch[path].get("examples", ())) == field.known_values
        if field.enum:
            assert {str(value) for value in patch[path]["anyOf"][0]["anyOf"][0]["enum"]} == set(field.enum)
        else:
            assert f"#/$defs/patch_{kind}" in json.dumps(patch[path])


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(inner)


def _fields(table: dict[str, Any], above: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, schema in table["properties"].items():
        if "properties" in schema:
            yield from _fields(schema, f"{above}{name}.")
        else:
            yield above + name, schema


# ── jobs that hold ───────────────────────────────────────────────────────────────────────────

READY_MADE: Final = sorted((ROOT / "jobs").rglob("*.toml"))


@pytest.mark.parametrize("path", READY_MADE, ids=lambda path: path.name)
def test_every_ready_made_job_passes(path: Path) -> None:
    """Those in jobs/."""
    assert accepts(path.read_text("utf-8"))


@pytest.mark.parametrize("kind", NAMES)
def test_every_starter_passes(kind: str) -> None:
    """What ``init`` writes."""
    told = Answers(
        kind=kind, name="a", rate="5/s", canary="3", base_url="http://127.0.0.1:1", secret="env:A", verify="both"
    )
    assert accepts(job_text(replace(told, field="postgres.password_auth.password", machine_type="m")))


HOLDS: Final = [
    "",
    "[patch]\nname = 'n'\nfrequency_minutes = 15\nenabled_models = ['a', 'b']\nis_enabled = true\n",
    "[patch]\nfrequency_minutes = '15'\nenabled_models = 'a;b'\nis_enabled = 'false'\nmax_concurrent_transfers = '3'\n",
    "[patch]\nname = { column = 'a' }\nfrequency_minutes = { column = 'b', default = 15 }\n",
    "[patch]\nis_enabled = { column = 'b', default = 'true' }\nenabled_models = { column = 'c', default = [] }\n",
    "[patch.postgres]\n",
    "[patch]\npostgres.port = 5432\npostgres.password_auth.password = { column = 'pw' }\n",
    "[patch.snowflake.password_auth]\npassword = { secret = 'vault:kv/data/{customer}#pw' }\n",
    "[patch.bigquery.gcp_service_account_key]\nservice_account_key = { secret = 'file:key.json' }\n",
    "[patch.bigquery]\nfederated_gcp_service_account_role.workload_identity_federation_metadata = { a = [1] }\n",
    "[api]\nallow_unknown_fields = true\n[patch]\nnew = { a = 1, b = { secret = 'env:X' } }\npostgres.newer = 'x'\n",
    "[api]\nbase_url = 'HTTPS://Example.com/'\nkey = 'exec:op read x'\n",
    "[expect]\nvendor = 'postgres'\nrecipient_id = 'r'\nid_in_provider_system = 'i'\npostgres.port = 1\n",
    "[expect.postgres.ssh_tunnel]\n[expect.motherduck.access_token_auth]\n",
    "[input.columns]\n'a column' = 'postgres.port'\nb = 'snowflake.host'\n[input.previous]\nc = 'name'\n",
    "[send]\nrate = ' 5 / s '\nwindow = { days = ['mon'], from = '00:00', to = '23:59', tz = 'UTC' }\n",
    "[[wave]]\nsize = 1\nname = 'a'\nwhere = 'b = 1'\nby = 'c'\norder = 'random'\n",
    "[[wave]]\nsize = '10%'\n[[wave]]\nsize = 'rest'\n",
    "[[wave]]\nsize = 1\ngate = { failed = '1%', soak = '1h', approve = true, transfers = '9%', window = '1m' }\n",
    "[limits.per_recipient]\nin_flight = 1\n[verify]\nconnection_test = 'both'\ndeadline = '0.5m'\npoll = '1s'\n",
    "[guard]\nmax_failed = 0\nmin_tried = 0\n[secrets]\nallow_short = true\nexec_env = ['A']\n",
]


@pytest.mark.parametrize("text", HOLDS)
def test_what_the_program_takes_passes(tmp_path: Path, text: str) -> None:
    """A form of every key, and every form of a field."""
    load(tmp_path, SMALLEST + text)
    assert accepts(SMALLEST + text)


def test_the_contracts_example_passes() -> None:
    """In full."""
    assert accepts(CONTRACT)


# ── jobs that do not ─────────────────────────────────────────────────────────────────────────

FAILS: Final = [
    "[snd]\nrate = '5/s'\n",
    "[send]\nconcurency = 3\n",
    "[send]\nrate = 5\n",
    "[send]\nrate = '5/day'\n",
    "[send]\nconcurrency = 0\n",
    "[send]\nconcurrency = '8'\n",
    "[send]\ntransport = 'AioHttp'\n",
    "[[wave]]\nsize = 1\ngate = { plugin = '../up' }\n",
    "[report]\nwriters = ['a.b']\n",
    "[send]\nwindow = { days = ['sat'] }\n",
    "[send]\nwindow = { days = [], from = '01:00', to = '02:00', tz = 'UTC' }\n",
    "[send]\nwindow = { days = ['sat', 'sat'], from = '01:00', to = '02:00', tz = 'UTC' }\n",
    "[api]\nkey = 'sk_prod_abc'\n",
    "[api]\nbase_url = 'example.com'\n",
    "[[wave]]\nsize = 0\n",
    "[[wave]]\nsize = 'all'\n",
    "[[wave]]\nsize = 1\ngate = { soak = 5 }\n",
    "[guard]\nmax_failed = '1'\n",
    "[verify]\nconnection_test = true\n",
    "[limits.per_recipient]\nin_flight = 0\n",
    "[input.columns]\na = 'postgres.pasword'\n",
    "[input.previous]\na = 'postgres'\n",
    "[patch]\nnmae = 'x'\n",
    "[patch]\npostgres = 'x'\n",
    "[patch]\n'postgres.host' = 'x'\n",
    "[patch]\npostgres.hots = 'x'\n",
    "[patch]\nname = 5\n",
    "[patch]\nis_enabled = 'yes'\n",
    "[patch]\nfrequency_minutes = 7\n",
    "[patch]\nfrequency_minutes = '7'\n",
    "[patch]\npostgres.port = 'one'\n",
    "[patch]\npostgres.port = 9007199254740993\n",
    "[patch]\nenabled_models = [1]\n",
    "[patch]\nname = { secret = 'env:X' }\n",
    "[patch]\nname = { colum = 'a' }\n",
    "[patch]\nname = { column = '' }\n",
    "[patch]\nname = { column = 'a', default = 5 }\n",
    "[patch]\nname = 1979-05-27\n",
    "[patch.postgres.password_auth]\npassword = 'hunter2'\n",
    "[patch.postgres.password_auth]\npassword = { secret = 'hunter2' }\n",
    "[patch.postgres.password_auth]\npassword = { column = 'pw', default = 'x' }\n",
    "[patch.postgres.password_auth]\npassword = { secret = 'env:X', column = 'pw' }\n",
    "[api]\nallow_unknown_fields = false\n[patch]\nbrand_new = 1\n",
    "[expect]\nmachine_type_id = 'x'\n",
    "[expect.postgres.password_auth]\npassword = 'x'\n",
    "[expect]\nvendor = 5\n",
    "[expect]\nname = { column = 'a' }\n",
]


@pytest.mark.parametrize("text", FAILS)
def test_an_editor_underlines_what_the_program_refuses(tmp_path: Path, text: str) -> None:
    """Before the job is ever run."""
    with pytest.raises(InvalidInput):
        load(tmp_path, SMALLEST + text)
    assert not accepts(SMALLEST + text)


@pytest.mark.parametrize("text", ["", "[job]\nname = 'j'\n", "[input]\npath = 'f'\n", "[job]\n[input]\npath = 'f'\n"])
def test_a_job_needs_its_name_and_its_input(text: str) -> None:
    """As the program says, too."""
    assert not accepts(text)


# ── never stricter than the program ──────────────────────────────────────────────────────────

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6)
durations = st.builds("{}{}".format, st.integers(0, 70), st.sampled_from(["ms", "s", "m", "h"]))
shares = st.builds("{}%".format, st.integers(0, 100))
counts = st.integers(-1, 2**53)
references = st.sampled_from(["env:A", "file:a/b", "fd:3", "exec:a b", "op:x/{y}", "k8s-x:y"])


def _value(field: Field) -> st.SearchStrategy[Any]:
    if field.enum:
        return st.sampled_from([*field.enum, *map(int, field.enum)])
    match field.type:
        case FieldType.STRING:
            return words
        case FieldType.INTEGER | FieldType.NUMBER:
            return st.one_of(st.integers(-(2**53), 2**53), st.integers(-9, 9).map(str))
        case FieldType.BOOLEAN:
            return st.sampled_from([True, False, "true", "false"])
        case FieldType.STRING_LIST:
            return st.one_of(st.lists(words, max_size=3), st.just("a;b"), st.just('["a", "b;c"]'))
        case _:
            return st.recursive(
                words | st.booleans() | counts, lambda inner: st.lists(inner) | st.dictionaries(words, inner)
            )


def _form(field: Field) -> st.SearchStrategy[Any]:
    if field.secret:
        return st.one_of(
            st.builds(lambda one: {"secret": one}, references), st.builds(lambda one: {"column": one}, words)
        )
    value = _value(field)
    column = st.builds(lambda one: {"column": one}, words)
    return st.one_of(value, column, st.builds(lambda one, other: {"column": one, "default": other}, words, value))


@st.composite
def fields(draw: st.DrawFn, table: str) -> dict[str, Any]:
    """Fields of every destination and of one vendor, nested as a job has them."""
    vendor = draw(st.sampled_from(catalogue().vendors))
    known = [
        one
        for one in catalogue().fields.values()
        if one.vendor in {None, vendor} and (table == "patch" or one.readable)
    ]
    tree: dict[str, Any] = {}
    for field in draw(st.lists(st.sampled_from(known), max_size=4)):
        node, (*above, name) = tree, field.path.split(".")
        for step in above:
            node = node.setdefault(step, {})
        node[name] = draw(_form(field) if table == "patch" else _value(field))
    return tree


def _some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


gates = _some(
    failed=counts | shares,
    soak=durations,
    approve=st.booleans(),
    transfers=shares,
    window=durations,
    start_transfers=counts,
)
windows = st.fixed_dictionaries(
    {
        "days": st.lists(st.sampled_from(["mon", "tue", "sun"]), min_size=1, unique=True),
        "from": st.sampled_from(["00:00", "19:59"]),
        "to": st.sampled_from(["23:59", "07:00"]),
        "tz": st.sampled_from(["UTC", "Europe/Berlin"]),
    }
)
wave = st.fixed_dictionaries(
    {"size": counts | shares | st.just("rest")},
    optional={"name": words, "where": words, "by": words, "order": st.sampled_from(["input", "random"]), "gate": gates},
)
mapped = st.dictionaries(words, st.sampled_from(["name", "is_enabled", "postgres.port", "snowflake.host"]), max_size=2)
jobs = st.fixed_dictionaries(
    {
        "job": st.fixed_dictionaries({"name": st.from_regex(r"[a-z0-9][a-z0-9._-]{0,9}", fullmatch=True)}),
        "input": st.fixed_dictionaries(
            {"path": words},
            optional={
                "id": words,
                "where": words,
                "null": words,
                "labels": st.lists(words, max_size=2, unique=True),
                "inline_secrets": st.booleans(),
                "columns": mapped,
                "previous": mapped,
            },
        ),
    },
    optional={
        "api": _some(
            base_url=st.sampled_from(["https://a.b", "HTTP://localhost:1/x", "https://[::1]"]),
            key=references,
            allow_unknown_fields=st.booleans(),
        ),
        "patch": fields("patch"),
        "expect": fields("expect"),
        "send": _some(
            rate=st.builds("{}{}".format, st.integers(1, 99), st.sampled_from(["/s", " / min", "/h "])),
            concurrency=st.integers(1, 1000),
            timeout=durations,
            attempts=st.integers(1, 20),
            transport=st.sampled_from(["httpx", "curl", "pigeon-post"]),
            window=windows,
            on_drift=st.sampled_from(["skip", "stop", "send"]),
        ),
        "wave": st.lists(wave, max_size=2),
        "guard": _some(max_failed=counts | shares, min_tried=counts),
        "limits": _some(per_recipient=_some(in_flight=st.integers(1, 1000), unverified=counts)),
        "verify": _some(connection_test=st.sampled_from(["off", "both"]), deadline=durations, poll=durations),
        "report": _some(writers=st.lists(st.sampled_from(["tally", "a-b", "9"]), unique=True)),
        "secrets": _some(allow_short=st.booleans(), pin_versions=st.booleans(), exec_env=st.lists(words, max_size=2)),
    },
)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(tables=jobs)
def test_what_the_program_takes_the_schema_takes(tmp_path: Path, tables: dict[str, Any]) -> None:
    """Random jobs of valid parts: wherever ``load_job`` has nothing to say, the editor has nothing to underline."""
    text = as_toml(tables)
    try:
        load(tmp_path, text)
    except InvalidInput:
        return
    assert accepts(text)
