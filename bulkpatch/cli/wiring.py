"""Settings → the library's options, and the questions that are asked before anything is sent."""

from __future__ import annotations

import sys
from typing import Any

from bulkpatch.api import Options, Plan
from bulkpatch.cli.settings import CLOCK, DRAW, ENVIRON, Common, Sending, rate_of, report_dir, settings_of
from bulkpatch.cli.showing import plan_lines
from bulkpatch.cli.speaking import tell
from bulkpatch.errors import NotConfirmed
from bulkpatch.ports import Observer, Redactor


def options_of(common: Common, sending: Sending | None = None, **more: Any) -> Options:
    """What the flags and the environment say, as the library takes it."""

    def observe(redactor: Redactor) -> Observer:
        from bulkpatch.observe.progress import choose  # noqa: PLC0415  (rich is for those who look)

        mode = "none" if common.quiet else common.progress
        return choose(mode, sys.stderr, ENVIRON, clock=CLOCK, redactor=redactor)

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
        concurrency=sending.concurrency if sending is not None else None,
        **more,
    )


def consent(sending: Sending, *, quiet: bool, simulate: bool = False) -> Any:
    """The question before sending, as ``Options.confirm`` takes it. Raises ``NotConfirmed``."""

    def confirm(plan: Plan) -> None:
        if not quiet:
            tell(*plan_lines(plan))
        if simulate:
            return
        name = plan.job.name
        production = plan.key_class == "production"
        asked_for_name = production and sending.confirm != name
        if sending.yes and not asked_for_name:
            return
        if not sys.stdin.isatty():
            fix = f"--yes --confirm {name}" if production else "--yes"
            raise NotConfirmed("BP121", "no terminal to ask on, so nothing was sent", hint=f"Add {fix}.")
        expected = name if production else "yes"
        tell(f"Type {expected} to send {plan.sends} requests to {plan.job.api.base_url}:")
        if sys.stdin.readline().strip() != expected:
            raise NotConfirmed("BP121", "not confirmed, so nothing was sent")

    return confirm
