"""``vault:`` against a KV version 2 server of the test's own on loopback, asked by the real hvac."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
import trustme
from secrets_rig import ASCII, PEM, SteppingClock, private, redactor_of, resolver_of
from stores_rig import STALE, Asked, Loopback, refusal, resolved, serving, surroundings

from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.references import check_form
from bulkpatch.secrets.resolver import Resolver
from bulkpatch.secrets.vault import Vault

TOKEN = "hvs.0123456789"
REFERENCE = "vault:kv/db/acme#password"
KEPT: dict[str, list[dict[str, Any] | None]] = {
    "kv/data/db/acme": [
        {"password": STALE},
        None,
        {"password": ASCII, "user": "exporter", "key": PEM, "port": 5432, "blank": "", "mask": "********"},
    ],
    "team/kv/data/db/acme": [{"password": "of-the-team-1"}],
    "kv/data/with space": [{"password": "with-a-space"}],
}
"""By path, what each version holds; None is a deleted one."""


def kv(asked: Asked) -> tuple[int, Any]:
    """As Vault answers, errors included; those name the canary, as a careless plugin's might."""
    parts = urlsplit(asked.path)
    if asked.headers.get("X-Vault-Token") != TOKEN:
        return 403, {"errors": [f"permission denied {ASCII}"]}
    versions = KEPT.get(unquote(parts.path).removeprefix("/v1/"), [])
    wanted = int(parse_qs(parts.query).get("version", [str(len(versions))])[0])
    if not 0 < wanted <= len(versions):
        return 404, {"errors": []}
    metadata = {"version": wanted, "deletion_time": "", "destroyed": False}
    if versions[wanted - 1] is None:
        return 404, {"data": {"data": None, "metadata": {**metadata, "deletion_time": "2026-01-01T00:00:00Z"}}}
    return 200, {"data": {"data": versions[wanted - 1], "metadata": metadata}}


@pytest.fixture
def vault() -> Iterator[Loopback]:
    """The server."""
    with serving(kv) as loopback:
        yield loopback


@pytest.fixture
def resolver(vault: Loopback, tmp_path: Path) -> Iterator[Resolver]:
    """A resolver that finds it."""
    resolver = resolver_of(tmp_path, {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN})
    yield resolver
    resolver.close()


def test_a_field_with_its_version(resolver: Resolver) -> None:
    """The newest version, or the one that is pinned; in a mount whose name has a slash too."""
    assert resolved(resolver, REFERENCE) == [(ASCII, "3")]
    assert resolved(resolver, f"{REFERENCE}?version=1") == [(STALE, "1")]
    assert resolved(resolver, f"{REFERENCE}?version=3", "vault:kv/db/acme#key") == [(ASCII, "3"), (PEM, "3")]
    assert resolved(resolver, "vault:team/kv//db/acme#password") == [("of-the-team-1", "1")]
    assert resolved(resolver, "vault:kv/with space#password") == [("with-a-space", "1")]


def test_fields_of_one_secret_are_one_request(resolver: Resolver, vault: Loopback) -> None:
    """Asked for at the same moment or later."""
    assert len(resolved(resolver, REFERENCE, "vault:kv/db/acme#user", "vault:kv/db/acme#key")) == 3
    assert resolved(resolver, "vault:kv/db/acme#user") == [("exporter", "3")]
    assert [asked.path for asked in vault.asked] == ["/v1/kv/data/db/acme"]


def test_what_it_gives_is_watched(vault: Loopback, tmp_path: Path) -> None:
    """From then on no sink lets it through."""
    redactor = redactor_of()
    resolver = resolver_of(tmp_path, {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}, redactor=redactor)
    resolved(resolver, REFERENCE)
    resolver.close()
    assert redactor.scrub(f"no {ASCII} here") == "no <redacted> here"


@pytest.mark.parametrize(
    ("reference", "reason"),
    [
        ("vault:kv/db/nobody#password", "the store of vault: not found (InvalidPath)"),
        ("vault:kv/db/acme#password?version=2", "the store of vault: not found (InvalidPath)"),
        ("vault:kv/db/acme#password?version=9", "the store of vault: not found (InvalidPath)"),
        ("vault:kv/db/acme#passwort", "the secret is there, but has no such key"),
        ("vault:kv/db/acme#port", "its value is no text"),
        ("vault:kv/db/acme#blank", "its value is empty"),
        ("vault:kv/db/acme#mask", "its value is a mask, not the secret"),
    ],
)
def test_what_is_not_there_or_not_usable(resolver: Resolver, reference: str, reason: str) -> None:
    """Missing, deleted, of another type, blank or masked: each by its reason."""
    assert refusal(resolver, reference) == reason


def test_a_token_that_is_refused(vault: Loopback, tmp_path: Path) -> None:
    """Vault's own words are not repeated."""
    resolver = resolver_of(tmp_path, {"VAULT_ADDR": vault.url, "VAULT_TOKEN": "hvs.another"})
    assert refusal(resolver, REFERENCE) == "the store of vault: denied (Forbidden)"
    resolver.close()


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (503, "the store of vault: sealed or down (VaultDown)"),
        (501, "the store of vault: sealed or down (VaultNotInitialized)"),
        (502, "the store of vault: unreachable (BadGateway)"),
        (500, "the store of vault: failed (InternalServerError)"),
        (307, "the store of vault: its answer is no secret of a KV engine, version 2"),
        (200, "the store of vault: its answer is no secret of a KV engine, version 2"),
    ],
)
def test_a_vault_that_does_not_serve(resolver: Resolver, vault: Loopback, status: int, reason: str) -> None:
    """Sealed, broken, or no Vault at all: told once, without its words, and not asked again."""
    vault.answer = lambda _: (status, {"errors": [f"Vault is sealed {ASCII}"], "data": [ASCII]})
    assert refusal(resolver, REFERENCE) == reason
    assert len(vault.asked) == 1


def test_a_redirect_gets_no_token(tmp_path: Path, vault: Loopback) -> None:
    """The token goes to VAULT_ADDR only."""
    with serving(lambda _: (307, {}), location=f"{vault.url}/v1/kv/data/db/acme") as door:
        resolver = resolver_of(tmp_path, {"VAULT_ADDR": door.url, "VAULT_TOKEN": TOKEN})
        assert "no secret of a KV engine" in refusal(resolver, REFERENCE)
        resolver.close()
    assert vault.asked == []


def test_a_throttled_read_is_tried_again(vault: Loopback, tmp_path: Path) -> None:
    """Three more times, after pauses; a Vault that stays pressed stops the run."""
    clock = SteppingClock(5.0)
    resolver = resolver_of(tmp_path, {"VAULT_ADDR": vault.url, "VAULT_TOKEN": TOKEN}, clock=clock)
    vault.answer = lambda _: (429, {"errors": [ASCII]})
    assert refusal(resolver, REFERENCE) == "the store of vault: throttled (RateLimitExceeded)"
    assert len(vault.asked) == 4
    assert clock.now_s > 7.0
    vault.answer = lambda asked: kv(asked) if len(vault.asked) > 6 else (429, {})
    assert resolved(resolver, REFERENCE) == [(ASCII, "3")]
    resolver.close()


def test_a_vault_that_is_silent_or_away(vault: Loopback, tmp_path: Path) -> None:
    """Both are unreachable; the first after the store's time limit."""
    vault.answer = lambda _: None
    told = []
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    for address in (vault.url, nobody):
        store = Vault(surroundings(tmp_path, {"VAULT_ADDR": address, "VAULT_TOKEN": TOKEN}, answer_s=0.3))
        answer = store.read(["kv/db/acme#password"])["kv/db/acme#password"]
        store.close()
        assert isinstance(answer, Unusable)
        told.append(answer.reason)
    assert told == [f"the store of vault: unreachable ({kind})" for kind in ("ReadTimeout", "ConnectionError")]


def test_token_file_and_namespace(vault: Loopback, tmp_path: Path) -> None:
    """As ``vault login`` leaves the token; the file must be private."""
    environ = {"VAULT_ADDR": vault.url, "HOME": str(tmp_path), "VAULT_NAMESPACE": "team-a"}
    private(tmp_path / ".vault-token", TOKEN.encode())
    resolver = resolver_of(tmp_path, dict(environ))
    assert resolved(resolver, REFERENCE) == [(ASCII, "3")]
    resolver.close()
    assert vault.asked[0].headers["X-Vault-Namespace"] == "team-a"
    (tmp_path / ".vault-token").chmod(0o644)
    problems = resolver_of(tmp_path, dict(environ)).hold([REFERENCE])
    assert problems[REFERENCE].code == "BP303"
    assert "~/.vault-token: its mode is 0644" in problems[REFERENCE].message


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"VAULT_TOKEN": TOKEN}, "VAULT_ADDR is not set"),
        ({"VAULT_TOKEN": TOKEN, "VAULT_ADDR": "vault.example"}, "no http or https address"),
        ({"VAULT_TOKEN": TOKEN, "VAULT_ADDR": "http://vault.example:8200"}, "plain http to another machine"),
        ({"VAULT_ADDR": "https://vault.example"}, "there is no token"),
        ({"VAULT_ADDR": "https://vault.example", "HOME": "/nonexistent"}, "there is no token"),
    ],
)
def test_what_is_known_before_the_start(tmp_path: Path, environ: dict[str, str], reason: str) -> None:
    """No run begins that must fail at its first secret."""
    problem = resolver_of(tmp_path, environ).hold([REFERENCE])[REFERENCE]
    assert problem.code == "BP302"
    assert reason in problem.message
    assert TOKEN not in problem.message


def test_tls_is_verified_against_the_named_authority(tmp_path: Path) -> None:
    """VAULT_CACERT is believed, and nothing else: not even with VAULT_SKIP_VERIFY."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))

    def over_tls(plain: socket.socket) -> ssl.SSLSocket:
        return context.wrap_socket(plain, server_side=True)

    with serving(kv, wrap=over_tls) as vault:
        environ = {"VAULT_ADDR": f"https://127.0.0.1:{vault.port}", "VAULT_TOKEN": TOKEN, "VAULT_SKIP_VERIFY": "1"}
        trusting = resolver_of(tmp_path, {**environ, "VAULT_CACERT": str(tmp_path / "ca.pem")})
        assert resolved(trusting, REFERENCE) == [(ASCII, "3")]
        trusting.close()
        for named in ({}, {"VAULT_CACERT": str(tmp_path / "other.pem")}):
            wary = resolver_of(tmp_path, {**environ, **named})
            assert refusal(wary, REFERENCE) == "the store of vault: unreachable (SSLError)"
            wary.close()
        assert len(vault.asked) == 1


@pytest.mark.parametrize(
    "text",
    [
        "kv",
        "kv/db/acme",
        "kv#password",
        "/kv/db#password",
        "kv/db/#password",
        "kv/../sys/raw#password",
        "kv/db/./acme#password",
        "kv/db/..#password",
        "kv//a//b#password",
        "kv/db#a#b",
        "kv/db#password?version=0",
        "kv/db#password?version=latest",
        "kv/db#password?verison=3",
        "kv/db#password?stage=AWSCURRENT",
        "kv/db?version=1#password",
    ],
)
def test_forms_that_are_refused(text: str) -> None:
    """A row's cell cannot lead the path elsewhere, and a pin that is misspelt is not overlooked."""
    problem = check_form(f"vault:{text}")
    assert problem is not None
    assert problem.code == "BP301"
    assert "MOUNT/PATH#FIELD" in problem.message
