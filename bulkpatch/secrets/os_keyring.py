"""``keyring:SERVICE/USER``: the keyring of the desktop, through keyring."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock, Thread
from typing import ClassVar

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import Spot
from bulkpatch.secrets.kinds import Kind, Surroundings

PROMPT_S_MAX = 60.0
"""A locked keyring asks its user for a password first."""


class Keyring(DocumentReader):
    """One question at a time, so that a locked keyring asks its user once. It has no versions."""

    scheme: ClassVar[str] = "keyring"
    words: ClassVar[Mapping[str, Word]] = {
        "KeyringLocked": Word.DENIED,
        "NoKeyringError": Word.UNREACHABLE,
        "InitError": Word.UNREACHABLE,
    }

    def __init__(self, around: Surroundings, *, prompt_s: float = PROMPT_S_MAX) -> None:
        super().__init__(around)
        self._prompt_s = prompt_s
        self._one = Lock()

    def fetch(self, spot: Spot) -> Document:
        """In a thread that the process does not wait for: no question to a desktop can be taken back."""
        service, _, user = spot.place.rpartition("/")
        came: list[str | Exception | None] = []
        with self._one:
            asking = Thread(target=_ask, args=(service, user, came), daemon=True, name="keyring")
            asking.start()
            asking.join(self._prompt_s)
        if not came:
            raise Unusable("BP306", f"the store of keyring: it gave no value within {self._prompt_s:g} s")
        value = came[0]
        if isinstance(value, Exception):
            raise value
        if value is None:
            raise Unusable("BP302", "the store of keyring: not found")
        return Document(content=value, version=None)


def _ask(service: str, user: str, came: list[str | Exception | None]) -> None:
    import keyring  # noqa: PLC0415 - only where its scheme is used

    try:
        came.append(keyring.get_password(service, user))
    except Exception as error:  # noqa: BLE001 - raised again where its type is told
        came.append(error)


KIND = Kind(open=Keyring)
