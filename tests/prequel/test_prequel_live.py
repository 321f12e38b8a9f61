"""What the API shows is read whole or not at all, prints without values, and a listing never goes in a circle."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prequel_rig import BODIES, CANARY, TOWERS, HandClock, ask, reply, simulator, success

from bulkpatch.model import Reply
from bulkpatch.prequel import requests
from bulkpatch.prequel.live import (
    CURSOR_LENGTH_MAX,
    MISSING,
    Live,
    Page,
    read_live,
    read_page,
    value_at,
)
from bulkpatch.transport.rules import sendable

SEED: dict[str, Any] = json.loads(Path(__file__).with_name("seed_reply.json").read_bytes())["data"]["destination"]
"""The destination of the API's own example."""
TIME = "2023-11-07T05:31:56Z"
SETTINGS = {
    "abs",
    "enabled_models",
    "frequency_minutes",
    "id",
    "id_in_provider_system",
    "is_enabled",
    "max_concurrent_queries_per_transfer",
    "max_concurrent_transfers",
    "name",
    "products",
    "recipient_id",
    "vendor",
}
"""The fields of ``SEED`` that somebody set; time and transfers move the others."""


def live(**changes: Any) -> Live:
    """The destination ``d1`` as read, with ``changes``."""
    found = read_live(reply(success({"destination": {"id": "d1", **changes}})), "d1")
    assert isinstance(found, Live), found
    return found


def page(document: Any, after: str | None = None) -> Page:
    """A page that must be understood."""
    found = read_page(reply(document), after)
    assert isinstance(found, Page), found
    return found


def listing(*entries: Any, **beside: Any) -> dict[str, Any]:
    """The envelope of a list page."""
    return success({"destinations": list(entries)}, **{"has_next": False, **beside})


# ── one destination ──────────────────────────────────────────────────────────────────────────


def test_the_seed_destination_is_read() -> None:
    """Each field that plans use, from where the API's page shows it."""
    found = read_live(reply(success({"destination": SEED})), "<string>")
    assert isinstance(found, Live)
    assert (found.destination_id, found.vendor, found.recipient_id) == ("<string>",) * 3
    assert (found.updated_at, found.transfer_started_at, found.transfer_status) == (TIME, TIME, "<string>")
    assert found.settings == SEED


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (b"", "empty body"),
        (b"<html>", "HTML"),
        (b"[]", "no object"),
        (b'{"status":"success","data":{"destination":{"id":"d1","name":"\\udfff"}}}', "surrogate"),
        (b'{"status":"success","data":{"destination":{"id":"d1","\\udfff":1}}}', "surrogate"),
        (b'{"status":"success","data":{"destination":{"id":"d1","name":"caf\xe9"}}}', "UTF-8"),
        (b'{"status":"error","status":"success","data":{"destination":{"id":"d1"}}}', "two fields"),
        (b'{"status":"success","data":{"destination":{"id":"d1","name":"a","name":"b"}}}', "twice"),
        (b'{"status":"success","data":{"destination":{"id":"d1","na\\u006de":"a","name":"a"}}}', "twice"),
        (b'{"status":"success","data":{"destination":{"id":"d1","x":1e999}}}', "a number that no reader"),
        (
            b'{"status":"success","data":{"destination":{"id":"d1","x":' + b"9" * 5000 + b"}}}",
            "a number that no reader",
        ),
        (b'{"status":"success","data":{"destination":{"id":"d1","x":NaN}}}', "NaN"),
        (b'{"data":{"destination":{"id":"d1"}}}', "without a status"),
        ({"status": "error", "data": {"destination": {"id": "d1"}}}, "not success"),
        ({"status": "Success", "data": {"destination": {"id": "d1"}}}, "not success"),
        ({"status": "success"}, "no data"),
        (success(None), "no data"),
        (success([{"id": "d1"}]), "no data"),
        (success({}), "no destination"),
        (success({"destination": None}), "no destination"),
        (success({"destination": ["d1"]}), "no destination"),
        (success({"destination": {}}), "no destination"),
        (success({"destination": {"id": ""}}), "no destination"),
        (success({"destination": {"id": 1}}), "no destination"),
        (success({"destination": {"id": "d2"}}), "another destination"),
        (success({"destination": {"id": "D1"}}), "another destination"),
    ],
)
def test_what_is_no_live_state_has_its_problem_named(document: Any, problem: str) -> None:
    """Nothing of such a body becomes live state; as strict as with the answer of a PATCH."""
    found = read_live(reply(document), "d1")
    assert isinstance(found, str)
    assert problem in found


@pytest.mark.parametrize("status", [199, 300, 304, 404, 405, 429, 500])
def test_only_a_2xx_shows_anything(status: int) -> None:
    """Even where the body would do: both must agree."""
    good = success({"destination": {"id": "d1"}})
    assert read_live(reply(good, status), "d1") == f"HTTP status {status}"
    assert read_page(reply(listing({"id": "d1"}), status)) == f"HTTP status {status}"
    assert isinstance(read_live(reply(good, 203), "d1"), Live)


@pytest.mark.parametrize("text", [None, 5, True, "", "yesterday", "2023-11-07", "2023-13-07T05:31:56Z", [TIME]])
def test_a_time_that_cannot_be_read_is_none(text: Any) -> None:
    """The rest of the destination is read all the same."""
    found = live(updated_at=text, vendor="s3", last_completed_transfer={"started_at": text, "status": "SUCCESS"})
    assert (found.updated_at, found.transfer_started_at) == (None, None)
    assert (found.vendor, found.transfer_status) == ("s3", "SUCCESS")


@pytest.mark.parametrize("strange", [None, 5, True, [], {}, ["x"], {"a": "b"}])
def test_a_field_of_another_type_is_none(strange: Any) -> None:
    """One strange field hides no destination."""
    found = live(vendor=strange, recipient_id=strange, last_completed_transfer=strange)
    assert (found.vendor, found.recipient_id, found.transfer_started_at, found.transfer_status) == (None,) * 4
    assert found.settings["vendor"] == strange


def test_the_digest_is_of_the_configuration_alone() -> None:
    """What transfers and the calendar move does not count, nor the order of keys, nor how a number is written."""
    was = live(**{**SEED, "id": "d1"})
    moved = live(**{**SEED, "id": "d1", **dict.fromkeys(SEED.keys() - SETTINGS, "moved")})
    assert moved.digest == was.digest
    assert live(**dict(reversed({**SEED, "id": "d1"}.items()))).digest == was.digest
    written = json.dumps(success({"destination": {**SEED, "id": "d1"}})).replace("123", "123.0").encode()
    assert b"123.0" in written
    rewritten = read_live(reply(written), "d1")
    assert isinstance(rewritten, Live)
    assert rewritten.digest == was.digest
    assert len(was.digest) == 32


@pytest.mark.parametrize("name", sorted(SETTINGS - {"id"}))
def test_every_other_field_counts_in_the_digest(name: str) -> None:
    """A changed value, a null and a missing one all differ."""
    digests = {live(**{**SEED, "id": "d1", name: value}).digest for value in ("changed", None, SEED[name])}
    rest = {key: value for key, value in SEED.items() if key != name}
    assert len(digests | {live(**{**rest, "id": "d1"}).digest}) == 4


def test_nothing_prints_more_than_ids() -> None:
    """The destination may hold a secret after all."""
    found = live(name=CANARY, vendor=CANARY, recipient_id=CANARY, last_completed_transfer={"status": CANARY})
    listed = page(listing({"id": "d1", "name": CANARY}, has_next=True, next_url=f"https://x/?cursor={CANARY}"))
    assert listed.next_cursor == CANARY
    for shown in (repr(found), str(found), f"{found}", repr(listed), repr([found])):
        assert CANARY not in shown
        assert "d1" in shown


def test_an_id_cannot_break_a_line_of_a_log() -> None:
    """It is the API's text."""
    found = page(listing({"id": "a\n\x1b[2J"})).live[0]
    assert found.destination_id == "a\n\x1b[2J"
    assert repr(found).isprintable()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("name", "n"),
        ("s3", {"folder": "f", "x": None, "list": [1]}),
        ("s3.folder", "f"),
        ("s3.x", None),
        ("s3.list", [1]),
        ("s3.x.y", MISSING),
        ("s3.list.0", MISSING),
        ("s3.folder.f", MISSING),
        ("s3.other", MISSING),
        ("other.folder", MISSING),
        ("name.n", MISSING),
        ("", MISSING),
        ("s3.", MISSING),
    ],
)
def test_a_path_leads_through_objects_only(path: str, value: Any) -> None:
    """Null is a value; below it there is none."""
    assert value_at({"name": "n", "s3": {"folder": "f", "x": None, "list": [1]}}, path) == value


# ── a page ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("next_url", "cursor"),
    [
        ("https://api.prequel.co/destinations?page_size=100&cursor=eyJpZCI6MX0%3D&order=asc", "eyJpZCI6MX0="),
        ("https://elsewhere.example.com/x?cursor=a", "a"),
        ("file:///etc/passwd?cursor=a", "a"),
        ("?cursor=a%2B%2F%26b", "a+/&b"),
        ("https://x/?cursor=%C3%A9%00", "\xe9\0"),
        ("https://x/?cursor=a#cursor=b", "a"),
        (f"https://x/?cursor={'a' * CURSOR_LENGTH_MAX}", "a" * CURSOR_LENGTH_MAX),
    ],
)
def test_of_the_next_url_only_the_cursor_is_used(next_url: str, cursor: str) -> None:
    """And the request with it goes to our own path, quoted as the transport demands."""
    assert page(listing({"id": "d1"}, has_next=True, next_url=next_url)).next_cursor == cursor
    path = requests.list_page(100, cursor).path
    assert path.startswith("/destinations?page_size=100&cursor=")
    assert sendable(path)


@pytest.mark.parametrize(
    "next_url",
    [
        MISSING,
        None,
        7,
        "",
        "https://x/",
        "https://x/?cursor=",
        "https://x/?cursor",
        "https://x/?Cursor=a",
        "https://x/#?cursor=a",
        "https://x/?cursor=a&cursor=b",
        "http://[::1/?cursor=a",
        f"https://x/?cursor={'a' * (CURSOR_LENGTH_MAX + 1)}",
        "https://x/?cursor=a" + "&b=c" * 1000,
        {"cursor": "a"},
    ],
)
def test_a_list_that_goes_on_needs_one_cursor(next_url: Any) -> None:
    """Taken for the end, the rest of the fleet would be missing without a word."""
    beside = {} if next_url is MISSING else {"next_url": next_url}
    found = read_page(reply(listing({"id": "d1"}, has_next=True, **beside)))
    assert found == "a list that goes on without one usable cursor"


def test_a_page_that_leads_to_itself_is_a_problem() -> None:
    """However the cursor is quoted; and so is one that brings nothing and leads on."""
    url = "https://x/?cursor=a%3d"
    assert page(listing({"id": "d1"}, has_next=True, next_url=url), "a").next_cursor == "a="
    assert read_page(reply(listing({"id": "d1"}, has_next=True, next_url=url)), "a=") == "a page that leads to itself"
    assert read_page(reply(listing(has_next=True, next_url=url))) == "an empty page that leads on"
    assert page(listing({"id": "d1"}, next_url=url), "a=").next_cursor is None
    assert page(listing()).live == ()


@pytest.mark.parametrize("has_next", [None, 0, 1, "true", "false", [], {}])
def test_a_list_says_whether_it_goes_on(has_next: Any) -> None:
    """In a Boolean, which the API's page requires."""
    url = "https://x/?cursor=a"
    found = read_page(reply(listing({"id": "d1"}, has_next=has_next, next_url=url)))
    assert found == "a list that does not say whether it goes on"
    assert read_page(reply(success({"destinations": [{"id": "d1"}]}))) == found


@pytest.mark.parametrize(
    "entry", [None, "d2", 2, [], {}, {"id": None}, {"id": 2}, {"id": ""}, {"destination_id": "d2"}]
)
def test_an_entry_without_an_id_spoils_the_page(entry: Any) -> None:
    """Left out, it would be a destination that is called missing."""
    found = read_page(reply(listing({"id": "d1"}, entry, {"id": "d3"})))
    assert found == "a destination without an id in the list"


@pytest.mark.parametrize("data", [{}, {"destinations": None}, {"destinations": {"id": "d1"}}, {"destination": []}])
def test_a_page_holds_a_list(data: Any) -> None:
    """A success without one is a problem."""
    assert read_page(reply(success(data, has_next=False))) == "no list of destinations in it"


@given(BODIES, st.sampled_from([200, 204, 404, 500]))
@settings(deadline=None, max_examples=400)
@example(TOWERS[0], 200)
@example(TOWERS[1], 200)
@example(TOWERS[2], 200)
@example(b'{"status":"success","data":{"destinations":[]},"has_next":true,"next_url":"http://[C4naRy"}', 200)
def test_no_body_makes_the_readers_raise_or_is_shown(body: bytes, status: int) -> None:
    """Arbitrary bytes, and JSON with the right names in wrong places."""
    for found in (read_live(reply(body, status), CANARY), read_page(reply(body, status), "after")):
        if isinstance(found, str):
            assert found
            assert CANARY not in found
        if isinstance(found, Page):
            assert found.live or found.next_cursor is None
            assert found.next_cursor != "after"
            assert all(one.destination_id for one in found.live)


@given(st.text(min_size=1, max_size=CURSOR_LENGTH_MAX), st.text(max_size=5))
@settings(deadline=None, max_examples=200)
def test_any_cursor_comes_back_as_it_was(cursor: str, other: str) -> None:
    """It is opaque: what a form encodes is what is asked with, byte for byte."""
    url = f"https://x/destinations?{urlencode({'a': other, 'cursor': cursor}, errors='replace')}"
    known = cursor.encode(errors="replace").decode()
    assert page(listing({"id": "d1"}, has_next=True, next_url=url)).next_cursor == known
    assert sendable(requests.list_page(100, known).path)


# ── against the simulator ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("count", "pages"), [(250, 3), (200, 2), (201, 3), (100, 1), (1, 1)])
def test_a_whole_fleet_is_read_in_pages_of_100_with_every_id_once(count: int, pages: int) -> None:
    """In as many requests as there are hundreds begun."""
    api = simulator(count)
    asked: list[Reply] = []
    ids: list[str] = []
    cursor: str | None = None
    while not asked or cursor is not None:
        asked.append(ask(api, requests.list_page(cursor=cursor)))
        found = read_page(asked[-1], cursor)
        assert isinstance(found, Page), found
        ids += [one.destination_id for one in found.live]
        cursor = found.next_cursor
    assert len(asked) == pages
    assert ids == list(api.fleet.ids)


def test_a_list_and_a_get_show_the_same_destination() -> None:
    """So a digest of either can be held against the other's."""
    api = simulator(40)
    listed = read_page(ask(api, requests.list_page()))
    assert isinstance(listed, Page)
    for one in listed.live:
        got = read_live(ask(api, requests.get(one.destination_id)), one.destination_id)
        assert got == one
        assert got.vendor == api.fleet.vendor(one.destination_id)
    assert len({one.digest for one in listed.live}) == 40


def test_time_and_transfers_leave_the_digest_alone_and_a_patch_does_not() -> None:
    """What the plan compares before it sends."""
    clock = HandClock()
    api = simulator(1, "postgres", clock=clock)
    (one,) = api.fleet.ids

    def read() -> Live:
        found = read_live(ask(api, requests.get(one)), one)
        assert isinstance(found, Live)
        return found

    before = read()
    assert ask(api, requests.start_transfer(one)).status == 200
    clock.now_s += 3600
    after = read()
    assert after.transfer_started_at != before.transfer_started_at
    assert (after.digest, after.updated_at) == (before.digest, before.updated_at)
    assert ask(api, requests.patch(one, b'{"destination":{"postgres":{"port":6000}}}')).status == 200
    changed = read()
    assert changed.digest != before.digest
    assert changed.updated_at != before.updated_at
    assert value_at(changed.settings, "postgres.port") == 6000


def test_what_is_not_there_is_told_by_its_status() -> None:
    """A plan calls it missing, or not known."""
    assert read_live(ask(simulator(1), requests.get("nobody")), "nobody") == "HTTP status 404"
    assert re.fullmatch(r"HTTP status \d+", str(read_page(ask(simulator(1), requests.list_page(100, "stranger")))))
