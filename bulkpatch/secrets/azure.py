"""``azure-kv:VAULT/SECRET#JSONKEY?version=ID``: Azure Key Vault; ``DefaultAzureCredential`` finds who asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from threading import Lock
from typing import Any, ClassVar

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import AZURE_CLOUDS, Spot
from bulkpatch.secrets.kinds import Kind, Surroundings
from bulkpatch.secrets.pace import ReadLimit

READ_LIMIT = ReadLimit(count=2_000, per_s=10.0)
"""Half of what Azure gives all readers of one vault: a fleet's other jobs read there too."""


class KeyVault(DocumentReader):
    """A client per vault."""

    scheme: ClassVar[str] = "azure-kv"
    words: ClassVar[Mapping[str, Word]] = {
        "404": Word.MISSING,
        "401": Word.DENIED,
        "403": Word.DENIED,
        "429": Word.THROTTLED,
        "503": Word.UNREACHABLE,
        "ResourceNotFoundError": Word.MISSING,
        "ClientAuthenticationError": Word.DENIED,
        "ServiceRequestError": Word.UNREACHABLE,
        "ServiceResponseError": Word.UNREACHABLE,
    }

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self._opening = Lock()
        self._credential: Any = None
        self._clients: dict[str, Any] = {}

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        vault, _, name = spot.place.partition("/")
        host = vault if "." in vault else f"{vault}.{AZURE_CLOUDS[0]}"
        said = self._client(host).get_secret(name, spot.version)
        if said.value is None:
            raise Unusable("BP304", "its value is no text")
        return Document(content=said.value, version=said.properties.version)

    def clues(self, error: Exception) -> Iterator[str]:
        """The status of the reply first: most errors are of one type."""
        yield str(getattr(error, "status_code", None))
        yield from super().clues(error)

    def close(self) -> None:
        """See kinds.Reader."""
        with self._opening:
            for client in (*self._clients.values(), self._credential):
                if client is not None:
                    client.close()
            self._clients.clear()
            self._credential = None

    def _client(self, host: str) -> Any:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - only where its scheme is used
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

        with self._opening:
            if self._credential is None:
                self._credential = DefaultAzureCredential()
            client = self._clients.get(host)
            if client is None:
                client = SecretClient(
                    vault_url=f"https://{host}",
                    credential=self._credential,
                    connection_timeout=self.around.answer_s,
                    read_timeout=self.around.answer_s,
                    retry_total=0,
                )
                self._clients[host] = client
            return client


KIND = Kind(open=KeyVault, limit=READ_LIMIT)
