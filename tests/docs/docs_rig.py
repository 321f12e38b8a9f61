"""The pages, their code blocks, and a reader who does what a page says, block by block."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bulkpatch.job.load import load_job

ROOT = Path(__file__).parents[2]
PAGES = ("README.md", *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")))
LANGUAGES = frozenset({"csv", "python", "sh", "text", "toml"})
ELLIPSIS = "…"
"""In a block of output: whatever stands there; alone on a line, any lines."""
INTERRUPTED = 130

_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"`([\w.-]+\.\w+)`")
_NOT_RUN = re.compile(r"<!-- not run: (.*) -->")
_KEPT = re.compile(r"^(?:export|cd|\.) .*$", re.MULTILINE)
_SIMULATOR = "http://127.0.0.1:8765"
_HEAD = '[job]\nname = "block"\n[input]\npath = "fleet.csv"\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: where it begins, in which language, the file it is called by, why it is not run."""

    page: str
    line: int
    language: str
    text: str
    name: str = ""
    not_run: str = ""


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page in order. A file's name, or a reason, begins the paragraph before."""
    for found in _BLOCK.finditer(text := (ROOT / page).read_text("utf-8")):
        paragraph = text[: found.start()].rstrip("\n").rpartition("\n\n")[2]
        named, reason = _NAMED.match(paragraph), _NOT_RUN.match(paragraph)
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            text=found["text"],
            name=named[1] if named else "",
            not_run=reason[1] if reason else "",
        )


@dataclass(slots=True, kw_only=True)
class Reader:
    """Someone in ``folder`` who writes the files that a page names, types its commands, and compares what they say.

    What a shell keeps from one block to the next is kept: variables, folder, environment of Python.
    """

    folder: Path
    environ: dict[str, str]
    kept: list[str] = field(default_factory=list)
    said: str = ""
    simulator: subprocess.Popen[str] | None = None
    address: str = _SIMULATOR

    def follow(self, block: Block) -> None:
        """Do what ``block`` says. Raises ``AssertionError`` where it does not hold."""
        text = block.text if block.language == "text" else block.text.replace(_SIMULATOR, self.address)
        match block.language:
            case "sh" if text.startswith("bulkpatch sim "):
                self._serve(text)
            case "sh":
                self.type(text)
            case "python":
                self._program(text)
            case "text":
                self._compare(text.splitlines())
            case "toml":
                self._job(text, block.name)
            case "csv":
                (self.folder / block.name).write_text(text, encoding="utf-8")
            case other:
                raise AssertionError(f"nobody knows what to do with {other!r}")

    def close(self) -> None:
        """End what still runs, as the page says: by ^C."""
        if self.simulator is not None:
            with self.simulator:
                self.simulator.send_signal(signal.SIGINT)

    def _started(self, text: str) -> subprocess.Popen[str]:
        script = "\n".join([*self.kept, re.sub("^make ", f"make -n -C {ROOT} ", text, flags=re.MULTILINE)])
        return subprocess.Popen(
            ["bash", "-ec", script],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def type(self, text: str) -> None:
        """Type ``text`` into a shell, and ^C once rows are under way where it says so."""
        pressed = "# press ^C" in text
        with self._started(text) as shell:
            self.said = self._until(shell, r"\b0/\d+ |\d+/\d+ .*in flight") if pressed else ""
            if pressed:
                os.killpg(shell.pid, signal.SIGINT)
            self.said += shell.communicate()[0]
        assert shell.returncode == (INTERRUPTED if pressed else 0), f"{text}\n{self.said}"
        self.kept += [line.partition("  #")[0].rstrip() for line in _KEPT.findall(text)]

    def _serve(self, text: str) -> None:
        """The simulator takes a free port instead of the page's; what follows is typed in a new terminal."""
        self.simulator = self._started(f"exec {text.rstrip()} --port 0")
        self.said = self._until(self.simulator, r"^ids: ")
        found = re.search(r"http://127\.0\.0\.1:\d+", self.said)
        assert found, self.said
        self.address = found[0]
        self.kept.clear()

    @staticmethod
    def _until(process: subprocess.Popen[str], pattern: str) -> str:
        """What it says up to the line that ``pattern`` is in."""
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if re.search(pattern, line):
                break
        return said

    def _program(self, text: str) -> None:
        """Without a warning, and it prints."""
        command = [sys.executable, "-W", "error", "-c", text]
        ran = subprocess.run(command, cwd=self.folder, env=self.environ, capture_output=True, text=True, check=False)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout
        self.said = ran.stdout

    def _compare(self, expected: Sequence[str]) -> None:
        """Each line was said, in this order."""
        lines = iter(self.said.replace(self.address, _SIMULATOR).splitlines())
        for line in expected:
            wanted = re.compile(".*".join(map(re.escape, line.rstrip().split(ELLIPSIS))))
            if line.strip() != ELLIPSIS:
                assert any(wanted.fullmatch(one.rstrip()) for one in lines), f"{line!r} is not in\n{self.said}"

    def _job(self, text: str, name: str) -> None:
        """A whole job is kept; a part of one holds in one."""
        job = self.folder / (name or "block.toml")
        job.write_text(text if "[job]" in text else _HEAD + text, encoding="utf-8")
        assert load_job(job).name
