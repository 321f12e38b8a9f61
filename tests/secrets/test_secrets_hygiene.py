"""The process keeps to itself: no core, no foreign reader, no chatty library, no value in a crash."""

from __future__ import annotations

import subprocess
import sys
from io import StringIO

import pytest
from secrets_rig import ASCII, redactor_of

from bulkpatch.errors import InvalidInput
from bulkpatch.secrets.hygiene import crash_lines, harden_process


def run(program: str) -> subprocess.CompletedProcess[str]:
    """A fresh Python that runs ``program``."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)


def test_hardened_process() -> None:
    """Umask, core limit, dumpable flag and log levels, read back from the system."""
    done = run(
        "import os, ctypes, logging, resource, faulthandler\n"
        "from bulkpatch.secrets.hygiene import harden_process\n"
        "logging.getLogger('hpack').setLevel(logging.DEBUG)\n"
        "logging.getLogger('httpx').setLevel(logging.CRITICAL)\n"
        "harden_process({})\n"
        "print(oct(os.umask(0)), resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))\n"
        "levels = [logging.getLogger(name).getEffectiveLevel() for name in ('hpack', 'httpx', 'httpcore.http11')]\n"
        "print(levels, faulthandler.is_enabled())\n"
    )
    dumpable = 0 if sys.platform == "linux" else -1
    assert done.stdout == f"0o77 (0, 0) {dumpable}\n[30, 50, 30] True\n"


def test_a_file_for_tls_keys_is_refused() -> None:
    """SSLKEYLOGFILE would undo TLS; its path is not shown."""
    with pytest.raises(InvalidInput) as refused:
        harden_process({"SSLKEYLOGFILE": "/tmp/keys"})  # noqa: S108 - never opened
    assert refused.value.code == "BP118"
    assert "/tmp/keys" not in str(refused.value)  # noqa: S108 - never opened


CRASH = f"""
import logging, sys, threading
from bulkpatch.secrets.hygiene import install_excepthook
from bulkpatch.secrets.redaction import LiveRedactor
install_excepthook(sys.stderr, LiveRedactor())
SECRET = "{ASCII}"
def inner():
    raise KeyError(SECRET)
def fail():
    try:
        inner()
    except KeyError as error:
        raise ValueError("bad value " + SECRET) from error
"""


@pytest.mark.proves("G7")
@pytest.mark.parametrize(
    ("last", "code", "told"),
    [
        ("fail()", 70, ["ValueError", "from KeyError", "in fail", "in inner"]),
        ("raise ExceptionGroup(SECRET, [OSError(5, SECRET)])", 70, ["ExceptionGroup", "from OSError"]),
        ("thread = threading.Thread(target=fail); thread.start(); thread.join()", 0, ["ValueError", "from KeyError"]),
        ("class A:\n    def __del__(self): fail()\nA()", 0, ["ValueError"]),
        ("logging.getLogger('lib').error('went wrong: %s', SECRET)", 0, ["lib: went wrong: %s"]),
        ("try:\n    fail()\nexcept ValueError as e: logging.exception('it was %s', e)", 0, ["root: ValueError"]),
        ("raise KeyboardInterrupt(SECRET)", 130, []),
    ],
)
def test_no_way_out_shows_what_an_error_carries(last: str, code: int, told: list[str]) -> None:
    """Main thread, groups, other threads, finalisers, logging, ^C: types and places only."""
    done = run(CRASH + last)
    assert done.returncode == code
    assert ASCII not in done.stdout + done.stderr
    for part in told:
        assert part in done.stderr


def test_crash_lines_name_places_without_the_folders_above() -> None:
    """Enough for a bug report, nothing of this machine."""
    try:
        redactor_of().add(None)  # type: ignore[arg-type]
    except AttributeError as error:
        lines = crash_lines(error)
    assert lines[0] == "bulkpatch: internal error [BP901]: AttributeError"
    assert any(
        line.startswith("  bulkpatch/secrets/redaction.py:") and line.endswith("LiveRedactor.add") for line in lines
    )
    assert not [line for line in lines if line.strip().startswith("/")]


def test_a_long_chain_is_cut() -> None:
    """A recursion error or a loop of causes does not fill the terminal."""

    def deep(left: int) -> None:
        if left == 0:
            raise OSError(ASCII)
        try:
            deep(left - 1)
        except OSError as error:
            raise OSError(ASCII) from error

    try:
        deep(40)
    except OSError as error:
        lines = crash_lines(error)
    out = StringIO()
    print(*lines, sep="\n", file=out)
    assert len(lines) < 100
    assert ASCII not in out.getvalue()
