"""The reference is what the program says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import reference

from bulkpatch.cli.app import COMMANDS
from bulkpatch.errors import CODES, EXIT_MEANINGS, ExitCode
from bulkpatch.model import RowState
from bulkpatch.reporting.columns import MODELS, REPLY, SEND
from bulkpatch.reporting.meanings import MODEL_COLUMNS, OUTCOME_COLUMNS, STATES

ROOT = Path(__file__).parents[2]
PAGES = reference.pages()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_program_writes_today(name: str) -> None:
    """`make reference` mends it."""
    assert (reference.FOLDER / name).read_text("utf-8") == PAGES[name]


def test_no_page_is_left_over() -> None:
    assert {path.name for path in reference.FOLDER.iterdir()} == set(PAGES)


def test_every_state_column_and_exit_code_has_its_meaning_in_order() -> None:
    assert list(STATES) == list(RowState)
    assert list(OUTCOME_COLUMNS) == [*SEND, *REPLY]
    assert list(MODEL_COLUMNS) == list(MODELS)
    assert list(EXIT_MEANINGS) == list(ExitCode)


def test_every_command_and_code_has_its_heading() -> None:
    headings = re.findall(r"^## (\S+)$", PAGES["commands.md"], re.MULTILINE)
    assert [one for one in headings if one in COMMANDS] == list(COMMANDS)
    assert re.findall(r"^### (\S+)$", PAGES["errors.md"], re.MULTILINE) == list(CODES)


def test_every_option_of_a_command_stands_on_the_page() -> None:
    """By the help that the command itself prints, and none without a word on it."""
    page = PAGES["commands.md"]
    for flag in ("--dry-run", "--detailed-exitcode", "--accept-input-changes", "--metrics-file", "--confirm", "--seed"):
        assert f"`{flag}`" in page
    assert re.findall(r"^\| `[^|]*\| +\|", page, re.MULTILINE) == []


def test_the_readme_tells_the_exit_codes_in_the_program_s_words() -> None:
    """The two signals share a line there."""
    rows = re.findall(r"^\| ([0-9, ]+) \| (.*) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    told = {ExitCode(int(one)): words for codes, words in rows for one in codes.split(",")}
    assert list(told) == list(ExitCode)
    one_each = {code: words for code, words in EXIT_MEANINGS.items() if code < ExitCode.SIGINT}
    assert {code: told[code] for code in one_each} == one_each
