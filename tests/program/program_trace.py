"""Faults at system calls, by strace: the n-th call of a kind fails, or kills the process that makes it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest


@cache
def _may_trace() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "-qq", "-o", "/dev/null", "true"], check=False).returncode == 0
    )


def injecting(calls: str, fault: str, *, paths: Sequence[Path] = ()) -> list[str]:
    """What goes before a command so that ``fault`` strikes ``calls``, on ``paths`` only if there are any.

    ``fault`` is strace's: ``error=ENOSPC``, ``signal=KILL:when=3``. Skips where no process may be traced.
    """
    if not _may_trace():
        pytest.skip("strace is not there, or no process may be traced here: no fault was put in")
    watched = [word for path in paths for word in ("-P", str(path))]
    return [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-o",
        "/dev/null",
        *watched,
        "-e",
        f"inject={calls}:{fault}",
        "-e",
        f"trace={calls}",
    ]


def watching(thread: int, calls: str, *, fault: str = "", to: Path | None = None) -> subprocess.Popen[bytes]:
    """A tracer of one thread that runs already. It ends with the thread; ``to`` gets a line for each of ``calls``."""
    injected = ["-e", f"inject={calls}:{fault}"] if fault else []
    command = ["strace", "-qq", "-o", str(to or "/dev/null"), "-e", f"trace={calls}", *injected, "-p", str(thread)]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def need_tracing() -> None:
    """Skip where no process may be traced."""
    injecting("write", "error=EIO")
