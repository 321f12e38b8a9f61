"""``schema`` and ``config``: what can be set, and what is set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from bulkpatch.cli.settings import ENVIRON, Common, settings_of
from bulkpatch.cli.speaking import say, say_json, tell
from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.prequel.browse import describe
from bulkpatch.prequel.catalogue import Field, catalogue

_COMMON = Common()
Form = Literal["text", "json"]


def schema(
    path: str | None = None,
    *,
    search: Annotated[str, Parameter(help="Only what has these words in its path, values or description.")] = "",
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
) -> int:
    """The API's fields: types, allowed values, which are secret.

    Parameters
    ----------
    path
        A field, an object or a vendor; everything without it.
    """
    fields = describe(path)
    if not fields:
        near = catalogue().suggest(path or "")
        hint = f"Did you mean {near}?" if near else "See bulkpatch schema."
        raise InvalidInput([Problem(code="BP107", message=f"no field {path}", hint=hint)])
    fields = [field for field in fields if _speaks_of(field, search.lower().split())]
    if not fields:
        tell(f"no field speaks of {search}")
        return 0
    if output == "json":
        rows = [
            {
                "path": field.path,
                "type": field.type.value,
                "values": list(field.enum or field.known_values),
                "closed": bool(field.enum),
                "secret": field.secret,
                "readable": field.readable,
                "description": field.description,
            }
            for field in fields
        ]
        say_json("bulkpatch.schema/1", {"fields": rows})
        return 0
    widest = max(len(field.path) for field in fields)
    for field in fields:
        marks = "secret" if field.secret else ("" if field.readable else "write-only")
        values = " | ".join(field.enum or field.known_values)
        notes = "  ".join(part for part in (marks, values, field.description) if part)
        say(f"{field.path:<{widest}}  {field.type.value:<12}  {notes}".rstrip())
    return 0


def _speaks_of(field: Field, words: Sequence[str]) -> bool:
    text = " ".join((field.path, *field.enum, *field.known_values, field.description)).lower()
    return all(word in text for word in words)


def config(
    job: Path | None = None,
    *,
    output: Annotated[Form, Parameter(alias="-o", help="Form of the result.")] = "text",
    common: Common = _COMMON,
) -> int:
    """Every setting in force, and where it comes from.

    Parameters
    ----------
    job
        A job file; without it only flags, environment and user config are shown.
    """
    from bulkpatch.job.load import load_job  # noqa: PLC0415  (pydantic is for those who have a job)

    settings = settings_of(common, None, ENVIRON)
    origins = load_job(job, settings=settings).origins if job is not None else settings
    if output == "json":
        document = {key: {"value": one.value, "source": one.source} for key, one in origins.items()}
        say_json("bulkpatch.config/1", {"settings": document})
        return 0
    for key, one in sorted(origins.items()):
        say(f"{key:<28}  {one.value!s:<44}  {one.source}")
    if not origins:
        tell("nothing is set outside a job; give a job file to see its settings")
    return 0
