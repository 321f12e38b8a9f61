"""Frames of rows show no secret: not of its own cell, not where it was typed by mistake, not of a row gone wrong."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Final

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_rig import CANARY, PASSWORD, problem_of, problems_of

from bulkpatch.job.row_frames import MASK

FLAG: Final = "is_enabled"
FILLED: Final = "# what a reference is filled from"
INLINE: Final = "inline_secrets = true"
LABEL: Final = 'labels = ["customer"]'
HIDING: Final = [
    # in its own cell
    ("csv", "", "destination_id,is_enabled,PASSWORD\na,no,env:CANARY\n"),
    ("csv", "", "destination_id,is_enabled,PASSWORD\na,no,CANARY\n"),
    ("csv", "", "destination_id,PASSWORD\na,env:CANARY \n"),
    ("csv", INLINE, "destination_id,is_enabled,PASSWORD\na,no,CANARY\n"),
    ("csv", INLINE, "destination_id,is_enabled,PASSWORD\na,no,value:CANARY\n"),
    ("csv", INLINE, 'destination_id,is_enabled,PASSWORD\na,no,"x""CANARY,y"\n'),
    ("csv", INLINE, 'destination_id,PASSWORD,is_enabled\na,"x\nCANARY\n",no\n'),
    ("tsv", INLINE, "destination_id\tPASSWORD\tis_enabled\na\tCANARY\tno\n"),
    ("ndjson", INLINE, '{"destination_id":"a","PASSWORD":"CANARY","is_enabled":"no"}\n'),
    ("ndjson", INLINE, '{"destination_id":"a","PASSWORD":"\\u005aCANARY","is_enabled":"no"}\n'),
    ("csv", 'previous = { old = "PASSWORD" }', "destination_id,is_enabled,old\na,no,CANARY\n"),
    ("csv", INLINE + '\ncolumns = { new = "PASSWORD" }', "destination_id,is_enabled,new\na,no,CANARY\n"),
    # in a column of which nothing is known, or nothing good
    ("csv", "", "destination_id,is_enabled,postgres.password_auth.pasword\na,no,CANARY\n"),
    ("csv", 'labels = ["token"]', "destination_id,is_enabled,token\na,no,CANARY\n"),
    ("csv", "", "destination_id,is_enabled,_bp_error\na,no,CANARY\n"),
    ("csv", "where = \"r != ''\"", "destination_id,is_enabled,r\na,no,CANARY\n"),
    ("csv", FILLED, "destination_id,is_enabled,pw\na,no,CANARY!\n"),
    ("csv", FILLED + '\nlabels = ["pw"]', "destination_id,is_enabled,pw\na,no,CANARY!\n"),
    ("ndjson", "", '{"destination_id":"a","pasword":{"x":["CANARY"]},"is_enabled":"no"}\n'),
    ("ndjson", "", '{"destination_id":"a","CANARY":"x","is_enabled":"no"}\n'),
    # in the cell of another column
    ("csv", "", "destination_id,name,is_enabled,PASSWORD\na,CANARY,no,Acme\n"),
    ("csv", INLINE, "destination_id,name,is_enabled,PASSWORD\na,CANARY,no,Acme warehouse\n"),
    ("csv", "", "destination_id,is_enabled,PASSWORD\na,CANARY,true\n"),
    ("csv", "", "destination_id,is_enabled,PASSWORD\na,CANARY,\n"),
    ("csv", "", "destination_id,is_enabled,PASSWORD\nCANARY,no,dest-1\n"),
    ("csv", LABEL, "destination_id,customer,is_enabled,PASSWORD\na,CANARY,no,x\n"),
    ("csv", "", "destination_id,customer,is_enabled,pasword\na,CANARY,no,x\n"),
    ("ndjson", "", '{"destination_id":"a","name":"CANARY","is_enabled":"no","PASSWORD":null}\n'),
    # in a row that is not what it should be
    ("csv", "", "destination_id,is_enabled\na,true,CANARY\n"),
    ("csv", "", "destination_id,name,PASSWORD\na,CANARY\n"),
    ("csv", INLINE, "destination_id,name,PASSWORD\na,Acme, Inc,CANARY\n"),
    ("csv", INLINE, 'destination_id,name,PASSWORD\na,"Acme,CANARY\nb,c,env:X\n'),
    ("csv", INLINE, 'destination_id,PASSWORD,name\na,CANARY,x"y\n'),
    ("csv", "", 'destination_id,name\na,CANARY"y\n'),
    ("csv", "", 'destination_id,name,PASSWORD\na,"x,CANARY\nb",env:X\n!,y,env:X\n'),
    ("csv", "", 'destination_id,name,is_enabled,PASSWORD\na,"x,CANARY\nb",no,env:X\n'),
    ("csv", "", 'destination_id,PASSWORD,name,is_enabled\na,env:X,x"\nb,env:X,CANARY,no\n'),
    # where it shows itself
    ("csv", "", "destination_id,name,is_enabled\na,sk_prod_CANARY,no\n"),
    ("csv", "", "destination_id,is_enabled\na,sk_staging_CANARY\n"),
    ("csv", "", "destination_id,is_enabled,postgres.host\na,no,postgres://u:CANARY@h/\n"),
    ("ndjson", "", '{"destination_id":"a","name":"\\u0073k_prod_CANARY","is_enabled":"no"}\n'),
    # where it is larger than any value is
    ("csv", "", "destination_id,name\na,CANARY" + "x" * 70_000 + "\n"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "options", "content"), HIDING)
def test_a_secret_is_masked_wherever_it_stands(tmp_path: Path, kind: str, options: str, content: str) -> None:
    """Or its whole row is; the frame is there all the same."""
    patch = 'postgres.password_auth.password = { secret = "env:PW_{pw}" }' if FILLED in options else ""
    content, options = (text.replace("PASSWORD", PASSWORD).replace("CANARY", CANARY) for text in (content, options))
    problems = problems_of(tmp_path, content, kind=kind, options=options, patch=patch)
    framed = [one for one in problems if one.frame]
    assert framed or '"x","is_enabled"' in content
    for problem in framed:
        assert CANARY[:6] not in problem.frame
        assert MASK in problem.frame


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
@pytest.mark.parametrize("options", ["", INLINE])
def test_no_secret_is_seen_of_a_row_without_a_line(tmp_path: Path, kind: str, options: str) -> None:
    table = {"destination_id": ["a"], PASSWORD: [CANARY], FLAG: ["no"], "raw": pl.Series([CANARY.encode()])}
    for problem in problems_of(tmp_path, table, kind=kind, options=options):
        assert MASK in problem.frame or not problem.frame
        assert CANARY[:8] not in problem.frame


def test_a_mask_says_nothing_of_the_length_of_what_it_hides(tmp_path: Path) -> None:
    short, long = (
        problem_of(tmp_path, f"destination_id,{PASSWORD},{FLAG}\na,{secret},no\n", options=INLINE).frame
        for secret in ("s3cr3t!", CANARY * 9)
    )
    assert short == long


def test_what_is_too_short_for_a_secret_is_shown_beside_one(tmp_path: Path) -> None:
    """So that a wrong flag or number is seen; with short secrets allowed, it is not."""
    content = f"destination_id,customer,{PASSWORD},{FLAG}\na,globex-west,{CANARY},jein\n"
    options = f'{INLINE}\nlabels = ["customer"]'
    assert problem_of(tmp_path, content, options=options).frame.split("\n")[1] == f"2 | a,{MASK},{MASK},jein"
    allowed = problem_of(tmp_path, content, options=options, more="[secrets]\nallow_short = true\n")
    assert allowed.frame.split("\n")[1] == f"2 | {MASK},{MASK},{MASK},{MASK}"


def test_beside_references_that_hold_everything_known_is_shown(tmp_path: Path) -> None:
    content = f"destination_id,customer,{PASSWORD},{FLAG}\ndest-0001,globex-west,env:PW,perhaps\n"
    problem = problem_of(tmp_path, content, options=LABEL)
    assert problem.frame.split("\n")[1] == f"2 | dest-0001,globex-west,{MASK},perhaps"


@settings(max_examples=60, deadline=None)
@given(
    order=st.permutations(["destination_id", PASSWORD, FLAG, "customer", "note"]),
    secret=st.text("abcXYZ019!$%&/()=?-_ ,\"';\t", min_size=6, max_size=30).map(lambda text: f"Kq{text}Vz"),
    kind=st.sampled_from(["csv", "tsv", "ndjson"]),
    inline=st.booleans(),
    where=st.sampled_from([PASSWORD, FLAG, "customer", "note", "destination_id"]),
    cut=st.integers(0, 2),
)
def test_a_secret_in_any_column_is_not_seen(  # noqa: PLR0913  (the parts of a row)
    tmp_path_factory: pytest.TempPathFactory,
    *,
    order: list[str],
    secret: str,
    kind: str,
    inline: bool,
    where: str,
    cut: int,
) -> None:
    """Whether its column is known or not, whatever else is wrong, and also where cells are missing at the end."""
    row = {"destination_id": "!", PASSWORD: "nothing", FLAG: "no", "customer": "x", "note": "y", where: secret}
    cells = {name: row[name] for name in order[: len(order) - cut]}
    if kind == "ndjson":
        content = json.dumps(cells) + "\n" + json.dumps({"destination_id": "b", PASSWORD: "env:A"}) + "\n"
    else:
        text = io.StringIO()
        csv.writer(text, delimiter="," if kind == "csv" else "\t", lineterminator="\n").writerows(
            [order, cells.values()]
        )
        content = text.getvalue()
    options = 'labels = ["customer"]' + f"\n{INLINE}" * inline
    for problem in problems_of(tmp_path_factory.mktemp("rows"), content, kind=kind, options=options):
        assert secret not in problem.frame
        assert "Kq" not in problem.frame
        assert "Vz" not in problem.frame
