"""Files that nobody else can read, opened without following a link."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from bulkpatch.secrets.flaws import Unusable
from bulkpatch.secrets.values import VALUE_BYTES_MAX

PRIVATE_MODES = (0o600, 0o400)
"""Modes of a file that nobody else can read."""


def check_private(path: Path) -> None:
    """Raise ``Unusable`` unless ``path`` is a regular file of ours, no link, 0600 or 0400, neither empty nor large."""
    try:
        _judge(os.lstat(path))
    except OSError as error:
        raise Unusable("BP302", f"the file cannot be read ({os_word(error)})") from None


def read_private(path: Path) -> bytes:
    """Open it without following a link or waiting for a pipe, and judge what was opened."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        try:
            _judge(os.fstat(descriptor))
            return os.read(descriptor, VALUE_BYTES_MAX + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _link() from None
        raise Unusable("BP302", f"the file cannot be read ({os_word(error)})") from None


def os_word(error: OSError) -> str:
    """The system's word for ``error``, without a path."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _judge(found: os.stat_result) -> None:
    kind, mode = found.st_mode, stat.S_IMODE(found.st_mode)
    if stat.S_ISLNK(kind):
        raise _link()
    if not stat.S_ISREG(kind):
        word = "a folder" if stat.S_ISDIR(kind) else "no regular file"
        raise Unusable(
            "BP303", f"it is {word}", fix="Name a regular file. A pipe is read with fd:, a program with exec:."
        )
    if found.st_uid != os.geteuid():
        raise Unusable("BP303", "it belongs to another user", fix="Copy it to a file of your own, with mode 0600.")
    if mode not in PRIVATE_MODES:
        raise Unusable("BP303", f"its mode is {mode:04o}", fix="chmod 600 FILE")
    if found.st_size > VALUE_BYTES_MAX:
        words = f"it is larger than {VALUE_BYTES_MAX // 1024} KiB"
        raise Unusable("BP303", words, fix="Name a file that holds this one secret and nothing else.")
    if found.st_size == 0:
        raise Unusable("BP304", "it is empty")


def _link() -> Unusable:
    return Unusable("BP303", "it is a link", fix="Name the file that the link leads to.")
