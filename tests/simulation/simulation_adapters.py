"""What the engine of a simulated process works with: a disk, a thread, a store, none of which outlives it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

from bulkpatch.api.pacing import Pace
from bulkpatch.errors import LedgerFailed, StoreFailed
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Operation, Rate, Record, Secret
from bulkpatch.prequel.requests import get

if TYPE_CHECKING:
    from simulation_process import Process

P = ParamSpec("P")
T = TypeVar("T")
STALL_S: Final = 1.5
"""Seconds that a commit takes when the disk stalls."""


class Listed:
    """ports.Source: the rows of a story."""

    def __init__(self, operations: Sequence[Operation], batch: int) -> None:
        self.rows = operations
        self.batch = batch

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """See ports.Source."""
        for at in range(0, len(self.rows), self.batch):
            batch = self.rows[at : at + self.batch]
            chosen = set(wanted(batch[0].row, batch[-1].row))
            yield [row for row in batch if row.row in chosen]


class Disk(MemoryLedger):
    """The ledger of one process, which may die before or after any commit is durable."""

    process: Process

    def reopened(self) -> Disk:
        """See MemoryLedger."""
        return cast("Disk", super().reopened())

    def commit(self, records: Sequence[Record]) -> None:
        """See ports.Ledger."""
        process = self.process
        if process.dead:
            return
        process.commits += 1
        if process.dies("before", process.commits):
            return
        if process.fails("disk full", process.commits):
            self.close()
            raise LedgerFailed("BP606", "the disk is full")
        super().commit(records)
        process.judge.committed(process.loop.time(), records)
        process.dies("after", process.commits)


class Thread:
    """ports.Executor: one call after the other, each of which takes its time."""

    def __init__(self, process: Process, chance: random.Random) -> None:
        self._process = process
        self._chance = chance
        self._turn = asyncio.Lock()

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` after a while."""
        network, chance = self._process.world.story.network, self._chance
        async with self._turn:
            stalls = chance.random() < network.stalls
            await asyncio.sleep(STALL_S if stalls else chance.random() * network.commit_s)
            await self._process.alive()
            result = function(*args, **kwargs)
            await self._process.alive()
            return result


class Open:
    """ports.Ceiling: lets everything through, so that the pacer alone is seen."""

    async def admit(self) -> bool:
        """One more may leave, at once."""
        return False

    def set_rate(self, rate: Rate) -> None:
        """Nothing is held."""


class Plain:
    """ports.Redactor: nothing here is kept secret."""

    def scrub(self, text: str, *, limit: int = 300) -> str:
        """As it is."""
        return text[:limit]

    def scrub_json(self, document: bytes) -> bytes | None:
        """As it is."""
        return document


class Store:
    """ports.SecretResolver: takes a while, and fails now and then."""

    def __init__(self, process: Process, chance: random.Random) -> None:
        self._process = process
        self._chance = chance

    async def resolve(self, source: str | Secret) -> Secret:
        """The name behind ``env:`` is the value."""
        assert isinstance(source, str)
        await asyncio.sleep(self._chance.random() * 0.02)
        if self._chance.random() < self._process.script.store_fails:
            raise StoreFailed("BP303", "the store is down")
        return Secret(source.removeprefix("env:"), reference=source, version="1")


class Seen:
    """ports.Sightings in memory."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._of: dict[str, bytes | None] = dict.fromkeys(wanted)

    @property
    def missing(self) -> int:
        """See ports.Sightings."""
        return sum(one is None for one in self._of.values())

    @property
    def found(self) -> int:
        """See ports.Sightings."""
        return len(self._of) - self.missing

    def put(self, seen: Any) -> None:
        """See ports.Sightings."""
        self._of.update((name, document) for name, document in seen if name in self._of)

    def absentees(self) -> Iterator[str]:
        """See ports.Sightings."""
        return iter([name for name, document in self._of.items() if document is None])

    def get(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """See ports.Sightings."""
        return {name: document for name in ids if (document := self._of.get(name)) is not None}


class Gazer:
    """engine.waving.Watch: reads some destinations at the run's pace; a seed says how their transfers went."""

    def __init__(self, process: Process, pace: Pace, chance: random.Random) -> None:
        self._process = process
        self._pace = pace
        self._chance = chance

    async def start(self, wave: int, count: int) -> int:
        """None is started."""
        return 0 * wave * count

    async def look(self, wave: int) -> tuple[int, int, int]:
        """Succeeded, ended, expected."""
        rows = [row for row, of in self._process.judge.wave_of.items() if of == wave]
        async with self._process.reader(self._pace) as reader:
            for row in rows[:3]:
                await reader.ask(get(f"d{row}"))
        ended = self._chance.randint(0, len(rows))
        return min(ended, round(ended * self._chance.choice((0.4, 1.0)))), ended, len(rows)
