"""A disk of the test's own, small and real, that can be filled to its last byte."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from program_rig import Bench

CHUNK_BYTES = 4096


@contextmanager
def small_disk(bench: Bench, mib: int) -> Iterator[Path]:
    """The report folder of ``bench`` lies on a disk of ``mib``. Skips where only a superuser could mount one."""
    bench.reports.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(bench.reports)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a disk of its own takes a superuser who may mount: no real full disk here")
    try:
        yield bench.reports
    finally:
        subprocess.run(["umount", "--lazy", str(bench.reports)], check=True)


def remount(disk: Path, how: str) -> None:
    """From now on it can be read only (``ro``), or written as well (``rw``)."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


def fill(disk: Path) -> Path:
    """Leave no byte on ``disk``; the file that took them."""
    filler = disk / "filler"
    descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for size in (1024 * CHUNK_BYTES, CHUNK_BYTES):
            while True:
                os.write(descriptor, bytes(size))
    except OSError as full:
        if full.errno != errno.ENOSPC:
            raise
    finally:
        os.close(descriptor)
    return filler
