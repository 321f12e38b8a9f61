"""How a process leaves a run's folder: searched for every secret that it knew."""

from __future__ import annotations

from typing import Any

from bulkpatch.errors import Broken
from bulkpatch.secrets.leaks import LeakReport


def leak_facts(leaks: LeakReport) -> dict[str, Any]:
    """What ``run.json`` says of the search."""
    return {
        "hits": len(leaks.hits),
        "files": leaks.files,
        "bytes": leaks.bytes,
        "skipped": list(leaks.skipped),
        "searched_for": leaks.searched_for,
    }


def refuse_leaks(leaks: LeakReport) -> None:
    """Raise ``Broken`` (BP902) if a secret was found."""
    if leaks.hits:
        file, reference, encoding = leaks.hits[0]
        raise Broken(
            "BP902", f"{file} holds the secret behind {reference} ({encoding}); {len(leaks.hits)} places in all"
        )
