"""The user's own command at the end of a process's part in a run: a page, a message, a ticket. Counts only."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bulkpatch.model import RowState, RunResult

HOOK_S_MAX: Final = 30.0
"""Seconds that a command has: a message is sent in one, and a run's end should not wait for more."""
PASSED_ON: Final = ("PATH", "HOME", "LANG")
"""Variables that a command gets besides those about the run: not the API key, not a secret."""


def on_stop(command: str | None, folder: Path, result: RunResult, environ: Mapping[str, str]) -> str:
    """Run ``command`` (words, no shell) with the run's end in its environment; why it came to nothing, or nothing.

    ``BULKPATCH_RUN``, ``_FOLDER``, ``_STATUS``, ``_EXIT_CODE``, ``_CODE``, ``_ROWS``, and ``_STATE_<STATE>`` of each.
    It never changes how the run ended.
    """
    if command is None:
        return ""
    try:
        process = subprocess.Popen(  # noqa: S603  (the user's own command, split without a shell)
            shlex.split(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**_about(result), **{name: environ[name] for name in PASSED_ON if name in environ}},
            start_new_session=True,
        )
    except OSError as error:
        return f"[hooks] on_stop did not start: {os.strerror(error.errno or 0).lower()}"
    try:
        code = process.wait(HOOK_S_MAX)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"[hooks] on_stop did not end within {HOOK_S_MAX:g} s, and was ended"
    return f"[hooks] on_stop ended with exit code {code}" if code else ""


def _about(result: RunResult) -> Mapping[str, str]:
    told = {
        "RUN": result.run_id,
        "FOLDER": str(Path(result.folder).absolute()),
        "STATUS": result.status,
        "EXIT_CODE": int(result.exit_code),
        "CODE": result.code or "",
        "ROWS": result.snapshot.total,
        **{f"STATE_{state.upper()}": result.snapshot.states.get(state, 0) for state in RowState},
    }
    return {f"BULKPATCH_{name}": str(value) for name, value in told.items()}
