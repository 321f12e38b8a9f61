"""One row's story on the screen and for programs."""

from __future__ import annotations

import json

import pytest

from bulkpatch.api.telling import Story, Told
from bulkpatch.cli import run_command
from bulkpatch.cli.stories import story_json, story_lines
from bulkpatch.model import Intent, Outcome, Passed, RowEvent, RowState, Setback, Settlement, Sight, Stage

AT_US = 1_790_000_000_000_000
SECOND = 1_000_000


def told(*events: RowEvent, state: str = "verified") -> Story:
    """The story of ``d1``, row 7."""
    row = Told(
        row=7,
        state=state,
        wave=2,
        attempts=3,
        fields=("name", "postgres.password_auth.password"),
        labels={"customer": "acme", "team": None},
        credential="vault:db/acme#password",
        versions=(("postgres.password_auth.password", "vault:db/acme#password", "8"),),
        events=events,
    )
    return Story(run_id="rotate-1", job="rotate", inputs=("fleet.csv",), destination_id="d1", rows=(row,))


EVENTS: tuple[RowEvent, ...] = (
    Sight(row=7, at_us=AT_US, found=True, vendor="postgres", recipient_id="r1", updated_at="2026-01-01"),
    Intent(row=7, attempt=1, stage=Stage.PRETEST, at_us=AT_US + SECOND, at_s=1),
    Passed(row=7, attempt=1, stage=Stage.PRETEST, at_us=AT_US + 2 * SECOND, http_status=200, latency_us=96_066),
    Intent(row=7, attempt=2, stage=Stage.PATCH, at_us=AT_US + 2 * SECOND, at_s=2),
    Setback(
        row=7,
        attempt=2,
        stage=Stage.PATCH,
        at_us=AT_US + 3 * SECOND,
        code="BP404",
        error="the answer was cut off",
        maybe_applied=True,
        wait_us=SECOND // 4,
    ),
    Intent(row=7, attempt=3, stage=Stage.PATCH, at_us=AT_US + 4 * SECOND, at_s=4),
)


def test_attempts_are_told_in_a_line_each_with_when_they_left_what_came_back_and_what_followed() -> None:
    head, place, fields, secrets, *events = story_lines(told(*EVENTS, state="in_flight"))
    assert head == "d1: in_flight, in rotate-1"
    assert place == "  input    row 7 of fleet.csv · wave 2 · customer acme"
    assert fields == "  sets     name, postgres.password_auth.password"
    assert secrets == "  secrets  vault:db/acme#password (postgres.password_auth.password version 8)"
    assert [line.split("  ", 2)[2] for line in events] == [
        "seen: vendor postgres, recipient r1, updated 2026-01-01",
        "attempt 1  pretest  passed (HTTP 200, 96 ms)",
        "attempt 2  patch    set back: BP404 the answer was cut off; may have been applied; waits 0.25 s",
        "attempt 3  patch    sent; no answer is on record",
    ]
    seconds = [line.split(":")[2][:2] for line in events]
    assert [int(one) - int(seconds[0]) for one in seconds] == [0, 1, 2, 4]


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            Outcome(row=7, attempt=0, stage=Stage.EXPECT, state=RowState.NOOP, at_us=AT_US),
            "not sent            noop",
        ),
        (
            Outcome(
                row=7, attempt=4, stage=Stage.PATCH, state=RowState.REJECTED, at_us=AT_US, code="BP401", error="no",
                http_status=422, latency_us=5_400,
            ),
            "attempt 4  patch    rejected (HTTP 422, 5 ms): BP401 no",
        ),
        (
            Setback(row=7, attempt=4, stage=Stage.PATCH, at_us=AT_US, code="BP500", error="", withdrawn=True),
            "attempt 4  patch    did not leave: the run stopped first",
        ),
        (
            Settlement(row=7, at_us=AT_US, state=RowState.ACCEPTED, code="BP424", error="as asked"),
            "settled later: accepted: BP424 as asked",
        ),
        (Sight(row=7, at_us=AT_US, found=None), "seen: nothing is known of it"),
        (Sight(row=7, at_us=AT_US, found=False), "seen: there is no such destination"),
    ],
)  # fmt: skip
def test_each_event_has_its_words(event: RowEvent, words: str) -> None:
    assert story_lines(told(event))[-1].split("  ", 2)[2] == words


def test_programs_get_every_event_with_its_facts() -> None:
    document = json.loads(json.dumps(story_json(told(*EVENTS))))
    (row,) = document["rows"]
    assert [event["event"] for event in row["events"]] == ["seen", "sent", "passed", "sent", "set_back", "sent"]
    assert row["events"][4] == {
        "event": "set_back",
        "at": "2026-09-21T14:13:23Z",
        "attempt": 2,
        "stage": "patch",
        "code": "BP404",
        "error": "the answer was cut off",
        "http_status": None,
        "latency_us": None,
        "maybe_applied": True,
        "counted": True,
        "withdrawn": False,
        "wait_us": 250_000,
    }
    assert (document["job"], row["labels"], row["versions"][0]["version"]) == (
        "rotate",
        {"customer": "acme", "team": None},
        "8",
    )


def test_a_code_is_explained_to_programs_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["explain", "bp402", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["code"]) == ("bulkpatch.code/1", "BP402")
    assert document["fix"]
