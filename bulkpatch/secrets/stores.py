"""Where secrets lie: one small store per scheme, each with the same two questions."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from bulkpatch.plugins import Group, PluginFailed, installed
from bulkpatch.ports import Clock
from bulkpatch.secrets.commands import read_to_end, run
from bulkpatch.secrets.files import check_private, os_word, read_private
from bulkpatch.secrets.flaws import Unusable, shown
from bulkpatch.secrets.forms import EXTRAS
from bulkpatch.secrets.kinds import ANSWER_S_MAX, Answer, Found, Kind, Reader, ResolveMany, Surroundings
from bulkpatch.secrets.pace import Pace, ReadLimit
from bulkpatch.secrets.values import decoded

EXEC_ENVIRONMENT = ("PATH", "HOME", "LANG")
"""All that a command gets, besides what ``[secrets] exec_env`` names."""


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
            raise Unusable("BP302", "the variable is not set", fix=f"Set it: export {shown(target)}=…")

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
            raise Unusable("BP302", f"the descriptor cannot be read ({os_word(error)})") from None
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
        check_private(self.folder / target)

    def read(self, target: str) -> Found:
        """Judge what was opened, not what lay there before."""
        return decoded(read_private(self.folder / target)), None


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
        ran = run(shlex.split(target), folder=self.folder, environ=self.environ, clock=self.clock)
        if ran.code != 0:
            raise Unusable("BP306", f"the command ended with exit code {ran.code}")
        return decoded(ran.output), None


class Installed:
    """A scheme that a package brings. Another one's is loaded when the first of its references is read."""

    def __init__(
        self, scheme: str, *, environ: Mapping[str, str], folder: Path, clock: Clock, limit: ReadLimit | None
    ) -> None:
        self._scheme = scheme
        self._environ = environ
        self._folder = folder
        self._clock = clock
        self._limit = limit
        self._opening = Lock()
        self._reader: Reader | None = None
        self._pace: Pace | None = None
        self.batch_max = 1

    def check(self, target: str) -> None:
        """What can be known without asking; of another package's scheme, nothing."""
        if self._scheme not in EXTRAS:
            return
        try:
            self._open().check(target)
        except Unusable:
            raise
        except Exception as error:  # noqa: BLE001 - a library's message may hold a value
            raise self._failed(error) from None

    def read(self, target: str) -> Found:
        """Ask the package for one."""
        answer = self.read_many([target])[target]
        if isinstance(answer, Unusable):
            raise answer
        return answer

    def read_many(self, targets: Sequence[str]) -> dict[str, Answer]:
        """Ask the package. Each target has its answer, whatever the package does."""
        try:
            told = self._open().read(targets)
        except Exception as error:  # noqa: BLE001 - whatever another package raises, its message may hold a value
            flaw = error if isinstance(error, Unusable) else self._failed(error)
            return dict.fromkeys(targets, flaw)
        return {target: self._answer(told, target) for target in targets}

    def close(self) -> None:
        """Let whoever waits for the read limit go, and connections too."""
        with self._opening:
            if self._pace is not None:
                self._pace.stop()
            if self._reader is not None:
                self._reader.close()

    def _answer(self, told: Mapping[str, Answer], target: str) -> Answer:
        try:
            answer = told[target]
            if isinstance(answer, Unusable):
                return answer
            value, version = answer
            return str.__str__(value), None if version is None else str(version)
        except Exception as error:  # noqa: BLE001 - an answer of another shape, from another package
            return self._failed(error)

    def _open(self) -> Reader:
        with self._opening:
            if self._reader is None:
                brought = installed(Group.SECRETS)[self._scheme].load()
                kind = brought if isinstance(brought, Kind) else Kind(open=lambda around: _Plain(brought, around))
                self._pace = Pace(self._limit or kind.limit, self._clock)
                around = Surroundings(environ=self._environ, folder=self._folder, clock=self._clock, pace=self._pace)
                self._reader = kind.open(around)
                self.batch_max = kind.batch_max
            return self._reader

    def _failed(self, error: Exception) -> Unusable:
        why = str(error) if isinstance(error, PluginFailed) else type(error).__name__
        return Unusable("BP306", f"the store of {self._scheme}: failed ({why})")


class _Plain:
    """A package that brings a function only."""

    def __init__(self, resolve: ResolveMany, around: Surroundings) -> None:
        self._resolve = resolve
        self._pace = around.pace

    def check(self, target: str) -> None:
        """Only its form is known before it is asked."""

    def read(self, targets: Sequence[str]) -> Mapping[str, Answer]:
        """Ask it."""
        for _ in targets:
            self._pace.take()
        return self._resolve(targets)

    def close(self) -> None:
        """Nothing of it is open here."""
