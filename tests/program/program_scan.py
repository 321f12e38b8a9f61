"""Canary secrets, and a search for them in everything that a run leaves behind or shows."""

from __future__ import annotations

import base64
import html
import io
import json
import os
import random
import sqlite3
import tempfile
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from pathlib import Path

import polars as pl

ASCII = "Zq7Wm2xK9vTb4NcR8yHd3GfJ6sLp1AeU"
NASTY = "q\"a\\ss'é/+ &<wört"
API_KEY = "Kf4Xw8Rz2Mt6Hb9Yn3Qd7Jv5Ls1Pc0Ga"
"""As no pattern knows it: it is found by its value alone."""
WINDOW = 8
"""Bytes of the plain canaries that may not turn up: part of a secret is a secret."""


def pem() -> str:
    """About 4 KiB of key material, always the same."""
    draw = random.Random(7)  # noqa: S311  (a canary, not a key)
    lines = [base64.b64encode(draw.randbytes(48)).decode() for _ in range(62)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----"])


PEM = pem()
CANARIES = {"ascii": ASCII, "nasty": NASTY, "pem": PEM}


def in_base64(offset: int) -> Callable[[str], bytes]:
    """What is sure to stand in base64 of a text that holds the secret behind ``offset`` bytes."""

    def encode(value: str) -> bytes:
        whole = base64.b64encode(b"?" * offset + value.encode())
        return whole[-(-offset * 8 // 6) : (offset + len(value.encode())) * 8 // 6]

    return encode


def in_template(value: str) -> str:
    """HTML as template engines escape it: quotes by number."""
    return html.escape(value).replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


ENCODINGS: Mapping[str, Callable[[str], bytes]] = {
    "raw": str.encode,
    "json": lambda value: json.dumps(value)[1:-1].encode(),
    "json-utf8": lambda value: json.dumps(value, ensure_ascii=False)[1:-1].encode(),
    "url": lambda value: urllib.parse.quote(value, safe="").encode(),
    "form": lambda value: urllib.parse.urlencode({"": value})[1:].encode(),
    "html": lambda value: html.escape(value).encode(),
    "repr": lambda value: repr(value)[1:-1].encode(),
    "csv": lambda value: value.replace('"', '""').encode(),
    "utf-16le": lambda value: value.encode("utf-16-le"),
    "hex": lambda value: value.encode().hex().encode(),
    **{f"base64+{offset}": in_base64(offset) for offset in range(3)},
}
"""The forms in which a secret may stand nowhere; written apart from the program's own list, which they check."""


def needles() -> dict[bytes, str]:
    """Every byte string that may stand nowhere, and what it is."""
    found: dict[bytes, str] = {}
    for name, value in {**CANARIES, "key": API_KEY}.items():
        found.update((encode(value), f"{name} {encoding}") for encoding, encode in ENCODINGS.items())
        found[repr(value.encode())[2:-1].encode()] = f"{name} repr of bytes"
        found[in_template(value).encode()] = f"{name} html of a template"
    for name, value in (("ascii", ASCII), ("key", API_KEY)):
        raw = value.encode()
        found.update((raw[at : at + WINDOW], f"{name} part") for at in range(len(raw) - WINDOW + 1))
    found.update((line.encode(), "pem line") for line in PEM.split("\n")[1:-1])
    return found


NEEDLES = needles()


def leaks(artefacts: Mapping[str, bytes]) -> dict[str, str]:
    """Each artefact that shows a canary, and how."""
    return {
        name: next(what for needle, what in NEEDLES.items() if needle in document)
        for name, document in artefacts.items()
        if any(needle in document for needle in NEEDLES)
    }


def files_below(folder: Path) -> dict[str, bytes]:
    """Every file below ``folder`` as it lies there, and tables and databases also as the text that they hold."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = str(path.relative_to(folder.parent))
            with suppress(FileNotFoundError):
                found[name] = path.read_bytes()
                if path.suffix == ".parquet":
                    found[f"{name} (decoded)"] = decoded(found[name])
                if path.suffix == ".sqlite":
                    found[f"{name} (decoded)"] = dumped(path)
    return found


def decoded(parquet: bytes) -> bytes:
    """All that a Parquet file says, uncompressed."""
    return json.dumps(pl.read_parquet(io.BytesIO(parquet)).to_dicts(), default=str, ensure_ascii=False).encode()


def dumped(ledger: Path) -> bytes:
    """All that a database says, with the write-ahead log beside it; long values in one piece."""
    with tempfile.TemporaryDirectory() as aside:
        for path in ledger.parent.glob(f"{ledger.name}*"):
            Path(aside, path.name).write_bytes(path.read_bytes())
        with closing(sqlite3.connect(Path(aside, ledger.name))) as copy:
            copy.text_factory = bytes
            tables = [name.decode() for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            cells = (cell for table in tables for row in copy.execute(f"SELECT * FROM {table}") for cell in row)  # noqa: S608  (its own names)
            return b"\n".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in cells)


def family(pid: int) -> Iterable[int]:
    """``pid`` and every process that came from it."""
    yield pid
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield from family(int(child))


def command_lines(pid: int) -> dict[str, bytes]:
    """What ``ps`` shows of ``pid`` and of all that it started."""
    found: dict[str, bytes] = {}
    for one in family(pid):
        with suppress(FileNotFoundError, ProcessLookupError):
            found[f"command line of {'the program' if one == pid else 'its child'}"] = Path(
                f"/proc/{one}/cmdline"
            ).read_bytes()
    return found


def environments(pid: int) -> dict[str, bytes]:
    """The environment of what ``pid`` started, as the kernel keeps it; that of ``pid`` itself was given to it."""
    found: dict[str, bytes] = {}
    for one in family(pid):
        if one != pid:
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                found["environment of its child"] = Path(f"/proc/{one}/environ").read_bytes()
    return found


def private(path: Path, text: str) -> Path:
    """A file that nobody else can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return path
