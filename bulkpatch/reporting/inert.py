"""Text that came from outside, made harmless for the place it is shown in."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bulkpatch.errors import Broken
from bulkpatch.ports import Redactor

CELL_CHARS_MAX = 200
"""Characters of one text in a table that a person reads; files for programs keep the whole."""

NOTHING = "\u2013"
"""Stands where there is no text, so that a cell is seen to be empty on purpose."""

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_UNPRINTED = re.compile("[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
_BREAKS_CSV = re.compile('[",\r\n]')
_MARKUP = str.maketrans({"`": "'", "|": "\u00a6", "<": "\u2039", ">": "\u203a"})


def no_formula(text: str) -> str:
    """``text`` so that no spreadsheet takes it for a formula."""
    return "'" + text if text.startswith(_FORMULA) else text


def csv_line(cells: Iterable[str]) -> str:
    """One CSV line; quoted where needed only.

    The csv module of Python 3.11 leaves a lone CR unquoted, which no reader gives back.
    """
    quoted = ('"' + cell.replace('"', '""') + '"' if _BREAKS_CSV.search(cell) else cell for cell in cells)
    return ",".join(quoted) + "\n"


def one_line(text: str, *, limit: int = CELL_CHARS_MAX) -> str:
    """``text`` without anything that moves a cursor, hides or turns around; cut to ``limit``."""
    plain = _UNPRINTED.sub(lambda match: f"\\u{ord(match[0]):04x}", text[: limit + 1])
    return plain if len(text) <= limit and len(plain) <= limit else plain[: limit - 1] + "…"


def code_span(text: str, *, limit: int = CELL_CHARS_MAX) -> str:
    """``text`` as Markdown code, in which no renderer makes a link, an image, a mention or HTML of it.

    The four characters that could end the code, its table cell or a page's text are shown by look-alikes.
    """
    return f"`{one_line(text, limit=limit).translate(_MARKUP)}`" if text.strip() else NOTHING


def refuse_secrets(redactor: Redactor, texts: Iterable[str], where: str) -> None:
    """Raise ``Broken`` if a live secret stands in ``texts``, which are about to be written to ``where``."""
    document = "\n".join(texts).encode()  # as it will stand there: quoted in JSON, a quoted secret would look different
    if redactor.scrub_json(document) != document:
        raise Broken(
            "BP902",
            f"a live secret was about to be written to {where}; no report was written",
            hint="Rotate the value, and report this.",
        )
