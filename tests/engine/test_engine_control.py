"""A live run is asked through the socket in its folder; nobody but its user is, and no client can hold it up."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.engine.asking import Malformed, ask, decode_reply, decode_request, encode_reply, encode_request
from bulkpatch.engine.control import CLIENTS_MAX, ControlAct, ControlReply, ControlRequest, ControlServer
from bulkpatch.engine.system import SystemClock
from bulkpatch.engine.writer import LedgerWriter
from bulkpatch.errors import BulkpatchError, ExitCode, InvalidInput, LedgerFailed, Mismatch, StoreFailed
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Act, RunHeader

P = ParamSpec("P")
T = TypeVar("T")
ROOT = os.geteuid() == 0
NOBODY = 65534
WHO = "ada@host (pid 7)"
needs_root = pytest.mark.skipif(not ROOT, reason="only root can become another user or change its root")

SERVE = """
import asyncio, concurrent.futures.thread, os, sys
from pathlib import Path
from bulkpatch.engine.asking import ask
from bulkpatch.engine.control import ControlReply, ControlRequest, ControlServer

async def yes(request):
    return ControlReply(ok=True, message="as you say")

async def serve(folder, then=None):
    async with ControlServer(folder, yes):
        print("serving", flush=True)
        await (then() if then else asyncio.Event().wait())
"""
PLAIN = "asyncio.run(serve(Path(sys.argv[1])))"
AS_NOBODY = f"os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
STRANGER = f"""
import os, socket, sys
os.chdir(sys.argv[1])
{AS_NOBODY}
talk = socket.socket(socket.AF_UNIX)
try:
    talk.connect("control.sock")
    try:
        talk.sendall(sys.argv[2].encode())
    except BrokenPipeError:
        pass
    print(talk.recv(65536).decode())
except PermissionError:
    print("no way in")
"""
ASK_AS_NOBODY = f"""
{AS_NOBODY}
try:
    ask(Path(sys.argv[1]), ControlRequest(act="status", run_id="run-1", actor="a"))
except Exception as refused:
    print(refused.code, refused.message)
"""
WITHOUT_PROC = """
os.chroot(sys.argv[1])
os.chdir("/")
async def asks():
    request = ControlRequest(act="status", run_id="run-1", actor="a")
    print(os.path.exists("/proc"), (await asyncio.to_thread(ask, Path("/run-1"), request)).message)
asyncio.run(serve(Path("/run-1"), asks))
try:
    asyncio.run(serve(Path("/" + "x" * 100)))
except Exception as refused:
    print(refused.code, refused.message)
"""
STARVED = """
import resource, selectors, time
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
class Counting(selectors.EpollSelector):
    looks = 0
    def select(self, timeout=None):
        self.looks += 1
        return super().select(timeout)
counting = Counting()
async def starve():
    held = []
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        print("starved", flush=True)
    before, until = counting.looks, time.monotonic() + 0.6
    while time.monotonic() < until:
        await asyncio.sleep(0.05)
    print(counting.looks - before, flush=True)
    for descriptor in held:
        os.close(descriptor)
    await asyncio.Event().wait()
with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(counting)) as runner:
    runner.run(serve(Path(sys.argv[1]), starve))
"""


def request(act: ControlAct = "status", *, run_id: str = "run-1", argument: str = "") -> ControlRequest:
    """What Ada asks."""
    return ControlRequest(act=act, run_id=run_id, actor=WHO, argument=argument)


async def echo(asked: ControlRequest) -> ControlReply:
    """Says what it was asked."""
    return ControlReply(ok=True, message=f"{asked.act} {asked.argument}", details={"actor": asked.actor})


async def elsewhere(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``function`` as another terminal would: beside the loop, however many others there are."""
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        return await asyncio.get_running_loop().run_in_executor(pool, partial(function, *args, **kwargs))
    finally:
        pool.shutdown(wait=False)


def serving(folder: Path, act: Callable[[], Awaitable[T]], handle: Any = echo, *, idle_s: float = 5.0) -> T:
    """Do ``act`` while ``folder`` is served; nothing may reach the loop's handler of lost exceptions."""
    lost: list[dict[str, Any]] = []

    async def both() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: lost.append(context))
        async with asyncio.timeout(60), ControlServer(folder, handle, idle_s=idle_s):
            result = await act()
        gc.collect()
        return result

    result = asyncio.run(both())
    assert not lost
    return result


@contextmanager
def connected(folder: Path, *, timeout_s: float = 30) -> Iterator[socket.socket]:
    """A client that says nothing by itself."""
    descriptor = os.open(folder, os.O_PATH)
    try:
        with socket.socket(socket.AF_UNIX) as talk:
            talk.settimeout(timeout_s)
            talk.connect(f"/proc/self/fd/{descriptor}/control.sock")
            yield talk
    finally:
        os.close(descriptor)


def rest_of(talk: socket.socket) -> bytes:
    """All that comes until the other end closes."""
    heard = b""
    with suppress(ConnectionResetError):
        while more := talk.recv(65536):
            heard += more
    return heard


def answers_to(folder: Path, said: bytes) -> list[ControlReply]:
    """What is answered to bytes on the wire after which nothing more comes."""
    with connected(folder) as talk:
        with suppress(BrokenPipeError):
            talk.sendall(said)
            talk.shutdown(socket.SHUT_WR)
        return [decode_reply(line) for line in rest_of(talk).splitlines()]


@contextmanager
def process(script: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that serves ``folder``."""
    command = [sys.executable, "-c", SERVE + script, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        try:
            assert started.stdout.readline() == "serving\n"
            yield started
        finally:
            started.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder as they are made."""
    made = tmp_path / "run-1"
    made.mkdir(mode=0o700)
    return made


# ── asked and answered ───────────────────────────────────────────────────────────────────────


def test_what_is_asked_reaches_the_run_and_its_answer_comes_back_whole(folder: Path) -> None:
    reply = serving(folder, lambda: elsewhere(ask, folder, request("throttle", argument="5/s")))
    assert reply == ControlReply(ok=True, message="throttle 5/s", details={"actor": WHO})


def test_a_no_of_the_run_is_an_answer_and_no_error(folder: Path) -> None:
    async def no(_: ControlRequest) -> ControlReply:
        return ControlReply(ok=False, message="not a rate", code="BP106")

    reply = serving(folder, lambda: elsewhere(ask, folder, request("throttle")), no)
    assert (reply.ok, reply.message, reply.code) == (False, "not a rate", "BP106")


@pytest.mark.parametrize(
    ("failure", "code", "message"),
    [
        (StoreFailed("BP306", "the store is shut"), "BP306", "the store is shut"),
        (KeyError("s3cret"), "BP901", "KeyError"),
    ],
)
def test_what_the_handler_raises_is_told_to_the_client_and_the_server_lives_on(
    folder: Path, failure: Exception, code: str, message: str
) -> None:
    async def fails(_: ControlRequest) -> ControlReply:
        raise failure

    async def twice() -> list[ControlReply]:
        return [await elsewhere(ask, folder, request()) for _ in range(2)]

    for reply in serving(folder, twice, fails):
        assert (reply.ok, reply.code) == (False, code)
        assert message in reply.message
        assert "s3cret" not in reply.message


class HeldExecutor:
    """ports.Executor: nothing is written before it is let go."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.let_go = asyncio.Event()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` once it may."""
        self.reached.set()
        await self.let_go.wait()
        return function(*args, **kwargs)


def test_the_answer_comes_after_the_act_is_durable_and_not_before(folder: Path) -> None:
    header = RunHeader(
        run_id="run-1",
        job_name="j",
        job_path="j",
        job_sha256="",
        inputs=(),
        input_sha256="",
        base_url="",
        tool_version="",
        created_at_us=0,
    )
    ledger = MemoryLedger(header, [])

    async def act() -> None:
        disk = HeldExecutor()
        writer = LedgerWriter(ledger, disk, on_failure=lambda _: None)

        async def commits(asked: ControlRequest) -> ControlReply:
            await writer.durable(Act(at_us=SystemClock().wall_us(), kind=asked.act, actor=asked.actor))
            return ControlReply(ok=True, message="done")

        async with ControlServer(folder, commits):
            asking = asyncio.create_task(elsewhere(ask, folder, request("pause")))
            await disk.reached.wait()
            await asyncio.sleep(0.2)
            assert not asking.done()
            assert not ledger.acts()
            disk.let_go.set()
            assert (await asking).message == "done"
            assert [(done.kind, done.actor) for done in ledger.acts()] == [("pause", WHO)]

    asyncio.run(act())


def test_one_client_may_ask_again_and_is_answered_in_order(folder: Path) -> None:
    lines = b"".join(encode_request(request("throttle", argument=str(number))) for number in range(50))
    replies = serving(folder, lambda: elsewhere(answers_to, folder, lines))
    assert [reply.message for reply in replies] == [f"throttle {number}" for number in range(50)]


def test_a_busy_loop_answers_within_a_second(folder: Path) -> None:
    async def while_busy() -> float:
        busy = asyncio.create_task(work())
        began_s = time.monotonic()
        await elsewhere(ask, folder, request())
        took_s = time.monotonic() - began_s
        busy.cancel()
        return took_s

    async def work() -> None:
        while True:
            time.sleep(0.02)  # noqa: ASYNC251  (rows being compiled, as long as they ever hold the loop)
            await asyncio.sleep(0)

    assert serving(folder, while_busy) < 1.0


# ── the socket in the folder ─────────────────────────────────────────────────────────────────


def names_told(inotify: int) -> list[str]:
    """The names in the events that wait."""
    told, names = os.read(inotify, 4096), []
    while told:
        size = int.from_bytes(told[12:16], sys.byteorder)
        names.append(told[16 : 16 + size].rstrip(b"\0").decode())
        told = told[16 + size :]
    return names


def test_the_socket_is_private_from_its_first_moment_whatever_the_umask(folder: Path) -> None:
    create_or_change_of_mode = 0x100 | 0x4
    libc = ctypes.CDLL(None, use_errno=True)
    inotify = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert libc.inotify_add_watch(inotify, bytes(folder), create_or_change_of_mode) > 0

    async def look() -> tuple[int, list[str]]:
        return (folder / "control.sock").lstat().st_mode, names_told(inotify)

    before = os.umask(0)
    try:
        mode, names = serving(folder, look)
    finally:
        os.umask(before)
        os.close(inotify)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert names == ["control.sock"], "made once, and its mode never changed after"


def test_a_folder_longer_than_a_socket_path_is_served_and_asked(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 200) / ("y" * 200) / "run-1"
    folder.mkdir(parents=True)
    assert len(bytes(folder / "control.sock")) > 107
    assert serving(folder, lambda: elsewhere(ask, folder, request())).ok
    assert not (folder / "control.sock").exists()


def test_a_folder_given_by_a_link_or_a_dot_is_still_the_run_it_is(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "newest").symlink_to(folder)
    monkeypatch.chdir(folder)
    for place in (tmp_path / "newest", Path()):
        assert serving(place, lambda: elsewhere(ask, folder, request())).ok


def test_the_socket_of_a_killed_process_is_no_run_and_the_next_process_replaces_it(folder: Path) -> None:
    with process(PLAIN, folder) as first:
        assert ask(folder, request()).message == "as you say"
        first.kill()
        first.wait()
    assert (folder / "control.sock").exists()
    with pytest.raises(Mismatch) as refused:
        ask(folder, request())
    assert refused.value.code == "BP611"
    assert serving(folder, lambda: elsewhere(ask, folder, request())).message == "status "


@pytest.mark.parametrize("kind", ["link", "dangling", "file", "folder"])
def test_what_is_no_socket_is_neither_followed_nor_touched(folder: Path, tmp_path: Path, kind: str) -> None:
    place, target = folder / "control.sock", tmp_path / "target"
    if kind == "folder":
        place.mkdir()
    elif kind == "file":
        place.write_text("mine")
    else:
        if kind == "link":
            target.write_text("mine")
        place.symlink_to(target)
    before = place.lstat()

    async def nothing() -> None:
        raise AssertionError(kind)

    with pytest.raises(InvalidInput) as refused:
        serving(folder, nothing)
    assert refused.value.code == "BP122"
    after = place.lstat()
    assert (before.st_ino, before.st_mode, before.st_mtime_ns) == (after.st_ino, after.st_mode, after.st_mtime_ns)
    assert target.exists() == (kind == "link")
    with pytest.raises(Mismatch) as unserved:
        ask(folder, request())
    assert unserved.value.code == "BP611"


def test_a_link_to_a_live_socket_is_not_asked(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "run-2"
    other.mkdir()
    (other / "control.sock").symlink_to(folder / "control.sock")

    async def through_the_link() -> str:
        with pytest.raises(Mismatch) as refused:
            await elsewhere(ask, other, request())
        return refused.value.code

    assert serving(folder, through_the_link) == "BP611"


def test_the_end_takes_away_the_socket_but_not_what_another_put_in_its_place(folder: Path) -> None:
    place = folder / "control.sock"

    def replace() -> None:
        place.unlink()
        place.write_text("another's")

    assert serving(folder, lambda: elsewhere(place.exists))
    assert not place.exists()
    serving(folder, lambda: elsewhere(replace))
    assert place.read_text() == "another's"


@needs_root
def test_a_full_disk_and_a_disk_without_room_for_names_end_in_the_ledgers_words(tmp_path: Path) -> None:
    folder = tmp_path / "run-1"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", folder], check=False)
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        with pytest.raises(LedgerFailed) as refused:
            serving(folder, lambda: asyncio.sleep(0))
    finally:
        subprocess.run(["umount", folder], check=True)
    assert refused.value.code == "BP606"


@needs_root
def test_without_proc_a_short_path_works_and_a_long_one_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / ("x" * 100)).mkdir()
    command = [sys.executable, "-c", SERVE + WITHOUT_PROC, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert told[:2] == ["serving", "False as you say"]
    assert told[2].startswith("BP122 no control socket can be made")
    assert "too long" in told[2]


# ── who may ask ──────────────────────────────────────────────────────────────────────────────


@needs_root
def test_another_user_has_no_way_in_and_is_refused_even_where_the_modes_let_it_through(folder: Path) -> None:
    called = []

    async def notes(asked: ControlRequest) -> ControlReply:
        called.append(asked)
        return await echo(asked)

    def stranger() -> str:
        command = [sys.executable, "-c", STRANGER, str(folder), encode_request(request("abort")).decode()]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def before_and_after_the_modes() -> tuple[str, str]:
        kept_out = stranger()
        folder.chmod(0o755)
        (folder / "control.sock").chmod(0o666)
        return kept_out, stranger()

    kept_out, refused = serving(folder, lambda: elsewhere(before_and_after_the_modes), notes)
    assert kept_out == "no way in"
    assert decode_reply(refused.encode()).code == "BP612"
    assert "only the user who runs it" in refused
    assert not called


@needs_root
def test_who_asks_the_run_of_another_user_is_told_so(folder: Path) -> None:
    command = [sys.executable, "-c", SERVE + ASK_AS_NOBODY, str(folder)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert told == "BP612 run-1 belongs to another user\n"


@needs_root
def test_root_may_ask_the_run_of_another_user() -> None:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        folder = Path(place) / "run-1"
        folder.mkdir(mode=0o700)
        os.chown(folder, NOBODY, NOBODY)
        with process(AS_NOBODY + PLAIN, folder):
            assert (folder / "control.sock").stat().st_uid == NOBODY
            assert ask(folder, request()).message == "as you say"


def test_a_request_for_another_run_is_refused_and_never_reaches_this_one(folder: Path) -> None:
    called = []

    async def notes(asked: ControlRequest) -> ControlReply:
        called.append(asked)
        return await echo(asked)

    async def wrong() -> BulkpatchError:
        with pytest.raises(Mismatch) as refused:
            await elsewhere(ask, folder, request("abort", run_id="run-2"))
        return refused.value

    refused = serving(folder, wrong, notes)
    assert (refused.code, refused.exit_code) == ("BP612", ExitCode.MISMATCH)
    assert "run-1" in refused.message
    assert not called


# ── clients that do not behave ───────────────────────────────────────────────────────────────

GOOD = {"v": 1, "act": "pause", "run_id": "run-1", "actor": WHO, "argument": ""}
MALFORMED = {
    "nothing": b"\n",
    "no object": b"[]\n",
    "no JSON": b"pause\n",
    "deep": b"[" * 4000 + b"\n",
    "no text": b"\xff\xfe\n",
    "broken off": json.dumps(GOOD).encode(),
    "empty": b"{}\n",
    "a key more": json.dumps(GOOD | {"force": True}).encode() + b"\n",
    "another version": json.dumps(GOOD | {"v": 2}).encode() + b"\n",
    "true for one": json.dumps(GOOD | {"v": True}).encode() + b"\n",
    "unknown act": json.dumps(GOOD | {"act": "stop"}).encode() + b"\n",
    "a list for an act": json.dumps(GOOD | {"act": ["pause"]}).encode() + b"\n",
    "half a pair": json.dumps(GOOD | {"actor": "\ud800"}).encode() + b"\n",
    "rules a terminal": json.dumps(GOOD | {"actor": "\x1b[2J"}).encode() + b"\n",
    "a number": json.dumps(GOOD | {"argument": 5}).encode() + b"\n",
    "another run": json.dumps(GOOD | {"run_id": "run-2"}).encode() + b"\n",
    "too long": b" " * 4096 + b"\n",
    "endless": b"x" * 1_000_000,
}


@pytest.mark.parametrize("said", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_request_gets_one_refusal_and_the_end_of_the_talk(folder: Path, said: bytes) -> None:
    called = []

    async def notes(asked: ControlRequest) -> ControlReply:
        called.append(asked.act)
        return await echo(asked)

    async def then_a_good_one() -> tuple[list[ControlReply], ControlReply]:
        more = encode_request(request()) if said.endswith(b"\n") else b""
        return await elsewhere(answers_to, folder, said + more), await elsewhere(ask, folder, request("abort"))

    replies, good = serving(folder, then_a_good_one, notes)
    assert [(reply.ok, reply.code) for reply in replies] == [(False, "BP612")]
    assert good.ok
    assert called == ["abort"]


def test_a_request_may_have_4096_bytes_with_its_end_and_not_one_more(folder: Path) -> None:
    line = json.dumps(GOOD).encode()
    longest = line + b" " * (4095 - len(line)) + b"\n"

    async def both() -> list[ControlReply]:
        return await elsewhere(answers_to, folder, longest) + await elsewhere(answers_to, folder, b" " + longest)

    longest_done, too_long = serving(folder, both)
    assert longest_done.ok
    assert too_long.message == "a request has at most 4096 bytes"


def test_a_request_too_long_to_send_is_refused_before_it_is_sent(folder: Path) -> None:
    with pytest.raises(Mismatch) as refused:
        ask(folder, request(argument="x" * 5000))
    assert refused.value.code == "BP612"


def test_a_silent_client_holds_up_neither_the_loop_nor_another_client_and_is_sent_away(folder: Path) -> None:
    async def beside_it() -> tuple[int, str, list[ControlReply]]:
        ticks = 0
        with connected(folder) as silent:
            message = (await elsewhere(ask, folder, request())).message
            leaving = asyncio.create_task(elsewhere(rest_of, silent))
            while not leaving.done():
                await asyncio.sleep(0.01)
                ticks += 1
            return ticks, message, [decode_reply(line) for line in (await leaving).splitlines()]

    ticks, message, said = serving(folder, beside_it, idle_s=0.5)
    assert ticks > 10
    assert message == "status "
    assert [reply.code for reply in said] == ["BP612"]


def test_a_client_that_dribbles_has_no_more_time_than_one_that_is_silent(folder: Path) -> None:
    def dribbles() -> list[ControlReply]:
        with connected(folder) as talk:
            with suppress(BrokenPipeError):
                for _ in range(100):
                    talk.sendall(b" ")
                    time.sleep(0.1)
            return [decode_reply(line) for line in rest_of(talk).splitlines()]

    began_s = time.monotonic()
    assert [reply.code for reply in serving(folder, lambda: elsewhere(dribbles), idle_s=0.5)] == ["BP612"]
    assert time.monotonic() - began_s < 5.0


def test_a_client_that_takes_no_answer_is_left_and_the_others_are_served(folder: Path) -> None:
    async def long_words(_: ControlRequest) -> ControlReply:
        return ControlReply(ok=True, message="x" * 60_000)

    def takes_nothing() -> bool:
        with connected(folder) as talk:
            talk.settimeout(10)
            try:
                for _ in range(10_000):
                    talk.sendall(encode_request(request()))
            except BrokenPipeError:
                return True
            return False

    async def both() -> tuple[bool, bool]:
        stuck = asyncio.create_task(elsewhere(takes_nothing))
        return (await elsewhere(ask, folder, request())).ok, await stuck

    assert serving(folder, both, long_words, idle_s=0.5) == (True, True)


def test_clients_that_leave_at_once_do_no_harm_and_free_their_places(folder: Path) -> None:
    async def slow(asked: ControlRequest) -> ControlReply:
        await asyncio.sleep(0.01)
        return await echo(asked)

    async def many() -> bool:
        for number in range(10 * CLIENTS_MAX):
            with connected(folder) as talk:
                if number % 2:
                    talk.sendall(encode_request(request()))
            await asyncio.sleep(0.002)
        await asyncio.sleep(0.5)
        return (await elsewhere(ask, folder, request())).ok

    assert serving(folder, many, slow)


def test_sixteen_are_answered_at_once_the_next_is_refused_and_then_there_is_room_again(folder: Path) -> None:
    places, let_go = asyncio.Semaphore(0), asyncio.Event()

    async def waits(asked: ControlRequest) -> ControlReply:
        places.release()
        await let_go.wait()
        return await echo(asked)

    async def crowd() -> tuple[list[str], str, str]:
        askers = [asyncio.create_task(elsewhere(ask, folder, request())) for _ in range(CLIENTS_MAX)]
        for _ in askers:
            await places.acquire()
        with pytest.raises(Mismatch) as refused:
            await elsewhere(ask, folder, request())
        let_go.set()
        replies = [(await asker).message for asker in askers]
        return replies, refused.value.code, (await elsewhere(ask, folder, request())).message

    assert serving(folder, crowd, waits) == (["status "] * 16, "BP612", "status ")


def test_a_process_out_of_descriptors_does_not_spin_and_answers_when_it_has_some(folder: Path) -> None:
    with process(STARVED, folder) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "starved\n"
        assert ask(folder, request(), timeout_s=30).message == "as you say"
        assert int(server.stdout.readline()) < 200, "looks at the door while no descriptor was left"


# ── the end of the run ───────────────────────────────────────────────────────────────────────


def test_the_end_closes_idle_clients_and_a_reply_under_way_still_arrives(folder: Path) -> None:
    reached, let_go = asyncio.Event(), asyncio.Event()

    async def aborts(asked: ControlRequest) -> ControlReply:
        reached.set()
        await let_go.wait()
        return await echo(asked)

    async def run_and_end(silent: ExitStack, asking: ExitStack) -> tuple[bytes, bytes, float]:
        async with ControlServer(folder, aborts):
            idle = silent.enter_context(connected(folder))
            asks = asking.enter_context(connected(folder))
            asks.sendall(encode_request(request("abort")))
            await reached.wait()
            asyncio.get_running_loop().call_later(0.1, let_go.set)
            began_s = time.monotonic()
        took_s = time.monotonic() - began_s
        return await elsewhere(rest_of, idle), await elsewhere(rest_of, asks), took_s

    with ExitStack() as silent, ExitStack() as asking:
        nothing, reply, took_s = asyncio.run(run_and_end(silent, asking))
    assert nothing == b""
    assert decode_reply(reply).message == "abort "
    assert took_s < 1.5, "neither client is waited for once it is answered"
    assert not list(folder.iterdir())


def test_one_loop_serves_one_run_after_another(folder: Path) -> None:
    async def thrice() -> list[str]:
        messages = []
        for _ in range(3):
            async with ControlServer(folder, echo):
                messages.append((await elsewhere(ask, folder, request())).message)
        return messages

    assert asyncio.run(thrice()) == ["status "] * 3


def test_a_handler_that_never_returns_does_not_hold_up_the_end(folder: Path) -> None:
    reached = asyncio.Event()

    async def never(_: ControlRequest) -> ControlReply:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def asked_in_vain() -> asyncio.Task[ControlReply]:
        asking = asyncio.create_task(elsewhere(ask, folder, request(), timeout_s=30))
        await reached.wait()
        return asking

    async def act() -> BulkpatchError:
        async with asyncio.timeout(20):
            async with ControlServer(folder, never):
                asking = await asked_in_vain()
            with pytest.raises(Mismatch) as refused:
                await asking
            return refused.value

    refused = asyncio.run(act())
    assert refused.code == "BP611"
    assert "may have done" in refused.hint


# ── nobody answers ───────────────────────────────────────────────────────────────────────────


def test_a_run_that_nobody_works_on_is_told_as_such(folder: Path, tmp_path: Path) -> None:
    for place in (folder, tmp_path / "gone"):
        with pytest.raises(Mismatch) as refused:
            ask(place, request())
        assert (refused.value.code, refused.value.exit_code) == ("BP611", ExitCode.MISMATCH)
        assert refused.value.message == f"no process works on {place.name}"


def test_a_process_that_is_held_is_waited_for_no_longer_than_asked(folder: Path) -> None:
    with process(PLAIN, folder) as server:
        server.send_signal(signal.SIGSTOP)
        began_s = time.monotonic()
        with pytest.raises(Mismatch) as refused:
            ask(folder, request(), timeout_s=0.3)
        assert time.monotonic() - began_s < 5.0
        assert refused.value.code == "BP611"
        assert "0.3 s" in refused.value.message


def test_a_process_whose_door_is_full_is_not_waited_for_either(folder: Path) -> None:
    with process(PLAIN, folder) as server, ExitStack() as clients:
        server.send_signal(signal.SIGSTOP)
        with suppress(BlockingIOError):
            while True:
                clients.enter_context(connected(folder, timeout_s=0))
        began_s = time.monotonic()
        with pytest.raises(Mismatch) as refused:
            ask(folder, request(), timeout_s=0.3)
        assert time.monotonic() - began_s < 5.0
        assert refused.value.code == "BP611"
        assert "too busy" in refused.value.message
        assert "Nothing was asked" in refused.value.hint


def test_the_limit_is_the_one_that_was_given_and_not_the_default_of_the_process(folder: Path) -> None:
    async def slow(asked: ControlRequest) -> ControlReply:
        await asyncio.sleep(0.3)
        return await echo(asked)

    def asks() -> ControlReply:
        before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(0.05)
        try:
            return ask(folder, request())
        finally:
            socket.setdefaulttimeout(before)

    assert serving(folder, lambda: elsewhere(asks), slow).ok


NOT_WHOLE, NOT_UNDERSTOOD = "before its answer was whole", "was not understood"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"", NOT_WHOLE),
        (b'{"v":1', NOT_WHOLE),
        (b'{"v":1,"ok":true,"message":"","details":{}}', NOT_WHOLE),
        (b'{"v":1,"ok":true,"message":"' + b"x" * 70_000 + b'","details":{}}\n', NOT_WHOLE),
        (b"no\n", NOT_UNDERSTOOD),
        (b"{}\n", NOT_UNDERSTOOD),
        (b'{"v":1,"ok":1,"message":"","details":{}}\n', NOT_UNDERSTOOD),
        (b'{"v":1,"ok":false,"message":"","details":{},"code":611}\n', NOT_UNDERSTOOD),
        (b'{"v":2,"ok":true,"message":"","details":{}}\n', NOT_UNDERSTOOD),
    ],
)
def test_an_answer_that_is_none_is_an_error_and_says_that_the_act_may_have_been_done(
    folder: Path, answer: bytes, message: str
) -> None:
    def say(client: socket.socket) -> None:
        with suppress(BrokenPipeError):
            client.sendall(answer)

    with pytest.raises(Mismatch) as refused:
        ask_of(folder, say)
    assert refused.value.code == "BP611"
    assert message in refused.value.message
    assert "may have done" in refused.value.hint


def test_an_answer_may_come_in_pieces(folder: Path) -> None:
    def in_pieces(client: socket.socket) -> None:
        for piece in (b'{"v":1,"ok":true,', b'"message":"paused",', b'"details":{}}', b"\n"):
            client.sendall(piece)
            time.sleep(0.05)

    assert ask_of(folder, in_pieces) == ControlReply(ok=True, message="paused")


@pytest.mark.parametrize("later_s", [0.0, 0.002, 0.05])
def test_a_refusal_is_heard_whether_or_not_the_request_was_taken(folder: Path, later_s: float) -> None:
    def refuses(client: socket.socket) -> None:
        time.sleep(later_s)
        client.sendall(encode_reply(ControlReply(ok=False, message="too many", code="BP612")))

    for _ in range(50 if later_s < 0.01 else 1):
        with pytest.raises(Mismatch, match="too many") as refused:
            ask_of(folder, refuses, reads=False)
        assert refused.value.code == "BP612"


def test_an_end_without_a_look_at_the_request_is_an_answer_that_is_not_whole(folder: Path) -> None:
    with pytest.raises(Mismatch, match=NOT_WHOLE) as refused:
        ask_of(folder, lambda _: time.sleep(0.1), reads=False)
    assert refused.value.code == "BP611"


def test_an_answer_that_dribbles_gets_no_more_time_for_each_byte(folder: Path) -> None:
    def dribbles(client: socket.socket) -> None:
        with suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100):
                client.sendall(b" ")
                time.sleep(0.1)

    began_s = time.monotonic()
    with pytest.raises(Mismatch) as refused:
        ask_of(folder, dribbles, timeout_s=0.5)
    assert time.monotonic() - began_s < 5.0
    assert refused.value.code == "BP611"


def ask_of(
    folder: Path, behave: Callable[[socket.socket], None], *, timeout_s: float = 5.0, reads: bool = True
) -> ControlReply:
    """Ask a server that is none of ours: it takes the request, or leaves it, then behaves as told."""
    with socket.socket(socket.AF_UNIX) as listener, ThreadPoolExecutor(max_workers=1) as pool:
        (folder / "control.sock").unlink(missing_ok=True)
        descriptor = os.open(folder, os.O_PATH)
        listener.bind(f"/proc/self/fd/{descriptor}/control.sock")
        os.close(descriptor)
        listener.listen()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                if reads:
                    client.recv(4096)
                behave(client)

        served = pool.submit(serve)
        try:
            return ask(folder, request(), timeout_s=timeout_s)
        finally:
            served.result()


# ── what stands on the lines ─────────────────────────────────────────────────────────────────


@settings(deadline=None)
@given(st.text().filter(str.isprintable), st.text().filter(str.isprintable))
def test_any_printable_request_survives_the_wire(actor: str, argument: str) -> None:
    asked = ControlRequest(act="throttle", run_id="run-1", actor=actor, argument=argument)
    line = encode_request(asked)
    assert line.count(b"\n") == 1
    assert decode_request(line) == asked


@settings(deadline=None)
@given(st.one_of(st.binary(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)))
def test_whatever_stands_on_a_line_is_malformed_or_a_value_and_nothing_else(line: bytes | str) -> None:
    read: tuple[Callable[[bytes], object], ...] = (decode_request, decode_reply)
    for decode in read:
        with pytest.raises(Malformed):
            decode(line if isinstance(line, bytes) else line.encode())


BARE = len(encode_reply(ControlReply(ok=True, message="paused", details={"rows": ""})))


@pytest.mark.parametrize("size", [0, 60_000, 65_536 - BARE, 65_537 - BARE, 70_000, 1_000_000])
def test_a_reply_fits_its_line_and_keeps_its_verdict_when_its_details_do_not(folder: Path, size: int) -> None:
    async def much(_: ControlRequest) -> ControlReply:
        return ControlReply(ok=True, message="paused", details={"rows": "x" * size})

    reply = serving(folder, lambda: elsewhere(ask, folder, request()), much)
    assert (reply.ok, reply.message) == (True, "paused")
    assert len(encode_reply(reply)) <= 65_536
    assert reply.details == ({"rows": "x" * size} if size + BARE <= 65_536 else {})


@pytest.mark.parametrize("details", [{"a": object()}, {"a": float("nan")}, {"a": {1, 2}}])
def test_details_that_are_no_json_do_not_lose_the_answer(details: dict[str, Any]) -> None:
    reply = decode_reply(encode_reply(ControlReply(ok=True, message="done", details=details)))
    assert (reply.ok, reply.message, reply.details) == (True, "done", {})


def test_a_message_beyond_all_bounds_is_cut() -> None:
    line = encode_reply(ControlReply(ok=False, message="😀" * 100_000))
    assert len(line) <= 65_536
    assert set(decode_reply(line).message) == {"😀"}


# ── what it costs ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("module", "may_load_asyncio"), [("asking", False), ("control", True)])
def test_nothing_heavy_is_imported(module: str, *, may_load_asyncio: bool) -> None:
    script = (
        f"import sys; before = set(sys.modules); import bulkpatch.engine.{module}\n"
        "tops = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print('asyncio' in tops, sorted(tops - sys.stdlib_module_names))"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told == f"{may_load_asyncio} ['bulkpatch']\n"
