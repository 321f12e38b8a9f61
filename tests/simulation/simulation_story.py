"""What happens in one simulated run, drawn from its seed before it begins: rows, limits, weather, crashes, people."""

from __future__ import annotations

import random
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final, Literal, TypeAlias

from bulkpatch.core.window import DAYS, SendWindow
from bulkpatch.engine.stages import Guards
from bulkpatch.model import Gate, Guard, Limits, PerRecipient, Rate, Stage, Staging, Threshold
from bulkpatch.simulator.faults import Mishap

WALL_0_US: Final = 1_780_000_000_000_000
"""Wall time at which every story begins."""
WINDOW_S_MAX: Final = 300.0
"""Seconds that a story with a send window may last in good weather, so that it does not wait for many days."""
MOST_FAILED: Final = (Threshold(share=1.0), Threshold(share=1.0), Threshold(share=0.1), Threshold(count=3))
JUMPS_S: Final = (-7200.0, -5.0, 0.5, 30.0, 7200.0)
"""Seconds by which the wall clock is moved; with a send window only a few, for the same reason."""
VENDORS: Final = ("postgres", "redshift", "snowflake")
STAGES: Final[tuple[tuple[Stage, ...], ...]] = (
    (Stage.PATCH,),
    (Stage.PATCH,),
    (Stage.PATCH,),
    (Stage.EXPECT, Stage.PATCH),
    (Stage.PRETEST, Stage.PATCH),
    (Stage.PATCH, Stage.VERIFY),
    (Stage.EXPECT, Stage.PRETEST, Stage.PATCH, Stage.VERIFY),
)

Kind: TypeAlias = Literal[
    "refused", "silent", "500", "503", "503 later", "429", "429 later", "401", "lost", "reset", "slow"
]
KINDS: Final[tuple[Kind, ...]] = (
    "refused", "silent", "500", "503", "503 later", "429", "429 later", "401", "lost", "reset", "slow",
)  # fmt: skip
Moment: TypeAlias = Literal["before", "after", "departure", "time", "disk full"]
"""When a process dies: before or after commit ``at`` is durable, as request ``at`` leaves, or after ``at`` seconds.

``disk full`` is no death: that commit fails, and the process has to end by itself.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One input row. ``lead`` is the earlier row that asks for the same; ``password`` names a secret."""

    number: int
    destination_id: str
    vendor: str
    recipient: str
    lead: int | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """From one moment to another, a share of the requests (of one vendor) meets ``kind``."""

    kind: Kind
    from_s: float
    to_s: float
    share: float
    vendor: str | None
    later_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """See ``Moment``."""

    moment: Moment
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """What happens to one process: when which signals, acts and jumps of the wall clock come, and how it dies.

    ``down_s`` passes before the next one begins, which is on another boot if ``reboots``.
    """

    crash: Crash | None = None
    signals: tuple[tuple[float, int], ...] = ()
    acts: tuple[tuple[float, str, str], ...] = ()
    jumps: tuple[tuple[float, float], ...] = ()
    down_s: float = 5.0
    reboots: bool = False
    store_fails: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How long things take, and what gets lost on the way. ``write_s``: until a request is handed to the socket."""

    up_s: float
    down_s: float
    jitter_s: float
    write_s: float
    never: float
    lost: float
    commit_s: float
    stalls: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One whole story. ``waves`` are sizes and gates; ``looks``: the fleet is read before anything is sent."""

    seed: int
    rows: tuple[Row, ...]
    limits: Limits
    staging: Staging
    per_recipient: PerRecipient
    guard: Guard
    guards: Guards
    window: SendWindow | None
    waves: tuple[tuple[Threshold | None, Gate], ...]
    looks: bool
    batch: int
    network: Network
    shares: Mapping[Mishap, float]
    rejected: frozenset[str]
    bad_secrets: frozenset[str]
    server_rate: Rate | None
    weather: tuple[Weather, ...]
    lives: tuple[Script, ...] = field(default=())


def draw(seed: int) -> Story:
    """The story of ``seed``."""
    chance = random.Random(f"{seed}:story")  # noqa: S311  (a seed is the point)
    rate, concurrency = _rate(chance), chance.choice((1, 2, 3, 4, 8, 8, 16))
    rows = _rows(chance)
    lasts_s = 1.5 * len(rows) / rate.per_s + 2.0
    stages = chance.choice(STAGES)
    window = _window(chance) if chance.random() < 0.1 and lasts_s < WINDOW_S_MAX else None
    jumps = JUMPS_S if window is None else JUMPS_S[1:-1]
    reads = rate.unit_s == 1  # on no record: a longer window is not held for them from one process to the next
    return Story(
        seed=seed,
        rows=rows,
        limits=Limits(
            rate=rate,
            concurrency=concurrency,
            timeout_s=chance.choice((2.0, 10.0, 30.0)),
            attempts=chance.randint(1, 5),
        ),
        staging=Staging(stages=stages, deadline_s=60.0, poll_s=5.0, credential_failures=chance.choice((None, 1, 3))),
        per_recipient=PerRecipient(
            in_flight=chance.choice((None, None, None, 1, 2)), unverified=chance.choice((None, None, None, 1, 3))
        ),
        guard=Guard(
            max_failed=chance.choice(MOST_FAILED),
            min_tried=chance.choice((0, 10)),
        ),
        guards=Guards(drift=chance.choice(("send", "send", "skip", "stop"))),
        window=window,
        waves=_waves(chance, reads=reads),
        looks=chance.random() < 0.25 and reads,
        batch=chance.choice((3, 10, 1000)),
        network=_network(chance),
        shares=_shares(chance),
        rejected=frozenset(row.destination_id for row in rows if chance.random() < 0.02),
        bad_secrets=frozenset({"pw-0"} if chance.random() < 0.2 else ()),
        server_rate=Rate(count=max(1, int(rate.per_s * chance.choice((0.5, 1.0)))), unit_s=1)
        if chance.random() < 0.15
        else None,
        weather=tuple(_weather(chance, lasts_s) for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))),
        lives=tuple(_script(chance, len(rows), lasts_s, jumps) for _ in range(chance.choice((0, 1, 1, 2, 3, 4, 6)))),
    )


def _rate(chance: random.Random) -> Rate:
    unit_s = chance.choice((1, 1, 1, 1, 60, 3600))
    most = {1: (1, 2, 3, 5, 10, 20, 50, 100), 60: (5, 30, 60, 90, 300), 3600: (600, 3600, 9000)}[unit_s]
    return Rate(count=chance.choice(most), unit_s=unit_s)


def _rows(chance: random.Random) -> tuple[Row, ...]:
    count = chance.choice((5, 8, 12, 12, 20, 20, 30, 30, 45, 60, 160)) - chance.randint(0, 4)
    vendors = VENDORS[: chance.choice((1, 1, 2, 3))]
    secrets, twice = chance.random() < 0.3, chance.choice((0.0, 0.0, 0.1))
    rows: list[Row] = []
    for number in range(1, max(1, count) + 1):
        if rows and chance.random() < twice:
            first = chance.choice(rows)
            lead = first.number if first.lead is None else first.lead
            rows.append(Row(number=number, destination_id=first.destination_id, vendor=first.vendor,
                            recipient=first.recipient, lead=lead, password=first.password))  # fmt: skip
            continue
        password = f"pw-{chance.randint(0, 3)}" if secrets and chance.random() < 0.8 else None
        vendor, recipient = chance.choice(vendors), f"r{chance.randint(0, 5)}"
        if password is not None:
            vendor = "postgres"
        rows.append(
            Row(number=number, destination_id=f"d{number}", vendor=vendor, recipient=recipient, password=password)
        )
    return tuple(rows)


def _window(chance: random.Random) -> SendWindow:
    """It is open for the minutes around the beginning, or opens or closes some minutes later."""
    begin = datetime.fromtimestamp(WALL_0_US / 1e6, UTC) + timedelta(minutes=chance.choice((-10, 3, 20)))
    end = begin + timedelta(minutes=60)
    return SendWindow(
        days=frozenset(range(len(DAYS))), start=time(begin.hour, begin.minute), end=time(end.hour, end.minute), tz=UTC
    )


def _waves(chance: random.Random, *, reads: bool) -> tuple[tuple[Threshold | None, Gate], ...]:
    if chance.random() < 0.65:
        return ()
    gates = [
        Gate(),
        Gate(soak_s=chance.choice((5.0, 60.0))),
        Gate(approve=True),
        Gate(failed=Threshold(share=0.3)),
        Gate(transfers=0.5 if reads else None, window_s=120.0),
        Gate(failed=Threshold(count=2), soak_s=10.0, approve=True),
    ]
    sizes = [Threshold(count=chance.choice((1, 3, 7))), Threshold(share=0.4), None]
    return tuple((size, chance.choice(gates)) for size in sizes[: chance.randint(1, 3)])


def _network(chance: random.Random) -> Network:
    return Network(
        up_s=chance.choice((0.001, 0.02, 0.1)),
        down_s=chance.choice((0.001, 0.02, 0.1, 0.5)),
        jitter_s=chance.choice((0.0, 0.01, 0.3)),
        write_s=chance.choice((0.0, 0.0, 0.002, 0.05)),
        never=chance.choice((0.0, 0.0, 0.02)),
        lost=chance.choice((0.0, 0.0, 0.01, 0.05)),
        commit_s=chance.choice((0.0, 0.0, 0.001, 0.02)),
        stalls=chance.choice((0.0, 0.0, 0.01)),
    )


def _shares(chance: random.Random) -> Mapping[Mishap, float]:
    if chance.random() < 0.4:
        return {}
    most = chance.choice((0.02, 0.05, 0.15))
    kinds = chance.sample(list(Mishap), chance.randint(1, 5))
    return {kind: most / len(kinds) if kind is not Mishap.WRONG_ID else 0.002 for kind in kinds}


def _weather(chance: random.Random, lasts_s: float) -> Weather:
    from_s = chance.uniform(0, lasts_s)
    return Weather(
        kind=chance.choice(KINDS),
        from_s=from_s,
        to_s=from_s + chance.choice((1.0, 10.0, 60.0, 200.0)),
        share=chance.choice((0.2, 0.5, 0.9, 1.0)),
        vendor=chance.choice((None, None, *VENDORS)),
        later_s=chance.choice((1, 1, 5, 30, 700)),
    )


def _script(chance: random.Random, rows: int, lasts_s: float, jumps: Sequence[float]) -> Script:
    moment: Moment = chance.choice(("before", "after", "after", "departure", "time", "disk full"))
    crash = Crash(moment=moment, at=chance.uniform(0, lasts_s) if moment == "time" else chance.randint(1, rows + 3))
    signals: tuple[tuple[float, int], ...] = ()
    if chance.random() < 0.25:
        first_s = chance.uniform(0, lasts_s)
        signals = ((first_s, chance.choice((signal.SIGINT, signal.SIGTERM))),)
        if chance.random() < 0.6:
            signals = (*signals, (first_s + chance.choice((0.0, 0.01, 0.2)), signal.SIGINT))
    return Script(
        crash=crash if chance.random() < 0.8 else None,
        signals=signals,
        acts=_acts(chance, lasts_s) if chance.random() < 0.3 else (),
        jumps=tuple((chance.uniform(0, lasts_s), chance.choice(jumps)) for _ in range(chance.choice((0, 0, 0, 1, 2)))),
        down_s=chance.choice((0.0, 0.05, 0.3, 1.0, 5.0, 90.0)),
        reboots=chance.random() < 0.2,
        store_fails=chance.choice((0.0, 0.0, 0.0, 0.01)),
    )


def _acts(chance: random.Random, lasts_s: float) -> tuple[tuple[float, str, str], ...]:
    at_s = chance.uniform(0, lasts_s)
    acts: list[tuple[float, str, str]] = []
    if chance.random() < 0.5:
        acts += [(at_s, "pause", ""), (at_s + chance.choice((0.0, 1.0, 20.0)), "continue", "")]
    if chance.random() < 0.6:
        acts += [(chance.uniform(0, lasts_s), "throttle", chance.choice(("1/s", "3/s", "30/min", "50/s", "200/s")))]
    if chance.random() < 0.15:
        acts += [(chance.uniform(0, lasts_s), "abort", "")]
    return tuple(acts)
