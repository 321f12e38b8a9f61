"""Text of a job file made fit to be shown: one line, nothing hidden in it, and nothing in it that may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bulkpatch.job.grammar import fields_at
from bulkpatch.job.spec import KeyPath
from bulkpatch.prequel.catalogue import catalogue

NAME_CHARS_MAX: Final = 80
"""Characters of a key in a message: the longest field path of the API has under 100, a usual one under 60."""
LINE_CHARS_MAX: Final = 160
"""Characters of a quoted line: two lines of a usual terminal."""
LEAD_CHARS: Final = 40
"""Characters kept before the place that is underlined, where a line must be cut."""
HIDDEN: Final = "…"

_SECRET_NAME: Final = re.compile("pas+w|pwd|passphrase|secret|token|key|credential", re.IGNORECASE)
_SECRET_TEXT: Final = re.compile(r"""sk_(?:prod|staging)_|(?<=://)[^\s"']*[?@]""")
"""What is hidden wherever it stands: a key of the API; user, password and query of an address."""
_FIELD_TABLES: Final = frozenset({"patch", "expect"})
"""The tables whose keys the API's catalogue knows, and not the grammar."""
_SHOWN_WORDS: Final = frozenset({"column", "default"})
"""What may stand below a field and is as little of a secret as the field is."""


def one_line(text: str, *, limit: int = NAME_CHARS_MAX) -> str:
    """``text`` with every character that does not print escaped, cut to ``limit`` and before an API key."""
    if (found := _SECRET_TEXT.search(text)) is not None:
        text = text[: found.start()] + HIDDEN
    shown = "".join(map(_printed, text[: limit + 1]))
    return shown if len(shown) <= limit else shown[: limit - 1] + HIDDEN


def file_shown(path: Path) -> str:
    """``path`` on one line and in full: editors open it."""
    return "".join(map(_printed, str(path)))


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
    first = max(0, line - 1 - lines_before)
    gutter = len(str(line))
    rows = []
    for index in range(first, line):
        cut = _cut(lines[index], cuts.get(index))
        here = index == line - 1
        begin = max(0, column - 1 - LEAD_CHARS) if here and column > LINE_CHARS_MAX - LEAD_CHARS else 0
        shown = _visible(lines[index], cut, begin)
        rows.append(f"{index + 1:>{gutter}} | {shown}".rstrip())
        if here:
            rows.append(f"{'':>{gutter}} | {_carets(lines[index], cut, begin, column - 1, width)}")
    return "\n".join(rows)


def _cut(line: str, cut: int | None) -> int | None:
    """From where ``line`` is hidden: ``cut``, or a secret that shows itself before it."""
    found = _SECRET_TEXT.search(line, 0, len(line) if cut is None else cut)
    return cut if found is None else found.start()


def _visible(line: str, cut: int | None, begin: int) -> str:
    end = len(line) if cut is None else cut
    part = line[begin : min(end, begin + LINE_CHARS_MAX)]
    hidden = end < len(line) or end > begin + LINE_CHARS_MAX
    return (HIDDEN if begin else "") + "".join(map(_printed, part)) + (HIDDEN if hidden else "")


def _carets(line: str, cut: int | None, begin: int, start: int, width: int) -> str:
    end = len(line) if cut is None else cut
    start = min(start, end)
    lead = len(HIDDEN) * bool(begin) + sum(len(_printed(one)) for one in line[begin:start])
    under = line[start : min(start + width, end, begin + LINE_CHARS_MAX)]
    return " " * lead + "^" * max(1, sum(len(_printed(one)) for one in under))


def _printed(character: str) -> str:
    if character.isprintable():
        return character
    return " " if character == "\t" else character.encode("unicode_escape", "backslashreplace").decode()
