"""The page in a real browser: it asks for nothing, can be used by everyone, and is as inert as it claims."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_rig import NARROW, chromium, visiting
from page_rig import HOSTILE, rich, write
from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run that has something of everything."""
    return write(rich(), tmp_path_factory.mktemp("plain")).page


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every section, and few rows of each: what axe looks at takes time by the element."""
    return write(rich(60), tmp_path_factory.mktemp("small")).page


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, wherever text comes from outside with text that wants to break out."""
    return write(rich(80, text=HOSTILE), tmp_path_factory.mktemp("hostile")).page


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["page", "hostile"])
def test_it_asks_for_nothing_and_complains_of_nothing(
    request: pytest.FixtureRequest, browser: Browser, kind: str, scheme: Any
) -> None:
    """No request but for itself, no word on the console, no window, no script that is not ours."""
    path: Path = request.getfixturevalue(kind)
    with visiting(browser, path, color_scheme=scheme) as visit:
        visit.page.locator("summary").first.click()
        visit.page.mouse.wheel(0, 20_000)
        visit.page.wait_for_load_state("networkidle")
        assert visit.asked == [path.as_uri()]
        assert visit.said == []
        assert visit.opened == []
        counts = "[document.scripts.length, document.images.length, document.styleSheets.length]"
        assert visit.page.evaluate(counts) == [1, 0, 1]


def test_the_policy_is_obeyed(browser: Browser, page: Path) -> None:
    """A script, a style or an image that got in all the same would not run, show or be fetched."""
    with visiting(browser, page) as visit:
        told = visit.page.evaluate(
            """() => new Promise((done) => {
                const refused = [];
                setTimeout(() => done([refused.sort(), window.hit === undefined]), 10_000);
                document.addEventListener("securitypolicyviolation", (event) => {
                    refused.push(event.effectiveDirective);
                    if (refused.length === 4) done([refused.sort(), window.hit === undefined]);
                });
                const script = document.createElement("script");
                script.textContent = "window.hit = 1";
                const style = document.createElement("style");
                style.textContent = "body { display: none }";
                const image = document.createElement("img");
                image.src = "http://127.0.0.1:9/leak";
                document.body.append(script, style, image);
                fetch("http://127.0.0.1:9/leak").catch(() => {});
            })"""
        )
        assert told == [["connect-src", "img-src", "script-src-elem", "style-src-elem"], True]
        assert visit.page.locator("h1").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, small: Path, scheme: Any) -> None:
    """Contrast, names, roles, order, tables, focus: as far as a machine can tell, with everything unfolded."""
    with visiting(browser, small, color_scheme=scheme) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
        assert visit.violations() == []


def test_axe_finds_nothing_in_a_narrow_window_of_hostile_texts(browser: Browser, hostile: Path) -> None:
    """Where everything must be scrolled."""
    with visiting(browser, hostile, viewport=NARROW) as visit:
        assert visit.violations() == []


def test_the_charts_are_drawn_and_lie_within_their_frames(browser: Browser, page: Path) -> None:
    """Bars have a size and a colour of their own, which the dark scheme changes; no label is cut off."""
    colours = []
    for scheme in ("light", "dark"):
        with visiting(browser, page, color_scheme=scheme) as visit:
            found = visit.page.evaluate(
                """() => [...document.querySelectorAll("svg.chart")].map((chart) => {
                    const frame = chart.getBoundingClientRect();
                    const drawn = [...chart.querySelectorAll("rect, path, text")];
                    const boxes = drawn.map((one) => one.getBoundingClientRect());
                    return {
                        outside: boxes.filter((box) => box.left < frame.left - 1 || box.right > frame.right + 1
                            || box.top < frame.top - 1 || box.bottom > frame.bottom + 1).length,
                        bars: [...chart.querySelectorAll("rect.done, rect.sent, rect.failed")].map((bar) =>
                            [bar.getBoundingClientRect().height, getComputedStyle(bar).fill]),
                    };
                })"""
            )
            assert len(found) == 2
            assert [chart["outside"] for chart in found] == [0, 0]
            assert all(len(chart["bars"]) >= 5 for chart in found)
            assert all(height > 0 for chart in found for height, _ in chart["bars"])
            colours.append({fill for chart in found for _, fill in chart["bars"]})
    assert len(colours[0]) == 3
    assert colours[0].isdisjoint(colours[1])


def test_failed_rows_are_found_and_sorted_by_keyboard_alone(browser: Browser, page: Path) -> None:
    """The words in any order, with state and code; numbers as numbers; what is missing last; all of it announced."""
    with visiting(browser, page) as visit:
        tab = visit.page
        rows = tab.locator("#failed-rows tbody tr:not([hidden])")
        status = tab.get_by_role("status")
        assert rows.count() == 32
        tab.get_by_label("Find").focus()
        tab.keyboard.type("GLOBEX dest-0")
        assert status.inner_text() == f"{rows.count()} of 32 rows"
        tab.get_by_label("Find").fill("dest-0100 wrong")
        assert [row.split("\t")[1] for row in rows.all_inner_texts()] == ["dest-0100"]
        tab.get_by_label("Find").fill("")
        tab.get_by_label("State").select_option("unknown")
        assert status.inner_text() == "16 of 32 rows"
        tab.get_by_label("Code").select_option("BP401")
        assert status.inner_text() == "0 of 32 rows"
        tab.get_by_label("State").select_option("")
        tab.get_by_label("Code").select_option("")
        tab.locator("#failed-rows td").first.evaluate("(cell) => { cell.textContent = '1,000' }")
        head = tab.locator("#failed-rows th", has_text="row")
        head.get_by_role("button").focus()
        for direction, first in (("ascending", "20"), ("descending", "1,000")):
            tab.keyboard.press("Enter")
            assert head.get_attribute("aria-sort") == direction
            assert rows.first.locator("td").first.inner_text() == first
        tab.locator("#failed-rows th", has_text="message").get_by_role("button").click()
        assert head.get_attribute("aria-sort") == "none"
        messages = [row.split("\t")[-1] for row in rows.all_inner_texts()]
        assert messages == sorted(messages)


def test_without_script_all_is_there_but_the_search(browser: Browser, page: Path) -> None:
    """Every row, every chart, every table; no control that would do nothing."""
    with visiting(browser, page, java_script_enabled=False) as visit:
        tab = visit.page
        assert tab.locator("#failed-rows tbody tr").count() == 32
        assert tab.locator("#failed-rows tbody tr").last.is_visible()
        assert tab.locator("svg.chart").first.is_visible()
        assert tab.locator(".filter").is_hidden()
        assert tab.get_by_role("button").count() == 0
        assert visit.said == []


def test_a_narrow_window_scrolls_its_tables_and_not_the_page(browser: Browser, page: Path) -> None:
    """What is too wide can be reached by keyboard, and says what it is."""
    with visiting(browser, page, viewport=NARROW) as visit:
        tab = visit.page
        assert tab.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        regions = tab.get_by_role("region", name="can be scrolled")
        assert regions.count() >= 5
        assert all(region.get_attribute("tabindex") == "0" for region in regions.all())
        assert tab.locator("svg.chart text").first.bounding_box()["height"] >= 8  # type: ignore[index]


def test_it_prints_on_white_and_leaves_out_what_paper_cannot_do(browser: Browser, page: Path, tmp_path: Path) -> None:
    """Also from a dark window: every failed row, no control, nothing cut off at the right."""
    with visiting(browser, page, color_scheme="dark", viewport={"width": 720, "height": 900}) as visit:
        tab = visit.page
        tab.emulate_media(media="print", color_scheme="dark")
        assert tab.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
        assert tab.locator(".filter").is_hidden()
        assert tab.locator("nav").is_hidden()
        assert tab.locator("#failed-rows tbody tr").last.is_visible()
        assert tab.evaluate("document.documentElement.scrollWidth") <= 720
        tab.pdf(path=tmp_path / "page.pdf", prefer_css_page_size=True)
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF-")
