"""[patch], [expect] and [input.columns] hold what the API has fields for, and nothing that must not stand in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_rig import SMALLEST, carets, codes, load, marked, problems, toml

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.references import template_columns
from bulkpatch.job.spec import Constant, FromColumn, FromSecret, PatchField
from bulkpatch.prequel.catalogue import Field, FieldType, catalogue

PASSWORD: Final = "postgres.password_auth.password"
UNKNOWN: Final = "[api]\nallow_unknown_fields = true\n"


def patch(folder: Path, text: str) -> tuple[PatchField, ...]:
    """What a job with ``text`` under [patch] sets."""
    return load(folder, f"{SMALLEST}[patch]\n{text}\n").patch


def refused(folder: Path, text: str, *, before: str = "") -> Problem:
    """The one problem of a job with ``text`` under [patch]; a marked place must be its place."""
    place = marked(f"{SMALLEST}{before}[patch]\n{text}\n")
    (problem,) = problems(folder, place.text)
    if "«" in text:
        assert (problem.line, problem.column) == (place.line, place.column)
        assert carets(problem)[1] == place.width or "…" in problem.frame
    return problem


# ── fields ───────────────────────────────────────────────────────────────────────────────────


def test_each_way_to_write_a_field_sets_the_same(tmp_path: Path) -> None:
    """Tables, dotted keys, inline tables, quoted names."""
    for text in (
        "[patch]\npostgres.password_auth.username = 'u'",
        "[patch.postgres]\npassword_auth.username = 'u'",
        "[patch.postgres.password_auth]\nusername = 'u'",
        "[patch]\npostgres = { password_auth = { username = 'u' } }",
        "[patch]\n'postgres'.\"password_auth\".username = 'u'",
        "patch.postgres.password_auth.username = 'u'",
    ):
        job = f"{text}\n{SMALLEST}" if text.startswith("patch.") else f"{SMALLEST}{text}\n"
        assert load(tmp_path, job).patch == (Constant(path="postgres.password_auth.username", value="u"),)


def test_fields_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Of several tables, too; an empty one sets nothing."""
    fields = patch(tmp_path, "name = 'n'\nis_enabled = false\n[patch.postgres.ssh_tunnel]\n[patch.postgres]\nport = 1")
    assert [field.path for field in fields] == ["name", "is_enabled", "postgres.port"]


EXAMPLES: Final[dict[FieldType, tuple[Any, ...]]] = {
    FieldType.STRING: ("x", "", "007", "true", "a\nb"),
    FieldType.INTEGER: (0, 5432, -1, 2**53),
    FieldType.NUMBER: (0, 1.5),
    FieldType.BOOLEAN: (True, False),
    FieldType.STRING_LIST: ([], ["a"], ["a;b", ""]),
    FieldType.OBJECT: (5, True, ["x", 1], {"a": {"b": [1]}}),
}


@pytest.mark.parametrize("vendor", [None, *catalogue().vendors])
def test_every_field_takes_its_type_as_it_stands(tmp_path: Path, vendor: str | None) -> None:
    """Values of the field's type, and a column with such a default."""
    fields = [one for one in catalogue().fields.values() if one.vendor == vendor and not one.secret]
    for turn in range(5):
        examples = [tuple(map(int, one.enum)) if one.enum else EXAMPLES[one.type] for one in fields]
        values = {one.path: those[turn % len(those)] for one, those in zip(fields, examples, strict=True)}
        plain = "\n".join(f"{path} = {toml(value)}" for path, value in values.items())
        assert patch(tmp_path, plain) == tuple(Constant(path=path, value=value) for path, value in values.items())
        columns = "\n".join(f"{path} = {{ column = 'c', default = {toml(value)} }}" for path, value in values.items())
        assert patch(tmp_path, columns) == tuple(
            FromColumn(path=path, column="c", default=value) for path, value in values.items()
        )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("postgres.port = '5432'", 5432),
        ("is_enabled = 'true'", True),
        ("enabled_models = 'a;b'", ["a", "b"]),
        ("enabled_models = '[\"a;b\"]'", ["a;b"]),
        ("frequency_minutes = '15'", 15),
        ("iceberg.catalog_glue.storage_options.bucket_s3.bucket_auth_method = '{\"a\": 1}'", {"a": 1}),
    ],
)
def test_text_is_read_as_a_cell_is(tmp_path: Path, text: str, value: Any) -> None:
    """By the field's type, so a value may be copied from a table."""
    (field,) = patch(tmp_path, text)
    assert isinstance(field, Constant)
    assert field.value == value


@pytest.mark.parametrize(
    ("text", "words", "hint"),
    [
        ("name = «5»", "not text", "the value is a whole number"),
        ("name = «true»", "not text", "the value is a Boolean"),
        ("name = «['a']»", "not text", "the value is a list of strings"),
        ("name = «1979-05-27»", "not text", ""),
        ("name = «07:32:00»", "not text", ""),
        ("name = «1979-05-27T07:32:00Z»", "not text", ""),
        ("postgres.port = «5432.0»", "not a whole number", "the value is a number"),
        ("postgres.port = «'5432 '»", "not a whole number", "digits only"),
        ("postgres.port = «'0x10'»", "not a whole number", "digits only"),
        ("postgres.port = «true»", "not a whole number", "Boolean"),
        ("postgres.port = «nan»", "not a whole number", ""),
        ("postgres.port = «inf»", "not a whole number", ""),
        ("postgres.port = «9007199254740993»", "beyond ±2^53", ""),
        ("postgres.port = «-9007199254740993»", "beyond ±2^53", ""),
        ("postgres.port = «'99999999999999999999999'»", "beyond ±2^53", ""),
        ("is_enabled = «1»", "not a Boolean", ""),
        ("is_enabled = «'TRUE'»", "not a Boolean", "lower case"),
        ("is_enabled = «'yes'»", "not a Boolean", "true or false"),
        ("enabled_models = «['a', 5]»", "not a list of strings", ""),
        ("enabled_models = «[['a']]»", "not a list of strings", ""),
        ("enabled_models = «'a;;b'»", "empty", ""),
        ("enabled_models = «true»", "not a list of strings", ""),
        ("frequency_minutes = «7»", "not one of the allowed values", "Allowed: 0, 15, 60, 360"),
        ("frequency_minutes = «'7'»", "not one of the allowed values", "Allowed: 0, 15, 60, 360"),
        ("frequency_minutes = «true»", "not a whole number", ""),
        ("frequency_minutes = { column = 'f', default = «7» }", "not one of the allowed values", "15"),
        ("postgres.port = { column = 'p', default = «'x'» }", "not a whole number", ""),
        ("iceberg.catalog_glue.storage_options.bucket_s3.bucket_auth_method = «nan»", "not a finite number", ""),
        ("iceberg.catalog_glue.storage_options.bucket_s3.bucket_auth_method = «[1, inf]»", "not a finite number", ""),
        ("iceberg.catalog_glue.storage_options.bucket_s3.bucket_auth_method = «{ a = 07:32:00 }»", "does not have", ""),
        ("iceberg.catalog_glue.storage_options.bucket_s3.bucket_auth_method = «'plain'»", "not valid JSON", "quotes"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_place(tmp_path: Path, text: str, words: str, hint: str) -> None:
    """Nothing is guessed, rounded or cut."""
    problem = refused(tmp_path, text)
    assert problem.code == "BP108"
    assert words in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("«nmae» = 'x'", "name"),
        ("postgres.«hots» = 'x'", "postgres.host"),
        ("postgres.password_auth.«usrname» = 'x'", "postgres.password_auth.username"),
        ("«postgress».host = 'x'", "postgres"),
        ("«Postgres».host = 'x'", "postgres"),
        ("snowflake.«warehose» = 'x'", "snowflake."),
        ("«username» = 'x'", "username"),
        ("name.«x» = 1", ""),
    ],
)
def test_an_unknown_field_is_told_with_what_was_probably_meant(tmp_path: Path, text: str, meant: str) -> None:
    """At the name that is wrong."""
    problem = refused(tmp_path, text)
    assert problem.code in {"BP107", "BP103"}
    assert meant in problem.hint


def test_an_unlike_field_gets_no_suggestion_and_both_ways_out(tmp_path: Path) -> None:
    """The list of fields, and the switch for new ones."""
    problem = refused(tmp_path, "«zzzzqqqq» = 1")
    assert problem.hint == (
        "Browse the fields with `bulkpatch schema`. For a field that is new, set [api] allow_unknown_fields = true."
    )


@pytest.mark.parametrize(
    "text", ["«postgres» = 'x'", "«postgres» = 5", "«postgres» = ['x']", "postgres.«ssh_tunnel» = true"]
)
def test_an_object_takes_no_value(tmp_path: Path, text: str) -> None:
    """Its fields are named."""
    problem = refused(tmp_path, text)
    assert problem.code == "BP108"
    assert problem.hint.startswith("Set its fields: ")


@pytest.mark.parametrize(
    "text", ["«'postgres.host'» = 'x'", "postgres.«'password_auth.username'» = 'x'", "«''» = 1", "postgres.«''» = 1"]
)
@pytest.mark.parametrize("before", ["", UNKNOWN])
def test_quotes_hold_one_name(tmp_path: Path, text: str, before: str) -> None:
    """A path in quotes would be a field with dots in its name, and there is none; no name is empty."""
    problem = refused(tmp_path, text, before=before)
    assert problem.code == "BP107"
    assert "without quotes" in problem.hint


# ── fields that the catalogue does not know ──────────────────────────────────────────────────


def test_unknown_fields_are_sent_as_they_stand_if_that_is_allowed(tmp_path: Path) -> None:
    """Also below known objects, in tables of their own, and empty ones; known fields are checked all the same."""
    text = """[patch]
brand_new = 5
empty = {}
list = [1, "x", { a = [] }]
nested = { a = 1, b = { c = "x" } }
postgres.newer = true
name = "n"
"""
    assert load(tmp_path, SMALLEST + UNKNOWN + text).patch == (
        Constant(path="brand_new", value=5),
        Constant(path="empty", value={}),
        Constant(path="list", value=[1, "x", {"a": []}]),
        Constant(path="nested.a", value=1),
        Constant(path="nested.b.c", value="x"),
        Constant(path="postgres.newer", value=True),
        Constant(path="name", value="n"),
    )
    for wrong in ("name = «5»", "«postgres» = 5", f"«{PASSWORD.rpartition('.')[0]}» = 5"):
        assert refused(tmp_path, wrong.replace("«postgres.", "postgres.«"), before=UNKNOWN).code == "BP108"


def test_an_unknown_field_may_be_a_secret_but_no_column(tmp_path: Path) -> None:
    """Nobody knows its type, so no cell can be read for it."""
    job = load(tmp_path, SMALLEST + UNKNOWN + "[patch]\nnew.token = { secret = 'env:T_{id}' }\n")
    assert job.patch == (FromSecret(path="new.token", template="env:T_{id}"),)
    for text in ("«new» = { column = 'c' }", "a.«new» = { column = 'c', default = 1 }"):
        problem = refused(tmp_path, text, before=UNKNOWN)
        assert (problem.code, "a constant or a secret" in problem.message) == ("BP108", True)


@pytest.mark.parametrize(
    "value", ["nan", "-inf", "1979-05-27", "[07:32:00]", "9007199254740993", "{ a = [{ b = nan }] }"]
)
def test_an_unknown_field_takes_plain_json_only(tmp_path: Path, value: str) -> None:
    """What no JSON has is refused before anything is sent."""
    problem = refused(tmp_path, f"new = {value}", before=UNKNOWN)
    assert problem.code == "BP108"


@pytest.mark.parametrize("text", ["allow_unknown_fields = false", ""])
def test_unknown_fields_are_refused_unless_they_are_allowed(tmp_path: Path, text: str) -> None:
    """By a Boolean and nothing else."""
    assert refused(tmp_path, "«new» = 1", before=f"[api]\n{text}\n").code == "BP107"


def test_only_a_true_boolean_allows_unknown_fields(tmp_path: Path) -> None:
    """A text that says true does not."""
    found = problems(tmp_path, SMALLEST + "[api]\nallow_unknown_fields = 'true'\n[patch]\nnew = 1\n")
    assert codes(found) == [("BP105", 6), ("BP107", 8)]


# ── one vendor ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("postgres.host = 'a'\n«mysql».host = 'b'", "postgres.host (line 6)"),
        ("postgres.host = 'a'\npostgres.port = 1\n«mysql».host = 'b'\nmysql.port = 2", "postgres.host (line 6)"),
        ("[patch.postgres]\nhost = 'a'\n[patch.mysql]\n«host» = 'b'", "postgres.host (line 7)"),
        ("postgres.host = { column = 'a' }\n«mysql».host = { column = 'b' }", "postgres.host (line 6)"),
        ("s3.bucket_name = 'a'\n«s3_compatible».bucket_name = 'b'", "s3.bucket_name (line 6)"),
    ],
)
def test_patch_has_one_vendor(tmp_path: Path, text: str, first: str) -> None:
    """Told once for each other vendor, with the place of the first."""
    place = marked(f"{SMALLEST}[patch]\n{text}\n")
    (problem,) = problems(tmp_path, place.text)
    assert problem.code == "BP109"
    assert problem.line == place.line
    assert first in problem.message


def test_each_further_vendor_is_told(tmp_path: Path) -> None:
    """A third beside a second."""
    found = problems(tmp_path, SMALLEST + "[patch]\npostgres.port = 1\nmysql.port = 1\nredshift.port = 1\nname = 'x'\n")
    assert codes(found) == [("BP109", 7), ("BP109", 8)]


def test_columns_may_be_of_several_vendors(tmp_path: Path) -> None:
    """Each row then fills those of its own; beside fields of every destination, too."""
    columns = '[input.columns]\na = "postgres.host"\nb = "snowflake.host"\nc = "name"\n[patch]\nis_enabled = true\n'
    assert load(tmp_path, SMALLEST + columns).input.columns == {
        "a": "postgres.host",
        "b": "snowflake.host",
        "c": "name",
    }


def test_columns_must_be_of_the_vendor_that_patch_sets(tmp_path: Path) -> None:
    """For [patch] is sent for every row."""
    columns = '[input.columns]\na = "postgres.host"\nb = "snowflake.host"\n[patch]\npostgres.port = 1\n'
    (problem,) = problems(tmp_path, SMALLEST + columns)
    assert (problem.code, problem.line) == ("BP109", 7)
    assert "postgres of [patch] postgres.port (line 9)" in problem.message


def test_previous_values_may_be_of_any_vendor(tmp_path: Path) -> None:
    """They are never sent."""
    more = '[input.previous]\na = "postgres.host"\nb = "snowflake.host"\n[patch]\nmysql.port = 1\n'
    assert len(load(tmp_path, SMALLEST + more).input.previous) == 2


# ── secrets ──────────────────────────────────────────────────────────────────────────────────

SECRETS: Final = [one for one in catalogue().fields.values() if one.secret]


@pytest.mark.parametrize("field", SECRETS, ids=lambda one: one.path)
def test_every_secret_field_takes_a_reference_or_a_column_and_no_value(tmp_path: Path, field: Field) -> None:
    """Whatever its type."""
    assert patch(tmp_path, f"{field.path} = {{ secret = 'env:A' }}") == (FromSecret(path=field.path, template="env:A"),)
    assert patch(tmp_path, f"{field.path} = {{ column = 'a' }}") == (FromColumn(path=field.path, column="a"),)
    for value in ("'hunter2'", "'env:A'", "['x']", "1979-05-27"):
        problem = refused(tmp_path, f"{field.path} = {value}")
        assert (problem.code, problem.line) == ("BP110", 6)
        assert "reference" in problem.message
        assert '{ secret = "env:NAME" }' in problem.hint


@pytest.mark.parametrize(
    ("form", "code", "hint"),
    [
        ("{ «secrt» = 'env:A' }", "BP103", "Did you mean secret?"),
        ("{ «colum» = 'a' }", "BP103", "Did you mean column?"),
        ("{ column = 'a', «defualt» = 'x' }", "BP103", "Did you mean default?"),
        ("{ secret = 'env:A', «fallback» = 'x' }", "BP103", "Known here: column, default, secret."),
        ("«{ secret = 'env:A', column = 'a' }»", "BP105", "{ secret ="),
        ("«{ secret = 'env:A', default = 'x' }»", "BP105", "{ secret ="),
        ("«{ default = 'x' }»", "BP105", "{ column ="),
        ("«{}»", "BP105", "{ column ="),
        ("{ column = 'a', «default» = 'x' }", "BP110", "{ secret ="),
        ("{ column = «''» }", "BP105", "{ column ="),
        ("{ column = «5» }", "BP105", "{ column ="),
        ("{ column = «['a']» }", "BP105", "{ column ="),
        ("{ secret = «5» }", "BP301", "env:NAME"),
        ("{ secret = «''» }", "BP301", "env:NAME"),
        ("{ secret = «'hunter2'» }", "BP301", "env:NAME"),
        ("{ secret = «'ENV:A'» }", "BP301", "env:NAME"),
        ("{ secret = «'env:'» }", "BP301", "env:"),
        ("{ secret = «'env: '» }", "BP301", "env:"),
        ("{ secret = «'env: A'» }", "BP301", ""),
        ("{ secret = «'env:A\\t'» }".replace("'", '"'), "BP301", ""),
        ("{ secret = «'value:hunter2'» }", "BP110", "env:NAME"),
        ("{ secret = «'****'» }", "BP304", ""),
        ("{ secret = «'env:****'» }", "BP304", ""),
        ("{ secret = «'<redacted>'» }", "BP304", ""),
    ],
)
def test_what_is_nearly_a_form_is_told_apart(tmp_path: Path, form: str, code: str, hint: str) -> None:
    """Each with the key or value that is wrong, and with the way it is written."""
    problem = refused(tmp_path, f"{PASSWORD} = {form}")
    assert problem.code == code
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ("«name» = { secret = 'env:A' }", "BP108"),
        ("name = { «secrt» = 'env:A' }", "BP103"),
        ("name = { column = «''» }", "BP105"),
        ("name = «{ default = 'x' }»", "BP105"),
        ("name = «{}»", "BP105"),
        ("name = { column = 'a', default = «5» }", "BP108"),
        ("enabled_models = { column = 'a', default = «[5]» }", "BP108"),
    ],
)
def test_forms_of_a_field_that_is_no_secret(tmp_path: Path, form: str, code: str) -> None:
    """A column and a default, and no reference."""
    assert refused(tmp_path, form).code == code


def test_a_default_that_is_false_or_empty_is_a_default(tmp_path: Path) -> None:
    """None means none was given."""
    text = "is_enabled = { column = 'a', default = false }\nname = { column = 'b', default = '' }\n"
    text += "frequency_minutes = { column = 'c' }"
    assert [field.default for field in patch(tmp_path, text) if isinstance(field, FromColumn)] == [False, "", None]


@pytest.mark.parametrize(
    ("template", "columns"),
    [
        ("env:PW_{customer}", ("customer",)),
        ("env:{a}{b}{a}", ("a", "b", "a")),
        ("vault:kv/{customer name}/{x.y}#pw", ("customer name", "x.y")),
        ("exec:op read 'op://v/{id}/pw'", ("id",)),
        ("env:PLAIN", ()),
    ],
)
def test_a_reference_is_filled_from_columns(tmp_path: Path, template: str, columns: tuple[str, ...]) -> None:
    """Each {name} is one, in order."""
    (field,) = patch(tmp_path, f"{PASSWORD} = {{ secret = {toml(template)} }}")
    assert field == FromSecret(path=PASSWORD, template=template)
    assert template_columns(template) == columns


@pytest.mark.parametrize(
    "template", ["env:{", "env:}", "env:{}", "env:{{a}}", "env:{a", "env:a}", "env:{a}}", "env:{{a}", "env:}{"]
)
def test_a_brace_without_its_partner_or_its_name_is_refused(tmp_path: Path, template: str) -> None:
    """There is no escape: two braces are not one."""
    problem = refused(tmp_path, f"{PASSWORD} = {{ secret = «{toml(template)}» }}")
    assert problem.code == "BP301"
    assert "no partner or no name" in problem.message


def test_a_reference_longer_than_any_path_is_refused(tmp_path: Path) -> None:
    """It is a value that was pasted."""
    assert refused(tmp_path, f"{PASSWORD} = {{ secret = 'env:{'A' * 1024}' }}").code == "BP301"
    assert patch(tmp_path, f"{PASSWORD} = {{ secret = 'env:{'A' * 1020}' }}")


# ── [expect] ─────────────────────────────────────────────────────────────────────────────────


def test_what_can_be_read_can_be_expected(tmp_path: Path) -> None:
    """Fields as under [patch], and three that are never set; values have their field's type."""
    text = """[expect]
vendor = "postgres"
recipient_id = "r"
id_in_provider_system = "i"
is_enabled = "true"
postgres.port = 5432
[expect.postgres.password_auth]
username = "u"
"""
    assert load(tmp_path, SMALLEST + text).expect == {
        "vendor": "postgres",
        "recipient_id": "r",
        "id_in_provider_system": "i",
        "is_enabled": True,
        "postgres.port": 5432,
        "postgres.password_auth.username": "u",
    }


@pytest.mark.parametrize(
    "field", [one for one in catalogue().fields.values() if not one.readable], ids=lambda one: one.path
)
def test_what_is_never_shown_cannot_be_expected(tmp_path: Path, field: Field) -> None:
    """No GET could confirm it."""
    (problem,) = problems(tmp_path, f"{SMALLEST}[expect]\n{field.path} = 'x'\n")
    assert (problem.code, problem.line) == ("BP108", 6)
    assert "never shows" in problem.message


@pytest.mark.parametrize(
    ("text", "code", "hint"),
    [
        ("«vendr» = 'x'", "BP107", "Did you mean vendor?"),
        ("«recipientid» = 'x'", "BP107", "Did you mean recipient_id?"),
        ("postgres.«hots» = 'x'", "BP107", "Did you mean postgres.host?"),
        ("«zzzzqqqq» = 1", "BP107", "Browse the fields with `bulkpatch schema`."),
        ("«postgres» = 'x'", "BP108", "Set its fields: "),
        ("vendor = «5»", "BP108", "the value is a whole number"),
        ("vendor = «{ column = 'a' }»", "BP108", ""),
        ("name = «{ column = 'a' }»", "BP108", ""),
        ("postgres.port = «'x'»", "BP108", "digits only"),
        ("frequency_minutes = «7»", "BP108", "Allowed"),
        ("name = «nan»", "BP108", ""),
        ("«'postgres.port'» = 5", "BP107", "without quotes"),
    ],
)
@pytest.mark.parametrize("before", ["", UNKNOWN])
def test_what_cannot_be_expected_is_told_with_its_place(
    tmp_path: Path, text: str, code: str, hint: str, before: str
) -> None:
    """An unknown field is one, whatever [patch] is allowed."""
    place = marked(f"{SMALLEST}{before}[expect]\n{text}\n")
    (problem,) = problems(tmp_path, place.text)
    assert (problem.code, problem.line, problem.column) == (code, place.line, place.column)
    assert hint in problem.hint
    if "zzzz" in text:
        assert problem.hint == hint


# ── whatever is written there ────────────────────────────────────────────────────────────────

paths = st.sampled_from([*catalogue().fields, "postgres", "postgres.new", "new", "new.er"])
values = st.recursive(
    st.one_of(
        st.integers(),
        st.booleans(),
        st.floats(),
        st.text("abc:{}é*", max_size=5),
        st.sampled_from(["env:A", "env:{a}", "value:x", "true", "5"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["column", "default", "secret", "x", "a.b", ""]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(path=paths, value=values, table=st.sampled_from(["patch", "expect"]), allow=st.booleans())
def test_any_value_of_any_field_is_taken_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, *, path: str, value: Any, table: str, allow: bool
) -> None:
    """Never another exception; and no secret field has a value, whatever was written."""
    text = f"{SMALLEST}{UNKNOWN if allow else ''}[{table}]\n{path} = {toml(value)}\n"
    folder = tmp_path_factory.mktemp("any")
    try:
        job = load(folder, text)
    except InvalidInput as refused_job:
        for problem in refused_job.problems:
            assert problem.line == text.count("\n")
            assert problem.message
            assert problem.hint
        return
    for one in job.patch:
        field = catalogue().field(one.path)
        assert field is not None or allow
        if field is not None and field.secret:
            assert not isinstance(one, Constant)
    assert not {one.path for one in catalogue().fields.values() if not one.readable} & set(job.expect)
