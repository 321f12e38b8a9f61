"""Asks a live run through the socket in its folder; also the words that both ends of that socket speak.

One JSON object a line in, one out. Imports no asyncio: a command that only asks starts at once.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from bulkpatch.errors import Mismatch

SOCKET_FILE = "control.sock"
VERSION = 1
"""Of the protocol; both ends say it, and neither guesses what another version means."""
REQUEST_BYTES_MAX = 4096
"""A request with its line's end; what bulkpatch asks itself is some 200 bytes."""
REPLY_BYTES_MAX = 65_536
"""A reply with its line's end: less than a socket's buffer holds, so no answer waits for its reader."""
MESSAGE_CHARS_MAX = 1_000
"""What is left of a message whose reply is too long; at most 12 bytes each in JSON."""

NOT_ANSWERED = "BP611"
REFUSED = "BP612"
ControlAct: TypeAlias = Literal["pause", "continue", "approve", "throttle", "abort", "status"]
_ACTS = frozenset(get_args(ControlAct))


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequest:
    """What one person asks of one run. ``actor`` is ``user@host (pid N)``, ``argument`` a rate, ``?`` or empty."""

    act: ControlAct
    run_id: str
    actor: str
    argument: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlReply:
    """What came of it. ``details`` is JSON. ``code`` BP612: refused, and nothing was changed; ``ask`` raises it."""

    ok: bool
    message: str
    code: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


class Malformed(ValueError):
    """A line that is no request or no reply; its text says why and shows nothing of the line."""


def ask(folder: Path, request: ControlRequest, *, timeout_s: float = 5.0) -> ControlReply:
    """What the run in ``folder`` says to ``request``; a reply with another code than BP612 may still be a no.

    Waits ``timeout_s`` to be let in, and as long for the answer. Raises ``Mismatch``: BP611 if nobody serves the run
    or no whole answer came, BP612 if the request was refused.
    """
    line = encode_request(request)
    if len(line) > REQUEST_BYTES_MAX:
        raise _refused(f"the request is longer than {REQUEST_BYTES_MAX} bytes")
    try:
        answer = _exchange(folder, line, timeout_s)
    except OSError as error:
        raise _translated(folder, error) from None
    if not answer.endswith(b"\n"):
        raise _unclear(f"{folder.name} ended the talk before its answer was whole")
    try:
        reply = decode_reply(answer)
    except Malformed as flaw:
        raise _unclear(f"the answer of {folder.name} was not understood: {flaw}") from None
    if reply.code == REFUSED:
        raise _refused(reply.message)
    return reply


def _exchange(folder: Path, line: bytes, timeout_s: float) -> bytes:
    descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.stat(SOCKET_FILE, dir_fd=descriptor, follow_symlinks=False).st_mode):
            raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            # The kernel keeps the time: its limit holds for a whole wait, however many pieces the answer comes in.
            limit = struct.pack("@ll", *divmod(max(1, round(timeout_s * 1e6)), 1_000_000))
            talk.setblocking(True)  # noqa: FBT003  (whatever default the process has set)
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
            talk.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            talk.connect(socket_address(folder, descriptor))
            with suppress(BrokenPipeError, ConnectionResetError):  # refused unread: the reply is there all the same
                talk.sendall(line)
                talk.shutdown(socket.SHUT_WR)
            return _whole_answer(talk, folder, timeout_s)
    finally:
        os.close(descriptor)


def _whole_answer(talk: socket.socket, folder: Path, timeout_s: float) -> bytes:
    try:
        return talk.recv(REPLY_BYTES_MAX + 1, socket.MSG_WAITALL)
    except BlockingIOError:
        raise _unclear(f"{folder.name} did not answer within {timeout_s:g} s") from None
    except ConnectionResetError:
        return b""


def socket_address(folder: Path, descriptor: int) -> str:
    """Where ``folder``'s socket is bound and found; ``descriptor`` is the open folder.

    A socket's path ends at 107 bytes and a folder's does not: so it is named through the descriptor.
    """
    through = f"/proc/self/fd/{descriptor}"
    return f"{through}/{SOCKET_FILE}" if os.access(through, os.F_OK) else str(folder / SOCKET_FILE)


def _translated(folder: Path, error: OSError) -> Mismatch:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError | NotADirectoryError):
        hint = "See where it stands with `bulkpatch status`, and go on with `bulkpatch resume`."
        return Mismatch(NOT_ANSWERED, f"no process works on {folder.name}", hint=hint)
    if isinstance(error, PermissionError):
        return _refused(f"{folder.name} belongs to another user")
    if isinstance(error, BlockingIOError):
        hint = "Nothing was asked of it. Try again."
        return Mismatch(NOT_ANSWERED, f"{folder.name} is too busy to let anyone in", hint=hint)
    return Mismatch(NOT_ANSWERED, f"{folder.name} cannot be asked: {error.strerror or error}")


def _unclear(message: str) -> Mismatch:
    hint = "It may have done what it was asked, or may yet: see `bulkpatch status`."
    return Mismatch(NOT_ANSWERED, message, hint=hint)


def _refused(message: str) -> Mismatch:
    return Mismatch(REFUSED, message, hint="Nothing was changed.")


# ── what stands on the lines ─────────────────────────────────────────────────────────────────


def encode_request(request: ControlRequest) -> bytes:
    """``request`` as one line."""
    words = {"act": request.act, "run_id": request.run_id, "actor": request.actor, "argument": request.argument}
    return _line({"v": VERSION} | words)


def decode_request(line: bytes) -> ControlRequest:
    """The request on ``line``; raises ``Malformed``."""
    told = _object(line)
    if told.keys() != {"v", "act", "run_id", "actor", "argument"}:
        raise Malformed("a request has the keys v, act, run_id, actor and argument")
    texts = [told[key] for key in ("act", "run_id", "actor", "argument")]
    # What cannot be printed cannot be kept as text (half a surrogate pair), or rules the terminal it is shown on.
    if not all(isinstance(text, str) and text.isprintable() for text in texts):
        raise Malformed("the values of a request are printable text")
    if texts[0] not in _ACTS:
        raise Malformed(f"a run knows {', '.join(get_args(ControlAct))}")
    return ControlRequest(act=texts[0], run_id=texts[1], actor=texts[2], argument=texts[3])


def encode_reply(reply: ControlReply) -> bytes:
    """``reply`` as one line; without its details, and with a shorter message, if it would be too long or is no JSON."""
    known = {"v": VERSION, "ok": reply.ok, "code": reply.code}
    with suppress(TypeError, ValueError, RecursionError):
        line = _line(known | {"message": reply.message, "details": dict(reply.details)})
        if len(line) <= REPLY_BYTES_MAX:
            return line
    return _line(known | {"message": reply.message[:MESSAGE_CHARS_MAX], "details": {}, "cut": True})


def decode_reply(line: bytes) -> ControlReply:
    """The reply on ``line``; keys that are not known are left aside. Raises ``Malformed``."""
    told = _object(line)
    ok, message, code, details = (told.get(key) for key in ("ok", "message", "code", "details"))
    if not isinstance(ok, bool) or not isinstance(message, str) or not isinstance(details, dict):
        raise Malformed("a reply has ok, message, code and details")
    if code is not None and not isinstance(code, str):
        raise Malformed("the code of a reply is text")
    return ControlReply(ok=ok, message=message, code=code, details=details)


def _line(told: Mapping[str, Any]) -> bytes:
    return json.dumps(told, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _object(line: bytes) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise Malformed("a line is one JSON object") from None
    if not isinstance(told, dict):
        raise Malformed("a line is one JSON object")
    if type(told.get("v")) is not int or told["v"] != VERSION:
        raise Malformed(f"both ends must speak version {VERSION} of the control protocol")
    return told
