"""The house rules that a machine can check."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkpatch.errors import CODES

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "bulkpatch").rglob("*.py"))
LINES_MAX = 350
FUNCTION_LINES_MAX = 50
HOMES = {
    "asyncio_throttle": "transport",
    "azure": "secrets",
    "boto3": "secrets",
    "botocore": "secrets",
    "certifi": "transport",
    "cyclopts": "cli",
    "google": "secrets",
    "httpx": "transport",
    "hvac": "secrets",
    "jinja2": "reporting",
    "keyring": "secrets",
    "markupsafe": "reporting",
    "msgspec": "prequel",
    "opentelemetry": "observe",
    "polars": "job reporting",
    "prometheus_client": "observe",
    "pycurl": "transport",
    "pydantic": "job",
    "pydantic_core": "job",
    "pyrage": "secrets",
    "requests": "secrets",
    "rich": "observe cli",
    "sqlite3": "ledger",
    "starlette": "simulator",
    "structlog": "observe",
    "tree_sitter": "job",
    "tree_sitter_toml": "job",
    "uvicorn": "simulator",
    "yaml": "prequel",
}
"""One third-party package, one room: swapping it means editing that room."""


def room(path: Path) -> str:
    """The room that a source file lies in."""
    return path.relative_to(ROOT / "bulkpatch").parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a source file imports."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name.partition(".")[0] for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def calls(path: Path) -> Iterator[str]:
    """Every attribute that a source file reads off a module-like name, as ``name.attribute``."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_read_on_a_few_screens(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX or path.name in {"codes.py", "model.py"}
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            words = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or 0) - node.lineno + 1 - (words.count("\n") + 1 if words else 0)
            assert lines <= FUNCTION_LINES_MAX, node.name


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_package_lives_in_its_room(path: Path) -> None:
    for package in imported(path):
        assert room(path) in HOMES.get(package, room(path)).split(), package


def test_only_the_outer_shells_ask_the_machine_for_time_chance_or_environment() -> None:
    asking = {
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "datetime.now",
        "datetime.utcnow",
        "os.environ",
        "os.getenv",
    }
    found = {str(path.relative_to(ROOT / "bulkpatch")) for path in SOURCES if asking & set(calls(path))}
    assert found <= {"engine/system.py", "cli/settings.py", "cli/__init__.py", "api/library.py"}


def test_the_core_does_nothing_but_decide() -> None:
    for path in sorted((ROOT / "bulkpatch" / "core").rglob("*.py")):
        assert set(imported(path)).isdisjoint({"asyncio", "time", "random", "os", "logging", "sqlite3", "socket"}), path
        assert not any(isinstance(node, ast.AsyncFunctionDef) for node in ast.walk(ast.parse(path.read_text("utf-8"))))


def test_every_code_in_the_source_is_explained_and_every_explanation_is_used() -> None:
    text = "\n".join(path.read_text("utf-8") for path in SOURCES if path.name != "codes.py")
    used = set(re.findall(r"BP[0-9]{3}", text))
    assert used <= set(CODES)


def test_layers_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports; raise SystemExit(lint_imports())"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_locks_pin_hashes_and_name_no_host(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")
    assert "://" not in text
    for block in re.split(r"\n(?=\S)", text):
        if "==" in block.split("\n")[0]:
            assert "--hash=sha256:" in block, block
