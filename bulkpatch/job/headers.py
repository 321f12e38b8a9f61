"""The names of the columns: each there, once, without blanks around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from bulkpatch.errors import CODES, InvalidInput, Problem
from bulkpatch.job.findings import refuse
from bulkpatch.job.naming import shown
from bulkpatch.job.parts import COLUMNS_MAX


def check_names(names: Sequence[str], file: str, *, line: int | None = None) -> None:
    """Raise ``InvalidInput`` with all that is wrong with the names of one file's columns."""
    if len(names) > COLUMNS_MAX:
        refuse("BP211", f"more than {COLUMNS_MAX} columns", file=file, line=line)
    flaws = [(f"column {at} has no name", "") for at, name in enumerate(names, 1) if not name.strip()]
    flaws += [
        (f"the name of column {at} has blanks around it", f"did you mean {shown(name.strip())}?")
        for at, name in enumerate(names, 1)
        if name.strip() and name != name.strip()
    ]
    flaws += [
        (f"the column {shown(name)} stands {times} times", "")
        for name, times in Counter(names).items()
        if times > 1 and name
    ]
    flaws += [
        (f"the name of column {at} has a NUL or a line break", "")
        for at, name in enumerate(names, 1)
        if set(name) & {"\0", "\n", "\r"}
    ]
    if flaws:
        raise InvalidInput(
            [
                Problem(code="BP206", message=message, hint=hint or CODES["BP206"].fix, file=file, line=line)
                for message, hint in flaws
            ]
        )
