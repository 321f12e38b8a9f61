"""Requests name exactly one destination, and the key goes to an address that may have it."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from urllib.parse import quote, unquote, urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkpatch.prequel import requests

UUID = "3c90c3cc-0d44-4b50-8888-8dd25736052a"


def test_each_call_has_its_exact_path() -> None:
    """Below the base URL, ready for the wire."""
    patch = requests.patch(UUID, b"{}")
    assert (patch.method, patch.path, patch.body) == ("PATCH", f"/destinations/{UUID}", b"{}")
    get = requests.get("a_B-9")
    assert (get.method, get.path, get.body) == ("GET", "/destinations/a_B-9", None)
    test = requests.test_connection("d1", b"{}")
    assert (test.method, test.path) == ("POST", "/destinations/d1/test-connection")
    assert requests.list_page().path == "/destinations?page_size=100"
    assert requests.list_page(5, "a+/=&").path == "/destinations?page_size=5&cursor=a%2B%2F%3D%26"


@pytest.mark.parametrize("bad", ["", "..", "a/b", "a?b", "a#b", "a b", "a\n", "a%2e", "\u0456d", "x" * 129, "a\x00"])
def test_an_id_cannot_change_the_address(bad: str) -> None:
    """And the error does not show it."""
    assert not requests.is_destination_id(bad)
    for build in (requests.get, lambda one: requests.patch(one, b""), lambda one: requests.test_connection(one, b"")):
        with pytest.raises(ValueError, match="a destination id is"):
            build(bad)


def test_a_page_holds_1_to_100() -> None:
    """The API's own limits."""
    for size in (0, 101, -1):
        with pytest.raises(ValueError, match="page"):
            requests.list_page(size)


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://api.prequel.co", "https://api.prequel.co"),
        ("https://API.Prequel.co/", "https://api.prequel.co"),
        ("HTTPS://eu-api.prequel.co:8443/export/", "https://eu-api.prequel.co:8443/export"),
        ("https://10.0.0.1", "https://10.0.0.1"),
        ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:80/", "http://localhost:80"),
        ("http://[::1]:9", "http://[::1]:9"),
    ],
)
def test_addresses_that_may_have_the_key(url: str, normal: str) -> None:
    """Without a slash at the end, so that paths can be put behind; normal ones stay as they are."""
    assert requests.check_base_url(url) == normal
    assert requests.check_base_url(normal) == normal


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "printable"),
        ("api.prequel.co", "https://"),
        ("ftp://api.prequel.co", "https://"),
        ("http://api.prequel.co", "loopback"),
        ("http://128.0.0.1", "loopback"),
        ("http://127.1", "loopback"),
        ("http://localhost.example.com", "loopback"),
        ("http://localhost@example.com", "no user"),
        ("http://[::ffff:127.0.0.1]", "loopback"),
        ("http://[::2]", "loopback"),
        ("https://me:sk_prod_CaNaRy@api.prequel.co", "no user"),
        ("https://api.prequel.co?CaNaRy", "no query"),
        ("https://api.prequel.co?", "no query"),
        ("https://api.prequel.co/#", "no query"),
        ("https://api.prequel.co\n", "printable"),
        ("https://api.prequel.co\x00", "printable"),
        ("https://api.\tprequel.co", "printable"),
        ("https://\u0430pi.prequel.co", "printable"),
        ("https://", "https://HOST"),
        ("https://:443", "https://HOST"),
        ("https://a:", "https://HOST"),
        ("https://a:99999", "https://HOST"),
        ("https://a:b", "https://HOST"),
        ("https://[::1", "https://HOST"),
        ("https://a/../b", "https://HOST"),
        ("https://a/.", "https://HOST"),
        ("https://a//b", "https://HOST"),
        ("https://a\\b", "https://HOST"),
        ("https://a/%2e%2e", "https://HOST"),
        ("https://-a", "https://HOST"),
        ("https://" + "a" * 3000, "printable"),
    ],
)
def test_addresses_that_may_not(url: str, says: str) -> None:
    """Each with its reason; a password in it is not repeated."""
    with pytest.raises(ValueError, match=says) as caught:
        requests.check_base_url(url)
    assert "CaNaRy" not in str(caught.value)
    assert caught.value.__cause__ is None


@given(st.text(max_size=30) | st.from_regex(r"https?://[a-z0-9.:@\[\]/%?#-]{0,20}", fullmatch=True))
@settings(deadline=None, max_examples=200)
def test_any_text_is_an_address_or_a_value_error(url: str) -> None:
    """What is accepted is already normal the second time."""
    try:
        normal = requests.check_base_url(url)
    except ValueError:
        return
    assert requests.check_base_url(normal) == normal


def test_a_mix_up_of_key_and_address_is_told() -> None:
    """Staging keys belong to no public address; production keys to no test address."""
    staging, production, other = map(requests.key_class, ("sk_staging_1", "sk_prod_1", "key"))
    assert (staging, production, other) == ("staging", "production", "other")
    assert requests.mix_up("https://api.prequel.co", staging)
    assert requests.mix_up("https://eu-api.prequel.co", staging)
    assert requests.mix_up("https://prequel.staging.example.com", production)
    assert requests.mix_up("https://sandbox-api.example.com:8443/x", production)
    assert requests.mix_up("https://api.prequel.co", production) is None
    assert requests.mix_up("https://example.com/staging", production) is None
    assert requests.mix_up("http://127.0.0.1:1", staging) is None
    assert requests.mix_up("https://api.prequel.co", other) is None


@pytest.mark.proves("G11", "G15")
def test_ten_thousand_texts_are_ids_that_a_url_leaves_alone_or_none(cases: Callable[[int], None]) -> None:
    """An id is letters, digits, _ and -; in a URL it stands for itself, whatever resolves, quotes or unquotes it."""
    draw = random.Random(7)  # noqa: S311  (a fixed seed)
    allowed = string.ascii_letters + string.digits + "_-"
    mixed = allowed + "./%?#&;@:\\ \t\n\r\0~+=" + "2e" * 8 + "\u00e9\u0301\u0661\uff41\u200b\ufeff\u212a\U0001f469"
    ids = 0
    for _ in range(10_000):
        text = "".join(draw.choices(draw.choice((allowed, mixed)), k=draw.randrange(131)))
        if not requests.is_destination_id(text):
            assert not 1 <= len(text) <= 128 or set(text) - set(allowed)
            with pytest.raises(ValueError, match="a destination id is"):
                requests.patch(text, b"{}")
            continue
        ids += 1
        path = requests.patch(text, b"{}").path
        assert path == f"/destinations/{text}"
        assert urljoin("https://api.prequel.co/", path) == f"https://api.prequel.co{path}"
        assert quote(path) == unquote(path) == path
    assert 3_000 < ids < 7_000
    cases(10_000)
