"""The summary: the verdict first, the numbers, what to type next, and nothing of it active."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from report_fakes import SENT_AT_US, Blind, ListLedger, outcome_row

from bulkpatch.model import Act, RowState, RunResult, Snapshot
from bulkpatch.prequel.facts import Facts, encode_facts
from bulkpatch.reporting import overview, write_report
from bulkpatch.reporting.glance import ACTS_MAX, FAILURES_MAX, SAMPLES_MAX, VENDORS_MAX, verdict

HOSTILE = (
    "` | <img src=x onerror=alert(1)> [a](http://evil.test) ![b](http://evil.test) https://evil.test www.evil.test "
    "@someone me@evil.test #1 **bold** \n\n# heading\n- item\r\x1b[31m\u202e</script>"
)


def page(ledger: ListLedger, folder: Path, *, result: RunResult | None = None) -> str:
    """The summary that ``write_report`` writes."""
    return write_report(ledger, folder, redactor=Blind(), result=result).summary.read_text(encoding="utf-8")


def one(state: RowState, *, dry_run: bool = False) -> ListLedger:
    """A run of two rows: an accepted (or planned) one, and one in ``state``."""
    first = RowState.PLANNED if dry_run else RowState.ACCEPTED
    return ListLedger([outcome_row(1, first), outcome_row(2, state, code="BP411")], dry_run=dry_run)


@pytest.mark.parametrize(
    ("state", "word", "command"),
    [
        (RowState.ACCEPTED, "DONE", "report rotate-20261124T000000Z-ab12 --by vendor"),
        (RowState.REJECTED, "FAILED ROWS", "report rotate-20261124T000000Z-ab12 --by error_code"),
        (RowState.UNKNOWN, "UNKNOWN", "explain BP411"),
        (RowState.PENDING, "STOPPED", "resume rotate-20261124T000000Z-ab12"),
        (RowState.IN_FLIGHT, "STOPPED", "resume rotate-20261124T000000Z-ab12"),
    ],
)
def test_the_verdict_comes_first_and_the_next_command_last(
    tmp_path: Path, state: RowState, word: str, command: str
) -> None:
    """Each way to end has its word and its way on."""
    text = page(one(state), tmp_path)
    assert text.startswith(f"# {word}")
    assert f"`bulkpatch {command}`" in text.partition("## Next")[2]


def test_a_dry_run_says_that_nothing_was_sent(tmp_path: Path) -> None:
    """And names the command that sends."""
    text = page(one(RowState.NOOP, dry_run=True), tmp_path)
    assert text.startswith("# DRY RUN: nothing was sent; of 2 rows: 1 planned, 1 noop.")
    assert "`bulkpatch run jobs/rotate.toml` sends it." in text


def test_unsettled_rows_weigh_more_than_unknown_and_these_more_than_failed() -> None:
    """The verdict names the worst."""
    states = {"accepted": 1, "rejected": 1}
    assert verdict(states, dry_run=False).startswith("FAILED ROWS")
    assert verdict(states | {"unknown": 1}, dry_run=False).startswith("UNKNOWN")
    assert verdict(states | {"unknown": 1, "not_attempted": 1}, dry_run=False).startswith("STOPPED")


def test_hostile_text_stands_as_code_on_one_line(tmp_path: Path) -> None:
    """Whatever a server, an input or a job is called: no link, no image, no tag, no mention, no new line or cell."""
    facts = encode_facts(Facts(vendor=HOSTILE, transfer_status=HOSTILE, transfer_id="t"))
    rows = [
        outcome_row(1, RowState.REJECTED, code=HOSTILE, error=HOSTILE, destination_id=HOSTILE),
        outcome_row(2, facts=facts),
    ]
    past = [Act(at_us=SENT_AT_US, kind=HOSTILE, actor=HOSTILE, detail=json.dumps({"code": HOSTILE, HOSTILE: HOSTILE}))]
    text = page(ListLedger(rows, past=past, job_name=HOSTILE), tmp_path)
    plain = re.sub("`[^`\n]*`", "", text)
    for token in ("evil", "someone", "<", ">", "bold", "heading", "item", "\x1b", "\u202e", "\r", "`"):
        assert token not in plain, token
    assert "<" not in text
    for table in text.split("\n\n"):
        if table.startswith("|"):
            assert len({line.count("|") for line in table.splitlines()}) == 1, table


STOP = RunResult(
    run_id="r",
    folder="f",
    status="stopped",
    exit_code=3,
    snapshot=Snapshot(total=2),
    code="BP501",
    reason="2 of 2 rows",
)


@pytest.mark.parametrize(
    ("details", "result", "told"),
    [
        ([{"code": "BP501", "reason": "3 of 9 rows"}], STOP, "`BP501 3 of 9 rows`"),
        ([{"code": "BP501"}], STOP, "`BP501 2 of 2 rows`"),
        ([{"code": "BP501"}], None, "`BP501 Too many rows failed`"),
        ([{"code": "BP999"}], None, "`BP999`"),
        ([{"code": "BP501"}, {"exit_code": 0, "code": None}], None, None),
        ([], None, None),
    ],
)
def test_why_it_stopped_is_told_from_the_last_act(
    tmp_path: Path, details: list[dict[str, Any]], result: RunResult | None, told: str | None
) -> None:
    """A run that was resumed and finished stopped for nothing."""
    past = [Act(at_us=SENT_AT_US, kind="stopped", actor="ann@host", detail=json.dumps(detail)) for detail in details]
    text = page(ListLedger([outcome_row(1)], past=past), tmp_path, result=result)
    assert ("Why it stopped: " in text) == (told is not None)
    assert told is None or f"Why it stopped: {told}" in text


def test_latencies_are_told_to_the_microsecond(tmp_path: Path) -> None:
    """As the ledger has them, without what binary fractions add."""
    assert "| latency p95 (ms) | 503.763 |" in page(
        ListLedger([outcome_row(n, latency_us=503_763) for n in range(1, 9)]), tmp_path
    )


def test_what_was_set_is_told_by_field(tmp_path: Path) -> None:
    """In how many rows, and what became of them; what was not attempted counts as a row alone."""
    rows = [
        outcome_row(1),
        outcome_row(2, RowState.UNKNOWN),
        outcome_row(3, RowState.REJECTED),
        outcome_row(4, RowState.PENDING),
    ]
    told = page(ListLedger(rows), tmp_path).partition("## What was set")[2]
    assert "| `postgres.password_auth.password` | 4 | 1 | 1 | 1 |" in told


def test_the_page_stays_one_page(tmp_path: Path) -> None:
    """However many kinds of failure, vendors and acts there are; ids and messages are cut."""
    rows = [
        outcome_row(n, RowState.REJECTED, error=f"{n:04d} " + "x" * 500, destination_id="d" * 100 + str(n))
        for n in range(1, 200)
    ]
    rows += [outcome_row(n, facts=encode_facts(Facts(vendor=f"v{n:04d}" + "y" * 500))) for n in range(200, 400)]
    past = [Act(at_us=SENT_AT_US + n, kind=f"act-{n}", actor="ann@host") for n in range(100)]
    text = page(ListLedger(rows, past=past), tmp_path)
    assert len(text.splitlines()) < FAILURES_MAX + VENDORS_MAX + ACTS_MAX + 60
    assert max(map(len, text.splitlines())) < 600
    assert "10 of 199 kinds" in text
    assert "`act-0`" in text
    assert "`act-99`" in text


def test_failures_are_counted_by_state_code_and_message(tmp_path: Path) -> None:
    """The most frequent first, with the first ids as samples."""
    rows = [outcome_row(n, RowState.REJECTED, code="BP401", error="bad host") for n in range(1, 6)]
    rows += [outcome_row(6, RowState.UNKNOWN, code="BP409", error="no answer"), outcome_row(7, RowState.SKIPPED)]
    ledger = ListLedger(rows)
    view = write_report(ledger, tmp_path, redactor=Blind()).overview
    assert [(kind["state"], kind["rows"], kind["error"]) for kind in view["failures"]] == [
        ("rejected", 5, "bad host"),
        ("unknown", 1, "no answer"),
        ("skipped", 1, None),
    ]
    assert view["failures"][0]["samples"] == ["dest-1", "dest-2", "dest-3"][:SAMPLES_MAX]
    assert view == overview(ledger, tmp_path / "outcomes.parquet")


def test_transfers_are_counted_by_vendor_and_status(tmp_path: Path) -> None:
    """Sums, the share of delta rows, and null where nothing is known."""
    facts = [
        Facts(vendor="s3", transfer_status="SUCCESS", rows_transferred=10, delta_rows_transferred=4),
        Facts(vendor="s3", transfer_status="ERROR", rows_transferred=10, volume_transferred_in_mb=1.5),
        Facts(vendor="redshift"),
    ]
    rows = [outcome_row(n, facts=encode_facts(fact)) for n, fact in enumerate(facts, start=1)]
    view = write_report(ListLedger([*rows, outcome_row(4)]), tmp_path, redactor=Blind()).overview
    assert view["transfers"] == [
        {
            "vendor": "s3",
            "destinations": 2,
            "rows_transferred": 20,
            "delta_rows_transferred": 4,
            "volume_transferred_in_mb": 1.5,
            "delta_share": 0.2,
            "transfers": {"ERROR": 1, "SUCCESS": 1},
        },
        {
            "vendor": "redshift",
            "destinations": 1,
            "rows_transferred": None,
            "delta_rows_transferred": None,
            "volume_transferred_in_mb": None,
            "delta_share": None,
            "transfers": {},
        },
    ]


def test_the_overview_is_json(tmp_path: Path) -> None:
    """One object that names its schema."""
    view = write_report(one(RowState.REJECTED), tmp_path, redactor=Blind()).overview
    assert json.loads(json.dumps(view, allow_nan=False)) == view
    assert view["schema"] == "bulkpatch.reporting/1"
    assert view["first_sent_at"].endswith("Z")
