"""The report of a run, from its ledger into its folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl

from bulkpatch.errors import Broken
from bulkpatch.model import RowState, RunResult
from bulkpatch.ports import ReadLedger, Redactor
from bulkpatch.reporting.columns import MODELS, outcome_schema
from bulkpatch.reporting.credentials import COLUMNS, credential_frames, credential_view
from bulkpatch.reporting.failures import FILE, CellSource, write_failures
from bulkpatch.reporting.files import disk_faults, publish, workspace
from bulkpatch.reporting.frames import Finality, finality, report_frames
from bulkpatch.reporting.glance import overview
from bulkpatch.reporting.group import scan
from bulkpatch.reporting.inert import refuse_secrets
from bulkpatch.reporting.page.facts import Page, page_of, texts_of
from bulkpatch.reporting.summary import summary

OUTCOMES: Final = "outcomes.parquet"
MODELS_FILE: Final = "models.parquet"
SUMMARY: Final = "summary.md"
PAGE: Final = "report.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFiles:
    """What was written, and the run at a glance (see ``overview``). ``notes`` are sentences a person should see."""

    outcomes: Path
    models: Path
    failures: Path
    summary: Path
    page: Path
    overview: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def write_report(  # noqa: PLR0913  (the seams that its one caller wires)
    ledger: ReadLedger,
    folder: Path,
    *,
    redactor: Redactor,
    cells: CellSource | None = None,
    id_column: str = "destination_id",
    previous: Mapping[str, str] | None = None,
    result: RunResult | None = None,
    earlier: Path | None = None,
) -> ReportFiles:
    """Write the report of the run behind ``ledger`` into ``folder``, in place of an older one, or leave that as it was.

    ``previous`` maps columns of the input to the fields whose values before the run they hold; ``earlier`` is the
    folder of a run that the page compares this one with. Everything else but the cells of ``failures.csv`` and the
    reason in ``result`` comes from the ledger. Memory does not grow with the run. Raises ``Broken`` (BP903) if a row is
    missing or stands twice, (BP902) if a live secret would be written, and ``LedgerFailed`` (BP606, BP607) if the disk
    is full or fails.
    """
    header = ledger.header()
    final = finality(header)
    with disk_faults(), workspace(folder) as room:
        _write_tables(ledger, room, final, redactor)
        names = _write_credentials(ledger, room, redactor)
        table = scan(room / OUTCOMES)
        check_complete(table, rows=header.rows, counts=ledger.counts(), final=final)
        note = write_failures(room / FILE, table, header=header, cells=cells, id_column=id_column, redactor=redactor)
        notes = (f"{FILE}: {note}",) if note else ()
        view = overview(ledger, table)
        if used := credential_view(table, names, ledger, cells=cells, previous=previous or {}):
            view["credentials"] = used
        ticket = summary(view, result=result, notes=notes)
        refuse_secrets(redactor, [ticket], SUMMARY)
        (room / SUMMARY).write_text(ticket, encoding="utf-8")
        page = page_of(ledger, table, view, result=result, earlier=earlier, notes=notes)
        _write_page(room / PAGE, page, redactor)
        publish(room, folder, [OUTCOMES, MODELS_FILE, FILE, SUMMARY, PAGE])
    return ReportFiles(
        outcomes=folder / OUTCOMES,
        models=folder / MODELS_FILE,
        failures=folder / FILE,
        summary=folder / SUMMARY,
        page=folder / PAGE,
        overview=view,
        notes=notes,
    )


def _write_page(path: Path, page: Page, redactor: Redactor) -> None:
    """Both are searched for secrets: the page's texts as they are, and the document, in which they stand escaped."""
    from bulkpatch.reporting.page.render import render  # noqa: PLC0415  (Jinja, for those who get as far as a report)

    document = render(page)
    refuse_secrets(redactor, texts_of(page), PAGE)
    refuse_secrets(redactor, [document], PAGE)
    path.write_text(document, encoding="utf-8")


def check_complete(outcomes: pl.LazyFrame, *, rows: int, counts: Mapping[RowState, int], final: Finality) -> None:
    """Raise ``Broken`` (BP903) unless every seeded row stands in ``outcomes`` exactly once, in input order.

    ``rows`` and ``counts`` are the ledger's own. Row numbers may have gaps, where rows were left out of the run.
    """
    seen, first, disorder, missing = (
        outcomes.select(
            pl.len(),
            pl.col("row").min(),
            (pl.col("row").diff() <= 0).any().alias("disorder"),
            pl.col("row").null_count().alias("missing"),
        )
        .collect()
        .row(0)
    )
    states = dict(outcomes.group_by("state").len().collect().iter_rows())
    expected: dict[str, int] = {}
    for state, count in counts.items():
        name = final.shown(str(state))
        expected[name] = expected.get(name, 0) + count
    if seen != rows or disorder or missing or (first is not None and first < 1):
        raise _incomplete(f"{rows} rows were seeded, and {seen} stand in the outcomes, not all once and in order")
    if states != {state: count for state, count in expected.items() if count}:
        raise _incomplete("the outcomes have other numbers by state than the ledger")


def _incomplete(message: str) -> Broken:
    return Broken("BP903", message, hint="The ledger was not touched; keep the folder and report this.")


def _write_tables(ledger: ReadLedger, room: Path, final: Finality, redactor: Redactor) -> None:
    """Both tables, by way of one small Parquet file per batch: Polars appends to none."""
    for kind in ("outcomes", "models"):
        (room / kind).mkdir()
    number = 0
    for number, (outcomes, models) in enumerate(report_frames(ledger, final=final), start=1):
        for kind, frame in (("outcomes", outcomes), ("models", models)):
            refuse_secrets(redactor, _texts(frame), f"{kind}.parquet")
            frame.write_parquet(room / kind / f"{number:08d}", compression="lz4")
    labels = ledger.header().label_names
    _join(room / "outcomes", room / OUTCOMES, empty=pl.LazyFrame(schema=outcome_schema(labels)))
    twice = _repeated(scan(room / OUTCOMES))
    _join(room / "models", room / MODELS_FILE, empty=pl.LazyFrame(schema=MODELS), without=twice)


def _write_credentials(ledger: ReadLedger, room: Path, redactor: Redactor) -> pl.LazyFrame:
    """Which row uses which credential, for as long as the report is made."""
    parts, target = room / "credentials", room / "credentials.parquet"
    parts.mkdir()
    for number, frame in enumerate(credential_frames(ledger)):
        refuse_secrets(redactor, _texts(frame), "the credentials")
        frame.write_parquet(parts / f"{number:08d}", compression="lz4")
    _join(parts, target, empty=pl.LazyFrame(schema=COLUMNS))
    return scan(target)


def _repeated(outcomes: pl.LazyFrame) -> pl.Series:
    """The numbers of the rows whose destination stands in a row before."""
    again = ~pl.col("destination_id").is_first_distinct()
    return outcomes.select("row", again=again).filter("again").collect()["row"]


def _join(parts: Path, target: Path, *, empty: pl.LazyFrame, without: pl.Series | None = None) -> None:
    paths = sorted(parts.iterdir())
    table = pl.scan_parquet(paths, glob=False, hive_partitioning=False) if paths else empty
    if without is not None and not without.is_empty():
        table = table.filter(~pl.col("row").is_in(without.implode()))
    table.sink_parquet(target)
    for path in paths:
        path.unlink()


def _texts(frame: pl.DataFrame) -> Iterable[str]:
    """Every different text of ``frame``, one string per column."""
    text = pl.col(pl.String)
    return frame.select(text.unique().str.join("\n")).row(0)
