"""Secret references: ``scheme:target``, read and checked without looking behind them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec

from bulkpatch.errors import Problem
from bulkpatch.plugins import Group, contested, installed
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import EXTRAS, read_target

SDKS: Mapping[str, tuple[str, ...]] = {
    "keyring": ("keyring",),
    "vault": ("hvac",),
    "aws-sm": ("boto3",),
    "gcp-sm": ("google.cloud.secretmanager",),
    "azure-kv": ("azure.identity", "azure.keyvault.secrets"),
    "op": (),
    "age": ("pyrage",),
}
"""What must be importable for an extra's scheme to be served; ``op`` needs a program instead."""

REFERENCE_CHARS_MAX = 1024
"""Longer than any path or command that belongs in a cell."""

DESCRIPTOR_MAX = 1_048_576
"""Linux's own limit of open files for a process, as set by default."""

_FORM = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.DOTALL)


def parse(reference: str) -> tuple[str, str]:
    """``(scheme, target)`` of a reference whose scheme can be served here and whose target has its form.

    Raises ``Unusable`` with BP301 (not a reference) or BP307 (nothing installed brings the scheme).
    """
    form = _FORM.fullmatch(reference) if len(reference) <= REFERENCE_CHARS_MAX else None
    if form is None:
        raise Unusable("BP301", "not a secret reference (the text is not shown: it may be the secret)")
    scheme, target = form.groups()
    check = _CORE.get(scheme)
    if check is None and not is_served(scheme):
        raise Unusable("BP307", _who_brings(scheme))
    if not target.strip():
        raise Unusable("BP301", f"the reference ends after {scheme}:")
    if "\0" in target or target != target.strip():
        raise Unusable("BP301", f"the target of a {scheme}: reference has blanks around it, or a NUL in it")
    if check is not None:
        check(target)
    elif scheme in EXTRAS:
        read_target(scheme, target)
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


def is_served(scheme: str) -> bool:
    """Whether a package brings ``scheme``, and, for an extra, its SDK is there; neither is loaded by asking."""
    brought = installed(Group.SECRETS).get(scheme)
    return brought is not None and not brought.rivals and has_sdk(scheme)


@cache
def has_sdk(scheme: str) -> bool:
    """Whether what an installed ``scheme`` needs besides can be imported."""
    return all(map(_is_importable, SDKS.get(scheme, ())))


def _is_importable(package: str) -> bool:
    try:
        return find_spec(package) is not None
    except ImportError:  # a package around it is not there
        return False


def _who_brings(scheme: str) -> str:
    if scheme in EXTRAS:
        return f"{scheme}: references need the extra of that name: pip install 'bulkpatch[{scheme}]'"
    if scheme in installed(Group.SECRETS):
        return contested(installed(Group.SECRETS)[scheme])
    known = ", ".join(f"{name}:" for name in dict.fromkeys([*_CORE, *installed(Group.SECRETS), *EXTRAS]))
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
