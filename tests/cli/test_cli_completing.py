"""What Tab offers: commands, options, choices and the runs that are there, answered without starting the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bulkpatch.cli import run_command
from bulkpatch.cli.app import COMMANDS
from bulkpatch.cli.commands.completing import SHELLS, Shell, ready, work_out

TAB = """
source {script}
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _bulkpatch_or_runs; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A report folder with two runs, and a folder that is none."""
    for name in ("rotate-1", "rename-2"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "ledger.sqlite").touch()
    (tmp_path / "reports" / "sample").mkdir()
    return tmp_path


def script_of(shell: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The script of a shell, in a file."""
    assert run_command(["completion", shell]) == 0
    path = folder / f"script.{shell}"
    path.write_text(capsys.readouterr().out)
    return path


def asked(command: list[str], folder: Path) -> list[str]:
    """What a shell offers. It finds no bulkpatch to start."""
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands, run ids where a run belongs, options and their choices; elsewhere no runs."""
    script = script_of("bash", runs, capsys)

    def tab(words: str) -> set[str]:
        return set(asked(["bash", "-c", TAB.format(script=script, words=words)], runs))

    assert tab('bulkpatch ""') == set(COMMANDS)
    assert tab("bulkpatch resu") == {"resume"}
    assert tab('bulkpatch resume ""') == {"latest", "rotate-1", "rename-2"}
    assert tab("bulkpatch explain rot") == {"rotate-1"}
    assert tab('bulkpatch report latest -o ""') >= {"json", "parquet"}
    assert tab("bulkpatch run --progr") == {"--progress"}
    assert tab('bulkpatch run --progress ""') == {"live", "plain", "none"}
    assert not {"latest", "rotate-1"} & tab('bulkpatch check ""')


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed: apt-get install fish")
def test_fish(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = script_of("fish", runs, capsys)
    offered = asked(["fish", "-N", "-c", f"source {script}; complete -C 'bulkpatch resume '"], runs)
    assert {"latest", "rotate-1", "rename-2"} <= set(offered)


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed: apt-get install zsh")
def test_zsh(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It loads, is bound to the command, and finds the runs."""
    script = script_of("zsh", runs, capsys)
    assert script.read_text().count("'1:run:_bulkpatch_runs'") >= 10
    show = "compadd() { shift; print -l ${(P)1}; }; _bulkpatch_runs; print $_comps[bulkpatch]"
    load = f"autoload -U compinit; compinit -u -d {runs / 'dump'}; source {script}; {show}"
    assert set(asked(["zsh", "-f", "-c", load], runs)) == {"latest", "rotate-1", "rename-2", "_cyclopts_bulkpatch"}


def test_it_does_not_need_the_program(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing in a script calls bulkpatch: a Tab costs what the shell costs."""
    for shell in SHELLS:
        text = script_of(shell, runs, capsys).read_text()
        assert "$(bulkpatch" not in text
        assert os.fspath(runs) not in text


@pytest.mark.parametrize("shell", SHELLS)
def test_it_lies_ready(shell: Shell) -> None:
    """What is printed is what the commands of now come to; if not, `make reference`."""
    assert ready(shell) == work_out(shell)


def test_it_costs_no_more_than_help() -> None:
    """Printing it brings in neither the parser nor what it was worked out with."""
    heavy = "{'cyclopts', 'rich', 'polars', 'bulkpatch.model'} & sys.modules.keys()"
    asked = "from bulkpatch.cli import run_command; run_command(['completion', 'bash'])"
    code = f"import sys; {asked}; sys.exit(str({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"
    assert done.stdout == ready("bash")
