"""One destination's story in a run: what was asked of it, and all that came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.ledger.folder import resolve_run
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.opening import open_ledger
from bulkpatch.model import RowEvent
from bulkpatch.ports import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One input row: what it set, and its events in order.

    ``labels`` are by name; ``versions`` are ``(path, reference, version)`` of the secrets that its last PATCH carried.
    ``credential`` names its references, None where it has no secrets.
    """

    row: int
    state: str
    wave: int
    attempts: int
    fields: tuple[str, ...]
    labels: dict[str, str | None]
    credential: str | None
    versions: tuple[tuple[str, str, str], ...]
    events: tuple[RowEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Every row of a run that is about one destination. ``inputs`` are the paths of the input files."""

    run_id: str
    job: str
    inputs: tuple[str, ...]
    destination_id: str
    rows: tuple[Told, ...]


def story(run_name: str, destination_id: str, report_dir: Path) -> Story:
    """All that happened to one destination in a run.

    Raises ``InvalidInput`` (BP120) if it has no row there, ``Mismatch`` while a process works on the run.
    """
    folder = resolve_run(report_dir, run_name)
    with RunLock(folder):
        ledger = open_ledger(folder)
        try:
            header = ledger.header()
            rows = tuple(_told(ledger, row, events, header.label_names) for row, events in ledger.story(destination_id))
        finally:
            ledger.close()
    if not rows:
        words = f"no row of {folder.name} has the destination id {destination_id}"
        hint = f"The ids are in {', '.join(file.path for file in header.inputs)}."
        raise InvalidInput([Problem(code="BP120", message=words, hint=hint)])
    return Story(
        run_id=header.run_id,
        job=header.job_name,
        inputs=tuple(file.path for file in header.inputs),
        destination_id=destination_id,
        rows=rows,
    )


def _told(ledger: Ledger, row: int, events: Sequence[RowEvent], label_names: Sequence[str]) -> Told:
    ((outcome,),) = ledger.outcome_rows(first=row, last=row)
    used = next((rows[0] for rows in ledger.credential_rows(first=row, last=row)), None)
    return Told(
        row=row,
        state=outcome.state,
        wave=outcome.wave,
        attempts=outcome.attempts,
        fields=tuple(json.loads(outcome.fields)),
        labels=dict(zip(label_names, json.loads(outcome.labels), strict=True)),
        credential=None if used is None else used.credential,
        versions=() if used is None else tuple(tuple(one) for one in json.loads(used.versions)),
        events=tuple(events),
    )
