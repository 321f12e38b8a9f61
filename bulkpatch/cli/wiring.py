"""Settings → the library's options, and the questions that are asked before anything is sent."""

from __future__ import annotations

import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bulkpatch.api import Options, Plan
from bulkpatch.cli.settings import (
    CLOCK,
    DRAW,
    ENVIRON,
    Common,
    Sending,
    rate_of,
    report_dir,
    settings_of,
)
from bulkpatch.cli.speaking import broken, tell
from bulkpatch.engine.system import open_files_max
from bulkpatch.errors import InvalidInput, NotConfirmed, Problem
from bulkpatch.job.spec import Job
from bulkpatch.observe.many import Observers
from bulkpatch.ports import Observer, Redactor

PRODUCTION: Final = "production"
"""The class of a key that asks for the job's name."""
PROXIES: Final = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
"""Variables by which most programs are led to a proxy, and this one is not."""


def options_of(common: Common, sending: Sending | None = None, **more: Any) -> Options:
    """What the flags and the environment say, as the library takes it."""
    watchers = watchers_of(common) if sending is not None else ()

    def observe(redactor: Redactor) -> Observer:
        from bulkpatch.observe.progress import choose  # noqa: PLC0415  (rich is for those who look)

        mode = "none" if common.quiet else common.progress
        return Observers(choose(mode, sys.stderr, ENVIRON, clock=CLOCK, redactor=redactor), *watchers)

    return Options(
        clock=CLOCK,
        environ=ENVIRON,
        draw=DRAW,
        report_dir=report_dir(common, ENVIRON),
        settings=settings_of(common, sending, ENVIRON),
        limit=common.limit,
        skip_blank_lines=common.skip_blank_lines,
        decompress=common.decompress,
        stdin=sys.stdin.buffer,
        i_know=common.i_know,
        verbosity=common.verbose,
        observe=observe,
        rate=rate_of(common.rate),
        open_files_max=open_files_max(),
        concurrency=sending.concurrency if sending is not None else None,
        **more,
    )


def watchers_of(common: Common) -> Sequence[Observer]:
    """Who else is told, besides log and screen. Raises ``InvalidInput`` (BP127) where an extra or a port is missing."""
    found: list[Observer] = []
    try:
        if common.metrics_file is not None or common.metrics_port is not None:
            from bulkpatch.observe.metrics import Metrics  # noqa: PLC0415  (an extra)

            found.append(Metrics(file=common.metrics_file, port=common.metrics_port))
        if common.otel:
            from bulkpatch.observe.tracing import Traces  # noqa: PLC0415  (an extra)

            found.append(Traces())
    except ModuleNotFoundError as missing:
        extra = "otel" if (missing.name or "").startswith("opentelemetry") else "metrics"
        words = f"the extra `{extra}` is not installed"
        raise InvalidInput([Problem(code="BP127", message=words, hint=f"pip install 'bulkpatch[{extra}]'")]) from None
    return found


def consent(sending: Sending, *, quiet: bool, simulate: bool = False, dry_run: bool = False) -> Mapping[str, Any]:
    """The questions before reading and before sending, as ``Options`` takes them. They raise ``NotConfirmed``."""

    def allow(job: Job, key_class: str) -> None:
        if not (quiet or simulate) and (found := [name for name in PROXIES if ENVIRON.get(name)]):
            tell(f"note: {', '.join(found)} not used: the key goes straight to the API")
        if simulate or dry_run or _consents(sending, job.name, key_class) or sys.stdin.isatty():
            return
        fix = f"--yes --confirm {job.name}" if key_class == PRODUCTION else "--yes"
        raise NotConfirmed("BP121", "no terminal to ask on, so nothing was sent", hint=f"Add {fix}.")

    def confirm(plan: Plan) -> None:
        if not quiet:
            from bulkpatch.cli.showing import plan_lines  # noqa: PLC0415  (the API's fields are for those who plan)

            tell(*broken(sys.stderr, plan_lines(plan)))
        if simulate or dry_run or _consents(sending, plan.job.name, plan.key_class):
            return
        expected = plan.job.name if plan.key_class == PRODUCTION else "yes"
        tell(f"Type {expected} to send {plan.sends} requests to {plan.base_url}:")
        if _typed() != expected:
            raise NotConfirmed("BP121", "not confirmed, so nothing was sent")

    return {"allow": allow, "confirm": confirm}


def _typed() -> str:
    """The line that is typed; nothing at ^C, which Polars' own handler would let a read sleep through."""
    signal.siginterrupt(signal.SIGINT, True)  # noqa: FBT003  (it takes no name)
    try:
        return sys.stdin.readline().strip()
    except KeyboardInterrupt:
        return ""


def _consents(sending: Sending, job_name: str, key_class: str) -> bool:
    """Whether the flags say yes, with the job's name for a production key."""
    return sending.yes and (key_class != PRODUCTION or sending.confirm == job_name)
