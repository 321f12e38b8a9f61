"""What is no job file is told apart, at once and in words, before anything in it is believed."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from job_rig import SMALLEST, carets, everything, load, problems, write

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.load import load_job
from bulkpatch.job.reading import DEPTH_MAX, JOB_BYTES_MAX, load_source, read_job


def problem_at(path: Path) -> Problem:
    """The one problem with the file at ``path``."""
    with pytest.raises(InvalidInput) as caught:
        load_job(path)
    (problem,) = caught.value.problems
    assert problem.file == str(path).encode("unicode_escape").decode()
    assert problem.hint
    return problem


def problem_of(folder: Path, content: bytes, name: str = "job.toml") -> Problem:
    """The one problem with a file of ``content``."""
    path = folder / name
    path.write_bytes(content)
    return problem_at(path)


# ── files that cannot be read ────────────────────────────────────────────────────────────────


def _nothing(path: Path) -> None:
    assert not path.exists()


def _folder(path: Path) -> None:
    path.mkdir()


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "there is no such file"),
        (_dangling, "there is no such file"),
        (_folder, "it is a folder"),
        (_pipe, "it is not a regular file"),
        (_device, "it is not a regular file"),
        (_loop, "its links go round in a circle"),
    ],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: object, words: str) -> None:
    """Nothing waits for a pipe that nobody writes to, and nothing reads a device without an end."""
    path = tmp_path / "job.toml"
    make(path)  # type: ignore[operator]
    began = time.monotonic()
    problem = problem_at(path)
    assert time.monotonic() - began < 5
    assert (problem.code, problem.line) == ("BP101", None)
    assert problem.message == f"the job cannot be read: {words}"


def test_a_socket_a_missing_folder_and_a_name_too_long(tmp_path: Path) -> None:
    """Each in words, none with the system's own number."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        assert problem_at(path).message == "the job cannot be read: it is not a regular file"
    write(tmp_path, SMALLEST)
    for inside in ("job.toml/x", "none/x"):
        assert problem_at(tmp_path / inside).code == "BP101"
    assert "a part of its path is no folder" in problem_at(tmp_path / "job.toml" / "x").message
    assert "its name is too long" in problem_at(tmp_path / ("x" * 300)).message
    assert "NUL" in problem_at(tmp_path / "a\0b").message


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    """Told as such; root may read everything but what the kernel keeps."""
    path = write(tmp_path, SMALLEST)
    path.chmod(0)
    if os.access(path, os.R_OK):
        path = Path("/proc/self/mem")
    problem = problem_at(path)
    assert problem.code == "BP101"
    assert problem.message.startswith("the job cannot be read: ")


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    """A folder is opened before it is known for one."""
    (tmp_path / "d").mkdir()
    path = write(tmp_path, SMALLEST)
    load_job(path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        load_job(path)
        for wrong in (tmp_path / "d", tmp_path / "none", Path("/dev/null")):
            problem_at(wrong)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_mebibyte_is_read_and_no_more(tmp_path: Path) -> None:
    """A larger file is the input, named by mistake."""
    padding = JOB_BYTES_MAX - len(SMALLEST)
    assert load(tmp_path, SMALLEST + "#" * padding).name == "j"
    for size in (JOB_BYTES_MAX + 1, 2 * JOB_BYTES_MAX):
        problem = problem_of(tmp_path, SMALLEST.encode() + b"#" * (size - len(SMALLEST)))
        assert (problem.code, problem.message) == ("BP101", "the job is larger than 1 MiB; is it the input?")


# ── text that is not UTF-8 ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("content", "words", "line", "column"),
    [
        (SMALLEST.encode("utf-16"), "UTF-16", 1, 1),
        (b"\xfe\xff" + SMALLEST.encode("utf-16-be"), "UTF-16", 1, 1),
        (b"\xef\xbb\xbf" + SMALLEST.encode(), "byte order mark", 1, 1),
        ("# caf\u00e9\n".encode("latin-1"), "not UTF-8", 1, 6),
        (SMALLEST.encode() + "# \u00e9\u00e9\u00e9 ".encode() + b"\xe9\n", "not UTF-8", 5, 7),
        (b"a = 1\nb = '\xc3", "not UTF-8", 2, 6),
        (b"\xed\xa0\x80", "not UTF-8", 1, 1),
        (b"\x80", "not UTF-8", 1, 1),
    ],
)
def test_text_of_another_encoding_is_told_with_its_place(
    tmp_path: Path, content: bytes, words: str, line: int, column: int
) -> None:
    """Nothing of the line is quoted, since nobody knows what it says."""
    problem = problem_of(tmp_path, content)
    assert (problem.code, problem.line, problem.column, problem.frame) == ("BP102", line, column, "")
    assert words in problem.message


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n", b"# nothing\n", b" "])
def test_an_empty_job_lacks_its_name_and_its_input(tmp_path: Path, content: bytes) -> None:
    """It is TOML, and no job."""
    found = problems(tmp_path, content.decode())
    assert [(one.code, one.message) for one in found] == [
        ("BP104", "[job]: the key is missing"),
        ("BP104", "[input]: the key is missing"),
    ]


def test_lines_may_end_as_on_windows(tmp_path: Path) -> None:
    """And places stay right. A bare CR ends no line."""
    text = SMALLEST.replace("\n", "\r\n")
    assert load(tmp_path, text).name == "j"
    (problem,) = problems(tmp_path, text + "[send]\r\nrate = 'x'\r\n")
    assert (problem.line, problem.column) == (6, 8)
    assert problem.frame == "5 | [send]\n6 | rate = 'x'\n  |        ^^^"
    assert problem_of(tmp_path, SMALLEST.replace("\n", "\r").encode()).code == "BP102"


# ── what is no TOML ──────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("[job\n", 1, 5, "]"),
        ("[job]\nname = \n", 2, 8, "value"),
        ("[job]\nname = j\n", 2, 8, "value"),
        ('[job]\nname = "j\n', 2, 10, "character"),
        ("[job]\nname 'j'\n", 2, 6, "="),
        ("[job]\nname = 'j' x = 1\n", 2, 12, "newline"),
        ("[job]\n[job]\n", 2, 5, "twice"),
        ("[job]\nname = 1\nname = 2\n", 3, 9, "overwrite"),
        ("[job]\nname = 1\n[job.name]\n", 3, 10, "overwrite"),
        ("job = { b = 1, b = 2 }\n", 1, 21, "b"),
        ("job = 1\n[[job]]\n", 2, 6, "overwrite"),
        ("job = [\n1\n2\n]\n", 3, 1, "array"),
        ("job = 1__0\n", 1, 8, "newline"),
        ("job = 012\n", 1, 8, "newline"),
        ("job = 1979-13-01\n", 1, 11, "newline"),
        ("job = \x00\n", 1, 7, "value"),
        ("job = [1,", 1, 10, ""),
        ("job = '''\nx\n", 3, 1, "Expected"),
        ("\u00e9 = 1\n", 1, 1, "statement"),
        ("a = " + "9" * 5_000, None, None, "too many digits"),
    ],
)
def test_what_follows_no_grammar_is_told_with_its_place(
    tmp_path: Path, text: str, line: int | None, column: int | None, words: str
) -> None:
    """Line, column and caret are the parser's; the words too, without any value."""
    problem = problem_of(tmp_path, text.encode())
    assert (problem.code, problem.line) == ("BP102", line)
    assert words in problem.message
    if column is not None:
        assert problem.column == column
        assert carets(problem)[1] == 1
    assert "TOML" in problem.hint


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("job.toml", "job:\n  name: j\n"),
        ("job.toml", "---\njob:\n"),
        ("job.toml", "# a job\n\n\njob: { name: j }\n"),
        ("job.yaml", "- a\n- b\n"),
        ("job.yml", "job = j\n"),
    ],
)
def test_yaml_is_told_from_toml(tmp_path: Path, name: str, text: str) -> None:
    """By its name or its first line."""
    problem = problem_of(tmp_path, text.encode(), name)
    assert (problem.code, problem.hint) == ("BP102", "This looks like YAML; a job is TOML.")


@pytest.mark.parametrize(("name", "text"), [("job.toml", '\n {"job": {}}'), ("job.json", "[1]\n[2"), ("j", "{")])
def test_json_is_told_from_toml(tmp_path: Path, name: str, text: str) -> None:
    """By its name or its first character."""
    problem = problem_of(tmp_path, text.encode(), name)
    assert (problem.code, problem.hint) == ("BP102", "This looks like JSON; a job is TOML.")


def test_a_file_of_another_name_is_read_all_the_same(tmp_path: Path) -> None:
    """What is TOML is a job, whatever it is called."""
    assert load_job(write(tmp_path, SMALLEST, "job.yaml")).name == "j"


def test_many_blank_lines_before_a_mistake_cost_nothing(tmp_path: Path) -> None:
    """Looking for another language takes one look at each line."""
    began = time.monotonic()
    for blank in ("\n", " \n", "#\n", "\r\n"):
        assert problem_of(tmp_path, (blank * 50_000 + "!").encode()).code == "BP102"
    assert time.monotonic() - began < 20


# ── depth ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("depth", [DEPTH_MAX + 1, 500, 2_000, 100_000])
@pytest.mark.parametrize("form", ["lists", "tables", "dots", "headers"])
def test_what_is_nested_too_deeply_is_refused(tmp_path: Path, depth: int, form: str) -> None:
    """However it is written, and without a crash of the stack."""
    if form in {"dots", "headers"}:
        depth = min(depth, 2_000)
    deep = {
        "lists": "x = " + "[" * depth + "]" * depth,
        "tables": "x = " + "{ a = " * depth + "1" + " }" * depth,
        "dots": ".".join(["x"] * (depth + 1)) + " = 1",
        "headers": "[" + ".".join(["x"] * (depth + 1)) + "]",
    }[form]
    problem = problem_of(tmp_path, deep.encode())
    assert (problem.code, problem.message) == ("BP102", f"nested deeper than {DEPTH_MAX} levels")


def test_what_is_nested_as_deeply_as_a_body_may_be_is_read(tmp_path: Path) -> None:
    """The levels of the bodies that are made of it."""
    job = read_job(write(tmp_path, "x = " + "[" * DEPTH_MAX + "]" * DEPTH_MAX))
    assert list(job.tables) == ["x"]


# ── what is read ─────────────────────────────────────────────────────────────────────────────


def test_a_job_is_its_bytes(tmp_path: Path) -> None:
    """Tables, text and digest are of one reading."""
    text = SMALLEST + "# \u00e9 \U0001f600\n"
    job = read_job(write(tmp_path, text))
    assert job.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert job.source.text == text
    assert job.tables == {"job": {"name": "j"}, "input": {"path": "fleet.csv"}}
    assert load_source(tmp_path / "job.toml").text == text


def test_a_job_is_found_from_any_folder(tmp_path: Path) -> None:
    """Its path is made absolute before anything changes the folder."""
    write(tmp_path, SMALLEST)
    code = "from pathlib import Path; from bulkpatch.job.load import load_job; print(load_job(Path('job.toml')).path)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(tmp_path / "job.toml")


LINES: Final = st.sampled_from(
    ["[job]", "name = 'j'", "[input]", "path = 'f'", "[[wave]]", "size = 1", "x = '''", "'''", "[patch]", "name = ",
     "a.b = {", "}", "= 1", "# c", "\x00", "é = 1", "job: 1", "{", "]", "x = [", '"', "\\", "x = 1e9999"]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(LINES, max_size=8))
def test_any_file_is_a_job_or_a_list_of_problems(tmp_path_factory: pytest.TempPathFactory, lines: list[str]) -> None:
    """Never another exception, and every problem has a code, words and a fix."""
    folder = tmp_path_factory.mktemp("any")
    try:
        load(folder, "\n".join(lines))
    except InvalidInput as refused:
        for problem in refused.problems:
            assert problem.message
            assert problem.hint
            assert problem.code.startswith("BP1") or problem.code == "BP301"
            assert all(one.isprintable() or one == "\n" for one in everything(problem))


@settings(max_examples=120, deadline=None)
@given(content=st.binary(max_size=40))
def test_any_bytes_are_a_job_or_a_list_of_problems(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    """Whatever they are."""
    path = tmp_path_factory.mktemp("bytes") / "job.toml"
    path.write_bytes(content)
    with pytest.raises(InvalidInput):
        load_job(path)
