"""The fleet is read with as few requests as can be known beforehand, and nothing is said that was not seen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from urllib.parse import parse_qs, urlsplit

import pytest
from engine_rig import LIMITS, LoopClock, OpenCeiling, ScriptedApi, Told, id_in, shown, virtually
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate
from bulkpatch.engine.reading import Reader, Turns
from bulkpatch.engine.survey import survey
from bulkpatch.engine.system import SystemClock
from bulkpatch.errors import KeyRefused, Unreachable
from bulkpatch.ledger.sightings import TemporarySightings
from bulkpatch.model import FaultKind, Limits, Request, Secret
from bulkpatch.ports import Ceiling, Clock, Transport
from bulkpatch.prequel.live import unpack
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet
from bulkpatch.transport.ceiling import ThrottleCeiling
from bulkpatch.transport.httpx_transport import HttpxTransport

KEY = Secret("sk_staging_0123456789", reference="env:KEY")
FAST = Limits(rate=parse_rate("1000/s"), concurrency=8, timeout_s=5.0, attempts=3)


@dataclass
class FakeFleet:
    """An API of ``ids`` in pages of ``page_ids``; a page or a destination may be answered otherwise."""

    ids: Sequence[str]
    page_size: int = 100
    page_says: Told | None = None
    one_says: Told | None = None
    circular: bool = False
    sizes: list[int] = field(default_factory=list)

    def __call__(self, request: Request) -> Told:
        """The answer to ``request``."""
        url = urlsplit(request.path)
        if url.path != "/destinations":
            wanted = id_in(request)
            return self.one_says or ((200, shown(wanted, name="n")) if wanted in self.ids else (404, {}))
        asked = parse_qs(url.query)
        size = min(int(asked["page_size"][0]), self.page_size)
        self.sizes.append(int(asked["page_size"][0]))
        if self.page_says is not None:
            return self.page_says
        first = int(asked.get("cursor", ["0"])[0])
        entries = [{"id": one, "name": "n"} for one in self.ids[first : first + size]]
        after = first + size
        if self.circular:
            after = after if after < len(self.ids) else 0
        goes_on = after < len(self.ids)
        return 200, {
            "status": "success",
            "data": {"destinations": entries},
            "has_next": goes_on,
            "next_url": f"https://elsewhere.example/destinations?cursor={after}" if goes_on else None,
        }


@contextmanager
def wanting(ids: Sequence[str]) -> Iterator[TemporarySightings]:
    """Sightings of ``ids``, still to be seen."""
    sightings = TemporarySightings()
    try:
        sightings.want(ids)
        yield sightings
    finally:
        sightings.close()


async def surveyed(
    transport: Transport, sightings: TemporarySightings, clock: Clock, ceiling: Ceiling, limits: Limits = LIMITS
) -> bool:
    """Whether the fleet is known after it was read."""
    now_s = clock.monotonic()
    turns = Turns(Pacer(limits.rate, now_s=now_s), AdaptiveSpeed(limits.rate.per_s, now_s=now_s))
    reader = Reader(transport=transport, ceiling=ceiling, clock=clock, draw=lambda: 0.5, limits=limits, turns=turns)
    async with reader:
        return await survey(reader, sightings, ["name"], concurrency=limits.concurrency)


@dataclass
class Seen:
    """What came of a survey."""

    known: bool
    reads: int
    missing: list[str]
    names: dict[str, object]
    api: ScriptedApi


def look(fleet: FakeFleet, wanted: Sequence[str]) -> Seen:
    """Survey ``fleet`` for ``wanted``."""
    api = ScriptedApi(fleet)
    with wanting(wanted) as sightings:
        known = virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
        found = {one: unpack(document).settings for one, document in sightings.get(wanted).items()}
        return Seen(known, len(api.asked), list(sightings.absentees()), dict(found), api)


def ids(count: int) -> list[str]:
    """``count`` ids."""
    return [f"d{number:05}" for number in range(count)]


@pytest.mark.parametrize(
    ("wanted", "of", "reads"),
    [(1, 1, 1), (1, 5000, 1), (2, 2, 1), (100, 100, 1), (101, 101, 2), (250, 250, 3), (1000, 1000, 10), (0, 10, 0)],
)
def test_a_fleet_that_is_wanted_whole_is_listed_and_one_destination_is_asked_for(
    wanted: int, of: int, reads: int
) -> None:
    """As documented: one GET for one; pages of a hundred for all."""
    seen = look(FakeFleet(ids(of)), ids(wanted))
    assert (seen.known, seen.reads, seen.missing) == (True, reads, [])
    assert seen.names == {one: {"name": "n"} for one in ids(wanted)}


@settings(max_examples=150, deadline=None)
@given(
    total=st.integers(1, 60),
    share=st.sampled_from([0.05, 0.3, 0.7, 1.0]),
    absent=st.integers(0, 5),
    page=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_there_are_never_more_than_twice_the_reads_of_the_best_choice(
    total: int, share: float, absent: int, page: int, seed: int
) -> None:
    """The best knows beforehand after how many pages single reads are fewer. All that is there is seen."""
    fleet = ids(total)
    present = [one for one in fleet if random.Random(f"{seed} {one}").random() < share]  # noqa: S311  (a fixed seed)
    wanted = [*present, *[f"x{number}" for number in range(absent)]]
    seen = look(FakeFleet(fleet, page_size=page), wanted)
    assert seen.missing == [f"x{number}" for number in range(absent)]
    assert seen.known or seen.reads == len(wanted) == 1  # one 404 alone may be a route that is missing
    pages = [fleet[at : at + page] for at in range(0, total, page)]
    found = accumulate((sum(one in present for one in shown_) for shown_ in pages), initial=0)
    best = min(read + len(wanted) - known for read, known in enumerate(found))
    best = min(best, len(pages))  # after the last page, what is missing is known not to be there
    assert seen.reads <= 2 * best


def test_an_id_that_is_not_there_is_missing_and_the_fleet_is_known() -> None:
    """By the whole list, and by a 404 beside others that are there."""
    by_list = look(FakeFleet(ids(50)), [*ids(50), "gone"])
    assert (by_list.known, by_list.missing, by_list.reads) == (True, ["gone"], 1)
    by_one = look(FakeFleet(ids(5), page_says=(404, {})), [*ids(5), "gone"])
    assert (by_one.known, by_one.missing, by_one.reads) == (True, ["gone"], 7)


@pytest.mark.parametrize("status", [404, 405, 501])
def test_an_api_that_does_not_list_is_asked_for_each(status: int) -> None:
    seen = look(FakeFleet(ids(30), page_says=(status, {})), ids(30))
    assert (seen.known, seen.reads, seen.missing) == (True, 31, [])
    assert seen.api.most_under_way == LIMITS.concurrency


@pytest.mark.parametrize(
    "page",
    [
        {"status": "success", "data": {"destinations": "no list"}, "has_next": False},
        {"status": "success", "data": {"destinations": []}},
        {"status": "error", "data": None, "message": "no"},
        b"<html>Sign in</html>",
    ],
)
def test_a_list_that_is_not_understood_is_as_good_as_none(page: object) -> None:
    seen = look(FakeFleet(ids(3), page_says=(200, page)), ids(3))
    assert (seen.known, seen.reads, seen.missing) == (True, 4, [])


@pytest.mark.parametrize("status", [405, 501])
def test_an_api_that_neither_lists_nor_shows_is_not_known_and_soon_let_be(status: int) -> None:
    """Nothing is said of the ids; no more is asked than was under way when the first answer came."""
    seen = look(FakeFleet(ids(100), page_says=(status, {}), one_says=(status, {})), ids(100))
    assert (seen.known, len(seen.missing)) == (False, 100)
    assert seen.reads <= 1 + 2 * LIMITS.concurrency


def test_where_every_id_is_answered_404_and_nothing_is_listed_the_route_may_be_missing() -> None:
    """So nothing is said of them."""
    seen = look(FakeFleet([], page_says=(404, {})), ids(9))
    assert (seen.known, seen.reads) == (False, 10)


def test_a_destination_that_is_not_understood_leaves_the_fleet_unknown() -> None:
    seen = look(FakeFleet(ids(9), page_says=(404, {}), one_says=(200, {"status": "success", "data": {}})), ids(9))
    assert not seen.known


def test_a_listing_in_a_circle_ends_in_single_reads_and_all_is_seen() -> None:
    """It goes on for as long as fewer pages were read than ids are missing."""
    fleet = ids(300)
    seen = look(FakeFleet(fleet[:200], circular=True), [*fleet[:200], *["gone0", "gone1", "gone2", "gone3"]])
    assert seen.missing == ["gone0", "gone1", "gone2", "gone3"]
    assert (seen.known, seen.reads) == (True, 3 + 4)


@pytest.mark.parametrize(("status", "code"), [(401, "BP402"), (403, "BP402"), (302, "BP403")])
@pytest.mark.parametrize("wanted", [1, 2, 50])
def test_a_refused_key_costs_exactly_one_request(status: int, code: str, wanted: int) -> None:
    api = ScriptedApi(lambda _: (status, {"message": "no"}))
    with wanting(ids(wanted)) as sightings, pytest.raises(KeyRefused) as refused:
        virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
    assert (refused.value.code, len(api.asked)) == (code, 1)


def test_a_key_that_is_refused_among_single_reads_ends_them_all() -> None:
    """What the others had under way is let go of; the refusal is told as itself."""
    api = ScriptedApi(lambda request: (404, {}) if request.path.startswith("/destinations?") else (401, {}))
    with wanting(ids(50)) as sightings, pytest.raises(KeyRefused):
        virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
    assert len(api.asked) <= 1 + 2 * LIMITS.concurrency


def test_a_page_that_is_too_large_is_asked_for_in_halves() -> None:
    """Down to one destination; then it is given up, and the reason told."""
    fleet = FakeFleet(ids(60))

    def large(request: Request) -> Told:
        told = fleet(request)
        return FaultKind.TOO_LARGE if fleet.sizes and fleet.sizes[-1] > 30 else told

    api = ScriptedApi(large)
    with wanting(ids(60)) as sightings:
        assert virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
        assert sightings.missing == 0
    assert fleet.sizes == [100, 50, 25, 25, 25]
    api = ScriptedApi(lambda _: FaultKind.TOO_LARGE)
    with wanting(ids(60)) as sightings, pytest.raises(Unreachable) as gave_up:
        virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
    assert (gave_up.value.code, len(api.asked)) == ("BP412", 7)


def test_a_fleet_that_cannot_be_read_is_said_to_be_so() -> None:
    api = ScriptedApi(lambda _: (500, {}))
    with wanting(ids(5)) as sightings, pytest.raises(Unreachable) as failed:
        virtually(lambda: surveyed(api, sightings, LoopClock(), OpenCeiling()))
    assert (failed.value.code, failed.value.exit_code, len(api.asked)) == ("BP411", 3, LIMITS.attempts)


def test_over_the_wire_a_fleet_of_250_takes_three_pages_and_a_few_of_it_are_asked_for() -> None:
    """Against the simulator: the same numbers, and what is shown is what is there."""
    clock = SystemClock()
    fleet = Fleet.synthetic(250, 7, clock=clock)

    async def read(url: str, wanted: Sequence[str]) -> tuple[bool, int, dict[str, bytes]]:
        transport = HttpxTransport(base_url=url, key=KEY, concurrency=8, clock=clock, user_agent="test")
        before = len(fleet.arrivals)
        with wanting(wanted) as sightings:
            try:
                known = await surveyed(transport, sightings, clock, ThrottleCeiling(FAST.rate), FAST)
            finally:
                await transport.aclose()
            return known, len(fleet.arrivals) - before, dict(sightings.get(wanted))

    with SimulatorServer(fleet, key=KEY) as server:
        known, reads, seen = asyncio.run(read(server.url, fleet.ids))
        assert (known, reads, len(seen)) == (True, 3, 250)
        known, reads, seen = asyncio.run(read(server.url, [fleet.ids[200]]))
        assert (known, reads, list(seen)) == (True, 1, [fleet.ids[200]])
        known, reads, seen = asyncio.run(read(server.url, ["gone", fleet.ids[0], fleet.ids[249]]))
        assert (known, len(seen)) == (True, 2)
        assert reads <= 4
