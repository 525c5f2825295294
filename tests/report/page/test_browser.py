"""Pages in a real browser: what a reader sees and presses, and that nothing is fetched."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.browser import Browser, missing
from tests.report.page.made import make_run, reproduction

from vitruvian.report.page.reproduction import write_reproduction
from vitruvian.report.page.run import write_run_page
from vitruvian.sweeps.gathering import write_page

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

DRAWN = "return document.documentElement.dataset.charts === 'drawn'"
CHARTS = """return [...document.querySelectorAll('div.chart')].map(
    place => place.querySelectorAll('svg .mark-symbol path, svg .mark-line path, canvas').length)"""
COLUMN = """return [...document.querySelectorAll(arguments[0] + ' tbody tr')].map(
    row => row.cells[arguments[1]].innerText.split('\\n')[0])"""
PHONE = (390, 844)


def one_run(folder: Path) -> Path:
    return write_run_page(make_run(folder))


def one_reproduction(folder: Path) -> Path:
    write_run_page(make_run(folder / "runs" / "0000"))
    return write_reproduction([reproduction()], folder)


def several_runs(folder: Path) -> Path:
    runs: list[Path] = []
    for number, (lr, dice) in enumerate(((0.1, 0.8), (0.001, 0.95), (0.01, 0.9))):
        run = make_run(folder / f"run {number}#", lr=lr, dice=dice)
        write_run_page(run)
        runs.append(run.path)
    return write_page([], runs, folder)


PAGES = {"run": one_run, "reproduction": one_reproduction, "many": several_runs}


@contextmanager
def opened(
    kind: str, tmp_path: Path, size: tuple[int, int] = (1280, 900), dark: bool = False
) -> Iterator[Browser]:
    """A page, drawn; at the end nothing was complained of, and nothing left the machine."""
    page = PAGES[kind](tmp_path / "pages")
    with Browser(tmp_path, size, dark) as browser:
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        browser.command("Emulation.setDeviceMetricsOverride", **metrics)
        browser.open(page.as_uri())
        browser.until(lambda: browser.run(DRAWN), "the charts")
        yield browser
        assert browser.complaints() == []
        asked = browser.requested()
        assert asked, "at least the page itself"
        assert {url for url in asked if not url.startswith(("file://", "data:"))} == set()


@pytest.mark.parametrize("kind", PAGES)
def test_every_chart_is_drawn(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as browser:
        marks = browser.run(CHARTS)
        assert len(marks) >= 2
        assert all(marks)
        broken = "return [...document.images].filter(i => !i.naturalWidth).length"
        assert browser.run(broken) == 0


@pytest.mark.parametrize("kind", PAGES)
@pytest.mark.parametrize("dark", [False, True])
def test_phone_scrolls_downwards_only(kind: str, dark: bool, tmp_path: Path) -> None:
    with opened(kind, tmp_path, PHONE, dark) as browser:
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        needed, there = browser.run(wide)
        assert there == PHONE[0]
        assert needed <= there
        colour = "return getComputedStyle(document.body).backgroundColor"
        assert browser.run(colour) == ("rgb(20, 24, 27)" if dark else "rgb(255, 255, 255)")


def test_table_is_sorted_by_click_and_by_key(tmp_path: Path) -> None:
    table = "#all-runs"
    with opened("many", tmp_path) as browser:
        heads = browser.run(
            f"return [...document.querySelectorAll('{table} thead th')].map(h => h.textContent)"
        )
        column = heads.index("optimizer.lr")
        button = f"{table} thead th:nth-child({column + 1}) button"
        state = f"return document.querySelector('{button}').parentNode.getAttribute('aria-sort')"
        assert browser.run(COLUMN, table, column) == ["0.1", "0.001", "0.01"]
        browser.click(button)
        assert browser.run(COLUMN, table, column) == ["0.001", "0.01", "0.1"]
        assert browser.run(state) == "ascending"
        browser.run(f"document.querySelector('{button}').focus()")
        browser.press("\ue007")  # Enter
        assert browser.run(COLUMN, table, column) == ["0.1", "0.01", "0.001"]
        assert browser.run(state) == "descending"


def test_links_lead_to_the_pages_of_the_runs(tmp_path: Path) -> None:
    with opened("many", tmp_path) as browser:
        browser.click("#all-runs tbody a")
        browser.until(lambda: browser.text("h1") == "liver_small", "the page of the run")
        assert browser.run("return document.title") == "SIMULATED: liver_small"


def test_best_run_stands_beside_its_neighbours(tmp_path: Path) -> None:
    with opened("many", tmp_path) as browser:
        names = browser.run(COLUMN, "#the-best-run", 0)
        assert names == ["run 1#", "run 2#", "run 0#"]


@pytest.mark.parametrize("kind", PAGES)
def test_page_prints(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as browser:
        pdf = browser.command("Page.printToPDF", printBackground=True)["data"]
        assert base64.b64decode(pdf).startswith(b"%PDF-")
        assert len(pdf) > 20_000


def test_banner_stays_in_sight(tmp_path: Path) -> None:
    with opened("reproduction", tmp_path) as browser:
        browser.run("window.scrollTo(0, document.body.scrollHeight)")
        seen = "const b = document.querySelector('.simulated').getBoundingClientRect();"
        assert browser.run(f"{seen} return b.top >= 0 && b.height > 20")


def test_everything_has_a_name(tmp_path: Path) -> None:
    with opened("run", tmp_path) as browser:
        assert browser.run("return [...document.images].every(i => i.alt.length > 10)")
        assert browser.run("return [...document.querySelectorAll('th')].every(h => h.scope)")
        drawings = "return [...document.querySelectorAll('.chart-wrapper')].map(c => c.ariaLabel)"
        assert "Dice, first time." in browser.run(drawings)
        heads = "return [...document.querySelectorAll('h1, h2, h3')].map(h => +h.tagName[1])"
        levels = browser.run(heads)
        assert levels[0] == 1
        assert all(b - a <= 1 for a, b in itertools.pairwise(levels))
