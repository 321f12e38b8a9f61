"""The input's files: found, looked at once, and held to what they were then."""

from __future__ import annotations

import atexit
import gzip
import hashlib
import os
import shutil
import stat
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from glob import glob, has_magic
from io import BufferedReader
from pathlib import Path
from typing import IO, BinaryIO, Final

from bulkpatch.job.findings import refuse
from bulkpatch.job.frames import one_line
from bulkpatch.job.sniff import GZIP
from bulkpatch.job.spec import Job
from bulkpatch.model import InputFile

STDIN: Final = "-"
COPY_BYTES: Final = 1 << 20
"""Bytes copied at a time."""
STDIN_BYTES_MAX: Final = 16 << 30
"""Bytes taken from standard input: ten million rows are about one tenth of it."""
UNPACKED_BYTES_MAX: Final = 1 << 30
"""Bytes that a compressed input may become; a small file can hold any number."""
PATH_CHARS_MAX: Final = 4096
"""Characters of a path in a message: the system's own limit, since the end of a path says most."""
_DEVICES: Final = frozenset({Path("/dev"), Path("/dev/fd")})
FILES_MAX: Final = 10_000
"""Files of one glob; more are nearly always a wrong pattern."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One input file as it was when it was first looked at. ``shown`` names it in messages."""

    path: Path
    shown: str
    suffix: str
    identity: tuple[int, int, int, int]
    packed: bool = False

    @property
    def size(self) -> int:
        """Bytes."""
        return self.identity[0]

    @property
    def mtime_ns(self) -> int:
        """When it was last written, in ns since 1970."""
        return self.identity[1]

    def ends(self, count: int) -> tuple[bytes, bytes]:
        """The first and the last ``count`` bytes of the file itself."""
        with self._file() as file:
            head = file.read(count)
            file.seek(max(0, self.size - count))
            return head, file.read(count)

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes, unpacked. Raises ``InvalidInput`` if the file changed since the first look, or does now."""
        with self._file() as file:
            self.check_unchanged(file)
            try:
                unpacked: IO[bytes] = _Unpacked(file, self.shown) if self.packed else file  # type: ignore[assignment]
                yield unpacked
            except (gzip.BadGzipFile, EOFError, zlib.error):
                refuse("BP220", "the compressed file is damaged", file=self.shown)
            except OSError as error:
                refuse("BP201", f"the input cannot be read: {_in_words(error)}", file=self.shown)
            self.check_unchanged(file)

    def check_unchanged(self, file: BufferedReader | None = None) -> None:
        """Raise ``InvalidInput`` (BP221) if size, time or identity differ from what they were."""
        facts = [_stat(self.path, self.shown)] + ([os.fstat(file.fileno())] if file is not None else [])
        if any(_identity(fact) != self.identity for fact in facts):
            refuse("BP221", "the file changed while it was read", file=self.shown)

    def digest(self) -> str:
        """SHA-256 of the file's bytes, in hex."""
        with self._file() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            self.check_unchanged(file)
        return digest

    def sealed(self, sha256: str) -> InputFile:
        """The file as the ledger keeps it."""
        return InputFile(path=str(self.path), size=self.size, mtime_ns=self.mtime_ns, sha256=sha256)

    def _file(self) -> BufferedReader:
        try:
            return self.path.open("rb")
        except OSError as error:
            refuse("BP201", f"the input cannot be read: {_in_words(error)}", file=self.shown)


class _Unpacked(gzip.GzipFile):
    """A gzip file that ends in an error when it becomes too large."""

    def __init__(self, file: BufferedReader, shown: str) -> None:
        super().__init__(fileobj=file, mode="rb")
        self._shown = shown

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > UNPACKED_BYTES_MAX:
            refuse("BP211", "the compressed file holds more than 1 GiB", hint="Unpack it first.", file=self._shown)
        return data


def find(job: Job, *, stdin: BinaryIO | None, spool: Path | None, decompress: bool) -> tuple[Source, ...]:
    """The files of the job's input, in order. Raises ``InvalidInput``."""
    written = job.input.path
    if written == STDIN:
        if job.input.inline_secrets:
            refuse("BP201", "standard input is copied to disk, so it may not hold secrets", hint="Use a file.")
        return (_source(_spooled(stdin, spool), "-", ".csv", decompress=decompress),)
    path = job.folder / written
    paths = [path]
    if has_magic(written) and not os.path.exists(path):  # noqa: PTH110  (Path raises for a name that is too long)
        found = glob(written, root_dir=job.folder, recursive=True)  # noqa: PTH207  (the pattern may be a whole path)
        paths = [job.folder / one for one in sorted(found)[: FILES_MAX + 1]]
    if not paths or len(paths) > FILES_MAX:
        refuse("BP201", f"the pattern matches {'no file' if not paths else 'over 10,000 files'}", file=_shown(path))
    return tuple(_source(each, _shown(each), _suffix(each), decompress=decompress) for each in paths)


def keep(source: Source, path: Path) -> None:
    """Copy a source to ``path``, a private file that must not exist, and sync it."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as target, source.path.open("rb") as origin:
        shutil.copyfileobj(origin, target, COPY_BYTES)
        target.flush()
        os.fsync(target.fileno())


def _source(path: Path, shown: str, suffix: str, *, decompress: bool) -> Source:
    facts = _stat(path, shown)
    source = Source(path=path, shown=shown, suffix=suffix, identity=_identity(facts))
    if not decompress or source.ends(len(GZIP))[0] != GZIP:
        return source
    return Source(path=path, shown=shown, suffix=suffix, identity=_identity(facts), packed=True)


def _shown(path: Path) -> str:
    """``path`` as messages name it: whole, on one line."""
    return one_line(str(path), limit=PATH_CHARS_MAX)


def _suffix(path: Path) -> str:
    """What the name says the file is, apart from ``.gz``."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _stat(path: Path, shown: str) -> os.stat_result:
    """The facts of a regular file. A device or pipe is never opened: that could block, or eat what it holds."""
    try:
        str(path).encode()
        facts = path.stat()
    except (OSError, ValueError) as error:
        refuse("BP201", f"the input cannot be read: {_in_words(error)}", file=shown)
    if not stat.S_ISREG(facts.st_mode) or path.is_relative_to("/proc") or path.parent in _DEVICES:
        kind = "a folder" if stat.S_ISDIR(facts.st_mode) else "not a regular file"
        refuse("BP201", f"the input is {kind}", hint='For standard input, write path = "-".', file=shown)
    return facts


def _identity(facts: os.stat_result) -> tuple[int, int, int, int]:
    return (facts.st_size, facts.st_mtime_ns, facts.st_ino, facts.st_dev)


def _in_words(error: OSError | ValueError) -> str:
    return (error.strerror or "").lower() if isinstance(error, OSError) else "its name holds a NUL, or is no UTF-8"


def _spooled(stdin: BinaryIO | None, spool: Path | None) -> Path:
    """Standard input as a private file that goes with the process, or ``spool``, where an earlier one was kept."""
    if stdin is None:
        if spool is None or not spool.exists():
            refuse("BP201", "the input is standard input, and there is none")
        return spool
    descriptor, name = tempfile.mkstemp(prefix="bulkpatch-")
    atexit.register(Path(name).unlink, missing_ok=True)
    copied = 0
    with os.fdopen(descriptor, "wb") as file:
        while data := stdin.read(COPY_BYTES):
            copied += len(data)
            if copied > STDIN_BYTES_MAX:
                refuse("BP211", "standard input holds more than 16 GiB", hint="Split it.", file="-")
            file.write(data)
    return Path(name)
