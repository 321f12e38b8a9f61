"""Generated jobs over an API that does anything: every input row stands in the outcomes once, and the counts add up."""

from __future__ import annotations

import csv
import io
import json
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest
from api_rig import Bench
from wire_rig import Script, Talk, Wire, answer, closing, done, run_on, says, telling

from bulkpatch.core.breaker import MIN_ANSWERS
from bulkpatch.errors import ExitCode
from bulkpatch.model import RowState

QUICK, LONG = 8, 1000
FAILED: Final = frozenset({"rejected", "exhausted", "unverified", "skipped", "unknown"})
HABITS: Final[Sequence[Script]] = (
    *[lambda talk: talk.say(done(talk.destination_id))] * 6,
    telling(answer(422, says("no"))),
    telling(answer(200, says("no"))),
    telling(answer(500, b"oops")),
    telling(answer(503, b"")),
    telling(answer(200, b"<html>")),
    telling(answer(404, b"{}")),
    closing(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"),
    Talk.reset,
)
"""What a destination may meet; more than half of them go well."""
HALTING: Final[Sequence[Script]] = (
    telling(answer(401, says("revoked"))),
    telling(answer(307, b"", {"Location": "https://elsewhere.example"})),
    telling(done("d-stray")),
    telling(answer(429, b"{}", {"Retry-After": "9999"})),
)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A generated job: its file, and the rows that must stand in the outcomes, with their ids."""

    job: Path
    rows: Sequence[tuple[int, str]]


def to_csv(records: Sequence[dict[str, Any]], separator: str = ",") -> bytes:
    """As the standard library writes it, lists with semicolons."""
    text = io.StringIO()
    lines = csv.DictWriter(text, list(records[0]), delimiter=separator)
    lines.writeheader()
    lines.writerows([{**row, "enabled_models": ";".join(row["enabled_models"] or [])} for row in records])
    return text.getvalue().encode()


def to_frame(records: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """With types."""
    return pl.DataFrame(records, schema_overrides={"enabled_models": pl.List(pl.String), "note": pl.String})


def through(write: Callable[[io.BytesIO], object]) -> bytes:
    """What ``write`` writes."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


WRITERS: Final[dict[str, Callable[[Sequence[dict[str, Any]]], bytes]]] = {
    "csv": to_csv,
    "tsv": lambda records: to_csv(records, "\t"),
    "ndjson": lambda records: "".join(json.dumps(row) + "\n" for row in records).encode(),
    "parquet": lambda records: through(to_frame(records).write_parquet),
    "arrow": lambda records: through(to_frame(records).write_ipc),
}


def records_of(chance: random.Random) -> list[dict[str, Any]]:
    """Rows of any number, some destinations twice and then asked for the same.

    There are never so many requests that the breaker may open: it would wait for a minute.
    """
    ids = [f"d{number}" for number in range(1, chance.randint(3, MIN_ANSWERS))]
    chosen = [*ids, *chance.choices(ids, k=chance.choice([0, 0, 3]))]
    chance.shuffle(chosen)
    return [
        {
            "destination_id": one,
            "name": f"Name of {one}",
            "enabled_models": ["a", one] if int(one[1:]) % 3 == 0 else None,
            "note": chance.choice(["eu", "us", "", "=1+1", "ä\u2028"]),
        }
        for one in chosen
    ]


def made(bench: Bench, url: str, chance: random.Random) -> Made:
    """A job of any shape over an input of any kind."""
    records, kind = records_of(chance), chance.choice(list(WRITERS))
    (bench.folder / f"rows.{kind}").write_bytes(WRITERS[kind](records))
    rows = [(number, row["destination_id"]) for number, row in enumerate(records, start=1)]
    where = ""
    if chance.random() < 0.3:
        where = "where = \"destination_id <> 'd1'\""
        rows = [one for one in rows if one[1] != "d1"]
    waves = chance.choice(["", "", '[[wave]]\nsize = 2\n[[wave]]\nsize = "50%"\ngate = { failed = "100%" }\n'])
    guard = chance.choice(['"100%"', '"100%"', "2"])
    job = bench.folder / "job.toml"
    job.write_text(f"""[job]
name = "made"
[api]
base_url = "{url}"
[input]
path = "rows.{kind}"
labels = ["note"]
{where}
[send]
rate = "5000/s"
attempts = {1 + (2 * len(records) < MIN_ANSWERS)}
concurrency = {chance.randint(1, 6)}
[guard]
max_failed = {guard}
{waves}""")
    return Made(job=job, rows=rows)


def script_of(chance: random.Random) -> Script:
    """Each destination has its habit; now and then one of them ends the run."""
    habits = {f"d{number}": chance.choice(HABITS) for number in range(1, 40)}
    if chance.random() < 0.3:
        habits[f"d{chance.randint(1, MIN_ANSWERS)}"] = chance.choice(HALTING)
    return lambda talk: habits[talk.destination_id](talk)


def check_one(seed: int) -> ExitCode:
    """One job of its own, carried out; how it ended."""
    chance = random.Random(seed)  # noqa: S311  (a fixed seed)
    with tempfile.TemporaryDirectory() as folder, Wire(script_of(chance)) as wire:
        bench = Bench(Path(folder))
        job = made(bench, wire.url, chance)
        told = run_on(bench, wire, job.job)
        stands = json.loads((Path(told.result.folder) / "run.json").read_text())
    assert [(row["row"], row["destination_id"]) for row in told.rows] == list(job.rows), seed
    counts = Counter(told.states)
    assert set(counts) <= {str(state) for state in RowState}
    left = counts.pop("not_attempted", 0)
    assert counts == stands["counts"], seed
    assert (stands["settled"], stands["rows"]) == (counts.total(), counts.total() + left), seed
    assert (left > 0) == (told.result.status != "finished"), seed
    if told.result.status == "finished":
        expected = ExitCode.UNKNOWN_ROWS if counts["unknown"] else ExitCode(bool(FAILED & set(counts)))
        assert told.result.exit_code == expected, seed
    else:
        assert told.result.exit_code in {ExitCode.STOPPED, ExitCode.KEY_REFUSED}, seed
    return ExitCode(told.result.exit_code)


@pytest.mark.proves("G10")
def test_every_row_of_some_jobs_is_reported_once(cases: Callable[[int], None]) -> None:
    ends = {check_one(seed) for seed in range(QUICK)}
    assert len(ends) > 1, "they end in different ways"
    cases(QUICK)


@pytest.mark.long
@pytest.mark.proves("G10")
def test_every_row_of_a_thousand_jobs_is_reported_once(cases: Callable[[int], None]) -> None:
    """Every way to end is among them."""
    ends = Counter(check_one(seed) for seed in range(LONG))
    assert set(ends) == {
        ExitCode.DONE,
        ExitCode.ROWS_FAILED,
        ExitCode.STOPPED,
        ExitCode.KEY_REFUSED,
        ExitCode.UNKNOWN_ROWS,
    }
    cases(LONG)
