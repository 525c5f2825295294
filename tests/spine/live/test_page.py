"""The page in a real browser: what a clinician sees, reads and presses."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.browser import Browser, missing
from tests.spine.live.fakes import LiveProcess

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(missing() is not None, reason=str(missing())),
]

CANVAS = "const c = document.getElementById('person'); const p = c.getContext('2d');"
PIXELS = f"{CANVAS} return c.toDataURL();"
CORNER = f"{CANVAS} return [c.width, c.height, ...p.getImageData(5, 5, 1, 1).data];"


@contextmanager
def relay(port: int) -> Iterator[int]:
    """A port that leads to another one, as an SSH tunnel does."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    near, _ = server.accept()
                except OSError:
                    return
                far = socket.create_connection(("127.0.0.1", port))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=copy, args=ends, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError), target:  # the other direction may have ended
        while data := source.recv(65536):
            target.sendall(data)


@contextmanager
def watched(tmp_path: Path, dark: bool = False, **session: Any) -> Iterator[tuple[Any, Any]]:
    """A session, and a browser that shows its page."""
    with LiveProcess(tmp_path, **session) as live, Browser(tmp_path, dark=dark) as browser:
        port, key = live.page()
        browser.open(f"http://127.0.0.1:{port}/?key={key}")
        yield live, browser


def pictures_arrive(browser: Browser) -> None:
    first = browser.run(PIXELS)
    browser.until(lambda: browser.run(PIXELS) != first, "another picture")


def test_through_a_tunnel_all_is_there_and_q_ends_it(tmp_path: Path) -> None:
    camera = {"size": (1280, 720)}
    with (
        LiveProcess(tmp_path, camera=camera, law="high", simulated=True) as live,
        Browser(tmp_path) as browser,
    ):
        port, key = live.page()
        with relay(port) as near:
            browser.open(f"http://127.0.0.1:{near}/?key={key}")
            browser.until(lambda: browser.run(CORNER)[0] == 1280, "a picture")
            pictures_arrive(browser)
            browser.until(lambda: browser.text("#index") == "0.80", "the index")
            assert browser.text("#flag-text") == "red flag: above 0.5"
            assert browser.run("return document.getElementById('flag').dataset.state") == "raised"
            assert browser.text("#notice") == (
                "screening index trained on self-report, not a diagnosis"
            )
            assert browser.text("#simulated") == "model trained on SIMULATED data"
            assert browser.run("return document.getElementById('simulated').offsetHeight") > 10
            browser.until(lambda: float(browser.text("#fps")) > 0, "the frame rate")
            browser.until(
                lambda: len(browser.run("return document.querySelector('.line').outerHTML")) > 300,
                "the chart",
            )
            browser.screenshot(tmp_path / "page.png")
            browser.press("q")
            code, line = live.ended()
            browser.until(lambda: browser.text("#ended"), "the last word")
            assert browser.text("#ended") == line.strip()
            assert browser.text("#connection") == "ended"
        assert code == 0
        assert browser.complaints() == []
        ours = f"http://127.0.0.1:{near}/"
        elsewhere = {url for url in browser.requested() if not url.startswith(ours)}
        assert {url for url in elsewhere if not url.startswith("data:")} == set()


def test_calm_index_by_night_and_the_stop_button(tmp_path: Path) -> None:
    with watched(tmp_path, dark=True, law="low") as (live, browser):
        browser.until(lambda: browser.text("#index") == "0.20", "the index")
        assert browser.text("#flag-text") == "no red flag"
        assert browser.run("return document.getElementById('simulated').hidden") is True
        dark = "return getComputedStyle(document.body).backgroundColor"
        assert browser.run(dark) == "rgb(20, 24, 27)"
        browser.click("#stop")
        assert live.ended()[0] == 0
        browser.until(lambda: browser.text("#ended"), "the last word")
        assert browser.complaints() == []


def test_person_can_be_left_out(tmp_path: Path) -> None:
    with watched(tmp_path, options={"image": False}) as (_, browser):
        browser.until(lambda: browser.run(CORNER)[0] == 640, "a picture")
        assert max(browser.run(CORNER)[2:5]) < 8, "black, but for JPEG's noise"


def test_flag_is_told_to_those_who_cannot_see_it(tmp_path: Path) -> None:
    with watched(tmp_path) as (_, browser):
        flag = "const f = document.getElementById('flag'); return [f.role, f.ariaLive];"
        assert browser.run(flag) == ["status", "polite"]
        named = "return [...document.querySelectorAll('canvas, svg[role], section')]"
        assert all(browser.run(f"{named}.map(e => e.ariaLabel)"))


def test_shortcuts_of_the_browser_end_nothing(tmp_path: Path) -> None:
    with watched(tmp_path) as (_, browser):
        browser.until(lambda: browser.text("#index") != "\N{EN DASH}", "the index")
        for held in ("ctrlKey", "metaKey", "altKey", "repeat"):
            event = f"new KeyboardEvent('keydown', {{key: 'q', {held}: true}})"
            browser.run(f"document.dispatchEvent({event})")
        pictures_arrive(browser)
        assert browser.text("#connection") == "live"


def test_narrow_page_has_no_sideways_scrolling(tmp_path: Path) -> None:
    with LiveProcess(tmp_path) as live, Browser(tmp_path, (500, 900)) as browser:
        port, key = live.page()
        browser.open(f"http://127.0.0.1:{port}/?key={key}")
        browser.until(lambda: browser.text("#index") != "\N{EN DASH}", "the index")
        wide = "return document.documentElement.scrollWidth <= window.innerWidth"
        assert browser.run(wide) is True


def test_lost_connection_is_told(tmp_path: Path) -> None:
    with watched(tmp_path) as (live, browser):
        browser.until(lambda: browser.text("#connection") == "live", "the session")
        os.kill(live.pid, signal.SIGKILL)
        told = "connection lost, trying again"
        browser.until(lambda: browser.text("#connection") == told, told)
