"""Plugins are found by their entry points, refused in our words, and can end nothing by what they raise."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from plugins_rig import install

from bulkpatch.plugins import Group, PluginFailed, flaw, found, installed, others

Add = Callable[..., None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Installs a package where this process looks for them."""
    site = tmp_path / "site"
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)

    def added(package: str, source: str = "def act(*_): return 7", **how: str) -> None:
        install(site, package, source=source, **how)
        found.cache_clear()

    yield added
    found.cache_clear()
    for name in sys.modules.keys() - before:
        del sys.modules[name]


def test_a_plugin_is_found_with_its_package_and_version_and_not_loaded(add: Add) -> None:
    add("carrier", version="2.3", transports="pigeon = carrier:act")
    pigeon = installed(Group.TRANSPORTS)["pigeon"]
    assert (str(pigeon), pigeon.is_ours) == ("transport pigeon: carrier 2.3", False)
    assert [str(one) for one in others()] == ["transport pigeon: carrier 2.3"]
    assert "carrier" not in sys.modules
    assert flaw(Group.TRANSPORTS, "pigeon") is None
    assert "carrier" in sys.modules


def test_a_name_that_nobody_brings_is_met_with_the_one_that_was_meant(add: Add) -> None:
    add("carrier", transports="pigeon = carrier:act")
    assert flaw(Group.TRANSPORTS, "pigon") == ("there is no transport pigon", "Did you mean pigeon?")
    assert flaw(Group.TRANSPORTS, "htpx", besides=["httpx"]) == ("there is no transport htpx", "Did you mean httpx?")
    assert flaw(Group.WRITERS, "zzz") == ("there is no report writer zzz", "Known here: none.")


def test_a_name_that_two_packages_bring_is_nobodys(add: Add) -> None:
    """Whoever installs one more package must not change who is asked."""
    add("first", gates="ticket = first:act")
    add("second", version="3", gates="ticket = second:act")
    words = "first 1.0 and second 3 bring a gate ticket each"
    assert flaw(Group.GATES, "ticket") == (words, "Uninstall all but one.")
    assert {"first", "second"}.isdisjoint(sys.modules)


def test_no_package_takes_the_place_of_one_of_ours(add: Add) -> None:
    add("thief", secrets="vault = thief:act")
    vault = installed(Group.SECRETS)["vault"]
    assert vault.is_ours
    assert not vault.rivals


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_of_this_name", "there is no module nothing_of_this_name"),
        ("raise ValueError('hunter2')", "ValueError"),
        ("raise SystemExit(0)", "SystemExit"),
        ("", "AttributeError"),
        ("def act(:", "SyntaxError"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_told_by_type_alone(add: Add, source: str, words: str) -> None:
    add("broken", source, gates="ticket = broken:act")
    told = flaw(Group.GATES, "ticket")
    assert told == (f"gate ticket: broken 1.0 cannot be loaded ({words})", "Mend or reinstall broken.")


def test_what_cannot_be_called_is_no_plugin(add: Add) -> None:
    add("number", "act = 7", writers="sums = number:act")
    told = flaw(Group.WRITERS, "sums")
    assert told is not None
    assert told[0] == "report writer sums: number 1.0 brings a int, which cannot be called"


@pytest.mark.parametrize("raised", ["ValueError('hunter2')", "SystemExit(1)", "KeyboardInterrupt", "PluginFailed('x')"])
def test_whatever_a_plugin_raises_is_its_failure_and_says_nothing(add: Add, raised: str) -> None:
    source = f"from bulkpatch.plugins import PluginFailed\ndef act(*_):\n    raise {raised}"
    add("rude", source, gates="ticket = rude:act")
    with pytest.raises(PluginFailed, match=rf"^{raised.partition('(')[0]}$"):
        installed(Group.GATES)["ticket"].call("counts").result(10)


def test_a_plugin_is_called_on_a_thread_that_holds_up_no_exit(add: Add) -> None:
    """It cannot be ended, so the process must not wait for it."""
    source = "import threading\ndef act(*told): return told, threading.current_thread().daemon"
    add("calm", source, gates="ticket = calm:act")
    assert installed(Group.GATES)["ticket"].call(1, 2).result(10) == ((1, 2), True)


def test_neither_import_nor_help_nor_completion_looks_for_plugins() -> None:
    """It would cost those who do not use one."""
    script = (
        "import bulkpatch; from bulkpatch.cli import run_command;"
        "run_command(['--help']); run_command(['completion', 'bash']);"
        "from bulkpatch.plugins import found; print(found.cache_info().misses)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "0"
