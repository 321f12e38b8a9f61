"""Schemes that packages bring: loaded late, asked together if they can be, no faster than their limit, told by type."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_rig import ASCII, RealClock, SteppingClock, redactor_of, resolver_of
from stores_rig import refusal, resolved

from bulkpatch.errors import StoreFailed
from bulkpatch.plugins import Group, found, installed
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import EXTRAS
from bulkpatch.secrets.pace import Pace, ReadLimit
from bulkpatch.secrets.references import SDKS, check_form, has_sdk

BATCHES = f"""
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.kinds import Kind

CALLS, THROUGH = [], []

class Shop:
    def __init__(self, around): self.around = around
    def check(self, target): raise AssertionError("only its own package may know")
    def close(self): CALLS.append("closed")
    def read(self, targets):
        self.around.pace.take()
        CALLS.append(list(targets))
        THROUGH.append(dict(self.around.environ))
        if "boom" in targets:
            raise RuntimeError("{ASCII}")
        answers = {{target: (f"value-of-{{target}}", 7) for target in targets}}
        answers |= {{"bad": Unusable("BP302", "not on the shelf"), "odd": "{ASCII}", "text": (b"{ASCII}", None)}}
        answers.pop("lost", None)
        return answers

KIND = Kind(open=Shop, batch_max=3)
"""


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package that brings ``shop:`` as a Kind, and ``vault:`` too, which is ours."""
    (tmp_path / "batchfront.py").write_text(BATCHES)
    folder = tmp_path / "batchfront-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: batchfront\nVersion: 1.0\n")
    points = "[bulkpatch.secrets]\nshop = batchfront:KIND\nvault = batchfront:KIND\n"
    (folder / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    found.cache_clear()
    has_sdk.cache_clear()
    yield
    found.cache_clear()
    has_sdk.cache_clear()
    sys.modules.pop("batchfront", None)


@pytest.mark.usefixtures("shop")
def test_a_batch_of_a_package(tmp_path: Path) -> None:
    """Each target has its own answer, whatever becomes of the others; what the store is told holds no other secret."""
    resolver = resolver_of(tmp_path, {"AWS_REGION": "r", "PREQUEL_API_KEY": "k", "HOME": "/h"})
    assert resolved(resolver, "shop:first") == [("value-of-first", "7")]
    assert resolved(resolver, *(f"shop:n{number}" for number in range(7))) == [
        (f"value-of-n{number}", "7") for number in range(7)
    ]
    calls = sys.modules["batchfront"].CALLS
    assert sorted(map(len, calls[1:])) == [1, 3, 3]
    assert sys.modules["batchfront"].THROUGH[0] == {"AWS_REGION": "r", "HOME": "/h"}

    async def ask(*targets: str) -> list[object]:
        asked = (resolver.resolve(f"shop:{target}") for target in targets)
        return [
            told.message if isinstance(told, StoreFailed) else told.reveal()
            for told in await asyncio.gather(*asked, return_exceptions=True)
            if not isinstance(told, BaseException) or isinstance(told, StoreFailed)
        ]

    assert asyncio.run(ask("bad", "good", "odd")) == [
        "shop:bad: not on the shelf",
        "value-of-good",
        "shop:odd: the store of shop: failed (ValueError)",
    ]
    assert asyncio.run(ask("text", "lost", "fine")) == [
        "shop:text: the store of shop: failed (TypeError)",
        "shop:lost: the store of shop: failed (KeyError)",
        "value-of-fine",
    ]
    assert asyncio.run(ask("boom", "also")) == [
        f"shop:{name}: the store of shop: failed (RuntimeError)" for name in ("boom", "also")
    ]
    resolver.close()
    assert calls[-1] == "closed"


@pytest.mark.usefixtures("shop")
def test_a_package_does_not_take_the_place_of_an_extra(tmp_path: Path) -> None:
    """Whoever installs one more package must not learn what Vault is asked for."""
    resolver = resolver_of(tmp_path, {"VAULT_ADDR": "http://127.0.0.1:9", "VAULT_TOKEN": "t"})
    assert "the store of vault: unreachable" in refusal(resolver, "vault:kv/x#y")
    assert "batchfront" not in sys.modules
    resolver.close()


@pytest.mark.parametrize("scheme", [scheme for scheme in EXTRAS if scheme != "op"])
def test_a_scheme_of_an_extra_names_the_extra(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its SDK the message says what to install."""
    for family in {package.partition(".")[0] for package in SDKS[scheme]}:
        for name in [name for name in sys.modules if name.partition(".")[0] == family]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, family, None)
    has_sdk.cache_clear()
    problem = check_form(f"{scheme}:some/place")
    has_sdk.cache_clear()
    assert problem is not None
    assert problem.code == "BP307"
    assert f"bulkpatch[{scheme}]" in problem.message


def test_every_extra_is_registered() -> None:
    """By this package's own entry points, each with what it needs."""
    assert set(EXTRAS) == set(SDKS)
    assert set(EXTRAS) <= set(installed(Group.SECRETS))
    assert all(installed(Group.SECRETS)[scheme].is_ours for scheme in EXTRAS)


def test_no_sdk_is_imported_before_its_scheme_is_read(tmp_path: Path) -> None:
    """Not by a job that has other references, nor by checking one of its own; start-up stays what it was."""
    program = (
        "import sys; from pathlib import Path\n"
        "from secrets_rig import resolver_of\n"
        "environ = {'VAULT_ADDR': 'https://vault.example', 'VAULT_TOKEN': 't', 'PATH': ''}\n"
        "resolver = resolver_of(Path(sys.argv[1]), environ)\n"
        "references = ['vault:kv/a#b', 'aws-sm:a', 'keyring:a/b', 'age:a#b', 'op:a/b/c']\n"
        "references += ['gcp-sm:a/b', 'azure-kv:abc/b']\n"
        "assert set(resolver.hold(references)) == set(references[3:])\n"
        "print({'hvac', 'boto3', 'botocore', 'keyring', 'pyrage', 'requests'} & set(sys.modules))\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout == "set()\n"


def test_the_sdks_say_nothing_below_a_warning() -> None:
    """Their debug lines hold bodies: each logger that they make, and those of the SDKs that are not installed here."""
    program = (
        "import logging; from bulkpatch.secrets.hygiene import harden_process\n"
        "harden_process({})\n"
        "import boto3, hvac, keyring, pyrage, requests, requests.adapters\n"
        "boto3.Session().client('secretsmanager', region_name='eu-west-1').close()\n"
        "logging.getLogger().setLevel(logging.DEBUG)\n"
        "made = {name for name in logging.root.manager.loggerDict}\n"
        "assert {'botocore.endpoint', 'urllib3.connectionpool', 'hvac.api'} <= made, made\n"
        "made |= {'azure.identity', 'google.auth', 'grpc._channel', 'msal.token_cache', 'secretstorage.util'}\n"
        "made -= {'concurrent', 'concurrent.futures'}  # Python's own, of a thread's failure\n"
        "print(sorted(name for name in made if logging.getLogger(name).isEnabledFor(logging.INFO)))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ran.stdout == "[]\n", ran.stderr


def test_a_pace_holds_in_every_window() -> None:
    """Of 25 reads at ten in a second, from several threads, no eleven begin within one."""
    pace = Pace(ReadLimit(count=10, per_s=0.5), RealClock())
    began: list[float] = []

    def reads() -> None:
        for _ in range(5):
            pace.take()
            began.append(time.monotonic())

    threads = [threading.Thread(target=reads) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    began.sort()
    assert len(began) == 25
    assert min(later - earlier for earlier, later in zip(began, began[10:], strict=False)) > 0.5 - 0.05
    assert began[-1] - began[0] < 5


def test_a_wait_for_the_pace_ends_with_the_run() -> None:
    """A long wait does not keep the process from ending."""
    pace = Pace(ReadLimit(count=1, per_s=20.0), RealClock())
    pace.take()
    told: list[str] = []

    def waits() -> None:
        try:
            pace.take()
        except Unusable as flaw:
            told.append(flaw.reason)

    thread = threading.Thread(target=waits)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    pace.stop()
    thread.join(5)
    assert told == ["the run ended before the store could be asked"]


@pytest.mark.usefixtures("shop")
def test_closing_the_resolver_ends_a_wait_for_the_pace(tmp_path: Path) -> None:
    """The row that waited fails with a reason, and stays pending."""
    resolver = resolver_of(tmp_path, {}, read_limits={"shop": ReadLimit(count=1, per_s=20.0)})
    resolved(resolver, "shop:first")
    closing = threading.Timer(0.3, resolver.close)
    closing.start()
    told = refusal(resolver, "shop:second")
    closing.join()
    assert told == "the run ended before the store could be asked"


def test_a_pause_is_over_when_the_clock_says_so() -> None:
    """And not before."""
    clock = SteppingClock(0.5)
    Pace(None, clock).rest(3.0)
    assert 3.0 <= clock.now_s <= 4.5


@pytest.mark.usefixtures("shop")
def test_a_limit_of_the_job_replaces_the_published_one(tmp_path: Path) -> None:
    """Two reads in any half second."""
    limits = {"shop": ReadLimit(count=2, per_s=0.5)}
    resolver = resolver_of(tmp_path, {}, redactor=redactor_of(), read_limits=limits)
    began_s = time.monotonic()
    for number in range(5):
        resolved(resolver, f"shop:n{number}")
    assert 1.0 <= time.monotonic() - began_s < 10
    resolver.close()
