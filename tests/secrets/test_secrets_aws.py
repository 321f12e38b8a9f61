"""``aws-sm:`` against moto's server on loopback, asked by the real boto3; refusals by a server of the test's own."""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from secrets_rig import ASCII, PEM, SteppingClock, redactor_of, resolver_of
from stores_rig import STALE, Asked, refusal, resolved, serving, surroundings

from bulkpatch.secrets.aws import SecretsManager
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.references import check_form
from bulkpatch.secrets.resolver import Resolver

REGION = "eu-west-1"
MANY = 45


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    """The server's address. Its request log is nobody's."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def environ(moto: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What boto3 is told by the process's environment, and this machine's own files do not tell it."""
    told = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing-testing",
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    return told


@pytest.fixture
def client(environ: dict[str, str]) -> Iterator[Any]:
    """Who puts secrets there, and takes them away again."""
    client = boto3.client("secretsmanager", region_name=environ["AWS_REGION"])
    yield client
    for page in client.get_paginator("list_secrets").paginate():
        for entry in page["SecretList"]:
            client.delete_secret(SecretId=entry["ARN"], ForceDeleteWithoutRecovery=True)
    client.close()


@pytest.fixture
def resolver(client: Any, environ: dict[str, str], tmp_path: Path) -> Iterator[Resolver]:  # noqa: ARG001 - the order
    """A resolver that finds the server."""
    resolver = resolver_of(tmp_path, dict(environ))
    yield resolver
    resolver.close()


def test_a_text_with_its_version(resolver: Resolver, client: Any) -> None:
    """By name or ARN; the current version, one by its id, or one by its stage."""
    first = client.create_secret(Name="db/acme", SecretString=STALE)
    second = client.put_secret_value(SecretId="db/acme", SecretString=ASCII)
    new, old = (ASCII, second["VersionId"]), (STALE, first["VersionId"])
    assert resolved(resolver, "aws-sm:db/acme") == [new]
    assert resolved(resolver, f"aws-sm:{first['ARN']}") == [new]
    assert resolved(resolver, f"aws-sm:db/acme?version={first['VersionId']}") == [old]
    assert resolved(resolver, "aws-sm:db/acme?stage=AWSPREVIOUS") == [old]
    assert resolved(resolver, "aws-sm:db/acme?stage=AWSCURRENT") == [new]


def test_a_key_of_a_json_text(resolver: Resolver, client: Any) -> None:
    """As the rotation functions of AWS write it; bytes are text too, if they are UTF-8."""
    made = client.create_secret(Name="rds", SecretString=json.dumps({"password": ASCII, "port": 5432}))
    client.create_secret(Name="pem", SecretBinary=f"{PEM}\n".encode())
    assert resolved(resolver, "aws-sm:rds#password", "aws-sm:pem")[0] == (ASCII, made["VersionId"])
    assert resolved(resolver, "aws-sm:pem")[0][0] == PEM
    assert refusal(resolver, "aws-sm:rds#passwort") == "the secret is there, but has no such key"
    assert refusal(resolver, "aws-sm:rds#port") == "its value is no text"


@pytest.mark.parametrize("text", [ASCII, f'["{ASCII}"]', f'{{"a":"{ASCII}","a":"{ASCII}"}}', '{"a":' * 5_000])
def test_a_key_of_no_json_object(resolver: Resolver, client: Any, text: str) -> None:
    """Nor of one that has the key twice, or never ends; what it says instead is not shown."""
    client.create_secret(Name="odd", SecretString=text)
    assert "no JSON object" in refusal(resolver, "aws-sm:odd#a")


def test_what_is_not_there(resolver: Resolver, client: Any) -> None:
    """No such secret, version or stage."""
    client.create_secret(Name="db/acme", SecretString=ASCII)
    gone = "the store of aws-sm: not found (ResourceNotFoundException)"
    for text in ("db/nobody", f"db/acme?version={'0' * 32}", "db/acme?stage=NEVER"):
        assert refusal(resolver, f"aws-sm:{text}") == gone


def test_many_at_once_are_few_requests(environ: dict[str, str], client: Any, tmp_path: Path) -> None:
    """Twenty to a request as AWS allows, and one that is missing does not take the others along."""
    made = [client.create_secret(Name=f"db/{number}", SecretString=f"password-{number}") for number in range(MANY)]
    redactor = redactor_of()
    resolver = resolver_of(tmp_path, dict(environ), redactor=redactor)
    references = [f"aws-sm:db/{number}" for number in range(MANY)]
    expected = [(f"password-{number}", made[number]["VersionId"]) for number in range(MANY)]
    assert resolved(resolver, *references) == expected
    assert redactor.live == MANY
    store = SecretsManager(surroundings(tmp_path, environ))
    answers = store.read(["db/1", "db/nobody", "db/2"])
    store.close()
    assert [answers[name] for name in ("db/1", "db/2")] == expected[1:3]
    assert isinstance(answers["db/nobody"], Unusable)
    assert answers["db/nobody"].code == "BP302"
    resolver.close()


def answers_of(asked: Asked) -> str:
    """The operation."""
    return asked.headers["X-Amz-Target"].partition(".")[2]


def test_a_batch_is_one_request_and_one_that_is_denied_is_none(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may not read in batches reads one by one."""

    def aws(asked: Asked) -> tuple[int, Any]:
        body = json.loads(asked.body)
        if answers_of(asked) == "GetSecretValue":
            return 200, {"SecretString": f"alone-{body['SecretId']}", "VersionId": "v"}
        if not allowed:
            return 400, {"__type": "AccessDeniedException", "message": ASCII}
        entries = [{"Name": name, "ARN": "arn", "SecretString": f"of-{name}", "VersionId": "v"} for name in "abc"]
        return 200, {"SecretValues": entries, "Errors": []}

    for allowed, expected in ((True, "of-"), (False, "alone-")):
        with serving(aws) as loopback:
            monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", loopback.url)
            resolver = resolver_of(tmp_path, dict(environ), allow_short=True)
            told = resolved(resolver, "aws-sm:a", "aws-sm:b", "aws-sm:c")
            assert told == [(f"{expected}{name}", "v") for name in "abc"]
            assert len(loopback.asked) == (1 if allowed else 4)
            resolver.close()


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "AccessDeniedException", "denied (ClientError)"),
        (400, "ExpiredTokenException", "denied (ClientError)"),
        (400, "DecryptionFailure", "denied (DecryptionFailure)"),
        (400, "ThrottlingException", "throttled (ClientError)"),
        (500, "InternalServiceError", "unreachable (InternalServiceError)"),
        (400, "SomethingNew", "failed (ClientError)"),
    ],
)
def test_what_aws_refuses(  # noqa: PLR0913, PLR0917 - a table and its fixtures
    status: int, code: str, reason: str, environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By AWS's own code; its message, here with a canary, is not repeated."""
    with serving(lambda _: (status, {"__type": code, "message": f"no {ASCII}"})) as loopback:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", loopback.url)
        resolver = resolver_of(tmp_path, dict(environ), clock=SteppingClock(5.0))
        assert refusal(resolver, "aws-sm:db/acme") == f"the store of aws-sm: {reason}"
        assert (len(loopback.asked) > 3) == reason.startswith("throttled")
        resolver.close()


def test_aws_silent_or_away(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are unreachable."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with serving(lambda _: None) as silent:
        for address, kind in ((silent.url, "ReadTimeoutError"), (nobody, "EndpointConnectionError")):
            monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", address)
            store = SecretsManager(surroundings(tmp_path, environ, answer_s=0.4))
            answer = store.read(["db/acme"])["db/acme"]
            store.close()
            assert isinstance(answer, Unusable)
            assert answer.reason == f"the store of aws-sm: unreachable ({kind})"


def test_no_credentials(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denied before anything is sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    resolver = resolver_of(tmp_path, dict(environ))
    assert refusal(resolver, "aws-sm:db/acme") == "the store of aws-sm: denied (NoCredentialsError)"
    resolver.close()


def test_an_arn_is_asked_for_in_its_own_region(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever region the environment names."""
    reply = {"SecretString": ASCII, "VersionId": "v"}
    with serving(lambda _: (200, reply)) as loopback:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", loopback.url)
        resolver = resolver_of(tmp_path, dict(environ))
        resolved(resolver, "aws-sm:arn:aws:secretsmanager:us-east-2:123456789012:secret:db/acme-AbCdEf", "aws-sm:db")
        signed = sorted(asked.headers["Authorization"].split("/")[2] for asked in loopback.asked)
        resolver.close()
    assert signed == [REGION, "us-east-2"]


@pytest.mark.parametrize(
    "text", ["a b", "a#", "a#b#c", "a?version=1", "a?stage=", "a?version=x&stage=y", "arn:aws:s3:::b"]
)
def test_forms_that_are_refused(text: str) -> None:
    """A pin that AWS would not take, or two."""
    problem = check_form(f"aws-sm:{text}")
    assert problem is not None
    assert problem.code == "BP301"
    assert "name or ARN" in problem.message
