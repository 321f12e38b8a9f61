"""A gate that asks the change ticket, here a file, whether the next wave may begin."""

from __future__ import annotations

from pathlib import Path

from bulkpatch import GateVerdict, WaveCounts


def ticket(counts: WaveCounts) -> GateVerdict:
    """Pass while the ticket is open. Called on a thread of its own, once a wave is through."""
    stands = Path("ticket.txt").read_text(encoding="utf-8").strip()
    reason = f"the ticket is {stands}, and {counts.failed} of {counts.tried} rows failed"
    return GateVerdict(passes=stands == "open", reason=reason)
