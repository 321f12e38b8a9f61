"""Every seam of the house as a Protocol. The real thing and its fake pass one contract suite each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import ParamSpec, Protocol, TypeVar

from bulkpatch.errors import Problem
from bulkpatch.model import (
    Act,
    Beat,
    CredentialRow,
    Event,
    Hitch,
    Identity,
    Intent,
    Operation,
    OutcomeRow,
    PendingRow,
    Rate,
    Record,
    Request,
    Result,
    RowEvent,
    RowState,
    RunHeader,
    Secret,
    Sight,
)

P = ParamSpec("P")
T = TypeVar("T")


class Clock(Protocol):
    """Time as an argument. Pacing and deadlines use ``monotonic``; time stamps use ``wall_us``."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary start that never goes back (and counts no suspend)."""
        ...

    def wall_us(self) -> int:
        """Microseconds since 1970, UTC."""
        ...


class Transport(Protocol):
    """One request → one whole reply or one fault. Never retries, redirects or raises for the network."""

    async def send(self, request: Request, *, timeout_s: float, on_sent: Callable[[float], None]) -> Result:
        """Send ``request`` whole within ``timeout_s`` (connect, write, read and all).

        ``on_sent`` is called at most once, with the monotonic time at which the request's bytes
        were handed to the socket. Cancellation closes the connection.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Ceiling(Protocol):
    """The second, independent hold on the rate: the last gate before the wire, with exactly one waiter."""

    async def admit(self) -> bool:
        """Return when one more request may leave; whether that had to be waited for."""
        ...

    def set_rate(self, rate: Rate) -> None:
        """Hold to ``rate`` from now on."""
        ...


class ReadLedger(Protocol):
    """What reports read of a run."""

    def header(self) -> RunHeader:
        """What the run was started from."""
        ...

    def counts(self) -> Mapping[RowState, int]:
        """Rows by state: outcomes, and ``pending`` or ``in_flight`` for the rest; followers count as their lead."""
        ...

    def acts(self) -> Sequence[Act]:
        """What was done to the run, in order."""
        ...

    def outcome_rows(self, batch: int = 50_000) -> Iterator[Sequence[OutcomeRow]]:
        """Every input row in input order, in batches of at most ``batch``."""
        ...

    def credential_rows(self, batch: int = 50_000) -> Iterator[Sequence[CredentialRow]]:
        """Every input row with secrets in input order, in batches of at most ``batch``."""
        ...

    def beats(self, width_us: int) -> Sequence[Beat]:
        """The traffic by intervals of ``width_us``, those without any left out, ascending.

        An interval begins at a multiple of its width since 1970. A request stands where it left: its answer's time
        less its latency, or that of its intent where there is no answer.
        """
        ...

    def hitches(self) -> Sequence[Hitch]:
        """Attempts that ended without settling their row, by code and HTTP status, the most frequent first."""
        ...


class Ledger(ReadLedger, Protocol):
    """The durable truth about one run. One thread at a time calls it; what returned is on disk."""

    def outcome_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[OutcomeRow]]:
        """Input rows ``first``…``last`` (None: to the end) in input order, in batches of at most ``batch``."""
        ...

    def credential_rows(
        self, batch: int = 50_000, *, first: int = 1, last: int | None = None
    ) -> Iterator[Sequence[CredentialRow]]:
        """Those of them that have secrets."""
        ...

    def commit(self, records: Sequence[Record]) -> None:
        """Make all of ``records`` durable, in order, or none. A second outcome for a row is refused."""
        ...

    def pending_between(self, first: int, last: int, *, wave: int | None = None) -> Sequence[PendingRow]:
        """Rows ``first``…``last`` (of one wave) without an outcome, ascending; rows that follow a lead are left out."""
        ...

    def sights_between(self, first: int, last: int) -> Mapping[int, Sight]:
        """What was seen of rows ``first``…``last``, by row; of those that follow a lead, nothing."""
        ...

    def assign_waves(self, assigned: Iterable[tuple[int, int]]) -> None:
        """Put each row into its wave; rows that follow a lead go with it. Durable, all or none."""
        ...

    def wave_counts(self) -> Mapping[int, Mapping[RowState, int]]:
        """Of each wave, the rows that have a request of their own, by state."""
        ...

    def row_numbers(self, states: Collection[RowState]) -> Iterator[int]:
        """Input rows in one of ``states``, ascending; ``not_attempted`` means without an outcome."""
        ...

    def identities(self, batch: int = 10_000) -> Iterator[Sequence[Identity]]:
        """Every row that has a request of its own, ascending, in batches of at most ``batch``."""
        ...

    def recent_sends(self, since_us: int, since_s: float) -> Sequence[tuple[int, float, float] | None]:
        """Of each request that may have left since then, by the wall clock or the monotonic one: when it was answered.

        Both times of the answer's record, ascending, by which it had left, and the monotonic one of its intent.
        Last, None for those without an answer: they may have left until the process ended.
        """
        ...

    def unanswered(self) -> Sequence[Intent]:
        """The intents without an answer on record, ascending by row; at most ``concurrency`` of them."""
        ...

    def story(self, destination_id: str) -> Sequence[tuple[int, Sequence[RowEvent]]]:
        """Of each row with this id: its number, and all that happened to it in order."""
        ...

    def reopen(self) -> None:
        """After a commit that failed: use it again. What that commit held is not in it. Raises ``LedgerFailed``."""
        ...

    def close(self) -> None:
        """Checkpoint and let go. Safe to call twice."""
        ...


class Source(Protocol):
    """The sealed rows of a run, compiled when they are asked for."""

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """Stream the input in order; of each batch ``first``…``last`` compile the rows ``wanted`` names."""
        ...


class Sightings(Protocol):
    """What was seen of the destinations that a plan is about; kept off memory, and gone with the process."""

    @property
    def missing(self) -> int:
        """How many of the wanted ids were not seen yet."""
        ...

    @property
    def found(self) -> int:
        """How many were."""
        ...

    def put(self, seen: Iterable[tuple[str, bytes]]) -> None:
        """Keep the documents of wanted ids; those of others are dropped."""
        ...

    def absentees(self) -> Iterator[str]:
        """The wanted ids that were not seen, in order. Others may be put meanwhile."""
        ...

    def get(self, ids: Sequence[str]) -> Mapping[str, bytes]:
        """The documents of those of ``ids`` that were seen."""
        ...


class SecretRules(Protocol):
    """What a cell of a secret field may be; no answer shows the cell."""

    schemes: frozenset[str]

    def reference_flaw(self, text: str) -> Problem | None:
        """What is wrong with the form of the reference ``text``, or None; nothing behind it is read."""
        ...

    def value_flaw(self, text: str) -> Problem | None:
        """Why ``text`` cannot be a secret's value, or None."""
        ...


class SecretResolver(Protocol):
    """References → values."""

    async def resolve(self, source: str | Secret) -> Secret:
        """The value behind a reference, fresh or held as its scheme demands; an inline secret is its own.

        Whatever is returned is watched for from then on. Raises ``BulkpatchError`` when the store fails or
        holds nothing usable.
        """
        ...


class Redactor(Protocol):
    """Knows every secret that is live and keeps it out of what is written."""

    def scrub(self, text: str, *, limit: int = 300) -> str:
        """``text`` on one line, live secrets in any encoding replaced, control characters escaped, cut to ``limit``."""
        ...

    def scrub_json(self, document: bytes) -> bytes | None:
        """``document`` as it is if it holds no live secret, else with it replaced."""
        ...


class Observer(Protocol):
    """Is told what happened, after it is durable. Must not raise and must not block.

    One that has an attribute ``every_request`` which is false is told of no ``AttemptSent``, and of a settled row
    only if it failed.
    """

    def notify(self, event: Event) -> None:
        """Take note of ``event``."""
        ...


class Executor(Protocol):
    """Where blocking work goes: one thread in the real program, inline under a virtual clock."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` and return what it returns. Calls never overlap and keep their order."""
        ...
