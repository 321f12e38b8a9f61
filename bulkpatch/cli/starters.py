"""The jobs that ``init`` writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """A job file, in which ``{name}`` is filled, and a sample of its input."""

    name: str
    job: str
    rows: str


SCHEMA = "job.schema.json"
"""The file beside a job by which an editor completes keys and names mistakes."""
_HEAD = """#:schema ./job.schema.json
[job]
name = "{name}"

[input]
path   = "{name}.csv"
labels = ["customer"]
"""
_TAIL = """
[send]
rate        = "5/s"
concurrency = 4

[guard]
max_failed = "1%"
"""

STARTERS: Mapping[str, Starter] = {
    "rotate": Starter(
        name="rotate-credentials",
        job=_HEAD
        + """
# The password of each customer lives where the reference points; {{customer}} is filled from the row.
[patch.postgres.password_auth]
password = {{ secret = "env:PW_{{customer}}" }}
"""
        + _TAIL,
        rows="destination_id,customer,postgres.password_auth.username\ndest-0001,acme,exporter\ndest-0002,globex,\n",
    ),
    "migrate": Starter(
        name="migrate-machine-type",
        job=_HEAD
        + """
# Sent for every row; a cell of the column machine_type_id wins.
[patch]
machine_type_id = "3c90c3cc-0d44-4b50-8888-8dd25736052a"
"""
        + _TAIL,
        rows="destination_id,customer,machine_type_id\ndest-0001,acme,\ndest-0002,globex,\n",
    ),
    "toggle": Starter(
        name="toggle-destinations",
        job=_HEAD + _TAIL,
        rows="destination_id,customer,is_enabled\ndest-0001,acme,false\ndest-0002,globex,true\n",
    ),
}
