"""``sim`` and ``demo``: the API without the API."""

from __future__ import annotations

import threading
from typing import Annotated

from cyclopts import Parameter

from bulkpatch.cli.settings import CLOCK, ENVIRON, Common, rate_of, report_dir
from bulkpatch.cli.speaking import tell
from bulkpatch.model import Secret
from bulkpatch.simulator.faults import FaultPlan
from bulkpatch.simulator.server import serve_forever
from bulkpatch.simulator.state import Fleet

_COMMON = Common()
SIM_KEY = "sk_staging_" + "simulator"
"""The key that ``sim`` takes unless BULKPATCH_SIM_KEY names another."""


def sim(  # noqa: PLR0913  (the options of one command)
    *,
    port: Annotated[int, Parameter(help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
    destinations: Annotated[int, Parameter(help="How many destinations there are.")] = 100,
    ids: Annotated[str, Parameter(help="File with one destination id a line, instead.")] = "",
    seed: Annotated[int, Parameter(help="Seed of the fleet and its faults.")] = 1,
    faults: Annotated[
        str, Parameter(help="none, some, rough, or kinds with shares: 500=0.03,reset_after=0.02")
    ] = "none",
    rate: Annotated[str | None, Parameter(help="The API's own limit, such as 10/s.")] = None,
) -> int:
    """Serve a simulated API on this machine until ^C."""
    if ids:
        with open(ids, encoding="utf-8") as lines:  # noqa: PTH123  (a name as typed)
            fleet = Fleet.from_rows([line.strip() for line in lines if line.strip()], seed=seed, clock=CLOCK)
    else:
        fleet = Fleet.synthetic(destinations, seed, clock=CLOCK)
    key = Secret(ENVIRON.get("BULKPATCH_SIM_KEY", SIM_KEY), reference="env:BULKPATCH_SIM_KEY")

    def on_ready(url: str) -> None:
        tell(
            f"serving {len(fleet.ids)} destinations at {url}",
            f"key: {SIM_KEY}, or that of BULKPATCH_SIM_KEY; ^C ends it",
        )
        tell("ids: " + ", ".join(fleet.ids[:3]) + ", …")

    try:
        serve_forever(
            fleet,
            on_ready=on_ready,
            until=threading.Event(),
            key=key,
            port=port,
            rate=rate_of(rate),
            faults=FaultPlan.parse(faults, seed=seed),
            admin=True,
        )
    except KeyboardInterrupt:
        tell("ended")
    return 0


def demo(
    *,
    rows: Annotated[int, Parameter(help="Destinations in the fleet.")] = 240,
    common: Common = _COMMON,
) -> int:
    """A fleet update that meets faults, a kill and a resume, on the embedded simulator, to its report."""
    from bulkpatch.cli.demonstration import Demonstration  # noqa: PLC0415  (brings Polars)

    return Demonstration(report_dir(common, ENVIRON), rows=rows).run()
