"""The report adds up, is a function of the ledger, and reaches the folder whole or not at all."""

from __future__ import annotations

import csv
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_fakes import Blind, ListLedger, Watchful, outcome_row

from bulkpatch.errors import Broken, LedgerFailed
from bulkpatch.model import OutcomeRow, RowState
from bulkpatch.prequel.facts import Facts, ModelFacts, encode_facts
from bulkpatch.reporting import ReportFiles, write_report
from bulkpatch.reporting.columns import FAILED, MODELS, outcome_schema

NAMES = ["failures.csv", "models.parquet", "outcomes.parquet", "report.html", "summary.md"]
LARGE_ROWS = 1_000_000
SECONDS_MAX = 180
"""A generous bound on a busy machine; the figure itself is printed."""
MEBIBYTES_MAX = 2048


def report(ledger: ListLedger, folder: Path) -> ReportFiles:
    """Write the report, without cells and secrets."""
    return write_report(ledger, folder, redactor=Blind())


def fact(vendor: str = "s3", **numbers: int) -> bytes:
    """The facts of a destination with one model."""
    models = (ModelFacts(model_id="m", rows_transferred=1),)
    return encode_facts(Facts(vendor=vendor, transfer_status="SUCCESS", models=models, **numbers))  # type: ignore[arg-type]


@st.composite
def ledgers(draw: st.DrawFn) -> ListLedger:
    """Any rows with any states, gaps between their numbers, repeated ids, labels and facts or none."""
    gaps = draw(st.lists(st.integers(1, 3), max_size=12))
    labels = draw(st.sampled_from([(), ("customer",), ("customer", "state")]))
    rows: list[OutcomeRow] = []
    for gap in gaps:
        number = (rows[-1].row if rows else 0) + gap
        rows.append(
            outcome_row(
                number,
                draw(st.sampled_from(RowState)),
                destination_id=draw(st.sampled_from([None, "same"])),
                code=draw(st.none() | st.just("BP401")),
                error=draw(st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)),
                facts=draw(st.none() | st.sampled_from([fact(), fact("x", rows_transferred=2**63 - 1)])),
                labels=[draw(st.none() | st.sampled_from(["a", "é\n|"])) for _ in labels],
                latency_us=draw(st.none() | st.integers(0, 10**9)),
            )
        )
    return ListLedger(rows, labels, dry_run=draw(st.booleans()))


@pytest.mark.proves("G10")
@settings(max_examples=30, deadline=None)
@given(ledgers())
def test_every_row_stands_exactly_once_and_the_counts_add_up(ledger: ListLedger) -> None:
    """In the outcomes in input order, in the failures if it failed, and in the numbers of the overview."""
    with TemporaryDirectory() as folder:
        files = report(ledger, Path(folder))
        outcomes = pl.read_parquet(files.outcomes)
        assert outcomes.schema == pl.Schema(outcome_schema(ledger.labels))
        assert outcomes.select("row", "destination_id").rows() == [(r.row, r.destination_id) for r in ledger.rows]
        assert sum(files.overview["states"].values()) == len(ledger.rows) == files.overview["rows"]
        failed = outcomes.filter(pl.col("state").is_in([str(state) for state in FAILED]))
        assert files.overview["failed"] == failed.height
        assert sum(kind["rows"] for kind in files.overview["failures"]) == failed.height or failed.height > 10
        with files.failures.open(newline="", encoding="utf-8") as lines:
            assert [int(line["_bp_row"]) for line in csv.DictReader(lines)] == failed["row"].to_list()


def test_an_empty_run_has_a_whole_report(tmp_path: Path) -> None:
    """All files, all columns, no rows."""
    files = report(ListLedger([], ("customer",)), tmp_path)
    assert pl.read_parquet(files.outcomes).schema == pl.Schema(outcome_schema(["customer"]))
    assert pl.read_parquet(files.models).schema == pl.Schema(MODELS)
    assert files.overview["states"] == {}
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES


@pytest.mark.proves("G10")
@pytest.mark.parametrize(
    ("rows", "seeded"),
    [
        ([1, 2], {RowState.ACCEPTED: 3}),
        ([1, 2, 2], {RowState.ACCEPTED: 3}),
        ([2, 1, 3], {RowState.ACCEPTED: 3}),
        ([0, 1, 2], {RowState.ACCEPTED: 3}),
        ([1, 2, 3], {RowState.ACCEPTED: 2, RowState.REJECTED: 1}),
    ],
    ids=["missing", "twice", "disorder", "zero", "counts"],
)
def test_what_does_not_add_up_is_not_written(tmp_path: Path, rows: list[int], seeded: dict[RowState, int]) -> None:
    """A row missing, twice, out of order, or in another state than the ledger counts: exit 70, the old report stays."""
    report(ListLedger([outcome_row(1)]), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(Broken) as caught:
        report(ListLedger([outcome_row(row) for row in rows], seeded=seeded), tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("BP903", 70)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.proves("G10")
def test_a_row_that_the_ledger_itself_lost_is_missed(tmp_path: Path) -> None:
    """Its own counts agree with what it holds; how many were seeded stands in its header."""
    with pytest.raises(Broken) as caught:
        report(ListLedger([outcome_row(1), outcome_row(2)], lost=1), tmp_path)
    assert caught.value.code == "BP903"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.proves("G18")
def test_the_same_ledger_gives_the_same_bytes(tmp_path: Path) -> None:
    """Written at the end of the run or later: nothing but the ledger decides, over several batches too."""
    ledger = ListLedger(
        [outcome_row(n, list(RowState)[n % 12], facts=fact(), labels=["a"]) for n in range(1, 25_000)], ["customer"]
    )
    contents = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        report(ledger, tmp_path / name)
        contents.append([(tmp_path / name / file).read_bytes() for file in NAMES])
    assert contents[0] == contents[1]
    assert pl.read_parquet(tmp_path / "first" / "models.parquet")["row"].is_sorted()


def test_files_are_private_and_replace_links(tmp_path: Path) -> None:
    """0600 whatever the umask; a link that lies in the way is replaced, and where it led stays as it was."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "run"
    folder.mkdir()
    for name in NAMES:
        (folder / name).symlink_to(victim)
    old = os.umask(0)
    try:
        report(ListLedger([outcome_row(1)]), folder)
    finally:
        os.umask(old)
    assert victim.read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir()) == NAMES
    assert {(path.is_symlink(), path.stat().st_mode & 0o7777) for path in folder.iterdir()} == {(False, 0o600)}


def test_what_a_crash_left_is_swept(tmp_path: Path) -> None:
    """A killed process leaves its half-made files; the next one starts clean."""
    (tmp_path / ".report" / "outcomes").mkdir(parents=True)
    (tmp_path / ".report" / "outcomes" / "00000009").write_bytes(b"half")
    report(ListLedger([outcome_row(1)]), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == NAMES


@pytest.mark.parametrize("what", ["missing", "link", "workspace", "directory"])
def test_a_folder_that_cannot_be_used_ends_with_code_8(tmp_path: Path, what: str) -> None:
    """Gone, a link, or with a link or a folder where ours belong: nothing is followed."""
    folder, other = tmp_path / "run", tmp_path / "other"
    other.mkdir()
    if what == "link":
        folder.symlink_to(other)
    elif what == "workspace":
        folder.mkdir()
        (folder / ".report").symlink_to(other)
    elif what == "directory":
        (folder / "outcomes.parquet").mkdir(parents=True)
    with pytest.raises(LedgerFailed) as caught:
        report(ListLedger([outcome_row(1)]), folder)
    assert (caught.value.code, caught.value.exit_code) == ("BP607", 8)
    assert list(other.iterdir()) == []


@contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("size", [0, 1, 5_000, 20_000])
def test_a_full_disk_leaves_the_old_report(tmp_path: Path, size: int) -> None:
    """Exit 8 and the way out, wherever it is found; a report is whole or not there."""
    report(ListLedger([outcome_row(1)]), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    large = ListLedger([outcome_row(n, RowState.REJECTED, error=f"{n:040d}") for n in range(1, 3_000)])
    with small_disk(size), pytest.raises(LedgerFailed) as caught:
        report(large, tmp_path)
    assert (caught.value.code, caught.value.exit_code) == ("BP606", 8)
    assert "bulkpatch report" in caught.value.hint
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("place", ["error", "name", "label", "model"])
def test_a_live_secret_in_any_text_stops_the_report(tmp_path: Path, place: str) -> None:
    """Parquet is compressed and cannot be searched later, so it is searched before."""
    secret = "canary-8c1f-canary"
    model = ModelFacts(model_name=secret if place == "model" else "orders")
    row = outcome_row(
        1,
        error=f"echo: {secret}" if place == "error" else None,
        facts=encode_facts(Facts(name=secret if place == "name" else "n", models=(model,))),
        labels=[secret if place == "label" else "a"],
    )
    ledger = ListLedger([row], ["customer"])
    with pytest.raises(Broken) as caught:
        write_report(ledger, tmp_path, redactor=Watchful(secret))
    assert (caught.value.code, caught.value.exit_code) == ("BP902", 70)
    assert secret not in f"{caught.value.message}{caught.value.hint}"
    assert list(tmp_path.iterdir()) == []
    report(ledger, tmp_path)


def test_a_destination_named_twice_has_its_models_once(tmp_path: Path) -> None:
    """Both rows stand in the outcomes; the models of the destination are those of its first row."""
    rows = [outcome_row(n, destination_id=name, facts=fact()) for n, name in enumerate("abab", start=1)]
    files = report(ListLedger(rows), tmp_path)
    assert pl.read_parquet(files.outcomes).height == 4
    assert pl.read_parquet(files.models).select("row", "destination_id").rows() == [(1, "a"), (2, "b")]
    assert files.overview["transfers"][0]["destinations"] == 2
    assert files.overview["attempts"] == 2


def test_cells_of_the_input_reach_the_failures(tmp_path: Path) -> None:
    """The caller's cells, and no note."""

    def cells(wanted: Sequence[int]) -> tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]:
        return ["dest", "postgres.host"], ((row, (f"d{row}", "=h")) for row in wanted)

    ledger = ListLedger([outcome_row(1), outcome_row(5, RowState.PENDING)])
    files = write_report(ledger, tmp_path, redactor=Blind(), cells=cells, id_column="dest")
    assert files.failures.read_text().splitlines()[1].startswith("d5,=h,5,not_attempted,")
    assert files.notes == ()


@pytest.mark.proves("G12")
@pytest.mark.long
@pytest.mark.parametrize("models", [0, 2])
def test_a_million_rows_in_bounded_memory(tmp_path: Path, models: int) -> None:
    """A report of 1,000,000 rows stays under 2 GiB; the figures are printed."""
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("report_scale.py")), str(tmp_path), str(LARGE_ROWS), str(models)],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
    )
    seconds, mebibytes = map(float, done.stdout.split())
    sys.stdout.write(f"\n{LARGE_ROWS:,} rows, {models} models each: {seconds:.1f} s, {mebibytes:.0f} MiB\n")
    assert pl.scan_parquet(tmp_path / "models.parquet").select(pl.len()).collect().item() == models * 980_000
    assert seconds < SECONDS_MAX
    assert mebibytes < MEBIBYTES_MAX
