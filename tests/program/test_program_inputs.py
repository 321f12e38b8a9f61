"""Inputs of every kind, run, killed and resumed; and the failed rows as input of the same job."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl
import pytest
from program_rig import Bench, check_renamed, fleet_of, renaming_job, renaming_rows, serving, until_asked

from bulkpatch.simulator.faults import FaultPlan


def records(ids: Sequence[str]) -> list[dict[str, str]]:
    """The rows of ``renaming_rows`` as values."""
    return list(csv.DictReader(io.StringIO(renaming_rows(ids))))


def write_parquet(bench: Bench, ids: Sequence[str]) -> str:
    """One table, its lists as lists."""
    lists = [
        {**row, "enabled_models": row["enabled_models"].split(";") if row["enabled_models"] else None}
        for row in records(ids)
    ]
    pl.DataFrame(lists, schema_overrides={"enabled_models": pl.List(pl.String)}).write_parquet(
        bench.folder / "fleet.parquet"
    )
    return "fleet.parquet"


def write_ndjson(bench: Bench, ids: Sequence[str]) -> str:
    """One object a line; empty cells are left out."""
    lines = (json.dumps({name: cell for name, cell in row.items() if cell}) for row in records(ids))
    bench.write("fleet.ndjson", "\n".join(lines))
    return "fleet.ndjson"


def write_glob(bench: Bench, ids: Sequence[str]) -> str:
    """Three files in a folder, named so that their order is that of the rows."""
    head, *lines = renaming_rows(ids).splitlines(keepends=True)
    (bench.folder / "parts").mkdir()
    for number in range(3):
        part = lines[number * len(lines) // 3 : (number + 1) * len(lines) // 3]
        bench.write(f"parts/fleet-{number}.csv", head + "".join(part))
    return "parts/fleet-*.csv"


def write_stdin(_: Bench, __: Sequence[str]) -> str:
    """It comes through a pipe."""
    return "-"


@pytest.mark.parametrize(
    "write",
    [write_stdin, *(pytest.param(one, marks=pytest.mark.long) for one in (write_parquet, write_ndjson, write_glob))],
)
def test_run_kill_resume(bench: Bench, write: Callable[[Bench, Sequence[str]], str]) -> None:
    """The rows stand in the report in the order of the input, each accepted; of standard input the copy goes on."""
    fleet = fleet_of(60)
    path = write(bench, fleet.ids)
    with serving(fleet, latency_s=0.03) as server:
        job = bench.write("job.toml", renaming_job(server.url, path=path))
        child = bench.start("run", job, "--yes", stdin=subprocess.PIPE if path == "-" else subprocess.DEVNULL)
        if child.process.stdin is not None:
            child.process.stdin.write(renaming_rows(fleet.ids).encode())
            child.process.stdin.close()
        until_asked(fleet, 15, child)
        child.kill()
        ended = bench.run("resume", "latest", "--yes")
    assert ended.code == 0, ended.err
    check_renamed(fleet)
    found = bench.outcomes()
    assert found["row"].to_list() == list(range(1, 61))
    assert found["destination_id"].to_list() == list(fleet.ids)
    assert set(found["state"]) == {"accepted"}
    assert found["label_customer"].to_list() == [row["customer"] for row in records(fleet.ids)]


CELLS = (
    'say ""hello"", twice',
    "  blanks around  ",
    "two\nlines",
    "=1+1",
    "é ü 漢字 👩‍🚀",
    "'quoted'",
    "a;b|c\td",
    "",
)
"""What users write into labels and names, and what spreadsheets make of it."""


def test_failures_are_input_again(bench: Bench) -> None:
    """The failed rows of a run, as input of the same job with no more than its path changed, byte for byte the same."""
    fleet = fleet_of(len(CELLS) + 4)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\r\n")
    lines.writerow(["destination_id", "name", "customer", "_bp_error"])
    lines.writerows(
        [one, CELLS[at % len(CELLS)] or "plain", CELLS[at % len(CELLS)], "old"] for at, one in enumerate(fleet.ids)
    )
    bench.write("fleet.csv", text.getvalue())
    refused = fleet.ids[: len(CELLS)]
    with serving(fleet, FaultPlan(rejected=frozenset(refused))) as server:
        assert bench.run("run", bench.write("job.toml", renaming_job(server.url)), "--yes").code == 1
    before, failures = rows_of(bench.folder / "fleet.csv"), bench.latest / "failures.csv"
    again = rows_of(failures)
    assert list(again[0])[:3] == ["destination_id", "name", "customer"]
    assert [{name: row[name] for name in list(row)[:3]} for row in again] == [
        {name: row[name] for name in list(row)[:3]} for row in before[: len(CELLS)]
    ]
    assert {row["_bp_error"] for row in again} == {"this destination cannot be changed"}
    assert [row["_bp_row"] for row in again] == [str(number + 1) for number in range(len(CELLS))]
    with serving(fleet) as server:
        assert (
            bench.run("run", bench.write("again.toml", renaming_job(server.url, path=str(failures))), "--yes").code == 0
        )
    assert bench.outcomes()["destination_id"].to_list() == list(refused)
    held = fleet.snapshot()
    assert [held[one]["destination"]["name"] for one in fleet.ids] == [row["name"] for row in before]
    assert bench.outcomes()["label_customer"].to_list() == [row["customer"] or None for row in before[: len(CELLS)]]


def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV file by the standard library's reader."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
