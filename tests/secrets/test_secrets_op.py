"""``op:`` against a small program of that name, which says what 1Password's own says; that one needs an account."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from secrets_rig import ASCII, SteppingClock, private, redactor_of, resolver_of
from stores_rig import refusal, resolved, surroundings

from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.onepassword import OnePassword
from bulkpatch.secrets.pace import ReadLimit
from bulkpatch.secrets.references import check_form
from bulkpatch.secrets.resolver import Resolver

PROGRAM = f"""#!{sys.executable}
import os, sys, time
open(os.path.join(os.path.dirname(__file__), "calls"), "a").write("x")
assert sys.argv[1:3] == ["read", "--no-newline"], sys.argv
place = sys.argv[3]
def refuse(text):
    print("[ERROR] 2026/10/01 12:00:00 " + text + " {ASCII}", file=sys.stderr)
    sys.exit(1)
item = place.removeprefix("op://shop/").partition("/")[0]
if item == "acme":
    sys.stdout.write("{ASCII}")
elif item == "environment":
    seen = set(os.environ) - {{"LC_CTYPE"}}
    sys.stdout.write(",".join(sorted(seen)))
elif item == "place":
    sys.stdout.write(place)
elif item == "arguments":
    sys.stdout.write(" ".join(sys.argv[1:]))
elif item == "slow":
    time.sleep(30)
elif item == "loud":
    sys.stderr.write("x" * 30_000 + "not found")
    sys.exit(6)
else:
    refuse({{
        "gone": '"gone" isn\\'t an item in the "shop" vault.',
        "fieldless": "item 'shop/fieldless' does not have a field 'x'",
        "signed-out": "You are not currently signed in. Please run `op signin`",
        "denied": "(403) Forbidden: You do not have permission to perform this action",
        "pressed": "Too many requests. Your client has been rate-limited.",
        "away": "dial tcp: lookup my.1password.com: no such host",
        "odd": "something else",
    }}[item])
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Where the program is found."""
    private(tmp_path / "op", PROGRAM.encode(), 0o700)
    return {"PATH": str(tmp_path), "HOME": "/h", "OP_SERVICE_ACCOUNT_TOKEN": "t", "VAULT_TOKEN": "v", "KEY": "k"}


@pytest.fixture
def resolver(tmp_path: Path, environ: dict[str, str]) -> Resolver:
    """A resolver that finds it."""
    return resolver_of(tmp_path, dict(environ))


@pytest.mark.proves("G7")
def test_the_token_is_in_no_argument(resolver: Resolver) -> None:
    """What ``ps`` shows of the command is where the secret lies."""
    assert resolved(resolver, "op:shop/arguments/x") == [("read --no-newline op://shop/arguments/x", None)]


def test_a_field(resolver: Resolver) -> None:
    """With or without the slashes that 1Password copies; a section, and blanks inside."""
    assert resolved(resolver, "op:shop/acme/password", "op://shop/acme/password") == [(ASCII, None)] * 2
    assert resolved(resolver, "op:shop/place/my section/a field") == [("op://shop/place/my section/a field", None)]


def test_the_command_gets_what_it_needs_and_no_more(resolver: Resolver) -> None:
    """Its own variables, and where to find things; no other store's token."""
    assert resolved(resolver, "op:shop/environment/x") == [("HOME,OP_SERVICE_ACCOUNT_TOKEN,PATH", None)]


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ("gone", "not found (exit code 1)"),
        ("fieldless", "not found (exit code 1)"),
        ("loud", "not found (exit code 6)"),
        ("signed-out", "denied (exit code 1)"),
        ("denied", "denied (exit code 1)"),
        ("away", "unreachable (exit code 1)"),
        ("odd", "failed (exit code 1)"),
    ],
)
def test_what_op_refuses(resolver: Resolver, tmp_path: Path, item: str, reason: str) -> None:
    """What it says on stderr is looked at, and not repeated; asked once."""
    assert refusal(resolver, f"op:shop/{item}/x") == f"the store of op: {reason}"
    assert (tmp_path / "calls").read_text() == "x"


def test_a_throttled_read_is_tried_again(tmp_path: Path, environ: dict[str, str]) -> None:
    """Three more times; the clock that hurries is not the command's."""
    resolver = resolver_of(tmp_path, dict(environ), clock=SteppingClock(0.25))
    assert refusal(resolver, "op:shop/pressed/x") == "the store of op: throttled (exit code 1)"
    assert (tmp_path / "calls").read_text() == "xxxx"


def test_a_command_that_hangs(tmp_path: Path, environ: dict[str, str]) -> None:
    """It is ended: nobody waits for the half minute that it would take."""
    began_s = time.monotonic()
    answer = OnePassword(surroundings(tmp_path, environ, answer_s=0.5)).read(["shop/slow/x"])["shop/slow/x"]
    assert isinstance(answer, Unusable)
    assert answer.reason == "it gave no whole value within 0.5 s"
    assert time.monotonic() - began_s < 15


def test_no_command(tmp_path: Path) -> None:
    """Known before the start."""
    resolver = resolver_of(tmp_path, {"PATH": str(tmp_path / "empty")})
    assert resolver.hold(["op:shop/acme/x"])["op:shop/acme/x"].code == "BP302"
    assert "does not start" in refusal(resolver, "op:shop/acme/x") or os.geteuid() < 0


def test_reads_wait_for_the_limit_and_the_end_of_the_run_ends_the_wait(tmp_path: Path, environ: dict[str, str]) -> None:
    """A limit of two: the third read would wait for an hour."""
    redactor = redactor_of()
    limits = {"op": ReadLimit(count=2, per_s=3600.0)}
    resolver = resolver_of(tmp_path, dict(environ), redactor=redactor, read_limits=limits)
    resolved(resolver, "op:shop/acme/a", "op:shop/acme/b")
    assert (tmp_path / "calls").read_text() == "xx"
    assert redactor.live == 1
    answers: list[object] = []
    store = resolver_of(tmp_path, dict(environ), read_limits={"op": ReadLimit(count=1, per_s=0.5)})
    answers += resolved(store, "op:shop/acme/a", "op:shop/acme/b")
    assert answers == [(ASCII, None)] * 2
    resolver.close()
    store.close()


@pytest.mark.parametrize("text", ["shop", "shop/acme", "shop//x", "a/b/c/d/e", "///a/b"])
def test_forms_that_are_refused(text: str) -> None:
    """Vault, item and field are a must."""
    problem = check_form(f"op:{text}")
    assert problem is not None
    assert problem.code == "BP301"
