"""Every row against what was seen of its destination: what changes, what is so already, what cannot be known."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bulkpatch.ledger.sightings import TemporarySightings
from bulkpatch.model import Operation, Outcome, PendingRow, Record, RowState, Sight, Stage
from bulkpatch.ports import Ledger, Redactor, Source
from bulkpatch.prequel.diff import FieldDiff, Kind, compare, expectation_failures, is_noop, pre_image, vendor_clash
from bulkpatch.prequel.live import Live, unpack
from bulkpatch.prequel.signing import not_by_patch
from bulkpatch.secrets.redaction import REDACTED

COMMIT_ROWS: Final = 1_000
"""Rows whose sights are made durable at once."""
SHOWN_MAX: Final = 1_000
"""Rows that a plan shows field by field; the counts cover all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDiff:
    """One row against the live state.

    ``verdict``: ``change``, ``noop``, ``unknowable``, ``missing``, ``clash`` (vendor) or ``sign_in`` (credentials).
    """

    row: int
    destination_id: str
    verdict: str
    fields: tuple[FieldDiff, ...]
    note: str = ""


@dataclass(slots=True, kw_only=True)
class LiveView:
    """A fleet against a job, counted in rows. ``known``: the API could be read; ``reads``: in how many requests.

    ``unexpected`` rows fail a guard of [expect] as things stand; ``fields`` counts rows by path and kind.
    """

    known: bool
    reads: int
    verdicts: Counter[str] = field(default_factory=Counter)
    unexpected: int = 0
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    shown: list[RowDiff] = field(default_factory=list)

    @property
    def noops(self) -> int:
        """Rows that are as asked already, and are not sent."""
        return self.verdicts["noop"]

    @property
    def clashes(self) -> int:
        """Rows that cannot be sent: their destination is of another vendor, or signs in otherwise."""
        return self.verdicts["clash"] + self.verdicts["sign_in"]


class Differ:
    """Goes through the pending rows of a ledger once, and puts on record what was seen and what follows from it.

    A row that is as asked settles as ``noop``, one that cannot be sent as ``rejected``; in a dry run all
    others settle as ``planned``.
    """

    def __init__(  # noqa: PLR0913  (what is compared, and where it goes)
        self,
        ledger: Ledger,
        sightings: TemporarySightings,
        *,
        known: bool,
        expect: dict[str, Any],
        at_us: int,
        dry_run: bool,
        redactor: Redactor,
    ) -> None:
        self._ledger = ledger
        self._sightings = sightings
        self._known = known
        self._expect = expect
        self._at_us = at_us
        self._dry_run = dry_run
        self._redactor = redactor
        self._pending: dict[int, PendingRow] = {}

    def run(self, source: Source, *, reads: int) -> LiveView:
        """Compare every pending row."""
        view = LiveView(known=self._known, reads=reads)
        for batch in source.operations(self._wanted):
            for part in (batch[at : at + COMMIT_ROWS] for at in range(0, len(batch), COMMIT_ROWS)):
                seen = self._sightings.get([operation.destination_id for operation in part])
                records = [record for one in part for record in self._row(one, seen, view)]
                self._ledger.commit(records)
        return view

    def _wanted(self, first: int, last: int) -> Sequence[int]:
        self._pending = {row.row: row for row in self._ledger.pending_between(first, last)}
        return list(self._pending)

    def _row(self, operation: Operation, seen: Any, view: LiveView) -> Iterator[Record]:
        document = seen.get(operation.destination_id)
        live = unpack(document) if document is not None else None
        fields = compare(operation, live)
        clash = vendor_clash(operation, live)
        refusal = None if clash else self._scrubbed(not_by_patch(operation, live))
        verdict = "sign_in" if refusal else self._verdict(fields, live, clash)
        copies = self._pending[operation.row].copies
        view.verdicts[verdict] += copies
        for one in fields:
            view.fields.setdefault(one.path, Counter())[one.kind.value] += copies
        view.unexpected += copies * bool(live is not None and expectation_failures(self._expect, live))
        if len(view.shown) < SHOWN_MAX:
            misplaced = f"the destination is of {live.vendor}, not {clash}" if live is not None and clash else None
            note = self._scrubbed(misplaced) or refusal or ""
            shown = RowDiff(
                row=operation.row, destination_id=operation.destination_id, verdict=verdict, fields=fields, note=note
            )
            view.shown.append(shown)
        yield self._sight(operation, live)
        if verdict == "clash" and live is not None:
            words = f"the body has fields of {clash}, and the destination is of {live.vendor}"
            yield self._outcome(operation, RowState.REJECTED, live, "BP423", self._scrubbed(words))
        elif refusal:
            yield self._outcome(operation, RowState.REJECTED, live, "BP426", refusal)
        elif verdict == "noop":
            yield self._outcome(operation, RowState.NOOP, live)
        elif self._dry_run:
            yield self._outcome(operation, RowState.PLANNED, live)

    def _scrubbed(self, words: str | None) -> str | None:
        """Words that quote the live state: the API's own, so they may hold anything."""
        return None if words is None else self._redactor.scrub(words)

    def _verdict(self, fields: Sequence[FieldDiff], live: Live | None, clash: str | None) -> str:
        if live is None:
            return "missing" if self._known else "unknowable"
        if clash is not None:
            return "clash"
        if is_noop(fields):
            return "noop"
        return "change" if any(one.kind is Kind.CHANGE for one in fields) else "unknowable"

    def _sight(self, operation: Operation, live: Live | None) -> Sight:
        if live is None:
            return Sight(row=operation.row, at_us=self._at_us, found=False if self._known else None)
        before = pre_image(operation, live)
        return Sight(
            row=operation.row,
            at_us=self._at_us,
            found=True,
            vendor=live.vendor,
            recipient_id=live.recipient_id,
            updated_at=live.updated_at,
            digest=live.digest,
            before=None if before is None else self._redactor.scrub_json(before),
        )

    def _outcome(
        self,
        operation: Operation,
        state: RowState,
        live: Live | None,
        code: str | None = None,
        error: str | None = None,
    ) -> Outcome:
        return Outcome(
            row=operation.row,
            attempt=0,
            stage=Stage.EXPECT if code else Stage.PATCH,
            state=state,
            at_us=self._at_us,
            code=code,
            error=error,
            facts=None if live is None else self._redactor.scrub_json(live.facts),
        )


def pre_image_of(sight: Sight | None) -> Mapping[str, Any] | None:
    """What was seen of the readable fields that a row sets, by path, without what was hidden; None if nothing was."""
    if sight is None or sight.before is None:
        return None
    fields = json.loads(sight.before)
    return {path: value for path, value in fields.items() if REDACTED not in json.dumps(value, ensure_ascii=False)}
