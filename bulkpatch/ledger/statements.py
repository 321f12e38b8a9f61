"""The SQL that lies in files beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files


@cache
def sql(name: str) -> str:
    """The statement in ``sql/<name>.sql``."""
    return (files("bulkpatch.ledger") / "sql" / f"{name}.sql").read_text("utf-8")


@cache
def migrations() -> Sequence[str]:
    """Every migration, in order; the schema's version is how many there are."""
    folder = files("bulkpatch.ledger") / "sql" / "migrations"
    return tuple(entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name))
