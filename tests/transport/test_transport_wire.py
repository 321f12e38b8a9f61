"""What reaches the socket, byte for byte, over which connections, and what nobody else gets."""

from __future__ import annotations

import asyncio
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transport_rig import (
    BODY,
    GET,
    ID,
    KEY,
    OK,
    PATCH,
    TRANSPORTS,
    Maker,
    Talk,
    answers,
    make,
    opened,
    run,
    send,
    serving,
)

from bulkpatch.errors import Broken, InvalidInput
from bulkpatch.model import Fault, FaultKind, Reply, Request
from bulkpatch.transport.rules import IDLE_S_MAX

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")


def expected(port: int, method: str, path: str, body: bytes | None) -> bytes:
    lines = [
        f"{method} /export{path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "User-Agent: bulkpatch/test",
        "Accept: application/json",
        "Accept-Encoding: identity",
        "X-Prequel-Api-Version: 2023-12-01",
        f"X-API-KEY: {KEY}",
    ]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@pytest.mark.proves("G15")
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", f"/destinations/{ID}", BODY),
        ("PATCH", "/destinations/-", b"{}"),
        ("PATCH", f"/destinations/{'_' * 128}", '{"é\u2028":"\x7f"}'.encode()),
        ("POST", f"/destinations/{ID}/test-connection", BODY),
        ("POST", f"/destinations/{ID}/test-connection", b""),
        ("GET", f"/destinations/{ID}", None),
        ("GET", "/destinations?page_size=100&cursor=a%2Fb%3d~.-_%C3%A9", None),
    ],
)
def test_the_request_is_these_bytes_and_no_others(maker: Maker, method: str, path: str, body: bytes | None) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            sent = await send(transport, Request(method=method, path=path, body=body))
            assert isinstance(sent.result, Reply)
            assert server.requests == [expected(server.port, method, path, body)]

    run(work())


@pytest.mark.proves("G15")
@pytest.mark.parametrize(
    "path",
    [
        "",
        "destinations/x",
        "/destinations/",
        "/destinations/..",
        "/destinations/.",
        "/destinations/../keys",
        "/destinations/%2e%2e",
        "/destinations//x",
        "//other.example/x",
        "/destinations/a b",
        "/destinations/é",
        "/destinations/a;b",
        "/destinations/a@b",
        "/destinations/a:80",
        "/destinations/x#y",
        "/destinations/x\r\nX-Evil: 1",
        "/destinations/x\n",
        "/destinations/\u0661",
        f"/destinations/{'a' * 129}",
        "/destinations?x= HTTP/1.1",
        "/destinations?x=1?y",
    ],
)
def test_a_path_that_could_mean_another_address_is_never_sent(maker: Maker, path: str) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            sent = await send(transport, Request(method="PATCH", path=path, body=BODY))
            fault = sent.result
            assert isinstance(fault, Fault)
            assert (fault.kind, fault.sent) == (FaultKind.INVALID_REQUEST, False)
            assert path not in fault.detail or not path
            assert (server.connections, sent.told_s) == (0, [])

    run(work())


PATHS = st.from_regex(r"/destinations/[A-Za-z0-9_-]{1,128}", fullmatch=True)


@pytest.mark.proves("G15")
@pytest.mark.parametrize("name", TRANSPORTS)
@settings(max_examples=10, deadline=None)
@given(rows=st.lists(st.tuples(PATHS, st.binary(max_size=200)), min_size=1, max_size=20))
def test_any_id_and_any_body_arrive_as_they_were_given(name: str, rows: list[tuple[str, bytes]]) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(make(name)(server.url)) as transport:
            for path, body in rows:
                sent = await send(transport, Request(method="PATCH", path=path, body=body))
                assert isinstance(sent.result, Reply)
            assert server.requests == [expected(server.port, "PATCH", path, body) for path, body in rows]

    run(work())


def test_the_headers_that_decide_are_kept_and_no_others(maker: Maker) -> None:
    """A Retry-After that stands twice shows both values; of a Location, the host alone."""
    reply = (
        b"HTTP/1.1 429 Too Many\r\nRETRY-AFTER: 1\r\nretry-after: 2\r\nRateLimit: r=0;t=3\r\nRateLimit-Policy: q=5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nLocation: https://u:p@Other.Example:444/a?token=t\r\n"
        b"Set-Cookie: a=b\r\nX-API-KEY: echoed\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"
    )

    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await talk.say(reply)

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            for _ in range(2):
                result = (await send(transport)).result
                assert isinstance(result, Reply)
                assert dict(result.headers) == {
                    "retry-after": "1, 2",
                    "ratelimit": "r=0;t=3",
                    "ratelimit-policy": "q=5",
                    "date": "Sun, 06 Nov 1994 08:49:37 GMT",
                    "location": "other.example",
                    "content-type": "text/html",
                }
            assert b"cookie" not in server.requests[1].lower(), "a cookie is never sent back"

    run(work())


@pytest.mark.proves("G11")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_its_target_hears_nothing(maker: Maker, status: int) -> None:
    async def work() -> None:
        async with serving(answers) as sink:
            location = f"http://127.0.0.1:{sink.port}/export/destinations/{ID}".encode()

            async def script(talk: Talk) -> None:
                await talk.request()
                await talk.say(b"HTTP/1.1 %d Moved\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % (status, location))

            async with serving(script) as server, opened(maker(server.url)) as transport:
                result = (await send(transport)).result
                assert isinstance(result, Reply)
                assert (result.status, result.headers["location"]) == (status, "127.0.0.1")
                assert (sink.connections, len(server.requests)) == (0, 1)

    run(work())


@pytest.mark.parametrize("location", ["/elsewhere", "https://[", ""])
def test_a_location_without_a_host_does_no_harm(maker: Maker, location: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 0\r\n\r\n" % location.encode())

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            result = (await send(transport)).result
            assert isinstance(result, Reply)
            assert "elsewhere" not in result.headers["location"]

    run(work())


@pytest.mark.proves("G11")
def test_proxies_of_the_environment_get_nothing(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with serving(answers) as sink, serving(answers) as server:
            for name in PROXIES:
                monkeypatch.setenv(name, f"http://127.0.0.1:{sink.port}")
            monkeypatch.delenv("NO_PROXY", raising=False)
            async with opened(maker(server.url)) as transport:
                assert isinstance((await send(transport)).result, Reply)
            assert (sink.connections, len(server.requests)) == (0, 1)

    run(work())


@pytest.mark.proves("G6")
def test_slots_keep_their_connections_and_never_exceed_their_number(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        while True:
            await talk.request()
            await asyncio.sleep(0.002)
            await talk.say(OK)

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url, concurrency=4)) as transport:
            line = iter(range(100))

            async def worker() -> None:
                for _ in line:
                    assert isinstance((await send(transport)).result, Reply)

            await asyncio.gather(*(worker() for _ in range(4)))
            assert (len(server.requests), server.connections, server.open_most) == (100, 4, 4)

    run(work())


def test_one_at_a_time_uses_one_connection_however_many_slots_there_are(maker: Maker) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url, concurrency=8)) as transport:
            for _ in range(10):
                assert isinstance((await send(transport)).result, Reply)
            assert server.connections == 1

    run(work())


@pytest.mark.proves("G6")
def test_more_sends_than_slots_are_a_bug_that_shows(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.until_closed()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url, concurrency=2)) as transport:
            results = await asyncio.gather(*(send(transport, timeout_s=0.2) for _ in range(3)), return_exceptions=True)
            assert [type(result) for result in results].count(Broken) == 1
            assert server.open_most <= 2

    run(work())


@pytest.mark.parametrize("late_s", [0.0, 0.02])
def test_a_second_answer_is_never_taken_for_the_next_requests(maker: Maker, late_s: float) -> None:
    """Answers are told apart by connection only: one that brought too much is not used again."""

    async def script(talk: Talk) -> None:
        mine = b"HTTP/1.1 %d Mine\r\nContent-Length: 0\r\n\r\n" % (200 + talk.server.connections)
        await talk.request()
        if late_s:
            await talk.say(mine)
            await asyncio.sleep(late_s)
            await talk.say(b"HTTP/1.1 404 Stray\r\nContent-Length: 0\r\n\r\n")
        else:
            await talk.say(mine + b"HTTP/1.1 404 Stray\r\nContent-Length: 0\r\n\r\n")
        await talk.until_closed()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            for number in (1, 2, 3):
                result = (await send(transport)).result
                assert isinstance(result, Reply)
                assert result.status == 200 + number
                await asyncio.sleep(2 * late_s)

    run(work())


def test_a_closing_answer_is_followed_by_a_new_connection(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await talk.say(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await talk.until_closed()

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            for _ in range(3):
                assert isinstance((await send(transport)).result, Reply)
            assert (server.connections, server.open_most) == (3, 1)

    run(work())


@pytest.mark.long
def test_an_idle_connection_is_not_used_after_four_seconds(maker: Maker) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            assert isinstance((await send(transport)).result, Reply)
            await asyncio.sleep(IDLE_S_MAX + 0.2)
            assert isinstance((await send(transport)).result, Reply)
            assert server.connections == 2

    run(work())


def test_the_time_told_is_not_before_the_bytes_left(maker: Maker) -> None:
    """A body that the server is slow to take has left when the last of it was taken, not before."""
    body = b"x" * 20_000_000

    async def script(talk: Talk) -> None:
        await talk.head()
        await asyncio.sleep(0.2)
        await talk.reader.readexactly(len(body))
        await talk.say(OK)

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            sent = await send(transport, Request(method="PATCH", path=PATCH.path, body=body), timeout_s=15)
            assert isinstance(sent.result, Reply)
            assert sent.told_s == [sent.result.sent_at_s]
            assert sent.result.sent_at_s - sent.began_s >= 0.2

    run(work())


def test_no_log_line_and_no_error_holds_the_key(maker: Maker, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            with caplog.at_level(logging.INFO):
                assert isinstance((await send(transport, GET)).result, Reply)
            assert KEY not in repr(vars(transport))
        assert not caplog.records

    run(work())


@pytest.mark.parametrize("key", ["with\r\nbreak", "with blank", "umlaut-ü", "", "\x00"])
def test_a_key_that_no_header_can_carry_is_refused_unshown(maker: Maker, key: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        maker("https://api.prequel.co", key=key)
    assert caught.value.code == "BP304"
    assert not key or key not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.proves("G11")
@pytest.mark.parametrize("url", ["http://api.prequel.co", "https://u:p@api.prequel.co", "ftp://127.0.0.1", "x"])
def test_the_key_goes_to_no_unsafe_address(maker: Maker, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        maker(url)
    assert caught.value.code == "BP111"
