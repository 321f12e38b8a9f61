"""What commands say: results to stdout, everything else to stderr."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from bulkpatch.errors import LedgerFailed
from bulkpatch.observe.words import harmless, within


def say(*lines: str) -> None:
    """Lines of the result; what an API wrote into them cannot reach the terminal. JSON stays what it was."""
    with _written():
        for line in lines:
            print(_shown(line))  # noqa: T201  (this is where the program speaks)


def broken(stream: TextIO, lines: Iterable[str]) -> Iterator[str]:
    """``lines``, each broken between words where ``stream`` leads to a terminal that is too narrow for it."""
    width = columns(stream)
    return (part for line in lines for part in within(width, line))


def columns(stream: TextIO) -> int | None:
    """Columns of the terminal that ``stream`` leads to; None where it leads elsewhere."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (OSError, ValueError):
        return None


def say_bytes(document: bytes) -> None:
    """A result for programs, byte for byte."""
    with _written():
        sys.stdout.buffer.write(document)
        sys.stdout.buffer.flush()


@contextmanager
def _written() -> Iterator[None]:
    """Who stops reading a result is no error. Raises ``LedgerFailed`` if the disk that it goes to is full or fails."""
    try:
        yield
    except BrokenPipeError:
        pass
    except OSError as error:
        code = "BP606" if error.errno == errno.ENOSPC else "BP607"
        words = f"the result cannot be written: {os.strerror(error.errno or 0).lower()}"
        raise LedgerFailed(code, words, hint="Write it elsewhere.") from None


def tell(*lines: str) -> None:
    """Lines about the work, as harmless. A terminal that went away changes nothing about it."""
    with suppress(OSError):
        for line in lines:
            print(_shown(line), file=sys.stderr)  # noqa: T201


def _shown(text: str) -> str:
    return "\n".join(map(harmless, text.split("\n")))


def say_json(schema: str, document: Mapping[str, Any]) -> None:
    """The one JSON object of a command in JSON mode."""
    say(json.dumps({"schema": schema, **document}, indent=1, default=str))
