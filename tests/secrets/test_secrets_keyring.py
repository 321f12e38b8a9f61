"""``keyring:`` through the real keyring, with a backend of the test's own in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Event, current_thread

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail
from keyring.errors import InitError, KeyringLocked
from secrets_rig import ASCII, redactor_of, resolver_of
from stores_rig import refusal, resolved, surroundings

from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.os_keyring import Keyring
from bulkpatch.secrets.references import check_form


class Memory(KeyringBackend):
    """A keyring that may be locked, broken, or wait for its user."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.answering = Event()
        self.answering.set()
        self.asked_by: list[bool] = []

    def get_password(self, service: str, username: str) -> str | None:
        """As any backend does."""
        self.asked_by.append(current_thread().daemon)
        self.answering.wait(30)
        if self.error is not None:
            raise self.error
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        """As any backend does."""
        self.kept[service, username] = password


@pytest.fixture
def memory() -> Iterator[Memory]:
    """The backend in use."""
    before = keyring.get_keyring()
    memory = Memory()
    keyring.set_keyring(memory)
    yield memory
    memory.answering.set()
    keyring.set_keyring(before)


def test_a_password(tmp_path: Path, memory: Memory) -> None:
    """What was put in comes out; a service may be a URL. It has no version, and is watched."""
    assert keyring.get_keyring() is memory
    keyring.set_password("shop", "acme", ASCII)
    keyring.set_password("https://db.example/a?b#c", "acme", "another-value")
    redactor = redactor_of()
    resolver = resolver_of(tmp_path, {}, redactor=redactor)
    told = resolved(resolver, "keyring:shop/acme", "keyring:https://db.example/a?b#c/acme")
    assert told == [(ASCII, None), ("another-value", None)]
    assert redactor.scrub(ASCII) == "<redacted>"


def test_what_is_not_there(tmp_path: Path, memory: Memory) -> None:
    """Or has no value."""
    memory.kept["shop", "blank"] = ""
    resolver = resolver_of(tmp_path, {})
    assert refusal(resolver, "keyring:shop/nobody") == "the store of keyring: not found"
    assert refusal(resolver, "keyring:shop/blank") == "its value is empty"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KeyringLocked(f"no {ASCII}"), "denied (KeyringLocked)"),
        (InitError(f"no {ASCII}"), "unreachable (InitError)"),
        (RuntimeError(f"no {ASCII}"), "failed (RuntimeError)"),
    ],
)
def test_a_keyring_that_refuses(tmp_path: Path, memory: Memory, error: Exception, reason: str) -> None:
    """By type, not by its words."""
    memory.error = error
    assert refusal(resolver_of(tmp_path, {}), "keyring:shop/acme") == f"the store of keyring: {reason}"


@pytest.mark.usefixtures("memory")
def test_a_machine_without_a_keyring(tmp_path: Path) -> None:
    """What keyring itself takes on a server."""
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    told = refusal(resolver_of(tmp_path, {}), "keyring:shop/acme")
    assert told == "the store of keyring: unreachable (NoKeyringError)"


def test_a_question_that_nobody_answers(tmp_path: Path, memory: Memory) -> None:
    """It is given up, and does not keep the process from ending."""
    memory.answering.clear()
    answer = Keyring(surroundings(tmp_path, {}), prompt_s=0.2).read(["shop/acme"])["shop/acme"]
    assert isinstance(answer, Unusable)
    assert answer.reason == "the store of keyring: it gave no value within 0.2 s"
    assert memory.asked_by == [True]


@pytest.mark.parametrize("text", ["shop", "/acme", "shop/"])
def test_forms_that_are_refused(text: str) -> None:
    """Both parts are a must."""
    problem = check_form(f"keyring:{text}")
    assert problem is not None
    assert problem.code == "BP301"
    assert problem.message == "keyring: takes SERVICE/USER"
