"""Bytes → text, strictly: what is no UTF-8, or does not belong in text, is named by line and place."""

from __future__ import annotations

from typing import Final

from bulkpatch.job.findings import refuse

BOM: Final = "\ufeff"
_MISFITS: Final = {"\0": "a NUL", "\x1a": "a stray 0x1A"}


class Decoder:
    """UTF-8 in chunks; a byte order mark at the very beginning is taken off."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._pending = b""
        self._line = 1
        self._offset = 0

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of ``data``, but for a character that is not whole yet. Raises ``InvalidInput``."""
        data = self._pending + data
        text, taken = _decoded(data)
        if taken < len(data) and (final or len(data) - taken > 3):  # noqa: PLR2004  (a character has at most 4 bytes)
            line = self._line + data.count(b"\n", 0, taken)
            place = f"byte {self._offset + taken + 1} of the file (0x{data[taken]:02X})"
            refuse("BP203", f"{place} is no UTF-8", file=self._file, line=line)
        for misfit, name in _MISFITS.items():
            if misfit in text:
                line = self._line + text.count("\n", 0, text.index(misfit))
                refuse("BP210", f"{name} stands on line {line}", file=self._file, line=line)
        if not self._offset:
            text = text.removeprefix(BOM)
        self._pending = data[taken:]
        self._offset += taken
        self._line += text.count("\n")
        return text


def _decoded(data: bytes) -> tuple[str, int]:
    """The text of the longest prefix that is UTF-8, and its length in bytes."""
    try:
        return data.decode(), len(data)
    except UnicodeDecodeError as error:
        taken = error.start
    return data[:taken].decode(), taken
