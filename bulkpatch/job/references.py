"""Secret references as a job writes them: checked for form only. What stands behind one is another room's."""

from __future__ import annotations

import re
from typing import Final

REFERENCE_CHARS_MAX: Final = 1024
"""Characters; longer than any path or command that belongs in a job."""

_FORM: Final = re.compile(r"([a-z][a-z0-9-]*):(.*)", re.DOTALL)
_MASK: Final = re.compile(r"[*•●]{3,}\S{0,4}|[<(\[{]+\s*(?:redacted|masked|hidden)\s*[>)\]}]+", re.IGNORECASE)
_COLUMN: Final = re.compile(r"\{([^{}]+)\}")


class Refused(ValueError):
    """A value that does not hold: an error code, and prose that never shows the value. ``hint`` may be empty."""

    def __init__(self, code: str, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.code = code
        self.hint = hint


def is_mask(text: str) -> bool:
    """Whether ``text`` stands for something that was hidden: ``****``, ``<redacted>``."""
    return _MASK.fullmatch(text) is not None


def check_reference(text: str) -> str:
    """``text`` if it has the form ``scheme:target``. Raises ``Refused``."""
    scheme, target = _split(text)
    if is_mask(text) or is_mask(target):
        raise Refused("BP304", "a mask stands where a secret reference belongs")
    if not scheme or len(text) > REFERENCE_CHARS_MAX:
        raise Refused("BP301", "not a secret reference", 'Write "env:NAME", "file:PATH", "fd:N" or "exec:COMMAND".')
    if scheme == "value":
        raise Refused("BP110", "value: would store the secret in the job", 'Write "env:NAME" and set the variable.')
    if not target.strip():
        raise Refused("BP301", f"the reference ends after {scheme}:", f"Name what {scheme}: is to read.")
    if target != target.strip() or not text.isprintable():
        raise Refused("BP301", "the reference has blanks around its target, or a character that does not print")
    return text


def check_template(text: str) -> str:
    """``text`` if it is a reference in which every ``{column}`` is closed and named. Raises ``Refused``."""
    check_reference(text)
    rest = _COLUMN.sub("", text)
    if "{" in rest or "}" in rest:
        raise Refused("BP301", "a { or } of the reference has no partner or no name", "Write {column}, such as {id}.")
    return text


def template_columns(template: str) -> tuple[str, ...]:
    """The columns that a checked template is filled from, in order."""
    return tuple(_COLUMN.findall(template))


def _split(text: str) -> tuple[str, str]:
    found = _FORM.fullmatch(text)
    return (found[1], found[2]) if found else ("", "")
