"""Parts of the grammar that are checked but not carried out yet. Who builds one takes its line out."""

from __future__ import annotations

from collections.abc import Iterator

from bulkpatch.errors import CODES, Problem
from bulkpatch.job.findings import by_place, label
from bulkpatch.job.reading import load_source
from bulkpatch.job.spec import Job, KeyPath


def _parts(job: Job) -> Iterator[tuple[KeyPath, object]]:
    """Each part with whether the job asks for it."""
    yield ("send", "transport"), job.transport != "httpx"


def not_built(job: Job) -> list[Problem]:
    """A problem (BP115) for each part that ``job`` asks for in vain, by line."""
    asked = [path for path, wanted in _parts(job) if wanted]
    source = load_source(job.path) if asked else None
    hint = CODES["BP115"].fix
    found = [source.problem("BP115", path, f"{label(path)} is not built yet", hint) for path in asked if source]
    return sorted(found, key=by_place)
