"""No live secret passes, in any encoding, whole or cut."""

from __future__ import annotations

import json
import pickle
import time
import traceback
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secrets_rig import ASCII, CANARIES, ENCODERS, NASTY, PEM, redactor_of

from bulkpatch.model import Secret
from bulkpatch.secrets.redaction import LIVE_MAX, REDACTED, LiveRedactor

AROUND = st.text("«»", max_size=9)
VALUES = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=8, max_size=40).filter(
    lambda value: not any(part in value for part in ("redacted", "\\", "�", "«", "»"))
)


@pytest.mark.parametrize(
    ("canary", "encoder"),
    [
        pytest.param(canary, encoder, id=f"{name} {encoding}")
        for name, canary in CANARIES.items()
        for encoding, encoder in ENCODERS.items()
        if canary.isascii() or encoding != "utf-16le"  # those bytes are no text; the search of files finds them
    ],
)
def test_scrub_replaces_a_secret_in_each_encoding(canary: str, encoder: Callable[[str], bytes]) -> None:
    """The secret goes whole, and what stands around it stays."""
    shown = f"refused: {encoder(canary).decode()} (try again)"
    scrubbed = redactor_of(canary).scrub(shown, limit=100_000)
    assert scrubbed.startswith("refused: ")
    assert scrubbed.endswith(" (try again)")
    assert REDACTED in scrubbed
    # At its ends base64 shares a character with what stands beside it: at most 6 bits of the secret.
    assert len(scrubbed) <= len("refused:  (try again)") + len(REDACTED) + 12


@pytest.mark.proves("G7")
@pytest.mark.parametrize("others", [0, 9])
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_find_sees_each_encoding_of_each_canary_in_bytes(encoder: Callable[[str], bytes], others: int) -> None:
    """Each of 17 forms of each canary is told apart from the others, at any alignment, with few and many live."""
    redactor = redactor_of(*CANARIES.values(), *(f"another-{number}" for number in range(others)))
    for number, canary in enumerate(CANARIES.values()):
        for before in (b"", b"x", b"{}\n"):
            found = {hit.reference for hit in redactor.find(before + encoder(canary) + b"tail")}
            assert found == {f"env:S{number}"}


@pytest.mark.proves("G7")
@pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
def test_no_window_of_eight_bytes_of_the_canary_is_left(encoder: Callable[[str], bytes]) -> None:
    """Neither of the canary nor of its encoded form do eight bytes in a row remain."""
    text = "a" + encoder(ASCII).decode() + "b" + ASCII + "c" + encoder(ASCII).decode()
    scrubbed = redactor_of(ASCII, NASTY).scrub(text, limit=10_000)
    for form in (ASCII, encoder(ASCII).decode()):
        # The last three characters of base64 also hold what follows the secret.
        windows = {form[start : start + 8] for start in range(len(form) - 10)}
        assert not [window for window in windows if window in scrubbed]


@given(before=AROUND, value=VALUES, after=AROUND, form=st.sampled_from(["raw", "url", "form", "html", "hex", "csv"]))
@settings(max_examples=150, deadline=None)
def test_what_stands_around_a_secret_is_kept(before: str, value: str, after: str, form: str) -> None:
    """Whatever the alignment, the secret goes and its neighbours stay."""
    shown = ENCODERS[form](value).decode()
    assert redactor_of(value).scrub(before + shown + after, limit=10_000) == before + REDACTED + after


@given(value=VALUES, before=st.integers(0, 60), limit=st.integers(20, 80))
@settings(max_examples=150, deadline=None)
def test_a_secret_at_the_cut_leaves_nothing_of_itself(value: str, before: int, limit: int) -> None:
    """Redaction comes before the cut, so no half of a secret remains."""
    scrubbed = redactor_of(value).scrub("." * before + value, limit=limit)
    assert len(scrubbed) <= limit
    assert set(scrubbed) <= set("." + REDACTED + "…")


@pytest.mark.parametrize("others", [0, 9])
def test_overlapping_secrets_leave_neither_end(others: int) -> None:
    """Secrets that share bytes are replaced as one stretch."""
    more = (f"another-{number}" for number in range(others))
    redactor = redactor_of("abcdefgh", "efghijkl", "abcdefghijklmnop", *more)
    assert redactor.scrub("<abcdefghijkl>") == f"<{REDACTED}>"
    assert redactor.scrub("abcdefghijklmnop") == REDACTED
    assert redactor.scrub("abcdefghabcdefgh") == REDACTED * 2


def test_the_shape_of_an_api_key_is_enough() -> None:
    """A key that was never added is redacted by its prefix."""
    assert LiveRedactor().scrub("key sk_prod_Ab-9_z, sk_staging_x.") == f"key {REDACTED}, {REDACTED}."


def test_text_is_one_inert_line() -> None:
    """Control, bidirectional and broken characters are escaped; letters are not."""
    text = "a\nb\rc\td\x1b[31m\x00\x9b\u2028\u202e\ud800é"
    assert LiveRedactor().scrub(text) == r"a\nb\rc\td\x1b[31m\x00\x9b\u2028\u202e\ud800é"


def test_escaping_does_not_bring_a_secret_forth() -> None:
    """A text that becomes a secret only by being escaped is redacted as well."""
    assert redactor_of(r"pass\x1bword").scrub("pass\x1bword") == REDACTED


def test_json_without_a_secret_is_handed_back_itself() -> None:
    """The usual case costs a search and no copy."""
    document = b'{"id":"d_1","note":"nothing"}'
    assert redactor_of(ASCII).scrub_json(document) is document


@pytest.mark.parametrize("canary", CANARIES.values(), ids=CANARIES)
def test_json_with_a_secret_stays_json(canary: str) -> None:
    """Replacing a secret inside a string leaves a document that parses."""
    for document in (json.dumps({"a": canary, "b": 1}), json.dumps({"a": canary, "b": 1}, ensure_ascii=False)):
        assert json.loads(redactor_of(canary).scrub_json(document.encode()) or b"") == {"a": REDACTED, "b": 1}


def test_json_that_cannot_be_kept_is_given_up() -> None:
    """A secret that spans the structure leaves nothing worth keeping."""
    assert redactor_of('"a":12345').scrub_json(b'{"a":12345}') is None


def test_the_oldest_are_dropped_and_counted_but_never_a_pinned_one() -> None:
    """The live set is a bounded LRU; adding again renews."""
    redactor = LiveRedactor(live_max=3)
    redactor.add(Secret("the-api-key", reference="env:KEY"), pinned=True)
    for number in range(5):
        redactor.add(Secret(f"password-{number}", reference=f"env:{number}"))
        redactor.add(Secret("password-0", reference="env:0"))
    assert (redactor.live, redactor.dropped) == (3, 3)
    told = "the-api-key password-0 password-1 password-2 password-3 password-4"
    assert redactor.scrub(told) == f"{REDACTED} {REDACTED} password-1 password-2 password-3 {REDACTED}"


def test_the_bytes_of_all_forms_are_bounded() -> None:
    """Large secrets are dropped by the memory of their forms, not by their number."""
    redactor = LiveRedactor(needle_bytes_max=300_000)
    for seed in range(20):
        redactor.add(Secret(PEM + str(seed), reference=f"file:{seed}"))
    assert 1 <= redactor.live <= 5
    assert redactor.dropped == 20 - redactor.live


def test_too_short_ones_are_counted_not_watched() -> None:
    """What would be found everywhere is not searched for, and that is told."""
    redactor = redactor_of("12345")
    assert (redactor.scrub("12345"), redactor.unwatched, redactor.live) == ("12345", 1, 0)


def test_thousands_of_live_secrets_cost_no_more_than_one() -> None:
    """The bound is loose (the machine is noisy): trying 30,000 forms one by one takes 20 ms and more."""
    redactor = redactor_of(*(f"{number:06d}-correct-horse" for number in range(6_000)))
    assert (redactor.live, redactor.dropped) == (LIVE_MAX, 6_000 - LIVE_MAX)
    document = json.dumps({f"field_{number}": "some text of a reply" for number in range(55)}).encode()
    began = time.perf_counter()
    for _ in range(20):
        assert redactor.scrub_json(document) is document
    assert (time.perf_counter() - began) / 20 < 0.02


@pytest.mark.proves("G7")
def test_a_secret_cannot_be_printed_pickled_or_compared() -> None:
    """Repr, str, format, containers, pickle and equality show the reference at most."""
    secret = Secret(ASCII, reference="env:PW")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>40}", repr([secret]), repr({"a": secret})):
        assert ASCII not in shown
        assert "env:PW" in shown
    with pytest.raises(TypeError, match="never serialised"):
        pickle.dumps(secret)
    assert secret != Secret(ASCII, reference="env:PW")
    assert not hasattr(secret, "__dict__")


def test_a_traceback_shows_no_secret() -> None:
    """Not even one with local variables."""

    def fail(secret: Secret) -> None:
        raise ValueError(secret)

    try:
        fail(Secret(ASCII, reference="env:PW"))
    except ValueError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "<secret env:PW>" in shown
    assert ASCII not in shown
