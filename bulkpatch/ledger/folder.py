"""Run folders: made private, found again by name, written without ever leaving half a file."""

from __future__ import annotations

import difflib
import os
import re
import secrets
import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.ledger.faults import disk_faults
from bulkpatch.ledger.opening import FILE, SEEDING

_ESCAPED = re.compile(r"\\([0-7]{3})")
"""How the kernel writes a blank, a tab, a line's end and a backslash in a path."""
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs", "afs", "ceph", "glusterfs", "lustre"})


def make_run_folder(report_dir: Path, job_name: str, at_us: int, suffix: str) -> Path:
    """``<job>-<UTC time>-<suffix>`` below ``report_dir``, mode 0700. Raises ``InvalidInput`` (BP122, BP609).

    A second that another run has in its name is passed over: by the names it is told which run is the latest.
    """
    at_s = at_us // 1_000_000
    try:
        report_dir.mkdir(parents=True, exist_ok=True)
        _check_parent(report_dir)
        while any(report_dir.glob(f"*-{(moment := _moment(at_s))}-*")):
            at_s += 1
        folder = report_dir / f"{job_name}-{moment}-{suffix}"
        folder.mkdir(mode=0o700)
        folder.chmod(0o700)
    except OSError as error:
        raise _refused("BP122", f"{report_dir} cannot be used: {os.strerror(error.errno or 0)}") from None
    return folder


def _moment(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y%m%dT%H%M%SZ")


def _check_parent(report_dir: Path) -> None:
    found = report_dir.stat()
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        raise _refused("BP122", f"others may write to {report_dir}, so they could change a run's files")
    if _file_system(report_dir) in _NETWORK:
        raise _refused("BP609", f"{report_dir} lies on a network file system")


def _refused(code: str, message: str) -> InvalidInput:
    return InvalidInput([Problem(code=code, message=message, hint="Use a folder of your own: --report-dir DIR.")])


def _file_system(path: Path) -> str:
    """The type of the file system that ``path`` lies on; empty where the system does not say."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
    except OSError:
        return ""
    return mounted_at(mounts, str(path.resolve()))


def mounted_at(mountinfo: str, target: str) -> str:
    """The type of the file system at ``target`` by proc_pid_mountinfo(5); of mounts on one point the last is on top."""
    best, kind = -1, ""
    for line in filter(None, mountinfo.split("\n")):
        before, _, after = line.partition(" - ")
        point = _ESCAPED.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
        if len(point) >= best and (target == point or target.startswith(point.rstrip("/") + "/")):
            best, kind = len(point), after.split(" ")[0]
    return kind


def list_runs(report_dir: Path) -> Sequence[Path]:
    """Every run folder, oldest first. Raises ``InvalidInput`` (BP122)."""
    try:
        runs = [entry for entry in report_dir.iterdir() if _holds_run(entry)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise _refused("BP122", f"{report_dir} cannot be used: {os.strerror(error.errno or 0)}") from None
    return sorted(runs, key=lambda folder: (folder.name.rsplit("-", 2)[-2:], folder.name))


def _holds_run(folder: Path) -> bool:
    """Whether ``folder`` is a run's. One that may not be looked into, such as another user's, is none of ours."""
    try:
        return (folder / FILE).exists() or (folder / SEEDING).exists()
    except OSError:
        return False


def resolve_run(report_dir: Path, name: str) -> Path:
    """The folder of ``name``: a run id, the unique beginning of one, a folder, or ``latest``."""
    runs = list_runs(report_dir)
    if name == "latest" and runs:
        return runs[-1]
    given = Path(name)
    if _holds_run(given):
        return given
    matching = [run for run in runs if run.name == name] or [run for run in runs if run.name.startswith(name)]
    if len(matching) == 1:
        return matching[0]
    near = difflib.get_close_matches(name, [run.name for run in runs], n=1, cutoff=0.5)
    words = f"{len(matching)} runs begin with {name}" if matching else f"no run {name} under {report_dir}"
    hint = f"Did you mean {near[0]}?" if near else "List the runs with: bulkpatch runs"
    raise InvalidInput([Problem(code="BP123", message=words, hint=hint)])


def write_private(path: Path, document: bytes) -> None:
    """Put ``document`` in place whole: written aside, fsynced, renamed, folder fsynced; mode 0600."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with disk_faults():
        descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor, not a path)
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            aside.rename(path)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
