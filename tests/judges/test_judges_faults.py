"""Broken answers as WireMock makes them: each ends in the verdict of the fault matrix."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from judges_rig import installed, judging, program
from program_rig import KEY, Bench, Ended, renaming_job, renaming_rows

JAR = "npm/node_modules/wiremock/build/wiremock-standalone-3.13.2.jar"
TIMEOUT_S = 4
ATTEMPTS = 2
EVERY = 4
"""One destination in four is struck: the breaker opens where half of the answers are lost."""
ENVELOPE = (
    '{"status":"success","message":"ok","data":{"destination":{"id":"{{request.pathSegments.[1]}}","vendor":"s3"}}}'
)
FINE: Mapping[str, Any] = {
    "status": 200,
    "headers": {"Content-Type": "application/json"},
    "body": ENVELOPE,
    "transformers": ["response-template"],
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """An answer of WireMock and what a row comes to that gets no other, or another at its second attempt."""

    answer: Mapping[str, Any]
    code: str
    state: str = "unknown"
    attempts: int = ATTEMPTS


CASES = {
    "reset": Case(answer={"fault": "CONNECTION_RESET_BY_PEER"}, code="BP408"),
    "empty": Case(answer={"fault": "EMPTY_RESPONSE"}, code="BP408"),
    "chunk": Case(answer={**FINE, "fault": "MALFORMED_RESPONSE_CHUNK"}, code="BP408"),
    "garbage": Case(answer={**FINE, "fault": "RANDOM_DATA_THEN_CLOSE"}, code="BP408"),
    "dribble": Case(
        answer={**FINE, "chunkedDribbleDelay": {"numberOfChunks": 10, "totalDuration": 10_000 * TIMEOUT_S}},
        code="BP409",
    ),
    "delay": Case(answer={**FINE, "fixedDelayMilliseconds": 10_000 * TIMEOUT_S}, code="BP409"),
    "no_body": Case(answer={"status": 200}, code="BP410"),
    "no_content": Case(answer={"status": 204}, code="BP410"),
    "half": Case(answer={"status": 200, "body": ENVELOPE[:40]}, code="BP410"),
    "html_500": Case(answer={"status": 500, "body": "<h1>Sorry</h1>"}, code="BP411"),
    "html_503": Case(answer={"status": 503, "body": "<h1>Sorry</h1>"}, code="BP416", state="exhausted"),
    "gone": Case(answer={"status": 410}, code="BP401", state="rejected", attempts=1),
}


def stub(destination_id: str, answer: Mapping[str, Any], **scenario: str) -> Mapping[str, Any]:
    """A mapping of WireMock, for the PATCHes of one destination; or of all, the last to be looked at."""
    path = (
        {"urlPathPattern": "/destinations/.*"}
        if destination_id == "*"
        else {"urlPath": f"/destinations/{destination_id}"}
    )
    headers = {"X-API-KEY": {"equalTo": KEY}, "X-Prequel-Api-Version": {"equalTo": "2023-12-01"}}
    priority = 9 if destination_id == "*" else 1
    request = {"method": "PATCH", **path, "headers": headers}
    return {"priority": priority, "request": request, "response": answer, **scenario}


@contextmanager
def wiremock(folder: Path, stubs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """WireMock with ``stubs``; whatever fits none gets 404."""
    place = folder / "wiremock" / "mappings"
    place.mkdir(parents=True)
    (place / "all.json").write_text(json.dumps({"mappings": stubs}))

    def command(port: int) -> list[str]:
        root = ["--root-dir", str(place.parent), "--bind-address", "127.0.0.1", "--port", str(port)]
        return [program("java"), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", installed(JAR), *root]

    with judging(folder, command) as url:
        counted(url, "none")  # the first answer of a JVM is a slow one
        yield url


def counted(url: str, destination_id: str) -> int:
    """How many PATCHes of this destination WireMock has seen."""
    asked = json.dumps({"method": "PATCH", "urlPath": f"/destinations/{destination_id}"}).encode()
    with urlopen(Request(f"{url}/__admin/requests/count", data=asked)) as answer:  # noqa: S310  (a loopback address)
        return int(json.load(answer)["count"])


def run(bench: Bench, url: str, ids: Sequence[str]) -> Ended:
    """A run over ``ids``."""
    bench.write("fleet.csv", renaming_rows(ids))
    job = renaming_job(url, attempts=ATTEMPTS, timeout=f"{TIMEOUT_S}s", concurrency=16)
    return bench.run("run", bench.write("job.toml", job), "--yes")


@pytest.mark.proves("G3")
def test_a_broken_answer_ends_as_the_fault_matrix_says(bench: Bench, cases: Callable[[int], None]) -> None:
    """Each kind for ever, and once before a good answer; WireMock counts as many PATCHes as the report does."""
    stubs, struck = [stub("*", FINE)], []
    for name, case in CASES.items():
        stubs.append(stub(f"{name}-always", case.answer))
        stubs.append(
            stub(
                f"{name}-once", case.answer, scenarioName=name, requiredScenarioState="Started", newScenarioState="over"
            )
        )
        stubs.append(stub(f"{name}-once", FINE, scenarioName=name, requiredScenarioState="over"))
        struck += [f"{name}-always", f"{name}-once"]
    ids = [one for at, name in enumerate(struck) for one in (name, *(f"fine-{at}-{n}" for n in range(EVERY - 1)))]
    with wiremock(bench.folder, stubs) as url:
        ended = run(bench, url, ids)
        seen = {one: counted(url, one) for one in struck}
    assert ended.code == 7, ended.err
    found = {
        one: told for one, *told in bench.outcomes().select("destination_id", "state", "attempts", "error_code").rows()
    }
    for name, case in CASES.items():
        assert found[f"{name}-always"] == [case.state, case.attempts, case.code], name
        final = case.state == "rejected"
        assert found[f"{name}-once"] == ([case.state, 1, case.code] if final else ["accepted", 2, None]), name
    assert {tuple(found[one]) for one in ids if one not in seen} == {("accepted", 1, None)}
    assert seen == {one: found[one][1] for one in struck}
    cases(len(struck))


@pytest.mark.long
@pytest.mark.proves("G11")
def test_a_redirect_of_wiremock_stops_the_run(bench: Bench) -> None:
    """301 to another host: exit 4 after one PATCH, the host named, the rows left as they were."""
    moved = {"status": 301, "headers": {"Location": "http://elsewhere.example/destinations/x?token=t"}}
    with wiremock(bench.folder, [stub("*", moved)]) as url:
        ended = run(bench, url, ["id-a", "id-b"])
        seen = counted(url, "id-a") + counted(url, "id-b")
    assert (ended.code, seen) == (4, 1), ended.err
    assert "elsewhere.example" in ended.err
    assert "token" not in ended.err
    assert bench.outcomes()["state"].to_list() == ["not_attempted"] * 2
