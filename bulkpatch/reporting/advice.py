"""What to say of a run beyond its numbers: why it stopped, and what to type next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bulkpatch.errors import CODES
from bulkpatch.model import RowState, RunResult


@dataclass(frozen=True, slots=True)
class Step:
    """One line of advice: ``code`` is to be typed or looked into; the words stand before and after it."""

    code: str
    after: str
    before: str = ""


def why_stopped(view: Mapping[str, Any], result: RunResult | None) -> str:
    """The code and reason of the last act, if it ended the run; the words are the ledger's, then ``result``'s."""
    detail = view["acts"][-1]["detail"] if view["acts"] else {}
    code = detail.get("code")
    if code is None:
        return ""
    title = CODES[code].title if code in CODES else ""
    return f"{code} {detail.get('reason') or (result and result.reason) or title}".rstrip()


def next_steps(view: Mapping[str, Any]) -> Iterator[Step]:
    """What to do now, the most urgent first. ``view`` is what ``overview`` returned."""
    run, states = view["run"], view["states"]
    name = run["run_id"]
    if run["dry_run"]:
        yield Step(_command("run", run["job_path"]), "sends it.")
        return
    if any(str(state) in states for state in (RowState.PENDING, RowState.IN_FLIGHT, RowState.NOT_ATTEMPTED)):
        yield Step(_command("resume", name), "goes on where it stopped.")
    elif view["failed"]:
        yield Step(_command("report", name, "--by", "error_code"), "counts the failures.")
        if str(RowState.UNKNOWN) in states and not run["simulated"]:
            yield Step(_command("reconcile", name), "asks the API about the unknown rows and settles what it can.")
        yield Step(_command("retry", name), "runs the failed rows again as they are.")
        yield Step("failures.csv", "holds them with their cells: mend it, and run it as input of the same job.")
    codes = dict.fromkeys(kind["error_code"] for kind in view["failures"] if kind["error_code"])
    yield from (Step(_command("explain", code), "says what the code means.") for code in codes)
    if view["done"] == view["rows"]:
        yield Step(_command("report", name, "--by", "vendor"), "groups the rows.", before="Nothing is left to do.")


def _command(*words: str) -> str:
    return shlex.join(["bulkpatch", *words])
