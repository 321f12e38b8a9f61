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
            raise Unusable("BP303", "it is a link") from None
        raise Unusable("BP302", f"the file cannot be read ({os_word(error)})") from None


def os_word(error: OSError) -> str:
    """The system's word for ``error``, without a path."""
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _judge(found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise Unusable("BP303", "it is a link")
    if not stat.S_ISREG(found.st_mode):
        raise Unusable("BP303", "it is no regular file")
    if found.st_uid != os.geteuid():
        raise Unusable("BP303", "it belongs to another user")
    if stat.S_IMODE(found.st_mode) not in PRIVATE_MODES:
        raise Unusable("BP303", f"its mode is {stat.S_IMODE(found.st_mode):04o}")
    if found.st_size > VALUE_BYTES_MAX:
        raise Unusable("BP303", f"it is larger than {VALUE_BYTES_MAX // 1024} KiB")
    if found.st_size == 0:
        raise Unusable("BP304", "it is empty")
