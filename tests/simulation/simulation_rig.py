"""A whole story from its seed: one process after the other until every row has its outcome, judged on the way."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from simulation_adapters import Disk, Listed
from simulation_judge import Blame, Judge, Trace
from simulation_loop import Livelock, VirtualLoop
from simulation_process import End, Process, World
from simulation_story import Script, Story, draw

from bulkpatch.core.cutting import WaveCut, cut
from bulkpatch.model import Operation, OutcomeRow, RunHeader, SecretSlot, SeedRow, credential_of
from bulkpatch.prequel.encoding import encode_body

PASSWORD = ("postgres", "password_auth", "password")
CALM_MAX = 500
"""Processes after the last scripted one in which a story has to end: a guard may let each settle just one row."""
STUCK_MAX = 60
"""Calm processes in a row that may settle nothing: bad weather outlasts some dozens that give up at once."""
VIRTUAL_S_MAX = 30 * 86_400.0
FOR_GOOD = frozenset({"BP506"})
"""Stops that no resume gets past: the rows that failed the gate of their wave have failed."""
HEADER = RunHeader(
    run_id="r",
    job_name="simulated",
    job_path="simulated.toml",
    job_sha256="",
    inputs=(),
    input_sha256="",
    base_url="",
    tool_version="",
    created_at_us=0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of one seed. ``trace`` is its hash; ``ends`` are how its processes ended."""

    seed: int
    trace: str
    blames: Sequence[Blame]
    ends: Sequence[End]
    rows: int
    states: Counter[str]
    requests: int
    events: int
    virtual_s: float
    real_s: float
    lines: Sequence[str] = ()

    @property
    def words(self) -> str:
        """What went wrong, and how to see it again."""
        told = "\n".join(f"  {one.guarantee} at {one.at_s:.6f}: {one.words}" for one in self.blames)
        return f"seed {self.seed} (make sim SEED={self.seed})\n{told}"


def simulate(seed: int, *, keep: bool = False) -> Told:
    """The story of ``seed``; ``keep`` its lines."""
    return tell(draw(seed), keep=keep)


def tell(story: Story, *, keep: bool = False) -> Told:
    """``story`` to its end."""
    began_s = time.perf_counter()
    trace = Trace(keep=keep)
    judge = Judge(story, trace)
    loop = VirtualLoop(ends_at_s=VIRTUAL_S_MAX)
    source = Listed(_operations(story), story.batch)
    world = World(story=story, loop=loop, judge=judge, source=source)
    ledger, ends = Disk(HEADER, [_seeds(story, source.rows)]), list[End]()
    rows: Sequence[OutcomeRow] = ()
    try:
        ledger = loop.run_until_complete(_lives(world, ledger, ends))
        rows = _outcome_rows(ledger)
        judge.at_the_end(loop.time(), world.api.fleet, rows)
    except Livelock as stuck:
        judge.blame("ends", loop.time(), str(stuck))
    except Exception as failure:  # noqa: BLE001  (a bug in the product, told with its seed)
        judge.blame("internal", loop.time(), repr(failure))
    finally:
        loop.end()
    for failure_words in loop.failures:
        judge.blame("internal", loop.time(), failure_words)
    for blame in judge.blames:
        trace.note(blame.at_s, *blame)
    return Told(
        seed=story.seed,
        trace=trace.digest,
        blames=judge.blames,
        ends=ends,
        rows=len(story.rows),
        states=Counter(row.state for row in rows),
        requests=len(judge.left),
        events=trace.events,
        virtual_s=loop.time() - 1000.0,
        real_s=time.perf_counter() - began_s,
        lines=trace.lines or (),
    )


async def _lives(world: World, ledger: Disk, ends: list[End]) -> Disk:
    story, judge = world.story, world.judge
    _cut(world, ledger)
    scripts = chain(story.lives, repeat(Script(), CALM_MAX))
    settled: list[int] = []
    for number, script in enumerate(scripts, start=1):
        end = await Process(world, script, ledger, number=number).live()
        ends.append(end)
        ledger = ledger.reopened()
        if end.finished or judge.blames or (end.code in FOR_GOOD and number > len(story.lives)):
            return ledger
        settled = [*settled, len(judge.books.outcomes)] if number > len(story.lives) else []
        if len(settled) > STUCK_MAX and settled[-1] == settled[-1 - STUCK_MAX]:
            break
        await _down(world, script)
    judge.blame("ends", world.loop.time(), f"it does not come to its end: {ends[-1]}")
    return ledger


async def _down(world: World, script: Script) -> None:
    """Until the next process begins: what is on its way arrives meanwhile, or later."""
    done = world.loop.create_future()
    world.loop.call_later(script.down_s, done.set_result, None)
    await done
    if script.reboots:
        world.boot_s = world.loop.time() - 30.0


def _cut(world: World, ledger: Disk) -> None:
    leads = [row.number for row in world.story.rows if row.lead is None]
    world.judge.wave_of.update(dict.fromkeys(leads, 1))
    if world.story.waves:
        filled = cut(leads, [WaveCut(size=size) for size, _ in world.story.waves], seed="r")
        world.judge.wave_of.update({row: wave for wave, taken in enumerate(filled, start=1) for row in taken})
        ledger.assign_waves(world.judge.wave_of.items())


def _operations(story: Story) -> Sequence[Operation]:
    operations = []
    for row in story.rows:
        if row.lead is not None:
            continue
        fields = {"name": f"n{row.number}", f"{row.vendor}.host": f"h{row.number}.example.com"}
        secrets: tuple[SecretSlot, ...] = ()
        if row.password is not None:
            fields[".".join(PASSWORD)] = f"env:{row.password}"
            secrets = (SecretSlot(path=PASSWORD, source=f"env:{row.password}"),)
        body = encode_body(fields)
        operations.append(
            Operation(
                row=row.number,
                destination_id=row.destination_id,
                body=body,
                digest=hashlib.sha256(body).digest(),
                fields=tuple(fields),
                secrets=secrets,
            )
        )
    return operations


def _seeds(story: Story, operations: Sequence[Operation]) -> Sequence[SeedRow]:
    of = {one.row: one for one in operations}
    seeds = []
    for row in story.rows:
        one = of[row.lead or row.number]
        seeds.append(
            SeedRow(
                row=row.number,
                destination_id=row.destination_id,
                digest=one.digest,
                fields=one.fields,
                lead=row.lead,
                credential=credential_of(one),
            )
        )
    return seeds


def _outcome_rows(ledger: Disk) -> Sequence[OutcomeRow]:
    return [row for batch in ledger.reopened().outcome_rows() for row in batch]
