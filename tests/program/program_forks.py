"""The program without its start: one process imports all of it once, and every child is a fork of that one.

A child runs ``bulkpatch.cli.main`` with its own arguments, environment, folder and files, and ends as the program
does. It may be held until a tracer watches one of its threads: the main one, or the one that writes the ledger.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from program_rig import Bench, Child, renaming_job, renaming_rows, until

POLL_S = 0.002


# ── in the test's process ────────────────────────────────────────────────────────────────────


class Forks:
    """``with Forks() as forks``: the process that forks. Any thread may ask it."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._server = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, **what: Any) -> Any:
        """What the server says to ``what``."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        with self._turn:
            self._server.stdin.write(json.dumps(what) + "\n")
            return json.loads(self._server.stdout.readline())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._server.stdin, self._server.stdout):
            if pipe is not None:
                pipe.close()
        self._server.wait(30)


class Forked:
    """A fork, with as much of ``subprocess.Popen`` as a ``Child`` asks for."""

    def __init__(self, forks: Forks, pid: int) -> None:
        self.pid = pid
        self._forks = forks
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, or None."""
        if self._code is None:
            self._code = self._forks.ask(poll=self.pid)
        return self._code

    def wait(self, deadline_s: float = 60.0) -> int:
        """Its exit code, once it has one."""
        until(lambda: self.poll() is not None, deadline_s)
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Nothing, if it is gone: only what was not reaped is ours."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkBench(Bench):
    """A bench whose program is a fork."""

    forks: Forks

    def start(self, *arguments: str | Path, environ: Mapping[str, str] | None = None, **how: Any) -> Child:
        """As ``Bench.start``.

        ``hold``: ``main`` or ``ledger``, the thread that says in the file ``held`` who it is, and waits to be traced.
        ``relaxed``: the ledger does not sync at every commit.
        """
        streams = [tempfile.TemporaryFile() for _ in ("out", "err")]  # noqa: SIM115  (closed with the child)
        pid = self.forks.ask(
            argv=["bulkpatch", *map(str, arguments)],
            environ={**self.environ, **(environ or {})},
            folder=str(self.folder),
            streams=[f"/proc/{os.getpid()}/fd/{stream.fileno()}" for stream in streams],
            **how,
        )
        child = Child(Forked(self.forks, pid), streams)  # type: ignore[arg-type]
        self._children.append(child)
        return child


# ── in the process that forks ────────────────────────────────────────────────────────────────


def _serve() -> None:
    import_module("bulkpatch.cli")
    for name in _names_of_a_run():
        import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        if "poll" in asked:
            pid, status = os.waitpid(asked["poll"], os.WNOHANG)
            said = os.waitstatus_to_exitcode(status) if pid else None
        else:
            said = os.fork()
            if said == 0:
                _become(asked)
        print(json.dumps(said), flush=True)  # noqa: T201  (to who asked)


def _names_of_a_run() -> list[str]:
    """What a run has imported by its end: told by a process that made one, since imports come late here."""
    script = (
        "import sys; from bulkpatch.cli import run_command; code = run_command(sys.argv[1:]);"
        "print('\\n'.join(['', str(code), *sys.modules]))"
    )
    with tempfile.TemporaryDirectory() as folder:
        job, rows = Path(folder, "job.toml"), Path(folder, "fleet.csv")
        job.write_text(renaming_job("https://api.example.com"))
        rows.write_text(renaming_rows(["one", "two"]))
        command = [sys.executable, "-c", script, "run", "job.toml", "--simulate", "--yes"]
        told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    code, *names = told.stdout.partition("\n0\n")[2].split("\n") if "\n0\n" in told.stdout else [told.stdout]
    return [name for name in [code, *names] if name.strip() and not name.startswith("__")]


def _become(asked: Mapping[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    for target, path in enumerate(["/dev/null", *asked["streams"]]):
        descriptor = os.open(path, os.O_RDWR)
        os.dup2(descriptor, target)
        os.close(descriptor)
    sys.argv = asked["argv"]
    if asked.get("relaxed"):
        _relax()
    hold = asked.get("hold")
    if hold == "main":
        _held()
    elif hold == "ledger":
        vars(import_module("bulkpatch.engine.system"))["ThreadPoolExecutor"] = partial(
            ThreadPoolExecutor, initializer=_held
        )
    import_module("bulkpatch.cli").main()


def _relax() -> None:
    """A ledger that is not synced at every commit: what a judge of power cuts must find out."""
    opening = vars(import_module("bulkpatch.ledger.opening"))
    connect = opening["_connect"]

    def relaxed(path: Path, *, journal: str) -> Any:
        connection = connect(path, journal=journal)
        connection.execute("PRAGMA synchronous = NORMAL")
        return connection

    opening["_connect"] = relaxed


def _held() -> None:
    """Wait until this thread is traced."""
    thread = threading.get_native_id()
    Path("held").write_text(str(thread))
    while "TracerPid:\t0\n" in Path(f"/proc/self/task/{thread}/status").read_text():
        time.sleep(POLL_S)


if __name__ == "__main__":
    _serve()
