"""What a process does first, so that its memory, files and last words stay its own."""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import os
import resource
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from traceback import walk_tb
from types import TracebackType
from typing import TextIO

from bulkpatch.errors import CODES, ExitCode, InvalidInput, Problem
from bulkpatch.ports import Redactor

_PR_SET_DUMPABLE = 4
"""From linux/prctl.h: no core dump, and /proc/PID/environ and maps are closed to others of the same user."""

QUIET_LOGGERS = (
    "asyncio",
    "azure",
    "bcdocs",
    "botocore",
    "boto3",
    "charset_normalizer",
    "google",
    "grpc",
    "h11",
    "hpack",
    "httpcore",
    "httpx",
    "hvac",
    "jeepney",
    "keyring",
    "msal",
    "requests",
    "s3transfer",
    "secretstorage",
    "urllib3",
    "uvicorn",
)
"""Libraries whose debug lines hold URLs, headers or bodies."""

FRAMES_MAX = 12
"""Code lines shown of one error, the innermost: enough to find the place."""

CAUSES_MAX = 5
"""Errors shown of one chain or group."""


def harden_process(environ: Mapping[str, str]) -> None:
    """Close the process: files 0600, no core dump, no reading by its neighbours, libraries quiet.

    Raises ``InvalidInput`` (BP118) if ``environ`` would have the keys of every TLS connection
    written to a file. Where the system has no such call (other than Linux) that step is left out.
    """
    if environ.get("SSLKEYLOGFILE"):
        message = "SSLKEYLOGFILE is set: the keys of every TLS connection would be written to a file"
        raise InvalidInput([Problem(code="BP118", message=message, hint=CODES["BP118"].fix)])
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if sys.stderr is not None:
        faulthandler.enable()
    for name in QUIET_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(max(logging.WARNING, logger.level))


def install_excepthook(stream: TextIO, redactor: Redactor) -> None:
    """Let no error print what it carries: not in the main thread, another one, a finaliser, or through ``logging``.

    What stands on ``stream`` instead are type names and code lines. The process then ends with exit 70.
    """

    def tell(error: BaseException | None) -> None:
        if error is not None:
            print(*(redactor.scrub(line) for line in crash_lines(error)), sep="\n", file=stream, flush=True)

    def main_thread(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
        if isinstance(error, KeyboardInterrupt):
            sys.exit(ExitCode.SIGINT)
        tell(error)
        sys.exit(ExitCode.INTERNAL)

    sys.excepthook = main_thread
    threading.excepthook = lambda told: tell(told.exc_value)
    sys.unraisablehook = lambda told: tell(told.exc_value)
    logging.getLogger().addHandler(_Mute(stream, redactor))


def crash_lines(error: BaseException) -> list[str]:
    """An error for a bug report: types, files, lines and functions of it and its causes; no message, no values."""
    told = [f"bulkpatch: internal error [BP901]: {type(error).__name__}", *_frames(error)]
    for cause in list(_causes(error))[:CAUSES_MAX]:
        told += [f"from {type(cause).__name__}", *_frames(cause)]
    return [*told, CODES["BP901"].cause, CODES["BP901"].fix]


def _frames(error: BaseException) -> list[str]:
    frames = list(walk_tb(error.__traceback__))[-FRAMES_MAX:]
    return [f"  {_place(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in frames]


def _place(file: str) -> str:
    """The file without the folders of this machine."""
    return "/".join(PurePath(file).parts[-3:])


def _causes(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield inner
            yield from _causes(inner)
    seen = {id(error)}
    cause = error.__cause__ or error.__context__
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


class _Mute(logging.Handler):
    """Libraries' warnings in one line each: who, and the error's type; message only where no error hangs on it."""

    def __init__(self, stream: TextIO, redactor: Redactor) -> None:
        super().__init__(logging.WARNING)
        self._stream = stream
        self._redactor = redactor

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        told = type(error).__name__ if error is not None else str(record.msg)
        print(self._redactor.scrub(f"{record.name}: {told}"), file=self._stream, flush=True)
