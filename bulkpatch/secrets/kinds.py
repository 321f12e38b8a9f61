"""What a package brings to serve a scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from bulkpatch.ports import Clock
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.pace import Pace, ReadLimit

ANSWER_S_MAX = 10.0
"""Seconds for a store, command or pipe to give its value: one that needs longer would stall the run."""

ENVIRONMENT = ("PATH", "HOME", "LANG", "VAULT_", "AWS_", "GOOGLE_", "AZURE_", "AGE_", "OP_", "XDG_")
"""Beginnings of the variables that stores are told of, as they were when the process started."""

Found: TypeAlias = tuple[str, str | None]
"""A value, and its version where the store has versions."""

Answer: TypeAlias = Found | Unusable
"""What a store says to one target."""

ResolveMany: TypeAlias = Callable[[Sequence[str]], Mapping[str, Answer]]
"""Targets → the answer to each. It may block, in several threads at once; what it raises is told by type only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a store may know of the process: its environment at the start, the job's folder, time, and its own pace.

    A store calls ``pace.take()`` before each read, and gives up after ``answer_s`` seconds.
    """

    environ: Mapping[str, str]
    folder: Path
    clock: Clock
    pace: Pace
    answer_s: float = ANSWER_S_MAX


class Reader(Protocol):
    """A store that is open. Opening and checking ask nothing over a network, and import no SDK."""

    def check(self, target: str) -> None:
        """Raise ``Unusable`` if it is known without asking that ``target`` cannot be read."""
        ...

    def read(self, targets: Sequence[str]) -> Mapping[str, Answer]:
        """See ``ResolveMany``."""
        ...

    def close(self) -> None:
        """Let connections go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What an entry point of the group ``bulkpatch.secrets`` may name, if it needs more than a ``ResolveMany``.

    ``batch_max`` targets are asked for in one call. ``limit`` is the store's published read limit.
    """

    open: Callable[[Surroundings], Reader]
    limit: ReadLimit | None = None
    batch_max: int = 1
