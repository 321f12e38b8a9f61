"""The rows of a job's input: checked once as a whole, then compiled as they are asked for. Never all in memory."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import polars as pl

from bulkpatch.errors import InvalidInput, Problem
from bulkpatch.job.bodies import Compiler
from bulkpatch.job.cells import CellChecks
from bulkpatch.job.columns import Layout, check_columns, lay_out
from bulkpatch.job.duplicates import IdIndex, settle
from bulkpatch.job.findings import Gathered, Report, refuse
from bulkpatch.job.parts import ROW, Reader
from bulkpatch.job.readers import open_reader
from bulkpatch.job.row_frames import RowFrames
from bulkpatch.job.seal import STDIN, Source, find, keep
from bulkpatch.job.secret_cells import SecretCells
from bulkpatch.job.selection import Condition
from bulkpatch.job.spec import Job
from bulkpatch.job.text import as_text, texts
from bulkpatch.model import InputFile, Operation, SeedRow, credential_of
from bulkpatch.ports import SecretRules

SLICE_ROWS: Final = 1_000
"""Rows compiled at once: some milliseconds, for which the ledger's thread waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCheck:
    """What a check of all rows found, apart from errors.

    ``rows`` are taken, ``left_out`` are not (by ``where`` or a limit); ``duplicates`` share the request
    of a row before them. ``fields`` counts the rows that set each field path.
    """

    rows: int
    duplicates: int
    left_out: int
    fields: Mapping[str, int]
    references: int
    warnings: tuple[Problem, ...]


def open_rows(  # noqa: PLR0913  (what a caller may decide about the reading)
    job: Job,
    *,
    rules: SecretRules,
    stdin: BinaryIO | None = None,
    spool: Path | None = None,
    limit: int | None = None,
    skip_blank_lines: bool = False,
    decompress: bool = False,
) -> Rows:
    """The input of ``job``, found and opened; its headers are checked. Raises ``InvalidInput``."""
    sources = find(job, stdin=stdin, spool=spool, decompress=decompress)
    readers = [open_reader(source, skip_blank_lines=skip_blank_lines) for source in sources]
    headers = [reader.header for reader in readers]
    condition = Condition(job.input.where, headers[0])
    asked = [*condition.columns, *(wave.by for wave in job.waves if wave.by is not None)]
    asked += [name for wave in job.waves for name in Condition(wave.where, headers[0], key="[[wave]] where").columns]
    layout = lay_out(job, headers[0])
    problems, sound = check_columns(job, headers, layout, tuple(dict.fromkeys(asked)))
    secret_cells = SecretCells(rules, inline=job.input.inline_secrets)
    frames = RowFrames(layout, readers, asked=asked, secret_cells=secret_cells)

    def rows(layout: Layout) -> Rows:
        return Rows(
            job, sources, readers, layout, condition=condition, secret_cells=secret_cells, limit=limit, frames=frames
        )

    if problems:
        gathered = Gathered()
        for problem in problems:
            gathered.report(problem)
        gathered.end_stretch()
        looked = rows(sound or layout)
        if sound is not None:
            looked.look(gathered, whole=False)
        gathered.raise_if_any(looked.drawn)
    return rows(layout)


class Rows:
    """ports.Source over the input files. Row numbers count the data rows of all files, from 1."""

    def __init__(  # noqa: PLR0913  (the parts that open_rows makes)
        self,
        job: Job,
        sources: Sequence[Source],
        readers: Sequence[Reader],
        layout: Layout,
        *,
        condition: Condition,
        secret_cells: SecretCells,
        limit: int | None,
        frames: RowFrames,
    ) -> None:
        self._job = job
        self._row_frames = frames
        self._sources = sources
        self._readers = readers
        self._layout = layout
        self._condition = condition
        self._secret_cells = secret_cells
        self._limit = limit
        self._compiler = Compiler(layout, null=job.input.null, secret_cells=secret_cells)
        self._ends: list[int] = []
        self._checked: RowsCheck | None = None
        self._leads: Mapping[int, int] = {}
        self._sha256: str | None = None
        self._digests: tuple[str, ...] | None = None

    # ── what the input is ────────────────────────────────────────────────────────────────────

    @property
    def label_names(self) -> tuple[str, ...]:
        """The labels of each row, in order."""
        return self._layout.labels

    @property
    def seal(self) -> tuple[InputFile, ...]:
        """The files as they are now, by content."""
        if self._digests is None:
            inline = self._job.input.inline_secrets
            self._digests = tuple(self._blanked(at) if inline else one.digest() for at, one in enumerate(self._sources))
        return tuple(one.sealed(digest) for one, digest in zip(self._sources, self._digests, strict=True))

    @property
    def input_sha256(self) -> str:
        """One hash over all files; with inline secrets over size, time and all that is no secret."""
        if self._sha256 is None:
            whole = hashlib.sha256()
            for file in self.seal:
                whole.update(bytes.fromhex(file.sha256))
            self._sha256 = self.seal[0].sha256 if len(self.seal) == 1 else whole.hexdigest()
        return self._sha256

    def _blanked(self, at: int) -> str:
        """The hash of a file whose cells of secret fields are left out: nothing may be derived from these."""
        source, reader = self._sources[at], self._readers[at]
        kept = [name for name in reader.header.names if name not in self._layout.secret]
        digest = hashlib.sha256(json.dumps([source.size, source.mtime_ns, list(reader.header.names)]).encode())
        for frame in reader.frames(kept, lambda _: None):
            for cells in as_text(frame).select(kept).iter_rows():
                digest.update(json.dumps(cells).encode())
        return digest.hexdigest()

    def keep_stdin(self, path: Path) -> None:
        """If the input is standard input, keep it at ``path``, 0600, for a resume. Raises ``OSError``."""
        if self._job.input.path == STDIN:
            keep(self._sources[0], path)

    # ── every row, once ──────────────────────────────────────────────────────────────────────

    def check(self) -> RowsCheck:
        """Go through every row. Raises ``InvalidInput`` with all that is wrong. The second call costs nothing."""
        if self._checked is None:
            self._checked = self._check()
        return self._checked

    def _check(self) -> RowsCheck:
        gathered = Gathered()
        checks, rows = self.look(gathered, whole=True)
        gathered.raise_if_any(self.drawn)
        if not rows:
            file = self._readers[0].header.file
            refuse("BP223", "where leaves out every row", file=file) if self._ends[-1] else refuse(
                "BP202", "there is no row below the header", file=file
            )
        own = {*self._layout.constants, *(one.path for one in self._layout.templates)}
        counts = {path: count for path, count in checks.counts.items() if count} | dict.fromkeys(own, rows)
        return RowsCheck(
            rows=rows,
            duplicates=len(self._leads),
            left_out=self._ends[-1] - rows,
            fields=dict(sorted(counts.items())),
            references=checks.references,
            warnings=tuple(gathered.warnings),
        )

    def look(self, gathered: Gathered, *, whole: bool) -> tuple[CellChecks, int]:
        """Go through every row once and gather what is wrong; returns the checks and the number of rows that are taken.

        Not ``whole``: parts of the layout are left out, so that nothing can be said of bodies as such.
        """
        checks = CellChecks(
            self._layout,
            null=self._job.input.null,
            secret_cells=self._secret_cells,
            report=gathered.report,
            whole=whole,
        )
        index, rows = IdIndex(), 0
        try:
            for at, frame in self._frames(self._layout.names, gathered.report):
                checks.check(frame, self._readers[at].header.file)
                gathered.end_stretch()
                index.add(frame, self._layout.id)
                rows += frame.height
        except InvalidInput as ended:
            for problem in ended.problems:
                gathered.report(problem)
            whole = False
        gathered.end_stretch()
        if whole and not gathered.omitted:
            flawed = {problem.row for problem in gathered.errors}
            suspects = index.suspects() - flawed
            self._leads = self._settled(suspects, gathered) if suspects else {}
        return checks, rows

    def drawn(self, problems: Sequence[Problem]) -> Sequence[Problem]:
        """``problems``, which ``look`` gathered, with frames."""
        return self._row_frames.drawn(problems, self._ends)

    def _settled(self, suspects: Container[int], gathered: Gathered) -> Mapping[int, int]:
        """The leads of rows with the same id and body; different bodies are reported."""
        chosen = self.operations(lambda first, last: [row for row in range(first, last + 1) if row in suspects])
        return settle(chosen, file_of=self.file_of, report=gathered.report)

    def operations(self, wanted: Callable[[int, int], Sequence[int]]) -> Iterator[Sequence[Operation]]:
        """See ports.Source."""
        for _, whole in self._frames(self._layout.names, _ignored):
            for frame in whole.iter_slices(SLICE_ROWS):
                numbers = frame[ROW]
                rows = wanted(numbers[0], numbers[-1])
                # Of a run that is resumed most slices may be settled: they are not even looked through.
                yield self._compiler.operations(frame.filter(numbers.is_in(rows))) if rows else []

    def seed_rows(self) -> Iterator[Sequence[SeedRow]]:
        """Every row as the ledger first learns of it."""
        self.check()
        for batch in self.operations(lambda first, last: range(first, last + 1)):
            yield [
                SeedRow(
                    row=one.row,
                    destination_id=one.destination_id,
                    digest=one.digest,
                    fields=one.fields,
                    labels=one.labels,
                    lead=self._leads.get(one.row),
                    credential=credential_of(one),
                )
                for one in batch
            ]

    @property
    def followers(self) -> Collection[int]:
        """The rows that share the request of a row before them."""
        return self._leads.keys()

    def matching(self, where: str) -> frozenset[int]:
        """The rows for which the SQL condition ``where`` holds, too."""
        condition = Condition(where, self._readers[0].header)
        found: list[int] = []
        for _, frame in self._frames(condition.columns, _ignored, also=condition):
            found += frame[ROW]
        return frozenset(found)

    def values_of(self, column: str) -> Mapping[int, str | None]:
        """The cell of ``column`` in each row, as text."""
        found: dict[int, str | None] = {}
        for _, frame in self._frames([column], _ignored):
            found.update(zip(frame[ROW].to_list(), frame[column].to_list(), strict=True))
        return found

    def sample(self, count: int) -> Sequence[Operation]:
        """The first ``count`` operations."""
        for frame in islice((frame for _, frame in self._frames(self._layout.names, _ignored) if frame.height), 1):
            return self._compiler.operations(frame.head(count))
        return []

    def cells(
        self, wanted: Callable[[int, int], Sequence[int]]
    ) -> tuple[Sequence[str], Iterator[tuple[int, Sequence[str]]]]:
        """The names of all columns, and of the rows that ``wanted`` names the cells as they stood.

        Inline secrets stand as ``<redacted>``.
        """
        names = self._readers[0].header.names
        return names, self._cells(names, wanted)

    def _cells(
        self, names: Sequence[str], wanted: Callable[[int, int], Sequence[int]]
    ) -> Iterator[tuple[int, Sequence[str]]]:
        secret = self._layout.secret
        for _, whole in self._frames(names, _ignored):
            rows = whole[ROW]
            frame = whole.filter(rows.is_in(wanted(rows[0], rows[-1])))
            columns = [
                [self._secret_cells.shown(text, null=self._job.input.null) for text in texts(frame, name)]
                if name in secret
                else texts(frame, name)
                for name in names
            ]
            yield from zip(frame[ROW].to_list(), zip(*columns, strict=True), strict=True)

    def _frames(
        self, columns: Sequence[str], report: Report, *, also: Condition | None = None
    ) -> Iterator[tuple[int, pl.DataFrame]]:
        """Frames of text with at least one row for which ``also`` holds, and the index of the file of each."""
        needed = tuple(dict.fromkeys([*columns, *self._condition.columns]))
        left = self._limit
        before = 0
        ends: list[int] = []
        for at, reader in enumerate(self._readers):
            end = before
            for frame in reader.frames(needed, report):
                if not frame.height:
                    continue
                numbered = frame.with_columns(pl.col(ROW) + before)
                end = numbered[ROW][-1]
                taken = self._condition.applied(numbered)
                if left is not None:
                    taken = taken.head(left)
                    left -= taken.height
                if also is not None:
                    taken = also.applied(taken)
                if taken.height:
                    yield at, as_text(taken)
            ends.append(end)
            before = end
        self._ends = ends

    def file_of(self, row: int) -> str:
        """The file that a row stands in, as messages name it."""
        return self._readers[min(bisect_right(self._ends, row - 1), len(self._readers) - 1)].header.file


def _ignored(_: Problem) -> None:
    """What a check has reported already."""
