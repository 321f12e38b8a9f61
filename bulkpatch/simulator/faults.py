"""What goes wrong, for which request: a pure function of seed, destination and attempt number.

Kinds, as they look on the wire (``*`` = the change was applied before it went wrong):

    500 502 503         that status with the error envelope
    503_retry_after     503 that says when to come back
    429                 429 with Retry-After, whatever the rate
    reset_before        the request is read, then TCP RST
    reset_after*        applied, then TCP RST instead of an answer
    truncated*          Content-Length promises more bytes than come; then FIN
    stall*              nothing for ``stall_s``, then the ordinary answer
    slow*               nothing for ``slow_s``, then the ordinary answer
    malformed*          200, and half a JSON document
    wrong_id*           200, and another destination's id in the envelope
    204*                204, no body
    html                200, and a sign-in page as a proxy would send it
    echo_error          400 whose message repeats the request's body, secrets and all
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bulkpatch.simulator.chance import share


class Mishap(StrEnum):
    """One way for a request to go wrong."""

    ERROR_500 = "500"
    ERROR_502 = "502"
    ERROR_503 = "503"
    RETRY_AFTER_503 = "503_retry_after"
    THROTTLE_429 = "429"
    RESET_BEFORE = "reset_before"
    RESET_AFTER = "reset_after"
    TRUNCATED = "truncated"
    STALL = "stall"
    SLOW = "slow"
    MALFORMED = "malformed"
    WRONG_ID = "wrong_id"
    NO_CONTENT_204 = "204"
    HTML = "html"
    ECHO_ERROR = "echo_error"


APPLIED = frozenset(
    {
        Mishap.RESET_AFTER,
        Mishap.TRUNCATED,
        Mishap.STALL,
        Mishap.SLOW,
        Mishap.MALFORMED,
        Mishap.WRONG_ID,
        Mishap.NO_CONTENT_204,
    }
)
"""The kinds that strike after the change was made."""

PRESETS: Mapping[str, Mapping[Mishap, float]] = {
    "none": {},
    "some": {
        Mishap.ERROR_500: 0.01,
        Mishap.RETRY_AFTER_503: 0.01,
        Mishap.THROTTLE_429: 0.01,
        Mishap.RESET_BEFORE: 0.01,
        Mishap.RESET_AFTER: 0.01,
        Mishap.TRUNCATED: 0.01,
    },
    "rough": {
        Mishap.ERROR_500: 0.05,
        Mishap.ERROR_502: 0.04,
        Mishap.ERROR_503: 0.04,
        Mishap.THROTTLE_429: 0.01,
        Mishap.RESET_BEFORE: 0.04,
        Mishap.RESET_AFTER: 0.03,
        Mishap.TRUNCATED: 0.03,
    },
}
"""Shares of all attempts: 6 % in six kinds; 24 % in seven, few of them 429, since each of those makes a client wait."""

STALL_S_MAX = 600.0
"""Seconds; longer than any sensible timeout, and still an end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which attempts go wrong, and how.

    ``shares`` are fractions of all attempts, together at most 1. ``overrides`` says per id what its
    first, second, … attempt meets (None: nothing); the last entry holds for all that follow.
    ``rejected`` ids are refused with 422 for good. Only writes go wrong unless ``reads`` is set.
    ``retry_after_s`` stands in the Retry-After of the kinds that carry one. Raises ``ValueError``.
    """

    seed: int = 0
    shares: Mapping[Mishap, float] = field(default_factory=dict)
    overrides: Mapping[str, Sequence[Mishap | None]] = field(default_factory=dict)
    rejected: frozenset[str] = frozenset()
    reads: bool = False
    retry_after_s: int = 1
    slow_s: float = 0.5
    stall_s: float = 60.0

    def __post_init__(self) -> None:
        if any(not 0 <= part <= 1 for part in self.shares.values()) or sum(self.shares.values()) > 1 + 1e-9:
            raise ValueError("shares of faults lie between 0 and 1, and so does their sum")
        if not 0 <= self.stall_s <= STALL_S_MAX or not 0 <= self.slow_s <= STALL_S_MAX:
            raise ValueError(f"a stall lasts at most {STALL_S_MAX:g} s")
        if not all(self.overrides.values()):
            raise ValueError("an override names at least one attempt")

    @classmethod
    def parse(cls, text: str, *, seed: int = 0) -> FaultPlan:
        """``"none"``, ``"some"``, ``"rough"``, or parts joined by commas.

        A part is ``KIND=SHARE`` (a fraction), a preset to start from, ``reads``, or ``reject=ID``, after
        which every bare part is one more id: ``"rough,slow=0.1,reads,reject=id1,id2"``. Raises ``ValueError``.
        """
        shares: dict[Mishap, float] = {}
        rejected: list[str] = []
        reads = False
        for part in filter(None, (piece.strip() for piece in text.split(","))):
            name, equals, value = part.partition("=")
            if name == "reject" and equals:
                rejected.append(value)
            elif equals:
                shares[_kind(name)] = _fraction(value)
            elif rejected:
                rejected.append(part)
            elif part == "reads":
                reads = True
            elif part in PRESETS:
                shares.update(PRESETS[part])
            else:
                raise ValueError(f"not a preset of faults: use {', '.join(PRESETS)}, or KIND=SHARE")
        return cls(seed=seed, shares=shares, rejected=frozenset(rejected), reads=reads)

    def draw(self, destination_id: str, attempt: int, *, method: str = "PATCH") -> Mishap | None:
        """What attempt ``attempt`` (from 1) of ``method`` for this id meets; None: nothing."""
        if method == "GET" and not self.reads:
            return None
        script = self.overrides.get(destination_id)
        if script is not None:
            return script[min(attempt, len(script)) - 1]
        if not self.shares:
            return None
        point = share(self.seed, "fault", method, destination_id, attempt)
        for kind in Mishap:  # in the order of the enum, so that the order of a mapping changes nothing
            point -= self.shares.get(kind, 0.0)
            if point < 0:
                return kind
        return None

    def delay_s(self, mishap: Mishap | None) -> float:
        """For how long the answer is held back."""
        match mishap:
            case Mishap.STALL:
                return self.stall_s
            case Mishap.SLOW:
                return self.slow_s
            case _:
                return 0.0


def _kind(name: str) -> Mishap:
    try:
        return Mishap(name.strip())
    except ValueError:
        raise ValueError(f"not a kind of fault: use {', '.join(Mishap)}") from None


def _fraction(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("a share of faults is a fraction such as 0.05") from None
