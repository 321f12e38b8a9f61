"""The page: what it says adds up, it stays small, and nothing in it acts, asks or leaks."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import polars as pl
import pytest
from page_rig import HOSTILE, rich, taken, write
from report_fakes import Blind, ListLedger, Watchful, outcome_row

from bulkpatch.errors import Broken
from bulkpatch.model import OutcomeRow, RowState
from bulkpatch.prequel.facts import Facts, encode_facts
from bulkpatch.reporting import ReportFiles, export, grouped, write_report
from bulkpatch.reporting.failures import FILE
from bulkpatch.reporting.group import scan
from bulkpatch.reporting.page.facts import page_of, texts_of
from bulkpatch.reporting.page.failures import ROWS_MAX, failed_rows
from bulkpatch.reporting.page.render import render
from bulkpatch.reporting.tables import GROUPS_MAX
from bulkpatch.reporting.write import _write_page

ROOT = Path(__file__).parents[2]
MEGABYTE = 1_000_000
ELEMENTS = frozenset(
    re.findall(
        "[a-z0-9]+",
        "html head meta title style script body header main section nav h1 h2 h3 p a strong em small code span ul "
        "ol li dl div dt dd table caption thead tbody tr th td figure figcaption details summary label input select "
        "option svg rect path text desc",
    )
)


def read(files: ReportFiles) -> str:
    """The page."""
    return files.page.read_text("utf-8")


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run that has something of everything."""
    return read(write(rich(), tmp_path_factory.mktemp("page")))


# ── what it says ─────────────────────────────────────────────────────────────────────────────


def test_the_verdict_comes_first_and_every_section_is_there(document: str) -> None:
    """In the order in which a change ticket is read."""
    page = taken(document)
    assert next(data for tag, data in page.texts if tag == "h1").startswith("UNKNOWN: finished, but 16 of 320 rows")
    ids = [attrs["id"] for attrs in page.all("section")]
    assert ids == [
        "next", "unknown", "changed", "time", "latency-section", "attempts", "failures", "credentials", "transfers",
        "record", "method",
    ]  # fmt: skip
    text = page.text()
    for words in (
        "bulkpatch reconcile rotate-20261124T000000Z-ab12", "retry rotate-20261124T000000Z-ab12 --only unknown",
        "As of the reply", "limit 10/s to 20/s", "wave 3", "third_party",
        "320 requests left, 17 in the busiest second, 8 were answered 429", "vault:db/0", "machine_type_id",
    ):  # fmt: skip
        assert words in text, words


def test_the_page_is_only_as_long_as_the_run_asks_for(tmp_path: Path) -> None:
    """A run that went well has no box of doubts and no failures; one that was not sent has no times."""
    well = taken(read(write(ListLedger([outcome_row(1)]), tmp_path / "well")))
    assert [attrs["id"] for attrs in well.all("section")] == [
        "next", "changed", "time", "latency-section", "attempts", "record", "method"
    ]  # fmt: skip
    rows = [outcome_row(1, RowState.PLANNED), outcome_row(2, RowState.NOOP)]
    dry = taken(read(write(ListLedger(rows, dry_run=True), tmp_path / "dry")))
    assert [attrs["id"] for attrs in dry.all("section")] == ["next", "changed", "record", "method"]
    none = taken(read(write(ListLedger([]), tmp_path / "none")))
    assert "DONE: all 0 rows." in none.text()


def test_the_failed_rows_are_all_there_and_counted_by_cause(tmp_path: Path) -> None:
    """Each with its destination; the causes add up to them."""
    ledger = rich()
    files = write(ledger, tmp_path)
    page = page_of(ledger, scan(files.outcomes), files.overview)
    failed = [row for row in ledger.rows if row.state != "accepted"]
    assert page.failed is not None
    assert page.causes is not None
    assert [row[:2] for row in page.failed.rows] == [(row.row, row.destination_id) for row in failed]
    assert page.failed.note == ""
    counted = Counter((row.state, row.code, row.error) for row in failed)
    assert {(row[2], row[3], row[4]): row[0] for row in page.causes.rows} == counted
    assert [attrs["id"] for attrs in taken(read(files)).all("table") if "id" in attrs] == ["failed-rows"]


def test_every_field_is_counted_by_what_became_of_its_rows(tmp_path: Path) -> None:
    """Whichever other fields a row sets."""
    ledger = rich(100)
    files = write(ledger, tmp_path)
    page = page_of(ledger, scan(files.outcomes), files.overview)
    assert page.changed.rows == (("machine_type_id", 100, 90, 5, 5), ("name", 20, 10, 5, 5))
    assert page.waves is not None
    assert [row[:5] for row in page.waves.rows] == [(1, 10, 9, 0, 1), (2, 23, 21, 1, 1), (3, 67, 60, 4, 3)]
    assert page.attempts is not None
    assert [(row[0], row[1], row[3]) for row in page.attempts.rows] == [("1", 95, 95), ("2", 5, 10)]


def test_transfers_are_told_by_vendor_and_by_each_label(tmp_path: Path) -> None:
    """A destination once; status, blame, sums and share; and the stalest by name."""
    told = [
        Facts(vendor="s3", transfer_status="SUCCESS", rows_transferred=10, delta_rows_transferred=4),
        Facts(vendor="s3", transfer_status="ERROR", transfer_error_blame="recipient", rows_transferred=10),
        Facts(vendor="gcs", transfer_status="SUCCESS", transfer_ended_at="2025-01-02T03:04:05Z"),
    ]
    rows = [
        outcome_row(n, destination_id=f"d{n}", facts=encode_facts(one), labels=[label])
        for n, (one, label) in enumerate(zip(told, ("acme", None, "acme"), strict=True), start=1)
    ]
    again = outcome_row(4, destination_id="d1", facts=encode_facts(told[0]), labels=["acme"])
    ledger = ListLedger([*rows, again, outcome_row(5, labels=["acme"])], labels=("customer",))
    files = write(ledger, tmp_path)
    vendor, customer, stalest = page_of(ledger, scan(files.outcomes), files.overview).transfers
    assert [row[:7] for row in vendor.rows] == [
        ("s3", 2, "1 ERROR, 1 SUCCESS", "1 recipient", 20, 4, 0.2),
        ("gcs", 1, "1 SUCCESS", None, None, None, None),
    ]
    assert [row[:4] for row in customer.rows] == [
        (None, 1, "1 ERROR", "1 recipient"),
        ("acme", 2, "2 SUCCESS", None),
    ]
    assert [row[:4] for row in stalest.rows] == [("d3", "gcs", "acme", "SUCCESS")]
    assert stalest.note == "Of 2 more, no ended transfer was told."


# ── how large it grows ───────────────────────────────────────────────────────────────────────


def failing(rows: int, *, causes: int = 1, text: str = "") -> ListLedger:
    """A run in which everything was refused, the first cause most often."""

    def one(number: int) -> OutcomeRow:
        cause = max(0, number - (rows - causes + 1))
        return outcome_row(
            number, RowState.REJECTED, code="BP401", error=f"cause {cause}{text}", labels=[text, text, text, text],
            destination_id=f"{number:06d}{text}",
        )  # fmt: skip

    return ListLedger([one(number) for number in range(1, rows + 1)], labels=("a", "b", "c", "d"))


@pytest.mark.parametrize("text", ["", '"' * 300, "\u202e" * 300], ids=["plain", "quotes", "hidden"])
def test_ten_thousand_failed_rows_make_a_page_below_three_megabytes(tmp_path: Path, text: str) -> None:
    """However long their texts are, and whatever becomes of them in HTML; what was left out is told."""
    rows = 10_000 if not text else ROWS_MAX + 1  # of long texts, fewer fit than that
    document = read(write(failing(rows, causes=30, text=text), tmp_path))
    assert len(document.encode()) < 3 * MEGABYTE
    told = re.search(rf"([\d,]+) of {rows:,} are listed here, the first ones of every cause; " + FILE, document)
    assert told is not None
    assert 100 < int(told[1].replace(",", "")) <= ROWS_MAX


def test_a_rare_cause_is_listed_however_late_it_comes(tmp_path: Path) -> None:
    """The first rows of every cause are chosen, then put into input order."""
    ledger = failing(ROWS_MAX + 500, causes=8)
    files = write(ledger, tmp_path)
    table = failed_rows(scan(files.outcomes))
    numbers = [row[0] for row in table.rows]
    assert len(numbers) == ROWS_MAX
    assert numbers == sorted(set(numbers))
    assert {row[-1] for row in table.rows} == {f"cause {n}" for n in range(8)}


def test_the_page_of_a_large_run_is_as_small_as_that_of_a_small_one(tmp_path: Path) -> None:
    """Thousands of vendors, labels, waves, credentials, kinds and acts: the first ones, and how many more."""
    ledger = rich(3_000)
    rows = [
        row._replace(
            wave=row.row, facts=encode_facts(Facts(vendor=f"v{row.row}")), labels=f'["c{row.row}", "r{row.row}"]',
            fields=f'["f{row.row}"]', attempts=row.row, code=row.code and f"BP{row.row}",
        )
        for row in ledger.rows
    ]  # fmt: skip
    ledger.rows = rows
    document = read(write(ledger, tmp_path))
    assert len(document.encode()) < MEGABYTE
    for words in ("2,975 more: `bulkpatch report", "2,950 more fields", "2,950 more waves", "2,988 more vendors"):
        assert words in taken(document).text(), words


# ── nothing in it acts ───────────────────────────────────────────────────────────────────────


def test_the_policy_lets_in_only_what_stands_in_the_page(document: str) -> None:
    """Nothing from anywhere but one style and one script, pinned byte for byte; and none of what a policy forbids."""
    page = taken(document)
    policy = next(attrs["content"] for attrs in page.all("meta") if attrs.get("http-equiv"))
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    pins = {
        kind: f"'sha256-{base64.b64encode(hashlib.sha256(page.within(kind).encode()).digest()).decode()}'"
        for kind in ("style", "script")
    }
    assert rules == {
        "default-src": "'none'", "style-src": pins["style"], "script-src": pins["script"], "base-uri": "'none'",
        "form-action": "'none'",
    }  # fmt: skip
    assert (len(page.all("style")), len(page.all("script"))) == (1, 1)
    assert document.index("Content-Security-Policy") < document.index("<style>")
    for tag, attrs in page.elements:
        assert tag in ELEMENTS
        assert not [name for name in attrs if name.startswith("on") or name in {"style", "src", "srcset", "xlink:href"}]
        assert str(attrs.get("href", "#")).startswith("#")
    assert "url(" not in page.within("style")
    assert "@import" not in page.within("style")


def test_ids_are_unique_and_links_lead_somewhere(document: str) -> None:
    """Within the page; so does every label that names its element by id."""
    page = taken(document)
    ids = [str(attrs["id"]) for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {str(attrs["href"])[1:] for attrs in page.all("a")} <= set(ids)
    named = [str(attrs["aria-labelledby"]).split() for _, attrs in page.elements if "aria-labelledby" in attrs]
    assert {one for names in named for one in names} <= set(ids)


def test_every_chart_says_what_it_shows_and_has_a_table(document: str) -> None:
    """For those who cannot see it, and for those who want the numbers."""
    page = taken(document)
    charts = [attrs for attrs in page.all("svg") if attrs.get("role") == "img"]
    assert len(charts) == 2 == len(page.all("details"))
    assert all(
        attrs.get("aria-hidden") == "true" for attrs in page.all("svg") if attrs not in charts and "class" in attrs
    )


def test_hostile_text_is_only_ever_text(tmp_path: Path) -> None:
    """Whatever a server, a file, a job or a person is called: no element, no attribute, no template, no hidden sign."""
    plain = taken(read(write(rich(), tmp_path / "plain")))
    document = read(write(rich(text=HOSTILE), tmp_path / "hostile"))
    page = taken(document)
    assert Counter(tag for tag, _ in page.elements) == Counter(tag for tag, _ in plain.elements)
    assert {frozenset(attrs) for _, attrs in page.elements} == {frozenset(attrs) for _, attrs in plain.elements}
    assert page.text().count("<img src=x onerror=alert(1)>{{7*7}}") > 100
    assert not re.search("[\0\x1b\u202e\u2028]", document)
    assert "\\u202e" in document


def test_every_text_of_the_page_is_searched_for_secrets(tmp_path: Path) -> None:
    """As it is, since escaped it would look different; and wherever it stands."""
    ledger = rich(text="&secret<")
    files = write(ledger, tmp_path)
    page = page_of(ledger, scan(files.outcomes), files.overview)
    assert "&secret<" not in render(page)
    with pytest.raises(Broken) as caught:
        _write_page(tmp_path / "again.html", page, Watchful("&secret<"))
    assert (caught.value.code, caught.value.exit_code) == ("BP902", 70)
    assert not (tmp_path / "again.html").exists()
    searched = {" ".join(one.split()) for text in texts_of(page) for one in (text, text.replace("_", " "))}
    told = [" ".join(data.split()) for tag, data in taken(render(page)).texts if tag == "code"]
    ours = {"machine_type_id", "resume", "throttle"}
    left = [one for one in told if one not in searched | ours and "rotate-2026" not in one]
    assert [one for one in left if not any(one.removesuffix("…") in text for text in searched)] == []


def test_the_document_itself_is_searched_too(tmp_path: Path) -> None:
    """Whatever a template makes of the texts."""
    ledger = rich()
    files = write(ledger, tmp_path)
    page = page_of(ledger, scan(files.outcomes), files.overview)
    with pytest.raises(Broken):
        _write_page(tmp_path / "again.html", page, Watchful("<h1>UNKNOWN"))


# ── other ways to it ─────────────────────────────────────────────────────────────────────────


def test_any_grouping_is_a_document_of_the_same_kind(tmp_path: Path) -> None:
    """One table, of not more groups than a browser bears."""
    files = write(rich(text=HOSTILE), tmp_path)
    made = export(grouped(files.outcomes, ["customer", "vendor"]), "html")
    page = taken(str(made))
    assert len(page.all("tr")) == 1 + grouped(files.outcomes, ["customer", "vendor"]).height
    assert {tag for tag, _ in page.elements} <= ELEMENTS
    many = pl.DataFrame({"customer": [str(number) for number in range(GROUPS_MAX + 2)], "count": 1})
    assert "And 2 more: the other forms have them all." in str(export(many, "html"))


def test_the_wheel_holds_the_templates(tmp_path: Path) -> None:
    """They are files of the package, and a page cannot be made without them."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    templates = ROOT / "bulkpatch" / "reporting" / "page" / "templates"
    held = {name for name in zipfile.ZipFile(wheel).namelist() if "/page/templates/" in name}
    assert held == {path.relative_to(ROOT).as_posix() for path in templates.iterdir()}


def test_a_note_and_a_reason_stand_in_the_page(tmp_path: Path) -> None:
    """What a person should know of the report itself."""
    ledger = ListLedger([outcome_row(1, RowState.REJECTED, code="BP401", error="no")])
    document = taken(read(write_report(ledger, tmp_path, redactor=Blind())))
    assert f"Note: {FILE}: the input was not found as it was" in document.text()
