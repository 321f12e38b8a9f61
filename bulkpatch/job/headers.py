"""The names of the columns: each there, once, and nothing in it that is not seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.findings import refuse
from bulkpatch.job.naming import shown
from bulkpatch.job.parts import COLUMNS_MAX


def check_names(names: Sequence[str], file: str, *, line: int | None = None) -> None:
    """Raise ``InvalidInput`` with all that is wrong with the names of one file's columns."""
    if len(names) > COLUMNS_MAX:
        refuse("BP211", f"more than {COLUMNS_MAX} columns", file=file, line=line)
    fix = CODES["BP206"].fix if line is not None else "Rename the column."
    problems = [
        Problem(code="BP206", message=message, hint=hint or fix, file=file, line=line)
        for message, hint in [*_flaws(names), *_twice(names)]
    ]
    if problems:
        raise InvalidInput(problems)


def _flaws(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Words and fix for each name that does not hold by itself."""
    for at, name in enumerate(names, 1):
        hidden = [f"U+{ord(char):04X}" for char in name.strip() if not char.isprintable()]
        if not name.strip():
            yield f"column {at} has no name", ""
        elif hidden:
            yield f"the name of column {at} has a character that is not seen: {hidden[0]}", ""
        elif name != name.strip():
            yield f"the name of column {at} has blanks around it", f"did you mean {shown(name.strip())}?"
        elif name == "*" or (name.startswith("^") and name.endswith("$")):
            yield f"the name of column {at} is a pattern (* or ^…$), which would stand for several columns", ""


def _twice(names: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name, times in Counter(names).items():
        if times > 1 and name.strip():
            yield f"the column {shown(name)} stands {times} times", ""
