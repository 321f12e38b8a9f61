"""What leaves is byte for byte what job and row say: constants, cells over them, references, and nothing guessed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rows_rig import (
    CANARY,
    FORMATS,
    PASSWORD,
    SERVICE_KEY,
    all_operations,
    assert_told,
    bodies_of,
    check_of,
    everything,
    line_of,
    open_input,
    operations_of,
    problem_of,
    problems_of,
    rows_of,
    write_table,
)

from bulkpatch.model import Secret, SecretSlot

METADATA = "bigquery.federated_gcp_service_account_role.workload_identity_federation_metadata"
INLINE = "inline_secrets = true"

each_format = pytest.mark.parametrize("kind", FORMATS)


def password(text: str) -> str:
    """A body, below ``destination``, in which the password is ``text``."""
    return f'{{"postgres":{{"password_auth":{{"password":{json.dumps(text)}}}}}}}'


# ── constants and cells ──────────────────────────────────────────────────────────────────────


@each_format
def test_constants_are_sent_for_every_row_and_a_filled_cell_wins(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], "name": ["", "cell"], "postgres.host": ["h1", ""]}
    patch = 'name = "job"\nmachine_type_id = "m1"\nis_enabled = true\nenabled_models = ["x", "y"]\npostgres.port = 5432'
    same = '"enabled_models":["x","y"],"is_enabled":true,"machine_type_id":"m1"'
    assert bodies_of(tmp_path, table, kind=kind, patch=patch) == [
        f'{{{same},"name":"job","postgres":{{"host":"h1","port":5432}}}}',
        f'{{{same},"name":"cell","postgres":{{"port":5432}}}}',
    ]


@each_format
def test_a_column_with_a_default_fills_its_field(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b"], "user": ["exporter-a", None], "host": ["", "h2"]}
    patch = (
        'postgres.password_auth.username = { column = "user", default = "exporter" }\n'
        'postgres.host = { column = "host" }'
    )
    assert bodies_of(tmp_path, table, kind=kind, patch=patch) == [
        '{"postgres":{"password_auth":{"username":"exporter-a"}}}',
        '{"postgres":{"host":"h2","password_auth":{"username":"exporter"}}}',
    ]


@each_format
def test_mapped_columns_set_the_path_that_they_are_mapped_to(tmp_path: Path, kind: str) -> None:
    table = {"dest": ["a"], "Host Name": ["h"], "db-port": ["5432"]}
    options = 'id = "dest"\n[input.columns]\n"Host Name" = "postgres.host"\ndb-port = "postgres.port"'
    assert bodies_of(tmp_path, table, kind=kind, options=options) == ['{"postgres":{"host":"h","port":5432}}']


@each_format
def test_one_column_may_fill_several_fields_and_be_a_label_and_the_id(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"], "customer": ["acme"]}
    columns = {"name": "customer", "postgres.database": "customer", "postgres.schema": "destination_id"}
    patch = "\n".join(f'{path} = {{ column = "{column}" }}' for path, column in columns.items())
    options = 'labels = ["customer", "destination_id"]'
    (operation,) = operations_of(tmp_path, table, kind=kind, patch=patch, options=options)
    assert operation.body == b'{"destination":{"name":"acme","postgres":{"database":"acme","schema":"a"}}}'
    assert operation.labels == ("acme", "a")
    assert operation.fields == ("name", "postgres.database", "postgres.schema")


@each_format
def test_the_token_for_null_is_json_null_and_wins_over_the_job(tmp_path: Path, kind: str) -> None:
    table = {
        "destination_id": ["a"],
        "name": [r"\N"],
        "postgres.port": [r"\N"],
        "is_enabled": [r"\N"],
        "enabled_models": [r"\N"],
        PASSWORD: [r"\N"],
    }
    patch = f'name = "job"\n{PASSWORD} = {{ secret = "env:PW" }}'
    (operation,) = operations_of(tmp_path, table, kind=kind, options=r'null = "\\N"', patch=patch)
    assert json.loads(operation.body) == {
        "destination": {
            "enabled_models": None,
            "is_enabled": None,
            "name": None,
            "postgres": {"password_auth": {"password": None}, "port": None},
        }
    }
    assert operation.secrets == ()


def test_the_token_for_null_means_nothing_in_ids_and_labels(tmp_path: Path) -> None:
    table = {"destination_id": ["NA"], "customer": ["NA"], "name": ["NA"]}
    (operation,) = operations_of(tmp_path, table, options='null = "NA"\nlabels = ["customer"]')
    assert (operation.destination_id, operation.labels) == ("NA", ("NA",))
    assert operation.body == b'{"destination":{"name":null}}'


# ── types ────────────────────────────────────────────────────────────────────────────────────

AS_THEY_STAND = [
    "007",
    "1e5",
    "1.0",
    "true",
    "null",
    " x ",
    "NaN",
    "[1]",
    "{}",
    "=1+1",
    "a;b",
    "+1",
    "0x1F",
    "1_000",
    "é",
]


@pytest.mark.proves("G15")
@each_format
def test_text_is_sent_as_it_stands(tmp_path: Path, kind: str) -> None:
    """No number, Boolean, date or list is guessed, and nothing is trimmed."""
    table = {"destination_id": [f"d{at}" for at in range(len(AS_THEY_STAND))], "name": AS_THEY_STAND}
    assert [json.loads(body)["name"] for body in bodies_of(tmp_path, table, kind=kind)] == AS_THEY_STAND


@each_format
def test_whole_numbers_are_digits_and_nothing_else(tmp_path: Path, kind: str) -> None:
    good, bad = (
        ["0", "5432", "-1", "9007199254740992"],
        ["007", "5432.0", "5e3", " 1", "1 ", "+1", "0x1", "1_0", "٣", "-", "--1"],
    )
    table = {"destination_id": [f"d{at}" for at in range(len(good))], "postgres.port": good}
    assert bodies_of(tmp_path, table, kind=kind) == [f'{{"postgres":{{"port":{text}}}}}' for text in good]
    table = {"destination_id": [f"d{at}" for at in range(len(bad))], "postgres.port": bad}
    problems = problems_of(tmp_path, table, kind=kind)
    assert [(problem.code, problem.row) for problem in problems] == [("BP216", row) for row in range(1, len(bad) + 1)]


@each_format
def test_an_enum_of_numbers_takes_its_members_only(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b", "c"], "frequency_minutes": ["0", "61", "060"]}
    wrong, odd = problems_of(tmp_path, table, kind=kind)
    line = line_of(kind, 2)
    fix = "Allowed: 0, 15, 60"
    assert_told(
        wrong, "BP216", "not one of the allowed", fix=fix, kind=kind, line=line, row=2, column="frequency_minutes"
    )
    assert_told(odd, "BP216", "not a whole number", kind=kind, line=line_of(kind, 3), row=3, column="frequency_minutes")


@each_format
def test_a_list_is_json_or_split_at_semicolons(tmp_path: Path, kind: str) -> None:
    cells = ["a", "a;b", '["a","b;c"]', "[]", '["*"]', '[" a"]']
    if kind in {"csv", "tsv"}:
        cells = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    table = {"destination_id": [f"d{at}" for at in range(6)], "enabled_models": cells}
    found = [json.loads(body)["enabled_models"] for body in bodies_of(tmp_path, table, kind=kind)]
    assert found == [["a"], ["a", "b"], ["a", "b;c"], [], ["*"], [" a"]]


@each_format
def test_what_is_no_list_of_text_is_refused(tmp_path: Path, kind: str) -> None:
    cells = ["a;", "a; b", "[1]", "[a]", '["a"', "[null]"]
    if kind in {"csv", "tsv"}:
        cells = ['"' + cell.replace('"', '""') + '"' for cell in cells]
    table = {"destination_id": [f"d{at}" for at in range(6)], "enabled_models": cells}
    problems = problems_of(tmp_path, table, kind=kind)
    assert [(problem.code, problem.row) for problem in problems] == [("BP216", row) for row in range(1, 7)]


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_typed_columns_keep_their_types(tmp_path: Path, kind: str) -> None:
    """Integers, Booleans and lists are sent as such; null is an empty cell, never JSON null."""
    table = {
        "destination_id": ["a", "b"],
        "postgres.port": [5432, None],
        "postgres.use_ssh_tunnel": [False, None],
        "enabled_models": [["m1", "m;2"], None],
        "max_concurrent_transfers": [None, -3],
    }
    assert bodies_of(tmp_path, table, kind=kind) == [
        '{"enabled_models":["m1","m;2"],"postgres":{"port":5432,"use_ssh_tunnel":false}}',
        '{"max_concurrent_transfers":-3}',
    ]


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("dtype", [pl.Int8, pl.UInt8, pl.Int16, pl.UInt32, pl.Int64, pl.UInt64, pl.Int128])
def test_integers_of_any_width_fit_a_whole_number(tmp_path: Path, kind: str, dtype: Any) -> None:
    table = {"destination_id": ["a"], "postgres.port": pl.Series([22], dtype=dtype)}
    assert bodies_of(tmp_path, table, kind=kind) == ['{"postgres":{"port":22}}']


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_lists_of_fixed_length_and_empty_ones_are_lists(tmp_path: Path, kind: str) -> None:
    fixed = pl.Series([["a", "b"]], dtype=pl.Array(pl.String, 2))
    empty = pl.Series([[]], dtype=pl.List(pl.String))
    for cells, expected in [(fixed, '["a","b"]'), (empty, "[]")]:
        table = {"destination_id": ["a"], "enabled_models": cells}
        assert bodies_of(tmp_path, table, kind=kind) == [f'{{"enabled_models":{expected}}}']


def test_a_field_of_any_json_takes_what_ndjson_holds(tmp_path: Path) -> None:
    """Nested nulls included: within a value they are its own."""
    values = [{"b": [None, 1.5, {"a": None}]}, [1, "x"], 5, True, '"text"']
    table = {"destination_id": [f"d{at}" for at in range(5)], METADATA: values}
    found = [json.loads(body) for body in bodies_of(tmp_path, table, kind="ndjson")]
    role = [one["bigquery"]["federated_gcp_service_account_role"] for one in found]
    assert [one["workload_identity_federation_metadata"] for one in role] == [*values[:4], "text"]


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_labels_of_any_plain_type_become_text_and_are_never_sent(tmp_path: Path, kind: str) -> None:
    table = {
        "destination_id": ["a", "b"],
        "name": ["x", "y"],
        "number": [7, None],
        "share": [0.5, None],
        "flag": [True, None],
        "customer": ["", "acme"],
    }
    options = 'labels = ["number", "share", "flag", "customer"]'
    operations = operations_of(tmp_path, table, kind=kind, options=options)
    assert [one.labels for one in operations] == [("7", "0.5", "true", None), (None, None, None, "acme")]
    assert [one.body for one in operations] == [b'{"destination":{"name":"x"}}', b'{"destination":{"name":"y"}}']


def test_a_label_that_is_called_like_a_field_is_not_sent(tmp_path: Path) -> None:
    """The contract says of labels: carried into the report, never sent."""
    (operation,) = operations_of(tmp_path, "destination_id,name,is_enabled\na,x,true\n", options='labels = ["name"]')
    assert (operation.body, operation.labels) == (b'{"destination":{"is_enabled":true}}', ("x",))


@each_format
def test_columns_that_reports_write_are_passed_over(tmp_path: Path, kind: str) -> None:
    table = {
        "destination_id": ["a"],
        "name": ["x"],
        "_bp_state": ["rejected"],
        "_bp_error": ['no "such"'],
        "_bp_": ["z"],
    }
    if kind in {"csv", "tsv"}:
        table["_bp_error"] = ["no such"]
    assert bodies_of(tmp_path, table, kind=kind) == ['{"name":"x"}']


@each_format
def test_each_row_may_fill_another_vendor_but_only_one(tmp_path: Path, kind: str) -> None:
    table = {
        "destination_id": ["a", "b", "c"],
        "postgres.host": ["p", "", "p"],
        "mysql.host": ["", "m", r"\N"],
        "name": ["x"] * 3,
    }
    problem = problem_of(tmp_path, table, kind=kind, options=r'null = "\\N"')
    words = "the row sets fields of postgres and mysql"
    assert_told(problem, "BP109", words, kind=kind, line=line_of(kind, 3), row=3)
    table = {name: cells[:2] for name, cells in table.items()}
    assert bodies_of(tmp_path, table, kind=kind) == [
        '{"name":"x","postgres":{"host":"p"}}',
        '{"mysql":{"host":"m"},"name":"x"}',
    ]


def test_a_constant_of_one_vendor_bars_the_cells_of_another(tmp_path: Path) -> None:
    content = "destination_id,mysql.host,name\na,,x\nb,m,y\n"
    problem = problem_of(tmp_path, content, patch="postgres.port = 22")
    assert_told(problem, "BP109", "postgres and mysql", line=3, row=2)


@pytest.mark.proves("G9")
def test_digest_and_fields_are_those_of_the_body(tmp_path: Path) -> None:
    (operation,) = operations_of(tmp_path, "destination_id,postgres.port,name\na,22,x\n", patch="is_enabled = false")
    assert operation.digest == hashlib.sha256(operation.body).digest()
    assert operation.fields == ("is_enabled", "name", "postgres.port")


def test_what_is_counted_is_what_is_set(tmp_path: Path) -> None:
    content = f"destination_id,name,postgres.host,{PASSWORD}\na,x,,env:A\nb,,h,\nc,,,\n"
    host = 'postgres.host = { column = "postgres.host", default = "d" }'
    patch = f'is_enabled = true\n{PASSWORD} = {{ secret = "env:PW" }}\n{host}'
    found = check_of(tmp_path, content, patch=patch)
    assert found.fields == {"is_enabled": 3, "name": 1, "postgres.host": 3, PASSWORD: 3}
    assert (found.rows, found.left_out, found.references) == (3, 0, 3)


# ── references ───────────────────────────────────────────────────────────────────────────────


@each_format
def test_a_reference_is_filled_from_the_row(tmp_path: Path, kind: str) -> None:
    """The body holds the reference, and the slot says where its value goes."""
    table = {"destination_id": ["a", "b"], "customer": ["acme", "umbrella-corp"], "name": ["x", "y"]}
    patch = f'{PASSWORD} = {{ secret = "env:PW_{{customer}}_{{destination_id}}" }}'
    operations = operations_of(tmp_path, table, kind=kind, options='labels = ["customer"]', patch=patch)
    for operation, reference in zip(operations, ["env:PW_acme_a", "env:PW_umbrella-corp_b"], strict=True):
        assert json.loads(operation.body)["destination"]["postgres"] == {"password_auth": {"password": reference}}
        assert operation.secrets == (SecretSlot(path=("postgres", "password_auth", "password"), source=reference),)


def test_a_column_that_a_reference_reads_still_sets_its_field(tmp_path: Path) -> None:
    patch = f'{PASSWORD} = {{ secret = "env:PW_{{postgres.password_auth.username}}" }}'
    content = "destination_id,postgres.password_auth.username\na,ann\n"
    assert bodies_of(tmp_path, content, patch=patch) == [
        '{"postgres":{"password_auth":{"password":"env:PW_ann","username":"ann"}}}'
    ]


@each_format
@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("", "BP224"),
        (" ", "BP229"),
        ("../x", "BP229"),
        ("a/b", "BP229"),
        ("a b", "BP229"),
        ("-rf", "BP229"),
        (".", "BP229"),
        ("a{b}", "BP229"),
        ("a;b", "BP229"),
        ("$(x)", "BP229"),
        ("é", "BP229"),
        ("x" * 129, "BP229"),
    ],
)
def test_what_would_change_a_reference_is_not_filled_in(tmp_path: Path, kind: str, cell: str, code: str) -> None:
    table = {"destination_id": ["a", "b"], "customer": ["acme", cell]}
    problem = problem_of(tmp_path, table, kind=kind, patch=f'{PASSWORD} = {{ secret = "file:pw/{{customer}}" }}')
    assert (problem.code, problem.line, problem.row, problem.column_name) == (code, line_of(kind, 2), 2, "customer")


def test_a_cell_wins_over_the_reference_of_the_job_which_then_needs_no_filling(tmp_path: Path) -> None:
    content = f"destination_id,customer,{PASSWORD}\na,acme,\nb,,env:OWN\n"
    operations = operations_of(tmp_path, content, patch=f'{PASSWORD} = {{ secret = "env:PW_{{customer}}" }}')
    assert [[slot.source for slot in one.secrets] for one in operations] == [["env:PW_acme"], ["env:OWN"]]


# ── where ────────────────────────────────────────────────────────────────────────────────────


@each_format
@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ("customer = 'acme'", ["a", "c"]),
        ("customer <> 'acme' AND name LIKE 'n%'", ["b"]),
        ("customer IN ('acme', 'x') AND NOT destination_id = 'a'", ["c"]),
        ("\"postgres.host\" = 'h2'", ["b"]),
        ("\"postgres.host\" = 'h1' OR length(name) > 2", ["a", "c"]),
        ("CASE WHEN name = 'n1' THEN true ELSE false END", ["a"]),
        ("TRY_CAST(customer AS INT) IS NULL", ["a", "b", "c"]),
        ("upper(customer) ~ '^AC'", ["a", "c"]),
        ("name = 'it''s count(x) over'", []),
    ],
)
def test_where_takes_rows_by_sql(tmp_path: Path, kind: str, where: str, taken: list[str]) -> None:
    """Names with dots are quoted; a column of the condition keeps its other part."""
    table = {
        "destination_id": ["a", "b", "c"],
        "name": ["n1", "n2", "n33"],
        "customer": ["acme", "umbrella", "acme"],
        "postgres.host": ["h1", "h2", "h3"],
    }
    options = f'labels = ["customer"]\nwhere = {json.dumps(where)}'
    if not taken:
        assert_told(problem_of(tmp_path, table, kind=kind, options=options), "BP223", "leaves out every row", kind=kind)
        return
    rows = rows_of(tmp_path, table, kind=kind, options=options)
    found = rows.check()
    operations = all_operations(rows)
    assert [one.destination_id for one in operations] == taken
    assert [one.row for one in operations] == [table["destination_id"].index(one) + 1 for one in taken]
    assert all(b'"host":' in one.body and b'"name":' in one.body for one in operations)
    assert (found.rows, found.left_out) == (len(taken), 3 - len(taken))


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
@pytest.mark.parametrize(
    ("where", "taken"),
    [
        ('"postgres.port" > 5000', ["a"]),
        ('"postgres.port" + 1 = 23', ["b"]),
        ("is_enabled", ["a"]),
        ("NOT is_enabled", ["b"]),
        ("share < 0.5", ["b"]),
        ("enabled_models IS NULL", ["b"]),
    ],
)
def test_where_computes_with_the_types_of_the_file(tmp_path: Path, kind: str, where: str, taken: list[str]) -> None:
    table = {
        "destination_id": ["a", "b"],
        "postgres.port": [5432, 22],
        "is_enabled": [True, False],
        "share": [0.5, 0.25],
        "enabled_models": [["x"], None],
    }
    options = f'labels = ["share"]\nwhere = {json.dumps(where)}'
    assert [one.destination_id for one in operations_of(tmp_path, table, kind=kind, options=options)] == taken


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize(
    "where", ["category = 'x'", "day > DATE '2026-01-01'", "amount > 1", "tiny = 7", "at >= TIMESTAMP '2026-06-01'"]
)
def test_where_knows_times_categories_and_decimals(tmp_path: Path, kind: str, where: str) -> None:
    table = {
        "destination_id": ["a", "b"],
        "name": ["n", "n"],
        "category": pl.Series(["x", "y"], dtype=pl.Categorical),
        "day": pl.Series(["2026-06-01", "2020-06-01"]).str.to_date(),
        "at": pl.Series(["2026-06-01", "2020-06-01"]).str.to_datetime(),
        "amount": pl.Series(["1.50", "0.50"]).cast(pl.Decimal(10, 2)),
        "tiny": pl.Series([7, 8], dtype=pl.UInt8),
    }
    options = f'labels = ["category", "day", "at", "amount", "tiny"]\nwhere = {json.dumps(where)}'
    (operation,) = operations_of(tmp_path, table, kind=kind, options=options)
    assert operation.destination_id == "a"
    assert operation.labels[0] == "x"
    assert operation.labels[3:] == ("1.50", "7")


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("name =", "BP222"),
        ("name = 'x' ;", "BP222"),
        ("no_such_function(name)", "BP222"),
        ("SELECT * FROM t", "BP222"),
        ("name", "BP222"),
        ("name = 3", "BP222"),
        ("CAST(name AS INT) = 3", "BP222"),
        ("NULL", "BP222"),
        ("'x'", "BP222"),
        ("\"*\" = 'x'", "BP222"),
        ("nmae = 'x'", "BP228"),
        ("postgres.host = 'x'", "BP228"),
    ],
)
def test_what_is_no_condition_is_refused_without_a_cell(tmp_path: Path, where: str, code: str) -> None:
    content = f"destination_id,name,postgres.host\na,{CANARY},h\n"
    problem = problem_of(tmp_path, content, options=f"where = {json.dumps(where)}")
    assert problem.code == code
    assert CANARY not in everything(problem)


def test_a_dotted_name_without_quotes_is_shown_how_to_be_written(tmp_path: Path) -> None:
    content = "destination_id,postgres.host\na,h\n"
    problem = problem_of(tmp_path, content, options="where = \"postgres.host = 'h'\"")
    assert_told(problem, "BP228", '"postgres"', fix='in double quotes: "postgres.host"')


@pytest.mark.parametrize(
    "where",
    [
        "count(*) > 1",
        "name = max(name)",
        "name = FIRST (name)",
        "row_number() OVER (ORDER BY name) > 1",
        "name > lag(name) over (order by name)",
        "name IN (SELECT 1)",
        "EXISTS (SELECT 1)",
        "name > current_date",
        "COUNT(DISTINCT name) = 2",
        "unnest(name) = 'x'",
    ],
)
def test_a_condition_looks_at_one_row_at_a_time(tmp_path: Path, where: str) -> None:
    """Only some rows are in memory, and a resume comes later: what depends on the others or on today would differ."""
    problem = problem_of(tmp_path, "destination_id,name\na,x\nb,y\n", options=f"where = {json.dumps(where)}")
    assert_told(problem, "BP222", "may look at one row only")


def test_rows_that_are_left_out_are_not_held_against_the_job(tmp_path: Path) -> None:
    content = "destination_id,name,is_enabled\na,x,true\nno id,y,perhaps\na,y,false\n"
    assert check_of(tmp_path, content, options="where = \"name = 'x'\"").rows == 1


# ── the same destination twice ───────────────────────────────────────────────────────────────


@each_format
def test_the_same_body_for_one_id_is_sent_once(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "b", "a", "a"], "name": ["x", "x", "x", "x"], "customer": ["k", "l", "m", "n"]}
    rows = rows_of(tmp_path, table, kind=kind, options='labels = ["customer"]')
    assert rows.check().duplicates == 2
    seeds = [one for batch in rows.seed_rows() for one in batch]
    assert [(one.row, one.lead, one.labels) for one in seeds] == [
        (1, None, ("k",)),
        (2, None, ("l",)),
        (3, 1, ("m",)),
        (4, 1, ("n",)),
    ]


def test_bodies_that_differ_in_a_reference_are_different(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f"destination_id,{PASSWORD}\na,env:A\na,env:B\n")
    assert_told(problem, "BP217", "row 1 (line 2) and row 2 (line 3)", line=3, row=2)


def test_inline_secrets_that_differ_are_different_bodies_though_their_digests_are_the_same(tmp_path: Path) -> None:
    content = f"destination_id,{PASSWORD}\na,{CANARY}1\nb,other-secret\na,{CANARY}2\nb,value:other-secret\n"
    problem = problem_of(tmp_path, content, options=INLINE)
    assert_told(problem, "BP217", "row 1 (line 2) and row 3 (line 4)", line=4, row=3)
    assert CANARY not in everything(problem)


def test_repeats_are_found_though_other_rows_are_wrong(tmp_path: Path) -> None:
    content = "destination_id,name\na,x\nno id,y\na,z\nb,x\n"
    assert [(one.line, one.code) for one in problems_of(tmp_path, content)] == [(3, "BP214"), (4, "BP217")]


@each_format
def test_a_row_that_is_wrong_is_not_compared(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a", "a", "a"], "is_enabled": ["true", "yes", "true"]}
    assert [(one.row, one.code) for one in problems_of(tmp_path, table, kind=kind)] == [(2, "BP216")]


def test_a_repeat_is_found_across_files_and_far_apart(tmp_path: Path) -> None:
    rows = "".join(f"d{row},x\n" for row in range(30_000))
    problem = problem_of(tmp_path, f"destination_id,name\nfirst,x\n{rows}first,y\n")
    assert_told(problem, "BP217", "row 1 (line 2) and row 30002 (line 30003)", line=30_003, row=30_002)


# ── inline secrets ───────────────────────────────────────────────────────────────────────────


@each_format
def test_a_cell_is_a_reference_or_the_secret_itself(tmp_path: Path, kind: str) -> None:
    """A known scheme points somewhere; ``value:`` takes the rest as it stands; all else is the secret."""
    cells = ["env:PW", "value:env:PW", CANARY, "unknown:scheme", "value:value:x", "file:pw.txt", "ENV:PW"]
    table = {"destination_id": [f"d{at}" for at in range(len(cells))], PASSWORD: cells}
    operations = operations_of(tmp_path, table, kind=kind, options=INLINE)
    sources = [one.secrets[0].source for one in operations]
    assert [one.reveal() if isinstance(one, Secret) else one for one in sources] == [
        "env:PW",
        "env:PW",
        CANARY,
        "unknown:scheme",
        "value:x",
        "file:pw.txt",
        "ENV:PW",
    ]
    assert [isinstance(one, Secret) for one in sources] == [False, True, True, True, True, False, True]
    bodies = [one.body.decode().removeprefix('{"destination":')[:-1] for one in operations]
    assert bodies == [password(one) for one in ["env:PW", *["inline"] * 4, "file:pw.txt", "inline"]]
    assert CANARY not in repr(operations)


@each_format
@pytest.mark.parametrize("inline", ["false", "true"])
def test_masks_are_refused_always(tmp_path: Path, kind: str, inline: str) -> None:
    cells = ["****", "********", "<redacted>", "[REDACTED]", "••••••", "***1234"]
    table = {"destination_id": [f"d{at}" for at in range(len(cells))], PASSWORD: cells}
    problems = problems_of(tmp_path, table, kind=kind, options=f"inline_secrets = {inline}")
    assert [(problem.code, problem.row) for problem in problems] == [("BP304", row) for row in range(1, len(cells) + 1)]


@each_format
def test_a_redacted_cell_names_the_file_and_row_that_it_came_from(tmp_path: Path, kind: str) -> None:
    table = {"destination_id": ["a"], PASSWORD: ["<redacted>"], "_bp_input": ["fleet.csv row 7"]}
    problem = problem_of(tmp_path, table, kind=kind, options=INLINE)
    assert_told(
        problem,
        "BP304",
        'the row came from "fleet.csv row 7"',
        kind=kind,
        line=line_of(kind, 1),
        row=1,
        column=PASSWORD,
    )


@each_format
def test_reports_get_the_cells_as_they_stood_but_for_inline_secrets(tmp_path: Path, kind: str) -> None:
    table = {
        "destination_id": ["a", "b", "c", "d"],
        PASSWORD: [CANARY, "env:PW", "", "~"],
        "name": ["x", "~", "007", " y "],
        "_bp_old": ["1", "2", "3", "4"],
    }
    rows = rows_of(tmp_path, table, kind=kind, options=f'{INLINE}\nnull = "~"')
    rows.check()
    names, cells = rows.cells(lambda first, last: [row for row in range(first, last + 1) if row != 2])
    assert tuple(names) == tuple(table)
    assert list(cells) == [
        (1, ("a", "<redacted>", "x", "1")),
        (3, ("c", "", "007", "3")),
        (4, ("d", "~", " y ", "4")),
    ]


@pytest.mark.parametrize("kind", ["ndjson", "parquet", "arrow"])
def test_typed_cells_are_reported_as_they_can_be_read_again(tmp_path: Path, kind: str) -> None:
    """Written as text and read again, they make the same body."""
    table = {"destination_id": ["a"], "postgres.port": [22], "is_enabled": [True], "enabled_models": [["x", "y;z"]]}
    names, cells = rows_of(tmp_path, table, kind=kind).cells(lambda first, last: range(first, last + 1))
    ((row, found),) = cells
    assert row == 1
    again = {name: [cell] for name, cell in zip(names, found, strict=True)}
    assert bodies_of(tmp_path, again, kind="parquet") == bodies_of(tmp_path, table, kind=kind)


# ── the seal ─────────────────────────────────────────────────────────────────────────────────

WRITTEN_NS = 1_764_000_000_000_000_000


def sealed(folder: Path, content: bytes, *, kind: str = "csv", options: str = INLINE, at_ns: int = WRITTEN_NS) -> str:
    """The hash of an input that holds ``content`` and was last written at ``at_ns``."""
    path = folder / f"input.{kind}"
    path.write_bytes(content)
    os.utime(path, ns=(at_ns, at_ns))
    return open_input(folder, path.name, options=options).input_sha256


@each_format
def test_an_input_of_references_is_sealed_by_its_bytes(tmp_path: Path, kind: str) -> None:
    path = write_table(tmp_path / f"input.{kind}", {"destination_id": ["a"], PASSWORD: ["env:PW"]})
    rows = open_input(tmp_path, path.name)
    content = path.read_bytes()
    assert rows.input_sha256 == hashlib.sha256(content).hexdigest()
    (file,) = rows.seal
    assert (file.path, file.size, file.sha256) == (str(path), len(content), rows.input_sha256)
    assert file.mtime_ns == path.stat().st_mtime_ns


def test_several_files_are_sealed_each_and_together(tmp_path: Path) -> None:
    for at in range(2):
        (tmp_path / f"part-{at}.csv").write_text(f"destination_id,name\nd{at},x\n")
    rows = open_input(tmp_path, "part-*.csv")
    digests = [hashlib.sha256((tmp_path / f"part-{at}.csv").read_bytes()) for at in range(2)]
    assert [file.sha256 for file in rows.seal] == [one.hexdigest() for one in digests]
    assert rows.input_sha256 == hashlib.sha256(b"".join(one.digest() for one in digests)).hexdigest()


@pytest.mark.parametrize("kind", ["csv", "tsv", "ndjson"])
def test_nothing_of_an_inline_secret_is_in_the_hash(tmp_path: Path, kind: str) -> None:
    """Size, time and all other cells are: a guessed secret cannot be tried against what is stored."""
    table = {"destination_id": ["a", "b"], PASSWORD: [CANARY, "env:PW"], "name": ["Name", "y"]}
    content = write_table(tmp_path / f"made.{kind}", table).read_bytes()
    other = content.replace(CANARY.encode(), CANARY[::-1].encode())
    first = sealed(tmp_path, content, kind=kind)
    assert first == sealed(tmp_path, other, kind=kind)
    assert first not in {hashlib.sha256(one).hexdigest() for one in (content, other)}
    assert first != sealed(tmp_path, content.replace(b"Name", b"Nome"), kind=kind)
    assert first != sealed(tmp_path, content, kind=kind, at_ns=WRITTEN_NS + 1)
    assert first != sealed(tmp_path, content.replace(CANARY.encode(), b"longer" + CANARY.encode()), kind=kind)
    assert first != sealed(tmp_path, content, kind=kind, options="")


def test_digests_hold_nothing_of_an_inline_secret(tmp_path: Path) -> None:
    """The body that is stored, hashed and shown has the word inline there."""
    content = f"destination_id,{PASSWORD}\na,{CANARY}\nb,{CANARY}x\n"
    one, other = operations_of(tmp_path, content, options=INLINE)
    assert one.digest == other.digest == hashlib.sha256(one.body).digest()
    assert one.body.decode() == f'{{"destination":{password("inline")}}}'


def test_a_key_file_in_a_cell_is_kept_whole(tmp_path: Path) -> None:
    key = json.dumps({"type": "service_account", "private_key": f"-----BEGIN-----\n{CANARY}\n"})
    table = {"destination_id": ["a"], SERVICE_KEY: [key]}
    (operation,) = operations_of(tmp_path, table, kind="ndjson", options=INLINE)
    (slot,) = operation.secrets
    assert isinstance(slot.source, Secret)
    assert slot.source.reveal() == key
    assert CANARY not in repr(operation)
