"""``gcp-sm:`` against a few lines that have the surface of Google's SDK, which is too heavy to install for tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_rig import ASCII, SteppingClock, resolver_of
from stores_rig import packages, refusal, resolved

from bulkpatch.secrets.references import check_form, has_sdk
from bulkpatch.secrets.resolver import Resolver

EXCEPTIONS = """
class GoogleAPICallError(Exception): pass
class ClientError(GoogleAPICallError): pass
class ServerError(GoogleAPICallError): pass
class NotFound(ClientError): pass
class BadRequest(ClientError): pass
class FailedPrecondition(BadRequest): pass
class Forbidden(ClientError): pass
class PermissionDenied(Forbidden): pass
class Unauthorized(ClientError): pass
class Unauthenticated(Unauthorized): pass
class TooManyRequests(ClientError): pass
class ResourceExhausted(TooManyRequests): pass
class ServiceUnavailable(ServerError): pass
class GatewayTimeout(ServerError): pass
class DeadlineExceeded(GatewayTimeout): pass
class InternalServerError(ServerError): pass
class DefaultCredentialsError(Exception): pass
"""
SDK = f"""
from types import SimpleNamespace as Told
from google.api_core import exceptions

CALLS, CLOSED = [], []
VERSIONS = ["previous-value-1", "{ASCII}"]

class SecretManagerServiceClient:
    def __init__(self):
        CALLS.append("opened")
        self.transport = Told(close=lambda: CLOSED.append(1))

    def access_secret_version(self, request=None, *, retry="default", timeout="default"):
        assert retry is None and 0 < timeout <= 10
        CALLS.append(request["name"])
        projects, project, secrets, secret, versions, version = request["name"].split("/")
        assert (projects, secrets, versions) == ("projects", "secrets", "versions")
        if hasattr(exceptions, secret):
            raise getattr(exceptions, secret)("no {ASCII}")
        if secret == "json":
            data = b'{{"password": "{ASCII}"}}'
        elif secret == "bytes":
            data = bytes([255, 254]) * 9
        else:
            number = {{"latest": 2, "live": 2}}.get(version) or int(version)
            if number > 2:
                raise exceptions.NotFound("no {ASCII}")
            version, data = str(number), VERSIONS[number - 1].encode()
        name = f"projects/123456/secrets/{{secret}}/versions/{{version}}"
        return Told(name=name, payload=Told(data=data))
"""


@pytest.fixture
def resolver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    """A resolver in a process where the SDK can be imported."""
    packages(tmp_path / "sdk", {"google.api_core.exceptions": EXCEPTIONS, "google.cloud.secretmanager": SDK})
    for name in [name for name in sys.modules if name.partition(".")[0] == "google"]:
        monkeypatch.delitem(sys.modules, name)  # packages of the same family, which others have loaded
    monkeypatch.syspath_prepend(str(tmp_path / "sdk"))
    has_sdk.cache_clear()
    resolver = resolver_of(tmp_path, {}, clock=SteppingClock(0.5))
    yield resolver
    resolver.close()
    has_sdk.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "google"]:
        del sys.modules[name]


def calls() -> list[str]:
    """What the SDK was asked."""
    told: list[str] = sys.modules["google.cloud.secretmanager"].CALLS
    return told


def test_a_value_with_its_version(resolver: Resolver) -> None:
    """The newest, a number, or what an alias means now; short or with its full name. One client serves all."""
    old, new = ("previous-value-1", "1"), (ASCII, "2")
    assert resolved(resolver, "gcp-sm:shop/db", "gcp-sm:shop/db?version=1") == [new, old]
    assert resolved(resolver, "gcp-sm:projects/shop/secrets/db?version=live") == [new]
    assert resolved(resolver, "gcp-sm:shop/json#password?version=7") == [(ASCII, "7")]
    assert calls().count("opened") == 1
    assert "projects/shop/secrets/db/versions/latest" in calls()
    resolver.close()
    assert sys.modules["google.cloud.secretmanager"].CLOSED == [1]


def test_another_number_than_the_pinned_one(resolver: Resolver) -> None:
    """An SDK that gives version 2 for 02 is not believed."""
    told = refusal(resolver, "gcp-sm:shop/db?version=02")
    assert told == "the store of gcp-sm: gave another version than was asked for"


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("NotFound", "not found"),
        ("FailedPrecondition", "not found"),
        ("PermissionDenied", "denied"),
        ("Unauthenticated", "denied"),
        ("ServiceUnavailable", "unreachable"),
        ("DeadlineExceeded", "unreachable"),
        ("InternalServerError", "failed"),
        ("BadRequest", "failed"),
    ],
)
def test_what_google_refuses(resolver: Resolver, kind: str, word: str) -> None:
    """By the error's type; asked once."""
    assert refusal(resolver, f"gcp-sm:shop/{kind}") == f"the store of gcp-sm: {word} ({kind})"
    assert len(calls()) == 2


def test_a_throttled_read_is_tried_again(resolver: Resolver) -> None:
    """Three more times."""
    assert refusal(resolver, "gcp-sm:shop/ResourceExhausted") == "the store of gcp-sm: throttled (ResourceExhausted)"
    assert len(calls()) == 5


def test_what_is_not_usable(resolver: Resolver) -> None:
    """No such version or key, or bytes that are no text."""
    assert refusal(resolver, "gcp-sm:shop/db?version=3") == "the store of gcp-sm: not found (NotFound)"
    assert refusal(resolver, "gcp-sm:shop/json#nothing?version=7") == "the secret is there, but has no such key"
    assert refusal(resolver, "gcp-sm:shop/bytes") == "its value is not UTF-8 text"


@pytest.mark.parametrize(
    "text", ["db", "shop/", "shop/a/b", "projects/shop/secrets/db/versions/1", "Shop/db", "s/a?stage=x"]
)
@pytest.mark.usefixtures("resolver")
def test_forms_that_are_refused(text: str) -> None:
    """A version stands behind ``?version=`` only."""
    problem = check_form(f"gcp-sm:{text}")
    assert problem is not None
    assert problem.code == "BP301"


def test_without_the_sdk_the_extra_is_named() -> None:
    """Nothing else of the program needs it."""
    problem = check_form("gcp-sm:shop/db")
    assert problem is not None
    assert problem.code == "BP307"
    assert "bulkpatch[gcp-sm]" in problem.message
