"""Every code block of the README and the guide is run, or loaded, as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from guarantees import GUARANTEES

from bulkpatch.cli.app import COMMANDS
from bulkpatch.engine.system import SystemClock
from bulkpatch.errors import ExitCode
from bulkpatch.job.load import load_job
from bulkpatch.model import Secret
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", "docs/operating.md", "docs/library.md")
KEY = "sk_staging_0123456789"
IDS = ("dest-0001", "dest-0002")
_BLOCK = re.compile(r"(?:`([\w.-]+)`[^\n]*\n\n)?```(\w+)\n(.*?)```", re.DOTALL)
_HEAD = '[job]\nname = "block"\n[input]\npath = "fleet.csv"\n'


def blocks(language: str) -> Iterator[tuple[str, str, str]]:
    """Page, file name if one is given, and text of each block in ``language``."""
    for page in PAGES:
        for name, found, text in _BLOCK.findall((ROOT / page).read_text("utf-8")):
            if found == language:
                yield page, name, text


def ids(language: str) -> list[str]:
    """What each block is called in the test's name."""
    return [f"{page}-{number}" for number, (page, _, _) in enumerate(blocks(language), start=1)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The files of the README in a folder of their own, a simulated API, and a finished run to look at."""
    for language in ("toml", "csv"):
        for _, name, text in blocks(language):
            if name:
                (tmp_path / name).write_text(text, encoding="utf-8")
    fleet = Fleet.from_rows(list(IDS), seed=1, clock=SystemClock())
    with SimulatorServer(fleet, key=Secret(KEY, reference="test")) as server:
        env = {name: value for name, value in os.environ.items() if not name.startswith("BULKPATCH_")}
        path = f"{Path(sys.executable).parent}:{env['PATH']}"
        yield {**env, "PATH": path, "BULKPATCH_BASE_URL": server.url, "PREQUEL_API_KEY": KEY}


@pytest.mark.parametrize(("page", "text"), [(page, text) for page, _, text in blocks("sh")], ids=ids("sh"))
def test_every_shell_block_runs(page: str, text: str, world: dict[str, str], tmp_path: Path) -> None:
    """With ``-e``: the first command that fails ends it."""
    commands = text
    if "make demo" in text:
        told = subprocess.run(["make", "-n", "demo", "test"], cwd=ROOT, capture_output=True, text=True, check=True)
        assert "bulkpatch demo" in told.stdout
        return
    if page != "README.md":
        commands = "bulkpatch run rename.toml --yes -q\n" + text
    ran = subprocess.run(
        ["bash", "-ec", commands], cwd=tmp_path, env=world, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


@pytest.mark.parametrize("text", [text for _, _, text in blocks("python")], ids=ids("python"))
def test_every_program_runs(text: str, world: dict[str, str], tmp_path: Path) -> None:
    """As it stands, beside job and input of the README, without a warning; the address is in the job."""
    job = tmp_path / "rename.toml"
    job.write_text(f'{job.read_text()}\n[api]\nbase_url = "{world["BULKPATCH_BASE_URL"]}"\n')
    command = [sys.executable, "-W", "error", "-c", text]
    ran = subprocess.run(command, cwd=tmp_path, env=world, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout


@pytest.mark.parametrize("text", [text for _, _, text in blocks("toml")], ids=ids("toml"))
def test_every_part_of_a_job_holds(text: str, tmp_path: Path) -> None:
    """A block that is no whole job holds in one."""
    job = tmp_path / "block.toml"
    job.write_text(text if "[job]" in text else _HEAD + text, encoding="utf-8")
    assert load_job(job).name


def test_the_pages_show_jobs_data_and_commands() -> None:
    """So that the tests above have something to run."""
    assert len(list(blocks("sh"))) >= 3
    assert len(list(blocks("toml"))) >= 6
    assert len(list(blocks("python"))) >= 3
    assert len(list(blocks("csv"))) == 1


def test_the_readme_lists_every_exit_code() -> None:
    rows = re.findall(r"^\| ([0-9, ]+) \| ", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert {int(one) for row in rows for one in row.split(",")} == {int(code) for code in ExitCode}


def test_the_readme_prints_every_guarantee_and_its_proofs_are_there_and_say_so() -> None:
    """Each named file or folder holds a test that is marked with the guarantee."""
    rows = re.findall(r"^\| (G\d+) \| .* \| (.*) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(GUARANTEES)
    for name, proofs in rows:
        for named in re.findall(r"`([^`]+)`", proofs):
            place = ROOT / "tests" / named
            texts = [path.read_text("utf-8") for path in (place.glob("*.py") if place.is_dir() else [place])]
            assert any(f'"{name}"' in text for text in texts), f"{named} does not prove {name}"


def test_every_command_that_the_pages_name_is_one() -> None:
    text = "\n".join((ROOT / page).read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)bulkpatch ([a-z]+)\b", text, re.MULTILINE))
    assert sorted(named - set(COMMANDS)) == []
