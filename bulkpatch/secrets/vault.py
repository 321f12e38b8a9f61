"""``vault:MOUNT/PATH#FIELD?version=N``: HashiCorp Vault, KV version 2, through hvac."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import Any, ClassVar
from urllib.parse import urlsplit

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.files import read_private
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import Spot
from bulkpatch.secrets.kinds import Kind, Surroundings
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.values import decoded

READ_LIMIT = ReadLimit(count=100, per_s=1.0)
"""Vault has no limit but its operator's quota. A hundred a second reads a fleet of 10,000 in two minutes."""

TOKEN_FILE = ".vault-token"  # noqa: S105 - where it lies
"""In the home folder: where ``vault login`` leaves the token."""

_LOCAL = "localhost"


class Vault(DocumentReader):
    """Where and who, by Vault's own variables, as they were when the process started; redirects are not followed."""

    scheme: ClassVar[str] = "vault"
    words: ClassVar[Mapping[str, Word]] = {
        "Forbidden": Word.DENIED,
        "Unauthorized": Word.DENIED,
        "InvalidPath": Word.MISSING,
        "RateLimitExceeded": Word.THROTTLED,
        "VaultDown": Word.SEALED,
        "VaultNotInitialized": Word.SEALED,
        "BadGateway": Word.UNREACHABLE,
        "ConnectionError": Word.UNREACHABLE,
        "Timeout": Word.UNREACHABLE,
    }

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        self._opening = Lock()
        self._client: Any = None

    def check(self, target: str) -> None:  # noqa: ARG002 - the same for every target
        """There is an address, and a token for it."""
        self._address()
        self._token()

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        mount, _, path = spot.place.partition("//" if "//" in spot.place else "/")
        version = None if spot.version is None else int(spot.version)
        said = self._opened().secrets.kv.v2.read_secret_version(
            path=path, version=version, mount_point=mount, raise_on_deleted_version=True
        )
        try:
            content, told = said["data"]["data"], said["data"]["metadata"]["version"]
        except (KeyError, TypeError, IndexError):  # a redirect, a page of a proxy, or another engine
            content, told = None, None
        if not isinstance(content, dict):
            raise Unusable("BP306", "the store of vault: its answer is no secret of a KV engine, version 2")
        return Document(content=content, version=str(told))

    def close(self) -> None:
        """See kinds.Reader."""
        with self._opening:
            if self._client is not None:
                self._client.adapter.close()
                self._client = None

    def _opened(self) -> Any:
        import hvac  # noqa: PLC0415 - only where its scheme is used
        from requests.adapters import HTTPAdapter  # noqa: PLC0415

        environ = self.around.environ
        with self._opening:
            if self._client is None:
                certificate = environ.get("VAULT_CLIENT_CERT")
                self._client = hvac.Client(
                    url=self._address(),
                    token=self._token(),
                    namespace=environ.get("VAULT_NAMESPACE") or None,
                    cert=(certificate, environ.get("VAULT_CLIENT_KEY")) if certificate else None,
                    verify=environ.get("VAULT_CACERT") or environ.get("VAULT_CAPATH") or True,
                    timeout=self.around.answer_s,
                    allow_redirects=False,
                )
                self._client.adapter.session.mount("https://", HTTPAdapter(pool_maxsize=32))
            return self._client

    def _address(self) -> str:
        address = self.around.environ.get("VAULT_ADDR", "")
        if not address:
            raise Unusable("BP302", "VAULT_ADDR is not set")
        try:
            parts = urlsplit(address)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not host or parts.scheme not in {"http", "https"}:
            raise Unusable("BP302", "VAULT_ADDR is no http or https address")
        if parts.scheme == "http" and not _is_loopback(host):
            raise Unusable("BP302", "VAULT_ADDR is plain http to another machine: token and secrets could be read")
        return address

    def _token(self) -> str:
        token = self.around.environ.get("VAULT_TOKEN", "")
        home = self.around.environ.get("HOME")
        if not token and home:
            try:
                token = decoded(read_private(Path(home, TOKEN_FILE))).strip()
            except Unusable as flaw:
                if flaw.code != "BP302":
                    raise Unusable(flaw.code, f"the file ~/{TOKEN_FILE}: {flaw.reason}") from None
        if not token:
            raise Unusable("BP302", f"there is no token: neither VAULT_TOKEN nor ~/{TOKEN_FILE}")
        return token


def _is_loopback(host: str) -> bool:
    try:
        return host == _LOCAL or ip_address(host).is_loopback
    except ValueError:
        return False


KIND = Kind(open=Vault, limit=READ_LIMIT)
