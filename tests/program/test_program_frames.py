"""Rows that do not hold, on the screen: each is shown with its cell underlined, as wide as the terminal is."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import termios
from pathlib import Path

import pytest
from program_rig import Bench
from rich.cells import cell_len

COLUMNS = [f"label_{number}" for number in range(60)]
ROWS = {
    "id-a": ("Lager", ["x" * 30] * 60, "yes", "env:PW"),
    "id-b": ('"Lager, 東京"', ["倉庫"] * 60, "true", "s3cr3t-of-b"),
    "id/c": ("\x1b[31mrot\x1b[0m", [""] * 60, "true", "env:PW"),
}


def wrong_rows(bench: Bench) -> Path:
    """A job whose input has a wrong flag, a secret where a reference belongs, and a wrong id."""
    head = ["destination_id", "name", *COLUMNS, "is_enabled", "postgres.password_auth.password"]
    lines = [head, *([one, name, *labels, flag, secret] for one, (name, labels, flag, secret) in ROWS.items())]
    bench.write("rows.csv", b"\xef\xbb\xbf" + "\r\n".join(",".join(line) for line in lines).encode())
    return bench.write(
        "job.toml", f'[job]\nname = "wrong"\n[input]\npath = "rows.csv"\nlabels = {json.dumps(COLUMNS)}\n'
    )


def frames(screen: str) -> list[list[str]]:
    """The lines of each frame: what stands between a place and its fix."""
    blocks = [block.split("\n") for block in screen.replace("\r\n", "\n").split("\n\n") if "error[" in block]
    return [[line for line in block if " | " in line or line.rstrip().endswith("|")] for block in blocks]


def test_every_error_is_shown_where_it_stands(bench: Bench) -> None:
    """Wherever commands read rows; beside a reference all is seen, beside a secret only what is none."""
    job = wrong_rows(bench)
    ended = bench.run("check", job)
    assert ended.code == 2
    flag, secret, name = frames(ended.err)
    assert [line.partition("|")[0].strip() for line in flag] == ["1", "2", ""]
    assert flag[1].endswith("xxxxxx,yes,•••")
    assert flag[0][flag[1].index("yes,") :].startswith("is_enabled,")
    assert flag[2].index("^") == flag[1].index("yes,")
    assert secret[1].endswith(",•••,•••,•••,true,•••")
    assert secret[2].count("^") == len("•••")
    assert name[1].startswith("  4 | id/c,\\x1b[31mrot\\x1b[0m,,,")
    assert name[2].rstrip().endswith("| ^^^^")
    for other in (("plan", job, "--offline"), ("run", job, "--yes"), ("check", job, "-o", "json")):
        again = bench.run(*other)
        assert again.code == 2
        assert [frame for frame in frames(again.err) if frame] == [flag, secret, name]
        assert "^^" not in again.out
    assert "s3cr3t" not in ended.out + ended.err


def on_terminal(bench: Bench, columns: int, *arguments: str | Path) -> str:
    """What the program says on a terminal that is so wide."""
    keyboard, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    child = bench.start(*arguments, stderr=terminal)
    os.close(terminal)
    said = b""
    try:
        while data := os.read(keyboard, 65536):
            said += data
    except OSError:
        pass  # the terminal went with the last who had it
    finally:
        os.close(keyboard)
    assert child.wait().code == 2
    return said.decode()


@pytest.mark.parametrize("columns", [30, 40, 80, 200])
def test_a_frame_is_as_wide_as_the_terminal(bench: Bench, columns: int) -> None:
    """Of rows and of the job file; the cell is in it, below its name."""
    flag, secret, name = frames(on_terminal(bench, columns, "check", wrong_rows(bench)))
    for frame in (flag, secret, name):
        assert all(cell_len(line) <= columns for line in frame)
        assert max(map(cell_len, frame)) > min(columns, 80) - 20
    assert flag[2].index("^") == flag[1].index("yes,") == flag[0].index("is_enabled"[: columns // 4])
    bench.write("job.toml", f'[job]\nname = "x"\n[input]\npath = "rows.csv"\nlabels = {json.dumps(COLUMNS)[:-1]}, 5]\n')
    (job,) = frames(on_terminal(bench, columns, "check", "job.toml"))
    assert all(cell_len(line) <= columns for line in job)
