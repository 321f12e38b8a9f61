"""Where secrets lie: one small store per scheme, each with the same two questions."""

from __future__ import annotations

import errno
import os
import select
import shlex
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from bulkpatch.ports import Clock
from bulkpatch.secrets.references import Unusable, installed
from bulkpatch.secrets.values import VALUE_BYTES_MAX, decoded

ANSWER_S_MAX = 10.0
"""Seconds for a command or a pipe to give its value: a store that needs longer would stall the run."""

PRIVATE_MODES = (0o600, 0o400)
"""Modes of a file that nobody else can read."""

EXEC_ENVIRONMENT = ("PATH", "HOME", "LANG")
"""All that a command gets, besides what ``[secrets] exec_env`` names."""

Found: TypeAlias = tuple[str, str | None]
"""A value, and its version where the store has versions."""

ResolveMany: TypeAlias = Callable[[Sequence[str]], Mapping[str, Found]]
"""What an entry point of the group ``bulkpatch.secrets`` names: targets → value and version of each.

It may block and may be called from several threads; whatever it raises is told by its type only.
"""


class Store(Protocol):
    """One scheme. Both methods raise ``Unusable``."""

    def check(self, target: str) -> None:
        """Look whether ``target`` can be read later, without reading it."""
        ...

    def read(self, target: str) -> Found:
        """The value behind ``target`` as it stands now. May block for ``ANSWER_S_MAX``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """``env:NAME``. Reading takes the variable out, so that no child and no later library sees it."""

    environ: MutableMapping[str, str]

    def check(self, target: str) -> None:
        """The variable is set."""
        if target not in self.environ:
            raise Unusable("BP302", "the variable is not set")

    def read(self, target: str) -> Found:
        """Take it."""
        self.check(target)
        return self.environ.pop(target), None


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """``fd:N``, read to its end and closed.

    Only a descriptor that was handed to this process counts. Those it opened itself are not
    inheritable, so that no reference can read or close the ledger.
    """

    clock: Clock

    def check(self, target: str) -> None:
        """It is open, and was handed over."""
        try:
            handed_over = os.get_inheritable(int(target))
        except OSError:
            handed_over = False
        if not handed_over:
            raise Unusable("BP302", "no such descriptor was handed to this process")

    def read(self, target: str) -> Found:
        """Read and close it."""
        self.check(target)
        descriptor = int(target)
        try:
            raw = read_to_end(descriptor, self.clock, self.clock.monotonic() + ANSWER_S_MAX)
        except OSError as error:
            raise Unusable("BP302", f"the descriptor cannot be read ({_name(error)})") from None
        finally:
            if descriptor:
                os.close(descriptor)
        return decoded(raw), None


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateFile:
    """``file:PATH``, relative to the job's folder: a regular file of ours, no link, 0600 or 0400."""

    folder: Path

    def check(self, target: str) -> None:
        """It is there, private and not too large."""
        try:
            _check_private(os.lstat(self.folder / target))
        except OSError as error:
            raise Unusable("BP302", f"the file cannot be read ({_name(error)})") from None

    def read(self, target: str) -> Found:
        """Open it without following a link or waiting for a pipe, and judge what was opened."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        try:
            descriptor = os.open(self.folder / target, flags)
            try:
                _check_private(os.fstat(descriptor))
                raw = os.read(descriptor, VALUE_BYTES_MAX + 1)
            finally:
                os.close(descriptor)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise Unusable("BP303", "it is a link") from None
            raise Unusable("BP302", f"the file cannot be read ({_name(error)})") from None
        return decoded(raw), None


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """``exec:COMMAND``: no shell, nothing on stdin, stdout only, ended with all it started after 10 seconds."""

    folder: Path
    environ: Mapping[str, str]
    clock: Clock

    def check(self, target: str) -> None:
        """Its first word is a program."""
        program = shlex.split(target)[0]
        place = str(self.folder / program) if "/" in program else program
        if shutil.which(place, path=self.environ.get("PATH", os.defpath)) is None:
            raise Unusable("BP302", "the command is not found, or is no program")

    def read(self, target: str) -> Found:
        """Run it."""
        deadline_s = self.clock.monotonic() + ANSWER_S_MAX
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command, split without a shell
                shlex.split(target),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd=self.folder,
                env=self.environ,
                start_new_session=True,
            )
        except OSError as error:
            raise Unusable("BP306", f"the command does not start ({_name(error)})") from None
        return decoded(self._output(process, deadline_s)), None

    def _output(self, process: subprocess.Popen[bytes], deadline_s: float) -> bytes:
        finished = False
        try:
            assert process.stdout is not None  # noqa: S101 - PIPE was asked for
            raw = read_to_end(process.stdout.fileno(), self.clock, deadline_s)
            code = process.wait(max(0.0, deadline_s - self.clock.monotonic()))
            finished = True
        except subprocess.TimeoutExpired:
            raise Unusable("BP306", f"the command did not end within {ANSWER_S_MAX:g} s") from None
        finally:
            if not finished:
                # Not reaped yet, so the number still is this group's and nobody else's.
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if code != 0:
            raise Unusable("BP306", f"the command ended with exit code {code}")
        return raw


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """A scheme that another package brings; loaded when the first of its references is read."""

    scheme: str

    def check(self, target: str) -> None:
        """Only its form is known before it is asked."""

    def read(self, target: str) -> Found:
        """Ask the package."""
        try:
            resolve: ResolveMany = installed()[self.scheme].load()
            value, version = resolve([target])[target]
            return str.__str__(value), version
        except Exception as error:  # noqa: BLE001 - whatever another package raises, its message may hold a value
            raise Unusable("BP306", f"the store of {self.scheme}: failed ({type(error).__name__})") from None


def read_to_end(descriptor: int, clock: Clock, deadline_s: float) -> bytes:
    """What comes until the end of file; raises ``Unusable`` when that is too much or too late."""
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    raw = bytearray()
    while len(raw) <= VALUE_BYTES_MAX:
        left_ms = (deadline_s - clock.monotonic()) * 1000
        if left_ms <= 0 or not ready.poll(left_ms):
            raise Unusable("BP306", f"it gave no whole value within {ANSWER_S_MAX:g} s")
        chunk = os.read(descriptor, VALUE_BYTES_MAX)
        if not chunk:
            return bytes(raw)
        raw += chunk
    raise Unusable("BP304", f"its value is longer than {VALUE_BYTES_MAX // 1024} KiB")


def _check_private(found: os.stat_result) -> None:
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


def _name(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else type(error).__name__
