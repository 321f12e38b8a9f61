"""The grammar of a job file, but for the fields under [patch] and [expect], which the API's catalogue decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic.fields import FieldInfo

from bulkpatch.job.forms import (
    INTEGER_MAX,
    PLUGIN,
    BaseUrl,
    Command,
    Days,
    Duration,
    FailedRows,
    JobName,
    Patience,
    PluginName,
    PluginNames,
    RateText,
    Reference,
    Share,
    Text,
    Texts,
    TimeOfDay,
    Timeout,
    TimeZone,
    Transport,
    WaveSize,
)
from bulkpatch.job.spec import KeyPath

CONCURRENCY_MAX: Final = 1_000
"""Requests in flight; each takes up to two file descriptors, and usual limits are 1,024 to 4,096."""
ATTEMPTS_MAX: Final = 20
"""Sends of one row; with the waits between them, more would take hours."""


class Section(BaseModel):
    """A table of the job: typed strictly, without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class JobTable(Section):
    """What the job is called."""

    name: JobName = Field(
        description="Name of the job and of its run folders: lower-case letters, digits, dot, underscore, hyphen.",
        examples=["rotate-postgres-2026q4"],
    )


class ApiTable(Section):
    """Where the API is, and the key for it."""

    base_url: BaseUrl = Field(
        default="https://api.prequel.co", description="Address of the API; plain http to loopback only."
    )
    key: Reference = Field(
        default="env:PREQUEL_API_KEY",
        description="A secret reference to the API key, such as env:NAME; never the key itself.",
    )
    allow_unknown_fields: bool = Field(
        default=False, description="true: fields under [patch] that the catalogue does not know are sent as they stand."
    )
    ca_file: Text | None = Field(
        default=None,
        description="PEM file of authorities, relative to the job, that alone are trusted; without it the public ones.",
    )


class InputTable(Section):
    """The rows: one destination each."""

    path: Text = Field(
        description='File relative to the job: .csv .tsv .parquet .ndjson .arrow, a glob, or "-" for CSV on stdin.',
        examples=["fleet.csv"],
    )
    id: Text = Field(default="destination_id", description="Column that holds the destination id.")
    where: Text | None = Field(default=None, description="SQL condition over the columns: only these rows are taken.")
    null: Text | None = Field(
        default=None, description="Cell text that means JSON null; an empty cell leaves the field alone."
    )
    labels: Texts = Field(default=(), description="Columns that are carried into the report and never sent.")
    inline_secrets: bool = Field(
        default=False, description="true: cells of secret fields may hold the secret itself; not with stdin."
    )
    columns: dict[Text, Text] = Field(
        default_factory=dict, description="Column to field path; a column named by a field path needs no entry."
    )

    previous: dict[Text, Text] = Field(
        default_factory=dict,
        description="Column to the field whose value before the run it holds, for `reverse`; "
        "cells of a secret field are references.",
    )


class WindowTable(Section):
    """The days and hours in which requests may leave."""

    days: Days = Field(description="Days on which the window opens: mon tue wed thu fri sat sun.")
    start: TimeOfDay = Field(alias="from", description="Time of day at which it opens, such as 01:00.")
    end: TimeOfDay = Field(alias="to", description="Time of day at which it closes; the next day if before `from`.")
    tz: TimeZone = Field(description="Time zone, such as UTC or Europe/Berlin.")


class SendTable(Section):
    """How fast and how often requests leave."""

    rate: RateText = Field(
        default="5/s",
        validate_default=True,
        description='Requests per s, min or h, such as "5/s"; never exceeded in any window of its unit.',
    )
    concurrency: int = Field(
        default=8, ge=1, le=CONCURRENCY_MAX, description=f"Requests in flight at most: 1 to {CONCURRENCY_MAX}."
    )
    timeout: Timeout = Field(
        default="30s", validate_default=True, description='Longest time of one whole attempt: "100ms" to "10m".'
    )
    attempts: int = Field(
        default=5, ge=1, le=ATTEMPTS_MAX, description=f"Sends of one row at most: 1 to {ATTEMPTS_MAX}."
    )
    transport: Transport = Field(
        default="httpx", description="httpx, curl with the extra `fast`, or one that another package brings."
    )
    window: WindowTable | None = Field(default=None, description="{ days = [...], from = ..., to = ..., tz = ... }")
    on_drift: Literal["skip", "stop", "send"] = Field(
        default="skip", description="What to do with a destination that changed since the plan: skip, stop or send."
    )


class GateTable(Section):
    """What must hold before the next wave."""

    failed: FailedRows | None = Field(
        default=None, description="Failed rows at most: a number or a share of the rows tried."
    )
    soak: Duration = Field(
        default="0s", validate_default=True, description='Time to wait after the wave, such as "5m".'
    )
    approve: bool = Field(default=False, description="true: a person says `bulkpatch approve` first.")
    transfers: Share | None = Field(
        default=None, description='Share of the wave\'s next transfers that must succeed, such as "95%".'
    )
    window: Duration = Field(
        default="2h", validate_default=True, description='Longest time that transfers are waited for, such as "2h".'
    )
    start_transfers: int = Field(
        default=0, ge=0, le=INTEGER_MAX, description="Transfers that bulkpatch starts itself at most; 0: none."
    )
    plugin: PluginName | None = Field(
        default=None, description="Gate that another package brings; it is asked last, before a person is."
    )


class WaveTable(Section):
    """A part of the rows, and the gate behind it."""

    size: WaveSize = Field(description='Rows of the wave: a number, a share of all rows such as "10%", or "rest".')
    name: Text | None = Field(default=None, description="Name of the wave, for people.")
    where: Text | None = Field(
        default=None, description="SQL condition over the columns: the wave takes such rows only."
    )
    by: Text | None = Field(
        default=None,
        description="Column or label whose values the wave takes in the shares that all rows have them in.",
    )
    order: Literal["input", "random"] = Field(
        default="input", description="Which rows come first: input (as they stand) or random."
    )
    gate: GateTable = Field(default_factory=GateTable, description="What must hold before the next wave.")


class GuardTable(Section):
    """When a run stops by itself."""

    max_failed: FailedRows = Field(
        default="1%",
        validate_default=True,
        description='Failed rows at most: a number, or a share of the rows tried; "100%" never stops.',
    )
    min_tried: int = Field(default=20, ge=0, le=INTEGER_MAX, description="Rows to try before a share counts.")


class VerifyTable(Section):
    """What is asked for beyond the API's yes."""

    connection_test: Literal["off", "before", "after", "both"] = Field(
        default="off", description="Test the connection of each destination: off, before, after or both."
    )
    deadline: Patience = Field(
        default="5m", validate_default=True, description='Longest time until a row is confirmed, such as "5m".'
    )
    poll: Timeout = Field(
        default="5s", validate_default=True, description='Time between two looks at a row: "100ms" to "10m".'
    )
    credential_failures: int = Field(
        default=3,
        ge=1,
        le=INTEGER_MAX,
        description="Connection tests of one credential that may fail before one passed; then its other rows are held.",
    )


class PerRecipientTable(Section):
    """How much one recipient bears at a time."""

    in_flight: int | None = Field(
        default=None, ge=1, le=CONCURRENCY_MAX, description="Requests in flight for one recipient at most."
    )
    unverified: int | None = Field(
        default=None, ge=1, le=INTEGER_MAX, description="Rows of one recipient that wait for verification at most."
    )


class LimitsTable(Section):
    """What holds for a part of the fleet besides [send]."""

    per_recipient: PerRecipientTable = Field(
        default_factory=PerRecipientTable, description="What holds for the destinations of one recipient together."
    )


class SecretsTable(Section):
    """How secrets are handled."""

    allow_short: bool = Field(default=False, description="true: take secrets under 6 bytes, which no leak check finds.")
    pin_versions: bool = Field(
        default=False, description="true: refuse references of rows that name no version, such as ?version=7."
    )
    exec_env: Texts = Field(
        default=(), description="Environment variables that exec: commands get besides PATH, HOME, LANG."
    )


class ReportTable(Section):
    """What is written at the end besides the report itself."""

    writers: PluginNames = Field(
        default=(), description="Report writers that other packages bring; each has a folder of its name in the run's."
    )


class HooksTable(Section):
    """Commands of the user's own; no shell, counts in their environment, no secret."""

    on_stop: Command | None = Field(
        default=None, description="Command that is run when a run has ended or stopped, such as a message to a channel."
    )


class JobFile(Section):
    """A bulkpatch job: what to change, where, how fast and when to stop."""

    job: JobTable = Field(description='The job\'s name: [job] name = "…".')
    api: ApiTable = Field(default_factory=ApiTable)
    input: InputTable = Field(description='The rows: [input] path = "…".')
    patch: dict[str, Any] = Field(
        default_factory=dict,
        description='Fields sent for every row: a value, { column = "…", default = … } or { secret = "env:…" }.',
    )
    expect: dict[str, Any] = Field(
        default_factory=dict, description="Fields of the live state that must have these values just before sending."
    )
    send: SendTable = Field(default_factory=SendTable)
    wave: Annotated[tuple[WaveTable, ...], Field(strict=False)] = Field(
        default=(),
        description="One [[wave]] table for each wave, in two pairs of brackets; none: all rows at once.",
    )
    guard: GuardTable = Field(default_factory=GuardTable)
    limits: LimitsTable = Field(default_factory=LimitsTable)
    verify: VerifyTable = Field(default_factory=VerifyTable)
    secrets: SecretsTable = Field(default_factory=SecretsTable)
    report: ReportTable = Field(default_factory=ReportTable)
    hooks: HooksTable = Field(default_factory=HooksTable)


def fields_at(path: KeyPath) -> Mapping[str, FieldInfo]:
    """The keys that the table at ``path`` may have; empty where the grammar names none."""
    section: type[Section] | None = JobFile
    for name in path:
        if isinstance(name, str):
            field = _fields(section).get(name)
            section = _section_in(field.annotation) if field else None
    return _fields(section)


def _fields(section: type[Section] | None) -> Mapping[str, FieldInfo]:
    return {field.alias or name: field for name, field in section.model_fields.items()} if section else {}


def _section_in(annotation: Any) -> type[Section] | None:
    return next(
        (one for one in (annotation, *get_args(annotation)) if isinstance(one, type) and issubclass(one, Section)), None
    )


def contradictions(tables: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    """Values that do not hold beside others, each with why; what has not its form is passed over."""
    given = table_at(tables, "input")
    if given.get("path") == "-" and given.get("inline_secrets") is True:
        yield ("input", "inline_secrets"), "standard input may not hold secrets: it is copied"
    for column in table_at(given, "columns").keys() & table_at(given, "previous").keys():
        yield ("input", "previous", column), "the column sets a field already"
    window = table_at(tables, "send", "window")
    if "from" in window and window["from"] == window.get("to"):
        yield ("send", "window", "to"), "the window closes when it opens"
    yield from _contradicting_waves(tables.get("wave"))


def _contradicting_waves(waves: Any) -> Iterator[tuple[KeyPath, str]]:
    waves = waves if isinstance(waves, list) else []
    names: list[Any] = []
    for at, wave in enumerate(waves):
        if not isinstance(wave, dict):
            continue
        if wave.get("size") == "rest" and "where" not in wave:
            if at + 1 < len(waves):
                yield ("wave", at, "size"), '"rest" without where leaves no rows for the waves after it'
            elif "gate" in wave:
                yield ("wave", at, "gate"), "a gate stands behind its wave, and behind the rest no rows are left"
        if "name" in wave and wave["name"] in names:
            yield ("wave", at, "name"), "another wave has this name"
        names.append(wave.get("name"))


def named_plugins(tables: Mapping[str, Any]) -> Mapping[KeyPath, str]:
    """What may come from other packages, by its place; what has not its form is passed over."""
    waves, writers = tables.get("wave"), table_at(tables, "report").get("writers")
    named: dict[KeyPath, Any] = {("send", "transport"): table_at(tables, "send").get("transport")}
    for at, wave in enumerate(waves if isinstance(waves, list) else ()):
        named["wave", at, "gate", "plugin"] = table_at(wave, "gate").get("plugin")
    for at, writer in enumerate(writers if isinstance(writers, list) else ()):
        named["report", "writers", at] = writer
    return {place: name for place, name in named.items() if isinstance(name, str) and PLUGIN.fullmatch(name)}


def table_at(tables: Any, *names: str) -> Mapping[str, Any]:
    """The table that ``names`` lead to; an empty one where something else stands."""
    for name in names:
        tables = tables.get(name) if isinstance(tables, dict) else None
    return tables if isinstance(tables, dict) else {}
