"""``op:VAULT/ITEM/FIELD``: 1Password, through its own ``op`` command, which finds who asks as it always does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from typing import ClassVar

from bulkpatch.secrets.commands import run
from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import Spot
from bulkpatch.secrets.kinds import Kind
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.values import decoded

READ_LIMIT = ReadLimit(count=1_000, per_s=3600.0)
"""Reads of one service account token on the smaller plans, as 1Password publishes it; Business has ten times that."""

PASSED_ON = ("PATH", "HOME", "LANG", "XDG_", "OP_")
"""Beginnings of the variables that ``op`` gets."""

_SAYINGS = (
    ("too many requests", Word.THROTTLED),
    ("rate limit", Word.THROTTLED),
    ("rate-limit", Word.THROTTLED),
    ("isn't an item", Word.MISSING),
    ("isn't a vault", Word.MISSING),
    ("isn't a field", Word.MISSING),
    ("does not have a field", Word.MISSING),
    ("could not find", Word.MISSING),
    ("not found", Word.MISSING),
    ("not currently signed in", Word.DENIED),
    ("no accounts configured", Word.DENIED),
    ("session expired", Word.DENIED),
    ("unauthorized", Word.DENIED),
    ("authorization", Word.DENIED),
    ("forbidden", Word.DENIED),
    ("permission", Word.DENIED),
    ("dial tcp", Word.UNREACHABLE),
    ("connect", Word.UNREACHABLE),
    ("network", Word.UNREACHABLE),
    ("timeout", Word.UNREACHABLE),
    ("no such host", Word.UNREACHABLE),
)
"""What ``op`` says on stderr, in small letters; its exit code is always 1. The words are looked for and never shown."""


class _Refused(Exception):
    def __init__(self, word: Word, code: int) -> None:
        super().__init__()
        self.word = word
        self.code = code


class OnePassword(DocumentReader):
    """One command for each value. It has no versions."""

    scheme: ClassVar[str] = "op"
    words: ClassVar[Mapping[str, Word]] = {word.value: word for word in Word}

    def check(self, target: str) -> None:  # noqa: ARG002 - the same for every target
        """The command is there."""
        if shutil.which("op", path=self.around.environ.get("PATH", os.defpath)) is None:
            raise Unusable("BP302", "the op command is not found")

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        environ = {name: value for name, value in self.around.environ.items() if name.startswith(PASSED_ON)}
        ran = run(
            ["op", "read", "--no-newline", f"op://{spot.place.removeprefix('//')}"],
            folder=self.around.folder,
            environ=environ,
            clock=self.around.clock,
            answer_s=self.around.answer_s,
            complaint=True,
        )
        if ran.code != 0:
            said = ran.complaint.decode("utf-8", "replace").lower()
            raise _Refused(next((word for saying, word in _SAYINGS if saying in said), Word.FAILED), ran.code)
        return Document(content=decoded(ran.output), version=None)

    def clues(self, error: Exception) -> Iterator[str]:
        """What stderr came to."""
        if isinstance(error, _Refused):
            yield error.word
        yield from super().clues(error)

    def detail(self, error: Exception) -> str:
        """The exit code."""
        return f"exit code {error.code}" if isinstance(error, _Refused) else super().detail(error)


KIND = Kind(open=OnePassword, limit=READ_LIMIT)
