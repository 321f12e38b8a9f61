"""What commands say where they are refused: words for a person on stderr, and in JSON mode an object on stdout."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from difflib import get_close_matches
from itertools import pairwise

from cyclopts.exceptions import CycloptsError, MissingArgumentError, UnknownOptionError, UnusedCliTokensError

from bulkpatch.cli.app import COMMANDS
from bulkpatch.cli.speaking import columns, say_json, tell
from bulkpatch.errors import CODES, BulkpatchError, InvalidInput, LedgerFailed, NotConfirmed, Problem
from bulkpatch.errors.frames import narrowed
from bulkpatch.observe.words import within

PROBLEMS_SHOWN_MAX = 200
"""Problems that are shown one by one; beyond them they are counted by kind and column."""
ERROR_KEYS = ("code", "message", "hint", "file", "line", "column", "column_name", "row")
"""What JSON mode tells of each problem."""
JSON_ASKED = frozenset({"-o=json", "-ojson", "--output=json"})
"""The forms in which JSON is asked for."""
FILES_OUT = frozenset({"plan", "reverse"})
"""Commands whose ``-o`` names a file or a folder."""
ON_THE_WAY = frozenset({"check", "plan", "run", "resume", "retry"})
"""Commands of which a user must know, after an error, that nothing was sent."""

_INDENT = "  "


def refused(error: BulkpatchError, argv: Sequence[str] = ()) -> int:
    """Show what ended the command ``argv``; returns its exit code. In JSON mode a program can read it, too."""
    if is_json(argv):
        say_errors(error)
    if isinstance(error, InvalidInput):
        for problem in error.problems[:PROBLEMS_SHOWN_MAX]:
            tell(*problem_lines(problem, columns(sys.stderr)), "")
        count, hidden = len(error.problems) + error.omitted, error.problems[PROBLEMS_SHOWN_MAX:]
        for (code, column), number in Counter((one.code, one.column_name) for one in hidden).most_common():
            tell(f"and {number:,} more like it: error[{code}]" + (f" in column {column}" if column else ""))
        if error.omitted:
            tell(f"and {error.omitted:,} more that are not listed")
        tell(f"{count:,} {'error' if count == 1 else 'errors'}." + (" Nothing was sent." if may_send(argv) else ""))
    else:
        tell(*problem_lines(_problem_of(error), columns(sys.stderr)))
    return int(error.exit_code)


def is_json(argv: Sequence[str]) -> bool:
    """Whether the command line asks for JSON: ``--json`` where ``-o`` names a file, else ``-o json``."""
    if set(argv[:1]) & FILES_OUT:
        return "--json" in argv
    joined = [f"{name}={value}" for name, value in pairwise(argv)]
    return not JSON_ASKED.isdisjoint([*argv, *joined])


def may_send(argv: Sequence[str]) -> bool:
    """Whether one may ask, after an error, if anything was sent."""
    return not ON_THE_WAY.isdisjoint(argv[:1])


def say_errors(error: BulkpatchError) -> None:
    """The errors as the one JSON object on stdout; where that cannot be written, stderr has them all the same."""
    problems = error.problems if isinstance(error, InvalidInput) else [_problem_of(error)]
    omitted = error.omitted if isinstance(error, InvalidInput) else 0
    listed = [{name: getattr(one, name) for name in ERROR_KEYS} for one in problems]
    with suppress(LedgerFailed):
        say_json("bulkpatch.errors/1", {"exit_code": int(error.exit_code), "errors": listed, "omitted": omitted})


def _problem_of(error: BulkpatchError) -> Problem:
    """The fix is the code's own where the error names none; who said no to a question needs none."""
    fix = "" if isinstance(error, NotConfirmed) else CODES[error.code].fix
    return Problem(code=error.code, message=error.message, hint=error.hint or fix)


def problem_lines(problem: Problem, width: int | None = None) -> Sequence[str]:
    """One problem: what, where, the source around it, the fix; words and source within ``width`` columns, if given."""
    word = "warning" if problem.warning else "error"
    lines = within(width, f"{word}[{problem.code}]: {problem.message}")
    place = problem.place
    if problem.column_name is not None:
        place += f" (column {problem.column_name})"
    if place:
        lines += within(width, f"{_INDENT}at {place}")
    frame = problem.frame if width is None or not problem.frame else narrowed(problem.frame, width - len(_INDENT))
    lines += [f"{_INDENT}{line}" for line in frame.splitlines()]
    if problem.hint:
        lines += within(width, f"{_INDENT}fix: {problem.hint}")
    return lines


def command_line_problem(error: CycloptsError, command: str) -> InvalidInput:
    """What is wrong with the command line, in our words: a value that is typed at the wrong place is not shown."""
    words, hint = str(error), f"See bulkpatch {command} --help." if command in COMMANDS else "See bulkpatch --help."
    match error:
        case UnknownOptionError():
            name = (error.token.keyword or error.token.value).partition("=")[0]
            words, hint = f"no option {name}", _meant(name, error) or hint
        case UnusedCliTokensError():
            words = f"{command} takes fewer arguments"
        case MissingArgumentError() if error.argument is not None and error.keyword is None:
            asked = error.argument
            name = " or ".join(asked.names) if asked.index is None else asked.name.lstrip("-").upper()
            words = f"{command} needs {name}"
    return InvalidInput([Problem(code="BP120", message=words, hint=hint)])


def _meant(name: str, error: UnknownOptionError) -> str:
    """The option that ``name`` resembles, by its letters and not its dashes; or nothing."""
    known = {one.lstrip("-"): one for argument in error.argument_collection for one in argument.names}
    near = get_close_matches(name.lstrip("-"), known, n=1)
    return f"Did you mean {known[near[0]]}?" if near else ""
