"""Programs that give a value: no shell, nothing on stdin, ended with all they started when they take too long."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bulkpatch.ports import Clock
from bulkpatch.secrets.files import os_word
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.kinds import ANSWER_S_MAX
from bulkpatch.secrets.values import VALUE_BYTES_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """How a program ended. ``complaint`` is the beginning of stderr, for who can read it; it is never shown."""

    code: int
    output: bytes
    complaint: bytes


def run(  # noqa: PLR0913 - what a process is made of
    words: Sequence[str],
    *,
    folder: Path,
    environ: Mapping[str, str],
    clock: Clock,
    answer_s: float = ANSWER_S_MAX,
    complaint: bool = False,
) -> Ran:
    """Run it to its end. Raises ``Unusable`` (BP306, BP304) if it does not start, is too slow, or says too much."""
    deadline_s = clock.monotonic() + answer_s
    try:
        process = subprocess.Popen(  # noqa: S603 - the user's own command, split without a shell
            list(words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if complaint else subprocess.DEVNULL,
            cwd=folder,
            env=environ,
            start_new_session=True,
        )
    except OSError as error:
        raise Unusable("BP306", f"the command does not start ({os_word(error)})") from None
    return _waited(process, clock, deadline_s, answer_s)


def _waited(process: subprocess.Popen[bytes], clock: Clock, deadline_s: float, answer_s: float) -> Ran:
    finished = False
    try:
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        output = read_to_end(process.stdout.fileno(), clock, deadline_s, answer_s)
        code = process.wait(max(0.0, deadline_s - clock.monotonic()))
        finished = True
        return Ran(code=code, output=output, complaint=_complaint(process))
    except subprocess.TimeoutExpired:
        raise Unusable("BP306", f"the command did not end within {answer_s:g} s") from None
    finally:
        if not finished:
            # Not reaped yet, so the number still is this group's and nobody else's.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _complaint(process: subprocess.Popen[bytes]) -> bytes:
    """What a program that has ended left in its pipe, without waiting for children that still hold it."""
    if process.stderr is None:
        return b""
    os.set_blocking(process.stderr.fileno(), False)
    try:
        return os.read(process.stderr.fileno(), VALUE_BYTES_MAX)
    except BlockingIOError:
        return b""


def read_to_end(descriptor: int, clock: Clock, deadline_s: float, answer_s: float = ANSWER_S_MAX) -> bytes:
    """What comes until the end of file; raises ``Unusable`` when that is too much or too late."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    raw = bytearray()
    while len(raw) <= VALUE_BYTES_MAX:
        left_ms = (deadline_s - clock.monotonic()) * 1000
        if left_ms <= 0 or not ready.poll(left_ms):
            raise Unusable("BP306", f"it gave no whole value within {answer_s:g} s")
        chunk = os.read(descriptor, VALUE_BYTES_MAX)
        if not chunk:
            return bytes(raw)
        raw += chunk
    raise Unusable("BP304", f"its value is longer than {VALUE_BYTES_MAX // 1024} KiB")
