"""The jobs that ``init`` writes, each with a sample of its input."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bulkpatch.job.references import template_columns

SCHEMA: Final = "job.schema.json"
"""The file beside a job by which an editor completes keys and names mistakes."""
NAMES: Final[Mapping[str, str]] = {
    "rotate": "rotate-credentials",
    "migrate": "migrate-machine-type",
    "toggle": "toggle-destinations",
}
"""What a job of each kind is called unless it is told otherwise."""
ID: Final = "destination_id"
API: Final = "https://api.prequel.co"
"""The address that a job need not name."""
_COLUMN: Final = re.compile(r"\{[^{}]+\}")
SAMPLES: Final = ("acme", "globex", "initech")
"""What stands in the sample's labels, row by row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What is asked of each job, then what only one kind has: ``to`` is ``on`` or ``off``."""

    kind: str
    name: str
    rate: str
    canary: str
    base_url: str
    field: str = ""
    secret: str = ""
    verify: str = "off"
    machine_type: str = ""
    to: str = ""

    @property
    def labels(self) -> Sequence[str]:
        """Columns that the reference is filled from; one for people where there is none."""
        columns = dict.fromkeys(template_columns(self.secret))
        return tuple(name for name in columns if name != ID) or ("customer",)


def job_text(told: Answers) -> str:
    """The job file. Every text that was typed stands quoted in it."""
    return "\n".join(part for part in (_head(told), _patch(told), _send(told), _waves(told), _tail(told)) if part)


def sample_text(told: Answers, ids: Sequence[str]) -> str:
    """The input that goes with it, for these destinations."""
    column, cells = {
        "rotate": ("", ()),
        "migrate": ("machine_type_id", ("",)),
        "toggle": ("is_enabled", (str(told.to == "on").lower(),)),
    }[told.kind]
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow([ID, *told.labels, *([column] if column else [])])
    lines.writerows([one, *[sample] * len(told.labels), *cells] for one, sample in zip(ids, SAMPLES, strict=False))
    return text.getvalue()


def variables(told: Answers, ids: Sequence[str]) -> Sequence[str]:
    """The variables that the sample's rows name."""
    if not told.secret.startswith("env:"):
        return ()
    name = told.secret.removeprefix("env:")
    rows = zip(ids, SAMPLES, strict=False)
    filled = (_COLUMN.sub(sample, name.replace(f"{{{ID}}}", one)) for one, sample in rows)
    return tuple(dict.fromkeys(filled))


def _head(told: Answers) -> str:
    api = f"[api]\nbase_url = {_quoted(told.base_url)}\n\n" if told.base_url != API else ""
    return f"""#:schema ./{SCHEMA}
[job]
name = {_quoted(told.name)}

{api}[input]
path   = {_quoted(f"{told.name}.csv")}
labels = {json.dumps(list(told.labels), ensure_ascii=False)}    # carried into the report, never sent
"""


def _patch(told: Answers) -> str:
    match told.kind:
        case "rotate":
            table, _, leaf = told.field.rpartition(".")
            return f"""# Each row's secret is where the reference points; {{column}} in it is filled from the row.
[patch.{table}]
{leaf} = {{ secret = {_quoted(told.secret)} }}
"""
        case "migrate":
            return f"""# Sent for every row; a filled cell of the column machine_type_id wins.
[patch]
machine_type_id = {_quoted(told.machine_type)}
"""
        case _:
            return (
                "# The column is_enabled of the input is called like the field that it sets; an empty cell leaves it.\n"
            )


def _send(told: Answers) -> str:
    return f"""[send]
rate        = {_quoted(told.rate)}    # never exceeded, in any second
concurrency = 4
"""


def _waves(told: Answers) -> str:
    if told.canary == "0":
        return ""
    return f"""[[wave]]
size = {told.canary}    # the canary: one failure in it stops the run
[[wave]]
size = "rest"
"""


def _tail(told: Answers) -> str:
    guard = '[guard]\nmax_failed = "1%"    # of the rows tried; then the run stops, resumable\n'
    if told.verify == "off":
        return guard
    words = {
        "before": "where the new secret does not work, nothing is changed",
        "after": "a row counts as verified, or as unverified",
        "both": "where the new secret does not work, nothing is changed; then it is tested once more",
    }[told.verify]
    return f"# {words}\n[verify]\nconnection_test = {_quoted(told.verify)}\n\n{guard}"


def _quoted(text: str) -> str:
    """As TOML has it, which is as JSON has it but for what a line may not hold."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
