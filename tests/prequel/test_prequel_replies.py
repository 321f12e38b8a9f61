"""A reply is understood, or its problem is named; no body makes the reader raise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulkpatch.model import Answer, Reply
from bulkpatch.prequel.replies import (
    Facts,
    ModelFacts,
    decode_facts,
    parse_time,
    read_destination,
    read_error_message,
)

SEED_REPLY: dict[str, Any] = json.loads(Path(__file__).with_name("seed_reply.json").read_bytes())
"""The example answer of the API's page of the call, as data; its status and ids are placeholders."""


def reply(body: bytes, status: int = 200) -> Reply:
    """A whole answer with this body."""
    return Reply(status=status, headers={}, body=body, sent_at_s=0.0, ended_at_s=0.1)


def good(**changes: Any) -> dict[str, Any]:
    """An answer for ``d1`` that is understood; ``changes`` go into its destination."""
    return {"status": "success", "message": "ok", "data": {"destination": {"id": "d1", **changes}}}


def read(document: Any) -> Answer:
    """What is read from ``document``, a JSON value or bytes, when ``d1`` was asked for."""
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_destination(reply(body), "d1")


def facts_of(document: Any) -> Facts:
    """The facts of an answer that must be a success."""
    answer = read(document)
    assert answer.success, answer
    assert answer.facts is not None
    return decode_facts(answer.facts)


def test_the_seed_reply_yields_every_column() -> None:
    """Each field that reports use stands where the page shows it."""
    document = json.loads(json.dumps(SEED_REPLY))
    document["status"] = "success"
    time = "2023-11-07T05:31:56Z"
    answer = read_destination(reply(json.dumps(document).encode()), "<string>")
    assert (answer.success, answer.problem, answer.echoed_id) == (True, None, None)
    assert answer.message == "<string>"
    text = "<string>"
    assert answer.facts is not None
    assert decode_facts(answer.facts) == Facts(
        vendor=text,
        name=text,
        recipient_id=text,
        id_in_provider_system=text,
        is_enabled=True,
        updated_at=time,
        transfer_id=text,
        transfer_status=text,
        transfer_started_at=time,
        transfer_ended_at=time,
        rows_transferred=123,
        delta_rows_transferred=123,
        volume_transferred_in_mb=123,
        transfer_error_code=text,
        transfer_error_blame=text,
        total_rows_last_billing_period=123,
        total_delta_rows_last_billing_period=123,
        total_rows_current_billing_period=123,
        models=(ModelFacts(text, text, 123, 123, 123, time, time, time, text, text, text, text),),
    )


@pytest.mark.proves("G3")
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "empty"),
        (b" \r\n", "empty"),
        (b"\xef\xbb\xbf" + json.dumps(good()).encode(), "byte order mark"),
        (b"<!DOCTYPE html><p>Sign in", "HTML"),
        (b"\n <?xml version='1.0'?>", "HTML"),
        (json.dumps(good()).encode()[:-3], "malformed"),
        (json.dumps(good()).encode() + b"x", "malformed"),
        (b"OK", "malformed"),
        (b"[]", "no object"),
        (b'"success"', "no object"),
        (b"null", "no object"),
        (json.dumps(good(x=float("nan"))).encode(), "NaN"),
        (json.dumps(good(volume=float("-inf"))).encode(), "NaN"),
        (json.dumps(good(name="\ud800")).encode(), "surrogate"),
        (json.dumps(good(unused={"deep": "\udfff"})).encode(), "surrogate"),
        (json.dumps(good(name=5, unused="\udfff")).encode(), "surrogate"),
        (json.dumps(good(name="caf\xe9"), ensure_ascii=False).encode("latin-1"), "UTF-8"),
        (json.dumps(good(unused="caf\xe9"), ensure_ascii=False).encode("latin-1"), "UTF-8"),
        (json.dumps(good(name=5))[:-1].encode(), "malformed"),
        (b'{"status":"success","status":"success","data":{"destination":{"id":"d1"}}}', "two fields"),
        (b'{"status":"error","data":{"destination":{"id":"d1"}},"status":"success"}', "two fields"),
        (b'{"status":"error","data":{"destination":{"id":"d1"}},"\\u0073tatus":"success"}', "two fields"),
        (
            b'{"status":"error","data":{"destination":{"last_completed_transfer":{"st\\u0061tus":"a"}}},"status":"success"}',
            "two fields",
        ),
        (b'{"data":{"destination":{"id":"d1"}}}', "without a status"),
        (b'{"status":null,"data":{"destination":{"id":"d1"}}}', "without a status"),
        (b'{"status":true,"data":{"destination":{"id":"d1"}}}', "without a status"),
        (b'{"status":"queued","data":null,"message":"will do"}', "neither success nor error"),
        (b'{"status":"success","data":null,"message":""}', "no destination"),
        (b'{"status":"success","data":[],"message":""}', "no destination"),
        (b'{"status":"success"}', "no destination"),
        (b'{"status":"success","data":{"destination":{}}}', "no destination"),
        (b'{"status":"success","data":{"destination":{"id":""}}}', "no destination"),
        (b'{"status":"success","data":{"destination":{"id":7}}}', "no destination"),
        (b'{"status":"success","data":{"destination":"d1"}}', "no destination"),
    ],
)
def test_a_body_that_is_not_understood_has_its_problem_named(body: bytes, problem: str) -> None:
    """A row of the fault matrix each: no success, and nothing of the body in the name."""
    answer = read(body)
    assert not answer.success
    assert answer.facts is None
    assert answer.problem is not None
    assert problem in answer.problem


@pytest.mark.parametrize("levels", [65, 500, 100_000])
def test_depth_over_64_is_named_and_64_is_read(levels: int) -> None:
    """The destination itself lies three deep; unused fields count too."""
    for opened, closed in ((b"[", b"]"), (b'{"a":', b"}")):

        def nested(depth: int, opened: bytes = opened, closed: bytes = closed) -> bytes:
            tower = opened * depth + (b"1" if opened != b"[" else b"") + closed * depth
            return b'{"status":"success","data":{"destination":{"id":"d1","x":' + tower + b"}}}"

        problem = read(nested(levels - 3)).problem
        assert problem is not None
        assert "64 levels" in problem
        assert read(nested(61)).success


def test_many_brackets_side_by_side_are_not_depth() -> None:
    """A destination with hundreds of models, and names full of brackets."""
    metrics = [{"model_name": '[{"\\' * 20, "rows_transferred": 1}] * 300
    assert len(facts_of(good(last_completed_transfer={"model_metrics": metrics})).models) == 300


def test_status_may_stand_elsewhere() -> None:
    """In the transfer, in unknown fields, as a value: only the envelope's own name counts."""
    document = good(last_completed_transfer={"status": "SUCCESS"}, status="x", other=[{"status": 1}], name="status")
    assert facts_of(document).transfer_status == "SUCCESS"
    assert facts_of(good(last_completed_transfer={"status": None}, name="\u20ac \\")).transfer_status is None


@pytest.mark.proves("G3")
@pytest.mark.parametrize("status", ["error", "SUCCESS", "", "successful", "accepted"])
def test_error_is_a_failure_and_any_other_status_a_doubt(status: str) -> None:
    """Even with a destination in it: an error is understood; by another word, the change may have been taken."""
    problem = None if status == "error" else "a status that is neither success nor error"
    for data in (None, {"destination": {"id": "d1"}}):
        answer = read({"status": status, "data": data, "message": "no such host"})
        assert (answer.success, answer.problem, answer.message, answer.facts) == (False, problem, "no such host", None)


@pytest.mark.proves("G3")
@pytest.mark.parametrize("other", ["d2", "D1", "d1 ", "d10"])
def test_another_destination_is_an_echo_and_no_success(other: str) -> None:
    """Ids are compared exactly."""
    answer = read(good(id=other))
    assert (answer.success, answer.problem, answer.echoed_id, answer.facts) == (False, None, other, None)


def every_path(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside ``node``."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in items for found in [(*path, key), *every_path(value, (*path, key))]]


FULL = good(
    vendor="s3",
    name="Acme",
    recipient_id="r",
    id_in_provider_system="p",
    is_enabled=True,
    updated_at="2023-11-07T05:31:56Z",
    total_rows_transferred_last_billing_period=1,
    total_delta_rows_transferred_last_billing_period=2,
    total_rows_transferred_current_billing_period=3,
    last_completed_transfer={
        "id": "t",
        "status": "ERROR",
        "started_at": "a",
        "ended_at": "b",
        "rows_transferred": 4,
        "delta_rows_transferred": 5,
        "volume_transferred_in_mb": 6.5,
        "model_metrics": [
            {"model_id": "m1", "rows_transferred": 7, "error": None},
            {"model_name": "m2", "error": {"error_code": "PRQL-X", "blame": "host", "title": "T", "message": "M"}},
        ],
    },
)
NOT_NEEDED = [path for path in every_path(FULL["data"]["destination"]) if path != ("id",)]
STRANGE: st.SearchStrategy[Any] = st.sampled_from([None, True, 1.5, -1, "x", [], [1, "a"], {}, {"a": {}}, 10**30])


@given(st.sampled_from(NOT_NEEDED), STRANGE)
@settings(deadline=None, max_examples=300)
@example(("last_completed_transfer", "model_metrics"), [None, 3, {"model_id": "m"}])
@example(("is_enabled",), 1)
def test_no_field_of_a_strange_type_makes_a_success_unreadable(path: tuple[Any, ...], strange: Any) -> None:
    """It becomes null or stays what it may be; fields beside it keep their values."""
    document = json.loads(json.dumps(FULL))
    node = document["data"]["destination"]
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = strange
    found = facts_of(document)
    if path != ("vendor",):
        assert found.vendor == "s3"
    if path != ("total_rows_transferred_current_billing_period",):
        assert found.total_rows_current_billing_period == 3
    if path[0] != "last_completed_transfer":
        assert found.transfer_error_code == "PRQL-X"
        assert [model.rows_transferred for model in found.models] == [7, None]


def test_what_does_not_fit_is_null() -> None:
    """A number as text is none; neither is what 64 bits cannot hold, nor a Boolean."""
    transfer = {"rows_transferred": "12", "delta_rows_transferred": 2**63, "volume_transferred_in_mb": True}
    found = facts_of(good(name=7, is_enabled="true", last_completed_transfer=transfer, vendor="s3"))
    assert found == Facts(vendor="s3")
    assert facts_of(good(last_completed_transfer=None)) == Facts()
    huge = b'{"status":"success","data":{"destination":{"id":"d1","x":1e999,"last_completed_transfer":%s}}}'
    assert facts_of(huge % b'{"volume_transferred_in_mb":1e999,"id":"t"}') == Facts(transfer_id="t")


def test_the_first_models_error_stands_for_the_transfer() -> None:
    """And each model keeps its own."""
    found = facts_of(FULL)
    assert (found.transfer_error_code, found.transfer_error_blame) == ("PRQL-X", "host")
    assert found.models[1] == ModelFacts(
        model_name="m2", error_code="PRQL-X", error_title="T", error_blame="host", error="M"
    )


def test_a_message_of_another_type_is_none() -> None:
    """It does not spoil the success."""
    assert read({**good(), "message": {"a": 1}}).message == ""
    assert read({**good(), "message": {"a": 1}}).success


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "data", "destination", "id", "message", "last_completed_transfer", "error"])
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=15,
)


@given(st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), JSONISH))
@settings(deadline=None, max_examples=400)
@example(b'{"status":"success","x":' + b"9" * 5000 + b"}")
@example(b'{"status":5,"x":' + b"9" * 5000 + b"}")
@example(b"[" * 200_000)
@example(b'{"a":' * 200_000)
@example(b'{"status":"\xed\xa0\x80"}')
def test_no_body_makes_the_readers_raise(body: bytes) -> None:
    """Arbitrary bytes, and JSON with the right names in wrong places."""
    answer = read(body)
    assert isinstance(read_error_message(reply(body, 500)), str)
    if answer.success:
        assert answer.problem is None
        assert answer.facts is not None


@given(st.integers(0, 10_000), st.binary(max_size=4))
@settings(deadline=None, max_examples=300)
def test_no_damage_to_a_good_body_makes_the_reader_raise(at: int, put: bytes) -> None:
    """And facts of what still reads can be read back."""
    body = json.dumps(FULL).encode()
    at %= len(body)
    answer = read(body[:at] + put + body[at + len(put) :])
    if answer.facts is not None:
        decode_facts(answer.facts)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"status":"error","data":null,"message":"bad port"}', "bad port"),
        (b'{"message":"alone"}', "alone"),
        (b'{"status":"error"}', ""),
        (b'{"message":null}', ""),
        (b'{"message":["a"]}', ""),
        (b"<html>", ""),
        (b"", ""),
        (b'{"message":"half', ""),
        (b'{"message":"\\ud800"}', ""),
    ],
)
def test_the_apis_words_on_an_error_are_best_effort(body: bytes, message: str) -> None:
    """From the same envelope; a page of a proxy has none."""
    assert read_error_message(reply(body, 422)) == message


def test_facts_of_other_versions_are_read() -> None:
    """Entries are only appended: what is missing is null, what is newer is left aside."""
    older = b'[1,"s3","Acme"]'
    assert decode_facts(older) == Facts(vendor="s3", name="Acme")
    entries = json.loads(msgspec.json.encode(Facts(vendor="s3", models=(ModelFacts(model_id="m"),))))
    newer = [2, *entries[1:-1], [[*entries[-1][0], "new"]], {"new": 1}]
    found = decode_facts(json.dumps(newer).encode())
    assert (found.version, found.vendor, found.models) == (2, "s3", (ModelFacts(model_id="m"),))


def test_facts_are_compact_and_their_order_is_fixed() -> None:
    """Ledgers hold these bytes: a changed order would give old runs wrong reports."""
    found = Facts(vendor="v", name="n", is_enabled=False, transfer_id="t", models=(ModelFacts(model_name="m"),))
    model = b'[null,"m",null,null,null,null,null,null,null,null,null,null]'
    expected = b'[1,"v","n",null,null,false,null,"t"' + b",null" * 11 + b",[" + model + b"]]"
    assert msgspec.json.encode(found) == expected


@pytest.mark.parametrize("document", [b"", b"{}", b"[", b"[1,2]", b"\xff", b'[1,"\xff"]'])
def test_what_are_no_facts_is_a_value_error(document: bytes) -> None:
    """The message holds nothing of it."""
    with pytest.raises(ValueError, match="not the facts"):
        decode_facts(document)


@pytest.mark.parametrize(
    ("text", "at_us"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2023-11-07T05:31:56Z", 1_699_335_116_000_000),
        ("2023-11-07t05:31:56.5z", 1_699_335_116_500_000),
        ("2023-11-07T07:31:56.123456789+02:00", 1_699_335_116_123_456),
        ("2023-11-07 05:31:56.000001-00:00", 1_699_335_116_000_001),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00+23:59", -62_135_683_140_000_000),
        ("2024-02-29T00:00:00Z", 1_709_164_800_000_000),
    ],
)
def test_rfc_3339_is_read_to_the_microsecond(text: str, at_us: int) -> None:
    """Any offset, either case, finer digits cut."""
    assert parse_time(text) == at_us


NO_TIMES: list[str | None] = [
    None,
    "",
    "2023-11-07",
    "2023-11-07T05:31:56",
    "20231107T053156Z",
    "2023-11-07T05:31Z",
    "2023-13-07T05:31:56Z",
    "2023-02-29T05:31:56Z",
    "2023-11-07T24:01:00Z",
    "2023-11-07T05:31:60Z",
    "2023-11-07T05:31:56+24:00",
    "2023-11-07T05:31:56,5Z",
    "2023-11-07T05:31:56Z\n",
    "\u0662023-11-07T05:31:56Z",
    "2023-W45-2T05:31:56Z",
]


@pytest.mark.parametrize("text", NO_TIMES)
def test_anything_else_is_no_time(text: str | None) -> None:
    """Python's own reader would take several of them."""
    assert parse_time(text) is None


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(Z|[+-][0-9]{2}:[0-9]{2})"))
@settings(deadline=None, max_examples=150)
def test_no_text_makes_the_clock_reader_raise(text: str) -> None:
    """A time or None."""
    found = parse_time(text)
    assert found is None or isinstance(found, int)
