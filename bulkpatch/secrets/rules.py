"""What a cell of a secret field may be: asked while the input is read, long before anything is resolved."""

from __future__ import annotations

from bulkpatch.errors import Problem
from bulkpatch.plugins import Group, installed
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import EXTRAS
from bulkpatch.secrets.references import check_form, scheme_names
from bulkpatch.secrets.values import check_value


class CellRules:
    """The port ``SecretRules``."""

    def __init__(self, *, allow_short: bool) -> None:
        self._allow_short = allow_short
        self.schemes = frozenset({*scheme_names(), *installed(Group.SECRETS), *EXTRAS})

    def reference_flaw(self, text: str) -> Problem | None:
        """See ports.SecretRules."""
        return check_form(text)

    def value_flaw(self, text: str) -> Problem | None:
        """See ports.SecretRules."""
        try:
            check_value(text, allow_short=self._allow_short)
        except Unusable as flaw:
            return Problem(code=flaw.code, message=f"the secret cannot be used: {flaw.reason}", hint=flaw.fix)
        return None
