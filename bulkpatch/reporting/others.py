"""What report writers of other packages add, once the report itself is written and whole."""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bulkpatch.plugins import Group, PluginFailed, flaw, installed
from bulkpatch.reporting.files import publish, workspace
from bulkpatch.reporting.group import scan

WRITER_S_MAX: Final = 600.0
"""Seconds that a writer has: a workbook of a million rows takes minutes, and a run's end should not wait for ever."""
FILES_MAX: Final = 100
"""Files that one leaves."""

_FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def write_others(
    folder: Path, writers: Sequence[str], outcomes: Path, facts: Mapping[str, Any], *, limit_s: float = WRITER_S_MAX
) -> tuple[str, ...]:
    """Let each of ``writers`` put files into a folder of its name in ``folder``; of each that did not, why.

    One is called with ``outcomes`` as a lazy frame, a copy of ``facts``, and an empty private folder. What it leaves
    there, plain files all, takes the place of what it left before, 0600 in a folder 0700; nothing else is touched.
    """
    asked = ((name, _flaw(folder, name, outcomes, facts, limit_s)) for name in writers)
    return tuple(f"report writer {name}: {words}" for name, words in asked if words)


def _flaw(folder: Path, name: str, outcomes: Path, facts: Mapping[str, Any], limit_s: float) -> str:
    if (lacking := flaw(Group.WRITERS, name)) is not None:
        return lacking[0]
    copy = json.loads(json.dumps(facts, default=str))
    try:
        with workspace(folder) as room:
            place = room / name
            place.mkdir(mode=0o700)
            installed(Group.WRITERS)[name].call(scan(outcomes), copy, place).result(limit_s)
            return _put(room, place, folder / name)
    except PluginFailed as failed:
        return f"it failed ({failed})"
    except TimeoutError:
        return f"it did not end within {limit_s:g} s"
    except KeyboardInterrupt:
        return "it was interrupted"
    except OSError as fault:
        return f"its files could not be kept: {os.strerror(fault.errno or 0).lower()}"


def _put(room: Path, place: Path, target: Path) -> str:
    """Put what was left in ``place`` at ``target``, all or nothing; why not, or nothing."""
    names = sorted(path.name for path in place.iterdir())
    if not names:
        return "it left no file"
    if len(names) > FILES_MAX:
        return f"it left more than {FILES_MAX} files"
    if not all(_FILE.fullmatch(name) and stat.S_ISREG((place / name).lstat().st_mode) for name in names):
        return "it left what is no plain file with a plain name"
    if os.path.lexists(target):
        target.rename(room / "before")
    target.mkdir(mode=0o700)
    publish(place, target, names)
    return ""
