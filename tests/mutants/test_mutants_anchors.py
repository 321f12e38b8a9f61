"""The mutants fit the source, so that ``make mutants`` breaks what it says it breaks."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest
from guarantees import GUARANTEES
from mutants_rig import ROOT, Mutant, Stale, catalogue

MUTANTS = catalogue()
OTHERS = {"brakes", "plugins"}
"""What is broken beside the guarantees of the README."""
"""What stops a run early: no guarantee of its own, and as dear."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.guarantee}-{mutant.id}")
def test_a_mutant_fits_and_names_tests_that_are_there(mutant: Mutant) -> None:
    """Its anchor stands once in its file, what it becomes is still Python, and its killers are functions."""
    broken = mutant.applied(ROOT)
    assert broken != (ROOT / mutant.file).read_text("utf-8")
    if mutant.file.endswith(".py"):
        ast.parse(broken)
    assert mutant.killers
    for killer in mutant.killers:
        file, _, name = killer.partition("::")
        tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
        assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_every_guarantee_is_broken_in_two_ways() -> None:
    """At least; no two mutants have one name."""
    numbers = Counter(mutant.guarantee for mutant in MUTANTS)
    assert numbers.keys() == {*GUARANTEES, *OTHERS}
    assert min(numbers.values()) >= 2
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS) >= 40


@pytest.mark.parametrize("source", ["nothing", "one = 1\none = 1\n"])
def test_an_anchor_that_does_not_stand_once_is_an_error(tmp_path: Path, source: str) -> None:
    """Gone or twice: it says which mutant."""
    (tmp_path / "a.py").write_text(source, "utf-8")
    mutant = Mutant(id="m", guarantee="G1", breaks="x", file="a.py", old="one = 1", new="one = 2", killers=("t",))
    with pytest.raises(Stale, match=r"m: its anchor stands [02] times in a\.py"):
        mutant.applied(tmp_path)
