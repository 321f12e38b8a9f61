"""Makes the pictures of docs/: the program in a real terminal (tmux) on its own simulator, and its page in Chromium.

``make screens`` runs it. It needs tmux and Chromium. Run ids, process ids, host and paths of this machine stand as
those of an example, of the same length; every other character is what the program printed.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any, Self

from playwright.sync_api import ViewportSize, sync_playwright
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bulkpatch.cli.settings import CLOCK
from bulkpatch.simulator.state import Fleet

DOCS = Path(__file__).parent
SCREENS = DOCS / "screens"
PORT = 8765
SEED = 7
ROWS = 120
KEY = "sk_staging_" + "simulator"
WAIT_S_MAX = 90.0
"""Seconds that a screen may take to come on a busy machine."""
LOOK_S = 0.1
PROMPT = r"^\$\Z"
"""The shell waits for a line; tmux leaves out the blank at its end."""
FAULTS = "500=0.03,429=0.02,reset_after=0.01"
URL = f"http://127.0.0.1:{PORT}"
EXAMPLES = (
    (re.compile(r"\d{8}T\d{6}Z-[a-z0-9]{4}"), "20260704T081500Z-k7wm"),
    (re.compile(r"\b(pid|process) \d+"), r"\1 4321"),
    (re.compile(re.escape(platform.node())), "ops"),
    (re.compile(r"\b\d+(\.\d+)? GiB free"), "72.3 GiB free"),
    (re.compile(datetime.now(UTC).strftime("%Y-%m-%d")), "2026-07-04"),
    (re.compile(r"Python [\d.]+, SQLite [\d.]+"), "Python 3.11.7, SQLite 3.40.1"),
)
"""What differs from one machine or minute to the next, and what stands for it."""
TIME = re.compile(r"(?<![T:\d])\d\d:\d\d:\d\d\b")
BEGAN = datetime.combine(datetime(1900, 1, 1), datetime.now(UTC).time().replace(microsecond=0))  # noqa: DTZ001
THEME = TerminalTheme(
    (22, 26, 31),
    (222, 226, 230),
    [
        (22, 26, 31),
        (238, 110, 100),
        (104, 190, 140),
        (226, 176, 82),
        (120, 170, 235),
        (205, 140, 210),
        (100, 190, 200),
        (222, 226, 230),
    ],
)

JOB = """[job]
name = "rename"

[api]
base_url = "{url}"

[input]
path   = "fleet.csv"
labels = ["customer"]

[patch]
max_concurrent_transfers = 2

[send]
rate        = "20/s"
concurrency = 8

[guard]
max_failed = "5%"
"""
WAVES = """
[[wave]]
name = "canary"
size = 5
gate = { soak = "2s" }

[[wave]]
name = "a quarter"
size = "25%"
gate = { failed = 2, soak = "2s", approve = true }

[[wave]]
size = "rest"
"""
WRONG = """[job]
name = "rename"
[input]
path  = "fleet.csv"
lables = ["customer"]
[patch]
max_concurrent_transfers = "two"
nmae = "x"
[send]
rate = "20"
"""
WRONG_ROWS = (
    "destination_id,customer,is_enabled\ndest-0001,acme,maybe\ndest-0002,globex,true,\n../dest-0003,acme,true\n"
)


@dataclass
class Terminal:
    """A shell in a terminal of ``columns`` and ``lines``, in ``folder``."""

    folder: Path
    columns: int
    lines: int = 200
    socket: str = field(default_factory=lambda: f"bulkpatch-screens-{os.getpid()}-{time.monotonic_ns()}")

    def __enter__(self) -> Self:
        settings = {"PS1": "$ ", "TERM": "tmux-256color", "USER": "ann", "LANG": "C.UTF-8", "PREQUEL_API_KEY": KEY}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        shell = ["env", "-i", f"PATH={path}", *(f"{name}={value}" for name, value in settings.items())]
        size = ["-x", str(self.columns), "-y", str(self.lines)]
        self._tmux("-f", os.devnull, "new-session", "-d", *size, "-c", str(self.folder), *shell, "bash", "--norc")
        self._tmux("set", "-g", "status", "off")
        self.until(PROMPT)
        return self

    def __exit__(self, *_: object) -> None:
        self._tmux("kill-server")

    def type(self, text: str) -> None:
        """Type a line."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press one key, such as C-c."""
        self._tmux("send-keys", key)

    def until(self, pattern: str) -> None:
        """Wait until the screen shows ``pattern``."""
        end_s = time.monotonic() + WAIT_S_MAX
        while not re.search(pattern, self._tmux("capture-pane", "-p").rstrip("\n"), re.MULTILINE):
            if time.monotonic() > end_s:
                raise SystemExit(f"{pattern!r} did not come:\n{self._tmux('capture-pane', '-p')}")
            time.sleep(LOOK_S)

    def run(self, command: str) -> list[Text]:
        """Clear the screen, run ``command`` to its end, and take what is seen."""
        self.press("C-l")
        self.type(command)
        self.until(re.escape(command) + r"\n[\s\S]*" + PROMPT)
        return self.seen()[:-1]

    def seen(self) -> list[Text]:
        """The lines of the screen as they were written, colours and all, examples in place of what differs."""
        whole = self._tmux("capture-pane", "-p", "-e", "-J").rstrip("\n")
        lines = list(AnsiDecoder().decode(exemplary(whole, self.folder)))  # a colour may go on over many lines
        for line in lines:
            line.rstrip()
        return lines

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self.socket, *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def exemplary(text: str, folder: Path) -> str:
    """``text`` with examples in place of what is of this machine or minute: the first screen was made at 08:15."""
    text = TIME.sub(_shifted, text.replace(str(folder), "/home/ann"))
    for pattern, example in EXAMPLES:
        text = pattern.sub(example, text)
    return text


def _shifted(at: re.Match[str]) -> str:
    passed = datetime.strptime(at[0], "%H:%M:%S") - BEGAN  # noqa: DTZ007
    return f"{datetime(1900, 1, 1, 8, 15) + passed:%H:%M:%S}"  # noqa: DTZ001


@contextmanager
def simulator(folder: Path, faults: str = "none") -> Iterator[None]:
    """The API with a fresh fleet, at a port that is always the same."""
    command = [sys.executable, "-m", "bulkpatch", "sim", "--port", str(PORT), "--ids", "ids", "--seed", str(SEED)]
    server = subprocess.Popen(
        [*command, "--faults", faults], cwd=folder, env={**os.environ, "BULKPATCH_SIM_KEY": KEY}, stderr=subprocess.PIPE
    )
    try:
        if server.stderr is None or b"serving" not in server.stderr.readline():
            raise SystemExit(f"no simulator at port {PORT}: is it in use?")
        yield
    finally:
        server.kill()
        server.wait()


def draw(name: str, lines: Sequence[Text], columns: int) -> None:
    """``lines`` as an SVG of a terminal window, which goes on in the next line where it has no more columns."""
    console = Console(record=True, width=columns, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in lines:
        shown = line.copy()
        if shown.plain.startswith("$ "):
            shown.stylize("bold")
        for part in shown.divide(range(columns, len(shown), columns)):
            console.print(part, no_wrap=True, overflow="ignore", crop=False)
    console.print()  # the drawing cuts the last line's tails
    svg = console.export_svg(title="bulkpatch", theme=THEME, unique_id=Path(name).stem)
    # rich draws with a font that it fetches from elsewhere; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", "monospace")
    (DOCS / name).write_text(re.sub(r"[ \t]+$", "", svg, flags=re.MULTILINE), encoding="utf-8")


def since(lines: Sequence[Text], pattern: str) -> list[Text]:
    """The command, then the lines from the last that shows ``pattern`` on."""
    starts = [number for number, line in enumerate(lines) if re.search(pattern, line.plain)]
    command = next(line for line in lines if line.plain.startswith("$ "))
    return [command, *lines[starts[-1] :]]


def prepare(folder: Path) -> list[str]:
    """Jobs and their input; returns the ids."""
    ids = list(Fleet.synthetic(ROWS, SEED, clock=CLOCK).ids)
    customers = ("acme", "globex", "initech", "umbrella")
    lines = [f"{one},{customers[row % 4]},Fleet {row + 1:04d}" for row, one in enumerate(ids)]
    (folder / "fleet.csv").write_text("\n".join(["destination_id,customer,name", *lines, ""]), encoding="utf-8")
    (folder / "ids").write_text("\n".join(ids), encoding="utf-8")
    job = JOB.format(url=URL)
    (folder / "rename.toml").write_text(job + WAVES, encoding="utf-8")
    (folder / "plain.toml").write_text(job, encoding="utf-8")
    (folder / "wrong.toml").write_text(WRONG, encoding="utf-8")
    (folder / "rows.toml").write_text(job.replace("fleet.csv", "rows.csv"), encoding="utf-8")
    (folder / "rows.csv").write_text(WRONG_ROWS, encoding="utf-8")
    return ids


def looking(folder: Path) -> list[Text]:
    """Before anything is sent: errors, the machine, the plan. Returns the plan's screen."""
    with Terminal(folder, 100) as screen:
        draw("screens/error-job.svg", screen.run("bulkpatch check wrong.toml"), 100)
        draw("screens/error-rows.svg", screen.run("bulkpatch check rows.toml"), 100)
        with simulator(folder):
            draw("screens/doctor.svg", screen.run("bulkpatch doctor rename.toml"), 100)
            plan = screen.run("bulkpatch plan rename.toml")
            draw("screens/plan.svg", plan, 100)
            return plan


def whole_run(folder: Path, ids: Sequence[str]) -> None:
    """A run in waves, with failures: at its gate, under way, at its end, and what is asked about it."""
    refused = ",".join(ids[row] for row in (50, 70, 95))
    with (
        simulator(folder, f"{FAULTS},reject={refused}"),
        Terminal(folder, 100) as screen,
        Terminal(folder, 100) as other,
    ):
        screen.type("bulkpatch run rename.toml --yes")
        screen.until("asks for approval; bulkpatch")
        draw("screens/gate.svg", since(screen.seen(), "^• wave 1"), 100)
        asked = [*other.run("bulkpatch status"), Text(), *other.run("bulkpatch approve latest")]
        draw("screens/status.svg", asked, 100)
        screen.until("rejected 2")
        draw("screens/run.svg", since(screen.seen(), "^rename · "), 100)
        screen.until(r"^Finished[\s\S]*" + PROMPT)
        draw("screens/end-failures.svg", since(screen.seen(), "^Finished")[:-1], 100)
        told = [*other.run("bulkpatch report"), Text(), *other.run("bulkpatch report --by customer")]
        draw("screens/report.svg", told, 100)
        told = [*other.run(f"bulkpatch explain latest {ids[50]}"), Text(), *other.run("bulkpatch explain BP401")]
        draw("screens/explain.svg", told, 100)
        photograph(next((folder / "reports").glob("rename-*/report.html")))


def endings(folder: Path, ids: Sequence[str]) -> list[Text]:
    """Other ends: all done, stopped by a gate, interrupted. Returns the first one's screen."""
    with simulator(folder), Terminal(folder, 100) as screen:
        done = since(screen.run("bulkpatch run plain.toml --yes"), "^rename · ")
        draw("screens/end-done.svg", done, 100)
    with simulator(folder, f"reject={ids[2]}"), Terminal(folder, 100) as screen:
        draw("screens/end-gate.svg", since(screen.run("bulkpatch run rename.toml --yes"), "^Stopped"), 100)
    with simulator(folder, FAULTS), Terminal(folder, 40) as screen:
        screen.type("bulkpatch run plain.toml --yes")
        screen.until("accepted [3-9][0-9]")
        draw("screens/narrow.svg", since(screen.seen(), "^rename · "), 40)
        screen.press("C-c")
        screen.until(r"^Interrupted[\s\S]*" + PROMPT)
        draw("screens/end-interrupted.svg", since(screen.seen(), "^Interrupted")[:-1], 40)
    return done


def photograph(page: Path) -> None:
    """The top of a run's page, as a browser shows it by day and by night, and on a phone."""
    sizes: tuple[tuple[str, Any, ViewportSize], ...] = (
        ("page", "light", {"width": 1100, "height": 900}),
        ("page-dark", "dark", {"width": 1100, "height": 900}),
        ("page-phone", "light", {"width": 390, "height": 760}),
    )
    found = next(path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path)
    document = exemplary(page.read_text("utf-8"), page.parents[2])
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for name, scheme, size in sizes:
            shown = browser.new_page(viewport=size, color_scheme=scheme)
            shown.set_content(document)
            shown.screenshot(path=SCREENS / f"{name}.png")
        browser.close()


def main() -> None:
    """All of them, and the one that the README opens with."""
    SCREENS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        ids = prepare(folder)
        plan = looking(folder)
        done = endings(folder, ids)
        shutil.rmtree(folder / "reports")
        whole_run(folder, ids)
        draw("bulkpatch.svg", [*plan[:18], Text(), *done], 100)


if __name__ == "__main__":
    main()
