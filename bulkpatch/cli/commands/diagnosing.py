"""``doctor``: what would stand in a run's way here."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch import api
from bulkpatch.cli.settings import CLOCK, ENVIRON, Common, Sending, report_dir, settings_of
from bulkpatch.cli.speaking import broken, say, say_json
from bulkpatch.engine.system import open_files_max
from bulkpatch.errors import ExitCode
from bulkpatch.job.grammar import ApiTable, SendTable

_COMMON = Common()
Form = Literal["text", "json"]


def doctor(
    job: Path | None = None,
    *,
    offline: Annotated[bool, Parameter(negative="", help="Do not ask whether the API answers.")] = False,
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
    concurrency: Annotated[int | None, Parameter(help="Requests in flight at most.")] = None,
    common: Common = _COMMON,
) -> int:
    """Look at the machine, its settings and the way to the API, which is asked once and without a key.

    The exit code is 2 if something would keep a run from starting.

    Parameters
    ----------
    job
        The job whose address and concurrency count; without it those of flags, environment and user config.
    """
    settings, ca_file = settings_of(common, Sending(concurrency=concurrency), ENVIRON), None
    if job is not None:
        from bulkpatch.job.load import load_job  # noqa: PLC0415  (pydantic is for those who have a job)

        loaded = load_job(job, settings=settings)
        settings, ca_file = dict(loaded.origins), loaded.authorities
    chosen = {key: settings[key].value for key in ("api.base_url", "api.key", "send.concurrency") if key in settings}
    found = api.diagnose(
        report_dir(common, ENVIRON),
        str(chosen.get("api.base_url", ApiTable().base_url)),
        ENVIRON,
        clock=CLOCK,
        concurrency=int(str(chosen.get("send.concurrency", SendTable().concurrency))),
        open_files_max=open_files_max(),
        online=not offline,
        key=str(chosen.get("api.key", ApiTable().key)),
        ca_file=ca_file,
    )
    if output == "json":
        say_json("bulkpatch.doctor/1", {"findings": [asdict(one) for one in found]})
    else:
        widest = max(len(one.name) for one in found)
        for one in found:
            lines = [
                f"{one.level:<4}  {one.name:<{widest}}  {one.words}",
                *([f"      fix: {one.fix}"] if one.fix else []),
            ]
            say(*broken(sys.stdout, lines))
    return ExitCode.INVALID if any(one.level == "bad" for one in found) else ExitCode.DONE
