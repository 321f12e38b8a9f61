"""The fleet: destinations and transfers as the API keeps them. Pure logic, told the time; a seed decides the rest."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from bulkpatch.model import Operation
from bulkpatch.ports import Clock
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.simulator.chance import digest, uuid
from bulkpatch.simulator.history import Run, document, failure, past_run, stamp
from bulkpatch.simulator.origin import CREATED_EVERY_US, FIRST_CREATED_US, first_settings
from bulkpatch.simulator.pages import Page, page_of
from bulkpatch.simulator.refusals import Refusal
from bulkpatch.simulator.settings import Settings, writable
from bulkpatch.simulator.transfers import TRANSFER_S, Options, Transfers

ARRIVALS_MAX = 200_000
"""Requests kept in the arrival log, the newest: minutes of the most a simulator carries, about 40 MB."""
REFUSED_SIGN_IN = "The destination refused the sign-in."


class Arrival(NamedTuple):
    """One request, once it had come in whole; ``at_s`` ascends through the log.

    ``status`` is None where no answer was given; ``fault`` names what was done to it.
    """

    at_s: float
    method: str
    destination_id: str
    status: int | None
    fault: str | None


class Fleet:
    """Destinations by id, in the order of their creation, and the transfers started on them.

    ``vendors`` maps each id to its vendor. A destination is made when it is first touched, always the
    same for one seed. ``bad_ids``, and destinations that hold a value of ``bad_secrets``, fail their
    connection tests and transfers; ``fading_ids`` do from their first PATCH on. ``effects`` counts the
    PATCHes applied, by id; ``arrivals`` is kept by the app. Raises ``ValueError`` for an unknown vendor.
    """

    def __init__(  # noqa: PLR0913  (the settings of one thing, each by name)
        self,
        vendors: Mapping[str, str],
        *,
        seed: int,
        clock: Clock,
        transfer_s: float = TRANSFER_S,
        bad_ids: Iterable[str] = (),
        bad_secrets: Iterable[str] = (),
        fading_ids: Iterable[str] = (),
    ) -> None:
        unknown = set(vendors.values()) - set(catalogue().vendors)
        if unknown:
            raise ValueError(f"no such vendor: {', '.join(sorted(unknown))}")
        self.seed = seed
        self.clock = clock
        self.effects: Counter[str] = Counter()
        self.arrivals: deque[Arrival] = deque(maxlen=ARRIVALS_MAX)
        self._transfers = Transfers(seed=seed, transfer_s=transfer_s)
        self._bad_ids = frozenset(bad_ids)
        self._bad_secrets = frozenset(bad_secrets)
        self._fading_ids = frozenset(fading_ids)
        self._made_us = clock.wall_us()
        self._vendors = dict(vendors)
        self._ids = tuple(self._vendors)
        self._places = {destination_id: place for place, destination_id in enumerate(self._ids)}
        self._settings: dict[str, Settings] = {}
        self._updated_us: dict[str, int] = {}

    @classmethod
    def synthetic(cls, n: int, seed: int, *, clock: Clock, vendors: Sequence[str] = (), **knobs: Any) -> Fleet:
        """``n`` destinations with ids in UUID form; see ``from_rows`` for ``vendors``."""
        return cls.from_rows([uuid(seed, "id", at) for at in range(n)], vendors, seed=seed, clock=clock, **knobs)

    @classmethod
    def from_rows(
        cls,
        ids: Iterable[str],
        vendors: Mapping[str, str] | Sequence[str] = (),
        *,
        seed: int,
        clock: Clock,
        **knobs: Any,
    ) -> Fleet:
        """A fleet of ``ids``. ``vendors`` maps ids to vendors, or names those to draw from; without, any may be drawn.

        ``knobs`` are the keyword arguments of ``Fleet``.
        """
        known = vendors if isinstance(vendors, Mapping) else {}
        choice = (() if isinstance(vendors, Mapping) else tuple(vendors)) or catalogue().vendors
        drawn = {one: known.get(one) or choice[digest(seed, "vendor", one)[0] % len(choice)] for one in ids}
        return cls(drawn, seed=seed, clock=clock, **knobs)

    @property
    def ids(self) -> Sequence[str]:
        """Every id, in the order of creation, which is the order of lists."""
        return self._ids

    def vendor(self, destination_id: str) -> str:
        """The vendor of a destination. Raises ``Refusal`` 404."""
        if destination_id not in self._vendors:
            raise Refusal(404, "destination not found")
        return self._vendors[destination_id]

    # ── destinations ─────────────────────────────────────────────────────────────────────────

    def get(self, destination_id: str) -> dict[str, Any]:
        """A destination as the API shows it: no secret, no ``machine_type_id``. Raises ``Refusal`` 404."""
        vendor, place, now_us = self.vendor(destination_id), self._places[destination_id], self.clock.wall_us()
        created_us = FIRST_CREATED_US + place * CREATED_EVERY_US
        last = self._last_run(destination_id, now_us)
        drawn = digest(self.seed, "billing", destination_id)
        rows, delta, current = (int.from_bytes(drawn[at : at + 3], "big") for at in (0, 3, 6))
        return {
            **self._of(destination_id).shown,
            "id": destination_id,
            "vendor": vendor,
            "recipient_id": uuid(self.seed, "recipient", destination_id),
            "created_at": stamp(created_us),
            "updated_at": stamp(self._updated_us.get(destination_id, created_us)),
            "last_successful_transfer_ended_at": None if last.broken else stamp(last.ended_us),
            "id_in_provider_system": f"tenant-{place + 1}",
            "products": ["core"],
            "last_completed_transfer": document(last, seed=self.seed, now_us=now_us),
            "total_rows_transferred_last_billing_period": rows,
            "total_delta_rows_transferred_last_billing_period": min(delta, rows),
            "total_rows_transferred_current_billing_period": current,
        }

    def patch(self, destination_id: str, body: Any) -> dict[str, Any]:
        """Apply ``{"destination": {…}}`` whole or not at all; what it made. Raises ``Refusal`` 400, 404."""
        change = writable(body, self.vendor(destination_id))
        self._of(destination_id).merge(change)
        self._updated_us[destination_id] = self.clock.wall_us()
        self.effects[destination_id] += 1
        return self.get(destination_id)

    def page(self, query: Mapping[str, str]) -> tuple[list[dict[str, Any]], Page]:
        """One page of destinations. Raises ``Refusal`` 400."""
        page = page_of(self._ids, self._places, query)
        return [self.get(destination_id) for destination_id in page.ids], page

    def test(self, destination_id: str, body: Any) -> dict[str, Any]:
        """The verdict on the destination with ``body`` merged in; nothing is kept. Raises ``Refusal`` 400, 404."""
        tried = Settings(writable(body, self.vendor(destination_id)))
        tried.hidden = {**self._of(destination_id).hidden, **tried.hidden}
        if self._broken(destination_id, tried):
            return {"status": "error", "error": failure(REFUSED_SIGN_IN)}
        return {"status": "success"}

    def snapshot(self) -> dict[str, Any]:
        """Everything, for the judges of tests alone.

        By id: ``destination`` as read, ``secrets`` by path, ``machine_type_id``, ``effects``. A copy.
        """
        return deepcopy({destination_id: self._snapshot(destination_id) for destination_id in self._ids})

    def _snapshot(self, destination_id: str) -> dict[str, Any]:
        secrets = dict(self._of(destination_id).hidden)
        return {
            "destination": self.get(destination_id),
            "machine_type_id": secrets.pop("machine_type_id", None),
            "secrets": secrets,
            "effects": self.effects[destination_id],
        }

    # ── transfers ────────────────────────────────────────────────────────────────────────────

    def start_transfer(self, destination_id: str, body: Any) -> str:
        """Queue a transfer as ``body`` asks; its id. Raises ``Refusal`` 400, 404, 429."""
        self.vendor(destination_id)
        settings = self._of(destination_id)
        return self._transfers.start(
            destination_id,
            Options.read(body),
            enabled=settings.shown.get("enabled_models") or (),
            broken=self._broken(destination_id, settings),
            now_us=self.clock.wall_us(),
        )

    def transfer(self, transfer_id: str) -> dict[str, Any]:
        """One transfer. Raises ``Refusal`` 404."""
        return self._transfers.get(transfer_id, now_us=self.clock.wall_us())

    def transfers(self, query: Mapping[str, str], destination_id: str | None) -> tuple[list[dict[str, Any]], Page]:
        """One page of one destination's transfers, or of all. Raises ``Refusal`` 400, 404."""
        if destination_id is not None:
            self.vendor(destination_id)
        return self._transfers.page(query, destination_id=destination_id, now_us=self.clock.wall_us())

    # ── inside ───────────────────────────────────────────────────────────────────────────────

    def _of(self, destination_id: str) -> Settings:
        settings = self._settings.get(destination_id)
        if settings is None:
            first = first_settings(
                self.seed, destination_id, self._places[destination_id], self._vendors[destination_id]
            )
            settings = self._settings[destination_id] = Settings(first)
        return settings

    def _last_run(self, destination_id: str, now_us: int) -> Run:
        run = self._transfers.last_ended(destination_id, now_us=now_us)
        return run or past_run(self.seed, destination_id, self._made_us)

    def _broken(self, destination_id: str, settings: Settings) -> bool:
        held = (value for value in settings.hidden.values() if isinstance(value, str))
        faded = destination_id in self._fading_ids and self.effects[destination_id] > 0
        return faded or destination_id in self._bad_ids or not self._bad_secrets.isdisjoint(held)


def fleet_for(operations: Iterable[Operation], *, seed: int, clock: Clock, **knobs: Any) -> Fleet:
    """The fleet that a job's rows are about: their ids, each of the vendor whose object its row sets, else of any.

    ``knobs`` are the keyword arguments of ``Fleet``.
    """
    vendors: dict[str, str] = {}
    known = frozenset(catalogue().vendors)
    for operation in operations:
        tops = (path.partition(".")[0] for path in operation.fields)
        found = next((top for top in tops if top in known), "")
        vendors[operation.destination_id] = found or vendors.get(operation.destination_id, "")
    return Fleet.from_rows(vendors, vendors, seed=seed, clock=clock, **knobs)
