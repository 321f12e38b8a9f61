"""A ledger in memory, and rows for it, for the tests of the report room."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bulkpatch.model import (
    Act,
    Beat,
    CredentialRow,
    Hitch,
    OutcomeRow,
    RowState,
    RunHeader,
)

SENT_AT_US = 1_764_000_000_000_000


def header(*, rows: int, labels: Sequence[str] = (), dry_run: bool = False, job_name: str = "rotate") -> RunHeader:
    """The header of a run with ``rows`` rows."""
    return RunHeader(
        run_id="rotate-20261124T000000Z-ab12",
        job_name=job_name,
        job_path="jobs/rotate.toml",
        job_sha256="11" * 32,
        inputs=(),
        input_sha256="22" * 32,
        base_url="https://api.example.test",
        tool_version="0.1.0",
        created_at_us=SENT_AT_US,
        rows=rows,
        label_names=tuple(labels),
        dry_run=dry_run,
    )


def outcome_row(  # noqa: PLR0913  (one argument per column that a test may vary)
    row: int,
    state: RowState = RowState.ACCEPTED,
    *,
    destination_id: str | None = None,
    code: str | None = None,
    error: str | None = None,
    facts: bytes | None = None,
    labels: Sequence[str | None] = (),
    latency_us: int | None = 1_500,
) -> OutcomeRow:
    """One row; every optional column that is not given is set unless the row was never sent."""
    sent = state not in {RowState.PENDING, RowState.PLANNED, RowState.NOOP}
    return OutcomeRow(
        row=row,
        destination_id=destination_id or f"dest-{row}",
        state=str(state),
        stage="patch",
        wave=1,
        attempts=1 if sent else 0,
        http_status=200 if sent else None,
        code=code,
        error=error,
        fields='["postgres.password_auth.password"]',
        sent_at_us=SENT_AT_US + row if sent else None,
        finished_at_us=SENT_AT_US + row + 1_500 if sent else None,
        latency_us=latency_us if sent else None,
        facts=facts,
        labels=json.dumps(list(labels)),
    )


@dataclass
class ListLedger:
    """``ports.ReadLedger`` over a list; ``seeded`` overrides how many rows and states it claims to hold.

    ``lost`` rows more were seeded than it holds.
    """

    rows: Sequence[OutcomeRow]
    labels: Sequence[str] = ()
    dry_run: bool = False
    past: Sequence[Act] = ()
    seeded: Mapping[RowState, int] = field(default_factory=dict)
    job_name: str = "rotate"
    credentials: Sequence[CredentialRow] = ()
    traffic: Sequence[Beat] = ()
    obstacles: Sequence[Hitch] = ()
    lost: int = 0

    def header(self) -> RunHeader:
        """The header, counting the seeded rows."""
        rows = sum(self.counts().values()) + self.lost
        return header(rows=rows, labels=self.labels, dry_run=self.dry_run, job_name=self.job_name)

    def counts(self) -> Mapping[RowState, int]:
        """Rows by state."""
        return self.seeded or Counter(RowState(row.state) for row in self.rows)

    def acts(self) -> Sequence[Act]:
        """What was done to the run."""
        return self.past

    def outcome_rows(self, batch: int = 50_000) -> Iterator[Sequence[OutcomeRow]]:
        """The rows, at most ``batch`` at a time."""
        for start in range(0, len(self.rows), batch):
            yield self.rows[start : start + batch]

    def credential_rows(self, batch: int = 50_000) -> Iterator[Sequence[CredentialRow]]:
        """The rows with secrets, at most ``batch`` at a time."""
        for start in range(0, len(self.credentials), batch):
            yield self.credentials[start : start + batch]

    def beats(self, width_us: int) -> Sequence[Beat]:
        """What was given as ``traffic``, in intervals of ``width_us``."""
        found: dict[int, list[int]] = {}
        for at_us, *numbers in self.traffic:
            sums = found.setdefault(at_us // width_us * width_us, [0, 0, 0])
            found[at_us // width_us * width_us] = [a + b for a, b in zip(sums, numbers, strict=True)]
        return [Beat(at_us, *sums) for at_us, sums in sorted(found.items())]

    def hitches(self) -> Sequence[Hitch]:
        """What was given as ``obstacles``."""
        return self.obstacles


class Blind:
    """A redactor that knows no secret."""

    def scrub(self, text: str, *, limit: int = 300) -> str:
        """``text``, cut."""
        return text[:limit]

    def scrub_json(self, document: bytes) -> bytes | None:
        """``document`` as it is."""
        return document


class Watchful(Blind):
    """A redactor that knows one secret, as plain text."""

    def __init__(self, secret: str) -> None:
        self.secret = secret.encode()

    def scrub_json(self, document: bytes) -> bytes | None:
        """``document`` with the secret replaced."""
        return document.replace(self.secret, b"<redacted>")
