"""A reference is read without looking behind it, and what may be a secret instead is never shown."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secrets_rig import resolver_of

from bulkpatch.errors import StoreFailed
from bulkpatch.plugins import found
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.references import check_form, parse


@pytest.mark.parametrize(
    ("reference", "scheme", "target"),
    [
        ("env:PW_acme-1", "env", "PW_acme-1"),
        ("file:secrets/a b.txt", "file", "secrets/a b.txt"),
        ("fd:3", "fd", "3"),
        ("exec:op read 'op://v/i/f'", "exec", "op read 'op://v/i/f'"),
    ],
)
def test_each_scheme_of_the_core(reference: str, scheme: str, target: str) -> None:
    """Scheme and target are split at the first colon."""
    assert parse(reference) == (scheme, target)
    assert check_form(reference) is None


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("", "BP301"),
        ("hunter2-hunter2", "BP301"),
        ("Env:X", "BP301"),
        (":x", "BP301"),
        ("env:", "BP301"),
        ("env: ", "BP301"),
        ("env: PW", "BP301"),
        ("env:A=B", "BP301"),
        ("file:a\0b", "BP301"),
        ("fd:1", "BP301"),
        ("fd:-3", "BP301"),
        ("fd:٣", "BP301"),
        ("fd:99999999999", "BP301"),
        ("exec:echo 'open", "BP301"),
        ("exec:''", "BP301"),
        ("env:" + "A" * 2000, "BP301"),
        ("hunter:2abcdef", "BP307"),
        ("vault:kv/x", "BP301"),
    ],
)
def test_what_is_refused_by_its_form(reference: str, code: str) -> None:
    """The code tells a bad reference from one that nothing here serves."""
    problem = check_form(reference)
    assert problem is not None
    assert problem.code == code
    with pytest.raises(Unusable):
        parse(reference)


@given(st.text(min_size=6, max_size=60) | st.from_regex(r"[a-z]{4,8}:[!-~]{4,9}", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_text_that_is_no_reference_is_not_shown(text: str) -> None:
    """Not even its first word: a password may well hold a colon."""
    problem = check_form(text)
    assert problem is None or text not in problem.message + problem.hint


def test_a_password_with_a_colon_is_not_shown() -> None:
    """Neither half of it."""
    problem = check_form("hunter:correct-horse")
    assert problem is not None
    assert "hunter" not in problem.message + problem.hint
    assert "horse" not in problem.message + problem.hint


PACKAGE = """
def resolve(targets):
    if "boom" in targets:
        raise RuntimeError("the store says: s3cr3t-value")
    return {target: ("value-of-" + target, "v7") for target in targets}
"""


def test_another_package_brings_a_scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found by its entry point, loaded when it is asked, and its errors are told by type only."""
    (tmp_path / "storefront.py").write_text(PACKAGE)
    folder = tmp_path / "storefront-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: storefront\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[bulkpatch.secrets]\nshop = storefront:resolve\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found.cache_clear()
    try:
        resolver = resolver_of(tmp_path, {})
        assert resolver.hold(["shop:a/b"]) == {}
        assert "storefront" not in sys.modules
        secret = asyncio.run(resolver.resolve("shop:a/b"))
        assert (secret.reveal(), secret.version) == ("value-of-a/b", "v7")
        with pytest.raises(StoreFailed) as failed:
            asyncio.run(resolver.resolve("shop:boom"))
        assert failed.value.message == "shop:boom: the store of shop: failed (RuntimeError)"
    finally:
        found.cache_clear()
