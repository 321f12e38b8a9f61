"""The way back: an ordinary job that puts back what a run changed, and words for all that it cannot."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_rig import KEY, MACHINE, PASSWORD, Bench, fleet_of, serving, set_before, settings_of

from bulkpatch import api
from bulkpatch.api.reversing import Reversal
from bulkpatch.api.undoing import EMPTY, Touched
from bulkpatch.errors import ExitCode, InvalidInput, Mismatch
from bulkpatch.ledger.lock import RunLock
from bulkpatch.ledger.memory import MemoryLedger
from bulkpatch.model import Intent, Passed, Record, RunHeader, SeedRow, Setback, Stage
from bulkpatch.prequel.undoing import NO_CELL, NO_PRE_IMAGE, WRITE_ONLY
from bulkpatch.simulator.faults import Mishap
from bulkpatch.simulator.state import Fleet

NOTHING_SHOWN = f'machine_type_id = "{MACHINE}"'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A folder of its own."""
    return Bench(tmp_path)


def renames(fleet: Fleet, **more: Any) -> list[dict[str, Any]]:
    """A row with a new name for each destination."""
    return [{"destination_id": one, "name": f"New {at}", **more} for at, one in enumerate(fleet.ids)]


def reverse(bench: Bench, run: str = "latest", name: str = "back") -> Reversal:
    """A run's reversal, without a key to ask the API with."""
    return api.reverse(run, replace(bench.options(), environ={}), bench.folder / name)


def written(made: Reversal) -> list[dict[str, Any]]:
    """The rows of its input."""
    assert made.input is not None
    return [json.loads(line) for line in made.input.read_text().splitlines()]


def path_of(made: Reversal) -> Path:
    """Its job."""
    assert made.job is not None
    return made.job


def fields(made: Reversal) -> Mapping[str, tuple[int, int, int, Mapping[str, int]]]:
    """By path: reversible, changed since, as before, and why not."""
    return {one.path: (one.reversible, one.changed_since, one.unchanged, one.irreversible) for one in made.fields}


# ── back ─────────────────────────────────────────────────────────────────────────────────────


def test_a_rename_and_disable_run_is_undone_whole(bench: Bench) -> None:
    """200 of 200 destinations show what they showed before, and the write-only field is named, not claimed."""
    fleet = fleet_of(200, "postgres", "snowflake", "s3")
    before = settings_of(fleet)
    with serving(fleet) as server:
        result = bench.run(renames(fleet, is_enabled=False), server.url, patch=NOTHING_SHOWN)
        assert settings_of(fleet) != before
        arrived = len(fleet.arrivals)
        made = reverse(bench)
        assert len(fleet.arrivals) == arrived  # nothing was asked
        assert (made.touched, made.rows, made.changed_since) == (200, 200, 0)
        assert fields(made) == {
            "name": (200, 0, 0, {}),
            "is_enabled": (200, 0, 0, {}),
            "machine_type_id": (0, 0, 0, {WRITE_ONLY: 200}),
        }
        assert api.check(path_of(made), bench.options()).rows == 200
        plan = api.plan(path_of(made), bench.options())
        assert plan.live is not None
        assert (plan.live.verdicts, set(plan.fields)) == ({"change": 200}, {"name", "is_enabled"})
        back = {
            row.destination_id: {one.path: (one.before, one.after) for one in row.fields} for row in plan.live.shown
        }
        assert back == {
            one: {"name": (f"New {at}", before[one]["name"]), "is_enabled": (False, True)}
            for at, one in enumerate(fleet.ids)
        }
        assert api.run(path_of(made), bench.options()).exit_code == ExitCode.DONE
    assert settings_of(fleet) == before
    text = path_of(made).read_text()
    assert result.run_id in text.splitlines()[0]
    assert "a person should review it first" in text
    assert "NOT undone: machine_type_id of 200 destinations: write-only" in text
    assert "Guard: never stops for failed rows." in text
    assert f'base_url = "{server.url}"' in text


TRICKY: Sequence[Mapping[str, Any]] = (
    {"name": 'quotes " and \\ and\nlines,\ttabs; "x"', "enabled_models": [], "frequency_minutes": 0},
    {"name": "  007  ", "enabled_models": ["a;b", " c", ""], "max_concurrent_transfers": 7},
    {"name": "null", "enabled_models": ["*"], "is_enabled": False},
    {"name": "😀 \u2028 \x7f", "postgres": {"port": 5433, "host": "h", "disable_ssl": True}},
    {"name": None, "enabled_models": None, "postgres": {"host": None, "port": None}},
    {"name": "[1]", "enabled_models": ["\\N"], "postgres": {"host": "true", "schema": "env:NOT_A_SECRET"}},
)
"""What destinations were before: everything that a format could take for something else."""


def test_values_come_back_as_they_were_to_the_type(bench: Bench) -> None:
    """Nulls, lists, numbers, Booleans and texts that look like any of them, over a row that changes them all."""
    fleet = fleet_of(len(TRICKY))
    for at, past in enumerate(TRICKY):
        set_before(fleet, at, **past)
    before = settings_of(fleet)
    new = {
        "name": "n",
        "enabled_models": ["m"],
        "frequency_minutes": 1440 if before[fleet.ids[0]]["frequency_minutes"] != 1440 else 60,
        "max_concurrent_transfers": 3,
        "is_enabled": True,
        "postgres.port": 9,
        "postgres.host": "new",
        "postgres.schema": "new",
        "postgres.disable_ssl": False,
    }
    with serving(fleet) as server:
        bench.run([{"destination_id": one, **new} for one in fleet.ids], server.url)
        made = reverse(bench)
        assert all(not one.irreversible for one in made.fields)
        assert api.run(path_of(made), bench.options()).exit_code == ExitCode.DONE
    assert settings_of(fleet) == before
    assert [type(one["destination"]["name"]) for one in fleet.snapshot().values()][4] is type(None)


def test_only_what_the_run_changed_is_put_back(bench: Bench) -> None:
    """A field that was as asked is left to whoever changed it later, and a row of such fields is left out."""
    fleet = fleet_of(3)
    set_before(fleet, 0, name="New 0")
    set_before(fleet, 1, name="New 1", is_enabled=False)
    with serving(fleet) as server:
        bench.run(renames(fleet, is_enabled=False), server.url, patch=NOTHING_SHOWN)
    made = reverse(bench)
    assert (made.touched, made.rows) == (3, 2)
    assert [set(row) - {"destination_id", "_bp_row"} for row in written(made)] == [
        {"is_enabled"},
        {"is_enabled", "name"},
    ]
    assert fields(made)["name"] == (1, 0, 2, {})


def test_repeated_rows_are_undone_once(bench: Bench) -> None:
    """A destination that stands twice in the input was changed once."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        bench.run(renames(fleet) * 2, server.url)
    made = reverse(bench)
    assert (made.touched, [row["destination_id"] for row in written(made)]) == (2, list(fleet.ids))


def test_rows_in_doubt_are_undone_and_refused_ones_are_not(bench: Bench) -> None:
    """An unknown row may have been applied; one that the API refused was not."""
    fleet = fleet_of(4)
    before = settings_of(fleet)
    faults = {fleet.ids[0]: (Mishap.RESET_AFTER, None), fleet.ids[1]: (Mishap.ECHO_ERROR,)}
    with serving(fleet, faults) as server:
        result = bench.run(renames(fleet), server.url)
        assert result.snapshot.states == {"unknown": 1, "rejected": 1, "accepted": 2}
        made = reverse(bench)
        assert [row["_bp_row"] for row in written(made)] == [1, 3, 4]
        api.run(path_of(made), bench.options())
    assert settings_of(fleet) == before


HEADER = RunHeader(
    run_id="r",
    job_name="j",
    job_path="j",
    job_sha256="",
    inputs=(),
    input_sha256="",
    base_url="",
    tool_version="",
    created_at_us=0,
)


def setback(*, maybe_applied: bool) -> Setback:
    """The first attempt, failed."""
    return Setback(
        row=1, attempt=1, stage=Stage.PATCH, at_us=6, code="BP411", error="", maybe_applied=maybe_applied, wait_us=1
    )


@pytest.mark.parametrize(
    ("records", "touched"),
    [
        ([], False),
        ([Intent(row=1, attempt=1, stage=Stage.PATCH, at_us=5, at_s=0.0)], True),
        ([Intent(row=1, attempt=1, stage=Stage.EXPECT, at_us=5, at_s=0.0)], False),
        ([Intent(row=1, attempt=1, stage=Stage.PATCH, at_us=5, at_s=0.0), setback(maybe_applied=True)], True),
        ([Intent(row=1, attempt=1, stage=Stage.PATCH, at_us=5, at_s=0.0), setback(maybe_applied=False)], False),
        (
            [
                Intent(row=1, attempt=1, stage=Stage.PATCH, at_us=5, at_s=0.0),
                Passed(row=1, attempt=1, stage=Stage.PATCH, at_us=6),
            ],
            True,
        ),
    ],
)
def test_a_run_that_was_cut_off_counts_what_may_have_arrived(records: Sequence[Record], touched: bool) -> None:  # noqa: FBT001
    """A row without an outcome was changed, perhaps, if a PATCH of it left and nothing says that it was not applied."""
    ledger = MemoryLedger(HEADER, [[SeedRow(row=1, destination_id="d", digest=b"", fields=("name",))]])
    ledger.commit(records)
    assert list(Touched(ledger, ()).between(1, 1)) == ([1] if touched else [])


# ── what is not shown, and what was said beforehand ──────────────────────────────────────────


def test_previous_columns_bring_secrets_back(bench: Bench) -> None:
    """References of the input's own, which nobody sent; a relative file is still found from the new folder."""
    fleet = fleet_of(3)
    secret_file = bench.folder / "old.pw"
    secret_file.write_text("file-old-password")
    secret_file.chmod(0o600)
    bench.environ |= {"NEW": "brand-new-password", "OLD": "the-old-password"}
    rows = [
        {"destination_id": one, PASSWORD: "env:NEW", "old_pw": old, "old_machine": "m-old"}
        for one, old in zip(fleet.ids, ["env:OLD", "file:old.pw", ""], strict=True)
    ]
    mapped = f'previous = {{ old_pw = "{PASSWORD}", old_machine = "machine_type_id" }}'
    with serving(fleet) as server:
        bench.run(rows, server.url, input=mapped, patch=NOTHING_SHOWN)
        made = reverse(bench, name="deep/back")
        assert fields(made) == {
            PASSWORD: (2, 0, 0, {WRITE_ONLY: 1}),
            "machine_type_id": (3, 0, 0, {}),
        }
        assert api.run(path_of(made), bench.options()).exit_code == ExitCode.DONE
    held = [fleet.snapshot()[one] for one in fleet.ids]
    assert [one["secrets"][PASSWORD] for one in held] == [
        "the-old-password",
        "file-old-password",
        "brand-new-password",
    ]
    assert {one["machine_type_id"] for one in held} == {"m-old"}
    assert "old-password" not in "".join(json.dumps(row) for row in written(made))


def test_a_pre_image_wins_over_what_a_column_says(bench: Bench) -> None:
    """What the API showed is known; what a person wrote down may be old."""
    fleet = fleet_of(1)
    shown = settings_of(fleet)[fleet.ids[0]]["name"]
    rows = renames(fleet, was="Wrong")
    with serving(fleet) as server:
        bench.run(rows, server.url, input='previous = { was = "name" }')
    assert [row["name"] for row in written(reverse(bench))] == [shown]


def test_a_run_that_set_nothing_readable_writes_nothing(bench: Bench) -> None:
    """There is no empty job to run by mistake; what cannot be undone is told."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        bench.run([{"destination_id": one} for one in fleet.ids], server.url, patch=NOTHING_SHOWN)
    made = reverse(bench)
    assert (made.job, made.input, made.touched, made.rows) == (None, None, 2, 0)
    assert fields(made) == {"machine_type_id": (0, 0, 0, {WRITE_ONLY: 2})}
    assert not (bench.folder / "back").exists()


def test_empty_text_comes_back_where_every_row_puts_it_back(bench: Bench) -> None:
    """A cell cannot say it, since an empty one leaves alone; the job itself can, for all rows."""
    fleet = fleet_of(3)
    set_before(fleet, 1, name="")
    before = settings_of(fleet)
    with serving(fleet) as server:
        bench.run(renames(fleet), server.url)
        made = reverse(bench)
        assert (made.rows, fields(made)["name"]) == (3, (3, 0, 0, {}))
        assert api.run(path_of(made), bench.options()).exit_code == ExitCode.DONE
    assert settings_of(fleet) == before


def test_empty_text_is_given_up_where_another_row_leaves_the_field_alone(bench: Bench) -> None:
    """What stands in the job is sent for all rows, and one of them must not have it."""
    fleet = fleet_of(3)
    set_before(fleet, 0, name="")
    rows = [*renames(fleet)[:2], {"destination_id": fleet.ids[2], "is_enabled": False}]
    with serving(fleet) as server:
        bench.run(rows, server.url)
    made = reverse(bench)
    assert (made.rows, [row["_bp_row"] for row in written(made)]) == (2, [2, 3])
    assert fields(made)["name"] == (1, 0, 0, {EMPTY: 1})
    assert api.check(path_of(made), bench.options()).rows == 2


@pytest.mark.parametrize("past", ["\\N", "x" * 70_000, "nul \x00"])
def test_what_no_cell_can_say_is_named(bench: Bench, past: str) -> None:
    """The token for null, what input would refuse: better not undone than undone to something else."""
    fleet = fleet_of(2)
    set_before(fleet, 0, name=past)
    with serving(fleet) as server:
        bench.run(renames(fleet), server.url)
    made = reverse(bench)
    assert fields(made)["name"] == (1, 0, 0, {NO_CELL: 1})
    assert api.check(path_of(made), bench.options()).rows == 1


# ── changed since ────────────────────────────────────────────────────────────────────────────


def test_what_later_runs_changed_is_told_and_marked(bench: Bench) -> None:
    """Only later runs count, only fields that this one set, and each destination names the newest of them."""
    fleet = fleet_of(4)
    with serving(fleet) as server:
        bench.run(renames(fleet), server.url, name="first")
        middle = bench.run([{"destination_id": one, "name": "Mine"} for one in fleet.ids], server.url, name="middle")
        bench.run([{"destination_id": fleet.ids[0], "is_enabled": False}], server.url, name="other-field")
        bench.run([{"destination_id": one, "name": "L1"} for one in fleet.ids[1:3]], server.url, name="later")
        newest = bench.run([{"destination_id": fleet.ids[2], "name": "L2"}], server.url, name="newest")
    made = reverse(bench, middle.run_id)
    assert (fields(made)["name"], made.changed_since) == ((4, 2, 0, {}), 2)
    marks = [row.get("_bp_changed_since", "").partition("-2")[0] for row in written(made)]
    assert marks == ["", "later", "newest", ""]
    assert dict(made.samples)[fleet.ids[2]] == newest.run_id
    assert "Changed since by another run: 2 destinations" in path_of(made).read_text()
    assert api.check(path_of(made), bench.options()).warnings == ()


@pytest.mark.parametrize("lost", ["outcomes.parquet", "run.json"])
def test_a_later_run_is_known_from_its_ledger_where_it_left_no_report(bench: Bench, lost: str) -> None:
    """A killed run has changed things, too."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        first = bench.run(renames(fleet), server.url, name="first")
        later = bench.run([{"destination_id": fleet.ids[1], "name": "L"}], server.url, name="later")
    (Path(later.folder) / lost).unlink()
    made = reverse(bench, first.run_id)
    assert (made.changed_since, made.samples) == (1, ((fleet.ids[1], later.run_id),))


def test_a_run_that_cannot_be_looked_at_is_named(bench: Bench) -> None:
    """One that is worked on is left alone; that it may change the same destinations is said, in the job too."""
    fleet = fleet_of(1)
    with serving(fleet) as server:
        first = bench.run(renames(fleet), server.url, name="first")
        live = bench.run(renames(fleet), server.url, name="live")
    (Path(live.folder) / "run.json").unlink()
    with RunLock(Path(live.folder)):
        made = reverse(bench, first.run_id)
    assert f"run {live.run_id} was not looked at" in made.notes[0]
    assert f"run {live.run_id} was not looked at" in path_of(made).read_text()


# ── what is refused ──────────────────────────────────────────────────────────────────────────


@pytest.fixture
def renamed(bench: Bench) -> Fleet:
    """A fleet after a run of one row."""
    fleet = fleet_of(1)
    with serving(fleet) as server:
        bench.run(renames(fleet), server.url)
    return fleet


@pytest.mark.parametrize("name", ["reverse-job.toml", "reverse-job.ndjson"])
@pytest.mark.usefixtures("renamed")
def test_nothing_is_overwritten(bench: Bench, name: str) -> None:
    """A file that is there stays, and the other one is not written beside it."""
    out = bench.folder / "back"
    out.mkdir()
    (out / name).write_text("mine")
    with pytest.raises(InvalidInput) as refused:
        reverse(bench)
    assert (refused.value.code, refused.value.exit_code) == ("BP125", ExitCode.INVALID)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [(name, "mine")]


@pytest.mark.usefixtures("renamed")
def test_a_folder_with_other_files_will_do_and_what_is_written_is_private(bench: Bench) -> None:
    """What destinations are set to is nobody else's."""
    (bench.folder / "back").mkdir()
    (bench.folder / "back" / "notes.txt").write_text("mine")
    made = reverse(bench)
    assert made.input is not None
    assert {stat.S_IMODE(path.stat().st_mode) for path in (path_of(made), made.input)} == {0o600}
    assert stat.S_IMODE(path_of(reverse(bench, name="new")).parent.stat().st_mode) == 0o700


@pytest.mark.usefixtures("renamed")
def test_a_folder_that_cannot_be_made_is_told(bench: Bench) -> None:
    """A file in its place is no folder."""
    (bench.folder / "back").write_text("mine")
    with pytest.raises(InvalidInput) as refused:
        reverse(bench)
    assert refused.value.code == "BP122"


def test_a_run_that_changed_nothing_has_nothing_to_undo(bench: Bench) -> None:
    """A dry run, and one whose rows were all as asked: exit 6, and no file."""
    fleet = fleet_of(1)
    set_before(fleet, 0, name="New 0")
    with serving(fleet) as server:
        same = bench.run(renames(fleet), server.url, name="same")
        other = bench.job([{"destination_id": fleet.ids[0], "name": "x"}], server.url, name="dry")
        dry = api.run(other, bench.options(dry_run=True))
    for run in (same, dry):
        with pytest.raises(Mismatch) as refused:
            reverse(bench, run.run_id)
        assert (refused.value.code, refused.value.exit_code) == ("BP608", ExitCode.MISMATCH)
    assert not (bench.folder / "back").exists()


@pytest.mark.parametrize("moved", ["job.toml", "job.ndjson"])
@pytest.mark.usefixtures("renamed")
def test_a_job_or_input_that_moved_is_refused(bench: Bench, moved: str) -> None:
    """What the run set, and what its previous columns said, stands in the originals: exit 6."""
    (bench.folder / moved).unlink()
    with pytest.raises(Mismatch) as refused:
        reverse(bench)
    assert refused.value.exit_code == ExitCode.MISMATCH


def test_without_a_pre_image_nothing_is_made_up(bench: Bench) -> None:
    """An API whose reads nobody understands leaves nothing to go back to, unless a column says it."""
    fleet = fleet_of(2)
    pages = dict.fromkeys(("", *fleet.ids), (Mishap.HTML,))
    with serving(fleet, pages, reads=True) as server:
        bench.run(renames(fleet, is_enabled=False, was="Old"), server.url, input='previous = { was = "name" }')
    made = reverse(bench)
    assert fields(made) == {"is_enabled": (0, 0, 0, {NO_PRE_IMAGE: 2}), "name": (2, 0, 0, {})}
    assert [row["name"] for row in written(made)] == ["Old", "Old"]


# ── the command ──────────────────────────────────────────────────────────────────────────────


def program(bench: Bench, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The real command, without a key."""
    command = [sys.executable, "-m", "bulkpatch", *arguments]
    environ = {"BULKPATCH_REPORT_DIR": str(bench.reports)}
    return subprocess.run(
        command, env=environ, cwd=bench.folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_command_says_it_in_lines_and_as_one_object(bench: Bench) -> None:
    """Per field on stdout, then what was written; with --json one object; and the files pass `check`."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        bench.run(renames(fleet), server.url, patch=NOTHING_SHOWN)
    said = program(bench, "reverse", "latest", "-o", "back")
    assert (said.returncode, said.stderr) == (0, "")
    lines = said.stdout.splitlines()
    assert lines[1].split() == ["machine_type_id", "2", "irreversible:", *WRITE_ONLY.split()]
    assert lines[2].split() == ["name", "2", "reversible"]
    assert lines[-1] == "next: review them, then bulkpatch plan back/reverse-job.toml"
    assert program(bench, "check", "back/reverse-job.toml").returncode == 0
    found = json.loads(program(bench, "reverse", "latest", "-o", "again", "--json").stdout)
    assert (found["schema"], found["rows"], found["job"]) == ("bulkpatch.reverse/1", 2, "again/reverse-job.toml")
    assert program(bench, "reverse", "latest", "-o", "back").returncode == 2
    assert KEY not in said.stdout
