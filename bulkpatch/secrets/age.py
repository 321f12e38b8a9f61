"""``age:PATH#KEY``: a file of keys and values, encrypted with age, opened with pyrage; no program is needed."""

from __future__ import annotations

import csv
import hashlib
import io
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from bulkpatch.secrets.documents import Document, DocumentReader, Word
from bulkpatch.secrets.files import check_private, os_word, read_private
from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.forms import Spot, read_target
from bulkpatch.secrets.kinds import Kind

FILE_BYTES_MAX = 16 * 1024 * 1024
"""Of an encrypted file: a password of 64 characters for each of 200,000 destinations."""

VERSION_HEX = 16
"""Digits of the version: the encrypted file's SHA-256. Age draws a key each time: it tells nothing of the content."""

IDENTITY = ".config/age/keys.txt"
"""In the home folder, where AGE_IDENTITY names no other file."""

COLUMNS = ["key", "value"]
"""The first line of a CSV file."""

_SSH = "-----BEGIN"


class EncryptedFile(DocumentReader):
    """A JSON object, or a CSV with the columns ``key`` and ``value``. A path starts at the job's folder."""

    scheme: ClassVar[str] = "age"
    words: ClassVar[Mapping[str, Word]] = {"DecryptError": Word.DENIED}

    def check(self, target: str) -> None:
        """File and identity are there, and the identity is private."""
        try:
            _check_file(self._path(read_target(self.scheme, target).spot).stat())
        except OSError as error:
            raise Unusable("BP302", f"the file cannot be read ({os_word(error)})") from None
        try:
            check_private(self._identity())
        except Unusable as flaw:
            raise _of_identity(flaw) from None

    def fetch(self, spot: Spot) -> Document:
        """See DocumentReader."""
        import pyrage  # noqa: PLC0415 - only where its scheme is used

        encrypted = self._read(spot)
        version = hashlib.sha256(encrypted).hexdigest()[:VERSION_HEX]
        plain = pyrage.decrypt(encrypted, self._identities(pyrage))
        try:
            text = plain.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Unusable("BP304", "the file's content is not UTF-8 text") from None
        if text.lstrip().startswith("{"):
            return Document(content=text, version=version).keyed()
        return Document(content=_columns(text), version=version)

    def _path(self, spot: Spot) -> Path:
        return self.around.folder / spot.place

    def _read(self, spot: Spot) -> bytes:
        try:
            with open(self._path(spot), "rb", opener=_open_plain) as file:
                _check_file(os.fstat(file.fileno()))
                return file.read(FILE_BYTES_MAX)
        except OSError as error:
            raise Unusable("BP302", f"the file cannot be read ({os_word(error)})") from None

    def _identity(self) -> Path:
        named = self.around.environ.get("AGE_IDENTITY")
        if named:
            return Path(named)
        home = self.around.environ.get("HOME")
        if not home:
            raise Unusable("BP302", "AGE_IDENTITY is not set, and there is no home folder")
        return Path(home, IDENTITY)

    def _identities(self, pyrage: Any) -> list[Any]:
        """Every key of the identity file; an SSH key is one."""
        try:
            raw = read_private(self._identity())
        except Unusable as flaw:
            raise _of_identity(flaw) from None
        try:
            if raw.startswith(_SSH.encode()):
                return [pyrage.ssh.Identity.from_buffer(raw)]
            lines = [line.strip() for line in raw.decode().splitlines()]
            return [pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
        except Exception as error:  # noqa: BLE001 - its message may hold the key
            useless = Unusable("BP306", f"it holds no key that can be used ({type(error).__name__})")
        raise _of_identity(useless)


def _open_plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)


def _of_identity(flaw: Unusable) -> Unusable:
    return Unusable(flaw.code, f"the identity file: {flaw.reason}")


def _check_file(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("BP302", "it is no regular file")
    if found.st_size > FILE_BYTES_MAX:
        raise Unusable("BP302", f"it is larger than {FILE_BYTES_MAX // 1024**2} MiB")


def _columns(text: str) -> dict[str, str]:
    content: dict[str, str] = {}
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True)
        if next(lines, None) != COLUMNS:
            raise Unusable("BP304", "the file's content is neither a JSON object nor a CSV with the columns key,value")
        for cells in lines:
            if not cells:
                continue
            if len(cells) != len(COLUMNS):
                raise Unusable("BP304", f"line {lines.line_num} of the file's content has not two cells")
            if cells[0] in content:
                raise Unusable("BP304", f"line {lines.line_num} of the file's content repeats a key")
            content[cells[0]] = cells[1]
    except csv.Error:
        raise Unusable("BP304", "the file's content is no whole CSV") from None
    return content


KIND = Kind(open=EncryptedFile)
