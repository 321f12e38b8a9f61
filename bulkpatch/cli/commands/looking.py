"""``status``, ``runs``, ``report`` and ``explain``: what happened, live or long after."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import ENVIRON, Common, report_dir
from bulkpatch.cli.speaking import broken, columns, say, say_json, tell
from bulkpatch.cli.stories import story_json, story_lines
from bulkpatch.cli.wiring import options_of
from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.model import RowState, Snapshot
from bulkpatch.observe.endings import command_lines, next_commands
from bulkpatch.observe.standing import at_wave, counted, held, pace, reached, verdict

_COMMON = Common()
Form = Literal["text", "json"]
ENDED = frozenset({"finished", "stopped", "interrupted"})
"""States of a run that nobody works on and whose end is known: then what to type next is, too."""
Export = Literal["text", "json", "csv", "html", "parquet", "md"]


def status(
    run: str = "latest",
    *,
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Where a run stands; works while it runs and after a crash.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    stands = api.status(run, report_dir(common, ENVIRON))
    if output == "json":
        say_json("bulkpatch.status/1", stands)
    else:
        say(*_status_lines(stands))
    return 0


def runs(
    *,
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Every run in the report folder, oldest first."""
    folder = report_dir(common, ENVIRON)
    found = [api.status(str(run), folder) for run in api.list_runs(folder)]
    if output == "json":
        say_json("bulkpatch.runs/1", {"runs": found})
    else:
        widest = max((len(stands["run_id"]) for stands in found), default=0)
        longest = max((len(stands["state"]) for stands in found), default=0)
        for stands in found:
            say(*broken(sys.stdout, [f"{stands['run_id']:<{widest}}  {stands['state']:<{longest}}  {_counts(stands)}"]))
        if not found:
            tell(f"no runs under {folder}")
    return 0


def report(
    run: str = "latest",
    *,
    by: Annotated[str, Parameter(help="Columns, labels or `credential` to group by, with commas between.")] = "",
    verified: Annotated[
        bool, Parameter(negative=(), help="List the verified rows alone: the only input that a revocation may use.")
    ] = False,
    output: Annotated[Export, Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """The outcomes of a run, rebuilt from its ledger, grouped as you like.

    Parameters
    ----------
    run
        A run id, a folder, or latest.
    """
    from bulkpatch.cli.exporting import (  # noqa: PLC0415  (Polars loads slowly)
        export_groups,
        export_verified,
        overview_lines,
    )

    columns = [name.strip() for name in by.split(",")] if by else []
    if verified and (columns or output not in {"text", "json", "csv"}):
        words = "--verified stands alone, in the forms text, json and csv"
        raise InvalidInput([Problem(code="BP120", message=words, hint="Leave out --by, and give another -o.")])
    options = options_of(common)
    files = api.rebuild_report(run, options)
    if verified or columns or output != "text":  # which tells them itself
        tell(*(f"note: {note}" for note in files.notes))
    if verified:
        return export_verified(files, api.credentials(run, options), output)
    if columns:
        used = api.credentials(run, options) if "credential" in columns else None
        return export_groups(files.outcomes, columns, output, credentials=used)
    if output == "json":
        say(json.dumps(files.overview, indent=1, default=str))
    elif output == "md":
        say(files.summary.read_text("utf-8"))
    elif output == "html":
        say(files.page.read_text("utf-8").rstrip("\n"))
    elif output == "text":
        say(*overview_lines(files))
    else:
        return export_groups(files.outcomes, [], output)
    return 0


def explain(
    what: str,
    row: str = "",
    *,
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """What an error code means, or the whole story of one destination in a run.

    Parameters
    ----------
    what
        An error code such as BP402, or a run.
    row
        A destination id, if a run was named.
    """
    if not row:
        code = what.upper()
        if code not in CODES:
            hint = f"Codes look like BP402; of a run, name a row too: bulkpatch explain {what} DESTINATION_ID"
            raise InvalidInput([Problem(code="BP120", message=f"no error code {what}", hint=hint)])
        found = CODES[code]
        if output == "json":
            say_json("bulkpatch.code/1", {"code": code, "title": found.title, "cause": found.cause, "fix": found.fix})
            return 0
        lines = [f"{code}  {found.title}", "", f"cause  {found.cause}", f"fix    {found.fix}"]
        say(*broken(sys.stdout, lines))
        return 0
    told = api.story(what, row, report_dir(common, ENVIRON))
    if output == "json":
        say_json("bulkpatch.story/1", story_json(told))
    else:
        say(*broken(sys.stdout, story_lines(told)))
    return 0


def _status_lines(stands: dict[str, Any]) -> list[str]:
    lines = [f"{stands['run_id']}: {stands['state']}"]
    if stands.get("holder"):
        lines[0] += f", worked on by {stands['holder']}"
    live = stands.get("live")
    if live is None:
        lines.append(f"  {_counts(stands)}")
    else:
        lines += [f"  {line}" for line in _live_lines(api.snapshot_of({**stands, **live}), stands["run_id"])]
    if stands.get("reason"):
        lines.append(f"  {stands['reason']}" + (f" [{stands['code']}]" if stands.get("code") else ""))
    lines = list(broken(sys.stdout, lines))
    if stands["state"] in ENDED:
        lines += [f"  {line}" for line in command_lines(_next(stands), columns(sys.stdout))]
    return lines


def _next(stands: dict[str, Any]) -> list[tuple[str, str]]:
    return next_commands(
        stands["run_id"],
        status=stands["state"],
        code=stands.get("code"),
        states=[RowState(state) for state in stands["counts"]],
        simulated=stands["simulated"],
    )


def _live_lines(snapshot: Snapshot, run: str) -> list[str]:
    _, words = verdict(snapshot, run)
    parts = [reached(snapshot), counted(snapshot), pace(snapshot), held(snapshot)]
    parts.append(at_wave(snapshot.wave) if snapshot.wave is not None else [])
    return [words, *[" · ".join(one) for one in parts if one]]


def _counts(stands: dict[str, Any]) -> str:
    counts = stands.get("counts", {})
    told = [f"{stands.get('rows', 0):,} rows", *[f"{state} {number:,}" for state, number in counts.items()]]
    left = stands.get("rows", 0) - sum(counts.values())
    return " · ".join([*told, f"pending {left:,}"] if 0 < left < stands["rows"] else told)
