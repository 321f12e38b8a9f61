"""The plugins that a job names: whether they are here, and which ones a run was started with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bulkpatch.job.spec import Job, KeyPath
from bulkpatch.plugins import Group, Plugin, flaw, installed
from bulkpatch.transport.factory import TRANSPORTS, transport_flaw


def missing(named: Mapping[KeyPath, str]) -> Iterator[tuple[str, KeyPath, str, str]]:
    """job.load.Beyond: what is not to be had here. What is, is loaded: that it cannot be should be known now."""
    for place, name in named.items():
        if place[0] == "send":
            problem = transport_flaw(name)
            found = (problem.message, problem.hint) if problem is not None else None
        else:
            found = flaw(Group.GATES if place[0] == "wave" else Group.WRITERS, name)
        if found is not None:
            yield "BP115", place, *found


def plugins_of(job: Job, schemes: Iterable[str]) -> tuple[str, ...]:
    """Whatever another package brings to ``job`` and to its references of these ``schemes``, with its version."""
    named = [
        *([] if job.transport in TRANSPORTS else [(Group.TRANSPORTS, job.transport)]),
        *((Group.GATES, wave.gate.plugin) for wave in job.waves),
        *((Group.WRITERS, name) for name in job.report.writers),
        *((Group.SECRETS, scheme) for scheme in schemes),
    ]
    found: Iterator[Plugin | None] = (installed(group).get(name or "") for group, name in named)
    return tuple(sorted({str(plugin) for plugin in found if plugin is not None and not plugin.is_ours}))
