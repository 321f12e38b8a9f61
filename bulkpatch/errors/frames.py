"""How quoted source is drawn: numbered lines, and carets below what is meant, whatever the lines hold.

What may not be seen is taken out before; here nothing is known of it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

LINE_CHARS_MAX: Final = 160
"""Characters of a quoted line: two lines of a usual terminal."""
LEAD_CHARS: Final = 40
"""Characters kept before the place that is underlined, where a line must be cut."""
HIDDEN: Final = "…"
MARKS_MAX: Final = 2
"""Marks on one letter: a vowel and a tone. A pile of them reaches into the lines above and below."""
ROOM_MIN: Final = 12
"""Columns in which a line is still shown, however narrow the terminal is."""
_SLACK: Final = 2
"""Columns kept free beside the carets: one for the sign of a cut, one of what stands there."""
_DISPUTED: Final = (
    (0x1160, 0x11FF),
    (0x3248, 0x324F),
    (0x4DC0, 0x4DFF),
    (0xD7B0, 0xD7FF),
    (0xFE00, 0xFE0F),
    (0x1F1E6, 0x1F1FF),
    (0x1F3FB, 0x1F3FF),
    (0xE0100, 0xE01EF),
)
"""Parts of syllables, pictures and flags: what they look like, and how wide, is another matter in each terminal."""
_UNSEEN: Final = frozenset("\u034f\u115f\u17b4\u17b5\u2800\u3164\uffa0")
"""What Unicode says prints, and nobody sees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quoted:
    """One line of source with its number. ``at`` is the index in it that stands at the carets, if any does."""

    number: int
    text: str
    at: int | None = None


def draw(above: Sequence[Quoted], line: Quoted, width: int) -> str:
    """The lines, and carets under ``width`` characters of ``line`` from its ``at``, at least one."""
    at = line.at or 0
    begin = at - LEAD_CHARS if at >= LINE_CHARS_MAX - LEAD_CHARS else 0
    before = HIDDEN * bool(begin) + inert(line.text[begin:at])
    under = inert(line.text[at : min(at + width, begin + LINE_CHARS_MAX)])
    lead = columns_of(before)
    gutter = len(str(max(one.number for one in (*above, line))))
    rows = [(str(one.number), _aligned(one, lead)) for one in above]
    rows += [(str(line.number), before + _cut(line.text, at, begin + LINE_CHARS_MAX))]
    rows += [("", " " * lead + "^" * max(1, columns_of(under)))]
    return "\n".join(f"{number:>{gutter}} | {shown}".rstrip() for number, shown in rows)


def narrowed(frame: str, columns: int) -> str:
    """A drawn frame in ``columns``, cut around its carets; as it is where it fits."""
    rows = frame.split("\n")
    if max(map(columns_of, rows)) <= columns:
        return frame
    bar = rows[-1].index("|") + 2
    room = max(columns - bar, ROOM_MIN)
    first, count = rows[-1].index("^") - bar, rows[-1].count("^")
    widest = max(columns_of(row[bar:]) for row in rows)
    begin = 0 if first + count + _SLACK <= room else min(first - _SLACK, first + (count - room) // 2, widest - room)
    shown = [_window(row[bar:], max(begin, 0), room) for row in rows[:-1]]
    carets = rows[-1][bar + max(begin, 0) :][:room]
    return "\n".join(f"{row[:bar]}{part}".rstrip() for row, part in zip(rows, [*shown, carets], strict=True))


def inert(text: str) -> str:
    """``text`` with every character that a terminal obeys, or does not show, by its escape; a tab is one blank.

    So are marks that do not stand on a letter, and more than a letter has.
    """
    if text.isascii() and text.isprintable():
        return text
    shown: list[str] = []
    marks = MARKS_MAX
    for char in text:
        if not _is_mark(char):
            marks = 0 if char.isalnum() else MARKS_MAX
        elif (marks := marks + 1) > MARKS_MAX:
            shown.append(_escaped(char))
            continue
        shown.append(_printed(char))
    return "".join(shown)


def columns_of(text: str) -> int:
    """How many columns ``text``, which is inert, takes in a terminal."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def _aligned(line: Quoted, lead: int) -> str:
    """``line`` with its ``at`` in column ``lead``: begun later, or cut."""
    if line.at is None:
        return _cut(line.text, 0, LINE_CHARS_MAX)
    before = inert(line.text[max(0, line.at - lead - 1) : line.at])
    if line.at > lead + 1 or columns_of(before) > lead:
        before = HIDDEN + _last(before, lead - 1) if lead else ""
    return " " * (lead - columns_of(before)) + before + _cut(line.text, line.at, line.at + LINE_CHARS_MAX)


def _cut(text: str, begin: int, end: int) -> str:
    return inert(text[begin:end]) + HIDDEN * (len(text) > end)


def _last(text: str, columns: int) -> str:
    """The end of ``text`` that takes at most so many columns."""
    taken = accumulate(map(_columns, reversed(text)))
    return text[len(text) - sum(count <= columns for count in taken) :]


def _window(text: str, begin: int, room: int) -> str:
    """What stands in ``room`` columns of ``text`` from column ``begin``, with a sign where more of it lies beside."""
    ends = list(accumulate(map(_columns, text)))
    more = bool(ends) and ends[-1] > begin + room
    low, high = begin + bool(begin), begin + room - more
    kept = [(char, end) for char, end in zip(text, ends, strict=True) if end - _columns(char) >= low and end <= high]
    if not kept:
        return HIDDEN * bool(begin and text.strip())
    gap = kept[0][1] - _columns(kept[0][0]) - low
    return HIDDEN * bool(begin) + " " * gap + "".join(char for char, _ in kept) + HIDDEN * more


def _columns(character: str) -> int:
    if _is_mark(character):
        return 0
    return 1 + (unicodedata.east_asian_width(character) in {"W", "F"})


def _is_mark(character: str) -> bool:
    return unicodedata.category(character) in {"Mn", "Me"}


def _printed(character: str) -> str:
    if character == "\t":
        return " "
    code = ord(character)
    plain = character.isprintable() and character not in _UNSEEN
    return character if plain and not any(low <= code <= high for low, high in _DISPUTED) else _escaped(character)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode()
