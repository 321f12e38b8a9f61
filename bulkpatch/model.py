"""The vocabulary that every room shares: frozen values and enums, no behaviour beyond their own shape.

Units stand last in a name: ``_s`` seconds (float), ``_us`` microseconds (int). ``at_us`` is wall
time, UTC, microseconds since 1970; ``at_s`` is the monotonic clock, which alone paces and expires.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, NoReturn, TypeAlias


class RowState(StrEnum):
    """Where a row stands; the words users see in column ``state``."""

    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    PLANNED = "planned"
    ACCEPTED = "accepted"
    VERIFIED = "verified"
    NOOP = "noop"
    UNVERIFIED = "unverified"
    REJECTED = "rejected"
    EXHAUSTED = "exhausted"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"
    NOT_ATTEMPTED = "not_attempted"


class Stage(StrEnum):
    """The step of a row that an attempt belongs to."""

    EXPECT = "expect"
    PRETEST = "pretest"
    PATCH = "patch"
    VERIFY = "verify"


class Secret:
    """A secret's value, in memory only: it cannot be printed, compared, pickled or formatted.

    ``reference`` says where it came from (``env:NAME``, or ``inline``) and may be shown.
    """

    __slots__ = ("__value", "reference", "version")

    def __init__(self, value: str, *, reference: str, version: str | None = None) -> None:
        self.__value = value
        self.reference = reference
        self.version = version

    def reveal(self) -> str:
        """The plain text; call it only where the byte that leaves is made."""
        return self.__value

    def __repr__(self) -> str:
        return f"<secret {self.reference}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __reduce__(self) -> NoReturn:
        message = "a secret is never serialised"
        raise TypeError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretSlot:
    """Where in a body a secret stands, and where its value comes from.

    ``source`` is a reference such as ``env:PW_acme``, or the tainted value of an inline cell.
    """

    path: tuple[str, ...]
    source: str | Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row, compiled: what is to be sent to which destination.

    ``body`` is the canonical JSON of the PATCH (``{"destination": …}``, keys sorted)
    in which every secret stands as its reference; ``secrets`` names those places. Without
    secrets, ``body`` is byte for byte what leaves. ``digest`` is the SHA-256 of ``body``.
    """

    row: int
    destination_id: str
    body: bytes
    digest: bytes
    fields: tuple[str, ...]
    secrets: tuple[SecretSlot, ...] = ()
    labels: tuple[str | None, ...] = ()
    line: int | None = None


def credential_of(operation: Operation) -> str | None:
    """By what a row's credential is known: the references of its secrets in the order of their paths.

    One that the row itself holds stands as ``inline``. None for a row without secrets.
    """
    slots = sorted(operation.secrets, key=lambda slot: slot.path)
    texts = (slot.source if isinstance(slot.source, str) else slot.source.reference for slot in slots)
    return ", ".join(texts) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedRow:
    """One row as the ledger first learns of it. ``lead`` is the earlier row with the same id and body, if any.

    ``credential`` names the references of its secrets, see ``credential_of``; None where it has none.
    """

    row: int
    destination_id: str
    digest: bytes
    fields: tuple[str, ...]
    labels: tuple[str | None, ...] = ()
    wave: int = 1
    lead: int | None = None
    credential: str | None = None


class PendingRow(NamedTuple):
    """What the ledger knows of a row that is not settled.

    ``attempt`` is the number of the last intent (0: none). ``tried`` counts those that use up
    ``attempts``, ``throttled`` those that do not (429, 503 with Retry-After); both are of the stage that
    comes next. ``doubted``: a PATCH of them may have been applied. ``open``: the last intent, of ``open_stage``,
    has no answer on record. ``passed`` is the last stage it came through. ``copies`` counts the rows that
    share its outcome, itself included. The rest is what was seen of its destination.
    """

    row: int
    destination_id: str
    digest: bytes
    attempt: int = 0
    tried: int = 0
    throttled: int = 0
    doubted: bool = False
    open: bool = False
    open_stage: Stage | None = None
    passed: Stage | None = None
    copies: int = 1
    wave: int = 1
    vendor: str | None = None
    recipient_id: str | None = None
    updated_at: str | None = None
    live_digest: bytes | None = None


# ── limits and guards ────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """``count`` requests per ``unit_s`` seconds (1, 60 or 3600)."""

    count: int
    unit_s: int

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.count / self.unit_s

    def __str__(self) -> str:
        return f"{self.count}/{ {1: 's', 60: 'min', 3600: 'h'}[self.unit_s] }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A number of rows, or a share of the rows tried. Exactly one of the two is set."""

    count: int | None = None
    share: float | None = None

    def __str__(self) -> str:
        return str(self.count) if self.share is None else f"{self.share * 100:g}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How fast and how often: what the dispatcher holds to."""

    rate: Rate
    concurrency: int
    timeout_s: float
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """The stages of each row, in order; verification asks every ``poll_s`` until ``deadline_s`` have passed.

    ``credential_failures``: connection tests of one credential that may fail before it has passed one. None: any.
    """

    stages: tuple[Stage, ...] = (Stage.PATCH,)
    deadline_s: float = 300.0
    poll_s: float = 5.0
    credential_failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PerRecipient:
    """What holds for the destinations of one recipient together. None: no limit.

    ``unverified`` destinations were changed and are not verified yet.
    """

    in_flight: int | None = None
    unverified: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """When a run stops by itself: more than ``max_failed`` of the rows tried, once ``min_tried`` were."""

    max_failed: Threshold
    min_tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """What must hold before the next wave. Unset parts ask for nothing.

    ``transfers`` are waited for at most ``window_s``; of them, at most ``start_transfers`` are started by us.
    ``plugin`` names a gate of another package, which has a say after them.
    """

    failed: Threshold | None = None
    soak_s: float = 0.0
    approve: bool = False
    transfers: float | None = None
    window_s: float = 7200.0
    start_transfers: int = 0
    plugin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveCounts:
    """What a gate of another package is told once a wave is through: counts, no row and no secret.

    ``tried`` and ``failed`` are of the wave, which has ``rows`` requests of its own; ``states`` counts the rows of the
    whole run that have their outcome, by the words of ``RowState``.
    """

    run_id: str
    job_name: str
    wave: int
    name: str | None
    rows: int
    tried: int
    failed: int
    states: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateVerdict:
    """What it says to that: whether the next wave may begin, and why, in words for the operator."""

    passes: bool
    reason: str = ""


# ── the wire ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One HTTP request below the base URL. ``path`` is already exact; no library may rewrite it."""

    method: str
    path: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A whole HTTP answer: status, the headers that decide anything (lower case), the body as it came.

    ``sent_at_s`` is when the request's last byte was handed to the socket, ``ended_at_s`` when the
    answer was whole; both on the monotonic clock.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_at_s: float
    ended_at_s: float


class FaultKind(StrEnum):
    """Why there is no whole answer."""

    DNS = "dns"
    REFUSED = "refused"
    CONNECT = "connect"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS = "tls"
    TLS_IDENTITY = "tls_identity"
    INVALID_REQUEST = "invalid_request"
    REFUSED_STREAM = "refused_stream"
    NO_FILES = "no_files"
    RESET = "reset"
    TRUNCATED = "truncated"
    TIMEOUT = "timeout"
    TOO_LARGE = "too_large"
    ENCODED = "encoded"
    PROTOCOL = "protocol"
    UNCLASSIFIED = "unclassified"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """No whole answer. ``sent`` is False only where no byte of the request can have been applied.

    ``detail`` names the library's exception type or the host, never a value. ``sent_at_s`` is
    when bytes first left, or when the fault was seen if none did.
    """

    kind: FaultKind
    sent: bool
    detail: str
    sent_at_s: float
    ended_at_s: float


Result: TypeAlias = Reply | Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a reply's body says, once understood.

    ``success``: the envelope's ``status`` is ``success`` and its destination is the one asked for.
    ``problem`` names why a body was not understood (None: it was). ``message`` is the API's own
    text, not yet scrubbed. ``facts`` is the compact JSON of the fields that reports use.
    ``echoed_id`` is the id the destination came back with, if it was another one.
    """

    success: bool
    problem: str | None = None
    message: str = ""
    facts: bytes | None = None
    echoed_id: str | None = None


class VerdictKind(StrEnum):
    """What an attempt means for its row and its run.

    ``ACCEPTED``: what the stage asked for was confirmed. ``LATER``: nothing went wrong, but it is to be asked
    again. ``SKIP``: a guard of the row does not hold. ``FINAL``: no for good.
    """

    ACCEPTED = "accepted"
    RETRY = "retry"
    LATER = "later"
    SKIP = "skip"
    FINAL = "final"
    HALT = "halt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One attempt, judged.

    ``maybe_applied``: the API may have acted on it. ``throttled``: it told us to wait, and no
    attempt is used up. ``retry_after_s``: how long it asked for. ``exit_code`` is set for HALT.
    """

    kind: VerdictKind
    code: str | None = None
    message: str = ""
    http_status: int | None = None
    maybe_applied: bool = False
    throttled: bool = False
    never_sent: bool = False
    retry_after_s: float | None = None
    pause_s: float | None = None
    exit_code: int | None = None


# ── what the ledger keeps ────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """Attempt ``attempt`` of ``row`` is about to leave; durable before its first byte does."""

    row: int
    attempt: int
    stage: Stage
    at_us: int
    at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What attempt ``attempt`` of ``row`` is about to carry at ``path``: that version of what ``reference`` names."""

    row: int
    attempt: int
    path: str
    reference: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """An attempt that ended without settling its row. ``counted``: it used up one of ``attempts``.

    ``withdrawn`` attempts never left: the run stopped between their intent and their turn.
    """

    row: int
    attempt: int
    stage: Stage
    at_us: int
    code: str
    error: str
    http_status: int | None = None
    latency_us: int | None = None
    maybe_applied: bool = False
    counted: bool = True
    withdrawn: bool = False
    wait_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Where a row ended. ``attempt`` is its last one (0: it was never sent)."""

    row: int
    attempt: int
    stage: Stage
    state: RowState
    at_us: int
    http_status: int | None = None
    code: str | None = None
    error: str | None = None
    latency_us: int | None = None
    facts: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """An attempt that brought its row through ``stage``; another stage follows. ``code`` says what was passed over."""

    row: int
    attempt: int
    stage: Stage
    at_us: int
    http_status: int | None = None
    latency_us: int | None = None
    code: str | None = None
    facts: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What the API showed of a row's destination before anything was written.

    ``found`` is None where it could not be told. ``digest`` is of its readable configuration. ``before`` is the
    compact JSON of the readable fields that the row sets, by path: what ``reverse`` goes back to.
    """

    row: int
    at_us: int
    found: bool | None
    vendor: str | None = None
    recipient_id: str | None = None
    updated_at: str | None = None
    digest: bytes | None = None
    before: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What was found out later about a row that ended unknown: ``state`` is what it counts as from now on."""

    row: int
    at_us: int
    state: RowState
    code: str
    error: str | None = None
    facts: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Something that was done to a run: a start, a stop, a change of limits. ``detail`` is JSON, free of secrets."""

    at_us: int
    kind: str
    actor: str
    detail: str = "{}"


RowEvent: TypeAlias = Sight | Intent | Setback | Passed | Outcome | Settlement
"""What can happen to one row."""
Record: TypeAlias = RowEvent | Resolved | Act


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFile:
    """One sealed input file."""

    path: str
    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunHeader:
    """What a run was started from; written once, when the ledger is seeded."""

    run_id: str
    job_name: str
    job_path: str
    job_sha256: str
    inputs: tuple[InputFile, ...]
    input_sha256: str
    base_url: str
    tool_version: str
    created_at_us: int
    rows: int = 0
    label_names: tuple[str, ...] = ()
    dry_run: bool = False
    simulated: bool = False
    parent: str | None = None
    plan: str | None = None
    key_class: str = ""
    plugins: tuple[str, ...] = ()


class Identity(NamedTuple):
    """What was planned for which destination, and where it stands; one that may have been applied is ``in_flight``."""

    row: int
    destination_id: str
    digest: bytes
    state: str


class OutcomeRow(NamedTuple):
    """One input row as reports read it; a follower carries what its lead met.

    ``state`` of a row without outcome is ``pending`` or ``in_flight``. ``attempts`` counts requests
    that left. ``fields`` and ``labels`` are JSON arrays; ``sent_at_us`` is the first send.
    """

    row: int
    destination_id: str
    state: str
    stage: str
    wave: int
    attempts: int
    http_status: int | None
    code: str | None
    error: str | None
    fields: str
    sent_at_us: int | None
    finished_at_us: int | None
    latency_us: int | None
    facts: bytes | None
    labels: str


class CredentialRow(NamedTuple):
    """One input row with secrets as reports read it; a follower carries what its lead sent.

    ``versions`` is a JSON array of ``[path, reference, version]`` in the order of the paths: those of the last
    PATCH that left, where its store named versions.
    """

    row: int
    credential: str
    versions: str


class Beat(NamedTuple):
    """What left, and what came to nothing, in one interval that begins at ``at_us``. Withdrawn attempts never left.

    ``setbacks`` are attempts that ended without settling their row; ``throttled`` are those answered 429.
    """

    at_us: int
    sends: int
    setbacks: int
    throttled: int


class Hitch(NamedTuple):
    """Why attempts ended without settling their row: how many of them, of how many rows."""

    code: str
    http_status: int | None
    attempts: int
    rows: int


# ── what is told while it happens ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class WaveView:
    """The wave that a run is at: ``number`` of ``waves``, its own rows, and the gate that holds before the next.

    ``allowed`` are the failures after which it stops, ``waits_s`` what is left of a soak or of the time for
    transfers, ``reason`` why a person is asked.
    """

    number: int
    waves: int
    rows: int
    tried: int
    failed: int
    phase: str
    name: str = ""
    allowed: str = ""
    soak_s: float = 0.0
    approve: bool = False
    transfers: float | None = None
    plugin: str | None = None
    waits_s: float | None = None
    reason: str = ""
    last: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A run at one moment, counting durable outcomes only.

    ``rate_limit`` is the speed now, at most ``rate_asked``, the user's limit. ``left_s`` is sending, and
    in it ``soaks_s`` and ``opens_in_s``, until a closed send window opens; of ``approvals`` nobody knows how long.
    """

    total: int
    states: Mapping[RowState, int] = field(default_factory=dict)
    in_flight: int = 0
    sends: int = 0
    retries: int = 0
    throttled: int = 0
    rate_asked: float = 0.0
    rate_limit: float = 0.0
    rate_now: float = 0.0
    p50_ms: float | None = None
    p95_ms: float | None = None
    elapsed_s: float = 0.0
    left_s: float | None = None
    soaks_s: float = 0.0
    opens_in_s: float = 0.0
    approvals: int = 0
    bound_by: str = ""
    paused: bool = False
    wave: WaveView | None = None
    stopping: str = ""

    @property
    def settled(self) -> int:
        """Rows that have their outcome."""
        return sum(self.states.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStarted:
    """Sending is about to begin (or to go on)."""

    run_id: str
    job_name: str
    total: int
    left: int
    limits: Limits
    guard_text: str
    base_url: str
    resumed: bool
    in_doubt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSent:
    """A request left (told only to observers that ask for every request)."""

    row: int
    destination_id: str
    attempt: int
    stage: Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSetBack:
    """An attempt failed and its row waits for another; durable."""

    destination_id: str
    setback: Setback


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSettled:
    """A row has its outcome; durable."""

    destination_id: str
    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """About once a second, and once at the end."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person should know now: the rate was lowered, a breaker opened, a stop began."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The last event of a process's part in a run."""

    result: RunResult


Event: TypeAlias = RunStarted | AttemptSent | RowSetBack | RowSettled | Progressed | Notice | RunEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureKind:
    """Failed rows that have state, code and message in common."""

    rows: int
    state: RowState
    code: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run, or this process's part of it, ended.

    ``status`` is ``finished`` (every row has its outcome), ``stopped`` (guard, breaker, key, disk)
    or ``interrupted`` (signal). ``reason`` says why it stopped, ``code`` is its error code.
    ``failures`` are the most frequent of ``failure_kinds`` kinds, most rows first.
    """

    run_id: str
    folder: str
    status: str
    exit_code: int
    snapshot: Snapshot
    code: str | None = None
    reason: str = ""
    failures: tuple[FailureKind, ...] = ()
    failure_kinds: int = 0
    simulated: bool = False
