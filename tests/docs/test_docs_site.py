"""The site is built without a network and without a warning, and its pages ask nothing of anybody else."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from browser_rig import NARROW, chromium, visiting
from docs_rig import PAGES, ROOT
from playwright.sync_api import Browser

SITE_PAGES = [page.removeprefix("docs/").removesuffix(".md") for page in PAGES if page.startswith("docs/")]
ACCEPTED = "landmark-unique"
"""What axe-core finds of the theme's own: each copy button is a landmark without a name."""
_NO_NETWORK = ("unshare", "--user", "--map-root-user", "--net")


def build(folder: Path, *, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """The site of ``folder``; a warning is an error."""
    command = [*prefix, str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _can_be_alone() -> bool:
    if shutil.which(_NO_NETWORK[0]) is None:
        return False
    return subprocess.run([*_NO_NETWORK, "true"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as `make docs` does, from a copy, where the kernel allows it without any network."""
    folder = tmp_path_factory.mktemp("docs")
    shutil.copy(ROOT / "zensical.toml", folder)
    shutil.copytree(ROOT / "docs", folder / "docs")
    built = build(folder, prefix=_NO_NETWORK if _can_be_alone() else ())
    assert built.returncode == 0, built.stdout + built.stderr
    assert "No issues found" in built.stdout + built.stderr
    return folder / "site"


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site over http on this machine: its search is a worker, which no browser starts from a file."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as one:
        yield one


def test_every_page_is_built_and_stands_in_the_navigation(site: Path) -> None:
    """And no program of docs/ is served."""
    navigation = (ROOT / "zensical.toml").read_text("utf-8")
    for page in SITE_PAGES:
        assert (site / f"{page}.html").is_file(), page
        assert f'"{page}.md"' in navigation, page
    assert list(site.rglob("*.py")) == []


def test_a_broken_link_or_anchor_fails_the_build(tmp_path: Path) -> None:
    """So that the build above says something."""
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    (tmp_path / "docs").mkdir()
    for link in ("nowhere.md", "#nowhere"):
        (tmp_path / "docs/index.md").write_text(f"# One\n\n[two]({link})\n", encoding="utf-8")
        assert build(tmp_path).returncode != 0


def test_every_link_of_the_readme_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / "README.md").read_text("utf-8"))
    assert len(links) > 5
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_asks_an_outside_address_or_keeps_anyone_out(address: str, browser: Browser, scheme: str) -> None:
    """Each is opened in a real browser; axe-core looks at contrast, names and structure."""
    for page in SITE_PAGES:
        with visiting(browser, f"{address}/{page}.html", color_scheme=scheme) as visit:
            visit.page.wait_for_load_state("networkidle")
            assert visit.said == [], page
            assert [url for url in visit.asked if not url.startswith((address, "data:", "blob:"))] == [], page
            assert [one for one in visit.violations() if not one.startswith(ACCEPTED)] == [], page


def test_no_page_is_wider_than_a_telephone(address: str, browser: Browser) -> None:
    for page in SITE_PAGES:
        with visiting(browser, f"{address}/{page}.html", viewport=NARROW) as visit:
            assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page


def test_the_search_finds_a_code_without_a_network(address: str, browser: Browser) -> None:
    with visiting(browser, f"{address}/index.html") as visit:
        visit.page.wait_for_load_state("networkidle")
        visit.page.keyboard.press("Control+k")
        visit.page.locator("input:visible").fill("BP503")
        visit.page.get_by_text("Interrupted. A signal").first.wait_for()
        assert [url for url in visit.asked if not url.startswith((address, "data:", "blob:"))] == []
