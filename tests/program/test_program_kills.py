"""``kill -9`` at any moment, and ``resume``: every row accepted once over, the rate held across all processes."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from program_rig import Bench, Child, Ledger, check_rate, check_renamed, fleet_of, serving, until, writes

from bulkpatch.simulator.faults import APPLIED
from bulkpatch.simulator.state import Fleet

LATENCY_S = 0.05
"""Of the server, so that requests are in flight when the kill comes."""
SHAKY = "500=0.02,503=0.03,reset_before=0.02,reset_after=0.03,truncated=0.03"
"""13 % of all answers. Of the quarter that ``rough`` spoils, half of the first 20 of some process may go wrong by
chance: then it takes the API for down and waits a minute."""
LOST = frozenset(str(kind) for kind in APPLIED)


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What a kill left: the ledger, and how often each destination had been asked by then."""

    ledger: Ledger
    arrived: Mapping[str, int]


def arrived(fleet: Fleet) -> Counter[str]:
    """How often each destination was written to until now."""
    return Counter(arrival.destination_id for arrival in writes(fleet))


def killed(bench: Bench, fleet: Fleet, child: Child, after_s: float, *, from_first: bool) -> Kill | None:
    """Kill ``child`` after a while, counted from its first request or from its start. None: it had not begun."""
    before = len(writes(fleet))
    if from_first:
        until(lambda: child.gone or len(writes(fleet)) > before)
    time.sleep(after_s)
    child.kill()
    time.sleep(2 * LATENCY_S)  # what left before the kill arrives
    if not (bench.runs and (bench.latest / "ledger.sqlite").exists()):
        assert not writes(fleet)
        return None
    return Kill(ledger=bench.ledger(), arrived=arrived(fleet))


def check_sweep(  # noqa: PLR0913  (what a sweep is made of)
    bench: Bench, *, seed: int, kills: int, faults: str, rows: int = 90, rate: int = 100, transport: str = "httpx"
) -> None:
    """Run, kill, resume, kill, … until it is done, then hold ledger and report against the server."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    fleet = fleet_of(rows, seed=seed)
    story: list[Kill] = []
    with serving(fleet, faults, latency_s=LATENCY_S) as server:
        job = bench.renaming(fleet, server.url, rate=f"{rate}/s", transport=transport)
        arguments: tuple[str | Path, ...] = ("run", job, "--yes")
        lasts_s = 1.2 * rows / rate / (kills + 1)
        for _ in range(kills):
            from_first = chance.random() < 0.8
            after_s = chance.uniform(0, lasts_s if from_first else 1.5)
            kill = killed(bench, fleet, bench.start(*arguments), after_s, from_first=from_first)
            if kill is not None:
                story.append(kill)
                arguments = ("resume", "latest", "--yes")
        ended = bench.run(*arguments)
    assert ended.code == 0, ended.err
    check_renamed(fleet)
    check_story(fleet, story, bench.ledger())
    check_rate(fleet, rate, delay_s=bench.ledger().latency_s_max - LATENCY_S)
    found = bench.outcomes()
    assert found["row"].to_list() == list(range(1, rows + 1))
    assert set(found["state"]) == {"accepted"}


def check_story(fleet: Fleet, story: list[Kill], last: Ledger) -> None:
    """Nothing left before its intent; nothing settled was sent again; rows applied twice have their reason."""
    end = arrived(fleet)
    for kill in story:
        assert len(kill.ledger.open) <= 8
        assert all(number <= kill.ledger.intents.get(one, 0) for one, number in kill.arrived.items())
        assert all(end[one] == kill.arrived[one] for one in kill.ledger.states)
    lost = Counter(arrival.destination_id for arrival in fleet.arrivals if arrival.fault in LOST)
    for one in fleet.ids:
        doubts = sum(one in kill.ledger.open for kill in story)
        assert 1 <= fleet.effects[one] <= 1 + doubts + lost[one]
        assert end[one] <= last.intents[one]


@pytest.mark.proves("G2", "G4", "G5")
@pytest.mark.parametrize(
    "faults", [pytest.param("none", id="good", marks=pytest.mark.long), pytest.param(SHAKY, id="shaky")]
)
def test_every_row_is_accepted_once_over_across_kills(bench: Bench, faults: str) -> None:
    """Three kills at moments that a seed chooses, over a good API and a shaky one."""
    check_sweep(bench, seed=11, kills=3, faults=faults)


@pytest.mark.proves("G2")
def test_every_row_is_accepted_once_over_across_kills_with_curl(bench: Bench) -> None:
    """The same over libcurl, whose own retries would show as rows that were applied twice without a reason."""
    check_sweep(bench, seed=12, kills=3, faults=SHAKY, transport="curl")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(20))
def test_kill_sweep(bench: Bench, seed: int) -> None:
    """The same with 20 seeds and three to five kills each."""
    check_sweep(bench, seed=seed, kills=3 + seed % 3, faults=("none", "some", SHAKY)[seed % 3], rows=200)


@pytest.mark.proves("G4")
def test_a_kill_between_the_last_outcome_and_the_report(bench: Bench) -> None:
    """Every row is settled and no report stands: resume sends nothing, writes it, and ends as the run would have."""
    fleet = fleet_of(5)
    with serving(fleet) as server:
        job = bench.renaming(fleet, server.url, rate="1000/s")
        for after_s in (0.03, 0.02, 0.05, 0.01, 0.08):
            done, before = sum(fleet.effects.values()), len(bench.runs)
            child = bench.start("run", job, "--yes")
            until(lambda: child.gone or sum(fleet.effects.values()) == done + 5)  # noqa: B023  (called at once)
            time.sleep(after_s)
            child.kill()
            assert len(bench.runs) == before + 1
            if len(bench.ledger().states) == 5 and not (bench.latest / "outcomes.parquet").exists():
                break
        else:
            pytest.skip("the moment was not met: too busy a machine")
        sent = len(writes(fleet))
        ended = bench.run("resume", "latest", "--yes")
    assert ended.code == 0, ended.err
    assert len(writes(fleet)) == sent
    assert bench.outcomes()["state"].to_list() == ["accepted"] * 5
    assert bench.stands()["state"] == "finished"


def test_a_kill_while_seeding_leaves_nothing_to_resume(bench: Bench) -> None:
    """The run never began: status says so, resume refuses with exit 2, and nothing was sent."""
    fleet = fleet_of(20_000)
    with serving(fleet) as server:
        child = bench.start("run", bench.renaming(fleet, server.url, rate="10000/s"), "--yes")
        until(lambda: child.gone or any((run / "ledger.sqlite.seeding").exists() for run in bench.runs))
        child.kill()
        assert not (bench.latest / "ledger.sqlite").exists()
        status = bench.run("status")
        assert (status.code, "never began" in status.out) == (0, True)
        resumed = bench.run("resume", "latest", "--yes")
        assert (resumed.code, "never began" in resumed.err) == (2, True)
    assert not writes(fleet)
