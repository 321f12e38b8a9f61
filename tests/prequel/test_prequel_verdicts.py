"""A connection test passes by ``data.status`` alone, and a transfer is read with its times or not at all."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prequel_rig import BODIES, CANARY, TOWERS, HandClock, ask, reply, simulator, success

from bulkpatch.prequel import requests, verdicts
from bulkpatch.prequel.verdicts import Transfer, read_test, read_transfers
from bulkpatch.transport.rules import sendable

RESULT = verdicts.TestResult
PASSED, FAILED, PENDING, NOT_UNDERSTOOD = RESULT.PASSED, RESULT.FAILED, RESULT.PENDING, RESULT.NOT_UNDERSTOOD
ERROR = {
    "error": None,
    "error_code": "PRQL-PVER",
    "title": "Could not connect",
    "blame": "third_party",
    "documentation_url": "https://docs.prequel.co/docs/error-codes",
    "trace": "",
    "message": "The destination refused the sign-in.",
}
EMPTY_ERROR = {**dict.fromkeys(ERROR, ""), "error": None, "blame": "unknown", "documentation_url": "https://x"}
"""What a serialiser that always writes the object sends beside a success."""


# ── connection tests ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("document", "result"),
    [
        (success({"status": "success"}), PASSED),
        (success({"status": "SUCCESS"}), PASSED),
        (success({"status": "failed"}), FAILED),
        (success({"status": "Failed"}), FAILED),
        (success({"status": "failure"}), FAILED),
        (success({"status": "ERROR"}), FAILED),
        (success({"status": "pending"}), PENDING),
        (success({"status": "Running"}), PENDING),
        (success({"status": "success", "error": None}), PASSED),
        (success({"status": "success", "error": {}}), PASSED),
        (success({"status": "success", "error": ""}), PASSED),
        (success({"status": "success", "error": EMPTY_ERROR}), PASSED),
        (success({"status": "success", "error": ERROR}), FAILED),
        (success({"status": "pending", "error": ERROR}), FAILED),
        (success({"error": ERROR}), FAILED),
        (success({"error": "no route to host"}), FAILED),
        (success({"error": {"trace": "x"}}), FAILED),
        (success({"status": "success"}, error=ERROR), FAILED),
        (success(None, error=ERROR), FAILED),
        ({"status": "error", "data": None, "message": "m", "error": ERROR}, FAILED),
        ({"status": "error", "data": {"status": "failed"}}, FAILED),
        (success({"destination": {"id": "d1"}, "status": "success"}), PASSED),
        (success({"destination": {"id": "d1"}, "status": "failed"}), FAILED),
        (success({"destination": {"id": "d1"}, "error": ERROR}), FAILED),
    ],
)
def test_data_status_is_the_verdict_and_an_error_is_a_failure(document: Any, result: verdicts.TestResult) -> None:
    """In each of the three shapes that are documented somewhere; an error object that says nothing is none."""
    verdict = read_test(reply(document))
    assert (verdict.result, verdict.problem) == (result, None)


@pytest.mark.parametrize(
    "document",
    [
        success(None),
        success({}),
        success([{"status": "success"}]),
        success("success"),
        success({"destination": {"id": "d1"}}),
        success({"destination": {"id": "d1", "status": "success"}}),
        success({"destination": {"id": "d1", "last_completed_transfer": {"status": "SUCCESS"}}}),
        success({"destination": {"last_completed_transfer": {"model_metrics": [{"error": ERROR}]}}}),
        success({"status": None}),
        success({"status": True}),
        success({"status": ""}),
        success({"status": "ok"}),
        success({"status": "success "}),
        success({"status": ["success"]}),
        success({"status": "untested", "error": EMPTY_ERROR}),
        {"status": "error", "data": {"status": "success"}},
        {"status": "error", "data": {"status": "pending"}},
        {"status": "error", "data": None, "message": "frequency_minutes must be an integer"},
        {"data": {"status": "success"}},
        b"",
        b"<html>",
        b"[]",
        b'{"status":"success","data":{"status":"failed","status":"success"}}',
        b'{"status":"success","data":{"status":"success","error":{"message":"m"},"error":null}}',
    ],
)
def test_the_envelopes_status_never_makes_a_pass(document: Any) -> None:
    """Its ``success`` says that the call was well formed: an answer without a verdict of its own has none."""
    verdict = read_test(reply(document))
    assert verdict.result is NOT_UNDERSTOOD
    assert verdict.problem


@pytest.mark.parametrize("status", [404, 405])
def test_a_missing_route_is_told_apart(status: int) -> None:
    """Whatever its body says."""
    for document in ({"status": "error", "data": None, "message": "m"}, success({"status": "success"}), b"<html>"):
        assert read_test(reply(document, status)).result is RESULT.MISSING_ROUTE
    assert read_test(reply({"message": "Not Found"}, status)).message == "Not Found"


@pytest.mark.parametrize("status", [199, 301, 400, 401, 403, 422, 429, 500, 503])
def test_no_other_http_error_is_a_verdict(status: int) -> None:
    """An outage is no failed test, and nothing that an error's body says makes it a pass."""
    for data in ({"status": "success"}, {"status": "failed", "error": ERROR}):
        verdict = read_test(reply({**success(data), "message": "m"}, status))
        assert (verdict.result, verdict.message) == (NOT_UNDERSTOOD, "m")
        assert verdict.problem == f"HTTP status {status}"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({"error": ERROR}, ("The destination refused the sign-in.", "PRQL-PVER", "third_party")),
        ({"error": {"title": "T", "message": ""}}, ("T", None, None)),
        ({"error": {"error": "E", "title": "T"}}, ("T", None, None)),
        ({"error": {"error": "E", "blame": 5}}, ("E", None, None)),
        ({"error": {"error_code": "C", "blame": "host"}, "message": "M"}, ("M", "C", "host")),
        ({"error": "text"}, ("text", None, None)),
        ({"status": "failed"}, ("ok", None, None)),
        ({"status": "failed", "message": "M"}, ("M", None, None)),
        ({"status": "success", "error": EMPTY_ERROR}, ("ok", None, None)),
        ({"status": "failed", "error": {"message": ["x"], "error_code": "C"}}, ("ok", "C", None)),
        ({"destination": {}}, ("ok", None, None)),
    ],
)
def test_the_apis_words_nearest_to_the_test_are_told(data: Any, told: tuple[str, str | None, str | None]) -> None:
    """Those of the error object first, those of the envelope last."""
    verdict = read_test(reply(success(data)))
    assert (verdict.message, verdict.error_code, verdict.blame) == told


def test_a_verdict_prints_without_the_apis_words() -> None:
    """They may echo what was sent."""
    error = dict.fromkeys(ERROR, CANARY)
    for document in (success({"error": error}), success({"destination": {}, "message": CANARY})):
        verdict = read_test(reply(document))
        assert verdict.message == CANARY
        assert CANARY not in repr(verdict)
        assert verdict.result in repr(verdict)


# ── transfers ────────────────────────────────────────────────────────────────────────────────


def test_transfers_are_read_in_their_order() -> None:
    """Times to the microsecond; what is missing or strange is None."""
    first: dict[str, Any] = {"id": "t1", "status": "SUCCESS", "submitted_at": "1970-01-01T00:00:00Z"}
    first |= {"started_at": "1970-01-01T00:00:01.5Z", "ended_at": "1970-01-01T01:00:02+01:00"}
    second = {"id": "t2", "status": 5, "submitted_at": 5, "started_at": "soon", "ended_at": None}
    assert read_transfers(reply(success({"transfers": [first, second, {"id": "t0"}]}, has_next=False))) == (
        Transfer(id="t1", status="SUCCESS", submitted_at_us=0, started_at_us=1_500_000, ended_at_us=2_000_000),
        Transfer(id="t2"),
        Transfer(id="t0"),
    )
    assert read_transfers(reply(success({"transfers": []}))) == ()


@pytest.mark.parametrize(
    ("document", "status", "problem"),
    [
        (success({"transfers": None}), 200, "no list"),
        (success({}), 200, "no list"),
        (success({"transfers": {"id": "t"}}), 200, "no list"),
        (success(None), 200, "no data"),
        (success({"transfers": [{"id": "t"}, None]}), 200, "without an id"),
        (success({"transfers": [{"id": 5}]}), 200, "without an id"),
        (success({"transfers": [{"id": ""}]}), 200, "without an id"),
        (success({"transfers": ["t"]}), 200, "without an id"),
        ({"status": "error", "data": {"transfers": []}}, 200, "not success"),
        (b"<html>", 200, "HTML"),
        (success({"transfers": []}), 404, "HTTP status 404"),
    ],
)
def test_a_list_of_transfers_is_whole_or_a_problem(document: Any, status: int, problem: str) -> None:
    """A gate must not count on what was left out."""
    found = read_transfers(reply(document, status))
    assert isinstance(found, str)
    assert problem in found


@given(BODIES, st.sampled_from([200, 404, 500]))
@settings(deadline=None, max_examples=400)
@example(TOWERS[0], 200)
@example(TOWERS[1], 200)
@example(TOWERS[2], 200)
def test_no_body_makes_the_readers_raise_or_is_shown(body: bytes, status: int) -> None:
    """Arbitrary bytes, and JSON with the right names in wrong places."""
    verdict = read_test(reply(body, status))
    assert CANARY not in repr(verdict)
    assert (verdict.result is NOT_UNDERSTOOD) is (verdict.problem is not None)
    assert all(isinstance(value, str | None) for value in dataclasses.astuple(verdict))
    found = read_transfers(reply(body, status))
    assert CANARY not in found if isinstance(found, str) else all(one.id for one in found)


# ── against the simulator ────────────────────────────────────────────────────────────────────


def test_the_simulators_tests_are_judged_by_their_data() -> None:
    """Both come in the envelope of a success."""
    api = simulator(2, "postgres", bad_secrets=["wrong"])
    one, other = api.fleet.ids

    def test(destination_id: str, password: str) -> verdicts.TestVerdict:
        body = b'{"destination":{"postgres":{"password_auth":{"password":"%s"}}}}' % password.encode()
        return read_test(ask(api, requests.test_connection(destination_id, body)))

    assert test(one, "right").result is PASSED
    failed = test(other, "wrong")
    assert (failed.result, failed.error_code, failed.blame) == (FAILED, "PRQL-PVER", "third_party")
    assert failed.message == "The destination refused the sign-in."
    assert test("nobody", "right").result is RESULT.MISSING_ROUTE


def test_started_transfers_are_listed_newest_first_with_their_times() -> None:
    """So that those after a change stand on the page, however many there were before."""
    clock = HandClock()
    api = simulator(1, clock=clock, transfer_s=4.0)
    (one,) = api.fleet.ids
    started_us = []
    for _ in range(103):
        clock.now_s += 10
        started_us.append(clock.wall_us())
        assert ask(api, requests.start_transfer(one)).status == 200
    found = read_transfers(ask(api, requests.transfers(one)))
    assert isinstance(found, tuple)
    assert [transfer.submitted_at_us for transfer in found] == started_us[:2:-1]
    assert found[0] == Transfer(id=found[0].id, status="PENDING", submitted_at_us=started_us[-1])
    assert (found[1].status, found[1].started_at_us) in {(s, started_us[-2] + 1_000_000) for s in ("SUCCESS", "ERROR")}
    assert found[1].ended_at_us == started_us[-2] + 4_000_000


def test_the_calls_have_their_exact_paths() -> None:
    """Which the transport will send, for ids that cannot change them."""
    start, listed = requests.start_transfer("a_B-9"), requests.transfers("a_B-9")
    assert (start.method, start.path, start.body) == ("POST", "/destinations/a_B-9/transfer", b"{}")
    assert (listed.method, listed.body) == ("GET", None)
    assert listed.path == "/destinations/a_B-9/transfers?page_size=100&order=desc"
    assert sendable(start.path)
    assert sendable(listed.path)
    for build in (requests.transfers, requests.start_transfer):
        with pytest.raises(ValueError, match="a destination id is"):
            build("a/../b")
