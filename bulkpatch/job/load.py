"""A job file and the settings given elsewhere → ``Job``, or every problem of both at once."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bulkpatch.errors import CODES, InvalidInput
from bulkpatch.job.findings import Findings
from bulkpatch.job.grammar import JobFile, WaveTable, contradictions, fields_at, named_plugins, table_at
from bulkpatch.job.patch import check_columns, check_together, read_expect, read_patch
from bulkpatch.job.reading import read_job
from bulkpatch.job.spec import (
    ApiSpec,
    HooksSpec,
    InputSpec,
    Job,
    KeyPath,
    Origin,
    PatchField,
    ReportSpec,
    SecretsSpec,
    VerifySpec,
    Wave,
    Window,
)
from bulkpatch.model import Gate, Guard, Limits, PerRecipient

SETTINGS: Final = ("api", "input", "send", "guard", "verify", "secrets", "report", "hooks")
"""The tables whose keys may be set from outside the job."""
APART: Final = frozenset({"job", "api", "expect", "send", "guard", "limits", "verify", "report"})
"""The tables without which the rows can be read all the same."""
USER_CONFIG: Final = "user config"
"""The one origin that a job wins over."""

_WORDS: Final = {
    "int_type": "a whole number belongs here",
    "bool_type": "true or false belongs here",
    "string_type": "text in quotes belongs here",
    "tuple_type": "a list belongs here",
    "dict_type": "a table belongs here",
    "model_type": "a table belongs here",
    "string_too_short": "it may not be empty",
    "greater_than_equal": "less than {ge}",
    "less_than_equal": "more than {le}",
    "literal_error": "{expected} belongs here",
}


Beyond: TypeAlias = Callable[[Mapping[KeyPath, str]], Iterable[tuple[str, KeyPath, str, str]]]
"""The names of plugins by their places → code, place, words and hint of each that is not to be had."""


class FlawedJob(InvalidInput):
    """A job that does not hold. By ``readable``, if there is one, its rows can be checked, and nothing else done."""

    def __init__(self, flaws: InvalidInput, readable: Job | None) -> None:
        super().__init__(flaws.problems, omitted=flaws.omitted)
        self.readable = readable


def load_job(path: Path, *, settings: Mapping[str, Origin] | None = None, beyond: Beyond | None = None) -> Job:
    """The job at ``path`` with ``settings`` (dotted key → value and origin) in force.

    Flags and environment win over the job, the job over the user config. Raises ``FlawedJob``
    with all problems, sorted by line, or ``InvalidInput`` where it cannot be parsed; no message
    shows what may be a secret. What the job names by a relative path lies beside ``path``; if that
    is a link, beside the link: a job that is linked into a folder works on what lies there. ``beyond`` knows
    what this machine lacks of what the job names.
    """
    path = path.absolute()
    read = read_job(path)
    tables, overrides = _merged(read.tables, settings or {})
    findings = Findings(read.source, overrides)
    for key in overrides:
        if len(key) == 1:
            findings.add("BP103", key, "no such setting", _meant(str(key[0]), _setting_names()))
    file = _grammar(tables, findings)
    for place, words in contradictions(tables):
        findings.add("BP105", place, words, _description(place))
    patch, expect = _fields(tables, findings)
    flawed = frozenset(findings.tables)
    for missing in beyond(named_plugins(tables)) if beyond is not None else ():
        findings.add(*missing)
    try:
        findings.raise_if_any()
    except InvalidInput as flaws:
        raise FlawedJob(flaws, _readable(tables, flawed, patch, path=path)) from None
    assert file is not None  # noqa: S101  (without it there were findings)
    return _job(file, patch, expect, path=path, sha256=read.sha256, origins=_origins(tables, overrides))


def _readable(
    tables: Mapping[str, Any], flawed: Collection[str], patch: tuple[PatchField, ...], *, path: Path
) -> Job | None:
    """The job without its flawed tables, if none of these has a say in how the rows are read."""
    known = fields_at(())
    if any(name in known and name not in APART for name in flawed):
        return None
    sound = {name: table for name, table in tables.items() if name not in flawed}
    try:
        file = JobFile.model_validate({"job": {"name": "flawed"}, **sound})
    except ValidationError:
        return None
    return _job(file, patch, {}, path=path, sha256="", origins={})


def _merged(tables: Mapping[str, Any], settings: Mapping[str, Origin]) -> tuple[dict[str, Any], dict[KeyPath, Origin]]:
    """The tables with the settings that win put in, and these by key path; what can be no setting by its name alone."""
    merged = dict(tables)
    overrides: dict[KeyPath, Origin] = {}
    for key, origin in settings.items():
        section, _, name = key.partition(".")
        table = merged.get(section, {})
        if section not in SETTINGS or not name:
            overrides[(key,)] = origin
        elif isinstance(table, dict) and not (name in table and origin.source.startswith(USER_CONFIG)):
            overrides[section, name] = origin
            merged[section] = {**table, name: origin.value}
    return merged, overrides


def _grammar(tables: Mapping[str, Any], findings: Findings) -> JobFile | None:
    try:
        return JobFile.model_validate(tables)
    except ValidationError as refused:
        for error in refused.errors(include_url=False, include_input=False):
            _explain(error, findings)
        return None


def _explain(error: ErrorDetails, findings: Findings) -> None:
    """One of pydantic's errors in our words: its place, its type and what the grammar put in are used, no value."""
    kind, context = error["type"], error.get("ctx", {})
    path: KeyPath = tuple(name for name in error["loc"] if name != "[key]")
    hint = _description(path)
    if kind == "extra_forbidden":
        findings.add("BP103", path, "unknown key", _meant_key(path), "key")
    elif kind == "missing":
        findings.add("BP104", path, "the key is missing", hint, "key")
    elif kind in CODES:
        findings.add(kind, path, context["words"], context["hint"] or (hint if kind == "BP105" else ""))
    else:
        words = _WORDS.get(kind, "a value of another form belongs here").format(**context)
        findings.add("BP105", path, words, hint)


def _description(path: KeyPath) -> str:
    """What the grammar says of the key at ``path``, or of the list that it lies in."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    field = fields_at(path[:-1]).get(str(path[-1])) if path else None
    return (field.description if field else None) or ""


def _meant_key(path: KeyPath) -> str:
    """A like key of the same table, else the table that has this key, else all keys of the table."""
    name, siblings = str(path[-1]), fields_at(path[:-1])
    if not difflib.get_close_matches(name, siblings, n=1):
        home = next((section for section in fields_at(()) if name in fields_at((section,))), None)
        if home is not None:
            return f"[{home}] has a key of this name."
    return _meant(name, siblings)


def _meant(name: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(name, known, n=1)
    return f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(known)}."


def _setting_names() -> list[str]:
    return [f"{section}.{name}" for section in SETTINGS for name in fields_at((section,))]


def _fields(tables: Mapping[str, Any], findings: Findings) -> tuple[tuple[PatchField, ...], dict[str, Any]]:
    """What the API's catalogue decides, checked as far as the tables have their shape."""
    allow_unknown = table_at(tables, "api").get("allow_unknown_fields") is True
    columns, previous = _mapped(tables, "columns"), _mapped(tables, "previous")
    patch, placed = read_patch(table_at(tables, "patch"), findings, allow_unknown=allow_unknown)
    check_together(placed, check_columns(columns, findings), findings)
    check_columns(previous, findings, table="previous")
    return patch, read_expect(table_at(tables, "expect"), findings)


def _mapped(tables: Mapping[str, Any], name: str) -> dict[str, str]:
    """The columns with their field paths under ``[input.<name>]``, as far as they have their form."""
    return {column: path for column, path in table_at(tables, "input", name).items() if isinstance(path, str)}


def _origins(tables: Mapping[str, Any], overrides: Mapping[KeyPath, Origin]) -> dict[str, Origin]:
    origins = {}
    for section in SETTINGS:
        given = table_at(tables, section)
        for name, field in fields_at((section,)).items():
            default = Origin(value=field.get_default(call_default_factory=True), source="default")
            in_job = Origin(value=given[name], source="job") if name in given else default
            origins[f"{section}.{name}"] = overrides.get((section, name), in_job)
    return origins


def _job(  # noqa: PLR0913  (a job is what it is made of)
    file: JobFile,
    patch: tuple[PatchField, ...],
    expect: Mapping[str, Any],
    *,
    path: Path,
    sha256: str,
    origins: Mapping[str, Origin],
) -> Job:
    send = file.send
    return Job(
        name=file.job.name,
        api=ApiSpec(**dict(file.api)),
        input=InputSpec(**dict(file.input)),
        patch=patch,
        expect=expect,
        limits=Limits(rate=send.rate, concurrency=send.concurrency, timeout_s=send.timeout, attempts=send.attempts),
        guard=Guard(**dict(file.guard)),
        transport=send.transport,
        on_drift=send.on_drift,
        window=None if send.window is None else Window(**dict(send.window)),
        waves=tuple(map(_wave, file.wave)),
        verify=VerifySpec(
            connection_test=file.verify.connection_test,
            deadline_s=file.verify.deadline,
            poll_s=file.verify.poll,
            credential_failures=file.verify.credential_failures,
        ),
        per_recipient=PerRecipient(**dict(file.limits.per_recipient)),
        secrets=SecretsSpec(**dict(file.secrets)),
        report=ReportSpec(**dict(file.report)),
        hooks=HooksSpec(**dict(file.hooks)),
        path=path,
        sha256=sha256,
        origins=origins,
    )


def _wave(wave: WaveTable) -> Wave:
    asked = wave.gate
    gate = Gate(
        failed=asked.failed,
        soak_s=asked.soak,
        approve=asked.approve,
        transfers=asked.transfers,
        window_s=asked.window,
        start_transfers=asked.start_transfers,
        plugin=asked.plugin,
    )
    return Wave(size=wave.size, gate=gate, name=wave.name, where=wave.where, by=wave.by, order=wave.order)
