"""``gcp-sm:PROJECT/SECRET#JSONKEY?version=N``: Google Secret Manager, with credentials as its SDK finds them."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any, ClassVar

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.forms import Spot
from bulkpatch.secrets.kinds import Kind, Surroundings
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.values import decoded

READ_LIMIT = ReadLimit(count=90_000, per_s=60.0)
"""Accesses of one project, as Google publishes it."""


class SecretManager(DocumentReader):
    """One client. Versions are numbers; an alias, or none, gives the number that it means now."""

    scheme: ClassVar[str] = "gcp-sm"
    words: ClassVar[Mapping[str, Word]] = {
        "NotFound": Word.MISSING,
        "FailedPrecondition": Word.MISSING,  # a version that is disabled or destroyed
        "Forbidden": Word.DENIED,
        "Unauthorized": Word.DENIED,
        "DefaultCredentialsError": Word.DENIED,
        "RefreshError": Word.DENIED,
        "TooManyRequests": Word.THROTTLED,
        "ServiceUnavailable": Word.UNREACHABLE,
        "GatewayTimeout": Word.UNREACHABLE,
        "RetryError": Word.UNREACHABLE,
        "TransportError": Word.UNREACHABLE,
    }

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self._opening = Lock()
        self._client: Any = None

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        place = spot.place
        if not place.startswith("projects/"):
            project, _, secret = place.partition("/")
            place = f"projects/{project}/secrets/{secret}"
        name = f"{place}/versions/{spot.version or 'latest'}"
        said = self._opened().access_secret_version(request={"name": name}, timeout=self.around.answer_s, retry=None)
        return Document(content=decoded(said.payload.data), version=said.name.rpartition("/")[2])

    def is_version(self, asked: str, document: Document) -> bool:
        """An alias may mean any number."""
        return not asked.isdigit() or super().is_version(asked, document)

    def close(self) -> None:
        """See kinds.Reader."""
        with self._opening:
            if self._client is not None:
                self._client.transport.close()
                self._client = None

    def _opened(self) -> Any:
        from google.cloud import secretmanager  # noqa: PLC0415 - only where its scheme is used

        with self._opening:
            if self._client is None:
                self._client = secretmanager.SecretManagerServiceClient()
            return self._client


KIND = Kind(open=SecretManager, limit=READ_LIMIT)
