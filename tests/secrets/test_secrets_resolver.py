"""Each scheme gives the value that stands behind its reference, or says why not without showing it."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from secrets_rig import ASCII, PEM, RealClock, SteppingClock, private, redactor_of, resolver_of

from bulkpatch.errors import BulkpatchError, ExitCode, InvalidInput, StoreFailed
from bulkpatch.secrets.resolver import PROBLEMS_MAX, Resolver

PATH = {"PATH": os.environ["PATH"]}


def codes(resolver: Resolver, *references: str) -> list[str]:
    """What ``hold`` says of them."""
    return [problem.code for problem in resolver.hold(references).values()]


def value_of(resolver: Resolver, reference: str) -> str:
    """Hold it, then resolve it."""
    assert resolver.hold([reference]) == {}
    return asyncio.run(resolver.resolve(reference)).reveal()


def failure_of(resolver: Resolver, reference: str) -> str:
    """The message with which it fails after the start."""
    with pytest.raises(StoreFailed) as failed:
        asyncio.run(resolver.resolve(reference))
    assert failed.value.code == "BP306"
    assert failed.value.exit_code == ExitCode.STOPPED
    assert failed.value.__cause__ is None
    return failed.value.message


# ── env ──────────────────────────────────────────────────────────────────────────────────────


def test_env_is_read_once_and_leaves_the_environment(tmp_path: Path) -> None:
    """What is held can be resolved any number of times; a child or library finds nothing any more."""
    environ = {"PW": ASCII, "OTHER": "stays", "KEY": "sk_staging_1234567"}
    redactor = redactor_of()
    resolver = resolver_of(tmp_path, environ, redactor=redactor)
    assert resolver.resolve_now("env:KEY").reveal() == "sk_staging_1234567"
    assert codes(resolver, "env:PW", "env:PW", "env:KEY") == []
    assert environ == {"OTHER": "stays"}
    assert [value_of(resolver, "env:PW") for _ in range(2)] == [ASCII, ASCII]
    assert redactor.scrub(ASCII) == "<redacted>"


def test_env_that_is_refused_leaves_the_environment_too(tmp_path: Path) -> None:
    """A value that cannot be used may still be half a secret."""
    environ = {"PW": "ends in a blank "}
    assert codes(resolver_of(tmp_path, environ), "env:PW") == ["BP304"]
    assert environ == {}


def test_env_that_was_not_held_is_not_read_late(tmp_path: Path) -> None:
    """After the start nothing new comes from the environment."""
    environ = {"PW": ASCII}
    assert failure_of(resolver_of(tmp_path, environ), "env:PW") == "env:PW: it was not read at the start"
    assert environ == {"PW": ASCII}


def test_every_missing_reference_is_told_up_to_a_limit(tmp_path: Path) -> None:
    """All problems at once, and a count of the rest."""
    problems = list(resolver_of(tmp_path, {}).hold(f"env:NO_{number}" for number in range(PROBLEMS_MAX + 50)).values())
    assert len(problems) == PROBLEMS_MAX + 1
    assert problems[0].message == "env:NO_0: the variable is not set"
    assert "50 more" in problems[-1].message


def test_many_references_are_held(tmp_path: Path) -> None:
    """Thousands of distinct variables, each named twice."""
    environ = {f"PW_{number}": f"password-{number}" for number in range(3_000)}
    resolver = resolver_of(tmp_path, environ)
    assert codes(resolver, *[f"env:PW_{number}" for number in [*range(3_000), *range(3_000)]]) == []
    assert environ == {}
    assert value_of(resolver, "env:PW_2999") == "password-2999"


# ── values ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "is empty"),
        ("   \t ", "is blank"),
        ("\u00a0\u2003", "is blank"),
        (" leading", "blank"),
        ("trailing ", "blank"),
        ("trailing\n", "line break"),
        ("two\r\nlines", "carriage return"),
        ("nul\0inside", "NUL"),
        ("\ufeffmarked", "byte order mark"),
        ("bad\udcffbytes", "UTF-8"),
        ("x" * 65_537, "longer than 64 KiB"),
        ("****", "mask"),
        ("••••••••", "mask"),
        ("********abcd", "mask"),
        ("<redacted>", "mask"),
        ("[MASKED]", "mask"),
        ("(sensitive value)", "mask"),
        ("xxxx", "mask"),
        ("XXXXXXXX", "mask"),
        ("REDACTED", "mask"),
        ("......", "mask"),
    ],
)
def test_values_that_are_never_sent(tmp_path: Path, value: str, reason: str) -> None:
    """Each with its reason, and none of it shown; allow_short changes nothing."""
    for allow_short in (False, True):
        problems = list(resolver_of(tmp_path, {"PW": value}, allow_short=allow_short).hold(["env:PW"]).values())
        assert [problem.code for problem in problems] == ["BP304"]
        assert reason in problems[0].message
        assert len(value) < 4 or value not in problems[0].message


@pytest.mark.parametrize(
    "value", [PEM, '{\n  "type": "service_account"\n}', "tab\tinside", "päß wörd", "env:OTHER", "**a**b"]
)
def test_values_that_go_as_they_are(tmp_path: Path, value: str) -> None:
    """Inner line feeds for key material; a value that looks like a reference is not followed."""
    assert value_of(resolver_of(tmp_path, {"PW": value, "OTHER": "not this one"}), "env:PW") == value


def test_short_values_need_leave(tmp_path: Path) -> None:
    """Five bytes are too few to be watched; with leave they go, and are counted as unwatched."""
    assert codes(resolver_of(tmp_path, {"PW": "12345"}), "env:PW") == ["BP305"]
    assert codes(resolver_of(tmp_path, {"PW": "123456"}), "env:PW") == []
    redactor = redactor_of()
    assert value_of(resolver_of(tmp_path, {"PW": "1"}, allow_short=True, redactor=redactor), "env:PW") == "1"
    assert redactor.unwatched > 0


@pytest.mark.parametrize("value", [PEM, "sk_staging_ab cd", "sk_staging_\u00e9", "sk_staging\tab"])
def test_an_api_key_is_one_line_of_ascii(tmp_path: Path, value: str) -> None:
    """What HTTP libraries choke on, and print, never reaches them."""
    with pytest.raises(InvalidInput) as refused:
        resolver_of(tmp_path, {"KEY": value}).resolve_now("env:KEY")
    assert (refused.value.code, refused.value.exit_code) == ("BP304", ExitCode.INVALID)
    assert value not in str(refused.value)


def test_an_api_key_that_is_missing_exits_2(tmp_path: Path) -> None:
    """Before the first send every trouble is the user's input."""
    for reference in ("env:NO", "file:no", "exec:no-such-command", "sk_prod_0123456789"):
        with pytest.raises(InvalidInput) as refused:
            resolver_of(tmp_path, {}).resolve_now(reference)
        assert "sk_prod_0123456789" not in refused.value.message


# ── file ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", [0o600, 0o400])
@pytest.mark.parametrize(
    ("content", "value"), [(b"pass-word\n", "pass-word"), (b"pass-word\r\n", "pass-word"), (b"a\nb-long", "a\nb-long")]
)
def test_file_gives_its_content_without_one_final_newline(
    tmp_path: Path, mode: int, content: bytes, value: str
) -> None:
    """Relative to the job's folder, or absolute."""
    file = private(tmp_path / "pw", content, mode)
    assert value_of(resolver_of(tmp_path, {}), "file:pw") == value
    assert value_of(resolver_of(tmp_path / "elsewhere", {}), f"file:{file}") == value


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o700, 0o666, 0o000])
def test_file_must_be_private(tmp_path: Path, mode: int) -> None:
    """Its mode is told, before the start and later."""
    private(tmp_path / "pw", b"pass-word", mode)
    resolver = resolver_of(tmp_path, {})
    assert codes(resolver, "file:pw") == ["BP303"]
    assert f"{mode:04o}" in failure_of(resolver, "file:pw") or os.geteuid() != 0


def test_file_must_be_a_file(tmp_path: Path) -> None:
    """No link, folder, pipe, device; not missing, empty or too large. A pipe does not stall."""
    private(tmp_path / "true", b"pass-word")
    (tmp_path / "link").symlink_to(tmp_path / "true")
    (tmp_path / "folder").mkdir(mode=0o700)
    os.mkfifo(tmp_path / "pipe", 0o600)
    private(tmp_path / "large", b"x" * 65_537)
    private(tmp_path / "empty", b"")
    private(tmp_path / "newline", b"\n")
    private(tmp_path / "latin", b"p\xe4ssword")
    expected = {
        "link": "BP303",
        "folder": "BP303",
        "pipe": "BP303",
        "large": "BP303",
        "empty": "BP304",
        "gone": "BP302",
    }
    resolver = resolver_of(tmp_path, {})
    assert codes(resolver, *[f"file:{name}" for name in expected]) == list(expected.values())
    assert codes(resolver, "file:/dev/null") == ["BP303"]
    for name in (*expected, "newline", "latin"):
        assert failure_of(resolver, f"file:{name}").startswith(f"file:{name}: ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_file_must_be_ours(tmp_path: Path) -> None:
    """Another user's file is refused even if it can be read."""
    os.chown(private(tmp_path / "pw", b"pass-word"), 12_345, -1)
    resolver = resolver_of(tmp_path, {})
    assert codes(resolver, "file:pw") == ["BP303"]
    assert "another user" in failure_of(resolver, "file:pw")


CONTENTS = {
    b"   \n": "is blank",
    b"\n": "is empty",
    b"pass\0word": "NUL",
    b"pass\rword": "carriage return",
    b"pass-word\n\n": "line break",
    b" pass-word": "blank",
    b"****\n": "mask",
    b"\xef\xbb\xbfpass-word": "byte order mark",
    b"p\xe4ssword": "UTF-8",
}
"""Of files, and why none of them is a secret."""


def test_row_67_what_stands_in_a_file_is_judged_before_the_first_send(tmp_path: Path) -> None:
    """All of them at once, by hold and by look; the line of each names the file and shows nothing of it."""
    names = [f"file:{private(tmp_path / str(number), raw).name}" for number, raw in enumerate(CONTENTS)]
    resolver = resolver_of(tmp_path, {})
    for problems in (resolver.hold(names), resolver.look(names)):
        assert list(problems) == names
        for (name, problem), words in zip(problems.items(), CONTENTS.values(), strict=True):
            assert (problem.code, problem.warning) == ("BP304", False)
            assert problem.message.startswith(f"{name}: its value ")
            assert words in problem.message
            assert "word" not in problem.message


def test_row_66_each_flaw_of_a_file_has_a_fix_of_its_own(tmp_path: Path) -> None:
    """A chmod is told where the mode is wrong, and nowhere else."""
    private(tmp_path / "open", b"pass-word", 0o644)
    (tmp_path / "link").symlink_to(tmp_path / "open")
    (tmp_path / "folder").mkdir(mode=0o700)
    private(tmp_path / "large", b"x" * 65_537)
    names = ("open", "link", "folder", "large")
    problems = resolver_of(tmp_path, {}).hold(f"file:{name}" for name in names)
    told = [(problem.code, problem.message, problem.hint) for problem in problems.values()]
    assert told == [
        ("BP303", "file:open: its mode is 0644", "chmod 600 FILE"),
        ("BP303", "file:link: it is a link", "Name the file that the link leads to."),
        (
            "BP303",
            "file:folder: it is a folder",
            "Name a regular file. A pipe is read with fd:, a program with exec:.",
        ),
        (
            "BP303",
            "file:large: it is larger than 64 KiB",
            "Name a file that holds this one secret and nothing else.",
        ),
    ]


def test_a_look_takes_nothing_and_runs_nothing(tmp_path: Path) -> None:
    """Variables, descriptors and commands are left alone; a file that is not there is no more than a warning."""
    environ = {"PW": "ends in a blank ", **PATH}
    redactor = redactor_of()
    private(tmp_path / "pw", ASCII.encode())
    resolver = resolver_of(tmp_path, environ, redactor=redactor)
    problems = resolver.look(["env:PW", "env:NO", "fd:999", "exec:touch ran", "file:pw", "file:gone"])
    assert [(name, one.code, one.warning) for name, one in problems.items()] == [("file:gone", "BP302", True)]
    assert "PW" in environ
    assert not (tmp_path / "ran").exists()
    assert redactor.scrub(ASCII) == ASCII


def test_no_more_than_so_many_files_are_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond them the place of a file is looked at still, and what it holds when its row is due."""
    monkeypatch.setattr("bulkpatch.secrets.resolver.LOOKED_INTO_MAX", 2)
    names = [f"file:{private(tmp_path / name, b'****').name}" for name in "abc"]
    problems = resolver_of(tmp_path, {}).hold([*names, "file:gone"])
    assert [problem.code for problem in problems.values()] == ["BP304", "BP304", "BP302"]
    assert "mask" in failure_of(resolver_of(tmp_path, {}), names[2])


def test_file_is_read_anew_each_time(tmp_path: Path) -> None:
    """A file that is replaced during a run counts from then on."""
    resolver = resolver_of(tmp_path, {})
    for value in ("first-value", "second-value"):
        private(tmp_path / "pw", value.encode())
        assert value_of(resolver, "file:pw") == value


# ── fd ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """``(read, write)`` ends; the read end as a shell would hand it over."""
    read, write = os.pipe()
    os.set_inheritable(read, True)  # noqa: FBT003 - positional only
    yield read, write
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            continue


def test_fd_is_read_to_its_end_and_closed(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """Once, at the start; the newline that a here-string adds is taken off."""
    read, write = pipe
    os.write(write, b"pass-word\n")
    os.close(write)
    resolver = resolver_of(tmp_path, {})
    assert value_of(resolver, f"fd:{read}") == "pass-word"
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(read)
    assert value_of(resolver, f"fd:{read}") == "pass-word"


def test_fd_that_this_process_opened_itself_is_out_of_reach(tmp_path: Path) -> None:
    """A row of the input cannot read or close the ledger."""
    with (tmp_path / "own").open("w+") as own:
        problems = list(resolver_of(tmp_path, {}).hold([f"fd:{own.fileno()}", "fd:1000"]).values())
        assert [problem.code for problem in problems] == ["BP302", "BP302"]
        own.write("still open")


def test_fd_that_never_ends_is_given_up(tmp_path: Path, pipe: tuple[int, int]) -> None:
    """A pipe whose writer is silent, or writes without end, holds up the start for 10 seconds at most."""
    read, write = pipe
    os.write(write, b"half")
    problems = list(resolver_of(tmp_path, {}, clock=SteppingClock(4.99)).hold([f"fd:{read}"]).values())
    assert [problem.code for problem in problems] == ["BP306"]


def test_fd_with_too_much_is_refused(tmp_path: Path) -> None:
    """64 KiB and no more."""
    private(tmp_path / "large", b"x" * 200_000)
    descriptor = os.open(tmp_path / "large", os.O_RDONLY)
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional only
    assert codes(resolver_of(tmp_path, {}), f"fd:{descriptor}") == ["BP304"]


# ── exec ─────────────────────────────────────────────────────────────────────────────────────


def is_alive(process: int) -> bool:
    """Whether it still runs; a dead one may wait for its parent."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def script(folder: Path, text: str) -> str:
    """A reference to a Python program with this text."""
    path = folder / "program.py"
    path.write_text(text)
    return f"exec:{sys.executable} {path}"


def test_exec_gives_stdout_alone(tmp_path: Path) -> None:
    """What the command says on stderr is nobody's; one final newline goes."""
    text = "import sys; print('pass-word'); print('noise', file=sys.stderr)"
    assert value_of(resolver_of(tmp_path, dict(PATH)), script(tmp_path, text)) == "pass-word"


def test_exec_has_no_shell_and_no_stdin(tmp_path: Path) -> None:
    """Operators of a shell are plain arguments, and a command that asks a question reads the end of file."""
    resolver = resolver_of(tmp_path, dict(PATH))
    assert value_of(resolver, "exec:echo a-value; $(id) > out | cat") == "a-value; $(id) > out | cat"
    assert not (tmp_path / "out").exists()
    text = "import sys; print('read:' + repr(sys.stdin.read()))"
    assert value_of(resolver, script(tmp_path, text)) == "read:''"


def test_exec_gets_a_clean_environment(tmp_path: Path) -> None:
    """PATH, HOME, LANG and what the job names; never the key."""
    environ = {**PATH, "HOME": "/h", "LANG": "C.UTF-8", "TOKEN": "t", "PREQUEL_API_KEY": "k", "LD_PRELOAD": ""}
    text = "import os; print(','.join(sorted(set(os.environ) - {'LC_CTYPE', '__CF_USER_TEXT_ENCODING'})))"
    reference = script(tmp_path, text)
    assert value_of(resolver_of(tmp_path, dict(environ)), reference) == "HOME,LANG,PATH"
    named = resolver_of(tmp_path, dict(environ), exec_env=("TOKEN", "ABSENT"))
    assert value_of(named, reference) == "HOME,LANG,PATH,TOKEN"


def test_exec_runs_once_for_a_reference(tmp_path: Path) -> None:
    """Also when many rows ask at the same moment."""
    text = f"open({str(tmp_path / 'runs')!r}, 'a').write('x'); print('pass-word')"
    resolver = resolver_of(tmp_path, dict(PATH))
    reference = script(tmp_path, text)

    async def ask() -> list[str]:
        return [secret.reveal() for secret in await asyncio.gather(*(resolver.resolve(reference) for _ in range(20)))]

    assert asyncio.run(ask()) == ["pass-word"] * 20
    assert asyncio.run(ask()) == ["pass-word"] * 20
    assert (tmp_path / "runs").read_text() == "x"


def test_exec_at_most_concurrency_at_once(tmp_path: Path) -> None:
    """Four of twelve slow commands run side by side, never five."""
    text = (
        "import os, sys, time\n"
        f"folder = {str(tmp_path)!r}\n"
        "mine = os.path.join(folder, 'run-' + sys.argv[1])\n"
        "open(mine, 'w').close()\n"
        "print('at once:', sum(name.startswith('run-') for name in os.listdir(folder)))\n"
        "time.sleep(0.1); os.unlink(mine)\n"
    )
    reference = script(tmp_path, text)
    resolver = resolver_of(tmp_path, dict(PATH))

    async def ask() -> list[str]:
        asked = (resolver.resolve(f"{reference} {number}") for number in range(12))
        return [secret.reveal() for secret in await asyncio.gather(*asked)]

    assert max(int(told.split()[-1]) for told in asyncio.run(ask())) <= 4


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import sys; print('pass-word'); print('s3cr3t', file=sys.stderr); sys.exit(3)", "exit code 3"),
        ("print('x' * 70_000)", "longer than 64 KiB"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", "longer than 64 KiB"),
        ("import sys; sys.stdout.buffer.write(b'\\xff' * 20)", "UTF-8"),
        ("", "is empty"),
        ("print()", "is empty"),
        ("print('********')", "mask"),
    ],
)
def test_exec_that_fails(tmp_path: Path, text: str, reason: str) -> None:
    """The reason names the reference, never what the command said."""
    message = failure_of(resolver_of(tmp_path, dict(PATH)), script(tmp_path, text))
    assert reason in message
    assert "s3cr3t" not in message
    assert message.startswith("exec:")


def test_exec_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    """Ten seconds, here by a clock that runs ahead; the grandchild that holds the pipe goes too."""
    text = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(tmp_path / 'new')!r}, 'w').write(str(child.pid))\n"
        f"import os; os.rename({str(tmp_path / 'new')!r}, {str(tmp_path / 'pid')!r})\n"
        "print('half', flush=True)\n"
        "time.sleep(60)\n"
    )

    class Ahead(RealClock):
        def monotonic(self) -> float:
            return super().monotonic() + (9.5 if (tmp_path / "pid").exists() else 0.0)

    assert "within 10 s" in failure_of(resolver_of(tmp_path, dict(PATH), clock=Ahead()), script(tmp_path, text))
    child = int((tmp_path / "pid").read_text())
    deadline_s = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


@pytest.mark.parametrize("command", ["no-such-command-here x", "./missing", "./job.toml", "/"])
def test_exec_command_must_be_a_program(tmp_path: Path, command: str) -> None:
    """Looked for before the start, so that no run begins without it."""
    private(tmp_path / "job.toml", b"[job]")
    assert codes(resolver_of(tmp_path, dict(PATH)), f"exec:{command}") == ["BP302"]


def test_exec_command_beside_the_job(tmp_path: Path) -> None:
    """A relative path starts at the job's folder."""
    program = tmp_path / "get"
    program.write_text("#!/bin/sh\necho pass-word\n")
    program.chmod(0o700)
    assert value_of(resolver_of(tmp_path, dict(PATH)), "exec:./get") == "pass-word"


def test_a_waiter_that_is_cancelled_does_not_take_the_others_along(tmp_path: Path) -> None:
    """Rows that share a reference share one answer, whoever asked first."""
    resolver = resolver_of(tmp_path, dict(PATH))
    reference = script(tmp_path, "import time; time.sleep(0.2); print('pass-word')")

    async def ask() -> str:
        first = asyncio.create_task(resolver.resolve(reference))
        second = asyncio.create_task(resolver.resolve(reference))
        await asyncio.sleep(0.05)
        first.cancel()
        return (await second).reveal()

    assert asyncio.run(ask()) == "pass-word"
    resolver.close()


def test_errors_of_this_room_are_in_the_tree() -> None:
    """A run that meets one stops with exit 3."""
    assert issubclass(StoreFailed, BulkpatchError)
