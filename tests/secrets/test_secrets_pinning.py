"""Where versions are to be pinned, a reference that names none is refused unread, with how to pin it."""

from __future__ import annotations

from pathlib import Path

import pytest
from secrets_rig import resolver_of

from bulkpatch.cli import run_command
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import refuse_unpinned

HEX = "0123456789abcdef"
AWS = "a" * 32
ENVIRON = {"VAULT_ADDR": "https://vault.example", "VAULT_TOKEN": "t"}


@pytest.mark.parametrize(
    ("reference", "words", "fix"),
    [
        ("vault:kv/db/acme#pw", "it names no version", "End it with ?version=N."),
        ("aws-sm:db/acme", "it names no version", "End it with ?version=ID."),
        ("aws-sm:db/acme?stage=AWSCURRENT", "it names no version", "End it with ?version=ID."),
        ("gcp-sm:project/secret", "it names no version", "End it with ?version=N."),
        ("gcp-sm:project/secret?version=latest", "it names an alias, which moves", "End it with ?version=N."),
        ("azure-kv:vaults/secret", "it names no version", "End it with ?version=ID."),
        ("age:secrets.age#acme", "it names no version", "End it with ?version=HEX."),
        ("env:PW", "env: has no versions to pin", "Use one of vault, aws-sm, gcp-sm, azure-kv, age for it."),
        ("file:pw", "file: has no versions to pin", "Use one of vault"),
        ("exec:pw acme", "exec: has no versions to pin", "Use one of vault"),
        ("keyring:a/b", "keyring: has no versions to pin", "Use one of vault"),
        ("op:a/b/c", "op: has no versions to pin", "Use one of vault"),
    ],
)
def test_row_69_a_reference_without_a_version_is_refused_with_how_to_pin_it(
    reference: str, words: str, fix: str
) -> None:
    with pytest.raises(Unusable) as refused:
        refuse_unpinned(*reference.split(":", 1))
    assert (refused.value.code, refused.value.reason) == ("BP308", words)
    assert refused.value.fix.startswith(fix)


@pytest.mark.parametrize(
    "reference",
    [
        "vault:kv/db/acme#pw?version=7",
        f"aws-sm:db/acme?version={AWS}",
        "gcp-sm:project/secret?version=12",
        "azure-kv:vaults/secret?version=abc",
        f"age:secrets.age#acme?version={HEX}",
    ],
)
def test_one_that_names_its_version_passes(reference: str) -> None:
    refuse_unpinned(*reference.split(":", 1))


@pytest.mark.parametrize("reference", ["env:PW", "vault:kv/db/acme#pw"])
def test_nothing_is_read_of_what_is_refused(reference: str, tmp_path: Path) -> None:
    """And where versions are not pinned, it serves."""
    environ = {**ENVIRON, "PW": "correct-horse"}
    resolver, free = resolver_of(tmp_path, environ, pin_versions=True), resolver_of(tmp_path, environ)
    for look in (resolver.hold, resolver.look):
        problem = look([reference])[reference]
        assert (problem.code, problem.warning) == ("BP308", False)
        assert problem.message.startswith(f"{reference}: ")
    assert "PW" in environ
    assert free.hold([reference]) == {}
    resolver.close()
    free.close()


def test_a_job_that_pins_is_told_the_place_of_what_is_not_pinned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In cells and in references that are filled from them; the API key is no row's."""
    (tmp_path / "fleet.csv").write_text("destination_id,customer\na,acme\nb,globex\n")
    job = tmp_path / "job.toml"
    text = '[job]\nname = "pins"\n[input]\npath = "fleet.csv"\nlabels = ["customer"]\n[secrets]\npin_versions = {}\n'
    text += '[patch.postgres.password_auth]\npassword = {{ secret = "env:PW_{{customer}}" }}\n'
    job.write_text(text.format("true"))
    assert run_command(["check", str(job)]) == 2
    told = capsys.readouterr().err
    for line, customer in ((2, "acme"), (3, "globex")):
        assert f"error[BP308]: env:PW_{customer}: env: has no versions to pin" in told
        assert f"fleet.csv:{line}, row {line - 1}" in told
    job.write_text(text.format("false"))
    assert run_command(["check", str(job)]) == 0
