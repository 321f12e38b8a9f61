"""Each way in which an exchange can end: the kind, whether it was sent, and what the server saw."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import dataclass

import pytest
from transport_rig import BODY, GET, OK, PATCH, Maker, Script, Talk, answers, opened, run, send, serving

from bulkpatch.errors import Broken
from bulkpatch.model import Fault, FaultKind, Reply, Request

EMPTY_POST = Request(method="POST", path=f"{PATCH.path}/test-connection", body=b"")
MIB = 1024 * 1024
HEAD = b"HTTP/1.1 200 OK\r\n"


def says(*parts: bytes, then: str = "close") -> Script:
    """A server that reads a request whole, says ``parts``, then closes, resets or waits."""

    async def script(talk: Talk) -> None:
        await talk.request()
        for part in parts:
            await talk.say(part)
            await asyncio.sleep(0.005)
        if then == "reset":
            talk.reset()
        elif then == "wait":
            await talk.until_closed()

    return script


def early(then: str) -> Script:
    """A server that ends after the first bytes of the request."""

    async def script(talk: Talk) -> None:
        await talk.head()
        if then == "reset":
            talk.reset()

    return script


def endless(head: bytes, piece: bytes, *, pause_s: float = 0.0) -> Script:
    """A server that says ``head``, then ``piece`` for ever."""

    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(head)
        while True:
            await talk.say(piece)
            talk.server.written += len(piece)
            await asyncio.sleep(pause_s)

    return script


@pytest.mark.proves("G3", "G12")
@dataclass(frozen=True)
class Case:
    """A script and the fault it must end in."""

    script: Script
    kind: FaultKind
    timeout_s: float = 5.0


SENT = {
    "reset after the request was read": Case(says(then="reset"), FaultKind.RESET),
    "reset before the body was read": Case(early("reset"), FaultKind.RESET),
    "closed without an answer": Case(says(), FaultKind.RESET),
    "closed within the status line": Case(says(b"HTTP/1.1 20"), FaultKind.RESET),
    "reset within the body": Case(says(HEAD + b"Content-Length: 9\r\n\r\n{", then="reset"), FaultKind.RESET),
    "Content-Length cut short": Case(says(HEAD + b"Content-Length: 9\r\n\r\n{}"), FaultKind.TRUNCATED),
    "no last chunk": Case(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), FaultKind.TRUNCATED),
    "cut within a chunk's size": Case(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2"), FaultKind.TRUNCATED),
    "stalled before the answer": Case(says(then="wait"), FaultKind.TIMEOUT, 0.2),
    "stalled within the body": Case(
        says(HEAD + b"Content-Length: 9\r\n\r\n{", then="wait"), FaultKind.TIMEOUT, timeout_s=0.2
    ),
    "one byte at a time, for ever": Case(
        endless(HEAD + b"Content-Length: 9999\r\n\r\n", b" ", pause_s=0.01), FaultKind.TIMEOUT, timeout_s=0.3
    ),
    "1xx without end": Case(endless(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", pause_s=0.001), FaultKind.TIMEOUT, 0.3),
    "garbage": Case(says(b"\x00\x01 hello\r\n\r\n"), FaultKind.PROTOCOL),
    "TLS where HTTP belongs": Case(says(b"\x15\x03\x01\x00\x02\x02\x46"), FaultKind.PROTOCOL),
    "a chunk that is none": Case(says(HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n"), FaultKind.PROTOCOL),
    "two lengths": Case(says(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), FaultKind.PROTOCOL),
    "another protocol": Case(says(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"), FaultKind.PROTOCOL),
    "headers of 70 KiB": Case(says(HEAD + b"X: y%s\r\n\r\n" % (b"y" * 70_000)), FaultKind.TOO_LARGE),
    "headers without end": Case(endless(HEAD, b"X-Filler: aaaaaaaaaaaaaaaa\r\n" * 100), FaultKind.TOO_LARGE),
    "a length of 1 GB": Case(endless(HEAD + b"Content-Length: 1000000000\r\n\r\n", b"x" * 65536), FaultKind.TOO_LARGE),
    "a body without length or end": Case(endless(HEAD + b"\r\n", b"x" * 65536), FaultKind.TOO_LARGE),
    "chunks without end": Case(
        endless(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n%s\r\n" % (b"x" * 65536)), FaultKind.TOO_LARGE
    ),
    "gzip": Case(
        says(HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n" + gzip.compress(b" " * 20_000_000)),
        FaultKind.ENCODED,
    ),
}


@pytest.mark.proves("G3", "G12")
@pytest.mark.parametrize("case", SENT.values(), ids=SENT.keys())
def test_a_fault_after_the_first_byte_is_sent_and_of_its_kind(maker: Maker, case: Case) -> None:
    async def work() -> None:
        async with serving(case.script) as server, opened(maker(server.url)) as transport:
            sent = await send(transport, timeout_s=case.timeout_s)
            fault = sent.result
            assert isinstance(fault, Fault)
            assert (fault.kind, fault.sent) == (case.kind, True)
            assert len(server.requests) == 1, "one request, never a second by itself"
            assert len(sent.told_s) == 1
            assert sent.began_s <= fault.sent_at_s <= sent.told_s[0] <= fault.ended_at_s
            assert fault.ended_at_s - sent.began_s < case.timeout_s + 3
            assert server.written < 64 * MIB, "cut at the cap, not read to the end"
            assert fault.detail.endswith(f", 127.0.0.1:{server.port}")

    run(work())


@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        (says(OK, then="wait"), 200, b"{}"),
        (says(*(bytes([byte]) for byte in OK), then="wait"), 200, b"{}"),
        (says(HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", then="wait"), 200, b"{}"),
        (says(HEAD + b"\r\n{}"), 200, b"{}"),
        (says(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}"), 200, b"{}"),
        (says(HEAD + b"Content-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}"), 200, b"{}"),
        (says(HEAD + b"Content-Length: %d\r\n\r\n" % MIB + b"x" * MIB), 200, b"x" * MIB),
        (says(b"HTTP/1.1 204 No Content\r\n\r\n", then="wait"), 204, b""),
        (says(b"HTTP/1.1 100 Continue\r\n\r\n" * 10 + OK, then="wait"), 200, b"{}"),
        (says(b"HTTP/1.1 599 ?\r\nContent-Length: 0\r\n\r\n", then="wait"), 599, b""),
    ],
    ids=["length", "bytewise", "chunked", "until close", "1.0", "identity", "1 MiB", "204", "1xx", "599"],
)
def test_a_whole_answer_is_a_reply(maker: Maker, script: Script, status: int, body: bytes) -> None:
    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            sent = await send(transport)
            reply = sent.result
            assert isinstance(reply, Reply), reply
            assert (reply.status, reply.body) == (status, body)
            assert sent.told_s == [reply.sent_at_s]
            assert sent.began_s <= reply.sent_at_s <= reply.ended_at_s
            assert len(server.requests) == 1

    run(work())


@pytest.mark.parametrize("size", [100, 300_000])
def test_an_early_answer_is_taken_though_the_server_closes_on_the_body(maker: Maker, size: int) -> None:
    async def script(talk: Talk) -> None:
        await talk.head()
        await talk.say(b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}")

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            request = PATCH.__class__(method="PATCH", path=PATCH.path, body=b"x" * size)
            for _ in range(20):
                sent = await send(transport, request)
                assert isinstance(sent.result, Reply), sent.result
                assert sent.result.status == 413
                assert len(sent.told_s) == 1

    run(work())


def test_the_next_request_after_a_fault_has_a_new_connection(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        if talk.server.connections == 1:
            talk.reset()
        else:
            await talk.say(OK)
            await talk.until_closed()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            assert isinstance((await send(transport)).result, Fault)
            assert isinstance((await send(transport)).result, Reply)
            assert server.connections == 2

    run(work())


def test_a_connection_that_the_server_closed_while_idle_is_not_used(maker: Maker) -> None:
    """The stale connection is seen before a byte is written, so the request is sent once, on a new one."""

    async def work() -> None:
        async with serving(says(OK)) as server, opened(maker(server.url)) as transport:
            for number in (1, 2, 3):
                assert isinstance((await send(transport)).result, Reply)
                while server.open:  # noqa: ASYNC110  (what is waited for happens in a socket)
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.05)  # until the end of the connection has come across
                assert (server.connections, len(server.requests)) == (number, number)

    run(work())


def test_a_connection_closed_as_the_next_request_arrives_is_doubt(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(OK)
        await talk.head()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            assert isinstance((await send(transport)).result, Reply)
            fault = (await send(transport)).result
            assert isinstance(fault, Fault)
            assert (fault.kind, fault.sent) == (FaultKind.RESET, True)
            assert (server.connections, len(server.requests)) == (1, 2)

    run(work())


@pytest.mark.proves("G2")
@pytest.mark.parametrize("request_", [PATCH, GET, EMPTY_POST], ids=lambda request: f"{request.method} {request.body}")
def test_no_request_arrives_twice_though_other_connections_are_at_hand(maker: Maker, request_: Request) -> None:
    """Connections that die under a request, one after the other: each request is seen once, and its row is in doubt."""
    dying = asyncio.Event()

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            if dying.is_set():
                return
            while talk.server.connections < 4:  # noqa: ASYNC110  (all four are to be there at once)
                await asyncio.sleep(0.001)
            await talk.say(OK)

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url, concurrency=4)) as transport:
            together = await asyncio.gather(*(send(transport, request_) for _ in range(4)))
            assert all(isinstance(sent.result, Reply) for sent in together)
            await asyncio.sleep(0.01)  # each connection waits for its next request
            dying.set()
            for number in range(1, 5):
                fault = (await send(transport, request_)).result
                assert isinstance(fault, Fault)
                assert (fault.kind, fault.sent) == (FaultKind.RESET, True)
                assert len(server.requests) == 4 + number
            dying.clear()
            assert isinstance((await send(transport, request_)).result, Reply)

    run(work())


def test_a_place_is_not_taken_away_by_who_had_it_before(maker: Maker) -> None:
    """A request that is cancelled as its answer comes leaves alone the one that has its place by then."""

    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            for _ in range(10):
                first = asyncio.create_task(send(transport))
                await asyncio.sleep(0)
                while True:  # the place is free a moment before the first one hears of its answer
                    second = asyncio.create_task(send(transport))
                    await asyncio.sleep(0)
                    if not second.done():
                        break
                    assert isinstance(second.exception(), Broken)
                first.cancel()
                assert isinstance((await second).result, Reply)
                await asyncio.gather(first, return_exceptions=True)

    run(work())


def test_cancelling_closes_the_connection_and_frees_the_place(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        if talk.server.connections == 1:
            await talk.until_closed()
        else:
            await talk.say(OK)
            await talk.until_closed()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            told: list[float] = []
            task = asyncio.create_task(transport.send(PATCH, timeout_s=5.0, on_sent=told.append))
            await server.arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.sleep(0.02)
            assert server.closed_by_client == 1
            assert len(told) == 1
            assert isinstance((await send(transport)).result, Reply)
            assert server.requests[1].endswith(BODY)

    run(work())


def test_closing_the_transport_closes_what_is_idle_and_what_is_under_way(maker: Maker) -> None:
    async def work() -> None:
        async with serving(says(then="wait")) as server:
            transport = maker(server.url)
            task = asyncio.create_task(send(transport))
            await server.arrived.wait()
            await transport.aclose()
            fault = (await task).result
            assert isinstance(fault, Fault)
            assert fault.sent
            await transport.aclose()
            await asyncio.sleep(0.02)
            assert (server.open, server.closed_by_client) == (0, 1)

    run(work())
