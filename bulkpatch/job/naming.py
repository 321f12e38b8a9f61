"""How names and ids from the user's files are shown in a message, and what was probably meant by a wrong one."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

SHOWN_CHARS_MAX: Final = 40
"""Of an id or a name in a message: enough to find it, too little for what was pasted by mistake."""
LIKENESS_MIN: Final = 0.75
"""How alike two column names must be to be taken for one (difflib ratio); below, they share letters only."""

_BLANKS_AND_DASHES: Final = re.compile(r"[\s-]+")


def shown(text: str) -> str:
    """``text`` in quotes on one line: control and format characters escaped, cut to ``SHOWN_CHARS_MAX``."""
    cut = text[:SHOWN_CHARS_MAX]
    plain = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)
    return f'"{plain}{"…" if len(text) > SHOWN_CHARS_MAX else ""}"'


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` probably stands for: another case, blanks, a look-alike letter, a slip."""
    names = list(dict.fromkeys(known))
    pattern = re.compile("".join(re.escape(char) if char.isascii() else "." for char in _folded(name)))
    for candidate in names:
        if _folded(candidate) == _folded(name) or (not name.isascii() and pattern.fullmatch(_folded(candidate))):
            return candidate
    alike = difflib.get_close_matches(name, names, n=1, cutoff=LIKENESS_MIN)
    return alike[0] if alike else None


def foreign_letters(name: str) -> str:
    """The characters of ``name`` beyond ASCII, each by number and name, or nothing: look-alikes are not seen."""
    found = [f"U+{ord(char):04X} {unicodedata.name(char, '')}".strip() for char in dict.fromkeys(name) if char > "\x7f"]
    return ", ".join(found[:3])


def _folded(name: str) -> str:
    return _BLANKS_AND_DASHES.sub("_", unicodedata.normalize("NFKC", name).strip()).casefold()
