"""What can go wrong before the first byte: never sent, and told apart."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import resource
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from transport_rig import KEY, OK, Maker, Sent, Talk, answers, opened, run, send, serving

from bulkpatch.errors import InvalidInput
from bulkpatch.model import Fault, FaultKind, Reply
from bulkpatch.transport.attempt import Attempt
from bulkpatch.transport.rules import CONNECT_S_MAX


def assert_never_sent(sent: Sent, kind: FaultKind) -> None:
    fault = sent.result
    assert isinstance(fault, Fault), fault
    assert (fault.kind, fault.sent) == (kind, False)
    assert sent.told_s == [], "what never left is never told as left"


async def idle(talk: Talk) -> None:
    """Take the connection and say nothing."""
    await talk.until_closed()


def test_a_port_where_nobody_listens_refuses(maker: Maker) -> None:
    async def work() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            port = held.getsockname()[1]
            async with opened(maker(f"http://127.0.0.1:{port}")) as transport:
                sent = await send(transport)
        assert_never_sent(sent, FaultKind.REFUSED)
        assert isinstance(sent.result, Fault)
        assert sent.result.detail == f"ConnectionRefusedError, 127.0.0.1:{port}"

    run(work())


def test_a_name_with_two_addresses_that_both_refuse_is_refused(maker: Maker) -> None:
    async def work() -> None:
        with socket.socket() as held:
            held.bind(("127.0.0.1", 0))
            async with opened(maker(f"http://localhost:{held.getsockname()[1]}")) as transport:
                assert_never_sent(await send(transport), FaultKind.REFUSED)

    run(work())


def test_a_name_that_does_not_exist_is_dns(maker: Maker) -> None:
    async def work() -> None:
        async with opened(maker("https://no-such-host.invalid")) as transport:
            assert_never_sent(await send(transport), FaultKind.DNS)

    run(work())


def test_a_connection_that_is_not_made_in_time_is_a_connect_timeout(maker: Maker) -> None:
    """A full backlog leaves a SYN unanswered."""

    async def work() -> None:
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(socket.socket())
            held.bind(("127.0.0.1", 0))
            held.listen(0)
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)  # noqa: FBT003  (as socket takes it)
                filler.connect_ex(held.getsockname())
            async with opened(maker(f"http://127.0.0.1:{held.getsockname()[1]}")) as transport:
                assert_never_sent(await send(transport, timeout_s=0.3), FaultKind.CONNECT_TIMEOUT)

    run(work())


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208  (names are what is asked for)
    spare = [os.open(os.devnull, os.O_RDONLY)]
    while spare[-1] <= highest:
        spare.append(os.open(os.devnull, os.O_RDONLY))
    resource.setrlimit(resource.RLIMIT_NOFILE, (spare[-1] + 1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in spare:
            os.close(descriptor)


def test_no_file_descriptor_left_is_told_as_that(maker: Maker) -> None:
    async def work() -> None:
        async with serving(answers) as server, opened(maker(server.url)) as transport:
            with no_more_files():
                sent = await send(transport)
            assert_never_sent(sent, FaultKind.NO_FILES)
            assert isinstance((await send(transport)).result, Reply)

    run(work())


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


def server_side(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


def test_a_good_certificate_passes_and_its_connection_is_used_again(
    maker: Maker, authority: trustme.CA, ca_file: Path
) -> None:
    async def work() -> None:
        tls = server_side(authority.issue_cert("127.0.0.1"))
        async with serving(answers, tls=tls) as server, opened(maker(server.url, ca_file=ca_file)) as transport:
            for _ in range(5):
                assert isinstance((await send(transport)).result, Reply)
            assert (server.connections, len(server.requests)) == (1, 5)
            assert KEY.encode() in server.requests[0]

    run(work())


def test_a_second_answer_in_a_record_of_its_own_is_never_taken_for_the_next_requests(
    maker: Maker, authority: trustme.CA, ca_file: Path
) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        talk.writer.write(b"HTTP/1.1 %d Mine\r\nContent-Length: 0\r\n\r\n" % (200 + talk.server.connections))
        talk.writer.write(b"HTTP/1.1 404 Stray\r\nContent-Length: 0\r\n\r\n")
        await talk.until_closed()

    async def work() -> None:
        tls = server_side(authority.issue_cert("127.0.0.1"))
        async with serving(script, tls=tls) as server, opened(maker(server.url, ca_file=ca_file)) as transport:
            endings = [(await send(transport)).result for _ in range(4)]
            replies = [ending for ending in endings if isinstance(ending, Reply)]
            assert [reply.status for reply in replies] == [200 + n for n in range(1, server.connections + 1)]
            for ending in endings:  # libcurl's OpenSSL holds it where it is only seen once the request has left: doubt
                assert isinstance(ending, Reply) or (ending.kind, ending.sent) == (FaultKind.PROTOCOL, True)
            assert len(replies) >= 2

    run(work())


PAST = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)


@pytest.mark.proves("G11")
@pytest.mark.parametrize("flaw", ["another host", "another authority", "expired", "public bundle"])
def test_a_wrong_certificate_is_an_identity_fault_and_no_request_leaves(
    maker: Maker, authority: trustme.CA, ca_file: Path, flaw: str
) -> None:
    names = "other.example" if flaw == "another host" else "127.0.0.1"
    issuer = trustme.CA() if flaw == "another authority" else authority
    certificate = (
        issuer.issue_cert(names, not_before=PAST - dt.timedelta(days=1), not_after=PAST)
        if flaw == "expired"
        else issuer.issue_cert(names)
    )

    async def work() -> None:
        trusted = None if flaw == "public bundle" else ca_file
        tls = server_side(certificate)
        async with serving(answers, tls=tls) as server, opened(maker(server.url, ca_file=trusted)) as transport:
            sent = await send(transport)
            assert_never_sent(sent, FaultKind.TLS_IDENTITY)
            assert isinstance(sent.result, Fault)
            error, _, host = sent.result.detail.partition(", ")
            assert error in {"SSLCertVerificationError", "SSL_PEER_CERTIFICATE"}
            assert host == f"127.0.0.1:{server.port}"
            assert server.requests == []

    run(work())


@pytest.mark.proves("G11")
def test_the_environment_adds_no_authority(
    maker: Maker, authority: trustme.CA, ca_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SSL_CERT_FILE is not read, and SSLKEYLOGFILE gets no key of a session."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSL_CERT_FILE", str(ca_file))
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))

    async def work() -> None:
        tls = server_side(authority.issue_cert("127.0.0.1"))
        tls.keylog_filename = None  # type: ignore[assignment]  # the server's half is not what is tested
        async with serving(answers, tls=tls) as server:
            async with opened(maker(server.url)) as transport:
                assert_never_sent(await send(transport), FaultKind.TLS_IDENTITY)
            async with opened(maker(server.url, ca_file=ca_file)) as transport:
                assert isinstance((await send(transport)).result, Reply)

    run(work())
    assert not log.exists() or "SECRET" not in log.read_text()


@pytest.mark.proves("G11")
def test_an_old_tls_version_does_not_pass(maker: Maker, ca_file: Path) -> None:
    """A server that knows no version of ours says so in the clear: the fatal alert protocol_version."""

    async def refuse(talk: Talk) -> None:
        await talk.reader.read(1)
        await talk.say(bytes([0x15, 3, 1, 0, 2, 2, 70]))

    async def work() -> None:
        async with serving(refuse) as server:
            url = server.url.replace("http:", "https:")
            async with opened(maker(url, ca_file=ca_file)) as transport:
                assert_never_sent(await send(transport), FaultKind.TLS_IDENTITY)

    run(work())


@pytest.mark.parametrize("manner", ["close", "reset", "plain http", "garbage"])
def test_a_handshake_that_fails_is_a_tls_fault(maker: Maker, ca_file: Path, manner: str) -> None:
    async def script(talk: Talk) -> None:
        await talk.reader.read(1)
        if manner == "reset":
            talk.reset()
        elif manner == "plain http":
            await talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif manner == "garbage":
            await talk.say(b"\x00" * 64)

    async def work() -> None:
        async with serving(script) as server:
            url = server.url.replace("http:", "https:")
            async with opened(maker(url, ca_file=ca_file)) as transport:
                assert_never_sent(await send(transport), FaultKind.TLS)

    run(work())


def test_a_handshake_that_stalls_is_a_connect_timeout_and_its_socket_is_closed(maker: Maker, ca_file: Path) -> None:
    async def work() -> None:
        async with serving(idle) as server:
            url = server.url.replace("http:", "https:")
            async with opened(maker(url, ca_file=ca_file)) as transport:
                assert_never_sent(await send(transport, timeout_s=0.2), FaultKind.CONNECT_TIMEOUT)
                await asyncio.sleep(0.02)
                assert server.open == 0

    run(work())


def test_cancelling_a_handshake_closes_its_socket(maker: Maker, ca_file: Path) -> None:
    async def work() -> None:
        async with serving(idle) as server:
            url = server.url.replace("http:", "https:")
            async with opened(maker(url, ca_file=ca_file)) as transport:
                task = asyncio.create_task(send(transport))
                while not server.open:  # noqa: ASYNC110  (what is waited for happens in a socket)
                    await asyncio.sleep(0.01)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await asyncio.sleep(0.02)
                assert server.open == 0

    run(work())


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_an_authority_file_that_holds_none_is_refused(maker: Maker, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "ca.pem"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InvalidInput) as caught:
        maker("https://api.prequel.co", ca_file=path)
    assert caught.value.code == "BP105"


class Still:
    """A clock that stands."""

    def monotonic(self) -> float:
        """Always 1."""
        return 1.0

    def wall_us(self) -> int:
        """Always 1."""
        return 1


@pytest.mark.parametrize(("timeout_s", "first_s"), [(30.0, CONNECT_S_MAX), (2.0, 2.0)])
def test_a_connection_has_five_seconds_and_the_attempt_all_of_its_own(timeout_s: float, first_s: float) -> None:
    async def work() -> None:
        attempt = Attempt(Still(), lambda _at_s: None, timeout_s)
        now_s = asyncio.get_running_loop().time()
        async with attempt.limit() as limit:
            assert limit.when() == pytest.approx(now_s + first_s, abs=0.5)
            await attempt.trace("http11.send_request_headers.started", {})
            assert limit.when() == pytest.approx(now_s + timeout_s, abs=0.5)

    run(work())


@pytest.mark.long
def test_a_slow_answer_may_take_longer_than_a_connection_may(maker: Maker) -> None:
    async def script(talk: Talk) -> None:
        await talk.request()
        await asyncio.sleep(CONNECT_S_MAX + 0.5)
        await talk.say(OK)

    async def work() -> None:
        async with serving(script) as server, opened(maker(server.url)) as transport:
            assert isinstance((await send(transport, timeout_s=10)).result, Reply)

    run(work())
