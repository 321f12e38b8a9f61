"""The API behind a network: what left may arrive late or never, and so may its answer; nothing is a socket."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

from simulation_judge import Judge
from simulation_story import Story, Weather

from bulkpatch.engine.stages import AS_SAVED
from bulkpatch.model import Fault, FaultKind, Reply, Request, Result, Stage
from bulkpatch.ports import Clock
from bulkpatch.simulator.faults import APPLIED, FaultPlan, Mishap
from bulkpatch.simulator.limits import RateLimit
from bulkpatch.simulator.refusals import Refusal
from bulkpatch.simulator.state import Fleet

OTHER_ID: Final = b"00000000-0000-4000-8000-000000000000"


class Silence(Enum):
    """No answer ever comes."""

    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A whole answer, on its way; held back for ``later_s``. ``confirms``: the stage that it says went well."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    later_s: float = 0.0
    confirms: Stage | None = None


Told: TypeAlias = Said | FaultKind | Silence


def stage_of(request: Request) -> Stage:
    """What a request about one destination is for."""
    if request.method == "PATCH":
        return Stage.PATCH
    if request.method == "POST":
        return Stage.VERIFY if request.body == AS_SAVED else Stage.PRETEST
    return Stage.EXPECT


def id_in(request: Request) -> str | None:
    """The destination that a request is about, if it is about one."""
    parts = request.path.partition("?")[0].split("/")
    return parts[2] if len(parts) > 2 else None


class Api:
    """The fleet, its limit, and what goes wrong: by attempt, by the weather, and on the way."""

    def __init__(self, story: Story, judge: Judge, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        leads = [row for row in story.rows if row.lead is None]
        vendors = {row.destination_id: row.vendor for row in leads}
        self.fleet = Fleet(vendors, seed=story.seed, clock=clock, bad_secrets=story.bad_secrets)
        self.rows = {row.destination_id: row.number for row in leads}
        self._story = story
        self._judge = judge
        self._loop = loop
        self._began_s = loop.time()
        self._chance = random.Random(f"{story.seed}:network")  # noqa: S311  (a seed is the point)
        self._faults = FaultPlan(
            seed=story.seed, shares=story.shares, rejected=story.rejected, reads=story.seed % 2 == 0, slow_s=3.0
        )
        self._limit = RateLimit(story.server_rate) if story.server_rate is not None else None
        self._attempts: Counter[tuple[str, str]] = Counter()

    def delay_s(self, usual_s: float) -> float:
        """How long one way takes this time."""
        return usual_s + self._chance.random() * self._story.network.jitter_s

    def write_s(self) -> float:
        """How long it takes this time to hand a request to the socket."""
        return self._chance.random() * self._story.network.write_s

    def unreachable(self) -> FaultKind | None:
        """Why a connection cannot be made this time."""
        weather = self._weather(None)
        if weather is not None and weather.kind == "refused":
            return FaultKind.REFUSED
        if self._chance.random() < self._story.network.never:
            return self._chance.choice((FaultKind.CONNECT_TIMEOUT, FaultKind.DNS, FaultKind.TLS))
        return None

    def leave(self, request: Request, answer: asyncio.Future[Told]) -> None:
        """``request`` is on its way; ``answer`` is told when one has come back."""
        if self._chance.random() < self._story.network.lost / 2:
            return
        self._loop.call_later(self.delay_s(self._story.network.up_s), self._arrive, request, answer)

    def _arrive(self, request: Request, answer: asyncio.Future[Told]) -> None:
        told = self._decide(request)
        words = told.status if isinstance(told, Said) else told.value
        self._judge.trace.note(self._loop.time(), "arrived", request.method, request.path, words)
        if told is Silence.SILENT or self._chance.random() < self._story.network.lost / 2:
            return
        later_s = told.later_s if isinstance(told, Said) else 0.0
        self._loop.call_later(later_s + self.delay_s(self._story.network.down_s), _tell, answer, told)

    # ── what the API makes of it ─────────────────────────────────────────────────────────────

    def _decide(self, request: Request) -> Told:
        destination_id = id_in(request)
        weather = self._weather(destination_id)
        told = _struck(weather) or self._turned_away(request, destination_id)
        if told is not None:
            return told
        told = self._spoilt(request, destination_id)
        if weather is not None and weather.kind == "lost":
            return self._chance.choice((Silence.SILENT, FaultKind.RESET, FaultKind.TRUNCATED))
        if weather is not None and weather.kind == "slow" and isinstance(told, Said):
            return replace(told, later_s=weather.later_s)
        return told

    def _turned_away(self, request: Request, destination_id: str | None) -> Told | None:
        if self._limit is not None and (wait_s := self._limit.wait_s(self._loop.time())):
            return _refused(429, "too many requests", later_s=int(wait_s) + 1)
        if destination_id in self._faults.rejected and request.method != "GET":
            return _refused(422, "this destination cannot be changed")
        return None

    def _weather(self, destination_id: str | None) -> Weather | None:
        passed_s = self._loop.time() - self._began_s
        vendor = self.fleet.vendor(destination_id) if destination_id is not None else None
        for one in self._story.weather:
            if one.from_s <= passed_s < one.to_s and one.vendor in {None, vendor} and self._chance.random() < one.share:
                return one
        return None

    def _spoilt(self, request: Request, destination_id: str | None) -> Told:
        attempt = self._attempts[request.method, destination_id or ""] = (
            self._attempts[request.method, destination_id or ""] + 1
        )
        mishap = self._faults.draw(destination_id or "", attempt, method=request.method)
        if mishap is not None and mishap not in APPLIED:
            return _unapplied(mishap)
        try:
            said = self._act(request, destination_id)
        except Refusal as refusal:
            return _refused(refusal.status, refusal.message)
        return said if mishap is None else self._applied(mishap, said, destination_id)

    def _act(self, request: Request, destination_id: str | None) -> Said:
        body, confirms = (json.loads(request.body) if request.body else None), None
        if destination_id is None:
            entries, page = self.fleet.page(dict(parse_qsl(request.path.partition("?")[2])))
            more = page.next_query
            told: dict[str, Any] = {"data": {"destinations": entries}, "has_next": more is not None}
            if more is not None:
                told["next_url"] = "https://api/destinations?" + "&".join(
                    f"{name}={more[name]}" for name in sorted(more)
                )
        elif request.method == "PATCH":
            told, confirms = {"data": {"destination": self.fleet.patch(destination_id, body)}}, Stage.PATCH
        elif request.method == "POST":
            told = {"data": self.fleet.test(destination_id, body)}
            confirms = stage_of(request) if told["data"]["status"] == "success" else None
        else:
            told = {"data": {"destination": self.fleet.get(destination_id)}}
        return replace(_said(200, {"status": "success", "message": "ok", **told}), confirms=confirms)

    def _applied(self, mishap: Mishap, said: Said, destination_id: str | None) -> Told:
        later_s = self._faults.delay_s(mishap)
        match mishap:
            case Mishap.RESET_AFTER:
                return FaultKind.RESET
            case Mishap.TRUNCATED:
                return FaultKind.TRUNCATED
            case Mishap.MALFORMED:
                return Said(status=200, body=said.body[: len(said.body) // 2], headers={})
            case Mishap.NO_CONTENT_204:
                return Said(status=204, body=b"", headers={})
            case Mishap.WRONG_ID if f'"{destination_id}"'.encode() in said.body:
                body = said.body.replace(f'"{destination_id}"'.encode(), b'"%s"' % OTHER_ID)
                return Said(status=200, body=body, headers={})
            case _:
                return replace(said, later_s=later_s)


def _struck(weather: Weather | None) -> Told | None:
    """What the weather makes of a request before anything is done."""
    match weather:
        case Weather(kind="500" | "503" | "429" | "401"):
            return _refused(int(weather.kind), "the weather is bad")
        case Weather(kind="503 later" | "429 later"):
            return _refused(int(weather.kind[:3]), "come back later", later_s=weather.later_s)
        case Weather(kind="silent"):
            return Silence.SILENT
        case Weather(kind="reset"):
            return FaultKind.RESET
        case _:
            return None


def _unapplied(mishap: Mishap) -> Told:
    match mishap:
        case Mishap.RETRY_AFTER_503:
            return _refused(503, "come back later", later_s=1)
        case Mishap.THROTTLE_429:
            return _refused(429, "too many requests", later_s=1)
        case Mishap.RESET_BEFORE:
            return FaultKind.RESET
        case Mishap.HTML:
            return Said(status=200, body=b"<!DOCTYPE html><html></html>", headers={})
        case Mishap.ECHO_ERROR:
            return _refused(400, "cannot use it")
        case _:
            return _refused(int(mishap), "the API failed")


def _refused(status: int, message: str, *, later_s: int | None = None) -> Said:
    headers = {} if later_s is None else {"retry-after": str(later_s)}
    return _said(status, {"status": "error", "data": None, "message": message}, headers)


def _said(status: int, envelope: Any, headers: Mapping[str, str] | None = None) -> Said:
    return Said(status=status, body=json.dumps(envelope).encode(), headers=headers or {})


def _tell(answer: asyncio.Future[Told], told: Told) -> None:
    if not answer.done():
        answer.set_result(told)


class Wire:
    """ports.Transport of one process: ``alive`` returns while it lives and never afterwards."""

    def __init__(
        self, api: Api, judge: Judge, clock: Clock, alive: Callable[[], Any], leaves: Callable[[], None]
    ) -> None:
        self._api = api
        self._judge = judge
        self._clock = clock
        self._alive = alive
        self._leaves = leaves

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """See ports.Transport."""
        await self._alive()
        loop, began_s, sent_at_s = asyncio.get_running_loop(), self._clock.monotonic(), None
        entered_s = loop.time()
        if (kind := self._api.unreachable()) is not None:
            await asyncio.sleep(self._api.delay_s(0.01))
            return Fault(kind=kind, sent=False, detail="", sent_at_s=began_s, ended_at_s=self._clock.monotonic())
        try:
            async with asyncio.timeout(timeout_s):
                if (write_s := self._api.write_s()) > 0:
                    await asyncio.sleep(write_s)
                    await self._alive()
                destination_id = id_in(request)
                row = self._api.rows[destination_id] if destination_id is not None else None
                self._depart(row, request, entered_s)
                sent_at_s = self._clock.monotonic()
                on_sent(sent_at_s)
                answer: asyncio.Future[Told] = loop.create_future()
                self._api.leave(request, answer)
                self._leaves()
                try:
                    told = await answer
                    await self._alive()
                finally:
                    self._judge.in_flight -= 1
        except TimeoutError:
            told = FaultKind.CONNECT_TIMEOUT if sent_at_s is None else FaultKind.TIMEOUT
        now_s = self._clock.monotonic()
        if isinstance(told, Said):
            if row is not None and told.confirms is not None:
                self._judge.confirmed[row, told.confirms] += 1
            return Reply(
                status=told.status,
                headers=told.headers,
                body=told.body,
                sent_at_s=sent_at_s or began_s,
                ended_at_s=now_s,
            )
        assert isinstance(told, FaultKind)
        return Fault(kind=told, sent=sent_at_s is not None, detail="", sent_at_s=sent_at_s or began_s, ended_at_s=now_s)

    def _depart(self, row: int | None, request: Request, entered_s: float) -> None:
        # Only a row's own GET is a stage; those of a survey have no intent, so no GET is held to one.
        stage = stage_of(request) if request.method != "GET" else None
        now_s = asyncio.get_running_loop().time()
        self._judge.departed(now_s, row, stage, entered_s=entered_s)

    async def aclose(self) -> None:
        """Nothing is open."""
