"""``import bulkpatch``: what it gives, that it says nothing by itself, and that it takes nothing away."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from api_rig import KEY, fleet_of, serving

import bulkpatch

JOB = """[job]
name = "rename"
[api]
base_url = "{url}"
[input]
path = "fleet.csv"
[patch]
max_concurrent_transfers = 3
[send]
rate = "500/s"
"""


def job_in(folder: Path, url: str, ids: list[str]) -> Path:
    """A job that changes each of ``ids``."""
    (folder / "fleet.csv").write_text("\n".join(["destination_id", *ids, ""]))
    (folder / "job.toml").write_text(JOB.format(url=url))
    return folder / "job.toml"


def test_everything_that_is_named_is_there() -> None:
    assert {name for name in bulkpatch.__all__ if getattr(bulkpatch, name, None) is None} == set()
    assert set(bulkpatch.__all__) <= set(dir(bulkpatch))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bulkpatch.nothing  # noqa: B018  (asked for on purpose)


def test_importing_it_loads_nothing_and_using_it_configures_nothing() -> None:
    program = "import sys, bulkpatch; print([m for m in sys.modules if m.startswith('bulkpatch.') or m == 'polars'])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_a_plan_a_run_and_what_is_told_of_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten rows; events in order; the key stays in the caller's environment; nothing is printed, no handler is added."""
    monkeypatch.setenv("PREQUEL_API_KEY", KEY)
    handlers = list(logging.getLogger().handlers)
    fleet = fleet_of(10)
    heard: list[bulkpatch.Event] = []
    with serving(fleet) as server:
        job = job_in(tmp_path, server.url, list(fleet.ids))
        assert str(bulkpatch.load_job(job, rate="7/min").limits.rate) == "7/min"
        assert bulkpatch.check(job).rows == 10
        plan = bulkpatch.plan(job)
        assert (plan.rows, plan.requests, sum(fleet.effects.values())) == (10, 10, 0)
        result = bulkpatch.run(job, report_dir=tmp_path / "reports", on_event=heard.append, concurrency=2)
    assert (result.status, result.exit_code) == ("finished", 0)
    assert isinstance(heard[0], bulkpatch.RunStarted)
    assert isinstance(heard[-1], bulkpatch.RunEnded)
    assert sum(isinstance(event, bulkpatch.RowSettled) for event in heard) == 10
    assert heard[0].limits.concurrency == 2
    assert capfd.readouterr() == ("", "")
    assert logging.getLogger().handlers == handlers


def test_who_is_asked_may_refuse_and_nothing_is_written(tmp_path: Path) -> None:
    """``on_plan`` raises; no PATCH leaves, no run folder stays."""

    def refuse(plan: bulkpatch.Plan) -> None:
        raise bulkpatch.NotConfirmed("BP121", f"{plan.rows} rows are too many")

    fleet = fleet_of(3)
    with serving(fleet) as server, pytest.raises(bulkpatch.NotConfirmed, match="3 rows are too many"):
        bulkpatch.run(
            job_in(tmp_path, server.url, list(fleet.ids)),
            report_dir=tmp_path / "reports",
            environ={"PREQUEL_API_KEY": KEY},
            on_plan=refuse,
        )
    assert not sum(fleet.effects.values())
    assert not list((tmp_path / "reports").iterdir())


def test_an_option_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="no such option: concurency"):
        bulkpatch.check(tmp_path / "job.toml", concurency=3)  # type: ignore[call-arg]
