"""What commands say: results to stdout, everything else to stderr."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from bulkpatch.errors import BulkpatchError, ExitCode, InvalidInput, LedgerFailed, Problem

PROBLEMS_SHOWN_MAX = 200
"""Problems that are shown one by one; beyond them they are counted by kind and column."""


def say(*lines: str) -> None:
    """Lines of the result."""
    with _written():
        for line in lines:
            print(line)  # noqa: T201  (this is where the program speaks)


def say_bytes(document: bytes) -> None:
    """A result that is no text."""
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
    """Lines about the work. A terminal that went away changes nothing about it."""
    with suppress(OSError):
        for line in lines:
            print(line, file=sys.stderr)  # noqa: T201


def say_json(schema: str, document: Mapping[str, Any]) -> None:
    """The one JSON object of a command in JSON mode."""
    say(json.dumps({"schema": schema, **document}, indent=1, default=str))


def refused(error: BulkpatchError) -> int:
    """Show what ended the command; returns its exit code."""
    if isinstance(error, InvalidInput):
        for problem in error.problems[:PROBLEMS_SHOWN_MAX]:
            tell(*problem_lines(problem), "")
        count, hidden = len(error.problems) + error.omitted, error.problems[PROBLEMS_SHOWN_MAX:]
        for (code, column), number in Counter((one.code, one.column_name) for one in hidden).most_common():
            tell(f"and {number:,} more like it: error[{code}]" + (f" in column {column}" if column else ""))
        if error.omitted:
            tell(f"and {error.omitted:,} more that are not listed")
        tell(f"{count:,} {'error' if count == 1 else 'errors'}. Nothing was sent.")
    else:
        tell(f"error[{error.code}]: {error.message}", *([f"  fix: {error.hint}"] if error.hint else []))
    return int(error.exit_code)


def problem_lines(problem: Problem) -> Sequence[str]:
    """One problem: what, where, the source around it, the fix."""
    word = "warning" if problem.warning else "error"
    lines = [f"{word}[{problem.code}]: {problem.message}"]
    place = problem.place
    if problem.column_name is not None:
        place += f" (column {problem.column_name})"
    if place:
        lines.append(f"  at {place}")
    lines += [f"  {line}" for line in problem.frame.splitlines()]
    if problem.hint:
        lines.append(f"  fix: {problem.hint}")
    return lines


def refuse_command_line(error: Exception) -> int:
    """A command line that was not understood."""
    tell(f"error[BP120]: {error}", "  fix: see bulkpatch --help, or --help of the command")
    return int(ExitCode.INVALID)
