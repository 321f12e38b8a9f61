"""Bytes → text, strictly: what is no UTF-8, or does not belong in text, is named by line and place."""

from __future__ import annotations

from typing import Final

from bulkpatch.errors import CODES, InvalidInput, Problem

BOM: Final = "\ufeff"
_MISFITS: Final = {"\0": "a NUL", "\x1a": "a stray 0x1A"}


class Decoder:
    """UTF-8 in chunks; a byte order mark at the very beginning is taken off."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._pending = b""
        self._line = 1
        self._offset = 0
        self._flaw: InvalidInput | None = None

    def feed(self, data: bytes, *, final: bool = False) -> str:
        """The text of ``data``, but for a character that is not whole yet.

        Raises ``InvalidInput`` once the text before the flaw was given: its rows are looked at, too.
        """
        if self._flaw is None:
            data = self._pending + data
            text, taken = _decoded(data)
            if taken < len(data) and (final or len(data) - taken > 3):  # noqa: PLR2004  (a character has at most 4 bytes)
                line = self._line + text.count("\n")
                place = f"byte {self._offset + taken + 1} of the file (0x{data[taken]:02X})"
                self._flaw = self._flawed("BP203", f"{place} is no UTF-8", line)
            text = self._fitting(text)
            if not self._offset:
                text = text.removeprefix(BOM)
            self._pending = data[taken:]
            self._offset += taken
            self._line += text.count("\n")
            if self._flaw is None or (text and not final):
                return text
        raise self._flaw

    def _fitting(self, text: str) -> str:
        """``text`` up to the first character that belongs in no text."""
        places = [at for misfit in _MISFITS if (at := text.find(misfit)) >= 0]
        if not places:
            return text
        at = min(places)
        line = self._line + text.count("\n", 0, at)
        self._flaw = self._flawed("BP210", f"{_MISFITS[text[at]]} stands on line {line}", line)
        return text[:at]

    def _flawed(self, code: str, words: str, line: int) -> InvalidInput:
        return InvalidInput([Problem(code=code, message=words, hint=CODES[code].fix, file=self._file, line=line)])


def _decoded(data: bytes) -> tuple[str, int]:
    """The text of the longest prefix that is UTF-8, and its length in bytes."""
    try:
        return data.decode(), len(data)
    except UnicodeDecodeError as error:
        taken = error.start
    return data[:taken].decode(), taken
