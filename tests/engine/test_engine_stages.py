"""Each stage of a row asks one thing, and its answer means one thing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from engine_rig import (
    Listed,
    Run,
    ScriptedApi,
    Told,
    accepts,
    id_in,
    reply,
    says_of_test,
    shown,
)

from bulkpatch.core.work import Work
from bulkpatch.engine.stages import AS_SAVED, Guards, judge, request_of
from bulkpatch.model import (
    Fault,
    FaultKind,
    Intent,
    Operation,
    Outcome,
    Passed,
    PendingRow,
    Request,
    Result,
    RowState,
    Setback,
    Stage,
    Staging,
    Verdict,
    VerdictKind,
)
from bulkpatch.prequel.live import read_live

BODY = b'{"destination":{"name":"n"}}'
ALL = (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY)
GUARDED = Guards(expect={"vendor": "postgres", "name": "old"})
FINE = shown("d1", vendor="postgres", name="old", updated_at="2026-01-01T00:00:00Z")
LIVE = read_live(reply(200, FINE), "d1")
assert not isinstance(LIVE, str)


def work(stage: Stage, *, fields: tuple[str, ...] = ("name",), **known: Any) -> Work:
    """Row 1 in ``stage``."""
    op = Operation(row=1, destination_id="d1", body=BODY, digest=b"", fields=fields)
    made = Work(op, PendingRow(row=1, destination_id="d1", digest=b"", **known), attempts=3, stages=(stage,))
    assert made.stage is stage
    return made


def judged(stage: Stage, result: Result, guards: Guards = GUARDED, *, accepted: int = 0, **known: Any) -> Verdict:
    """What ``result`` means there."""
    return judge(work(stage, **known), result, guards, wall_us=0, accepted=accepted)[0]


def fault(kind: FaultKind, *, sent: bool = True) -> Fault:
    """No whole answer."""
    return Fault(kind=kind, sent=sent, detail="", sent_at_s=0.0, ended_at_s=0.0)


# ── what is asked ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("stage", "request_"),
    [
        (Stage.EXPECT, Request(method="GET", path="/destinations/d1")),
        (Stage.PRETEST, Request(method="POST", path="/destinations/d1/test-connection", body=BODY)),
        (Stage.PATCH, Request(method="PATCH", path="/destinations/d1", body=BODY)),
        (Stage.VERIFY, Request(method="POST", path="/destinations/d1/test-connection", body=AS_SAVED)),
    ],
)
def test_a_stage_asks_by_one_request(stage: Stage, request_: Request) -> None:
    """What would be is tried with the body, what is saved without; the verification carries no secret."""
    assert request_of(stage, "d1", BODY) == request_


def test_a_stage_that_is_not_known_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        request_of("look", "d1", BODY)  # type: ignore[arg-type]


# ── the live state just before ───────────────────────────────────────────────────────────────────


def test_a_live_state_that_is_as_expected_lets_the_row_go_on() -> None:
    verdict = judged(Stage.EXPECT, reply(200, FINE))
    assert (verdict.kind, verdict.code, verdict.http_status) == (VerdictKind.ACCEPTED, None, 200)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vendor": "postgres", "name": "new"}, "name is new, not old"),
        ({"vendor": "postgres"}, "name is not there, not old"),
        ({"vendor": "snowflake", "name": "x"}, "vendor is snowflake, not postgres; name is x, not old"),
        ({"vendor": "postgres", "name": "x" * 99}, f"name is {'x' * 40}, not old"),
    ],
)
def test_a_guard_that_does_not_hold_skips_the_row_and_says_which(settings: dict[str, Any], words: str) -> None:
    verdict = judged(Stage.EXPECT, reply(200, shown("d1", **settings)))
    assert (verdict.kind, verdict.code, verdict.message) == (VerdictKind.SKIP, "BP422", words)


def test_another_vendors_body_is_refused_before_it_is_sent() -> None:
    """A guard that fails as well does not make it a skip."""
    told = reply(200, shown("d1", vendor="snowflake"))
    verdict = judged(Stage.EXPECT, told, fields=("postgres.host",))
    assert (verdict.kind, verdict.code) == (VerdictKind.FINAL, "BP423")
    assert verdict.message == "the body has fields of postgres, and the destination is of snowflake"


@pytest.mark.parametrize(
    "body", [b"<html>", {"status": "error"}, {"status": "success", "data": {}}, shown("d2", vendor="postgres")]
)
def test_a_live_state_that_is_not_understood_is_asked_for_again(body: Any) -> None:
    """Nothing was written, so nothing is in doubt."""
    verdict = judged(Stage.EXPECT, reply(200, body))
    assert (verdict.kind, verdict.code, verdict.maybe_applied) == (VerdictKind.RETRY, "BP410", False)
    assert verdict.message.startswith("the live state was not understood: ")


@pytest.mark.parametrize(
    ("drift", "kind", "exit_code"),
    [("skip", VerdictKind.SKIP, None), ("stop", VerdictKind.HALT, 3), ("send", VerdictKind.ACCEPTED, None)],
)
@pytest.mark.parametrize(
    "known",
    [
        {"live_digest": b"another", "updated_at": "2026-01-01T00:00:00Z"},
        {"live_digest": LIVE.digest, "updated_at": "2025-12-31T00:00:00Z"},
        {"live_digest": b"another", "updated_at": None},
    ],
)
def test_a_destination_that_changed_since_the_plan_is_handled_by_policy(
    known: dict[str, Any], drift: str, kind: VerdictKind, exit_code: int | None
) -> None:
    verdict = judged(Stage.EXPECT, reply(200, FINE), Guards(drift=drift), **known)
    assert (verdict.kind, verdict.exit_code) == (kind, exit_code)
    assert verdict.code == (None if kind is VerdictKind.ACCEPTED else "BP508")


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"live_digest": LIVE.digest},
        {"live_digest": LIVE.digest, "updated_at": "2026-01-01T00:00:00Z"},
        {"updated_at": "2025-12-31T00:00:00Z"},
    ],
)
def test_a_destination_that_is_as_planned_or_of_which_nothing_was_planned_has_not_changed(
    known: dict[str, Any],
) -> None:
    assert judged(Stage.EXPECT, reply(200, FINE), Guards(drift="stop"), **known).kind is VerdictKind.ACCEPTED


def test_a_digest_alone_tells_a_change_where_the_api_gives_no_time() -> None:
    live = shown("d1", vendor="postgres", name="old")
    verdict = judged(
        Stage.EXPECT,
        reply(200, live),
        Guards(drift="skip"),
        live_digest=b"another",
        updated_at="2026-01-01T00:00:00Z",
    )
    assert (verdict.kind, verdict.code) == (VerdictKind.SKIP, "BP508")


# ── connection tests ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", [Stage.PRETEST, Stage.VERIFY])
@pytest.mark.parametrize(
    ("body", "kind", "code"),
    [
        (says_of_test("success"), VerdictKind.ACCEPTED, None),
        (says_of_test("failed"), VerdictKind.FINAL, "BP421"),
        (says_of_test("error"), VerdictKind.FINAL, "BP421"),
        (says_of_test("pending"), VerdictKind.LATER, "BP420"),
        (says_of_test("running"), VerdictKind.LATER, "BP420"),
        (says_of_test("purple"), VerdictKind.RETRY, "BP410"),
        ({"status": "success", "data": {"destination": {"id": "d1"}}}, VerdictKind.RETRY, "BP410"),
        (b"", VerdictKind.RETRY, "BP410"),
    ],
)
def test_the_tests_own_status_is_the_verdict(stage: Stage, body: Any, kind: VerdictKind, code: str | None) -> None:
    """And never the envelope's, nor HTTP's; nothing that was tried is in doubt."""
    verdict = judged(stage, reply(200, body))
    assert (verdict.kind, verdict.code, verdict.http_status) == (kind, code, 200)
    assert not verdict.maybe_applied


def test_the_words_of_a_failed_test_are_told() -> None:
    body = {"status": "success", "data": {"status": "error", "error": {"message": "no such host"}}}
    assert judged(Stage.VERIFY, reply(200, body)).message == "the connection test failed: no such host"
    assert judged(Stage.VERIFY, reply(200, says_of_test("failed"))).message == "the connection test failed"


@pytest.mark.parametrize("status", [404, 405])
def test_an_api_without_a_test_lets_a_row_be_sent_and_not_be_called_verified(status: int) -> None:
    before, after = (judged(stage, reply(status, {})) for stage in (Stage.PRETEST, Stage.VERIFY))
    assert (before.kind, before.code) == (VerdictKind.ACCEPTED, "BP419")
    assert (after.kind, after.code, after.message) == (VerdictKind.FINAL, "BP419", "the API has no connection test")


# ── everything else that an API says ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, VerdictKind.HALT, "BP402"),
        (403, VerdictKind.HALT, "BP402"),
        (307, VerdictKind.HALT, "BP403"),
        (422, VerdictKind.FINAL, "BP401"),
        (429, VerdictKind.RETRY, "BP406"),
        (503, VerdictKind.RETRY, "BP416"),
        (500, VerdictKind.RETRY, "BP411"),
    ],
)
def test_a_refusal_means_the_same_in_every_stage_and_only_a_patch_leaves_a_doubt(
    stage: Stage, status: int, kind: VerdictKind, code: str
) -> None:
    verdict = judged(stage, reply(status, {"status": "error", "message": "m"}))
    assert (verdict.kind, verdict.code, verdict.http_status) == (kind, code, status)
    assert verdict.maybe_applied is (stage is Stage.PATCH and status == 500)


def test_a_destination_that_is_not_there_is_refused_by_its_guard() -> None:
    verdict = judged(Stage.EXPECT, reply(404, {}))
    assert (verdict.kind, verdict.code) == (VerdictKind.FINAL, "BP404")


@pytest.mark.parametrize("stage", Stage)
@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.TRUNCATED])
def test_a_lost_answer_leaves_a_doubt_only_where_something_was_written(stage: Stage, kind: FaultKind) -> None:
    verdict = judged(stage, fault(kind))
    assert (verdict.kind, verdict.maybe_applied) == (VerdictKind.RETRY, stage is Stage.PATCH)


@pytest.mark.parametrize("stage", Stage)
def test_an_api_that_is_not_who_it_should_be_halts_in_every_stage(stage: Stage) -> None:
    verdict = judged(stage, fault(FaultKind.TLS_IDENTITY, sent=False))
    assert (verdict.kind, verdict.code, verdict.exit_code) == (VerdictKind.HALT, "BP405", 4)


def test_a_403_after_many_accepted_rows_is_the_row_in_every_stage() -> None:
    for stage in Stage:
        assert judged(stage, reply(403, {}), accepted=20).kind is VerdictKind.FINAL


def test_only_an_accepted_patch_leaves_facts() -> None:
    told = reply(200, shown("d1", vendor="postgres"))
    facts = {stage: judge(work(stage), told, Guards(), wall_us=0, accepted=0)[1] for stage in Stage}
    assert [stage for stage, fact in facts.items() if fact is not None] == [Stage.PATCH]
    assert b"postgres" in (facts[Stage.PATCH] or b"")
    refused = reply(200, {"status": "error", "data": {"destination": {"id": "d1"}}, "message": "no"})
    verdict, fact = judge(work(Stage.PATCH), refused, Guards(), wall_us=0, accepted=0)
    assert (verdict.kind, fact) == (VerdictKind.FINAL, None)


def test_a_patch_that_is_answered_for_another_destination_halts() -> None:
    verdict = judged(Stage.PATCH, reply(200, shown("d2")))
    assert (verdict.kind, verdict.code, verdict.maybe_applied) == (VerdictKind.HALT, "BP413", True)


# ── whole rows ───────────────────────────────────────────────────────────────────────────────────


class Answers:
    """Answers each stage of each row in turn; the last answer of a stage holds on."""

    def __init__(self, told: Mapping[str, Sequence[Told]]) -> None:
        self.told = {stage: list(told.get(stage.value, [])) for stage in Stage}

    def __call__(self, request: Request) -> Told:
        """The answer to ``request``."""
        waiting = self.told[stage_of(request)]
        if not waiting:
            return accepts(request)
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


def stage_of(request: Request) -> Stage:
    """Which stage asks so."""
    if request.method == "POST":
        return Stage.VERIFY if request.body == AS_SAVED else Stage.PRETEST
    return Stage.EXPECT if request.method == "GET" else Stage.PATCH


def run_of(
    stages: Sequence[Stage] = ALL, guards: Guards | None = None, told: Mapping[str, Sequence[Told]] | None = None
) -> Run:
    """One row through ``stages``, of which each is answered as ``told``."""
    source = Listed(1)
    return Run(
        source=source,
        ledger=source.ledger(),
        api=ScriptedApi(Answers(told or {})),
        staging=Staging(stages=tuple(stages), deadline_s=20.0, poll_s=5.0),
        guards=guards or Guards(),
    )


def story(run: Run) -> list[tuple[str, str]]:
    """What happened to the row: kind of record, and stage."""
    ((_, events),) = run.ledger.story("d1")
    return [
        (type(event).__name__, event.stage.value)
        for event in events
        if isinstance(event, (Intent, Setback, Passed, Outcome))
    ]


def state(run: Run) -> RowState:
    """Where the row stands."""
    (found,) = run.ledger.counts()
    return found


def test_a_row_goes_through_its_stages_in_order_and_ends_verified() -> None:
    run = run_of()
    assert run.to_its_end() is None
    assert story(run) == [
        ("Intent", "expect"),
        ("Passed", "expect"),
        ("Intent", "pretest"),
        ("Passed", "pretest"),
        ("Intent", "patch"),
        ("Passed", "patch"),
        ("Intent", "verify"),
        ("Outcome", "verify"),
    ]
    assert state(run) is RowState.VERIFIED
    ((row,),) = run.ledger.outcome_rows()
    assert row.facts is not None
    assert [stage_of(request) for _, request in run.api.asked] == list(ALL)


@pytest.mark.parametrize(
    ("told", "end", "asked"),
    [
        ({"expect": [(200, shown("d1", name="x"))]}, RowState.SKIPPED, 1),
        ({"expect": [(404, {})]}, RowState.REJECTED, 1),
        ({"expect": [(500, {})]}, RowState.EXHAUSTED, 3),
        ({"pretest": [(200, says_of_test("failed"))]}, RowState.REJECTED, 2),
        ({"pretest": [(404, {})]}, RowState.VERIFIED, 4),
        ({"pretest": [FaultKind.RESET]}, RowState.EXHAUSTED, 4),
        ({"patch": [(422, {})]}, RowState.REJECTED, 3),
        ({"patch": [(500, {})]}, RowState.UNKNOWN, 5),
        ({"verify": [(200, says_of_test("failed"))]}, RowState.UNVERIFIED, 4),
        ({"verify": [(404, {})]}, RowState.UNVERIFIED, 4),
        ({"verify": [(500, {})]}, RowState.UNVERIFIED, 6),
        ({"verify": [(500, {}), (200, says_of_test("pending")), (200, says_of_test("success"))]}, RowState.VERIFIED, 6),
        ({"patch": [(500, {}), (200, shown("d1"))], "verify": [(200, says_of_test("failed"))]}, RowState.UNVERIFIED, 5),
    ],
)
def test_where_a_row_ends(told: dict[str, Sequence[Told]], end: RowState, asked: int) -> None:
    """Attempts are counted by stage; only a PATCH leaves a row unknown; nothing is sent past a no."""
    expect: dict[str, Sequence[Told]] = {"expect": [(200, shown("d1", name="old"))], **told}
    run = run_of(ALL, Guards(expect={"name": "old"}), expect)
    assert run.to_its_end() is None
    assert (state(run), len(run.api.asked)) == (end, asked)


def test_a_verdict_that_does_not_come_is_waited_for_until_the_deadline() -> None:
    """Every poll is on record, uses up no attempt, and the row ends unverified."""
    run = run_of((Stage.PATCH, Stage.VERIFY), told={"verify": [(200, says_of_test("pending"))]})
    assert run.to_its_end() is None
    assert state(run) is RowState.UNVERIFIED
    ((row,),) = run.ledger.outcome_rows()
    assert (row.code, row.error) == ("BP420", "no verdict within 20 s")
    times = [at_s for at_s, request in run.api.asked if stage_of(request) is Stage.VERIFY]
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([5.05] * 3, abs=0.02)


@pytest.mark.parametrize(
    ("halted_in", "again"),
    [
        ("expect", ["expect", "pretest", "patch", "verify"]),
        ("pretest", ["expect", "pretest", "patch", "verify"]),
        ("patch", ["expect", "pretest", "patch", "verify"]),
        ("verify", ["verify"]),
    ],
)
def test_a_run_goes_on_in_the_stage_that_the_ledger_says(halted_in: str, again: list[str]) -> None:
    """What was not changed is guarded and tried anew; what was changed is verified and not sent again."""
    run = run_of(told={halted_in: [(401, {})]})
    stopped = run.to_its_end()
    assert stopped is not None
    assert (stopped.exit_code, state(run)) == (4, RowState.PENDING)
    resumed = run.resumed(api=ScriptedApi(accepts))
    assert resumed.to_its_end() is None
    assert [stage_of(request).value for _, request in resumed.api.asked] == again
    assert state(resumed) is RowState.VERIFIED


def test_a_patch_in_doubt_is_neither_guarded_nor_tried_out_again() -> None:
    """Its own first try would fail the guard."""
    run = run_of(told={"patch": [(500, {}), (401, {})]})
    assert run.to_its_end() is not None
    resumed = run.resumed(api=ScriptedApi(accepts))
    assert resumed.to_its_end() is None
    assert [stage_of(request).value for _, request in resumed.api.asked] == ["patch", "verify"]


@pytest.mark.proves("G2")
@pytest.mark.parametrize("open_stage", Stage)
def test_an_answer_that_went_with_its_process_leaves_a_doubt_only_if_it_was_a_patchs(open_stage: Stage) -> None:
    """The row goes on where its stage says, and the lost attempt is on record."""
    run = run_of()
    stages = list(ALL[: ALL.index(open_stage) + 1])
    for attempt, stage in enumerate(stages, start=1):
        run.ledger.commit([Intent(row=1, attempt=attempt, stage=stage, at_us=0, at_s=0.0)])
        if stage is not open_stage:
            run.ledger.commit([Passed(row=1, attempt=attempt, stage=stage, at_us=0)])
    assert run.to_its_end() is None
    ((_, events),) = run.ledger.story("d1")
    lost = [event for event in events if isinstance(event, Setback)]
    assert [(one.stage, one.code, one.maybe_applied) for one in lost] == [
        (open_stage, "BP418", open_stage is Stage.PATCH)
    ]
    asked = [stage_of(request) for _, request in run.api.asked]
    expected = {Stage.PATCH: [Stage.PATCH, Stage.VERIFY], Stage.VERIFY: [Stage.VERIFY]}
    assert asked == expected.get(open_stage, list(ALL))
    assert state(run) is RowState.VERIFIED


def test_a_verification_that_was_polled_by_an_earlier_process_is_not_given_up_at_its_first_failure() -> None:
    """Polls are no throttles: they use up nothing of what a row may wait."""
    polled = [*[(200, says_of_test("pending"))] * 12, (401, {})]
    run = run_of((Stage.PATCH, Stage.VERIFY), told={"verify": polled})
    run.staging = Staging(stages=(Stage.PATCH, Stage.VERIFY), deadline_s=300.0, poll_s=5.0)
    assert run.to_its_end() is not None
    after = Answers({"verify": [(500, {}), (200, says_of_test("success"))]})
    resumed = run.resumed(api=ScriptedApi(after))
    assert resumed.to_its_end() is None
    assert state(resumed) is RowState.VERIFIED


def test_guards_are_asked_just_before_each_row_is_sent() -> None:
    """However many rows there are: no row waits between its guard and its change."""
    source = Listed(12)
    run = Run(
        source=source,
        ledger=source.ledger(),
        api=ScriptedApi(accepts),
        staging=Staging(stages=(Stage.EXPECT, Stage.PATCH)),
    )
    run.limits = replace(run.limits, concurrency=1)
    assert run.to_its_end() is None
    asked = [(stage_of(request).value, id_in(request)) for _, request in run.api.asked]
    assert asked == [(stage, f"d{number}") for number in range(1, 13) for stage in ("expect", "patch")]
