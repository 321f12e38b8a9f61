"""``azure-kv:`` against a few lines that have the surface of Azure's SDKs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_rig import ASCII, SteppingClock, resolver_of
from stores_rig import packages, refusal, resolved

from bulkpatch.secrets.references import check_form, has_sdk
from bulkpatch.secrets.resolver import Resolver

IDENTITY = """
MADE, CLOSED = [], []
class DefaultAzureCredential:
    def __init__(self): MADE.append(self)
    def close(self): CLOSED.append(self)
"""
CORE = """
class AzureError(Exception): pass
class ServiceRequestError(AzureError): pass
class ServiceResponseError(AzureError): pass
class ServiceResponseTimeoutError(ServiceResponseError): pass
class HttpResponseError(AzureError):
    def __init__(self, message, status=None):
        super().__init__(message)
        self.status_code = status
class ResourceNotFoundError(HttpResponseError): pass
class ClientAuthenticationError(HttpResponseError): pass
"""
SDK = f"""
from types import SimpleNamespace as Told
from azure.core import exceptions
from azure.identity import MADE

CALLS, CLOSED = [], []
OLD, NEW = "a" * 32, "b" * 32
FAILS = {{
    "denied": exceptions.HttpResponseError("no {ASCII}", 403),
    "nobody": exceptions.ClientAuthenticationError("no {ASCII}"),
    "pressed": exceptions.HttpResponseError("no {ASCII}", 429),
    "away": exceptions.ServiceRequestError("no {ASCII}"),
    "silent": exceptions.ServiceResponseTimeoutError("no {ASCII}"),
    "down": exceptions.HttpResponseError("no {ASCII}", 503),
    "broken": exceptions.HttpResponseError("no {ASCII}", 500),
}}

class SecretClient:
    def __init__(self, vault_url, credential, *, connection_timeout, read_timeout, retry_total):
        assert credential is MADE[-1] and len(MADE) == 1 and retry_total == 0
        self.vault_url = vault_url

    def get_secret(self, name, version=None):
        CALLS.append((self.vault_url, name, version))
        if name in FAILS:
            raise FAILS[name]
        values = {{("db", OLD): "previous-value-1", ("db", NEW): "{ASCII}", ("json", NEW): '{{"password": "{ASCII}"}}',
                  ("none", NEW): None}}
        if (name, version or NEW) not in values:
            raise exceptions.ResourceNotFoundError("no {ASCII}", 404)
        return Told(value=values[name, version or NEW], properties=Told(version=version or NEW))

    def close(self):
        CLOSED.append(self.vault_url)
"""


@pytest.fixture
def resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver in a process where the SDKs can be imported."""
    modules = {"azure.identity": IDENTITY, "azure.core.exceptions": CORE, "azure.keyvault.secrets": SDK}
    packages(tmp_path / "sdk", modules)
    monkeypatch.syspath_prepend(str(tmp_path / "sdk"))
    has_sdk.cache_clear()
    resolver = resolver_of(tmp_path, {}, clock=SteppingClock(0.5))
    yield resolver
    resolver.close()
    has_sdk.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "azure"]:
        del sys.modules[name]


def sdk() -> dict[str, list[object]]:
    """What the SDK saw."""
    module = sys.modules["azure.keyvault.secrets"]
    return {"calls": module.CALLS, "closed": module.CLOSED}


def test_a_value_with_its_version(resolver: Resolver) -> None:
    """The newest or a pinned one; a vault by its name, or by its host in another cloud."""
    old, new = ("previous-value-1", "a" * 32), (ASCII, "b" * 32)
    assert resolved(resolver, "azure-kv:shop/db", f"azure-kv:shop/db?version={'a' * 32}") == [new, old]
    assert resolved(resolver, "azure-kv:shop.vault.azure.cn/json#password") == [new]
    assert sorted(str(call) for call in sdk()["calls"]) == sorted(
        str(call)
        for call in (
            ("https://shop.vault.azure.net", "db", None),
            ("https://shop.vault.azure.net", "db", "a" * 32),
            ("https://shop.vault.azure.cn", "json", None),
        )
    )
    resolver.close()
    assert sorted(map(str, sdk()["closed"])) == ["https://shop.vault.azure.cn", "https://shop.vault.azure.net"]
    assert len(sys.modules["azure.identity"].CLOSED) == 1


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone", "the store of azure-kv: not found (ResourceNotFoundError)"),
        (f"db?version={'c' * 32}", "the store of azure-kv: not found (ResourceNotFoundError)"),
        ("denied", "the store of azure-kv: denied (HttpResponseError)"),
        ("nobody", "the store of azure-kv: denied (ClientAuthenticationError)"),
        ("away", "the store of azure-kv: unreachable (ServiceRequestError)"),
        ("silent", "the store of azure-kv: unreachable (ServiceResponseTimeoutError)"),
        ("down", "the store of azure-kv: unreachable (HttpResponseError)"),
        ("broken", "the store of azure-kv: failed (HttpResponseError)"),
        ("json#nothing", "the secret is there, but has no such key"),
        ("none", "its value is no text"),
    ],
)
def test_what_azure_refuses(resolver: Resolver, name: str, reason: str) -> None:
    """By status, or by the error's type; asked once."""
    assert refusal(resolver, f"azure-kv:shop/{name}") == reason
    assert len(sdk()["calls"]) == 1


def test_a_throttled_read_is_tried_again(resolver: Resolver) -> None:
    """Three more times."""
    assert refusal(resolver, "azure-kv:shop/pressed") == "the store of azure-kv: throttled (HttpResponseError)"
    assert len(sdk()["calls"]) == 4


@pytest.mark.parametrize(
    "text", ["shop", "shop/", "shop/a/b", "evil.example/db", "shop.vault.azure.net.evil.example/db", "shop/db?stage=x"]
)
@pytest.mark.usefixtures("resolver")
def test_forms_that_are_refused(text: str) -> None:
    """A row's cell cannot send this machine's token to a host that is no key vault."""
    problem = check_form(f"azure-kv:{text}")
    assert problem is not None
    assert problem.code == "BP301"
    assert problem.message.startswith("azure-kv: takes VAULT/SECRET")


def test_without_the_sdk_the_extra_is_named() -> None:
    """Nothing else of the program needs it."""
    problem = check_form("azure-kv:shop/db")
    assert problem is not None
    assert problem.code == "BP307"
    assert "bulkpatch[azure-kv]" in problem.message
