"""Which reader a file takes, by the end of its name; what it really is, the reader looks for itself."""

from __future__ import annotations

from typing import Final

from bulkpatch.job.delimited import Delimited
from bulkpatch.job.findings import refuse
from bulkpatch.job.ndjson import Ndjson
from bulkpatch.job.parts import Reader
from bulkpatch.job.seal import Source
from bulkpatch.job.typed import Typed

_SEPARATORS: Final = {".csv": ",", ".tsv": "\t"}
_SHEETS: Final = frozenset({".xlsx", ".xls", ".xlsm", ".ods"})


def open_reader(source: Source, *, skip_blank_lines: bool) -> Reader:
    """The rows of ``source``. Raises ``InvalidInput`` if it is not what its name says."""
    suffix = source.suffix
    if suffix in _SEPARATORS:
        return Delimited(source, separator=_SEPARATORS[suffix], skip_blank_lines=skip_blank_lines)
    if suffix == ".ndjson":
        return Ndjson(source, skip_blank_lines=skip_blank_lines)
    if suffix in {".parquet", ".arrow"}:
        if source.packed:
            refuse("BP204", "compressed input (gzip) of a format that is compressed itself", file=source.shown)
        return Typed(source)
    hint = "Save the sheet as CSV UTF-8." if suffix in _SHEETS else "Name it .csv .tsv .parquet .ndjson or .arrow."
    refuse(
        "BP204",
        f"the name does not say a kind of file that is read ({suffix or 'no suffix'})",
        hint=hint,
        file=source.shown,
    )
