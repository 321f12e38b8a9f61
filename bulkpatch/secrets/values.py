"""What may be a secret's value. Nothing is trimmed but one final newline, nothing is guessed."""

from __future__ import annotations

import re
from collections.abc import Callable

from bulkpatch.secrets.encodings import NEEDLE_BYTES_MIN
from bulkpatch.secrets.flaws import Unusable

VALUE_BYTES_MAX = 64 * 1024
"""Of one secret: the most that cloud stores take, and that a file may hold."""

_MASK = re.compile(
    r"[*•●·x.…_-]{3,}|[*•●]{4,}\S{0,4}"
    r"|[<(\[{]+\s*(redacted|masked|hidden|secret|sensitive|sensitive value|removed|password)\s*[>)\]}]+"
    r"|redacted|masked",
    re.IGNORECASE,
)


def decoded(raw: bytes) -> str:
    """The text of ``raw`` without one final LF or CRLF, as editors and ``echo`` add it."""
    try:
        value = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Unusable("BP304", "its value is not UTF-8 text") from None
    return value.removesuffix("\n").removesuffix("\r") if value.endswith("\n") else value


def check_value(value: str, *, allow_short: bool) -> None:
    """Raise ``Unusable`` unless ``value`` may go into a JSON body.

    Line feeds inside are let through, since PEM blocks and service account files have them; CR,
    NUL, blanks at either end, masks and text that is not UTF-8 never are.
    """
    for flaw, holds in _FLAWS:
        if holds(value):
            raise Unusable("BP304", f"its value {flaw}")
    if len(value.encode()) < NEEDLE_BYTES_MIN and not allow_short:
        raise Unusable("BP305", f"its value is shorter than {NEEDLE_BYTES_MIN} bytes")


def check_header_value(value: str) -> None:
    """Raise ``Unusable`` unless ``value`` may be an HTTP header (the API key): printable ASCII without blanks."""
    if not all("!" <= character <= "~" for character in value):
        raise Unusable("BP304", "its value has a line break, a blank or a character that no API key has")


_FLAWS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("is empty", lambda value: not value),
    ("is blank", str.isspace),
    ("is not UTF-8 text", re.compile("[\ud800-\udfff]").search),
    ("is longer than 64 KiB", lambda value: len(value.encode()) > VALUE_BYTES_MAX),
    ("has a carriage return or a NUL in it (line breaks inside must be LF alone)", re.compile("[\r\0]").search),
    ("begins with a byte order mark", re.compile("\ufeff").match),
    ("has a blank or a line break at its beginning or end", lambda value: value != value.strip()),
    ("is a mask, not the secret", _MASK.fullmatch),
)
