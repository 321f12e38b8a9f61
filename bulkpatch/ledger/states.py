"""How many rows stand in which state, by as few passes over the ledger's tables as it takes."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from bulkpatch.ledger.statements import sql
from bulkpatch.model import RowState

LeadStates: TypeAlias = Sequence[tuple[str, str | None, int]]
"""Of the rows that have a request of their own: their state, what they were settled as later, and how many do."""


def lead_states(connection: sqlite3.Connection) -> LeadStates:
    """As the ledger behind ``connection`` has them."""
    return [line for line in connection.execute(sql("lead_states")) if line[2]]


def counted(leads: LeadStates, connection: sqlite3.Connection) -> Mapping[RowState, int]:
    """All input rows by state: ``leads`` and those that follow them."""
    found: Counter[RowState] = Counter()
    for state, settled, number in leads:
        found[RowState(settled or state)] += number
    for state, number in connection.execute(sql("follower_states")):
        found[RowState(state)] += number
    return dict(found)
