"""A piece of the disk that is held while a run sends: on a full disk it is where the last answers go."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from bulkpatch.ledger.faults import disk_faults

FILE: Final = "ballast"
BYTES: Final = 1024 * 1024
"""Room for the answers of a hundred requests: each changes a few pages of 4 KiB at most."""


class Ballast:
    """``with Ballast(folder):`` — the file ``ballast``, 0600, until ``free`` or the end. Raises ``LedgerFailed``."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE

    def __enter__(self) -> Self:
        self.free()  # what a killed process left
        with disk_faults():
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
            try:
                with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
                    file.write(os.urandom(BYTES))  # a hole, or zeros that are compressed, would hold no room
                    file.flush()
                    os.fsync(descriptor)
            except BaseException:
                self.free()
                raise
        return self

    def free(self) -> None:
        """Give the room back."""
        with disk_faults():
            self._path.unlink(missing_ok=True)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.free()
