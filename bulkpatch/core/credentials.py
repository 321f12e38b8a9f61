"""One credential, many destinations: how often it may fail its connection test before all its rows are held.

Until a credential has passed once, the tests of it that failed and the rows of it under way never exceed the cap:
a wrong password locks no account over a whole fleet. Counted by each process anew: who resumes says it was mended.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable
from typing import Final

from bulkpatch.core.work import Stop, Work
from bulkpatch.model import Secret, Stage, Staging, Verdict, VerdictKind, credential_of

PROVED_MAX: Final = 100_000
"""Credentials remembered as good, the least recent forgotten first: one that is forgotten has to pass once more."""
NAMED_MAX: Final = 10
"""Credentials that a message names; the summary of the run has them by rows."""
_TESTS: Final = frozenset({Stage.PRETEST, Stage.VERIFY})
_FAILED, _NO_TEST = "BP421", "BP419"


class _State:
    """What is known of one credential that has not passed. ``held`` counts rows by wave."""

    __slots__ = ("failures", "held", "name", "under_way")

    def __init__(self) -> None:
        self.failures = 0
        self.held: Counter[int] = Counter()
        self.name = ""
        self.under_way: set[int] = set()


class Credentials:
    """Counts by credential: the secrets of a row, by reference, or by what they are where the row itself holds them."""

    def __init__(self, staging: Staging) -> None:
        tested = not _TESTS.isdisjoint(staging.stages)
        self._cap = staging.credential_failures if tested else None
        self._states: dict[Hashable, _State] = {}
        self._proved: OrderedDict[Hashable, None] = OrderedDict()

    @property
    def none_counted(self) -> bool:
        """Whether no row has to wait for any credential, nor is any test of one listened to."""
        return self._cap is None

    def key(self, work: Work) -> Hashable | None:
        """By what the credential of ``work`` is counted; None: it is held to no cap."""
        if self._cap is None or not work.op.secrets:
            return None
        slots = sorted(work.op.secrets, key=lambda slot: slot.path)
        key = tuple((isinstance(slot.source, Secret), _text(slot.source)) for slot in slots)
        return None if key in self._proved else key

    def bars(self, work: Work) -> bool:
        """Whether ``work`` has to wait until another row of its credential ended, or for good."""
        state = self._states.get(self.key(work))
        if state is None or work.op.row in state.under_way:
            return False
        return state.failures + len(state.under_way) >= (self._cap or 0)

    def is_held(self, work: Work) -> bool:
        """Whether the credential failed too often: its rows do not go in this process."""
        state = self._states.get(self.key(work))
        return state is not None and state.failures >= (self._cap or 0)

    def hold(self, work: Work) -> None:
        """``work`` was let go of, since its credential is held."""
        state = self._states[self.key(work)]
        state.under_way.discard(work.op.row)
        state.held[work.known.wave] += work.copies

    def recount(self, wave: int) -> None:
        """The rows of ``wave`` will be brought once more."""
        for state in self._states.values():
            state.held.pop(wave, None)

    def entered(self, work: Work) -> None:
        """``work`` took a slot: it is under way until it is settled or laid aside, also while it waits to ask again."""
        key = self.key(work)
        if key is not None:
            self._states.setdefault(key, _State()).under_way.add(work.op.row)

    def ended(self, work: Work) -> None:
        """``work`` was settled, or laid aside."""
        key = self.key(work)
        state = self._states.get(key)
        if state is not None:
            state.under_way.discard(work.op.row)
            if not state.under_way and not state.failures:
                del self._states[key]

    def heard(self, work: Work, verdict: Verdict) -> bool | None:
        """What a test says of the credential: True, it is good; False, it is held from now on; None, neither.

        Where the API has no test, none can fail.
        """
        key = self.key(work)
        if key is None or work.stage not in _TESTS:
            return None
        if verdict.code == _NO_TEST or verdict.kind is VerdictKind.ACCEPTED:
            self._states.pop(key, None)
            self._proved[key] = None
            if len(self._proved) > PROVED_MAX:
                self._proved.popitem(last=False)
            return True
        if verdict.kind is VerdictKind.FINAL and verdict.code == _FAILED:
            state = self._states.setdefault(key, _State())
            state.failures += 1
            inline = any(isinstance(slot.source, Secret) for slot in work.op.secrets)
            state.name = state.name or f"{credential_of(work.op)}" + (f" (row {work.op.row})" if inline else "")
            return False if state.failures == self._cap else None
        return None

    def words(self, work: Work) -> str:
        """What a person should know when the credential of ``work`` is held."""
        name = self._states[self.key(work)].name
        return f"{self._cap} connection tests failed with {name}, none passed: its other rows are held; others go on"

    def left_over(self) -> Stop | None:
        """At the end: which rows were held, if any."""
        held = [(state.name, state.held.total()) for state in self._states.values() if state.held.total()]
        if not held:
            return None
        names = ", ".join(f"{name} ({_rows(rows)})" for name, rows in held[:NAMED_MAX])
        more = f" and {len(held) - NAMED_MAX} more" if len(held) > NAMED_MAX else ""
        rows = sum(rows for _, rows in held)
        why = f"{self._cap} connection tests of their credential failed and none passed"
        words = f"{_rows(rows)} held, since {why}: {names}{more}"
        return Stop.by_guard("BP510", words)


def _rows(number: int) -> str:
    return f"{number} {'row' if number == 1 else 'rows'}"


def _text(source: str | Secret) -> str:
    return source.reveal() if isinstance(source, Secret) else source
