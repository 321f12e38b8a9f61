"""Of the row in a frame nothing is seen that may be a secret, wherever it stands."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rows_rig import (
    CANARY,
    FORMATS,
    PASSWORD,
    SERVICE_KEY,
    above_carets,
    assert_hidden,
    open_input,
    problem_of,
    problems_of,
    problems_raised,
)

from bulkpatch.job.row_frames import MASK

PORT: Final = "postgres.port"
LABELS: Final = 'labels = ["customer"]'

HEAD: Final = f"destination_id,customer,{PORT},is_enabled,name,{PASSWORD}"
SECRET_ROWS: Final = [
    # where it belongs, beside another mistake
    "d1,acme,54x2,true,n,CANARY",
    "d1,acme,54x2,true,n,value:CANARY",
    'd1,acme,54x2,true,n,"CANARY"',
    'd1,acme,54x2,true,n,"a\nCANARY"',
    'd1,acme,54x2,true,n,"say ""CANARY"""',
    # moved by a separator too many or too few, elsewhere made good
    "d1,Acme, Inc,54x2,CANARY,",
    "d1,acme,CANARY,true,n,",
    "d1,54x2,true,n,CANARY,",
    "d1,CANARY,54x2,true,n,",
    "d1,acme,54x2,true,CANARY,",
    "d1,acme,54x2,true,n CANARY,",
    "CANARY,acme,54x2,true,n,,",
    "d1,acme,54x2,true,n,CANARY,x",
    "d1,acme,54x2,CANARY",
    "d1,CANARY",
    # swallowed by quotes, or torn by them
    'd1,"acme,54x2,true,n,CANARY\nd2,acme",1,maybe,n,env:A',
    'd1,acme,54x2,"true,n,"CANARY"',
    'd1,acme,54x2,tr"ue,n,CANARY',
    'd1,acme,1,true,n,"x\n-----BEGIN "KEY"\nCANARY,CANARY,54x2,true,n,env:A\n"',
    # beside a reference, in forms that tell
    "d1,sk_prod_CANARY,54x2,true,n,env:A",
    "d1,postgres://u:CANARY@h,54x2,true,n,env:A",
    "d1,-----BEGIN PRIVATE KEY-----CANARY,54x2,true,n,env:A",
    'd1,"{""private_key"": ""CANARY""}",54x2,true,n,env:A',
    'd1,"key:\nCANARY",54x2,true,n,env:A',
]  # fmt: skip


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("row", SECRET_ROWS)
def test_no_secret_is_seen_in_the_frame_of_any_row(tmp_path: Path, row: str, *, inline: bool) -> None:
    """Neither where it belongs nor where it strayed to."""
    options = f"{LABELS}\ninline_secrets = {str(inline).lower()}"
    text = f"{HEAD}\n{row.replace('CANARY', CANARY)}\nd9,acme,99x9,true,n,env:A\n"
    found = problems_of(tmp_path, text, options=options)
    assert_hidden(found, CANARY)
    assert found


@pytest.mark.proves("G7")
def test_a_neighbour_that_is_a_secret_is_masked(tmp_path: Path) -> None:
    """Of its row only the id is seen: the secret may have pushed others out of their places, or stand there twice."""
    text = f"{HEAD}\nd1,acme,54x2,true,n,{CANARY}\n"
    (problem,) = problems_of(tmp_path, text, options=f"{LABELS}\ninline_secrets = true")
    assert problem.frame.split("\n")[1:] == [f"2 | d1{f',{MASK}' * 5}", "  |        ^^^"]


def test_the_error_of_a_secret_cell_shows_a_mask(tmp_path: Path) -> None:
    problem = problem_of(tmp_path, f"{HEAD}\nd1,acme,1,true,n,{CANARY}\n", options=LABELS)
    assert problem.code == "BP301"
    lines, count = above_carets(problem.frame)
    assert (lines[0], lines[1], count) == (PASSWORD, MASK, 3)
    assert_hidden([problem], CANARY)


@pytest.mark.parametrize("kind", FORMATS)
def test_columns_that_are_not_known_to_be_harmless_are_masked(tmp_path: Path, kind: str) -> None:
    """Sensitive fields, objects, columns that nobody knows, labels whose name names secrets: in every format."""
    table = {
        "destination_id": ["d1"],
        PORT: ["54x2"],
        "s3.aws_access_keys.access_id": [CANARY],
        SERVICE_KEY: ["env:A"],
        "bigquery.federated_gcp_service_account_role.workload_identity_federation_metadata": [CANARY],
        "api_token": [CANARY],
        "pasword": [CANARY],
        "_bp_error": [CANARY],
    }
    found = problems_of(tmp_path, table, kind=kind, options='labels = ["api_token"]')
    assert any(one.frame for one in found)
    assert_hidden(found, CANARY)
    for problem in found:
        assert "pasword" not in problem.frame


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_filled_into_a_reference_is_masked_if_it_may_not_stand_there(tmp_path: Path, kind: str) -> None:
    """It is one where the secret itself was put."""
    table = {"destination_id": ["d1", "d2"], "customer": ["acme", f"{CANARY}/"], PORT: ["54x2", "1"]}
    patch = f'{PASSWORD} = {{ secret = "env:PW_{{customer}}" }}'
    found = {one.row: one for one in problems_of(tmp_path, table, kind=kind, patch=patch, options=LABELS)}
    assert "acme" in found[1].frame
    assert found[2].code == "BP229"
    assert MASK in found[2].frame
    assert_hidden([found[2]], CANARY)


def test_files_whose_columns_stand_in_another_order(tmp_path: Path) -> None:
    """In the second file the secret comes first."""
    (tmp_path / "a.csv").write_text(f"destination_id,{PORT},{PASSWORD}\nd1,54x2,env:A\n")
    (tmp_path / "b.csv").write_text(f"{PASSWORD},destination_id,{PORT}\n{CANARY[:12]},{CANARY[12:]},54x2\n")
    first, *rest = problems_raised(open_input(tmp_path, "?.csv", options="inline_secrets = true").check)
    assert "54x2" in first.frame
    assert rest[0].frame.split("\n")[1] == f"2 | {MASK},{MASK},{MASK}"


def test_an_odd_number_of_cells_is_not_drawn(tmp_path: Path) -> None:
    """Nobody can tell which cell is whose; nor what is what once a quote is out of place."""
    text = 'destination_id,customer,name\nd1,acme,n,x\n\nd2,ac"me,n\nd 3,acme,n\n'
    found = problems_of(tmp_path, text, options=LABELS)
    assert [(one.code, one.frame) for one in found] == [("BP207", ""), ("BP209", ""), ("BP208", ""), ("BP214", "")]


@settings(max_examples=100, deadline=None)
@given(
    cells=st.lists(
        st.sampled_from(["acme", "54x2", "true", "", "env:A", CANARY, f"x{CANARY}", "a\nb"]), min_size=5, max_size=7
    ),
    id_=st.sampled_from(["d1", "d 1", ""]),
    inline=st.booleans(),
)
def test_a_row_with_a_secret_in_its_place_shows_nothing_of_it_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str], id_: str, *, inline: bool
) -> None:
    """Rows of any number of cells, the secret in any of them: seen it is only where its own column has a reference."""
    text = io.StringIO()
    text.write(HEAD + "\n")
    csv.writer(text, lineterminator="\n").writerow([id_, *cells])
    options = f"{LABELS}\ninline_secrets = {str(inline).lower()}"
    try:
        found = problems_of(tmp_path_factory.mktemp("rows"), text.getvalue(), options=options)
    except AssertionError:
        return
    if len(cells) != 5 or cells[4] != "env:A":
        assert_hidden(found, CANARY)
    assert all(problem.frame for problem in found) or len(cells) != 5
