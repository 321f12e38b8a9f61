"""``aws-sm:NAME#JSONKEY?version=ID``: AWS Secrets Manager through boto3, with credentials as it finds them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from threading import Lock
from typing import Any, ClassVar

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.forms import Spot
from bulkpatch.secrets.kinds import Kind, Surroundings
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.values import decoded

READ_LIMIT = ReadLimit(count=10_000, per_s=1.0)
"""GetSecretValue, as AWS publishes it."""

BATCH_MAX = 20
"""Secrets of one BatchGetSecretValue, as AWS publishes it."""

TRIES = 2
"""Of one request within boto3; pauses between further ones are ours."""

_ARN_REGION_AT = 3


class SecretsManager(DocumentReader):
    """A client per region: an ARN's own, else that of the environment or profile."""

    scheme: ClassVar[str] = "aws-sm"
    words: ClassVar[Mapping[str, Word]] = {
        "ResourceNotFoundException": Word.MISSING,
        "AccessDeniedException": Word.DENIED,
        "AccessDenied": Word.DENIED,
        "UnrecognizedClientException": Word.DENIED,
        "InvalidClientTokenId": Word.DENIED,
        "InvalidSignatureException": Word.DENIED,
        "ExpiredTokenException": Word.DENIED,
        "ExpiredToken": Word.DENIED,
        "DecryptionFailure": Word.DENIED,
        "NoCredentialsError": Word.DENIED,
        "PartialCredentialsError": Word.DENIED,
        "CredentialRetrievalError": Word.DENIED,
        "ThrottlingException": Word.THROTTLED,
        "Throttling": Word.THROTTLED,
        "TooManyRequestsException": Word.THROTTLED,
        "RequestLimitExceeded": Word.THROTTLED,
        "InternalServiceError": Word.UNREACHABLE,
        "HTTPClientError": Word.UNREACHABLE,
        "ConnectionError": Word.UNREACHABLE,
    }

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self._opening = Lock()
        self._clients: dict[str | None, Any] = {}

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        pin = {"VersionId": spot.version, "VersionStage": spot.stage}
        asked = {name: value for name, value in pin.items() if value is not None}
        return _document(self._client(_region(spot)).get_secret_value(SecretId=spot.place, **asked))

    def fetch_together(self, spots: Iterable[Spot]) -> Mapping[Spot, Document]:
        """The current versions, as far as they come; why one does not, the request for it alone will tell."""
        regions: dict[str | None, list[Spot]] = {}
        for spot in spots:
            if spot.version is None and spot.stage is None:
                regions.setdefault(_region(spot), []).append(spot)
        found: dict[Spot, Document] = {}
        for region, asked in regions.items():
            if len(asked) > 1:
                found.update(self._batch(region, asked))
        return found

    def clues(self, error: Exception) -> Iterator[str]:
        """AWS's own code first: most of its errors are of one type."""
        with suppress(KeyError, TypeError):
            yield str(getattr(error, "response", {})["Error"]["Code"])
        yield from super().clues(error)

    def close(self) -> None:
        """See kinds.Reader."""
        with self._opening:
            for client in self._clients.values():
                client.close()
            self._clients.clear()

    def _batch(self, region: str | None, spots: list[Spot]) -> Iterator[tuple[Spot, Document]]:
        try:
            self.around.pace.take()
            said = self._client(region).batch_get_secret_value(SecretIdList=[spot.place for spot in spots])
            found = {name: entry for entry in said["SecretValues"] for name in (entry["Name"], entry["ARN"])}
        except Exception:  # noqa: BLE001 - not allowed, say: then one by one
            return
        for spot in spots:
            if spot.place in found:
                yield spot, _document(found[spot.place])

    def _client(self, region: str | None) -> Any:
        import boto3  # noqa: PLC0415 - only where its scheme is used
        from botocore.config import Config  # noqa: PLC0415

        with self._opening:
            client = self._clients.get(region)
            if client is None:
                limits = Config(
                    connect_timeout=self.around.answer_s / TRIES,
                    read_timeout=self.around.answer_s / TRIES,
                    retries={"mode": "standard", "total_max_attempts": TRIES},
                    max_pool_connections=32,
                )
                named = region or self.around.environ.get("AWS_REGION") or None
                client = boto3.Session().client("secretsmanager", region_name=named, config=limits)
                self._clients[region] = client
            return client


def _region(spot: Spot) -> str | None:
    return spot.place.split(":")[_ARN_REGION_AT] if spot.place.startswith("arn:") else None


def _document(said: Mapping[str, Any]) -> Document:
    text = said.get("SecretString")
    if text is None:
        text = decoded(said["SecretBinary"])
    return Document(content=text, version=said["VersionId"])


KIND = Kind(open=SecretsManager, limit=READ_LIMIT, batch_max=BATCH_MAX)
