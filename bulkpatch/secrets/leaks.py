"""The last check of a run: does any file of its folder hold a secret?"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bulkpatch.ports import Clock
from bulkpatch.secrets.redaction import LiveRedactor

CHUNK_BYTES = 1024 * 1024
"""Read at once: large enough that the overlap between chunks costs little."""

HITS_MAX = 100
"""Distinct leaks that are listed: one is enough to end with exit 70, 100 are enough to find the cause."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much is searched: 4 GiB (a run of ten million rows), and 120 s (that many on a slow disk)."""

    bytes: int = 4 * 1024**3
    seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakReport:
    """``hits`` are ``(file, reference, encoding)``; ``skipped`` names the files not searched to their end.

    ``searched_for`` secrets were live; the redactor counts those that no longer were.
    """

    hits: tuple[tuple[str, str, str], ...]
    files: int
    bytes: int
    skipped: tuple[str, ...]
    searched_for: int


def search_folder(folder: Path, redactor: LiveRedactor, *, clock: Clock, budget: Budget | None = None) -> LeakReport:
    """Search each file below ``folder``, byte by byte, for every live secret in every encoding.

    Call it with the ledger closed: to open its file beside an open connection would drop SQLite's
    locks. Free pages and the write-ahead log are searched like any other bytes. The columns of
    Parquet files are compressed, so that no search sees their text: whoever writes one must pass its
    cells through ``Redactor.scrub`` or ``scrub_json`` first. Links and special files are skipped.
    """
    search = _Search(redactor, clock, budget or Budget())
    for path in _files(folder):
        search.file(path, path.relative_to(folder).as_posix())
    return LeakReport(
        hits=tuple(search.hits),
        files=search.files,
        bytes=search.bytes,
        skipped=tuple(search.skipped),
        searched_for=redactor.live,
    )


class _Search:
    def __init__(self, redactor: LiveRedactor, clock: Clock, budget: Budget) -> None:
        self._redactor = redactor
        self._clock = clock
        self._bytes_left = budget.bytes
        self._deadline_s = clock.monotonic() + budget.seconds
        self.hits: dict[tuple[str, str, str], None] = {}
        self.skipped: list[str] = []
        self.files = 0
        self.bytes = 0

    def file(self, path: Path, name: str) -> None:
        try:
            whole = all(self._chunk(name, chunk) for chunk in self._chunks(path))
        except OSError:
            whole = False
        if whole:
            self.files += 1
        else:
            self.skipped.append(name)

    def _chunk(self, name: str, chunk: bytes) -> bool:
        """Search ``chunk``; False when the budget is spent."""
        if self._bytes_left < 0 or self._clock.monotonic() > self._deadline_s:
            return False
        for hit in self._redactor.find(chunk):
            if len(self.hits) < HITS_MAX:
                self.hits[name, hit.reference, hit.encoding] = None
        return True

    def _chunks(self, path: Path) -> Iterator[bytes]:
        """The file in pieces, each with the end of the one before, so that nothing hides between two."""
        with open(path, "rb", buffering=0, opener=_open_plain) as file:
            tail = b""
            while new := file.read(CHUNK_BYTES):
                self._bytes_left -= len(new)
                self.bytes += len(new)
                yield tail + new
                tail = (tail + new)[-max(1, self._redactor.longest - 1) :]


def _files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(parent, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
