"""Jobs for the tests of their reading: short ones, whole ones, wrong ones with the wrong place marked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.load import load_job
from bulkpatch.job.spec import Job, Origin

SMALLEST = '[job]\nname = "j"\n[input]\npath = "fleet.csv"\n'

CONTRACT = r"""#:schema ../bulkpatch/job/job.schema.json
[job]
name = "rotate-postgres-2026q4"          # [a-z0-9][a-z0-9._-]*

[api]
base_url = "https://api.prequel.co"      # default; flag --base-url and BULKPATCH_BASE_URL win
key      = "env:PREQUEL_API_KEY"         # a secret reference; this is the default

[input]
path   = "fleet.csv"                     # .csv .tsv .parquet .ndjson .arrow, a glob, or "-" (CSV)
id     = "destination_id"                # default
where  = "vendor = 'postgres'"           # optional, SQL run by Polars
null   = "\\N"                           # optional: the cell text that means JSON null
labels = ["customer", "vendor"]          # carried into the report, never sent
inline_secrets = false                   # true: cells of secret fields may hold the secret itself
[input.columns]                          # column -> field path; a column named by a field path needs no entry
new_password = "postgres.password_auth.password"

[patch]                                  # sent for every row; a non-empty cell of the row wins
machine_type_id = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
[patch.postgres.password_auth]
username = { column = "db_user", default = "exporter" }
password = { secret = "env:PW_{customer}" }   # {…} is filled from the row

[expect]                                 # optional, checked on the live state just before sending
vendor = "postgres"

[send]
rate        = "5/s"                      # also "300/min", "20000/h", up to "1000000/s"
concurrency = 8                          # requests in flight
timeout     = "30s"
attempts    = 5
transport   = "httpx"                    # or "curl", with the extra `fast`
window      = { days = ["sat", "sun"], from = "01:00", to = "05:00", tz = "UTC" }   # optional
on_drift    = "skip"                     # skip | stop | send: a destination that changed since the plan was made

[[wave]]                                 # optional; default is one wave with every row
size = 25                                # a number or "10%" or "rest"
gate = { failed = 0, soak = "5m", approve = false, transfers = "95%" }   # what must hold before the next wave

[guard]
max_failed = "1%"                        # a number or a share of the rows tried; "100%" never stops
min_tried  = 20

[verify]
connection_test = "off"                  # off | before | after | both
"""
"""The contract's example, whole."""


def write(folder: Path, text: str, name: str = "job.toml") -> Path:
    """A job file with ``text``, byte for byte."""
    path = folder / name
    path.write_bytes(text.encode())
    return path


def load(folder: Path, text: str, settings: Mapping[str, Origin] | None = None) -> Job:
    """The job that ``text`` is."""
    return load_job(write(folder, text), settings=settings)


def problems(folder: Path, text: str, settings: Mapping[str, Origin] | None = None) -> tuple[Problem, ...]:
    """All that is wrong with the job that ``text`` is."""
    with pytest.raises(InvalidInput) as caught:
        load(folder, text, settings)
    return caught.value.problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A text in which ``«…»`` marked one place: line and column of it, from 1, and how many characters it has."""

    text: str
    line: int
    column: int
    width: int


def marked(text: str) -> Marked:
    """``text`` without its marks, and the place that they marked."""
    before, _, rest = text.partition("«")
    inside, _, after = rest.partition("»")
    line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return Marked(text=before + inside + after, line=line, column=column, width=len(inside.partition("\n")[0]))


def carets(problem: Problem) -> tuple[int, int]:
    """Column and number of the carets below the quoted line, the gutter left out."""
    quoted, under = problem.frame.split("\n")[-2:]
    gutter = quoted.index("|") + 2
    return under.index("^") - gutter + 1, under.count("^")


def everything(problem: Problem) -> str:
    """All that a person sees of a problem."""
    return "\n".join(map(str, (problem.message, problem.hint, problem.frame, problem.file, problem.column_name)))


def toml(value: Any) -> str:
    """A value in one line of TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case dict():
            return "{" + ", ".join(f"{toml(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(toml, value)) + "]"
        case _:
            return str(value)


def as_toml(tables: Mapping[str, Any]) -> str:
    """A whole job, one line for each top-level key."""
    return "".join(f"{toml(key)} = {toml(value)}\n" for key, value in tables.items())


def codes(found: Sequence[Problem]) -> list[tuple[str, int | None]]:
    """Code and line of each problem."""
    return [(problem.code, problem.line) for problem in found]
