"""Secret references: ``scheme:target``, read and checked without looking behind them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from bulkpatch.errors import CODES, Problem

ENTRY_POINTS = "bulkpatch.secrets"
"""Group of entry points that bring further schemes; the name of each is its scheme."""

EXTRAS = ("keyring", "vault", "aws-sm", "gcp-sm", "azure-kv", "op", "age")
"""Schemes that come with the extra of the same name."""

REFERENCE_CHARS_MAX = 1024
"""Longer than any path or command that belongs in a cell."""

SHOWN_CHARS_MAX = 80
"""Of a reference in a message."""

DESCRIPTOR_MAX = 1_048_576
"""Linux's own limit of open files for a process, as set by default."""

_FORM = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)
_UNPRINTED = re.compile("[^\x20-\x7e\u00a1-\u024f]")


class Unusable(Exception):
    """Why a reference does not serve: an error code, and a reason that names no value."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason

    def problem(self, reference: str) -> Problem:
        """The same, for the user. What may not be a reference at all is not shown: it could be the secret."""
        what = self.reason if self.code in {"BP301", "BP307"} else f"{shown(reference)}: {self.reason}"
        return Problem(code=self.code, message=what, hint=CODES[self.code].fix)


def shown(reference: str) -> str:
    """``reference`` as it may stand in a message: one line, cut."""
    plain = _UNPRINTED.sub("?", reference)
    return plain if len(plain) <= SHOWN_CHARS_MAX else plain[: SHOWN_CHARS_MAX - 1] + "…"


def parse(reference: str) -> tuple[str, str]:
    """``(scheme, target)`` of a reference whose scheme can be served here and whose target has its form.

    Raises ``Unusable`` with BP301 (not a reference) or BP307 (nothing installed brings the scheme).
    """
    form = _FORM.fullmatch(reference) if len(reference) <= REFERENCE_CHARS_MAX else None
    if form is None:
        raise Unusable("BP301", "not a secret reference (the text is not shown: it may be the secret)")
    scheme, target = form.groups()
    check = _CORE.get(scheme)
    if check is None and scheme not in installed():
        raise Unusable("BP307", _who_brings(scheme))
    if not target.strip():
        raise Unusable("BP301", f"the reference ends after {scheme}:")
    if "\0" in target or target != target.strip():
        raise Unusable("BP301", f"the target of a {scheme}: reference has blanks around it, or a NUL in it")
    if check is not None:
        check(target)
    return scheme, target


def check_form(reference: str) -> Problem | None:
    """What is wrong with the form of ``reference``, or None. Reads nothing behind it."""
    try:
        parse(reference)
    except Unusable as flaw:
        return flaw.problem(reference)
    return None


def scheme_names() -> tuple[str, ...]:
    """The schemes that need nothing installed."""
    return tuple(_CORE)


@cache
def installed() -> Mapping[str, EntryPoint]:
    """The schemes that installed packages bring; none of them is loaded by asking."""
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _who_brings(scheme: str) -> str:
    if scheme in EXTRAS:
        return f"{scheme}: references need the extra of that name: pip install 'bulkpatch[{scheme}]'"
    known = ", ".join(f"{name}:" for name in [*_CORE, *installed(), *EXTRAS])
    return f"the reference begins with no scheme that is known ({known})"


def _check_env(name: str) -> None:
    if "=" in name:
        raise Unusable("BP301", "the name of an environment variable has no = in it")


def _check_file(_: str) -> None:
    """Any text is a path."""


def _check_fd(number: str) -> None:
    usable = number.isascii() and number.isdigit() and int(number) not in {1, 2} and int(number) <= DESCRIPTOR_MAX
    if not usable:
        raise Unusable("BP301", "fd: takes the number of a descriptor open for reading: 0, or 3 and up")


def _check_exec(command: str) -> None:
    try:
        words = shlex.split(command)
    except ValueError:
        raise Unusable("BP301", "exec: takes a command; a quote or a backslash in this one is not closed") from None
    if not words or not words[0]:
        raise Unusable("BP301", "exec: takes a command")


_CORE: Mapping[str, Callable[[str], None]] = {
    "env": _check_env,
    "file": _check_file,
    "fd": _check_fd,
    "exec": _check_exec,
}
