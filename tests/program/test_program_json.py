"""In JSON mode stdout holds one object with its schema, and nothing else; all other words go to stderr."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from program_rig import Bench, Ended, fleet_of, serving

from bulkpatch.simulator.faults import FaultPlan


def spoken(ended: Ended, code: int = 0) -> dict[str, Any]:
    """The one object on stdout."""
    assert ended.code == code, ended.err
    assert ended.out.endswith("}\n")
    document = json.loads(ended.out)
    assert isinstance(document, dict)
    assert document["schema"].startswith("bulkpatch.")
    return document


def test_before_a_run(bench: Bench) -> None:
    """check, plan, schema, config and runs; warnings and notes stand on stderr."""
    job = bench.renaming(fleet_of(3), "http://127.0.0.1:9")
    (bench.folder / "fleet.csv").write_text((bench.folder / "fleet.csv").read_text().replace("Fleet 0002", "NA"))
    checked = bench.run("check", job, "-o", "json")
    assert spoken(checked)["rows"] == 3
    assert "warning" in checked.err
    plan = spoken(bench.run("plan", job, "--offline", "--json"))
    assert (plan["rows"], plan["sends"], len(plan["sample"])) == (3, 3, 3)
    assert {field["path"] for field in spoken(bench.run("schema", "is_enabled", "-o", "json"))["fields"]} == {
        "is_enabled"
    }
    settings = spoken(bench.run("config", job, "-o", "json", environ={"BULKPATCH_RATE": "7/s"}))["settings"]
    assert settings["send.rate"]["source"] == "environment (BULKPATCH_RATE)"
    assert settings["send.concurrency"]["source"] == "job"
    assert spoken(bench.run("runs", "-o", "json"))["runs"] == []


def test_after_a_run(bench: Bench) -> None:
    """status, runs, and report, whole and grouped."""
    fleet = fleet_of(4)
    with serving(fleet, FaultPlan(rejected=frozenset(fleet.ids[:1]))) as server:
        assert bench.run("run", bench.renaming(fleet, server.url), "--yes").code == 1
    stands = spoken(bench.run("status", "-o", "json"))
    assert (stands["state"], stands["counts"]) == ("finished", {"accepted": 3, "rejected": 1})
    assert [run["run_id"] for run in spoken(bench.run("runs", "-o", "json"))["runs"]] == [bench.latest.name]
    assert spoken(bench.run("report", "latest", "-o", "json"))["states"] == {"accepted": 3, "rejected": 1}
    spoken(bench.run("report", "latest", "--by", "state", "-o", "json"))


@pytest.mark.parametrize(
    "arguments",
    [
        ("check", "job.toml", "-o", "json"),
        ("check", "job.toml", "--output=json"),
        ("plan", "job.toml", "--json", "-o", "fleet.bpplan"),
        ("schema", "no.such.field", "-ojson"),
        ("report", "latest", "-o", "json", "--frobnicate"),
    ],
)
def test_an_error_is_an_object_too(bench: Bench, arguments: Sequence[str]) -> None:
    """Whatever refused the command, in any form of asking for JSON; the words for a person stay on stderr."""
    ended = bench.run(*arguments)
    told = spoken(ended, 2)
    assert (told["schema"], told["exit_code"], told["omitted"]) == ("bulkpatch.errors/1", 2, 0)
    assert f"error[{told['errors'][0]['code']}]: {told['errors'][0]['message']}" in ended.err


def test_every_error_of_an_input_has_its_place(bench: Bench) -> None:
    """As a person reads them, a program can."""
    job = bench.renaming(fleet_of(3), "http://127.0.0.1:9")
    table = bench.write("fleet.csv", "destination_id,is_enabled\nid-a,yes\nid-b,true\nid/c,true\n")
    told = spoken(bench.run("check", job, "-o", "json"), 2)["errors"]
    assert [(one["file"], one["line"], one["row"]) for one in told if one["line"]] == [
        (str(table), 2, 1),
        (str(table), 4, 3),
    ]
    assert all(one["hint"] for one in told)


def test_without_json_an_error_leaves_stdout_empty(bench: Bench) -> None:
    """What is wrong is said on stderr; the name of a file that is called json asks for nothing."""
    for arguments in (
        ("check", "job.toml"),
        ("schema", "no.such.field", "-o", "text"),
        ("plan", "job.toml", "-o", "json"),
    ):
        ended = bench.run(*arguments)
        assert (ended.code, ended.out) == (2, "")
        assert "error[BP" in ended.err
