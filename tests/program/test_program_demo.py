"""The demo does what it says: a run that is killed while it sends, and the same run, gone on with to its end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from program_rig import DEADLINE_S, PROGRAM

from bulkpatch.cli import demonstration
from bulkpatch.cli.demonstration import Demonstration
from bulkpatch.errors import Broken


def test_the_demo_kills_a_run_that_sends_and_resumes_it(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*PROGRAM, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=2 * DEADLINE_S, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert "   killed.\n" in ran.stderr
    (run,) = (tmp_path / "reports").glob("demo-2*")
    stands = json.loads((run / "run.json").read_text("utf-8"))
    assert (stands["counts"]["accepted"], stands["counts"]["rejected"]) == (237, 3)


def test_a_run_that_ends_by_itself_is_not_called_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demonstration, "REFUSED", tuple(range(30)))
    with pytest.raises(Broken, match="ended by itself"):
        Demonstration(tmp_path, rows=240).run()
