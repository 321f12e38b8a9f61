"""``pause``, ``continue``, ``approve``, ``throttle`` and ``abort``: a live run, steered from another terminal."""

from __future__ import annotations

import os
import platform
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import ENVIRON, Common, report_dir
from bulkpatch.cli.speaking import say, say_json, tell
from bulkpatch.errors import ExitCode
from bulkpatch.observe import words

_COMMON = Common()
ASKED = "?"
"""In place of a rate: nothing is changed, and the answer says what holds."""
Form = Annotated[Literal["text", "json"], Parameter(alias="-o", help="Form of the result.")]


def pause(run: str, *, output: Form = "text", common: Common = _COMMON) -> int:
    """Begin nothing more for now; what is in flight is waited for.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    return _ask("pause", run, output, common)


def go_on(run: str, *, output: Form = "text", common: Common = _COMMON) -> int:
    """Go on after a pause.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    return _ask("continue", run, output, common)


def approve(run: str, *, output: Form = "text", common: Common = _COMMON) -> int:
    """Let the next wave begin, where a gate waits for a person.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    return _ask("approve", run, output, common)


def throttle(run: str, rate: str, *, output: Form = "text", common: Common = _COMMON) -> int:
    """Change the rate of a live run, or ask for it.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    rate
        Requests per s, min or h, such as 2/s; ? says which holds.
    """
    return _ask("throttle", run, output, common, argument=rate.strip())


def abort(run: str, *, output: Form = "text", common: Common = _COMMON) -> int:
    """Stop a live run for good reason; it can be resumed.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    return _ask("abort", run, output, common)


def _ask(act: api.ControlAct, run: str, output: str, common: Common, *, argument: str = "") -> int:
    actor = f"{ENVIRON.get('USER') or os.getuid()}@{platform.node()} (pid {os.getpid()})"
    reply = api.control(act, run, report_dir(common, ENVIRON), actor=actor, argument=argument)
    if output == "json":
        document = {"ok": reply.ok, "message": reply.message, "code": reply.code, **reply.details}
        say_json("bulkpatch.control/1", document)
    elif reply.ok:
        now = f"; {words.rate(reply.details['rate_per_s'])} now, held by {reply.details['bound_by']}"
        say(reply.message + (now if argument == ASKED else ""))
    else:
        tell(f"error[{reply.code}]: {reply.message}")
    return int(ExitCode.DONE if reply.ok else ExitCode.INVALID)
