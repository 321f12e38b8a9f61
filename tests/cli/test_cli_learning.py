"""The commands that teach: schema, config, explain and help, in one process, as typed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bulkpatch.cli import run_command
from bulkpatch.cli.app import COMMANDS, help_text
from bulkpatch.errors import CODES
from bulkpatch.prequel.catalogue import catalogue

Capture = pytest.CaptureFixture[str]


def test_every_code_is_explained_with_cause_and_fix(capsys: Capture) -> None:
    for code, found in CODES.items():
        assert run_command(["explain", code.lower()]) == 0
        told = capsys.readouterr().out
        assert code in told
        assert found.cause in told
        assert found.fix in told


def test_an_unknown_code_is_refused(capsys: Capture) -> None:
    assert run_command(["explain", "BP000"]) == 2
    assert "BP120" in capsys.readouterr().err


def test_schema_shows_every_field_its_type_and_what_is_secret(capsys: Capture) -> None:
    assert run_command(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(catalogue().fields)
    marked = {line.split()[0] for line in lines if line.split()[2:3] == ["secret"]}
    assert marked == {field.path for field in catalogue().fields.values() if field.secret}


def test_schema_as_json_is_one_object(capsys: Capture) -> None:
    assert run_command(["schema", "postgres.password_auth", "-o", "json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "bulkpatch.schema/1"
    assert {field["path"]: field["secret"] for field in document["fields"]} == {
        "postgres.password_auth.username": False,
        "postgres.password_auth.password": True,
    }


def test_a_misspelt_field_is_met_with_the_one_that_was_meant(capsys: Capture) -> None:
    assert run_command(["schema", "postgres.pasword_auth"]) == 2
    assert "Did you mean postgres.password_auth" in capsys.readouterr().err


def test_the_schema_is_searched_by_words(capsys: Capture) -> None:
    """In paths, values and descriptions, whatever their case; all words count."""
    assert run_command(["schema", "--search", "PASSWORD postgres"]) == 0
    found = capsys.readouterr().out.splitlines()
    assert found
    assert all("password" in line.lower() and "postgres" in line.lower() for line in found)
    assert run_command(["schema", "--search", "no-such-thing"]) == 0
    assert capsys.readouterr().err == "no field speaks of no-such-thing\n"


def test_config_names_the_origin_of_each_setting(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag wins over the environment, which wins over the job, which wins over the user's file."""
    (tmp_path / "bulkpatch").mkdir()
    (tmp_path / "bulkpatch" / "config.toml").write_text('[send]\nattempts = 2\ntimeout = "7s"\n')
    job = tmp_path / "job.toml"
    job.write_text(
        '[job]\nname = "x"\n[input]\npath = "x.csv"\n[send]\nrate = "1/s"\nconcurrency = 2\ntimeout = "9s"\n'
    )
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("BULKPATCH_CONCURRENCY", "3")
    monkeypatch.setenv("BULKPATCH_RATE", "4/s")
    assert run_command(["config", str(job), "-o", "json", "--rate", "5/s"]) == 0
    found = json.loads(capsys.readouterr().out)["settings"]
    assert found["send.rate"] == {"value": "5/s", "source": "flag"}
    assert found["send.concurrency"] == {"value": 3, "source": "environment (BULKPATCH_CONCURRENCY)"}
    assert found["send.timeout"]["source"] == "job"
    assert found["send.attempts"] == {"value": 2, "source": "user config"}
    assert found["guard.min_tried"]["source"] == "default"


def test_a_misspelt_command_is_met_with_the_one_that_was_meant(capsys: Capture) -> None:
    assert run_command(["resum"]) == 2
    assert "Did you mean resume?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "words", "fix"),
    [
        ("run --frobnicate", "no option --frobnicate", "See bulkpatch run --help."),
        ("run job.toml --rat 5/s", "no option --rat", "Did you mean --rate?"),
        ("run job.toml --api-key=sk_prod_0123", "no option --api-key", "See bulkpatch run --help."),
        ("check", "check needs JOB", "See bulkpatch check --help."),
        ("check job.toml sk_prod_0123", "check takes fewer arguments", "See bulkpatch check --help."),
        ("resume", "resume needs RUN", "See bulkpatch resume --help."),
        ("throttle latest", "throttle needs RATE", "See bulkpatch throttle --help."),
    ],
)
def test_a_command_line_that_is_not_understood_is_told_as_it_was_typed(
    argv: str, words: str, fix: str, capsys: Capture
) -> None:
    """A positional by its name in the help, an option that resembles none with no other in its place, no value."""
    assert run_command(argv.split()) == 2
    assert capsys.readouterr().err.splitlines()[:2] == [f"error[BP120]: {words}", f"  fix: {fix}"]


@pytest.mark.parametrize(
    ("argv", "asked"),
    [("check nope.toml", True), ("resume nope", True), ("report nope", False), ("explain nope id", False)],
)
def test_that_nothing_was_sent_is_said_where_something_could_have_been(
    argv: str, *, asked: bool, capsys: Capture
) -> None:
    assert run_command(argv.split()) == 2
    assert ("Nothing was sent." in capsys.readouterr().err) == asked


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    assert [name for name in COMMANDS if f"\n  {name} " not in help_text()] == []
    script = (
        "import sys; from bulkpatch.cli import run_command; run_command(['--help']);"
        "heavy = ('polars', 'pydantic', 'httpx', 'rich', 'starlette', 'cyclopts');"
        "print([name for name in heavy if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_help(name: str, capsys: Capture) -> None:
    assert run_command([name, "--help"]) == 0
    assert f"bulkpatch {name}" in capsys.readouterr().out


def test_an_unknown_option_sends_nothing_and_is_named(capsys: Capture) -> None:
    assert run_command(["run", "job.toml", "--api-key", "sk_prod_0123"]) == 2
    told = capsys.readouterr().err
    assert "--api-key" in told
    assert "sk_prod_0123" not in told
