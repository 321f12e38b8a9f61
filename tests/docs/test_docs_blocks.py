"""Every code block of the README and the docs is run, or loaded, as it stands and in its order."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import pytest
from docs_rig import LANGUAGES, PAGES, ROOT, Reader, blocks
from guarantees import GUARANTEES

from bulkpatch.cli.app import COMMANDS
from bulkpatch.engine.system import SystemClock
from bulkpatch.model import Secret
from bulkpatch.simulator.server import SimulatorServer
from bulkpatch.simulator.state import Fleet

KEY = "sk_staging_0123456789"
IDS = ("dest-0001", "dest-0002")
AFTER_THE_README = ("docs/library.md", "docs/operating.md", "docs/secrets.md")
"""Pages for a reader who has done the README's first job."""
ELSEWHERE = "docs/plugins.md"
"""Its blocks are a package's, which tests/plugins/test_plugins_docs.py installs and runs."""
WITH_BLOCKS = [page for page in PAGES if page != ELSEWHERE and any(blocks(page))]


@contextmanager
def reading(page: str, folder: Path) -> Iterator[Reader]:
    """Who reads ``page``, with nothing set, in an empty folder of a checkout.

    For the README there is an API behind the address; for the guide also a key, and the README's first job is done.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BULKPATCH_", "PREQUEL_"))}
    environ |= {"PATH": f"{Path(sys.executable).parent}:{environ['PATH']}", "XDG_CONFIG_HOME": str(folder)}
    (folder / ".venv").symlink_to(sys.prefix)
    reader = Reader(folder=folder, environ=environ)
    if page.startswith("docs/") and page not in AFTER_THE_README:
        with closing(reader):
            yield reader
        return
    fleet = Fleet.from_rows(list(IDS), seed=1, clock=SystemClock())
    with SimulatorServer(fleet, key=Secret(KEY, reference="test")) as server:
        environ["BULKPATCH_BASE_URL"] = server.url
        if page in AFTER_THE_README:
            environ["PREQUEL_API_KEY"] = KEY
            _do_the_first_job(reader, server.url)
        yield reader


def _do_the_first_job(reader: Reader, url: str) -> None:
    """The library reads no variable of the command line's: the job says where the API is."""
    for block in blocks("README.md"):
        if block.name:
            reader.follow(block)
    job = reader.folder / "rename.toml"
    job.write_text(f'{job.read_text("utf-8")}\n[api]\nbase_url = "{url}"\n', encoding="utf-8")
    reader.type("bulkpatch run rename.toml --yes -q")


@pytest.mark.parametrize("page", WITH_BLOCKS)
def test_a_reader_can_do_all_that_a_page_says(page: str, tmp_path: Path) -> None:
    """With ``-e``: the first command that fails ends it. What a block says is printed was printed."""
    with reading(page, tmp_path) as reader:
        for block in blocks(page):
            if not block.not_run:
                reader.follow(block)


def test_a_block_that_is_not_run_says_which_command_it_lacks() -> None:
    """One that begins a line of the block, and is none of ours."""
    for block in chain.from_iterable(map(blocks, PAGES)):
        if block.not_run:
            lacking = re.findall(r"needs `(\w+)`", block.not_run)
            typed = {line.split()[0] for line in block.text.splitlines() if line}
            assert lacking, block
            assert typed == set(lacking) - {"bulkpatch"}, block


def test_every_block_has_a_language_that_is_run_and_none_is_hidden_by_an_indent() -> None:
    """A fence in a list, or code by four blanks, would be passed over."""
    for page in PAGES:
        assert {block.language for block in blocks(page)} <= LANGUAGES, page
        unfenced = re.sub(r"^```.*?^```$", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
        assert re.findall(r"^[ \t]+```|^(?: {4}|\t)\S.*$", unfenced, re.MULTILINE) == [], page


def test_the_pages_show_jobs_data_commands_and_what_they_print() -> None:
    """So that the tests above have something to run."""
    shown = [block for block in chain.from_iterable(map(blocks, PAGES)) if not block.not_run]
    counts = {language: sum(block.language == language for block in shown) for language in LANGUAGES}
    assert all(counts[language] >= least for language, least in {"sh": 15, "toml": 8, "text": 6, "csv": 4}.items())
    assert counts["python"] >= 3


def test_the_readme_prints_every_guarantee_and_its_proofs_are_there_and_say_so() -> None:
    """Each named file or folder holds a test that is marked with the guarantee."""
    rows = re.findall(r"^\| (G\d+) \| .* \| (.*) \|$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == list(GUARANTEES)
    for name, proofs in rows:
        for named in re.findall(r"`([^`]+)`", proofs):
            place = ROOT / "tests" / named
            texts = [path.read_text("utf-8") for path in (place.glob("*.py") if place.is_dir() else [place])]
            assert any(f'"{name}"' in text for text in texts), f"{named} does not prove {name}"


def test_every_command_that_the_pages_name_is_one() -> None:
    text = "\n".join((ROOT / page).read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"(?:^|`)bulkpatch ([a-z]+)\b", text, re.MULTILINE))
    assert sorted(named - set(COMMANDS)) == []
