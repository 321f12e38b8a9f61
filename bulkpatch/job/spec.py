"""A job as values: what a job file says once every key of it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from bulkpatch.model import Gate, Guard, Limits, PerRecipient, Threshold

KeyPath: TypeAlias = tuple[str | int, ...]
"""Where a value stands in a job: keys, and indices of lists and of ``[[…]]`` tables, from the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """``[patch]`` gives the field this value in every row."""

    path: str
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class FromColumn:
    """``{ column = "…", default = … }``: the cell of the row, else ``default`` (None: leave alone)."""

    path: str
    column: str
    default: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FromSecret:
    """``{ secret = "…" }``: a reference in which ``{column}`` is filled from the row."""

    path: str
    template: str


PatchField: TypeAlias = Constant | FromColumn | FromSecret


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiSpec:
    """``[api]``; ``key`` is a secret reference, ``ca_file`` stands as written."""

    base_url: str = "https://api.prequel.co"
    key: str = "env:PREQUEL_API_KEY"
    allow_unknown_fields: bool = False
    ca_file: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """``[input]``; ``columns`` maps a column to a field path, ``path`` stands as written.

    ``previous`` maps a column to the field whose value before the run it holds.
    """

    path: str
    id: str = "destination_id"
    where: str | None = None
    null: str | None = None
    labels: tuple[str, ...] = ()
    inline_secrets: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    previous: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """``[send] window``: the days and hours in which requests may leave."""

    days: tuple[str, ...]
    start: str
    end: str
    tz: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """``[[wave]]``: ``size`` is a number or share of all rows to be sent, or None for the rest.

    It takes rows for which ``where`` holds, in ``order`` (``input`` or ``random``), and of each value
    of the column or label ``by`` as large a part as all rows have.
    """

    size: Threshold | None
    gate: Gate
    name: str | None = None
    where: str | None = None
    by: str | None = None
    order: str = "input"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySpec:
    """``[verify]``: ``connection_test`` is ``off``, ``before``, ``after`` or ``both``.

    ``credential_failures``: tests of one credential that may fail before one of it has passed.
    """

    connection_test: str = "off"
    deadline_s: float = 300.0
    poll_s: float = 5.0
    credential_failures: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretsSpec:
    """``[secrets]``."""

    allow_short: bool = False
    pin_versions: bool = False
    exec_env: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSpec:
    """``[report]``; ``writers`` are names of plugins."""

    writers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class HooksSpec:
    """``[hooks]``: words, to be split as a shell would, without one."""

    on_stop: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a setting's value came from: ``flag``, ``environment``, ``job``, ``user config`` or ``default``."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job file, checked. ``path`` is absolute; ``sha256`` is of the file's bytes.

    ``origins`` maps a setting's dotted key (``send.rate``) to its value and where it came from.
    """

    name: str
    api: ApiSpec
    input: InputSpec
    patch: tuple[PatchField, ...]
    expect: Mapping[str, Any]
    limits: Limits
    guard: Guard
    transport: str
    on_drift: str
    window: Window | None
    waves: tuple[Wave, ...]
    verify: VerifySpec
    per_recipient: PerRecipient
    secrets: SecretsSpec
    report: ReportSpec
    hooks: HooksSpec
    path: Path
    sha256: str
    origins: Mapping[str, Origin]

    @property
    def authorities(self) -> Path | None:
        """The file of authorities that the API's certificate is checked against; None: the public ones."""
        return None if self.api.ca_file is None else self.folder / self.api.ca_file

    @property
    def folder(self) -> Path:
        """The folder that relative paths of the job start from."""
        return self.path.parent
