"""Draws docs/bulkpatch.svg: a plan and a run as the program itself prints them, on the simulator."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
WIDTH = 104
COMMANDS = (
    ("plan", "jobs/dry-run.toml", "--simulate"),
    ("run", "jobs/migrate-machine-type.toml", "--simulate", "--faults", "some", "--progress", "none"),
)
PLAN_LINES = 21
RUN_LINES = 4
"""Lines that are shown: the first of a plan, the last of a run."""


def main() -> None:
    """Run the commands and draw what they say."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    with tempfile.TemporaryDirectory() as reports:
        for command in COMMANDS:
            told = subprocess.run(
                [sys.executable, "-m", "bulkpatch", *command, "--report-dir", reports],
                cwd=HERE.parent,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=True,
                text=True,
            ).stdout.replace(reports, "reports")
            lines = told.splitlines()
            shown = lines[-RUN_LINES:] if command[0] == "run" else lines[:PLAN_LINES]
            console.print(Text(f"$ bulkpatch {' '.join(command).removesuffix(' --progress none')}", style="bold green"))
            for line in shown:
                console.print(Text(line[: WIDTH - 1]), highlight=True)
            console.print()
    svg = console.export_svg(title="bulkpatch")
    # rich draws with a font that it fetches from elsewhere; the reader's own will do.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (HERE / "bulkpatch.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
