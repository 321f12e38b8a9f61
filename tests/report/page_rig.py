"""A run that has something of everything a page tells, and the page taken apart."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

from report_fakes import SENT_AT_US, Blind, ListLedger, outcome_row

from bulkpatch.model import Act, Beat, CredentialRow, Hitch, OutcomeRow, RowState
from bulkpatch.prequel.facts import Facts, encode_facts
from bulkpatch.reporting import ReportFiles, write_report

HOSTILE = (
    "</script></style><script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}{% x %}&lt;\x1b[31m\u202e\u2028\0"
)
"""What a server, an input or a job may be called to break out of a page."""
SECOND_US = 1_000_000
VOID = frozenset({"meta", "input"})


def facts(row: int, *, vendor: str = "postgres", status: str = "SUCCESS", blame: str | None = None) -> bytes:
    """What a reply told of a destination."""
    ended = datetime(2025, 11, 24, tzinfo=UTC) - timedelta(hours=row)
    return encode_facts(
        Facts(
            vendor=vendor,
            transfer_id=f"t{row}",
            transfer_status=status,
            transfer_ended_at=ended.strftime("%Y-%m-%dT%H:%M:%SZ"),
            rows_transferred=100 * row,
            delta_rows_transferred=25 * row,
            volume_transferred_in_mb=1.5,
            transfer_error_blame=blame,
        )
    )


def rich(rows: int = 320, *, text: str = "") -> ListLedger:
    """A run in three waves, of accepted rows but for every tenth; ``text`` stands wherever text comes from outside."""
    found = [_row(number, rows, text) for number in range(1, rows + 1)]
    end_us = max(row.finished_at_us or 0 for row in found)
    past = [
        Act(at_us=SENT_AT_US - 5, kind="started", actor=f"ann@host{text}", detail=json.dumps({"limits": "20/s"})),
        Act(at_us=SENT_AT_US + 2 * SECOND_US, kind="throttled", actor="bob", detail=json.dumps({"rate": "10/s"})),
        Act(at_us=end_us + 5, kind="finished", actor="ann@host", detail=json.dumps({"exit_code": 7, "note": text})),
    ]
    used = [CredentialRow(row.row, f"vault:db/{row.row % 3}{text}", "[]") for row in found[:30]]
    return ListLedger(
        found,
        labels=("customer", "region" + text),
        past=past,
        job_name="rotate" + text,
        credentials=used,
        traffic=[Beat(row.sent_at_us or 0, 1, int(row.row % 20 == 0), int(row.row % 40 == 0)) for row in found],
        obstacles=[Hitch("BP406", 429, rows // 40, rows // 40), Hitch("BP408", None, 5, 4)],
    )


def _row(number: int, rows: int, text: str) -> OutcomeRow:
    state, code, error = RowState.ACCEPTED, None, None
    told: bytes | None = facts(number, vendor=("postgres", "s3")[number % 2] + text)
    if number % 10 == 0:
        state, code = (RowState.REJECTED, "BP401") if number % 20 else (RowState.UNKNOWN, "BP408")
        error, told = f"field {number % 3} is wrong{text}", None
    elif number % 17 == 0:
        told = facts(number, vendor="s3" + text, status=f"ERROR{text}", blame=f"third_party{text}")
    made = outcome_row(
        number,
        state,
        code=code,
        error=error,
        facts=told,
        destination_id=f"dest-{number:04d}{text}",
        labels=[("acme", "globex")[number % 2] + text, "eu"],
        latency_us=1_000 + 137 * (number % 50),
    )
    sent = SENT_AT_US + number * 60_000
    wave = 1 if number <= rows // 10 else 2 if number <= rows // 3 else 3
    return made._replace(
        sent_at_us=sent,
        finished_at_us=sent + 9_000,
        wave=wave,
        attempts=1 + (number % 20 == 0),
        fields=_fields(number, text),
    )


def _fields(number: int, text: str) -> str:
    return json.dumps(["machine_type_id", *(["name" + text] if number % 5 == 0 else [])])


def write(ledger: ListLedger, folder: Path) -> ReportFiles:
    """The run's report, none of it secret."""
    folder.mkdir(exist_ok=True)
    return write_report(ledger, folder, redactor=Blind())


@dataclass
class Taken(HTMLParser):
    """A page taken apart: its elements with their attributes, the text of each, and what was left open."""

    elements: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element that holds nothing."""
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """An element ends."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Text, with the element it stands in."""
        self.texts.append((self.open[-1] if self.open else "", data))

    def text(self) -> str:
        """All that a person reads."""
        return " ".join(" ".join(data for tag, data in self.texts if tag not in {"style", "script"}).split())

    def within(self, tag: str) -> str:
        """The whole text of the elements called ``tag``."""
        return "".join(data for name, data in self.texts if name == tag)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every element called ``tag``."""
        return [attrs for name, attrs in self.elements if name == tag]


def taken(document: str) -> Taken:
    """``document``, which must close whatever it opens."""
    found = Taken()
    found.feed(document)
    found.close()
    assert found.open == []
    return found
