"""The transfers started on a fleet: queued, running, ended, by the wall clock alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bulkpatch.simulator.chance import uuid
from bulkpatch.simulator.history import MODELS, Run, document
from bulkpatch.simulator.pages import Page, page_of
from bulkpatch.simulator.refusals import Refusal

TRANSFERS_MAX = 100_000
"""Transfers in one life of a fleet; past it the API answers 429, so that memory stays bounded."""
TRANSFER_S = 2.0
"""Seconds from submission to end unless a fleet is given another; long enough to be seen running."""
PENDING_SHARE = 0.25
"""The part of that time for which a transfer waits to be started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The body of a create-transfer call; empty ``models`` means all that are enabled."""

    models: tuple[str, ...] = ()
    full_refresh: bool = False
    debug: bool = False
    tags: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, body: Any) -> Options:
        """The options in ``body``. Raises ``Refusal`` 400."""
        if not isinstance(body, dict):
            raise Refusal(400, "the body must be an object")
        models, tags = body.get("models") or [], body.get("tags") or {}
        if not isinstance(models, list) or not all(isinstance(model, str) for model in models):
            raise Refusal(400, "models must be a list of strings")
        if not isinstance(tags, dict):
            raise Refusal(400, "tags must be an object")
        return cls(
            models=tuple(models),
            full_refresh=body.get("full_refresh") is True,
            debug=body.get("is_debug_mode") is True,
            tags=tags,
        )


class Transfers:
    """Every transfer by id and by destination, in the order of submission."""

    def __init__(self, *, seed: int, transfer_s: float) -> None:
        self._seed = seed
        self._lasts_us = int(transfer_s * 1_000_000)
        self._runs: dict[str, Run] = {}
        self._ids: list[str] = []
        self._ids_of: dict[str, list[str]] = {}
        self._places: dict[str, int] = {}
        self._places_of: dict[str, int] = {}

    def start(self, destination_id: str, options: Options, *, enabled: Sequence[str], broken: bool, now_us: int) -> str:
        """Queue one; its id. ``broken`` ones end in failure. Raises ``Refusal`` 429."""
        if len(self._ids) >= TRANSFERS_MAX:
            raise Refusal(429, "too many transfers")
        own = self._ids_of.setdefault(destination_id, [])
        run = Run(
            id=uuid(self._seed, "transfer", destination_id, len(own)),
            destination_id=destination_id,
            models=options.models or (MODELS if "*" in enabled else tuple(enabled)),
            submitted_us=now_us,
            started_us=now_us + int(self._lasts_us * PENDING_SHARE),
            ended_us=now_us + self._lasts_us,
            broken=broken,
            full_refresh=options.full_refresh,
            debug=options.debug,
            tags=options.tags,
        )
        self._places[run.id], self._places_of[run.id] = len(self._ids), len(own)
        self._runs[run.id] = run
        self._ids.append(run.id)
        own.append(run.id)
        return run.id

    def get(self, transfer_id: str, *, now_us: int) -> dict[str, Any]:
        """One transfer as the API shows it. Raises ``Refusal`` 404."""
        if transfer_id not in self._runs:
            raise Refusal(404, "transfer not found")
        return document(self._runs[transfer_id], seed=self._seed, now_us=now_us)

    def page(
        self, query: Mapping[str, str], *, destination_id: str | None, now_us: int
    ) -> tuple[list[dict[str, Any]], Page]:
        """One page, of one destination's or of all; ``status`` in ``query`` thins it out. Raises ``Refusal`` 400."""
        ids = self._ids if destination_id is None else self._ids_of.get(destination_id, [])
        page = page_of(ids, self._places if destination_id is None else self._places_of, query)
        shown = [self.get(transfer_id, now_us=now_us) for transfer_id in page.ids]
        return [one for one in shown if one["status"] == query.get("status", one["status"])], page

    def last_ended(self, destination_id: str, *, now_us: int) -> Run | None:
        """The destination's transfer that ended last, if one did."""
        own = (self._runs[one] for one in reversed(self._ids_of.get(destination_id, ())))
        return next((run for run in own if run.ended_us <= now_us), None)
