"""Lets a live run be asked and told from another terminal, through a socket in its folder."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

from bulkpatch.engine.asking import (
    REFUSED,
    REQUEST_BYTES_MAX,
    SOCKET_FILE,
    ControlAct,
    ControlReply,
    ControlRequest,
    Malformed,
    decode_request,
    encode_reply,
    socket_address,
)
from bulkpatch.errors import BulkpatchError, InvalidInput, LedgerFailed, Problem

__all__ = ["ControlAct", "ControlReply", "ControlRequest", "ControlServer", "Handle"]

Handle: TypeAlias = Callable[[ControlRequest], Awaitable[ControlReply]]

CLIENTS_MAX = 16
"""Talks at once: some people with some terminals each; every one holds a descriptor that the run may need."""
IDLE_S = 5.0
"""Seconds for a whole request to come, and for its reply to be taken."""
GRACE_S = 2.0
"""Seconds that the run's end waits for replies under way: an act's commit takes milliseconds."""
LATER_S = 1.0
"""Seconds until the next look when no descriptor was left for a client."""
_PEER = struct.Struct("3i")
"""What SO_PEERCRED gives: pid, uid, gid of the process that connected."""


class ControlServer:
    """``async with ControlServer(folder, handle):`` — while it lasts, the run in ``folder`` answers requests.

    ``handle`` is called in the loop, for several clients at once, and its reply is sent when it returns; what it
    raises becomes the reply. Nothing that a client does is raised, and none is waited for. The caller holds the run's
    lock. Raises ``InvalidInput`` (BP122) where no socket can be made, ``LedgerFailed`` (BP606, BP607) if the disk is at
    fault.
    """

    def __init__(self, folder: Path, handle: Handle, *, idle_s: float = IDLE_S) -> None:
        self._folder = folder
        self._run_id = folder.resolve().name  # "." and a link have no name, or another one, to go by
        self._handle = handle
        self._idle_s = idle_s
        self._door: _Door | None = None
        self._talks: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._later: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        try:
            self._door = _open_door(self._folder)
        except OSError as error:
            raise _translated(self._folder, error) from None
        self._watch(self._door)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        door, self._door = self._door, None
        if door is None:
            return
        asyncio.get_running_loop().remove_reader(door.listener)
        if self._later is not None:
            self._later.cancel()
        door.close()
        try:
            for talk in self._talks - self._answering:
                talk.cancel()
            if self._talks:
                await asyncio.wait(self._talks, timeout=GRACE_S)
        finally:
            for talk in self._talks:
                talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    # ── clients come in ──────────────────────────────────────────────────────────────────────

    def _watch(self, door: _Door) -> None:
        asyncio.get_running_loop().add_reader(door.listener, self._admit, door)

    def _admit(self, door: _Door) -> None:
        loop = asyncio.get_running_loop()
        try:
            client, _ = door.listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError:  # no descriptor or memory is left, and the client stays at the door: do not spin on it
            loop.remove_reader(door.listener)
            self._later = loop.call_later(LATER_S, self._watch, door)
            return
        client.setblocking(False)  # noqa: FBT003  (the standard library's own)
        if (why := self._unwelcome(client)) is not None:
            with suppress(OSError):
                client.send(encode_reply(_no(why)))
            client.close()
            return
        talk = loop.create_task(self._talk(client))
        self._talks.add(talk)
        # Closed here and not in the task: one that is cancelled before its first step never gets to a finally.
        talk.add_done_callback(partial(self._left, client))

    def _left(self, client: socket.socket, talk: asyncio.Task[None]) -> None:
        self._talks.discard(talk)
        client.close()

    def _unwelcome(self, client: socket.socket) -> str | None:
        _, uid, _ = _PEER.unpack(client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))
        if uid not in {0, os.geteuid()}:
            return "only the user who runs it, or root, may ask this run"
        return f"{CLIENTS_MAX} others are being answered" if len(self._talks) >= CLIENTS_MAX else None

    # ── one client ───────────────────────────────────────────────────────────────────────────

    async def _talk(self, client: socket.socket) -> None:
        heard = bytearray()
        with suppress(OSError):  # the client is gone or takes no answer: what was done stands in the ledger
            while self._door is not None and await self._answered(client, heard):
                pass

    async def _answered(self, client: socket.socket, heard: bytearray) -> bool:
        """Answer the next request; True if another may follow."""
        try:
            line = await self._next_line(client, heard)
            request = decode_request(line) if line else None
        except Malformed as flaw:
            await self._send(client, _no(str(flaw)))
            return False
        if request is None:
            return False
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  (a coroutine that is awaited runs in a task)
        self._answering.add(task)
        try:
            reply = await self._reply(request)
            await self._send(client, reply)
        finally:
            self._answering.discard(task)
        return reply.code != REFUSED

    async def _next_line(self, client: socket.socket, heard: bytearray) -> bytes:
        """The next line, taken off ``heard``, or nothing at the end. Raises ``Malformed``."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._idle_s):
                while (end := heard.find(b"\n") + 1) == 0:
                    if len(heard) >= REQUEST_BYTES_MAX:
                        raise Malformed(f"a request has at most {REQUEST_BYTES_MAX} bytes")
                    more = await loop.sock_recv(client, REQUEST_BYTES_MAX - len(heard))
                    if not more and heard:
                        raise Malformed("the request broke off")
                    if not more:
                        return b""
                    heard += more
        except TimeoutError:
            raise Malformed(f"no request came within {self._idle_s:g} s") from None
        line = bytes(heard[:end])
        del heard[:end]
        return line

    async def _reply(self, request: ControlRequest) -> ControlReply:
        if request.run_id != self._run_id:
            return _no(f"this is {self._run_id}, not the run that was named")
        try:
            return await self._handle(request)
        except BulkpatchError as failure:
            return ControlReply(ok=False, message=failure.message, code=failure.code)
        except Exception as failure:  # noqa: BLE001  (told to the one who asked; the run goes on)
            return ControlReply(ok=False, message=f"internal error: {type(failure).__name__}", code="BP901")

    async def _send(self, client: socket.socket, reply: ControlReply) -> None:
        async with asyncio.timeout(self._idle_s):
            await asyncio.get_running_loop().sock_sendall(client, encode_reply(reply))


def _no(why: str) -> ControlReply:
    return ControlReply(ok=False, message=why, code=REFUSED)


# ── the socket in the folder ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """The bound socket, its folder, and which file it is."""

    folder: int
    listener: socket.socket
    file: tuple[int, int]

    def close(self) -> None:
        """Listen no more and take the file away, if it is still ours; one that stays, the next process replaces."""
        with suppress(OSError):
            found = os.stat(SOCKET_FILE, dir_fd=self.folder, follow_symlinks=False)
            if (found.st_dev, found.st_ino) == self.file:
                os.unlink(SOCKET_FILE, dir_fd=self.folder)
        self.listener.close()
        os.close(self.folder)


def _open_door(path: Path) -> _Door:
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        _clear(folder)
        # Linux gives the file the mode that the socket has when it is bound: private from its first moment, and no
        # other thread's umask is touched.
        os.fchmod(listener.fileno(), 0o600)
        listener.bind(socket_address(path, folder))
        listener.listen(CLIENTS_MAX)
        found = os.stat(SOCKET_FILE, dir_fd=folder, follow_symlinks=False)
    except BaseException:
        listener.close()
        os.close(folder)
        raise
    return _Door(folder=folder, listener=listener, file=(found.st_dev, found.st_ino))


def _clear(folder: int) -> None:
    """Take away the socket of a process that died; anything else in its place is not ours to touch."""
    try:
        found = os.stat(SOCKET_FILE, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise _unusable(f"{SOCKET_FILE} in the run's folder is no socket", "See who put it there, and remove it.")
    os.unlink(SOCKET_FILE, dir_fd=folder)


def _unusable(message: str, hint: str) -> InvalidInput:
    return InvalidInput([Problem(code="BP122", message=message, hint=hint)])


def _translated(folder: Path, error: OSError) -> BulkpatchError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return LedgerFailed("BP606", "the disk is full", hint="Free some space, then try again.")
    if error.errno == errno.EIO:
        return LedgerFailed("BP607", "the disk of the ledger fails", hint="Check the disk, then try again.")
    what = error.strerror or str(error)
    return _unusable(f"no control socket can be made in {folder}: {what}", "Use a local disk: --report-dir DIR.")
