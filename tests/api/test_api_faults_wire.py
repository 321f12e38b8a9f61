"""What goes wrong on the way: rows 1 to 12 and 15 of the fault matrix, each to the state, the exit code and the words.

A doubt is met by two rows of a run: by one for once, which is sent once more and accepted, by the other always, which
ends unknown (7). A third is accepted all the while.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from api_rig import Bench
from wire_rig import (
    Script,
    Talk,
    Wire,
    answer,
    closing,
    done,
    ended,
    job_of,
    passing_or_not,
    quick_first,
    run_on,
    telling,
)

from bulkpatch import api
from bulkpatch.errors import ExitCode

HEAD = b"HTTP/1.1 200 OK\r\n"
GOES_BY = b"HTTP/1.1 405 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


def check_doubt(folder: Path, fault: Script, code: str, words: str, *, status: int | None = None, **send: Any) -> None:
    """Sent again where it passes, unknown where it does not; the reason and, where none answered, the host are told."""
    told = ended(folder, passing_or_not(fault), count=3, **send)
    assert (told.result.exit_code, told.states) == (ExitCode.UNKNOWN_ROWS, ["accepted", "unknown", "accepted"])
    assert told.wire.times == {"d1": 2, "d2": 2, "d3": 1}
    row = told.rows[1]
    assert (row["attempts"], row["http_status"], row["error_code"]) == (2, status, code)
    assert words in row["error"]
    assert (f"127.0.0.1:{told.wire.port}" in row["error"]) == (status is None)


def stopped(bench: Bench, job: Path, code: str, exit_code: ExitCode, words: str) -> None:
    """A run that could not even read the fleet: it stops with the code and the words, every row pending."""
    result = api.run(job, bench.options())
    assert (result.code, result.exit_code) == (code, exit_code)
    assert words in result.reason
    assert bench.outcomes(result)["state"].to_list() == ["not_attempted"] * 2


# ── no connection ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", quick_first(socket.EAI_NONAME, socket.EAI_AGAIN, socket.EAI_FAIL))
def test_fault_01_a_name_that_is_not_found_is_told_with_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """No such name, no server that knows, none that answers: tried as often as allowed, and never sent (3)."""
    asked = []

    def fails(host: object, *_: object, **__: object) -> None:
        asked.append(host)
        raise socket.gaierror(number, "no")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    bench = Bench(tmp_path)
    words = "the name of the API was not found (gaierror, api.example.test:443)"
    stopped(bench, job_of(bench, "https://api.example.test", 2), "BP407", ExitCode.STOPPED, words)
    assert len(asked) == 2


def test_fault_02_a_refused_connection_leaves_rows_that_a_resume_sends(tmp_path: Path) -> None:
    """From the start (3), or once the fleet was read (3): never sent, told with the port, every row pending."""
    bench = Bench(tmp_path)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        words = f"the connection was refused (ConnectionRefusedError, 127.0.0.1:{port})"
        stopped(bench, job_of(bench, f"http://127.0.0.1:{port}", 2), "BP407", ExitCode.STOPPED, words)
    with Wire(lambda talk: talk.say(done(talk.destination_id))) as wire:

        def last_read() -> bytes:
            wire.stop_listening()
            return GOES_BY

        wire.reads = last_read
        stopped(bench, job_of(bench, wire.url, 2), "BP407", ExitCode.STOPPED, "the connection was refused")
    assert not wire.asked


@contextmanager
def full_backlog() -> Iterator[int]:
    """A port at which a SYN is left unanswered."""
    with ExitStack() as stack:
        held = stack.enter_context(socket.socket())
        held.bind(("127.0.0.1", 0))
        held.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003  (as socket takes it)
            filler.connect_ex(held.getsockname())
        yield held.getsockname()[1]


def test_fault_03_a_connection_that_is_not_made_in_time_was_never_sent(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with full_backlog() as port:
        job = job_of(bench, f"http://127.0.0.1:{port}", 2, timeout="300ms")
        stopped(bench, job, "BP407", ExitCode.STOPPED, f"127.0.0.1:{port}")


def test_fault_04_an_api_that_is_not_who_it_should_be_gets_no_byte_of_a_request(tmp_path: Path) -> None:
    """A certificate of no authority that is known: one handshake, no retry, 4. The other flaws are the transport's."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    bench = Bench(tmp_path)
    heard: list[bytes] = []

    def shake(connection: socket.socket) -> None:
        with tls.wrap_socket(connection, server_side=True) as secured:
            heard.append(secured.recv(100))

    with Wire(telling(b""), on_connection=shake) as wire:
        job = job_of(bench, wire.url.replace("http:", "https:"), 2, attempts=5)
        stopped(bench, job, "BP405", ExitCode.KEY_REFUSED, f"127.0.0.1:{wire.port}")
    assert (wire.connections, heard) == (1, [])


def test_fault_05_a_handshake_that_is_cut_off_is_tried_again(tmp_path: Path) -> None:
    """As often as allowed: nothing was sent."""
    bench = Bench(tmp_path)
    with Wire(telling(b""), on_connection=lambda _: None) as wire:
        job = job_of(bench, wire.url.replace("http:", "https:"), 2, attempts=3)
        stopped(bench, job, "BP407", ExitCode.STOPPED, f"127.0.0.1:{wire.port}")
    assert (wire.connections, wire.asked) == (3, [])


# ── a connection that breaks ─────────────────────────────────────────────────────────────────


def test_fault_06_a_connection_that_is_closed_as_the_next_request_arrives_is_a_doubt(tmp_path: Path) -> None:
    """The second row goes over the first one's connection, and is sent again over a new one."""

    def script(talk: Talk) -> None:
        if talk.destination_id == "d2" and talk.times == 1:
            talk.close()
        else:
            talk.say(done(talk.destination_id))

    told = ended(tmp_path, script)
    assert (told.result.exit_code, told.states) == (ExitCode.DONE, ["accepted", "accepted"])
    assert (told.wire.asked, told.wire.connections) == (["d1", "d2", "d2"], 3)  # the first of them for the reads


def test_fault_07_a_reset_while_the_body_is_written_is_a_doubt(tmp_path: Path) -> None:
    """The server may hold all of it."""
    bench = Bench(tmp_path)
    with Wire(telling(b""), on_head=lambda talk: talk.reset()) as wire:
        told = run_on(bench, wire, job_of(bench, wire.url, 1))
    assert (told.result.exit_code, told.states) == (ExitCode.UNKNOWN_ROWS, ["unknown"])
    assert (told.wire.asked, told.rows[0]["error_code"]) == (["d1", "d1"], "BP408")


@pytest.mark.parametrize("fault", [Talk.reset, Talk.close], ids=["reset", "closed"])
def test_fault_08_a_request_that_was_read_and_not_answered_is_a_doubt(tmp_path: Path, fault: Script) -> None:
    check_doubt(tmp_path, fault, "BP408", "the connection broke before the whole answer")


def reset_within(talk: Talk) -> None:
    """RST in the middle of a body."""
    talk.say(HEAD + b"Content-Length: 99\r\n\r\n{")
    talk.reset()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (closing(HEAD + b"Content-Length: 99\r\n\r\n" + done("d1").partition(b"\r\n\r\n")[2][:40]), "cut short"),
        (closing(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"), "cut short"),
        (reset_within, "the connection broke"),
    ],
    ids=["length", "no last chunk", "reset"],
)
def test_fault_09_half_an_answer_is_a_doubt(tmp_path: Path, fault: Script, words: str) -> None:
    check_doubt(tmp_path, fault, "BP408", words)


def test_fault_10_a_server_that_stalls_is_left_at_the_deadline(tmp_path: Path) -> None:
    check_doubt(tmp_path, Talk.wait, "BP409", "no whole answer in time", timeout="300ms")


def dribble(talk: Talk) -> None:
    """A byte at a time, each well within any limit for one read."""
    talk.say(HEAD + b"Content-Length: 9999\r\n\r\n")
    for _ in range(1000):
        talk.say(b" ")
        time.sleep(0.02)


def test_fault_11_an_answer_that_dribbles_is_left_at_the_deadline_too(tmp_path: Path) -> None:
    check_doubt(tmp_path, dribble, "BP409", "no whole answer in time", timeout="300ms")


GOOD = done("d1").partition(b"\r\n\r\n")[2]
NOT_UNDERSTOOD = {
    "malformed JSON": b'{"status":',
    "HTML or XML instead of JSON": b"<!doctype html><p>Sign in",
    "an empty body": b"",
    "NaN or Infinity": b'{"status":"success","data":{"x":NaN}}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "half a surrogate pair": GOOD.replace(b'"message": ""', b'"message": "\\ud800"'),
    "nested deeper than 64 levels": b'{"status":"success","data":' + b"[" * 65 + b"]" * 65 + b"}",
    "two fields named status": b'{"status":"success","status":"error","data":null}',
}


@pytest.mark.parametrize("words", quick_first("HTML or XML instead of JSON", *NOT_UNDERSTOOD))
def test_fault_12_a_body_that_is_not_understood_is_a_doubt_and_kept_nowhere(tmp_path: Path, words: str) -> None:
    """The reason is named, and nothing of the body stands in the report, the log or the ledger."""
    body = NOT_UNDERSTOOD[words] + b" canary-in-the-body" * (words == "HTML or XML instead of JSON")
    check_doubt(tmp_path, telling(answer(200, body)), "BP410", words, status=200)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    assert not [path for path in left if b"canary-in-the-body" in path.read_bytes()]


def endless(head: bytes, piece: bytes) -> Script:
    """``head``, then ``piece`` until the client has enough: at most 64 MiB."""

    def script(talk: Talk) -> None:
        talk.say(HEAD + head)
        for _ in range(64 * 1024 * 1024 // len(piece)):
            talk.say(piece)
        raise AssertionError("all of it was read")

    return script


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            telling(answer(200, gzip.compress(b" " * 5_000_000), {"Content-Encoding": "gzip"})),
            "the answer is compressed",
        ),
        (endless(b"Content-Length: 1000000000\r\n\r\n", b"x" * 65_536), "the answer is too large"),
        (endless(b"\r\n", b"x" * 65_536), "the answer is too large"),
        (endless(b"", b"X-Filler: aaaaaaaaaaaaaaaa\r\n" * 1000), "the answer is too large"),
    ],
    ids=["gzip", "1 GB", "no length", "100k headers"],
)
def test_fault_15_what_is_larger_than_an_answer_is_cut_off(tmp_path: Path, fault: Script, words: str) -> None:
    check_doubt(tmp_path, fault, "BP412", words)


def test_fault_15_no_encoding_is_asked_for(tmp_path: Path) -> None:
    told = ended(tmp_path, lambda talk: talk.say(done(talk.destination_id)))
    assert [b"Accept-Encoding: identity" in head for head in told.wire.heads] == [True, True]
    assert json.loads((Path(told.result.folder) / "run.json").read_text())["exit_code"] == 0
