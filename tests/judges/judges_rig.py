"""Servers that others wrote, each on a free loopback port for as long as a test needs it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
INSTALLED: Final = ROOT / ".judges"
START_S_MAX: Final = 60.0
"""Seconds for a server to accept; a Java one takes 3 s on a free machine and much longer on a busy one."""
STOP_S_MAX: Final = 5.0
"""Seconds for it to end before it is killed."""


def program(name: str) -> str:
    """Where ``name`` lies, of the machine or installed here; the test is skipped, loudly, if it does not."""
    places = (INSTALLED / "mitmproxy" / "bin" / name, INSTALLED / "npm" / "node_modules" / ".bin" / name)
    # /usr/sbin is on root's PATH only
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") or next(
        filter(os.path.exists, map(str, places)), None
    )
    return found or _skip(name)


def installed(place: str) -> str:
    """The file of ``.judges`` at ``place``; the test is skipped, loudly, if it is not there."""
    path = INSTALLED / place
    return str(path) if path.exists() else _skip(path.name)


def _skip(name: str) -> str:
    pytest.skip(f"NOT JUDGED: {name} is missing; tests/judges/install.sh, run as root on Debian, installs it")


@contextmanager
def judging(
    folder: Path, command: Callable[[int], Sequence[str]], *, environ: Mapping[str, str] | None = None
) -> Iterator[str]:
    """``command(port)`` as a server that works in ``folder``, until the block ends; its base URL."""
    port = free_port()
    log = folder / f"server-{port}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command(port),
            cwd=folder,
            env={"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _until_accepting(port, process, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        _end(process)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody had a moment ago."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


def _until_accepting(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end_s = time.monotonic() + START_S_MAX
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            tail = f"{process.args!r} does not serve:\n{log.read_text(errors='replace')[-2000:]}"
            assert process.poll() is None, tail
            assert time.monotonic() < end_s, tail
            time.sleep(0.02)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started: they are a session of their own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
