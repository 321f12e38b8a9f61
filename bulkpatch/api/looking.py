"""Reads the fleet, before a run or for a plan, and compares every row with it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bulkpatch import __version__
from bulkpatch.api.diffing import Differ, LiveView
from bulkpatch.api.opened import Opened
from bulkpatch.api.options import Options
from bulkpatch.api.pacing import Pace
from bulkpatch.core.lifecycle import OPEN
from bulkpatch.engine.reading import Reader, Turns
from bulkpatch.engine.survey import survey
from bulkpatch.ledger.sightings import TemporarySightings
from bulkpatch.model import Limits
from bulkpatch.ports import Ledger, Source, Transport
from bulkpatch.prequel.signing import selectors_of
from bulkpatch.transport.dry import DryTransport
from bulkpatch.transport.factory import open_transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """How the API is reached and at what pace."""

    opened: Opened
    base_url: str
    limits: Limits
    pace: Pace
    options: Options

    def transport(self) -> Transport:
        """A new one: connections belong to one event loop."""
        key = self.opened.key
        assert key is not None  # noqa: S101  (whoever asks the API has its key)
        return open_transport(
            self.opened.job.transport,
            base_url=self.base_url,
            key=key,
            concurrency=self.limits.concurrency,
            clock=self.options.clock,
            user_agent=f"bulkpatch/{__version__}",
            ca_file=self.opened.job.authorities,
        )

    def reader(self, transport: Transport) -> Reader:
        """Asks through ``transport`` at this pace."""
        return Reader(
            transport=transport,
            ceiling=self.pace.ceiling,
            clock=self.options.clock,
            draw=self.options.draw,
            limits=self.limits,
            turns=Turns(self.pace.pacer, self.pace.speed),
        )


def look(fleet: Fleet, ledger: Ledger, source: Source, *, dry_run: bool) -> LiveView:
    """Read what the pending rows of ``ledger`` are about, and put on record what was seen and what follows.

    Raises ``KeyRefused`` and ``Unreachable``; nothing was written to the API, which this could not do.
    """
    job, clock = fleet.opened.job, fleet.options.clock
    sightings = TemporarySightings()
    try:
        for batch in ledger.identities():
            sightings.want(one.destination_id for one in batch if one.state in OPEN)
        fields = fleet.opened.rows.check().fields
        paths = set(job.expect).union(fields, *map(selectors_of, fields))
        known, reads = asyncio.run(see(fleet, sightings, sorted(paths)))
        if not known and not sightings.found and not dry_run:  # there is nothing to compare a row with
            counts = ledger.counts()
            return LiveView(
                known=False, reads=reads, verdicts=Counter(unknowable=sum(counts.get(one, 0) for one in OPEN))
            )
        differ = Differ(
            ledger,
            sightings,
            known=known,
            expect=dict(job.expect),
            at_us=clock.wall_us(),
            dry_run=dry_run,
            redactor=fleet.opened.redactor,
        )
        return differ.run(source, reads=reads)
    finally:
        sightings.close()


async def see(fleet: Fleet, sightings: TemporarySightings, paths: Sequence[str]) -> tuple[bool, int]:
    """Fill ``sightings`` over a transport that cannot write: whether the API shows the fleet, and after how many reads.

    Raises ``KeyRefused`` and ``Unreachable``.
    """
    transport = DryTransport(fleet.transport())
    try:
        async with fleet.reader(transport) as reader:
            known = await survey(reader, sightings, paths, concurrency=fleet.limits.concurrency)
            return known, reader.reads
    finally:
        await transport.aclose()
