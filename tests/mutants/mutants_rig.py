"""Mutants: ways to break the product on purpose, as data, each with the tests that must notice."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Stale(Exception):
    """A mutant that fits the source no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One break: ``old``, which stands in ``file`` once, becomes ``new``. Each of ``killers`` must then fail.

    ``guarantee`` is the one that is broken by it, ``breaks`` says how in a sentence.
    """

    id: str
    guarantee: str
    breaks: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """The source of ``file`` below ``root`` with the break in it. Raises ``Stale``."""
        source = (root / self.file).read_text("utf-8")
        if (times := source.count(self.old)) != 1:
            raise Stale(f"{self.id}: its anchor stands {times} times in {self.file}, and must stand there once")
        return source.replace(self.old, self.new)


def catalogue() -> Sequence[Mutant]:
    """Every mutant: each ``.toml`` beside this file holds those of the guarantee that it is called after."""
    files = sorted(Path(__file__).parent.glob("*.toml"), key=lambda file: (len(file.stem), file.stem))
    return [
        Mutant(guarantee=file.stem, **{**one, "killers": tuple(one["killers"])})
        for file in files
        for one in tomllib.loads(file.read_text("utf-8"))["mutant"]
    ]
