"""Cells of secret fields: a reference, or with ``inline_secrets`` the secret itself. None is ever shown."""

from __future__ import annotations

from typing import Final

from bulkpatch.job.references import is_mask
from bulkpatch.model import Secret
from bulkpatch.ports import SecretRules
from bulkpatch.prequel.catalogue import Field, FieldType
from bulkpatch.prequel.values import CoercionError, parse_json

LITERAL: Final = "value:"
"""Before a secret that would else be taken for a reference."""
INLINE: Final = "inline"
"""What stands in the body, and so in its digest, for a secret that the cell itself holds."""
REDACTED: Final = "<redacted>"
"""What stands in reports for such a cell; input refuses it."""


class SecretCells:
    """How the cells of one input are read."""

    def __init__(self, rules: SecretRules, *, inline: bool) -> None:
        self._rules = rules
        self._inline = inline

    def flaw(self, field: Field, text: str, *, previous: bool = False) -> tuple[str, str, str] | None:
        """Code, words and fix if the cell of ``field`` does not hold, else None.

        Of a ``previous`` value only a reference does: nobody sends it, so nobody watches for it.
        """
        if is_mask(text.removeprefix(LITERAL)):
            return "BP304", "a mask stands where a secret belongs", "Put the original cell back."
        if self.is_reference(text):
            found = self._rules.reference_flaw(text)
        elif self._inline and not previous:
            found = self._rules.value_flaw(text.removeprefix(LITERAL))
            if found is None and field.type is FieldType.OBJECT and not _is_object(text.removeprefix(LITERAL)):
                return "BP304", "the field takes the whole JSON document, such as a key file", ""
        else:
            advice = "Put a reference there (env:NAME, file:PATH, exec:COMMAND)"
            advice += "." if previous else ", or set [input] inline_secrets = true."
            return "BP301", "not a secret reference (the cell is not shown: it may be the secret)", advice
        return None if found is None else (found.code, found.message, found.hint)

    def is_reference(self, text: str) -> bool:
        """Whether the cell points somewhere: it begins with a known scheme."""
        scheme, colon, _ = text.partition(":")
        return bool(colon) and scheme in self._rules.schemes

    def holds_reference(self, text: str) -> bool:
        """Whether the cell is a reference of a form that holds."""
        return self.is_reference(text) and self._rules.reference_flaw(text) is None

    def read(self, text: str) -> str | Secret:
        """The reference, or the secret that the cell holds."""
        if self.is_reference(text):
            return text
        return Secret(text.removeprefix(LITERAL), reference=INLINE)

    def shown(self, text: str, *, null: str | None) -> str:
        """The cell as a report may show it: empty, the token for null, or a reference."""
        return text if not text or text == null or self.is_reference(text) else REDACTED


def _is_object(text: str) -> bool:
    try:
        return isinstance(parse_json(text), dict)
    except CoercionError:
        return False
