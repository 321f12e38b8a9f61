"""How near to a server's hidden limit the speed stays: the real pacer and rule against models, in virtual time."""

from __future__ import annotations

import heapq
import math
import random
import statistics
import sys
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from bulkpatch.core.adaptive import AdaptiveSpeed
from bulkpatch.core.pacer import Pacer
from bulkpatch.core.quantities import parse_rate

SEEDS = 20
ONE_WAY_S = 0.1
JITTER_S = 0.001
"""Mean of what the network adds to each way, at random."""
BUSY_S = 60.0
"""Seconds that another client of the same quota sends, and then rests."""
DIP_S = range(200, 400)
"""Seconds in which a limit that changes is low."""


class Server(Protocol):
    """Lets a request through, or refuses it; told the times at which requests arrive, in order."""

    def admits(self, now_s: float) -> bool:
        """Whether the one that arrives now is let through."""
        ...

    def possible(self, duration_s: float) -> float:
        """The most that could have been let through."""
        ...


class Bucket:
    """A token bucket whose limit is a function of time; ``others`` of another client take from it too."""

    def __init__(self, limit: Callable[[float], float], burst: float, others: Sequence[float] = ()) -> None:
        self._limit = limit
        self._burst = self._tokens = burst
        self._seen_s = 0.0
        self._others = deque(others)
        self._taken = 0

    def _take(self, now_s: float) -> bool:
        self._tokens = min(self._burst, self._tokens + (now_s - self._seen_s) * self._limit(now_s))
        self._seen_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def admits(self, now_s: float) -> bool:
        """See ``Server``."""
        while self._others and self._others[0] <= now_s:
            self._taken += self._take(self._others.popleft())
        return self._take(now_s)

    def possible(self, duration_s: float) -> float:
        """See ``Server``."""
        whole = sum(self._limit(tenth / 10) / 10 for tenth in range(round(duration_s * 10)))
        return whole + self._burst - self._taken


class Windowed:
    """At most ``count`` in a window of ``length_s``: sliding, or beginning anew at its multiples."""

    def __init__(self, count: int, length_s: float, *, sliding: bool) -> None:
        self._count, self._length_s, self._sliding = count, length_s, sliding
        self._admitted: deque[float] = deque()

    def admits(self, now_s: float) -> bool:
        """See ``Server``."""
        since_s = now_s - self._length_s if self._sliding else now_s - now_s % self._length_s
        while self._admitted and self._admitted[0] < since_s:
            self._admitted.popleft()
        if len(self._admitted) >= self._count:
            return False
        self._admitted.append(now_s)
        return True

    def possible(self, duration_s: float) -> float:
        """See ``Server``."""
        return self._count * math.ceil(duration_s / self._length_s)


class Flaky:
    """No limit, but refuses a share of all at random."""

    def __init__(self, share: float, ceiling: float, chance: random.Random) -> None:
        self._share, self._ceiling, self._chance = share, ceiling, chance

    def admits(self, now_s: float) -> bool:
        """See ``Server``."""
        del now_s
        return self._chance.random() >= self._share

    def possible(self, duration_s: float) -> float:
        """See ``Server``."""
        return self._ceiling * duration_s


class Rule(Protocol):
    """What is measured: how fast to go on, and how long everything waits."""

    def at(self, now_s: float) -> float:
        """The speed at ``now_s``."""
        ...

    def hears(self, now_s: float, sent_s: float, *, refused: bool, wait_s: float) -> float:
        """An answer came to what was sent at ``sent_s``: seconds that all requests wait."""
        ...


class Plain:
    """The rule before: keep ``cut``, win back ``regain`` of the ceiling a second, wait with every 429."""

    def __init__(self, ceiling: float, cut: float = 0.7, regain: float = 0.01) -> None:
        self._ceiling = self._speed = ceiling
        self._cut, self._regain = cut, regain
        self._seen_s = 0.0
        self._cut_at_s = -1.0

    def at(self, now_s: float) -> float:
        """See ``Rule``."""
        self._speed = min(self._ceiling, self._speed + self._regain * self._ceiling * (now_s - self._seen_s))
        self._seen_s = now_s
        return self._speed

    def hears(self, now_s: float, sent_s: float, *, refused: bool, wait_s: float) -> float:
        """See ``Rule``."""
        del sent_s
        if not refused:
            return 0.0
        if now_s - self._cut_at_s >= 1.0:
            self._cut_at_s = now_s
            self._speed = max(0.5, self.at(now_s) * self._cut)
        return wait_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What became of one run against one server."""

    sent: int
    admitted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One server, how fast the user would go, and for how long."""

    name: str
    server: Callable[[random.Random], Server]
    ceiling: float = 50.0
    duration_s: float = 600.0
    retry_after: float = 0.0


def drive(rule: Rule, server: Server, case: Case, chance: random.Random) -> Run:
    """Send rows without end, each refused one again after its wait, in virtual time."""
    retry_after = case.retry_after
    pacer = Pacer(parse_rate(f"{case.ceiling:g}/s"), now_s=0.0)
    arriving: list[tuple[float, float, int]] = []
    answers: list[tuple[float, float, int, bool]] = []
    waiting: list[tuple[float, int]] = []
    now_s, sent, admitted, refused = 0.0, 0, 0, 0
    while True:
        pacer.set_speed(rule.at(now_s))
        leaves_s = pacer.ready_at(now_s)
        arrives_s = arriving[0][0] if arriving else math.inf
        answered_s = answers[0][0] if answers else math.inf
        now_s = min(leaves_s, arrives_s, answered_s)
        if now_s > case.duration_s:
            return Run(sent=sent, admitted=admitted, refused=refused)
        if now_s == answered_s:
            _, sent_s, tries, good = heapq.heappop(answers)
            wait_s = 0.0
            if not good:
                backoff_s = chance.random() * min(20.0, 2.0**tries)
                wait_s = max(backoff_s, retry_after) + chance.random() * 0.1 * retry_after
                heapq.heappush(waiting, (now_s + wait_s, min(tries + 1, 10)))
            if hold_s := rule.hears(now_s, sent_s, refused=not good, wait_s=wait_s):
                pacer.hold_until(now_s + hold_s)
        elif now_s == arrives_s:
            _, sent_s, tries = heapq.heappop(arriving)
            good = server.admits(now_s)
            admitted += good
            refused += not good
            heapq.heappush(answers, (now_s + ONE_WAY_S + chance.expovariate(1 / JITTER_S), sent_s, tries, good))
        else:
            pacer.set_speed(rule.at(now_s))
            if pacer.ready_at(now_s) > now_s:
                continue
            pacer.grant(now_s)
            pacer.sent(now_s)
            sent += 1
            tries = heapq.heappop(waiting)[1] if waiting and waiting[0][0] <= now_s else 0
            heapq.heappush(arriving, (now_s + ONE_WAY_S + chance.expovariate(1 / JITTER_S), now_s, tries))


def poisson(per_s: float, duration_s: float, chance: random.Random) -> Sequence[float]:
    """When another client sends, resting first."""
    times, at_s = [], 0.0
    while (at_s := at_s + chance.expovariate(per_s)) < duration_s:
        if at_s % (2 * BUSY_S) >= BUSY_S:
            times.append(at_s)
    return times


def dips(now_s: float) -> float:
    """10/s, 3/s in the middle third of ten minutes."""
    return 3.0 if int(now_s) in DIP_S else 10.0


def flat(limit: float, burst: float) -> Callable[[random.Random], Server]:
    """A bucket that never changes."""
    return lambda _: Bucket(lambda _: limit, burst)


def flaky(share: float, ceiling: float) -> Callable[[random.Random], Server]:
    """A gateway that refuses at random."""
    return lambda chance: Flaky(share, ceiling, chance)


def cases() -> Sequence[Case]:
    """All that is measured."""
    limited = [
        ("10/s, burst 10", flat(10, 10)),
        ("10-3-10/s, burst 10", lambda _: Bucket(dips, 10)),
        ("10/s, burst 1", flat(10, 1)),
        ("20/s, burst 20", flat(20, 20)),
        ("20/s, burst 1", flat(20, 1)),
        ("sliding 10 in 1 s", lambda _: Windowed(10, 1, sliding=True)),
        ("fixed 10 in 1 s", lambda _: Windowed(10, 1, sliding=False)),
        ("fixed 600 in 60 s", lambda _: Windowed(600, 60, sliding=False)),
        ("20/s shared, other 10/s", lambda chance: Bucket(lambda _: 20, 10, poisson(10, 600, chance))),
        ("3/s, burst 3", flat(3, 3)),
        ("45/s, burst 10", flat(45, 10)),
    ]
    found = [
        Case(name=f"{name}{f', RA {after:g}' if after else ''}", server=server, retry_after=after)
        for name, server in limited
        for after in (0.0, 1.0)
    ]
    found += [
        Case(
            name=f"{share:.0%} random at {ceiling:g}/s{f', RA {after:g}' if after else ''}",
            server=flaky(share, ceiling), ceiling=ceiling, duration_s=seconds, retry_after=after,
        )
        for share, ceiling, seconds in [
            (0.01, 10, 600), (0.01, 50, 300), (0.01, 200, 60), (0.01, 1000, 15), (0.02, 200, 60), (0.05, 200, 60)
        ]
        for after in (0.0, 1.0)
    ]  # fmt: skip
    found.append(Case(name="only 429s", server=flaky(1.0, 50)))
    found.append(Case(name="only 429s, RA 1", server=flaky(1.0, 50), retry_after=1))
    return found


def measure(case: Case, rule: Callable[[float], Rule], seeds: int = SEEDS) -> tuple[float, float, float]:
    """Goodput as a share of what was possible, share of 429s, and requests sent: means over the seeds."""
    good, bad, sent = [], [], []
    for seed in range(seeds):
        server = case.server(random.Random(seed))
        run = drive(rule(case.ceiling), server, case, random.Random(seed))
        good.append(run.admitted / min(server.possible(case.duration_s), case.ceiling * case.duration_s))
        bad.append(run.refused / max(1, run.admitted + run.refused))
        sent.append(run.sent)
    return statistics.mean(good), statistics.mean(bad), statistics.mean(sent)


class Ours:
    """The rule in force: all wait only while nothing is let through."""

    def __init__(self, ceiling: float) -> None:
        self._speed = AdaptiveSpeed(ceiling, now_s=0.0)
        self.at = self._speed.at

    def hears(self, now_s: float, sent_s: float, *, refused: bool, wait_s: float) -> float:
        """See ``Rule``."""
        self._speed.answered(now_s, sent_s=sent_s, refused=refused)
        return wait_s if refused and self._speed.closed else 0.0


RULES: dict[str, Callable[[float], Rule]] = {
    "before: x0.7, +1 %": Plain,
    "x0.5, +2 %": lambda ceiling: Plain(ceiling, 0.5, 0.02),
    "x0.9, +0.2 %": lambda ceiling: Plain(ceiling, 0.9, 0.002),
    "now": Ours,
}


def cell(task: tuple[int, str, int]) -> str:
    """One case under one rule, as it is shown."""
    number, rule, seeds = task
    good, bad, sent = measure(cases()[number], RULES[rule], seeds)
    return f"{good:.3f} / {bad:.1%} / {sent:.0f}"


def say(*words: str) -> None:
    """On standard output, at once."""
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print the table: ``python benchmarks/adaptive.py [seeds]``."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else SEEDS
    names = [case.name for case in cases()]
    tasks = [(number, rule, seeds) for number in range(len(names)) for rule in RULES]
    say("Goodput as a share of the possible / share of 429s / requests sent; RA: Retry-After in seconds\n")
    say("|", " | ".join(["server", *RULES]), "|")
    say("|", " | ".join(["---"] * (1 + len(RULES))), "|")
    with ProcessPoolExecutor() as pool:
        found = pool.map(cell, tasks)
        for name in names:
            say("|", " | ".join([name, *(next(found) for _ in RULES)]), "|")


if __name__ == "__main__":
    main()
