"""The plan of faults: a pure function of seed, id and attempt."""

from __future__ import annotations

from collections import Counter

import pytest

from bulkpatch.simulator.faults import PRESETS, FaultPlan, Mishap


def _draws(plan: FaultPlan, n: int = 2000) -> dict[tuple[str, int], Mishap | None]:
    names = [(f"id-{at // 4}", at % 4 + 1) for at in range(n)]
    return {name: plan.draw(*name) for name in names}


@pytest.mark.proves("G18")
def test_draws_are_pure() -> None:
    """What is drawn depends on seed, id and attempt, and on nothing else."""
    plan = FaultPlan.parse("rough", seed=3)
    backwards = {name: plan.draw(*name) for name in reversed(_draws(plan))}
    again = FaultPlan(seed=3, shares=dict(reversed(list(PRESETS["rough"].items()))))
    assert _draws(plan) == _draws(again) == backwards
    assert _draws(plan) != _draws(FaultPlan.parse("rough", seed=4))


def test_draws_are_pinned() -> None:
    """A seed draws the same on every machine and in every version."""
    plan = FaultPlan.parse("500=0.5,reset_after=0.5", seed=1)
    drawn = [plan.draw("a", attempt) for attempt in range(1, 9)]
    assert drawn == ["500", "reset_after", "reset_after", "500", "500", "500", "reset_after", "reset_after"]


def test_shares() -> None:
    """Over many attempts each kind has the share it was given."""
    plan = FaultPlan.parse("500=0.1,stall=0.25", seed=9)
    counts = Counter(_draws(plan, 8000).values())
    assert abs(counts[Mishap.ERROR_500] / 8000 - 0.1) < 0.02
    assert abs(counts[Mishap.STALL] / 8000 - 0.25) < 0.03
    assert set(counts) == {Mishap.ERROR_500, Mishap.STALL, None}


def test_presets() -> None:
    """Presets have the shares they are known for."""
    assert sum(PRESETS["none"].values()) == 0
    assert sum(PRESETS["some"].values()) == pytest.approx(0.06)
    assert sum(PRESETS["rough"].values()) == pytest.approx(0.24)
    assert len(PRESETS["rough"]) == 7


def test_overrides() -> None:
    """A script for one id wins over the shares, and its last entry stays."""
    plan = FaultPlan(shares={Mishap.ERROR_500: 1.0}, overrides={"a": (Mishap.STALL, None)})
    assert [plan.draw("a", attempt) for attempt in (1, 2, 3)] == [Mishap.STALL, None, None]
    assert plan.draw("b", 1) is Mishap.ERROR_500


def test_reads() -> None:
    """Reads go wrong only when that is asked for."""
    assert FaultPlan.parse("500=1").draw("a", 1, method="GET") is None
    assert FaultPlan.parse("500=1,reads").draw("a", 1, method="GET") is Mishap.ERROR_500


def test_parse() -> None:
    """Text is read as it is written."""
    plan = FaultPlan.parse(" some, slow=0.1 , 500=0.2,reads,reject=id1,id2", seed=8)
    assert plan.shares == {**PRESETS["some"], Mishap.SLOW: 0.1, Mishap.ERROR_500: 0.2}
    assert (plan.seed, plan.reads, plan.rejected) == (8, True, frozenset({"id1", "id2"}))
    assert FaultPlan.parse("").shares == {}


@pytest.mark.parametrize("text", ["lots", "501=0.1", "500=x", "500=-0.1", "500=nan", "500=0.6,slow=0.6"])
def test_parse_refuses(text: str) -> None:
    """Text that is no plan of faults is refused."""
    with pytest.raises(ValueError, match="fault"):
        FaultPlan.parse(text)


def test_plan_refuses() -> None:
    """An empty script and an endless stall are refused."""
    with pytest.raises(ValueError, match="attempt"):
        FaultPlan(overrides={"a": ()})
    with pytest.raises(ValueError, match="stall"):
        FaultPlan(stall_s=601)
