"""Why a reference does not serve, in words that hold no value."""

from __future__ import annotations

import re

from bulkpatch.errors import CODES, Problem

SHOWN_CHARS_MAX = 80
"""Of a reference in a message."""

_UNPRINTED = re.compile("[^\x20-\x7e\u00a1-\u024f]")


class Unusable(Exception):
    """Why a reference does not serve: an error code, a reason that names no value, and what to do about it."""

    def __init__(self, code: str, reason: str, *, fix: str = "") -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.fix = fix or CODES[code].fix

    def problem(self, reference: str) -> Problem:
        """The same, for the user. What may not be a reference at all is not shown: it could be the secret."""
        what = self.reason if self.code in {"BP301", "BP307"} else f"{shown(reference)}: {self.reason}"
        return Problem(code=self.code, message=what, hint=self.fix)


def shown(reference: str) -> str:
    """``reference`` as it may stand in a message: one line, cut."""
    plain = _UNPRINTED.sub("?", reference)
    return plain if len(plain) <= SHOWN_CHARS_MAX else plain[: SHOWN_CHARS_MAX - 1] + "…"
