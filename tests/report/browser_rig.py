"""A real browser for the page: Debian's Chromium, which the tests skip without."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, ViewportSize, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
INSTALL = "no Chromium on this machine: apt-get install -y --no-install-recommends chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NARROW = ViewportSize(width=400, height=800)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, started; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip(INSTALL)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Visit:
    """A page that is looked at, and what it did meanwhile: said on the console, asked of the network, opened."""

    page: Page
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """A window that the page opened stands in its way until it is closed."""
        self.opened.append(dialog.message)
        dialog.dismiss()

    def violations(self) -> list[str]:
        """What axe-core finds wrong, each with the first element it is wrong of."""
        source = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        self.page.evaluate(source)
        found: dict[str, Any] = json.loads(self.page.evaluate("axe.run(document).then(JSON.stringify)"))
        assert len(found["passes"]) > 10  # it did look
        return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


@contextmanager
def visiting(browser: Browser, place: Path | str, **options: Any) -> Iterator[Visit]:
    """``place``, a file or an address, opened in a window of its own; ``options`` are those of a browser context."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    try:
        page = context.new_page()
        visit = Visit(page)
        page.on("console", lambda message: visit.said.append(message.text))
        page.on("pageerror", lambda error: visit.said.append(str(error)))
        page.on("request", lambda request: visit.asked.append(request.url))
        page.on("dialog", visit.dismiss)
        page.on("popup", lambda popup: visit.opened.append(popup.url))
        page.goto(place.as_uri() if isinstance(place, Path) else place)
        yield visit
    finally:
        context.close()
