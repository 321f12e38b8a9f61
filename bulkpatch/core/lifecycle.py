"""The life of a row, as one table.

    pending ──intent──▶ in_flight ──outcome──▶ accepted · verified · unverified · rejected · skipped · exhausted
       ▲                    │                  · unknown ──settlement──▶ accepted · exhausted
       └── setback, passed ─┘
    pending ──outcome, nothing sent──▶ planned · noop · skipped · rejected · exhausted · unknown

Whatever is no arrow here cannot happen; the ledger, the dispatcher and the report all ask this table.
``not_attempted`` is how the report of a stopped run calls ``pending``.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from bulkpatch.errors import ExitCode
from bulkpatch.model import RowState

S = RowState

OPEN = frozenset({S.PENDING, S.IN_FLIGHT})
DONE = frozenset({S.PLANNED, S.ACCEPTED, S.VERIFIED, S.NOOP})
FAILED = frozenset({S.UNVERIFIED, S.REJECTED, S.EXHAUSTED, S.UNKNOWN, S.SKIPPED, S.NOT_ATTEMPTED})
SETTLED = (DONE | FAILED) - {S.NOT_ATTEMPTED}
"""The states an outcome may have."""

TRANSITIONS: Mapping[RowState, frozenset[RowState]] = MappingProxyType(
    {
        S.PENDING: frozenset({S.IN_FLIGHT, S.PLANNED, S.NOOP, S.SKIPPED, S.REJECTED, S.EXHAUSTED, S.UNKNOWN}),
        S.IN_FLIGHT: frozenset(
            {S.PENDING, S.ACCEPTED, S.VERIFIED, S.UNVERIFIED, S.REJECTED, S.SKIPPED, S.EXHAUSTED, S.UNKNOWN},
        ),
        **dict.fromkeys(SETTLED | {S.NOT_ATTEMPTED}, frozenset[RowState]()),
        S.UNKNOWN: frozenset({S.ACCEPTED, S.EXHAUSTED}),
    },
)

NOT_TRIED = frozenset({S.PLANNED, S.NOOP, S.SKIPPED, S.NOT_ATTEMPTED}) | OPEN
"""Guards and gates leave these out of their count."""


def may_become(before: RowState, after: RowState) -> bool:
    """Whether the table has this arrow."""
    return after in TRANSITIONS[before]


def exit_code(counts: Mapping[RowState, int]) -> ExitCode:
    """The exit code of a run that went to its end with these outcomes."""
    if counts.get(S.UNKNOWN, 0):
        return ExitCode.UNKNOWN_ROWS
    return ExitCode.ROWS_FAILED if any(counts.get(state, 0) for state in FAILED) else ExitCode.DONE
