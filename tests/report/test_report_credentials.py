"""Rows by credential: grouped by reference, verified ones apart, and what an unverified one has to go back to."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from report_fakes import SENT_AT_US, Blind, ListLedger, Watchful, outcome_row

from bulkpatch.errors import Broken
from bulkpatch.model import CredentialRow, RowState
from bulkpatch.reporting import grouped, write_report
from bulkpatch.reporting.columns import outcome_schema
from bulkpatch.reporting.credentials import UNVERIFIED_MAX, credential_table, fall_back, verified, with_credentials
from bulkpatch.reporting.failures import Cells

PASSWORD = "postgres.password_auth.password"
S = RowState


def used(row: int, credential: str = "vault:a", *versions: str) -> CredentialRow:
    """What row ``row`` uses."""
    told = [[PASSWORD, credential, version] for version in versions]
    return CredentialRow(row, credential, json.dumps(told))


def mixed() -> ListLedger:
    """Two credentials, one of which is in trouble, and a row without any."""
    states = [S.VERIFIED, S.UNVERIFIED, S.REJECTED, S.PENDING, S.VERIFIED, S.ACCEPTED]
    rows = [outcome_row(row, state, labels=[f"c{row}"]) for row, state in enumerate(states, start=1)]
    names = [used(row, "vault:a", "7") for row in range(1, 5)] + [used(5, "env:B")]
    return ListLedger(rows, labels=["customer"], credentials=names)


def view_of(ledger: ListLedger, folder: Path, **how: Any) -> Any:
    """What the report says of credentials."""
    return write_report(ledger, folder, redactor=Blind(), **how).overview["credentials"]


def test_a_summary_counts_by_credential_and_names_what_to_go_back_to(tmp_path: Path) -> None:
    """Those in trouble first; a row without secrets belongs to none."""
    files = write_report(mixed(), tmp_path, redactor=Blind())
    zero = {"verified": 0, "unverified": 0, "rejected": 0, "held": 0}
    assert files.overview["credentials"] == {
        "credentials": 2,
        "groups": [
            {"credential": "vault:a", "rows": 4, "verified": 1, "unverified": 1, "rejected": 1, "held": 1},
            {"credential": "env:B", "rows": 1, **zero, "verified": 1},
        ],
        "unverified_rows": 1,
        "unverified": [
            {
                "row": 2,
                "destination_id": "dest-2",
                "credential": "vault:a",
                "fall_back_to": "the version before 7 of vault:a",
            }
        ],
    }
    text = files.summary.read_text()
    assert "| `vault:a` | 4 | 1 | 1 | 1 | 1 |" in text
    assert "| 2 | `dest-2` | `vault:a` | `the version before 7 of vault:a` |" in text


def test_the_outcomes_keep_their_columns_and_the_folder_its_files(tmp_path: Path) -> None:
    """Credentials are joined when a report is made, and stand in no file of their own."""
    files = write_report(mixed(), tmp_path, redactor=Blind())
    assert pl.read_parquet(files.outcomes).schema == pl.Schema(outcome_schema(["customer"]))
    assert {path.name for path in tmp_path.iterdir()} == {
        "outcomes.parquet",
        "models.parquet",
        "failures.csv",
        "report.html",
        "summary.md",
    }


def test_a_run_without_credentials_says_nothing_of_them(tmp_path: Path) -> None:
    files = write_report(ListLedger([outcome_row(1)]), tmp_path, redactor=Blind())
    assert "credentials" not in files.overview
    assert "credential" not in files.summary.read_text()


def test_a_secret_in_a_reference_is_not_written(tmp_path: Path) -> None:
    """A reference is no secret; if one is, nothing is written at all."""
    ledger = ListLedger([outcome_row(1)], credentials=[used(1, "exec:echo canary-value")])
    with pytest.raises(Broken) as refused:
        write_report(ledger, tmp_path, redactor=Watchful("canary-value"))
    assert refused.value.code == "BP902"


def test_the_first_unverified_rows_are_named_and_the_others_counted(tmp_path: Path) -> None:
    count = UNVERIFIED_MAX + 7
    rows = [outcome_row(row, S.UNVERIFIED) for row in range(1, count + 1)]
    ledger = ListLedger(rows, credentials=[used(row) for row in range(1, count + 1)])
    files = write_report(ledger, tmp_path, redactor=Blind())
    found = files.overview["credentials"]
    assert [row["row"] for row in found["unverified"]] == list(range(1, UNVERIFIED_MAX + 1))
    assert found["unverified_rows"] == count
    assert "And 7 more" in files.summary.read_text()


def before(rows: Sequence[int]) -> Cells:
    """An input whose columns ``old`` and ``old_user`` tell what was there before; row 2 has no cell."""
    lines = ((row, [f"d{row}", "" if row == 2 else "env:OLD", "u"]) for row in rows)
    return ["id", "old", "old_user"], lines


def gone(_: Sequence[int]) -> Cells:
    """An input that is not there any more."""
    raise OSError("gone")


def test_a_previous_column_wins_over_the_version_before(tmp_path: Path) -> None:
    """The reference in its cell is named; where the cell is empty, or the input gone, the store's version is."""
    rows = [outcome_row(row, S.UNVERIFIED) for row in (1, 2)]
    ledger = ListLedger(rows, credentials=[used(1, "vault:a", "7"), used(2, "vault:a", "7")])
    previous = {"old": PASSWORD, "old_user": "postgres.password_auth.username"}
    version = "the version before 7 of vault:a"

    def told(**how: Any) -> list[str]:
        return [row["fall_back_to"] for row in view_of(ledger, tmp_path, **how)["unverified"]]

    assert told(cells=before, previous=previous) == ["env:OLD", version]
    assert told(cells=before, previous={"old": "mysql.password_auth.password"}) == [version, version]
    assert told(cells=before) == told(cells=gone, previous=previous) == [version, version]


def test_what_to_go_back_to_has_words_for_every_case() -> None:
    """Several secrets, no version, an inline secret."""
    two = CredentialRow(1, "vault:a, vault:b", json.dumps([["a.k", "vault:a", "1"], ["b.k", "vault:b", "2"]]))
    assert fall_back(two, {}) == "the version before 1 of vault:a and the version before 2 of vault:b"
    assert fall_back(two, {"a.k": "env:A"}) == "env:A and the version before 2 of vault:b"
    assert fall_back(used(1, "env:B"), {}) == "what stood before at env:B"
    assert fall_back(used(1, "env:B"), {PASSWORD: "env:A"}) == "env:A"


def test_only_verified_rows_are_listed_for_a_revocation(tmp_path: Path) -> None:
    """Each with its credential, version, time and labels; nothing that was merely accepted stands there."""
    ledger = mixed()
    files = write_report(ledger, tmp_path, redactor=Blind())
    table = verified(files.outcomes, credential_table(ledger))
    assert table.columns == ["destination_id", "credential", "version", "verified_at", "label_customer"]
    assert table.drop("verified_at").rows() == [("dest-1", "vault:a", "7", "c1"), ("dest-5", "env:B", None, "c5")]
    assert table["verified_at"].dt.epoch("us").to_list() == [SENT_AT_US + row + 1_500 for row in (1, 5)]


def test_outcomes_are_grouped_by_credential(tmp_path: Path) -> None:
    """Rows without one last; several versions stand with their references."""
    ledger = mixed()
    files = write_report(ledger, tmp_path, redactor=Blind())
    table = grouped(with_credentials(files.outcomes, credential_table(ledger)), ["credential"])
    assert table.select("credential", "count", "verified", "unverified").rows() == [
        ("env:B", 1, 1, 0),
        ("vault:a", 4, 1, 1),
        (None, 1, 0, 0),
    ]
    two = CredentialRow(1, "vault:a, vault:b", json.dumps([["a.k", "vault:a", "1"], ["b.k", "vault:b", "2"]]))
    found = credential_table(ListLedger([outcome_row(1)], credentials=[two]))
    assert found.rows() == [(1, "vault:a, vault:b", "vault:a@1, vault:b@2")]
