"""Text of a job file made fit to be shown: one line, nothing hidden in it, and nothing in it that may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bulkpatch.errors.frames import HIDDEN, Quoted, draw, inert
from bulkpatch.job.grammar import fields_at
from bulkpatch.job.spec import KeyPath
from bulkpatch.prequel.catalogue import catalogue

NAME_CHARS_MAX: Final = 80
"""Characters of a key in a message: the longest field path of the API has under 100, a usual one under 60."""

_SECRET_NAME: Final = re.compile("pas+w|pwd|passphrase|secret|token|key|credential", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(r"""sk_(?:prod|staging)_|-----BEGIN |(?<=://)[^\s"']*[?@]""")
"""What is hidden wherever it stands: a key of the API, key material; user, password and query of an address."""
_FIELD_TABLES: Final = frozenset({"patch", "expect"})
"""The tables whose keys the API's catalogue knows, and not the grammar."""
_SHOWN_WORDS: Final = frozenset({"column", "default"})
"""What may stand below a field and is as little of a secret as the field is."""


def one_line(text: str, *, limit: int = NAME_CHARS_MAX) -> str:
    """``text`` with every character that does not print escaped, cut to ``limit`` and before an API key."""
    if (found := _SECRET_TEXT.search(text)) is not None:
        text = text[: found.start()] + HIDDEN
    shown = inert(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + HIDDEN


def file_shown(path: Path) -> str:
    """``path`` on one line and in full: editors open it."""
    return inert(str(path))


def shows_secret(text: str) -> bool:
    """Whether a secret shows itself in ``text``, wherever that stands."""
    return _SECRET_TEXT.search(text) is not None


def names_secret(text: str) -> bool:
    """Whether ``text`` has a word in it that names secrets."""
    return _SECRET_NAME.search(text) is not None


def is_known(path: KeyPath) -> bool:
    """Whether the grammar or the API's catalogue knows the key at ``path``."""
    names = _names(path)
    if names[0] in _FIELD_TABLES:
        dotted = ".".join(names[1:])
        return not dotted or catalogue().field(dotted) is not None or catalogue().is_object(dotted)
    return all(name in fields_at(names[:at]) for at, name in enumerate(names))


def may_hold_secret(path: KeyPath) -> bool:
    """Whether the value at ``path`` may be a secret: the catalogue says so, or a name in the path does.

    So may any whose key nothing knows, for that is often a misspelt one, and what stands where an
    object belongs.
    """
    names = _names(path)
    if names[0] not in _FIELD_TABLES:
        return not is_known(path) or any(map(names_secret, names))
    for at in range(2, len(names) + 1):
        if (field := catalogue().field(".".join(names[1:at]))) is not None:
            return field.secret or field.sensitive or not _SHOWN_WORDS.issuperset(names[at:])
    return True


def _names(path: KeyPath) -> tuple[str, ...]:
    return tuple(name for name in path if isinstance(name, str))


def draw_frame(  # noqa: PLR0913  (a place is three numbers)
    lines: Sequence[str], cuts: Mapping[int, int], line: int, column: int, width: int, *, lines_before: int = 1
) -> str:
    """The line with carets under ``width`` characters from ``column``, after ``lines_before`` lines.

    ``line`` and ``column`` count from 1. ``cuts`` maps a line's index to the column index from
    which it is hidden; carets never reach beyond that.
    """
    here = line - 1
    above = [
        Quoted(number=index + 1, text=_hidden(lines[index], cuts.get(index))[0])
        for index in range(max(0, here - lines_before), here)
    ]
    text, end = _hidden(lines[here], cuts.get(here))
    at = min(column - 1, end)
    return draw(above, Quoted(number=line, text=text, at=at), min(width, end - at))


def _hidden(line: str, cut: int | None) -> tuple[str, int]:
    """``line`` without what lies from ``cut`` on, or from a secret that shows itself; and how much of it is left."""
    found = _SECRET_TEXT.search(line, 0, len(line) if cut is None else cut)
    end = min(len(line), found.start() if found is not None else len(line) if cut is None else cut)
    return line[:end] + HIDDEN * (end < len(line)), end
