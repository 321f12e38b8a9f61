"""What is wrong with a job, gathered while all of it is checked, so that one look mends everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NoReturn, TypeAlias

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.frames import one_line
from bulkpatch.job.positions import JobSource
from bulkpatch.job.spec import KeyPath, Origin

Report: TypeAlias = Callable[[Problem], None]
"""Where a problem goes that does not end the reading."""

PROBLEMS_MAX: Final = 1_000
"""Problems that are listed, and warnings; beyond them they are counted. Nobody mends a thousand by hand."""
STRETCH_PROBLEMS_MAX: Final = 100_000
"""Problems that are held to be put in order; a stretch of rows that are all wrong, several times over, has fewer."""


def refuse(code: str, message: str, *, hint: str = "", file: str | None = None, line: int | None = None) -> NoReturn:
    """Raise ``InvalidInput`` with one problem; without ``hint`` the code's own fix is given."""
    raise InvalidInput([Problem(code=code, message=message, hint=hint or CODES[code].fix, file=file, line=line)])


class Gathered:
    """What is wrong with one input: told column by column and stretch by stretch, listed as it stands in the files."""

    def __init__(self) -> None:
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []
        self.omitted = 0
        self._stretch: list[Problem] = []

    def report(self, problem: Problem) -> None:
        """Take note of ``problem``."""
        if not problem.warning:
            self._stretch.append(problem)
            if len(self._stretch) == STRETCH_PROBLEMS_MAX:
                self.end_stretch()
        elif len(self.warnings) < PROBLEMS_MAX:
            self.warnings.append(problem)

    def end_stretch(self) -> None:
        """What was told since the last call lies before all that will be: put it in the order of its lines."""
        self._stretch.sort(key=lambda problem: problem.line or problem.row or 0)
        free = PROBLEMS_MAX - len(self.errors)
        self.errors += self._stretch[:free]
        self.omitted += len(self._stretch[free:])
        self._stretch.clear()

    def raise_if_any(self, drawn: Callable[[Sequence[Problem]], Sequence[Problem]]) -> None:
        """Raise ``InvalidInput`` with all errors, by file and line; files are read in order of their names.

        ``drawn`` adds the frames.
        """
        self.end_stretch()
        if self.errors:
            errors = sorted(self.errors, key=lambda problem: (problem.file or "", problem.line or problem.row or 0))
            raise InvalidInput(drawn(errors), omitted=self.omitted)


class Findings:
    """The problems of one job. ``overrides`` are the settings that came from elsewhere: these have no place in it."""

    def __init__(self, source: JobSource, overrides: Mapping[KeyPath, Origin]) -> None:
        self._source = source
        self._overrides = overrides
        self._problems: list[Problem] = []
        self._omitted = 0
        self.tables: set[str] = set()
        """The tables of the job in which something does not hold."""

    @property
    def full(self) -> bool:
        """Whether further problems are counted only."""
        return len(self._problems) == PROBLEMS_MAX

    def add(self, code: str, path: KeyPath, words: str, hint: str = "", on: Literal["key", "value"] = "value") -> None:
        """Take note that ``path`` does not hold. Neither ``words`` nor ``hint`` may show its value."""
        hint = hint or CODES[code].fix
        self.tables.add(str(path[0]) if path else "")
        if self.full:
            self._omitted += 1
        elif (origin := self._overrides.get(path[:2])) is None:
            self._problems.append(self._source.problem(code, path, f"{label(path)}: {words}", hint, on))
        else:
            message = f"{label(path)}, set by {origin.source}: {words}"
            self._problems.append(Problem(code=code, message=message, hint=hint))

    def place(self, path: KeyPath) -> str:
        """``path`` and its line, for a message about another place."""
        span = self._source.locate(path)
        return label(path) if span is None else f"{label(path)} (line {span.line})"

    def raise_if_any(self) -> None:
        """Raise ``InvalidInput`` with all problems, by line; those without one come first."""
        if self._problems:
            raise InvalidInput(sorted(self._problems, key=by_place), omitted=self._omitted)


def by_place(problem: Problem) -> tuple[int, int]:
    """A key to sort the problems of one file by; those without a place come first."""
    return problem.line or 0, problem.column or 0


def label(path: KeyPath) -> str:
    """``("wave", 0, "gate", "soak")`` → ``[[wave]] 1 gate.soak``."""
    if not path:
        return "the job"
    section, rest = f"[{path[0]}]", path[1:]
    if path[0] == "wave":
        section = "[[wave]]"
        if rest and isinstance(rest[0], int):
            section, rest = f"[[wave]] {rest[0] + 1}", rest[1:]
    names = "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in rest)
    return one_line(f"{section} {names.removeprefix('.')}".rstrip())
