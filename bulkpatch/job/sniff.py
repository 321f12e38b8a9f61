"""What a file is by its first and last bytes, so that nothing is read as what it is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bulkpatch.job.findings import refuse

HEAD_BYTES: Final = 4096
"""Bytes looked at; every magic number stands in the first few, and the rest tells UTF-16 from text."""
UTF16_NUL_SHARE: Final = 0.2
"""Share of NULs from which text is taken for UTF-16 without a mark; ASCII in UTF-16 has one half."""
PARQUET_BYTES_MIN: Final = 12
"""Two magic numbers and the footer's length."""

GZIP: Final = b"\x1f\x8b"

_HTML: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|head|body|\?xml)", re.IGNORECASE)
_KINDS: Final[tuple[tuple[Callable[[bytes], object], str, str, str], ...]] = (
    (lambda head: head.startswith((b"\xff\xfe", b"\xfe\xff")), "BP203", "the file is UTF-16", "Save it as UTF-8."),
    (
        lambda head: head.startswith(GZIP),
        "BP204",
        "compressed input (gzip)",
        "Unpack it, or pass --decompress (limit 1 GiB).",
    ),
    (
        lambda head: head.startswith(b"PK\x03\x04"),
        "BP204",
        "this is a zip archive, perhaps an Excel workbook",
        "Save the sheet as CSV UTF-8.",
    ),
    (
        lambda head: head.startswith(b"\xd0\xcf\x11\xe0"),
        "BP204",
        "this is an old Excel workbook",
        "Save the sheet as CSV UTF-8.",
    ),
    (
        lambda head: head.startswith((b"BZh", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ")),
        "BP204",
        "compressed input",
        "Unpack it first.",
    ),
    (lambda head: head.startswith((b"PAR1", b"PARE")), "BP204", "this is Parquet", "Name the file .parquet."),
    (lambda head: head.startswith(b"ARROW1"), "BP204", "this is Arrow", "Name the file .arrow."),
    (lambda head: head.startswith(b"%PDF"), "BP204", "this is PDF", "Export the list as CSV."),
    (
        _HTML.match,
        "BP204",
        "this is HTML or XML, perhaps a login page",
        "Export the list as CSV; look at the file in a text editor.",
    ),
    (
        lambda head: head.count(0) > len(head) * UTF16_NUL_SHARE,
        "BP203",
        "the file looks like UTF-16 without a byte order mark",
        "Save it as UTF-8.",
    ),
)


def check_text_head(head: bytes, file: str) -> None:
    """Raise ``InvalidInput`` if a file that should be text begins like something else."""
    if not head.strip(b"\r\n\xef\xbb\xbf"):
        refuse("BP202", "the file is empty", file=file)
    for is_it, code, message, hint in _KINDS:
        if is_it(head):
            refuse(code, message, hint=hint, file=file)
    if b"\r" in head and b"\n" not in head and len(head) < HEAD_BYTES:
        refuse("BP212", "the lines end with CR alone", file=file)


def check_parquet(head: bytes, tail: bytes, file: str) -> None:
    """Raise ``InvalidInput`` unless the ends of the file are those of a whole, unencrypted Parquet file."""
    if b"PARE" in {head[:4], tail[-4:]}:
        refuse("BP220", "the Parquet file is encrypted", hint="Write it without encryption.", file=file)
    if len(head) < PARQUET_BYTES_MIN or head[:4] != b"PAR1" or tail[-4:] != b"PAR1":
        refuse("BP220", "the file is truncated, or not Parquet", file=file)


def check_arrow(head: bytes, tail: bytes, file: str) -> None:
    """Raise ``InvalidInput`` unless the ends of the file are those of a whole Arrow file."""
    if head.startswith(b"\xff\xff\xff\xff"):
        refuse("BP220", "this is an Arrow stream", hint="Write the file format of Arrow IPC.", file=file)
    if head[:6] != b"ARROW1" or tail[-6:] != b"ARROW1":
        refuse("BP220", "the file is truncated, or not Arrow", file=file)
