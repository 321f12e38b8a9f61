"""The key goes to one address only: over TLS that proves who is there, past proxies and redirects, or not at all."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme
from program_parrot import Answer, Asked, Parrot
from program_rig import KEY, Bench, Ended, renaming_job, renaming_rows

PROXIES = tuple(case(f"{name}_proxy") for name in ("http", "https", "all") for case in (str.lower, str.upper))
PAST = dt.datetime(2020, 1, 2, tzinfo=dt.UTC)


def accepts(asked: Asked) -> Answer:
    """A success for the destination that was asked for."""
    data = {"destination": {"id": asked.path.rpartition("/")[2]}}
    return 200, {}, json.dumps({"status": "success", "message": "ok", "data": data}).encode()


def job_for(bench: Bench, url: str) -> Path:
    """A job for two destinations at ``url``."""
    bench.write("fleet.csv", renaming_rows(["id-a", "id-b"]))
    return bench.write("job.toml", renaming_job(url))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Whom the program trusts."""
    return trustme.CA()


def served(authority: trustme.CA, flaw: str) -> ssl.SSLContext:
    """The server's side, with ``flaw``."""
    issuer = trustme.CA() if flaw == "untrusted" else authority
    names = ("other.example",) if flaw == "wrong host" else ("127.0.0.1",)
    span: dict[str, Any] = {"not_before": PAST - dt.timedelta(days=1), "not_after": PAST} if flaw == "expired" else {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer.issue_cert(*names, **span).configure_cert(context)
    if flaw == "old version":
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


def over_tls(bench: Bench, authority: trustme.CA, flaw: str, transport: str) -> tuple[Ended, Parrot]:
    """A run of a job that trusts ``authority`` alone, over a server with ``flaw``."""
    authority.cert_pem.write_to_path(str(bench.folder / "authorities.pem"))
    with Parrot(accepts, tls=served(authority, flaw)) as parrot:
        bench.write("fleet.csv", renaming_rows(["id-a", "id-b"]))
        text = renaming_job(parrot.url, transport=transport).replace("[input]", 'ca_file = "authorities.pem"\n[input]')
        return bench.run("run", bench.write("job.toml", text), "--yes"), parrot


@pytest.mark.proves("G11")
@pytest.mark.parametrize("transport", ["httpx", "curl"])
def test_a_server_that_proves_its_name_gets_the_key(bench: Bench, authority: trustme.CA, transport: str) -> None:
    """What the flaws below are held against: without one, the run succeeds over TLS."""
    ended, parrot = over_tls(bench, authority, "none", transport)
    assert ended.code == 0, ended.err
    assert [asked.headers["x-api-key"] for asked in parrot.asked] == [KEY] * 2


@pytest.mark.parametrize("file", ["missing.pem", "job.toml"])
def test_a_file_that_holds_no_authorities_is_refused_with_its_place(bench: Bench, file: str) -> None:
    """Before anything is asked: exit 2, the line of the job, the fix."""
    bench.write("fleet.csv", renaming_rows(["id-a"]))
    text = renaming_job("https://localhost:1").replace("[input]", f'ca_file = "{file}"\n[input]')
    ended = bench.run("check", bench.write("job.toml", text))
    assert ended.code == 2
    assert "error[BP105]" in ended.err
    assert "job.toml:7:" in ended.err


@pytest.mark.proves("G11")
@pytest.mark.parametrize("flaw", ["wrong host", "expired", "untrusted", "old version"])
@pytest.mark.parametrize("transport", ["httpx", "curl"])
def test_a_server_that_does_not_gets_nothing(bench: Bench, authority: trustme.CA, flaw: str, transport: str) -> None:
    """Exit 4 at the first connection, no retry; no request was read, so no key; every row is left as it was."""
    ended, parrot = over_tls(bench, authority, flaw, transport)
    assert ended.code == 4, ended.err
    assert not parrot.asked + parrot.read
    assert "BP405" in ended.err
    assert bench.outcomes()["state"].to_list() == ["not_attempted"] * 2
    assert bench.ledger().states == {}


@pytest.mark.proves("G11")
def test_nothing_of_the_environment_is_a_proxy_or_a_password(bench: Bench) -> None:
    """Six names of proxies, and a .netrc: the sink hears nothing, the API gets the key; one line says so."""
    (bench.folder / "home" / ".netrc").write_text("default login thief password from-netrc\n")
    with socket.create_server(("127.0.0.1", 0)) as sink, Parrot(accepts) as parrot:
        sink.setblocking(False)  # noqa: FBT003  (as socket takes it)
        address = f"http://127.0.0.1:{sink.getsockname()[1]}"
        environ = {
            **dict.fromkeys(PROXIES, address),
            "no_proxy": "",
            "NO_PROXY": "",
            "NETRC": f"{bench.folder}/home/.netrc",
        }
        ended = bench.run("run", job_for(bench, parrot.url), "--yes", environ=environ)
        with pytest.raises(BlockingIOError):
            sink.accept()
    assert ended.code == 0, ended.err
    assert ended.err.count("not used: the key goes straight to the API") == 1
    assert len(parrot.asked) == 2
    for asked in parrot.asked + parrot.read:
        assert asked.headers["x-api-key"] == KEY
        assert {"authorization", "proxy-authorization", "cookie"}.isdisjoint(asked.headers)


def test_session_keys_are_written_nowhere(bench: Bench) -> None:
    """SSLKEYLOGFILE is refused before anything is sent or written."""
    log = bench.folder / "keys.log"
    with Parrot(accepts) as parrot:
        ended = bench.run("run", job_for(bench, parrot.url), "--yes", environ={"SSLKEYLOGFILE": str(log)})
    assert ended.code == 2
    assert "BP118" in ended.err
    assert not log.exists()
    assert not parrot.asked + parrot.read


UNSAFE = (
    "http://user:hunter2@127.0.0.1.evil.example",
    "http://api.prequel.co",
    "http://10.0.0.1",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1@evil.example",
    "https://user:hunter2@api.prequel.co",
    "https://api.prequel.co/../keys",
    "https://api.prequel.co/?to=x",
    "https://api.prequel.co#x",
    "https://api.prequel.co\\@evil.example",
    "http://0x7f.1",
    "http://2130706433",
    "ftp://127.0.0.1",
    "//127.0.0.1",
    "https://",
    "",
)


def check_unsafe(bench: Bench, url: str) -> None:
    """Exit 2 with words of ours that show no password; no run was begun."""
    ended = bench.run("run", job_for(bench, "http://127.0.0.1:9"), "--yes", "--base-url", url)
    assert ended.code == 2, (url, ended.err)
    assert "error[BP" in ended.err
    assert "hunter2" not in ended.err
    assert not bench.runs


@pytest.mark.proves("G11")
def test_an_unsafe_address_is_refused_unshown(bench: Bench) -> None:
    """A password in the address, before a host that looks like loopback."""
    check_unsafe(bench, UNSAFE[0])


@pytest.mark.long
@pytest.mark.proves("G11")
@pytest.mark.parametrize("url", UNSAFE)
def test_any_unsafe_address_is_refused_unshown(bench: Bench, url: str) -> None:
    """Plain http beyond loopback, users, look-alikes."""
    check_unsafe(bench, url)


@pytest.mark.long
@pytest.mark.proves("G11")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_of_any_kind_goes_nowhere(bench: Bench, status: int) -> None:
    """To another origin: exit 4 after one PATCH, and the other origin hears nothing."""
    with socket.create_server(("127.0.0.1", 0)) as sink:
        sink.setblocking(False)  # noqa: FBT003  (as socket takes it)
        target = {"Location": f"http://127.0.0.1:{sink.getsockname()[1]}/destinations/id-a"}
        with Parrot(lambda _: (status, target, b"")) as parrot:
            ended = bench.run("run", job_for(bench, parrot.url), "--yes")
        with pytest.raises(BlockingIOError):
            sink.accept()
    assert ended.code == 4, ended.err
    assert len(parrot.asked) == 1
    assert bench.ledger().states == {}
