"""What a person reads where a command is refused: words that fit the terminal, and a fix that can be typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkpatch.cli import run_command
from bulkpatch.cli.app import COMMANDS, nearest
from bulkpatch.cli.refusing import problem_lines, refused
from bulkpatch.errors import CODES, KeyRefused, NotConfirmed, Problem

Capture = pytest.CaptureFixture[str]


def err_of(argv: list[str], capsys: Capture) -> str:
    """What the refused command said."""
    assert run_command(argv) == 2
    return capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("undo", "reverse"), ("rollback", "reverse"), ("stop", "abort"), ("ls", "runs"), ("runn", "run")],
)
def test_a_command_is_found_by_what_other_tools_call_it(typed: str, meant: str, capsys: Capture) -> None:
    assert typed not in COMMANDS
    assert nearest(typed) == meant
    assert f"fix: Did you mean {meant}?" in err_of([typed], capsys)


def test_a_missing_option_is_named_as_it_is_typed_and_an_argument_as_help_calls_it(capsys: Capture) -> None:
    assert "reverse needs --out or -o\n" in err_of(["reverse", "latest"], capsys)
    assert "throttle needs RATE\n" in err_of(["throttle", "latest"], capsys)


def test_who_explains_a_run_without_a_row_is_told_how_to_name_one(capsys: Capture) -> None:
    assert "bulkpatch explain latest DESTINATION_ID" in err_of(["explain", "latest"], capsys)


def test_words_are_broken_into_the_terminal_and_the_frame_is_cut_around_its_carets() -> None:
    frame = "12 | " + "x" * 80 + "\n   | " + " " * 60 + "^^^"
    fix = "Did you mean this one? Otherwise say so in the job, at the place that is named."
    problem = Problem(
        code="BP107", message="a long word " * 9, frame=frame, hint=fix, file="/jobs/rename.toml", line=12
    )
    lines = problem_lines(problem, 40)
    assert all(len(line) <= 40 for line in lines)
    assert any("^^^" in line for line in lines)
    assert " ".join(line.strip() for line in lines[-3:]).endswith(fix)
    assert len(problem_lines(problem)) == 5


def test_an_error_that_names_no_fix_has_that_of_its_code(capsys: Capture) -> None:
    assert refused(KeyRefused("BP402", "the API refused the key"), ["plan"]) == 4
    assert capsys.readouterr().err.splitlines()[1] == f"  fix: {CODES['BP402'].fix}"
    refused(NotConfirmed("BP121", "not confirmed, so nothing was sent"), ["run"])
    assert "fix" not in capsys.readouterr().err


def test_a_key_that_is_not_set_is_met_with_the_line_that_sets_it(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREQUEL_API_KEY", raising=False)
    (tmp_path / "fleet.csv").write_text("destination_id,name\nd1,one\n")
    job = tmp_path / "rename.toml"
    job.write_text('[job]\nname = "rename"\n[input]\npath = "fleet.csv"\n[send]\nrate = "5/s"\n')
    assert "fix: Set it: export PREQUEL_API_KEY=…" in err_of(
        ["plan", str(job), "--base-url", "http://127.0.0.1:9"], capsys
    )


def test_the_runs_stand_in_columns(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "fleet.csv").write_text("destination_id,name\nd1,one\n")
    for name in ("a", "much-longer"):
        job = tmp_path / f"{name}.toml"
        job.write_text(f'[job]\nname = "{name}"\n[input]\npath = "fleet.csv"\n[send]\nrate = "5/s"\n')
        assert run_command(["run", str(job), "--simulate", "--quiet", "--report-dir", str(tmp_path / "reports")]) == 0
    capsys.readouterr()
    assert run_command(["runs", "--report-dir", str(tmp_path / "reports")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.index("  finished  1 rows") for line in lines}) == 1
    assert run_command(["explain", "latest", "d2", "--report-dir", str(tmp_path / "reports")]) == 2
    assert str(tmp_path / "fleet.csv") in capsys.readouterr().err
    assert run_command(["retry", "latest", "--report-dir", str(tmp_path / "reports")]) == 6
    assert "nothing to retry" in capsys.readouterr().err
