"""Flags, BULKPATCH_* variables and the user's config file → settings with their origins, for the job's grammar."""

from __future__ import annotations

import os
import random
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch.core.quantities import parse_rate
from bulkpatch.engine.system import SystemClock
from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.spec import Origin
from bulkpatch.model import Rate

VARIABLES = {
    "BULKPATCH_BASE_URL": "api.base_url",
    "BULKPATCH_RATE": "send.rate",
    "BULKPATCH_CONCURRENCY": "send.concurrency",
    "BULKPATCH_TIMEOUT": "send.timeout",
    "BULKPATCH_ATTEMPTS": "send.attempts",
    "BULKPATCH_TRANSPORT": "send.transport",
}
_WHOLE_NUMBERS = frozenset({"send.concurrency", "send.attempts"})


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """Options of every command that plans or talks to the API."""

    base_url: Annotated[str | None, Parameter(help="Address of the API; wins over the job.")] = None
    rate: Annotated[str | None, Parameter(help='Requests per second, minute or hour: "5/s".')] = None
    limit: Annotated[int | None, Parameter(help="Take only the first N rows.")] = None
    report_dir: Annotated[Path | None, Parameter(help="Where run folders lie (default: reports).")] = None
    progress: Annotated[Literal["live", "plain", "none"] | None, Parameter(help="How progress is shown.")] = None
    metrics_file: Annotated[Path | None, Parameter(help="OpenMetrics file, replaced each second.")] = None
    metrics_port: Annotated[int | None, Parameter(help="Serve the same on 127.0.0.1.")] = None
    otel: Annotated[bool, Parameter(negative="", help="Export OpenTelemetry spans.")] = False
    quiet: Annotated[bool, Parameter(alias="-q", negative="", help="Say the verdict only.")] = False
    verbose: Annotated[int, Parameter(alias="-v", count=True, help="Log more; -vv logs every request.")] = 0
    skip_blank_lines: Annotated[bool, Parameter(negative="", help="Pass over empty lines of the input.")] = False
    decompress: Annotated[bool, Parameter(negative="", help="Take gzip input, up to 1 GiB.")] = False
    i_know: Annotated[bool, Parameter(negative="", help="The key and the base URL do belong together.")] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Sending:
    """Options of every command that sends."""

    concurrency: Annotated[int | None, Parameter(help="Requests in flight at most.")] = None
    yes: Annotated[bool, Parameter(alias="-y", negative="", help="Send without asking.")] = False
    confirm: Annotated[str | None, Parameter(help="The job's name; asked for with a production key.")] = None


def settings_of(common: Common, sending: Sending | None, environ: Mapping[str, str]) -> dict[str, Origin]:
    """Overrides by dotted key: flag before environment before user config."""
    found = {key: Origin(value=value, source="user config") for key, value in _user_config(environ).items()}
    for variable, key in VARIABLES.items():
        if variable in environ:
            found[key] = Origin(value=_typed(key, environ[variable]), source=f"environment ({variable})")
    flags = {"api.base_url": common.base_url, "send.rate": common.rate}
    if sending is not None:
        flags["send.concurrency"] = sending.concurrency  # type: ignore[assignment]
    found.update({key: Origin(value=value, source="flag") for key, value in flags.items() if value is not None})
    return found


def report_dir(common: Common, environ: Mapping[str, str]) -> Path:
    """The folder of run folders."""
    return common.report_dir or Path(environ.get("BULKPATCH_REPORT_DIR", "reports"))


def rate_of(text: str | None) -> Rate | None:
    """A rate given as a flag. Raises ``InvalidInput``."""
    if text is None:
        return None
    try:
        return parse_rate(text)
    except ValueError as error:
        raise InvalidInput([Problem(code="BP106", message=f"--rate: {error}")]) from None


def _typed(key: str, text: str) -> str | int:
    return int(text) if key in _WHOLE_NUMBERS and text.isdecimal() else text


def _user_config(environ: Mapping[str, str]) -> dict[str, object]:
    base = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    path = Path(base) / "bulkpatch" / "config.toml"
    if not base or not path.is_file():
        return {}
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        problem = Problem(
            code="BP102", message=f"the user config cannot be read ({type(error).__name__})", file=str(path)
        )
        raise InvalidInput([problem]) from None
    return {
        f"{table}.{key}": value
        for table, entries in tables.items()
        if isinstance(entries, dict)
        for key, value in entries.items()
    }


CLOCK = SystemClock()
DRAW = random.SystemRandom().random
ENVIRON = os.environ
STDIN = sys.stdin
