"""Which rows go in which wave. Rows in, numbers out: every edge of shares and counts is decided here."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass

from bulkpatch.model import Threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveCut:
    """How one wave is filled: ``size`` rows or a share of all that are sent, None for the rest.

    Only ``among`` (None: all) are taken, in ``order`` (``input`` or ``random``); with ``value_of`` each
    of its values comes in turn, so that a small wave has some of every kind.
    """

    size: Threshold | None
    among: Container[int] | None = None
    order: str = "input"
    value_of: Callable[[int], str | None] | None = None


def wanted(size: Threshold | None, total: int) -> float:
    """The rows that a wave takes at most: a share is rounded up, and is at least 1."""
    if size is None:
        return math.inf
    if size.share is None:
        return size.count or 0
    # Tenths of a per cent are exact in integers only: 0.07 * 100 is more than 7 in floats.
    return max(1, -(-round(size.share * 1_000_000) * total // 1_000_000)) if total else 0


def cut(rows: Iterable[int], waves: Sequence[WaveCut], *, seed: str) -> list[list[int]]:
    """The rows of each wave, ascending, and of a last one what no wave took, if anything is left.

    ``rows`` are all that are sent. Each stands in exactly one wave; a wave may be empty. ``seed`` makes
    random order the same again.
    """
    left = list(rows)
    total, filled = len(left), []
    for wave in waves:
        among = left if wave.among is None else [row for row in left if row in wave.among]
        most = wanted(wave.size, total)
        taken = among if len(among) <= most else _ordered(among, wave, seed)[: int(most)]
        chosen = set(taken)
        filled.append(sorted(taken))
        left = [row for row in left if row not in chosen]
    return [*filled, left] if left else filled


def _ordered(rows: Sequence[int], wave: WaveCut, seed: str) -> Sequence[int]:
    ordered = sorted(rows, key=lambda row: _draw(seed, row)) if wave.order == "random" else rows
    if wave.value_of is None:
        return ordered
    turns: dict[str | None, int] = {}
    ranked = []
    for at, row in enumerate(ordered):
        value = wave.value_of(row)
        turns[value] = turns.get(value, 0) + 1
        ranked.append((turns[value], at, row))
    return [row for _, _, row in sorted(ranked)]


def _draw(seed: str, row: int) -> bytes:
    return hashlib.sha256(f"{seed}:{row}".encode()).digest()
