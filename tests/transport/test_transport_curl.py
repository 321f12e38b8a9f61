"""What is libcurl's alone: whether it is there, and what it does of its own accord."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import trustme
from transport_rig import PATCH, Maker, answers, make, opened, run, send, serving

from bulkpatch.errors import InvalidInput
from bulkpatch.model import Reply, Request
from bulkpatch.transport.factory import transport_flaw


@pytest.fixture
def curl() -> Maker:
    """A maker of the transport over libcurl."""
    return make("curl")


def test_without_the_extra_it_is_refused_with_the_way_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycurl", None)
    for name in [name for name in sys.modules if name.startswith("bulkpatch.transport.curl")]:
        monkeypatch.delitem(sys.modules, name)
    flaw = transport_flaw("curl")
    assert flaw is not None
    assert flaw.code == "BP115"
    assert "extra `fast`" in flaw.message
    assert "bulkpatch[fast]" in flaw.hint
    assert transport_flaw("httpx") is None


def test_an_older_libcurl_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import pycurl  # noqa: PLC0415  (an extra)

    monkeypatch.setattr(pycurl, "version_info", lambda: (0, "7.88.1", 0x075801))
    monkeypatch.delitem(sys.modules, "bulkpatch.transport.curl_transport", raising=False)
    flaw = transport_flaw("curl")
    assert flaw is not None
    assert flaw.message == "curl needs libcurl 8.10 or newer, and here is 7.88.1"


def test_a_transport_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidInput) as caught:
        make("carrier-pigeon")("http://127.0.0.1:1")
    assert caught.value.code == "BP115"


def test_libcurl_writes_no_session_key_down(tmp_path: Path) -> None:
    """It reads SSLKEYLOGFILE when it is loaded, so a process of its own shows it."""
    log, authority = tmp_path / "keys.log", trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    script = """
        import ssl, sys
        from pathlib import Path
        from transport_rig import answers, make, opened, run, send, serving
        here = Path(sys.argv[1])

        async def work():
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(here / "server.pem")
            async with serving(answers, tls=tls) as server:
                async with opened(make("curl")(server.url, ca_file=here / "ca.pem")) as transport:
                    print(type((await send(transport)).result).__name__)

        run(work())
    """
    rooms = os.pathsep.join((str(Path(__file__).parent), str(Path(__file__).parents[2])))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": rooms, "SSLKEYLOGFILE": str(log)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "Reply\n"
    assert not log.exists() or "SECRET" not in log.read_text()


def test_a_body_of_megabytes_waits_for_no_permission(curl: Maker) -> None:
    """Libcurl would ask with Expect: 100-continue, and wait a second."""
    body = b"x" * 3_000_000

    async def work() -> None:
        async with serving(answers) as server, opened(curl(server.url)) as transport:
            result = (await send(transport, Request(method="PATCH", path=PATCH.path, body=body))).result
            assert isinstance(result, Reply)
            assert result.ended_at_s - result.sent_at_s < 0.9
            assert b"expect" not in server.requests[0][:1000].lower()

    run(work())
