"""Bodies are canonical: equal changes are equal bytes, and text arrives as it was."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkpatch.prequel.encoding import encode_body, split, with_secrets
from bulkpatch.prequel.values import CoercionError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
PASSWORD = ("postgres", "password_auth", "password")
KEY_FILE = ("bigquery", "gcp_service_account_key", "service_account_key")


@pytest.mark.proves("G15")
@example({"name": " cafe\u0301 caf\u00e9 ", "postgres.host": "007", "postgres.port": "1E5", "s3.folder": "NA"})
@given(st.dictionaries(st.sampled_from(["name", "postgres.host", "postgres.port", "s3.folder", "\xe9.\u20ac"]), TEXT))
@settings(deadline=None, max_examples=100)
def test_text_survives_byte_for_byte_and_order_does_not_matter(assignments: dict[str, str]) -> None:
    """Whatever order the columns stand in, the bytes and so the digest are the same."""
    body = encode_body(assignments)
    assert body == encode_body(dict(reversed(assignments.items())))
    destination = json.loads(body.decode("utf-8"))["destination"]
    for path, text in assignments.items():
        node: Any = destination
        for name in path.split("."):
            node = node[name]
        assert node == text


def test_the_form_is_fixed() -> None:
    """Keys sorted at every level, UTF-8 as it is, no blanks: ledgers hold digests of these bytes."""
    body = encode_body({"s3.folder": "\xe9", "name": "007", "s3.extra": {"b": [1, 2.5, None], "a": True}, "s3.a.b": []})
    expected = '{"destination":{"name":"007","s3":{"a":{"b":[]},"extra":{"a":true,"b":[1,2.5,null]},"folder":"\xe9"}}}'
    assert body == expected.encode()
    assert encode_body({}) == b'{"destination":{}}'


@pytest.mark.parametrize(
    "value", [math.nan, -math.inf, "\ud800", {"a": ["\udfff"]}, {"\ud800": 1}, 2**60, b"x", {1: 2}]
)
def test_what_has_no_one_json_form_is_refused(value: Any) -> None:
    """The encoder itself would write NaN as null."""
    with pytest.raises(CoercionError):
        encode_body({"name": value})


@pytest.mark.parametrize("paths", [("a", "a.b"), ("a.b", "a"), ("a.b.c", "a"), ("a.b", "a.b.c.d")])
def test_one_path_through_another_is_refused(paths: tuple[str, str]) -> None:
    """Even where the value is an object, which could be merged: what was given is left alone."""
    given_object = {"x": 1}
    with pytest.raises(ValueError, match="through"):
        encode_body(dict.fromkeys(paths, given_object))
    assert given_object == {"x": 1}


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b"])
def test_a_path_has_no_empty_name(path: str) -> None:
    """An empty name is a typing error."""
    with pytest.raises(ValueError, match="path"):
        split(path)


def test_secrets_take_the_place_of_their_references() -> None:
    """The form stays canonical, and an object-typed secret goes in parsed."""
    body = encode_body({".".join(PASSWORD): "env:PW", "name": "x", ".".join(KEY_FILE): "file:key.json"})
    sent = with_secrets(body, [(PASSWORD, 'p"\\\xe9'), (KEY_FILE, '{"type": "service_account", "n": [1]}')])
    expected = {
        ".".join(PASSWORD): 'p"\\\xe9',
        "name": "x",
        ".".join(KEY_FILE): {"type": "service_account", "n": [1]},
    }
    assert sent == encode_body(expected)


@pytest.mark.proves("G15")
@given(TEXT)
@settings(deadline=None, max_examples=50)
def test_a_secret_arrives_exactly(text: str) -> None:
    """Quotes, line breaks and what looks like a number included."""
    sent = with_secrets(encode_body({".".join(PASSWORD): "env:PW"}), [(PASSWORD, text)])
    assert json.loads(sent)["destination"]["postgres"]["password_auth"]["password"] == text


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (KEY_FILE, "CaNaRy"),
        (KEY_FILE, '["CaNaRy"]'),
        (KEY_FILE, '"CaNaRy"'),
        (KEY_FILE, '{"CaNaRy": 1, "CaNaRy": 2}'),
        (KEY_FILE, '{"a": "CaNaRy'),
        (PASSWORD, "CaNaRy\ud800"),
        (("postgres", "other"), "CaNaRy"),
        (("name", "inner", "deeper"), "CaNaRy"),
        (("postgres",), "CaNaRy"),
    ],
)
def test_a_secret_that_does_not_fit_is_never_shown(path: tuple[str, ...], text: str) -> None:
    """Neither in the message nor in what it was raised from."""
    body = encode_body({".".join(PASSWORD): "env:PW", "name": "x", ".".join(KEY_FILE): "file:key.json"})
    with pytest.raises(CoercionError) as caught:
        with_secrets(body, [(path, text)])
    error = caught.value
    assert "CaNaRy" not in f"{error} {error.hint} {error!r} {error.__cause__!r}"
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
