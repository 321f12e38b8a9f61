"""``age:`` against files that the real pyrage encrypted."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
from pathlib import Path

import pyrage
import pytest
from secrets_rig import ASCII, NASTY, PEM, private, redactor_of, resolver_of
from stores_rig import STALE, refusal, resolved

from bulkpatch.secrets.age import FILE_BYTES_MAX
from bulkpatch.secrets.references import check_form
from bulkpatch.secrets.resolver import Resolver

MINE = pyrage.x25519.Identity.generate()
JSON = json.dumps({"acme": ASCII, "key": PEM, "port": 5432})
CSV = f'key,value\nacme,{ASCII}\n"a,b","say ""hi"" ü"\r\n\n'


def encrypted(path: Path, text: str | bytes, *, armored: bool = False) -> str:
    """Write it for ``MINE``; the version that it then has."""
    plain = text.encode() if isinstance(text, str) else text
    path.write_bytes(pyrage.encrypt(plain, [MINE.to_public()], armored=armored))
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


@pytest.fixture
def resolver(tmp_path: Path) -> Resolver:
    """One whose identity lies in the job's folder, with the comments that age-keygen writes."""
    private(tmp_path / "me.txt", f"# created: today\n# public key: {MINE.to_public()}\n{MINE}\n".encode())
    return resolver_of(tmp_path, {"AGE_IDENTITY": str(tmp_path / "me.txt")})


@pytest.mark.parametrize("armored", [False, True])
@pytest.mark.parametrize("text", [JSON, CSV, f"\ufeff{CSV}", f"\n {JSON}"])
def test_a_key_of_a_file(resolver: Resolver, tmp_path: Path, text: str, armored: bool) -> None:  # noqa: FBT001 - a table
    """JSON or CSV, binary or armored; the version is that of the encrypted file, and can be pinned."""
    version = encrypted(tmp_path / "pw.age", text, armored=armored)
    assert resolved(resolver, "age:pw.age#acme") == [(ASCII, version)]
    assert resolved(resolver, f"age:{tmp_path}/pw.age#acme?version={version}") == [(ASCII, version)]


def test_quoted_cells_and_long_values(resolver: Resolver, tmp_path: Path) -> None:
    """A CSV as spreadsheets write it; a key file in JSON."""
    encrypted(tmp_path / "c.age", CSV)
    encrypted(tmp_path / "j.age", json.dumps({"k": PEM, "n": NASTY}))
    values = [value for value, _ in resolved(resolver, "age:c.age#a,b", "age:j.age#k", "age:j.age#n")]
    assert values == ['say "hi" ü', PEM, NASTY]


def test_another_version_than_the_pinned_one(resolver: Resolver, tmp_path: Path) -> None:
    """A file that was replaced since the plan is not read for it."""
    old = encrypted(tmp_path / "pw.age", json.dumps({"acme": STALE}))
    encrypted(tmp_path / "pw.age", JSON)
    told = refusal(resolver, f"age:pw.age#acme?version={old}")
    assert told == "the store of age: gave another version than was asked for"


def test_an_identity_in_its_usual_place_and_an_ssh_key(tmp_path: Path) -> None:
    """Without AGE_IDENTITY it is looked for in the home folder."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "id"], check=True)
    public = pyrage.ssh.Recipient.from_str((tmp_path / "id.pub").read_text())
    (tmp_path / "pw.age").write_bytes(pyrage.encrypt(JSON.encode(), [public, MINE.to_public()]))
    folder = tmp_path / ".config" / "age"
    folder.mkdir(parents=True)
    private(folder / "keys.txt", f"{MINE}\n".encode())
    for environ in ({"HOME": str(tmp_path)}, {"AGE_IDENTITY": str(tmp_path / "id")}):
        assert resolved(resolver_of(tmp_path, environ), "age:pw.age#acme")[0][0] == ASCII


def test_an_identity_that_does_not_serve(tmp_path: Path) -> None:
    """Another's, none, one that others may read, or no key at all: before the start where it can be seen."""
    encrypted(tmp_path / "pw.age", JSON)
    other = str(pyrage.x25519.Identity.generate())
    cases = [
        (f"{other}\n", 0o600, "the store of age: denied (DecryptError)"),
        (f"{MINE}\n", 0o644, "the identity file: its mode is 0644"),
        (f"{other[:-1]}Q\n", 0o600, "the identity file: it holds no key that can be used (IdentityError)"),
    ]
    for text, mode, reason in cases:
        private(tmp_path / "id.txt", text.encode(), mode)
        resolver = resolver_of(tmp_path, {"AGE_IDENTITY": str(tmp_path / "id.txt")})
        told = refusal(resolver, "age:pw.age#acme")
        assert told == reason
        assert other not in told
    (tmp_path / "id.txt").chmod(0o644)
    for environ, code in (
        ({"AGE_IDENTITY": str(tmp_path / "id.txt")}, "BP303"),
        ({"AGE_IDENTITY": str(tmp_path / "none.txt")}, "BP302"),
        ({"HOME": str(tmp_path)}, "BP302"),
        ({}, "BP302"),
    ):
        assert resolver_of(tmp_path, dict(environ)).hold(["age:pw.age#acme"])["age:pw.age#acme"].code == code


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{}", "the secret is there, but has no such key"),
        ('{"acme": 5432}', "its value is no text"),
        ('{"acme": "aaaaaaa", "acme": "bbbbbbb"}', "its value is no JSON object that has each key once"),
        (f'{{"acme": "{ASCII}"', "its value is no JSON object that has each key once"),
        ('{"acme": "********"}', "its value is a mask, not the secret"),
        ("key,value\n", "the secret is there, but has no such key"),
        (f"name,secret\nacme,{ASCII}\n", "neither a JSON object nor a CSV with the columns key,value"),
        (f"key,value\nacme,{ASCII},more\n", "line 2 of the file's content has not two cells"),
        (f"key,value\nacme,{ASCII}\nacme,{STALE}\n", "line 3 of the file's content repeats a key"),
        (f'key,value\nacme,"{ASCII}\n', "the file's content is no whole CSV"),
        ("", "neither a JSON object nor a CSV"),
        (b"\xff\xfe\x00", "the file's content is not UTF-8 text"),
    ],
)
def test_content_that_does_not_serve(resolver: Resolver, tmp_path: Path, text: str | bytes, reason: str) -> None:
    """Told by its place, never by what stands there."""
    encrypted(tmp_path / "pw.age", text)
    assert refusal(resolver, "age:pw.age#acme").startswith(reason) or reason in refusal(resolver, "age:pw.age#acme")


def test_a_file_that_does_not_serve(resolver: Resolver, tmp_path: Path) -> None:
    """Missing, a folder, a pipe, too large: before the start, and later too. One that is not age's: when it is read."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as large:
        large.truncate(FILE_BYTES_MAX + 1)
    for name in ("gone", "folder", "pipe", "large"):
        reference = f"age:{name}#acme"
        assert resolver.hold([reference])[reference].code == "BP302"
        assert refusal(resolver, reference)
    (tmp_path / "plain").write_text(JSON)
    assert refusal(resolver, "age:plain#acme") == "the store of age: denied (DecryptError)"


def test_ten_thousand_keys_are_one_decryption(tmp_path: Path, resolver: Resolver) -> None:
    """The file is opened once: it may go after the first key."""
    encrypted(tmp_path / "pw.age", json.dumps({f"c{number}": f"password-{number}" for number in range(10_000)}))
    assert resolved(resolver, "age:pw.age#c0")[0][0] == "password-0"
    (tmp_path / "pw.age").write_bytes(b"")
    references = [f"age:pw.age#c{number}" for number in range(1, 200)]
    assert [value for value, _ in resolved(resolver, *references)] == [f"password-{n}" for n in range(1, 200)]


def test_nothing_is_written(tmp_path: Path, resolver: Resolver) -> None:
    """The plain text is in memory only, and watched for."""
    encrypted(tmp_path / "pw.age", JSON)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    redactor = redactor_of()
    resolved(resolver_of(tmp_path, {"AGE_IDENTITY": str(tmp_path / "me.txt")}, redactor=redactor), "age:pw.age#acme")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert redactor.scrub(ASCII) == "<redacted>"
    assert stat.S_IMODE((tmp_path / "me.txt").stat().st_mode) == 0o600
    assert resolver.hold([]) == {}


@pytest.mark.parametrize("text", ["pw.age", "pw.age#", "#acme", "pw.age#a#b", "pw.age#a?version=1", "pw.age#a?stage=x"])
def test_forms_that_are_refused(text: str) -> None:
    """A key is a must."""
    problem = check_form(f"age:{text}")
    assert problem is not None
    assert problem.code == "BP301"
