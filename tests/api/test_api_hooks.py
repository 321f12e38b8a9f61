"""The user's own command at the end of a run: it is told counts, gets no secret, and changes nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from api_rig import KEY, fleet_of, serving

import bulkpatch
from bulkpatch.api import hooks
from bulkpatch.api.hooks import on_stop
from bulkpatch.errors import InvalidInput
from bulkpatch.model import RowState, RunResult, Snapshot

RESULT = RunResult(
    run_id="rename-1",
    folder="reports/rename-1",
    status="stopped",
    exit_code=3,
    snapshot=Snapshot(total=10, states={RowState.ACCEPTED: 7, RowState.REJECTED: 1}),
    code="BP501",
    reason="words of the API",
)
ENVIRON = {"PATH": os.environ["PATH"], "PREQUEL_API_KEY": KEY, "HOME": "/"}


def told(folder: Path, command: str = "sh -c 'env > told; cat > in'") -> Mapping[str, str]:
    """The environment that a command sees."""
    assert on_stop(command, folder, RESULT, ENVIRON) == ""
    return dict(line.split("=", 1) for line in (folder / "told").read_text().splitlines())


def test_it_is_told_how_the_run_ended_in_counts_and_gets_no_key(tmp_path: Path) -> None:
    seen = told(tmp_path)
    assert {name: seen[f"BULKPATCH_{name}"] for name in ("RUN", "STATUS", "EXIT_CODE", "CODE", "ROWS")} == {
        "RUN": "rename-1",
        "STATUS": "stopped",
        "EXIT_CODE": "3",
        "CODE": "BP501",
        "ROWS": "10",
    }
    assert (seen["BULKPATCH_STATE_ACCEPTED"], seen["BULKPATCH_STATE_UNKNOWN"]) == ("7", "0")
    assert seen["BULKPATCH_FOLDER"] == str(Path("reports/rename-1").absolute())
    assert "PREQUEL_API_KEY" not in seen
    assert RESULT.reason not in "".join(seen.values())
    assert (tmp_path / "in").read_text() == ""


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("no-such-command", "did not start: no such file or directory"),
        ("sh -c 'exit 9'", "ended with exit code 9"),
        ("sleep 60", "did not end within 0.2 s"),
    ],
)
def test_one_that_fails_is_told_of(command: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "HOOK_S_MAX", 0.2)
    assert words in on_stop(command, tmp_path, RESULT, ENVIRON)


def test_without_one_nothing_is_run(tmp_path: Path) -> None:
    assert on_stop(None, tmp_path, RESULT, {}) == ""


@pytest.mark.parametrize(("command", "noted"), [("touch ended", 0), ("false", 1)])
def test_a_run_ends_as_it_would_and_notes_a_failed_command(tmp_path: Path, command: str, noted: int) -> None:
    """Exit 0 either way; a dry run runs none."""
    fleet = fleet_of(2)
    with serving(fleet) as server:
        (tmp_path / "fleet.csv").write_text("\n".join(["destination_id", *fleet.ids, ""]))
        job = tmp_path / "job.toml"
        job.write_text(
            f'[job]\nname = "j"\n[api]\nbase_url = "{server.url}"\n[input]\npath = "fleet.csv"\n'
            f'[patch]\nmax_concurrent_transfers = 3\n[hooks]\non_stop = "{command}"\n'
        )
        environ = {**os.environ, "PREQUEL_API_KEY": KEY}
        bulkpatch.run(job, dry_run=True, report_dir=tmp_path / "reports", environ=environ)
        assert not (tmp_path / "ended").exists()
        result = bulkpatch.run(job, report_dir=tmp_path / "reports", environ=environ)
    assert result.exit_code == 0
    assert (tmp_path / "ended").exists() is (command == "touch ended")
    assert len(json.loads((Path(result.folder) / "run.json").read_text())["notes"]) == noted


@pytest.mark.parametrize(
    ("command", "words"), [("'open", "a quote in the command is not closed"), (" ", "the command has no words")]
)
def test_a_command_without_form_is_refused_with_the_job(command: str, words: str, tmp_path: Path) -> None:
    job = tmp_path / "job.toml"
    job.write_text(f'[job]\nname = "j"\n[input]\npath = "fleet.csv"\n[hooks]\non_stop = "{command}"\n')
    with pytest.raises(InvalidInput, match=words):
        bulkpatch.load_job(job)
