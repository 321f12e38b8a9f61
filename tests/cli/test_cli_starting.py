"""``init``: whatever is answered, by flags or on a terminal, what it writes holds at once; nothing is overwritten."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bulkpatch import api
from bulkpatch.api.options import Options
from bulkpatch.cli import run_command
from bulkpatch.engine.system import SystemClock
from bulkpatch.job.load import load_job
from bulkpatch.job.spec import FromSecret, Job, Origin
from bulkpatch.model import Secret
from bulkpatch.prequel.catalogue import catalogue
from bulkpatch.prequel.signing import is_supplied
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

Capture = pytest.CaptureFixture[str]
Type = Callable[[str], None]
KEY = "sk_staging_init_0123456789"
SECRETS = [field.path for field in catalogue().fields.values() if field.secret and not is_supplied(field.path)]


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Type:
    """Lets a person type."""
    return lambda text: monkeypatch.setattr(sys, "stdin", Terminal(text))


def init(folder: Path, *arguments: str) -> int:
    """The command, in a folder of its own."""
    return run_command(["init", *arguments, "--folder", str(folder)])


def secrets_of(job: Job) -> list[tuple[str, str]]:
    """Field and reference."""
    return [(one.path, one.template) for one in job.patch if isinstance(one, FromSecret)]


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """What ``bulkpatch sim`` serves."""
    fleet = Fleet.synthetic(100, 1, clock=SystemClock())
    with SimulatorServer(fleet, key=Secret(KEY, reference="test")) as server:
        yield server.url


@pytest.mark.parametrize("kind", ["rotate", "migrate", "toggle"])
def test_a_new_job_passes_check_and_finds_its_sample_in_the_simulator(
    kind: str, tmp_path: Path, capsys: Capture, simulator: str
) -> None:
    """Every row of the sample is there, of the right vendor, and would be sent."""
    assert init(tmp_path, kind, "--name", "mine", "-y") == 0
    assert run_command(["check", str(tmp_path / "mine.toml")]) == 0
    assert "mine: 3 rows, no errors." in capsys.readouterr().out
    environ = {"PREQUEL_API_KEY": KEY} | {f"PW_{one}": f"value-of-{one}" for one in ("acme", "globex", "initech")}
    options = Options(
        clock=SystemClock(),
        environ=environ,
        draw=lambda: 0.5,
        settings={"api.base_url": Origin(value=simulator, source="flag")},
    )
    plan = api.plan(tmp_path / "mine.toml", options)
    assert plan.live is not None
    assert (plan.rows, plan.sends, [wave.rows for wave in plan.waves]) == (3, 3, [1, 2])
    assert {"missing", "clash", "sign_in", "noop"}.isdisjoint(plan.live.verdicts)


@pytest.mark.parametrize("path", SECRETS)
def test_every_secret_field_can_be_rotated(path: str, tmp_path: Path) -> None:
    assert init(tmp_path, "rotate", "--field", path, "--secret", "exec:pw {tenant} {region}") == 0
    job = load_job(tmp_path / "rotate-credentials.toml")
    assert secrets_of(job) == [(path, "exec:pw {tenant} {region}")]
    assert job.input.labels == ("tenant", "region")
    assert run_command(["check", str(job.path)]) == 0


def test_every_question_has_a_flag(tmp_path: Path) -> None:
    """With which nothing is asked, and the job says what was given."""
    flags = (
        "--field mysql --secret env:DB_{customer} --verify after --rate 30/min --canary 5 --base-url http://127.0.0.1:1"
    )
    assert init(tmp_path, "rotate", "--name", "mine", *flags.split()) == 0
    job = load_job(tmp_path / "mine.toml")
    assert secrets_of(job) == [("mysql.password_auth.password", "env:DB_{customer}")]
    assert (job.verify.connection_test, str(job.limits.rate), job.api.base_url) == (
        "after",
        "30/min",
        "http://127.0.0.1:1",
    )
    assert [wave.size and wave.size.count for wave in job.waves] == [5, None]
    assert init(tmp_path, "toggle", "--name", "on", "--to", "on", "--canary", "0") == 0
    assert (tmp_path / "on.csv").read_text().splitlines()[1].endswith(",acme,true")
    assert load_job(tmp_path / "on.toml").waves == ()
    assert init(tmp_path, "migrate", "--name", "move", "--machine-type", 'large "8"\\') == 0
    (constant,) = load_job(tmp_path / "move.toml").patch
    assert constant.value == 'large "8"\\'  # type: ignore[union-attr]


def test_on_a_terminal_it_asks_again_until_an_answer_holds(tmp_path: Path, types: Type, capsys: Capture) -> None:
    """An empty line takes what stands in brackets; a wrong answer is told why, and costs nothing."""
    (tmp_path / "rotate-credentials.csv").write_text("mine already")
    types("destroy\n\n\nmine\npostgress\nsnowflake\nhunter2\n\n\nfast\n\n-3\n\n\n")
    assert init(tmp_path) == 0
    told = capsys.readouterr()
    for words in (
        "one of rotate, migrate, toggle",
        "rotate-credentials.csv exists already",
        "no secret field; did you mean postgres?",
        "not a secret reference",
        "a whole number, 0 to 1000000",
    ):
        assert words in told.err
    assert "hunter2" not in told.err + told.out
    assert secrets_of(load_job(tmp_path / "mine.toml")) == [("snowflake.password_auth.password", "env:PW_{customer}")]


def test_what_was_given_is_not_asked(tmp_path: Path, types: Type, capsys: Capture) -> None:
    types("\n\n\n")
    assert init(tmp_path, "toggle", "--name", "mine", "--to", "on") == 0
    asked = [line for line in capsys.readouterr().err.splitlines() if line.endswith("]")]
    assert [line.rpartition(" [")[2] for line in asked] == ["5/s]", "1]", "https://api.prequel.co]"]


def test_where_nothing_more_is_typed_nothing_is_written(tmp_path: Path, types: Type, capsys: Capture) -> None:
    types("rotate\n")
    assert init(tmp_path / "jobs") == 2
    assert "not answered, so nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "jobs").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rotat"], "migrate"),
        (["toggle", "--name", "../up"], "--name: lower-case letters"),
        (["toggle", "--secret", "env:A"], "--secret is for rotate, not for toggle"),
        (["rotate", "--machine-type", "x"], "--machine-type is for migrate, not for rotate"),
        (["rotate", "--secret", "zz:hunter2"], "begins with no scheme that is known"),
        (["rotate", "--secret", "value:hunter2"], "value: would store the secret in the job"),
        (["rotate", "--field", "name"], "--field: no secret field"),
        (["rotate", "--field", "sftp"], "--field: no secret field"),
        (["toggle", "--rate", "fast"], "--rate: "),
        (["toggle", "--canary", "1.5"], "--canary: a whole number"),
        (["toggle", "--base-url", "http://example.com"], "--base-url: "),
        (["migrate", "--machine-type", ""], "--machine-type: text"),
    ],
)
def test_a_flag_that_does_not_hold_writes_nothing(
    arguments: list[str], words: str, tmp_path: Path, capsys: Capture
) -> None:
    assert init(tmp_path / "jobs", *arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "hunter2" not in told
    assert not (tmp_path / "jobs").exists()


def test_init_gives_editors_the_schema_of_this_version(tmp_path: Path) -> None:
    """Named in the job's first line, and lying where that line says."""
    assert init(tmp_path, "toggle", "--name", "mine") == 0
    named = (tmp_path / "mine.toml").read_text().splitlines()[0].removeprefix("#:schema ")
    assert json.loads((tmp_path / named).read_text())["title"]
    assert init(tmp_path, "toggle", "--name", "other") == 0


@pytest.mark.parametrize("name", ["mine.csv", "mine.toml"])
def test_init_overwrites_nothing(name: str, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / name).write_text("kept")
    assert init(tmp_path, "toggle", "--name", "mine") == 2
    assert "BP125" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "kept"
