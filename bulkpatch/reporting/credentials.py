"""Rows by credential: which reference each one uses, which rows it is verified for, and what to go back to.

References and versions only; no value ever comes here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

import polars as pl

from bulkpatch.errors import InvalidInput, Mismatch
from bulkpatch.model import CredentialRow, RowState
from bulkpatch.ports import ReadLedger
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.reporting.columns import LABEL_PREFIX
from bulkpatch.reporting.failures import CellSource
from bulkpatch.reporting.frames import BATCH_ROWS
from bulkpatch.reporting.group import readable, scan

COLUMNS: Final[dict[str, pl.DataType]] = {"row": pl.Int64(), "credential": pl.String(), "version": pl.String()}
GROUPS_MAX: Final = 30
"""Credentials that the summary lists, those with trouble first; `report --by credential` has them all."""
UNVERIFIED_MAX: Final = 50
"""Unverified rows that the summary names; `report --by credential` and failures.csv have them all."""

Credentials: TypeAlias = pl.DataFrame
"""Which credential each row uses; for those who only hand it on."""

_HELD: Final = (RowState.PENDING, RowState.IN_FLIGHT, RowState.NOT_ATTEMPTED)
_COUNTED: Final = (RowState.VERIFIED, RowState.UNVERIFIED, RowState.REJECTED)


def credential_frames(ledger: ReadLedger) -> Iterator[pl.DataFrame]:
    """Every row with secrets in input order, in the columns of ``COLUMNS``."""
    for rows in ledger.credential_rows(BATCH_ROWS):
        lines = [(one.row, one.credential, _version(one)) for one in rows]
        yield pl.DataFrame(lines, schema=COLUMNS, orient="row")


def credential_table(ledger: ReadLedger) -> Credentials:
    """All of ``credential_frames`` at once: some 100 bytes a row."""
    return pl.concat([pl.DataFrame(schema=COLUMNS), *credential_frames(ledger)])


def with_credentials(outcomes: Path | pl.LazyFrame, credentials: Credentials | pl.LazyFrame) -> pl.LazyFrame:
    """``outcomes`` with the columns ``credential`` and ``version`` behind them, null for rows without secrets."""
    return scan(outcomes).join(credentials.lazy(), on="row", how="left", maintain_order="left")


def verified(outcomes: Path | pl.LazyFrame, credentials: Credentials) -> pl.DataFrame:
    """The verified rows and no others, in input order: the only ones whose old secret may be revoked."""
    table = with_credentials(outcomes, credentials).filter(pl.col("state") == str(RowState.VERIFIED))
    with readable():
        labels = [name for name in table.collect_schema().names() if name.startswith(LABEL_PREFIX)]
        named = pl.col("finished_at").alias("verified_at")
        return table.select("destination_id", "credential", "version", named, *labels).collect()


def credential_view(
    table: pl.LazyFrame,
    credentials: pl.LazyFrame,
    ledger: ReadLedger,
    *,
    cells: CellSource | None,
    previous: Mapping[str, str],
) -> dict[str, Any] | None:
    """What ``overview`` says of credentials; None for a run without any. ``previous`` maps columns to fields."""
    joined = with_credentials(table, credentials).filter(pl.col("credential").is_not_null())
    state = pl.col("state")
    counts = [(state == str(one)).sum().cast(pl.Int64).alias(str(one)) for one in _COUNTED]
    held = state.is_in([str(one) for one in _HELD]).sum().cast(pl.Int64).alias("held")
    groups = joined.group_by("credential").agg(pl.len().cast(pl.Int64).alias("rows"), *counts, held)
    trouble = pl.col("unverified") + pl.col("held") + pl.col("rejected")
    order = groups.sort(trouble, "rows", "credential", descending=[True, True, False])
    failed = joined.filter(state == str(RowState.UNVERIFIED)).select("row", "destination_id", "credential", "fields")
    total, top, number, first = pl.collect_all(
        [groups.select(pl.len()), order.head(GROUPS_MAX), failed.select(pl.len()), failed.head(UNVERIFIED_MAX)]
    )
    if not total.item():
        return None
    return {
        "credentials": total.item(),
        "groups": top.to_dicts(),
        "unverified_rows": number.item(),
        "unverified": list(_named(first, ledger, cells, previous)),
    }


def _named(
    first: pl.DataFrame, ledger: ReadLedger, cells: CellSource | None, previous: Mapping[str, str]
) -> Iterator[dict[str, Any]]:
    """Each row with the reference to fall back to."""
    rows = first.to_dicts()
    wanted = {row["row"] for row in rows}
    carried = {
        one.row: one for batch in (ledger.credential_rows() if wanted else ()) for one in batch if one.row in wanted
    }
    before = _before(sorted(wanted), cells, previous)
    for row in rows:
        former = {path: text for path, text in before.get(row["row"], {}).items() if path in row["fields"]}
        yield {
            "row": row["row"],
            "destination_id": row["destination_id"],
            "credential": row["credential"],
            "fall_back_to": fall_back(carried[row["row"]], former),
        }


def fall_back(row: CredentialRow, former: Mapping[str, str]) -> str:
    """What to go back to: the references that ``former`` names by field; of the other fields the version before."""
    words = [former[path] for path in sorted(former)]
    versions = [one for one in json.loads(row.versions) if one[0] not in former]
    words += [f"the version before {version} of {reference}" for _, reference, version in versions]
    return " and ".join(words) or f"what stood before at {row.credential}"


def _before(rows: Sequence[int], cells: CellSource | None, previous: Mapping[str, str]) -> dict[int, dict[str, str]]:
    """Of each of ``rows`` the references that its secret fields had before, by field; nothing if the input is gone."""
    secret = {column: path for column, path in previous.items() if _is_secret(path)}
    if cells is None or not rows or not secret:
        return {}
    try:
        names, found = cells(rows)
        columns = [(names.index(column), path) for column, path in secret.items() if column in names]
        return {row: {path: texts[at] for at, path in columns if texts[at]} for row, texts in found}
    except (InvalidInput, Mismatch, OSError):
        return {}


def _is_secret(path: str) -> bool:
    field = catalogue().field(path)
    return field is not None and field.secret


def _version(row: CredentialRow) -> str | None:
    """The version alone where one reference is used, else each with its reference; None where none is known."""
    found = json.loads(row.versions)
    if [reference for _, reference, _ in found] == [row.credential]:
        return str(found[0][2])
    return ", ".join(f"{reference}@{version}" for _, reference, version in found) or None
