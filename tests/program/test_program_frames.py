"""Wrong rows on the screen: shown where they are wrong, in any terminal, and never with a secret."""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import pty
import struct
import subprocess
import termios
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from program_rig import PROGRAM, Bench
from program_scan import API_KEY, CANARIES, ENCODINGS, leaks

FIELD = "postgres.password_auth.password"
COLUMNS = ("destination_id", "customer", "postgres.port", "is_enabled", "name", FIELD)
ASKED: Sequence[Sequence[str]] = (
    ("check", "JOB"),
    ("check", "JOB", "-o", "json"),
    ("plan", "JOB", "--offline"),
    ("plan", "JOB", "--offline", "--json"),
    ("run", "JOB", "--yes", "-vvv"),
    ("run", "JOB", "--dry-run", "-q"),
)
"""Every way to be told of wrong rows."""


def job_of(bench: Bench, path: str, *, inline: bool) -> Path:
    """A rotation over ``path``."""
    bench.environ["PREQUEL_API_KEY"] = API_KEY
    return bench.write(
        "job.toml",
        f'[job]\nname = "rotate"\n[api]\nbase_url = "http://127.0.0.1:9"\n[input]\npath = "{path}"\n'
        f'labels = ["customer"]\ninline_secrets = {str(inline).lower()}\n[send]\nrate = "5/s"\n',
    )


def in_csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([COLUMNS, *rows])
    return text.getvalue()


def test_each_error_is_shown_where_it_is(bench: Bench) -> None:
    """Several in one file; as JSON stdout tells them without frames."""
    rows = [["d1", "acme", "54x2", "true", "n", "env:A"], ["d2", "漢字, Inc", "1", "maybe", "", "env:A"]]
    bench.write("fleet.csv", in_csv([*rows, ["d 3", "globex", "1", "true", "n", "env:A"]]))
    job = job_of(bench, "fleet.csv", inline=False)
    told = bench.run("check", job)
    assert told.code == 2
    assert told.err.count("^") == len("54x2" + "maybe" + "d 3")
    lines = told.err.splitlines()
    assert "  2 | d1,acme,54x2,true,n,•••" in lines
    assert lines[lines.index('  3 | d2,"漢字, Inc",1,maybe,,•••') + 1] == "    |                  ^^^^^"
    asked = bench.run("check", job, "-o", "json")
    errors = json.loads(asked.out)["errors"]
    assert [(one["row"], one["column_name"]) for one in errors] == [
        (1, "postgres.port"),
        (2, "is_enabled"),
        (3, "destination_id"),
    ]
    assert "^" not in asked.out
    assert "acme" not in asked.out


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_frames_fit_the_terminal(bench: Bench, columns: int) -> None:
    """A row that is much wider than it is cut around the cell, on a terminal of any width."""
    names = ["destination_id", *(f"label{at}" for at in range(60)), "postgres.port", "name"]
    row = ["d1", *(f"漢{at}" for at in range(60)), "54x2", "Acme"]
    bench.write("fleet.csv", ",".join(names) + "\n" + ",".join(row) + "\n")
    job = job_of(bench, "fleet.csv", inline=False)
    job.write_text(job.read_text().replace('["customer"]', json.dumps(names[1:61])))
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environ = {**os.environ, **bench.environ, "PYTHONIOENCODING": "utf-8"}
    child = subprocess.Popen([*PROGRAM, "check", str(job)], stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    os.close(theirs)
    said = b""
    with suppress(OSError):  # the kernel's word for: nobody writes any more
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert child.wait() == 2
    frame = [
        line.rstrip("\r")
        for line in said.decode().split("\n")
        if line[:5].rstrip("12 ") in {"|", "| "} or " | " in line
    ]
    head, quoted, under = frame[:3]
    assert max(len(line) + line.count("漢") for line in frame) <= columns
    at = under.index("^")
    assert under[at:].strip() == "^^^^"
    before = quoted[: quoted.index("54x2")]
    assert len(before) + before.count("漢") == at
    assert head[at:].startswith("postgr")


def rows_beside(name: str) -> list[list[str]]:
    """Rows with one mistake or another, the canary where it belongs, and where it strayed to."""
    secret = CANARIES[name]
    return [
        ["d1", "acme", "54x2", "true", "n", secret],
        ["d2", "acme", "54x2", "true", "n", f"value:{secret}"],
        ["d 3", "acme", "1", "true", "n", secret],
        ["d4", "acme", "1", "maybe", secret, ""],
        ["d5", secret, "1", "maybe", "n", secret],
        ["d6", "acme", secret, "true", "n", ""],
        ["d7", "acme", "1", secret, "n", "x"],
        ["d8", "acme", "1", "true", secret],
        ["d9", "acme", "1", "maybe", "n", "env:A", secret],
        ["d10", "Acme", " Inc", "54x2", "true", secret],
        ["d11", "acme", "54x2", "true", "n", "env:A"],
    ]


@pytest.mark.proves("G7")
@pytest.mark.parametrize("kind", ["csv", "ndjson", "parquet"])
@pytest.mark.parametrize("inline", [False, True])
def test_no_secret_beside_a_mistake_is_on_any_screen(
    bench: Bench, kind: str, cases: Callable[[int], None], *, inline: bool
) -> None:
    """Each canary in each place, told in two ways, all together in every way; the rows that may be seen are."""
    path = bench.folder / f"fleet.{kind}"
    for turn, name in enumerate(CANARIES):
        rows, asked = rows_beside(name), ASKED[turn::3]
        even = [dict(zip(COLUMNS, row, strict=True)) for row in rows if len(row) == len(COLUMNS)]
        match kind:
            case "csv":
                path.write_text(in_csv(rows), newline="")
            case "ndjson":
                path.write_text("".join(json.dumps(row) + "\n" for row in even))
            case _:
                pl.DataFrame(even).write_parquet(path)
        job = job_of(bench, path.name, inline=inline)
        for arguments in asked:
            ended = bench.run(*(str(job) if one == "JOB" else one for one in arguments))
            assert ended.code == 2, ended.err
            assert "54x2" in ended.err
            assert ended.err.count(" | ") > len(even)
            assert leaks({"stdout": ended.out.encode(), "stderr": ended.err.encode()}) == {}
    cases(len(CANARIES) * len(rows) * len(asked) * len(ENCODINGS))
