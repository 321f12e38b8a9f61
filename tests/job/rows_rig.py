"""What the tests of rows share: a job and its input written into a folder, opened, and what was said about them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
import pytest

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.load import load_job
from bulkpatch.job.parts import Reader
from bulkpatch.job.rows import Rows, RowsCheck, open_rows
from bulkpatch.job.seal import Source, find
from bulkpatch.model import Operation
from bulkpatch.secrets.rules import CellRules

FORMATS: Final = ("csv", "tsv", "ndjson", "parquet", "arrow")
LINED: Final = frozenset({"csv", "tsv", "ndjson"})
"""Formats in which a row has a line; the header of the first two is line 1."""
PASSWORD: Final = "postgres.password_auth.password"
SERVICE_KEY: Final = "bigquery.gcp_service_account_key.service_account_key"
CANARY: Final = "Zq7Wm2xK9vTb4NcR8yHd3GfJ6sLp1AeU"

Table = Mapping[str, Any]
"""Columns by name, each with its cells."""


def write_table(path: Path, table: Table) -> Path:
    """``table`` as the kind of file that ``path`` names; in text files a cell stands as it is, unquoted."""
    rows = list(zip(*table.values(), strict=True))
    match path.suffix:
        case ".csv" | ".tsv":
            separator = "," if path.suffix == ".csv" else "\t"
            lines = [table, *(["" if cell is None else str(cell) for cell in row] for row in rows)]
            path.write_bytes("".join(separator.join(line) + "\n" for line in lines).encode())
        case ".ndjson":
            lines_of_json = (json.dumps(dict(zip(table, row, strict=True)), ensure_ascii=False) for row in rows)
            path.write_bytes("".join(line + "\n" for line in lines_of_json).encode())
        case ".parquet":
            pl.DataFrame(table).write_parquet(path)
        case _:
            pl.DataFrame(table).write_ipc(path)
    return path


def write_job(folder: Path, path: str, *, options: str = "", patch: str = "", more: str = "") -> Path:
    """A job over ``path``; ``options`` are further lines of [input], ``patch`` those of [patch]."""
    job = folder / "job.toml"
    job.write_text(
        f'[job]\nname = "rows"\n{more}\n[input]\npath = {json.dumps(path)}\n{options}\n[patch]\n{patch}\n', "utf-8"
    )
    return job


def open_input(folder: Path, path: str, *, options: str = "", patch: str = "", more: str = "", **flags: Any) -> Rows:
    """The rows of a job over ``path``. Raises ``InvalidInput``."""
    job = load_job(write_job(folder, path, options=options, patch=patch, more=more))
    return open_rows(job, rules=CellRules(allow_short=job.secrets.allow_short), **flags)


def rows_of(folder: Path, content: str | bytes | Table, *, kind: str = "csv", **more: Any) -> Rows:
    """The rows of a job whose input is ``content``: a file as it stands, or a table. Raises ``InvalidInput``."""
    path = folder / f"input.{kind}"
    if isinstance(content, Mapping):
        write_table(path, content)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return open_input(folder, path.name, **more)


def check_of(folder: Path, content: str | bytes | Table, **more: Any) -> RowsCheck:
    """What a check of the rows found. Raises ``InvalidInput``."""
    return rows_of(folder, content, **more).check()


def problems_of(folder: Path, content: str | bytes | Table, **more: Any) -> tuple[Problem, ...]:
    """All that a check refuses."""
    try:
        check_of(folder, content, **more)
    except InvalidInput as refused:
        return refused.problems
    raise AssertionError("nothing was refused")


def problem_of(folder: Path, content: str | bytes | Table, **more: Any) -> Problem:
    """The one thing that a check refuses."""
    (problem,) = problems_of(folder, content, **more)
    return problem


def line_of(kind: str, row: int) -> int | None:
    """The line on which row ``row`` of a plain file stands."""
    return {"csv": row + 1, "tsv": row + 1, "ndjson": row}.get(kind)


def assert_told(  # noqa: PLR0913  (a problem is what it is made of)
    problem: Problem,
    code: str,
    words: str,
    *,
    fix: str = "",
    kind: str = "csv",
    line: int | None = None,
    row: int | None = None,
    column: str | None = None,
) -> None:
    """``problem`` has this code, says ``words`` and ``fix``, and names the file and exactly this place."""
    assert problem.code == code
    assert words in problem.message
    assert fix in problem.hint
    assert problem.hint
    assert Path(problem.file or "").name == f"input.{kind}"
    assert (problem.line, problem.row, problem.column_name) == (line, row, column)


def everything(problem: Problem) -> str:
    """All of ``problem`` that can be shown."""
    return repr(problem)


def all_operations(rows: Rows) -> list[Operation]:
    """Every row, compiled."""
    return [one for batch in rows.operations(lambda first, last: range(first, last + 1)) for one in batch]


def operations_of(folder: Path, content: str | bytes | Table, **more: Any) -> list[Operation]:
    """Every row of a checked input, compiled."""
    rows = rows_of(folder, content, **more)
    rows.check()
    return all_operations(rows)


def bodies_of(folder: Path, content: str | bytes | Table, **more: Any) -> list[str]:
    """What each row sends, below ``destination``, as it stands."""
    bodies = [one.body.decode() for one in operations_of(folder, content, **more)]
    assert all(body.startswith('{"destination":') for body in bodies)
    return [body.removeprefix('{"destination":')[:-1] for body in bodies]


def source_of(folder: Path, name: str) -> Source:
    """The one file of a job over ``name``."""
    (source,) = find(load_job(write_job(folder, name)), stdin=None, spool=None, decompress=False)
    return source


def cells_of(reader: Reader) -> Iterator[dict[str, Any]]:
    """Every row that ``reader`` finds, with the columns of row and line; whatever it reports is an error."""

    def fail(problem: Problem) -> None:
        raise AssertionError(everything(problem))

    for frame in reader.frames(reader.header.names, fail):
        yield from frame.iter_rows(named=True)


# ── frames ───────────────────────────────────────────────────────────────────────────────────

WINDOW: Final = 8
"""Characters of a secret that may not turn up."""


def width_of(text: str) -> int:
    """Columns in a terminal, by Unicode's own tables."""
    return sum(
        0 if unicodedata.category(one) in {"Mn", "Me"} else 1 + (unicodedata.east_asian_width(one) in {"W", "F"})
        for one in text
    )


def above_carets(frame: str) -> tuple[list[str], int]:
    """What stands in each line from the column of the carets on, and how many carets there are."""
    *lines, under = frame.split("\n")
    lead = under.index("^")
    cut = []
    for line in lines:
        found = [at for at in range(len(line) + 1) if width_of(line[:at]) == lead]
        cut.append(line[found[0] :])
    return cut, under.count("^")


def problems_raised(check: Callable[[], object]) -> Sequence[Problem]:
    """What ``check`` refuses."""
    with pytest.raises(InvalidInput) as caught:
        check()
    return caught.value.problems


def problem_raised(check: Callable[[], object]) -> Problem:
    """The one thing that it refuses."""
    (problem,) = problems_raised(check)
    return problem


def assert_hidden(problems: Sequence[Problem], *secrets: str) -> None:
    """No frame shows a part of a secret."""
    for problem in problems:
        for secret in secrets:
            parts = [secret[at : at + WINDOW] for at in range(max(1, len(secret) - WINDOW + 1))]
            assert not any(part in problem.frame for part in parts), problem.frame
