"""A job file's bytes → its tables. What is no TOML is told with its place; what a line holds is told with care."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.frames import draw_frame, file_shown, is_known, may_hold_secret, names_secret, one_line
from bulkpatch.job.positions import JobSource
from bulkpatch.job.spec import KeyPath

JOB_BYTES_MAX: Final = 1024 * 1024
"""A job with every field of the API is under 30 KiB; a larger file is the input, named by mistake."""
DEPTH_MAX: Final = 64
"""Levels of tables and lists, as in the bodies that are made of them."""
MESSAGE_CHARS_MAX: Final = 200
"""Characters of a parser's message, which may name a key."""

_PLACE: Final = re.compile(r"\s*\(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$")
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.-]+)\s*[=:]?")
_YAML: Final = re.compile(r"---|[A-Za-z_][\w-]*:(?:\s|$)")
_REASONS: Final = {
    errno.ENOENT: "there is no such file",
    errno.ENOTDIR: "a part of its path is no folder",
    errno.EACCES: "it may not be read",
    errno.EPERM: "it may not be read",
    errno.ELOOP: "its links go round in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EISDIR: "it is a folder",
    errno.ENXIO: "it is not a regular file",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadJob:
    """A job file that is TOML: its text with all places, its tables, the SHA-256 of its bytes."""

    source: JobSource
    tables: Mapping[str, Any]
    sha256: str


def load_source(path: Path) -> JobSource:
    """The text of the job at ``path``, ready to point into. Raises ``InvalidInput`` if it cannot be read as text."""
    return JobSource(path, _text(path, _bytes(path)))


def job_sha256(path: Path) -> str | None:
    """SHA-256 of a job's bytes; None where it cannot be read."""
    try:
        return hashlib.sha256(_bytes(path)).hexdigest()
    except InvalidInput:
        return None


def read_job(path: Path) -> ReadJob:
    """Read and parse the job at ``path``. Raises ``InvalidInput`` with one problem."""
    content = _bytes(path)
    source = JobSource(path, _text(path, content))
    try:
        tables = tomllib.loads(source.text)
    except RecursionError:
        raise _refused("BP102", path, f"nested deeper than {DEPTH_MAX} levels") from None
    except ValueError as error:
        raise InvalidInput([_syntax_problem(source, str(error))]) from None
    if deep := _too_deep(tables):
        words = f"nested deeper than {DEPTH_MAX} levels"
        raise InvalidInput([source.problem("BP102", deep, words, CODES["BP102"].fix)])
    return ReadJob(source=source, tables=tables, sha256=hashlib.sha256(content).hexdigest())


def _refused(code: str, path: Path, message: str, **place: Any) -> InvalidInput:
    problem = Problem(code=code, message=message, hint=CODES[code].fix, file=file_shown(path), **place)
    return InvalidInput([problem])


def _bytes(path: Path) -> bytes:
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _refused("BP101", path, f"the job cannot be read: {_REASONS[errno.ENXIO]}")
            content = file.read(JOB_BYTES_MAX + 1)
    except OSError as error:
        reason = _REASONS.get(error.errno or 0) or os.strerror(error.errno or 0).lower()
        raise _refused("BP101", path, f"the job cannot be read: {reason}") from None
    except ValueError:
        raise _refused("BP101", path, "the job cannot be read: its name holds a NUL") from None
    if len(content) > JOB_BYTES_MAX:
        raise _refused("BP101", path, "the job is larger than 1 MiB; is it the input?")
    return content


def _without_waiting(path: str, flags: int) -> int:
    """An opener that comes back from a pipe nobody writes to."""
    return os.open(path, flags | os.O_NONBLOCK)


def _text(path: Path, content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise _refused("BP102", path, "the job is UTF-16 text; save it as UTF-8", line=1, column=1)
    if content.startswith(b"\xef\xbb\xbf"):
        raise _refused(
            "BP102", path, "the job begins with a byte order mark; save it as UTF-8 without one", line=1, column=1
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        before = content[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise _refused("BP102", path, "the job is not UTF-8 text", line=line, column=column) from None


def _syntax_problem(source: JobSource, message: str) -> Problem:
    """``message`` is the parser's; it may name a key or one character, never a value."""
    place = _PLACE.search(message)
    words = one_line(_PLACE.sub("", message), limit=MESSAGE_CHARS_MAX) if place else "a number with too many digits"
    hint = _other_language(source) or CODES["BP102"].fix
    if place is None:
        return Problem(code="BP102", message=words, hint=hint, file=source.file)
    line, column = (int(place[1]), int(place[2])) if place[1] else (len(source.lines), len(source.lines[-1]) + 1)
    cut = _cut(source, line, column)
    frame = draw_frame(source.lines, {line - 1: cut}, line, column, 1, lines_before=0)
    return Problem(code="BP102", message=words, hint=hint, file=source.file, line=line, column=column, frame=frame)


def _other_language(source: JobSource) -> str:
    start, suffix = source.text.lstrip()[:1], source.path.suffix.lower()
    if suffix == ".json" or start == "{":
        return "This looks like JSON; a job is TOML."
    first = next((line for line in source.lines if not re.match(r"\s*(#|$)", line)), "")
    if suffix in {".yaml", ".yml"} or _YAML.match(first):
        return "This looks like YAML; a job is TOML."
    return ""


def _cut(source: JobSource, line: int, column: int) -> int:
    """The column index from which a line that is no TOML is hidden: what follows the mistake always is.

    A line that goes on with what began before is hidden whole: it may be the middle of a secret.
    """
    before, text = "\n".join(source.lines[: line - 1]), source.lines[line - 1]
    try:
        tomllib.loads(before)
    except (ValueError, RecursionError):
        return 0
    end = min(column - 1, len(text.partition("#")[0]))
    if text.lstrip().startswith("["):
        return min(end, len(text.partition("=")[0]))
    key = _KEY.match(text)
    path: KeyPath = (*JobSource(source.path, before).last_table, *(key[1] if key else "").split("."))
    if key is None or not is_known(path):
        return 0
    return min(end, key.end()) if "{" in text or names_secret(text) or may_hold_secret(path) else end


def _too_deep(tables: Mapping[str, Any]) -> KeyPath:
    """The top-level key below which nesting is deeper than ``DEPTH_MAX``, or nothing."""
    for key, value in tables.items():
        level = [value]
        for _ in range(DEPTH_MAX):
            level = [inner for outer in level for inner in _inside(outer)]
        if level:
            return (key,)
    return ()


def _inside(value: Any) -> list[Any]:
    match value:
        case dict():
            return list(value.values())
        case list():
            return value
        case _:
            return []
