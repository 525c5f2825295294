"""The site builds without a warning, and asks nothing of the network."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests import browser
from tests.docs.pages import DOCS, ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("material", "mkdocstrings")),
        reason="needs MkDocs: EXTRAS=dev,docs make setup",
    ),
]

# What a browser fetches by itself. A link that somebody may follow is no request.
FETCHED = re.compile(
    r"<(?:script|link|img|iframe|source|video|audio|object|embed)\b[^>]*"
    r"(?:src|href|data)=[\"']?(?:https?:)?//[^\"'> ]+",
    re.IGNORECASE,
)
IMPORTED = re.compile(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)\"']+", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def test_every_page_is_built(site: Path) -> None:
    for page in DOCS.rglob("*.md"):
        assert (site / page.relative_to(DOCS)).with_suffix(".html").is_file()


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not FETCHED.findall(page.read_text(encoding="utf-8")), page
    for sheet in site.rglob("*.css"):
        assert not IMPORTED.findall(sheet.read_text(encoding="utf-8")), sheet


def test_files_of_the_repository_are_beside_the_pages(site: Path) -> None:
    cluster = (site / "cluster.html").read_text(encoding="utf-8")
    linked = re.findall(r'href="(repository/[^"]+)"', cluster)
    assert "repository/conf/cluster/generic_gpu.yaml.txt" in linked
    assert all((site / name).is_file() for name in linked)


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Where the site is served, on this machine only."""
    handler = partial(QuietHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing()))
def test_a_browser_asks_for_nothing_else_and_finds_a_word(address: str, tmp_path: Path) -> None:
    with browser.Browser(tmp_path / "profile") as shown:
        for page in ("index", "tutorials/liver", "reference/core"):
            shown.open(f"{address}/{page}.html")
        shown.click("input.md-search__input")
        shown.run(
            "const field = document.querySelector('input.md-search__input');"
            "field.value = 'pre-emption'; field.dispatchEvent(new Event('keyup'));"
        )
        found = "return document.querySelectorAll('.md-search-result__item').length"
        shown.until(lambda: shown.run(found), "a result of the search")
        assert all(one.startswith((address, "data:")) for one in shown.requested())
        assert not shown.complaints()


@pytest.mark.parametrize(
    ("page", "told"),
    [
        ("liver", ["EASUNet", "LiverCT", "LiverSegmenter"]),
        ("spine", ["PoseLSTM", "SpineClips", "BlazePose"]),
        ("muscle", ["MuscleCNN", "MuscleRecordings", "MuscleEstimator"]),
        ("core", ["Task", "DataModule", "Store", "RunDirectory", "KFold"]),
        ("trackers", ["TensorBoard"]),
    ],
)
def test_the_reference_tells_what_users_import(site: Path, page: str, told: list[str]) -> None:
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    for name in told:
        assert re.search(rf'id="vitruvian\.[\w.]*\.{name}"', text), name
