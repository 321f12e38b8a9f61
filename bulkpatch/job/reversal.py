"""A job and its input as files, made from what a run changed: what a person would have written by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bulkpatch.job.columns import IGNORED_PREFIX
from bulkpatch.job.forms import NAME_CHARS_MAX
from bulkpatch.job.parts import CELL_BYTES_MAX
from bulkpatch.job.references import REFERENCE_CHARS_MAX
from bulkpatch.job.spec import Job

NULL: Final = "\\N"
"""The cell that means JSON null in a reversal's input."""
ID: Final = "destination_id"


def reversal_name(job_name: str) -> str:
    """The name of the job that undoes a run of ``job_name``."""
    return f"reverse-{job_name}"[:NAME_CHARS_MAX]


def sayable(text: str) -> bool:
    """Whether a cell can hold ``text`` and mean it: neither nothing, nor null, nor what input refuses."""
    return text not in {"", NULL} and "\0" not in text and len(text.encode()) <= CELL_BYTES_MAX


def rebased(reference: str, folder: Path) -> str:
    """``reference`` for a job that lies elsewhere: a relative file was looked for in ``folder``."""
    scheme, _, target = reference.partition(":")
    if scheme != "file" or Path(target).is_absolute():
        return reference
    moved = f"file:{folder / target}"
    return moved if len(moved) <= REFERENCE_CHARS_MAX else reference


def reversal_job(job: Job, *, base_url: str, input_name: str, blanks: Sequence[str], comment: Sequence[str]) -> str:
    """The job file: the address, key, pace, guard and limits of ``job``, over the input beside it.

    ``blanks`` are fields that each row puts back, and to empty text where it has no cell.
    """
    limits, guard, recipient = job.limits, job.guard, job.per_recipient
    max_failed = guard.max_failed.count if guard.max_failed.share is None else str(guard.max_failed)
    tables: dict[str, Mapping[str, object]] = {
        "job": {"name": reversal_name(job.name)},
        "api": {"base_url": base_url, "key": rebased(job.api.key, job.folder)},
        "input": {"path": input_name, "id": ID, "null": NULL},
        "patch": dict.fromkeys(blanks, ""),
        "send": {
            "rate": str(limits.rate),
            "concurrency": limits.concurrency,
            "timeout": f"{round(limits.timeout_s, 3):g}s",
            "attempts": limits.attempts,
        },
        "guard": {"max_failed": max_failed, "min_tried": guard.min_tried},
        "limits": {
            f"per_recipient.{name}": value
            for name, value in (("in_flight", recipient.in_flight), ("unverified", recipient.unverified))
            if value is not None
        },
        "secrets": {
            **({"allow_short": True} if job.secrets.allow_short else {}),
            **({"exec_env": list(job.secrets.exec_env)} if job.secrets.exec_env else {}),
        },
    }
    lines = [f"# {line}".rstrip() for line in comment]
    for name, table in tables.items():
        if table:
            lines += ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def reversal_line(destination_id: str, cells: Mapping[str, str], notes: Mapping[str, str | int]) -> str:
    """One row of the input; ``notes`` are for the person who reads it, in columns that input passes over."""
    marked = {f"{IGNORED_PREFIX}{name}": value for name, value in notes.items()}
    return json.dumps({ID: destination_id, **cells, **marked}, ensure_ascii=False) + "\n"


def _toml(value: object) -> str:
    """A value of the tables above; JSON's strings are TOML's but for DEL, and pairs of escapes for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
