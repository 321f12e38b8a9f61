"""The API over HTTP: key, rate limit and faults in front of the fleet.

Every answer is an envelope: ``{"status": "success", "data": …, "message": …}``, for lists with
``has_next`` and ``next_url``; refusals are ``{"status": "error", "data": null, "message": …}``.
"""

from __future__ import annotations

import hmac
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, NoReturn, TypeAlias
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bulkpatch.model import Rate, Secret
from bulkpatch.simulator.faults import APPLIED, FaultPlan, Mishap
from bulkpatch.simulator.limits import Gauge, RateLimit, busiest
from bulkpatch.simulator.pages import Page
from bulkpatch.simulator.refusals import Refusal
from bulkpatch.simulator.state import Arrival, Fleet
from bulkpatch.simulator.wire import Late, Reset, Truncated

BODY_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of a request's body; the API's own limit."""
SIGN_IN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>"
OTHER_ID = "00000000-0000-4000-8000-000000000000"
"""The id that ``wrong_id`` answers with."""

_ENCODE = json.JSONEncoder(separators=(",", ":")).encode

Envelope: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, read: what the fleet needs to know of it."""

    method: str
    url: str
    destination_id: str
    transfer_id: str
    query: Mapping[str, str]
    raw: bytes

    def body(self) -> Any:
        """The JSON of the body. Raises ``Refusal`` 400."""
        try:
            return json.loads(self.raw, parse_constant=_no_number, parse_float=_finite)
        except (ValueError, RecursionError):
            raise Refusal(400, "the body is not JSON") from None


Act: TypeAlias = Callable[[Call], Envelope]


class Simulator:
    """What stands between a request and the fleet. ``app`` is the ASGI application.

    ``rate`` None: no limit. ``dated_retry_after`` gives Retry-After as an HTTP date instead of seconds.
    ``latency_s`` holds every answer back; without it requests are too quick to overlap, and ``in_flight``
    says little.
    ``admin`` adds ``GET /_sim/state``, which needs no key and shows no secret.
    """

    def __init__(  # noqa: PLR0913  (the settings of one thing, each by name)
        self,
        fleet: Fleet,
        *,
        key: Secret,
        rate: Rate | None = None,
        faults: FaultPlan | None = None,
        dated_retry_after: bool = False,
        latency_s: float = 0.0,
        admin: bool = False,
    ) -> None:
        self.fleet = fleet
        self.in_flight = Gauge()
        self._key = key
        self._limit = RateLimit(rate) if rate is not None else None
        self._faults = faults or FaultPlan()
        self._attempts: Counter[tuple[str, str]] = Counter()
        self._dated = dated_retry_after
        self._latency_s = latency_s
        self.app = Starlette(routes=self._routes(admin=admin), exception_handlers={HTTPException: _unrouted})

    def _routes(self, *, admin: bool) -> list[Route]:
        table: list[tuple[str, str, Act]] = [
            ("/destinations/{destination_id}", "PATCH", self._patch),
            ("/destinations/{destination_id}", "GET", self._get),
            ("/destinations", "GET", self._list),
            ("/destinations/{destination_id}/test-connection", "POST", self._test),
            ("/destinations/{destination_id}/transfer", "POST", self._start_transfer),
            ("/destinations/{destination_id}/transfers", "GET", self._transfers),
            ("/transfers", "GET", self._transfers),
            ("/transfers/{transfer_id}", "GET", self._transfer),
        ]
        routes = [Route(path, _Endpoint(self, act), methods=[method]) for path, method, act in table]
        return [*routes, Route("/_sim/state", self._state)] if admin else routes

    async def _state(self, _: Request) -> Response:
        """Counts and what each destination has had; nothing secret."""
        arrivals = list(self.fleet.arrivals)
        statuses = Counter("none" if one.status is None else str(one.status) for one in arrivals)
        return _json(
            200,
            {
                "destinations": len(self.fleet.ids),
                "requests": len(arrivals),
                "statuses": statuses,
                "faults": Counter(one.fault for one in arrivals if one.fault),
                "effects": self.fleet.effects,
                "in_flight": self.in_flight.now,
                "in_flight_max": self.in_flight.most,
                "arrivals_per_s_max": busiest([one.at_s for one in arrivals]),
            },
        )

    # ── one request ──────────────────────────────────────────────────────────────────────────

    def answer(self, act: Act, request: Request, raw: bytes) -> ASGIApp:
        """Decide everything about a request that has been read, and do it; what is left is to send the answer."""
        at_s, params = self.fleet.clock.monotonic(), request.path_params
        call = Call(
            method=request.method,
            url=f"http://{request.headers.get('host', '')}{request.scope['path']}",
            destination_id=params.get("destination_id", ""),
            transfer_id=params.get("transfer_id", ""),
            query=request.query_params,
            raw=raw,
        )
        mishap, response = self._judge(act, call, request.headers.get("x-api-key", ""), at_s)
        status = None if isinstance(response, Reset) else response.status_code
        fault = mishap.value if mishap else None
        self.fleet.arrivals.append(Arrival(at_s, call.method, call.destination_id, status, fault))
        delay_s = self._latency_s + self._faults.delay_s(mishap)
        return Late(response, delay_s=delay_s) if delay_s else response

    def _judge(self, act: Act, call: Call, key: str, now_s: float) -> tuple[Mishap | None, Response]:
        if not hmac.compare_digest(key.encode(), self._key.reveal().encode()):
            return None, _refused(401, "invalid API key")
        wait_s = self._limit.wait_s(now_s) if self._limit else 0.0
        if wait_s:
            return None, self._throttled(429, wait_s)
        if call.destination_id in self._faults.rejected and call.method != "GET":
            return None, _refused(422, "this destination cannot be changed")
        attempt = self._attempts[call.method, call.destination_id] = (
            self._attempts[call.method, call.destination_id] + 1
        )
        mishap = self._faults.draw(call.destination_id, attempt, method=call.method)
        if mishap is not None and mishap not in APPLIED:
            return mishap, self._unapplied(mishap, call)
        response = _acted(act, call)
        if mishap is None or response.status_code != HTTPStatus.OK:
            return None, response
        return mishap, _spoilt(mishap, response, call)

    def _unapplied(self, mishap: Mishap, call: Call) -> Response:
        """The answer of a fault that strikes before anything is done."""
        match mishap:
            case Mishap.RETRY_AFTER_503:
                return self._throttled(503, self._faults.retry_after_s)
            case Mishap.THROTTLE_429:
                return self._throttled(429, self._faults.retry_after_s)
            case Mishap.RESET_BEFORE:
                return Reset()
            case Mishap.HTML:
                return Response(SIGN_IN_PAGE, media_type="text/html")
            case Mishap.ECHO_ERROR:
                return _refused(400, f"cannot use {call.raw.decode(errors='replace')}")
            case _:
                return _refused(int(mishap), "the API failed")

    def _throttled(self, status: int, wait_s: float) -> Response:
        seconds = max(1, math.ceil(wait_s))
        response = _refused(
            status, "too many requests" if status == HTTPStatus.TOO_MANY_REQUESTS else "come back later"
        )
        wall_s = self.fleet.clock.wall_us() / 1_000_000
        response.headers["Retry-After"] = formatdate(wall_s + seconds, usegmt=True) if self._dated else str(seconds)
        return response

    # ── the calls ────────────────────────────────────────────────────────────────────────────

    def _get(self, call: Call) -> Envelope:
        return _success("destination", self.fleet.get(call.destination_id))

    def _patch(self, call: Call) -> Envelope:
        return _success("destination", self.fleet.patch(call.destination_id, call.body()))

    def _list(self, call: Call) -> Envelope:
        return _listed("destinations", call, *self.fleet.page(call.query))

    def _test(self, call: Call) -> Envelope:
        verdict = self.fleet.test(call.destination_id, call.body())
        return {"status": "success", "data": verdict, "message": "connection tested"}

    def _start_transfer(self, call: Call) -> Envelope:
        return _success("transfer_id", self.fleet.start_transfer(call.destination_id, call.body()))

    def _transfer(self, call: Call) -> Envelope:
        return _success("transfer", self.fleet.transfer(call.transfer_id))

    def _transfers(self, call: Call) -> Envelope:
        destination_id = call.destination_id or call.query.get("destination_id")
        return _listed("transfers", call, *self.fleet.transfers(call.query, destination_id))


class _Endpoint:
    """One call of the API as an ASGI application: counted in flight until its answer has left."""

    def __init__(self, simulator: Simulator, act: Act) -> None:
        self._simulator = simulator
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._simulator.in_flight.hold():
            request = Request(scope, receive)
            raw = bytearray()
            try:
                async for chunk in request.stream():
                    raw += chunk
                    if len(raw) > BODY_BYTES_MAX:
                        await _refused(413, "the body is too large")(scope, receive, send)
                        return
            except ClientDisconnect:
                return
            await self._simulator.answer(self._act, request, bytes(raw))(scope, receive, send)


def _acted(act: Act, call: Call) -> Response:
    try:
        return _json(200, act(call))
    except Refusal as refusal:
        return _refused(refusal.status, refusal.message)


def _spoilt(mishap: Mishap, response: Response, call: Call) -> Response:
    """The answer of a fault that strikes after the change was made."""
    body = bytes(response.body)
    match mishap:
        case Mishap.RESET_AFTER:
            return Reset()
        case Mishap.TRUNCATED:
            return Truncated(body, media_type="application/json")
        case Mishap.MALFORMED:
            return Response(body[: len(body) // 2], media_type="application/json")
        case Mishap.NO_CONTENT_204:
            return Response(status_code=204)
        case Mishap.WRONG_ID if call.destination_id:
            return Response(
                body.replace(call.destination_id.encode(), OTHER_ID.encode()), media_type="application/json"
            )
        case _:
            return response


def _success(name: str, value: Any) -> Envelope:
    return {"status": "success", "data": {name: value}, "message": "ok"}


def _listed(name: str, call: Call, entries: list[dict[str, Any]], page: Page) -> Envelope:
    envelope = {**_success(name, entries), "has_next": page.next_query is not None}
    if page.next_query is not None:
        envelope["next_url"] = f"{call.url}?{urlencode({**call.query, **page.next_query})}"
    return envelope


def _refused(status: int, message: str) -> Response:
    return _json(status, {"status": "error", "data": None, "message": message})


def _json(status: int, envelope: Envelope) -> Response:
    return Response(_ENCODE(envelope), status_code=status, media_type="application/json")


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


async def _unrouted(_: Request, refused: Exception) -> Response:
    """404 and 405 of the router, in the API's envelope."""
    status = refused.status_code if isinstance(refused, HTTPException) else 500
    return _refused(status, HTTPStatus(status).phrase)
