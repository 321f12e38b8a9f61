"""Questions with a default and a check: answered by a flag, on a terminal, or by the default."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bulkpatch.cli.speaking import tell
from bulkpatch.core.quantities import parse_rate
from bulkpatch.errors import InvalidInput, NotConfirmed, Problem
from bulkpatch.job.references import check_template
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.prequel.signing import is_supplied
from bulkpatch.secrets.references import check_form

Check = Callable[[str], str]
"""Text as typed → the answer. Raises ``ValueError`` with words for the person."""

CANARY_MAX: Final = 1_000_000
"""Rows of a first wave; a larger one is no canary."""
NAME_CHARS_MAX: Final = 200
"""As in a job file."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Question:
    """``flag`` answers it as well; it is asked for jobs of the kind ``only``, or for all."""

    flag: str
    words: str
    default: str
    check: Check
    only: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks on the terminal where there is one, unless ``silent``: then what has no flag has its default."""

    silent: bool

    def settle(self, question: Question, given: str | None) -> str:
        """The answer, checked. On a terminal it is asked until it holds.

        Raises ``InvalidInput`` for a flag or default that does not hold, ``NotConfirmed`` where nothing more is typed.
        """
        if given is not None or self.silent or not sys.stdin.isatty():
            return _held(question, question.default if given is None else given)
        while True:
            tell(f"{question.words} [{question.default}]")
            if not (line := _typed()):
                raise NotConfirmed(
                    "BP121", "not answered, so nothing was written", hint="Answer, or give flags and -y."
                )
            try:
                return question.check(line.strip() or question.default)
            except ValueError as flaw:
                tell(f"  {flaw}")


def _typed() -> str:
    """The line that is typed; nothing at ^C, as at ^D."""
    try:
        return sys.stdin.readline()
    except KeyboardInterrupt:
        tell("")
        return ""


def _held(question: Question, text: str) -> str:
    try:
        return question.check(text)
    except Taken as there:
        raise InvalidInput([Problem(code="BP125", message=str(there), hint="Use another --name.")]) from None
    except ValueError as flaw:
        words = f"{'KIND' if question.flag == 'kind' else f'--{question.flag}'}: {flaw}"
        raise InvalidInput([Problem(code="BP120", message=words, hint="See bulkpatch init --help.")]) from None


# ── what an answer may be ────────────────────────────────────────────────────────────────────


def one_of(*words: str) -> Check:
    """Only these."""

    def check(text: str) -> str:
        if text not in words:
            raise ValueError(f"one of {', '.join(words)}")
        return text

    return check


class Taken(ValueError):
    """A name whose files are there already."""


def a_name(folder: Path) -> Check:
    """A job's name, for which nothing lies in ``folder`` yet."""

    def check(text: str) -> str:
        if not _NAME.fullmatch(text) or len(text) > NAME_CHARS_MAX:
            raise ValueError("lower-case letters, digits, dot, underscore and hyphen, a letter or digit first")
        for path in (folder / f"{text}.toml", folder / f"{text}.csv"):
            if path.exists():
                raise Taken(f"{path} exists already")
        return text

    return check


def a_rate(text: str) -> str:
    """Requests per unit of time."""
    parse_rate(text)
    return text


def a_canary(text: str) -> str:
    """Rows of a first wave."""
    if not text.isascii() or not text.isdigit() or int(text) > CANARY_MAX:
        raise ValueError(f"a whole number, 0 to {CANARY_MAX}")
    return str(int(text))


def a_text(text: str) -> str:
    """Any printable text."""
    if not text or not text.isprintable():
        raise ValueError("text that can be printed")
    return text


def a_secret_field(text: str) -> str:
    """A secret field that may be set, or the first one of a vendor."""
    known = [field.path for field in catalogue().fields.values() if field.secret and not is_supplied(field.path)]
    if found := next((path for path in known if text in {path, path.partition(".")[0]}), None):
        return found
    near = catalogue().suggest(text)
    raise ValueError(
        "no secret field" + (f"; did you mean {near}?" if near else "; see bulkpatch schema --search secret")
    )


def a_reference(text: str) -> str:
    """A secret reference that can be served here, ``{column}`` in it filled from the row."""
    check_template(text)
    if flaw := check_form(re.sub(r"\{[^{}]+\}", "x", text)):
        raise ValueError(flaw.message)
    return text
