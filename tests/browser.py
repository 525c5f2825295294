"""A headless Chromium, driven by the W3C WebDriver protocol: JSON over HTTP, no further package."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Found = TypeVar("Found")

BINARIES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--disable-extensions", "--disable-default-apps"),
    # Whatever the browser or the page asks for elsewhere finds no address.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def missing() -> str | None:
    """Why there can be no browser here; None where there is one."""
    if shutil.which("chromedriver") is None:
        return "no chromedriver here (Debian: chromium-driver)"
    return None if _binary() else "no Chromium here"


def _binary() -> str | None:
    return next(filter(None, map(shutil.which, BINARIES)), None)


class Browser:
    """A browser with a profile of its own; closed at the end of the block.

    Args:
        folder: for the profile.
        size: of the window, width and height.
        dark: whether the user prefers dark pages.
    """

    def __init__(
        self, folder: Path, size: tuple[int, int] = (1440, 900), dark: bool = False
    ) -> None:
        self._folder, self._size, self._dark = folder, size, dark

    def __enter__(self) -> Browser:
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            self._base = f"http://127.0.0.1:{self._driver_port()}"
            self._base += f"/session/{self._post('/session', self._capabilities())['sessionId']}"
        except BaseException:
            self._end_driver()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._send("DELETE", "")
        finally:
            self._end_driver()

    def _end_driver(self) -> None:
        self._driver.terminate()
        self._driver.communicate()

    def _driver_port(self) -> int:
        assert self._driver.stdout is not None
        for line in self._driver.stdout:
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found[1])
        raise AssertionError("chromedriver did not start")

    def _capabilities(self) -> dict[str, Any]:
        window = "--window-size={},{}".format(*self._size)
        flags = [*FLAGS, window, f"--user-data-dir={self._folder / 'profile'}"]
        flags += ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] * self._dark
        options = {"binary": _binary(), "args": flags}
        logged = {"browser": "ALL", "performance": "ALL"}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": logged}
        return {"capabilities": {"alwaysMatch": wanted}}

    # -- the protocol -------------------------------------------------------------------------

    def _post(self, path: str, content: dict[str, Any]) -> Any:
        return self._send("POST", path, content)

    def _send(self, method: str, path: str, content: dict[str, Any] | None = None) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(self._base + path, data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        """Go to an address."""
        self._post("/url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run JavaScript in the page; the value that it returns."""
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, key: str) -> None:
        """Press and release a key."""
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._post("/actions", {"actions": [keyboard]})

    def click(self, selector: str) -> None:
        """Click on an element."""
        found = self._post("/element", {"using": "css selector", "value": selector})
        self._post(f"/element/{next(iter(found.values()))}/click", {})

    def command(self, name: str, **parameters: Any) -> Any:
        """Ask the browser itself, by a command of the DevTools protocol; what it answers."""
        return self._post("/goog/cdp/execute", {"cmd": name, "params": parameters})

    def text(self, selector: str) -> str:
        """What an element says."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))

    def screenshot(self, path: Path) -> None:
        """Save what is seen as a PNG."""
        path.write_bytes(base64.b64decode(self._send("GET", "/screenshot")))

    def until(self, look: Callable[[], Found], what: str) -> Found:
        """Look again and again until something true is seen."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if found := look():
                return found
            time.sleep(0.05)
        raise AssertionError(f"never seen: {what}")

    # -- what it noted ------------------------------------------------------------------------

    def complaints(self) -> list[str]:
        """Warnings and errors of the console since the last call."""
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def requested(self) -> set[str]:
        """Addresses that pages asked for since the last call; the browser's own pages left out."""
        entries = self._post("/se/log", {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return {
            str(message["params"]["request"]["url"])
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
            and not str(message["params"]["documentURL"]).startswith("chrome")
        }
