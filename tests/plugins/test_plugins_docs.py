"""Every block of the page on plugins is an example that other tests run, or is loaded as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from plugins_rig import EXAMPLES

from bulkpatch.errors import CODES
from bulkpatch.job.load import load_job
from bulkpatch.plugins import Group

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
PROGRAM = (Path(__file__).parent / "test_plugins_program.py").read_text("utf-8")
TOML = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_shows_the_examples_that_are_tested() -> None:
    """Each as it is, and all of them."""
    shown = dict(re.findall(r"`(\w+\.py)`\n\n```python\n(.*?)```", PAGE, re.DOTALL))
    assert shown == {path.name: path.read_text("utf-8") for path in EXAMPLES.glob("*.py")}
    assert len(shown) == 3


def test_the_page_names_them_as_the_tests_install_them() -> None:
    groups = tomllib.loads(TOML[0])["project"]["entry-points"]
    assert set(groups) | {Group.SECRETS} == {group.value for group in Group}
    for points in groups.values():
        ((name, place),) = points.items()
        assert f'"{name} = {place}"' in PROGRAM


@pytest.mark.parametrize("text", TOML[1:])
def test_the_pages_job_holds(text: str, tmp_path: Path) -> None:
    job = tmp_path / "block.toml"
    job.write_text('[job]\nname = "block"\n[input]\npath = "fleet.csv"\n' + text, encoding="utf-8")
    loaded = load_job(job)
    assert (loaded.transport, loaded.waves[0].gate.plugin, loaded.report.writers) == ("traced", "ticket", ("tally",))


def test_the_codes_that_the_page_names_are_explained() -> None:
    assert set(re.findall(r"BP\d{3}", PAGE)) <= set(CODES)
