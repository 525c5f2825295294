"""TensorBoard and MLflow as people see them: their real servers, in a headless browser."""

from __future__ import annotations

import importlib.util
import os
import re
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import browser
from tests.integration.runs import SMALL, log_of, train
from tests.trackers import records

ROOT = Path(__file__).resolve().parents[2]
FREE = tuple(key for key in SMALL if key not in ("logger=csv", "page=false"))
START_S = 300.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(browser.missing() is not None, reason=str(browser.missing())),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def serving(command: list[str], url: str, log: Path, **environment: str) -> Iterator[None]:
    """A server that answers; it and what it started end with the block."""
    with log.open("wb") as stream:
        server = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=os.environ | environment, process_group=0
        )
    try:
        end = time.monotonic() + START_S
        while not answers(url):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.2)
        yield
    finally:
        os.killpg(server.pid, 15)
        server.wait(30)


def see(shown: browser.Browser, words: str) -> None:
    """Wait until the page says it, also below shadow roots."""
    script = """
        const read = (node) => [...(node.shadowRoot ? read(node.shadowRoot) : []),
            ...[...node.childNodes].flatMap(
                (one) => one.nodeType === 3 ? [one.textContent] : read(one))];
        return read(document.body).join(" ");"""
    shown.until(lambda: words in str(shown.run(script)), words)


def see_picture(shown: browser.Browser, file: Path) -> None:
    """Wait until the page shows a picture of this one's size, also below shadow roots."""
    script = """
        const find = (node) => [
            ...[...node.querySelectorAll("img")].map(
                (one) => `${one.naturalWidth} x ${one.naturalHeight}`),
            ...[...node.querySelectorAll("*")].flatMap(
                (one) => one.shadowRoot ? find(one.shadowRoot) : [])];
        return find(document);"""
    size = "{} x {}".format(*struct.unpack(">II", file.read_bytes()[16:24]))
    shown.until(lambda: size in shown.run(script), f"a picture of {size}")


def last_loss(run: Path) -> tuple[int, float]:
    return records.of_csv(run)["train/loss"][-1]


def stays_here(shown: browser.Browser) -> None:
    requested = {url for url in shown.requested() if re.match("(http|ws)", url)}
    assert requested
    assert all(url.startswith("http://127.0.0.1:") for url in requested), requested


def screenshot(shown: browser.Browser, name: str) -> None:
    """Kept for those who ask for them by VITRUVIAN_SCREENSHOTS=FOLDER."""
    if folder := os.environ.get("VITRUVIAN_SCREENSHOTS"):
        shown.screenshot(Path(folder) / f"{name}.png")


TRAINING = "?workflowType=machine_learning"  # the other half of the page is for language models
# A line of Plotly through several values; MLflow draws what is in view only.
CURVE = """
    return [...document.querySelectorAll(".scatterlayer path.js-line")].some(
        (line) => (line.getAttribute("d") || "").split("L").length > 5);"""
TO_SECTION = """
    const found = [...document.querySelectorAll("div[role=button]")].filter(
        (one) => one.textContent.trim().startsWith(arguments[0]));
    found.forEach((one) => one.scrollIntoView());
    return found.length;"""


def test_tensorboard(tmp_path: Path, cache: str) -> None:
    outputs = tmp_path / "outputs"
    run = outputs / "liver" / "first"
    run.parent.mkdir(parents=True)
    assert train(run, (*FREE, cache, "logger=tensorboard", f"output_dir={outputs}")) == 0, log_of(
        run
    )
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    command = [sys.executable, "-u", str(ROOT / "scripts/dashboard.py"), str(outputs)]
    log = tmp_path / "log"
    with (
        serving([*command, "--port", str(port)], url, log),
        browser.Browser(tmp_path, (1440, 1000)) as shown,
    ):
        assert url in log.read_text()
        shown.open(f"{url}#timeseries")
        see(shown, "liver/first/tensorboard")
        see(shown, "test_simulated")
        shown.open(f"{url}?tagFilter=train/loss#timeseries")
        step, loss = last_loss(run)  # the page has a row of them below the curve
        see(shown, f"{loss:.5g}")
        see(shown, f"{step}")
        canvas = "return document.querySelectorAll('scalar-card canvas').length"
        shown.until(lambda: shown.run(canvas) == 1, "a curve")
        screenshot(shown, "tensorboard_curves")
        shown.open(f"{url}#images")
        see_picture(shown, run / "figures/test_simulated/worst_slice_simulated.png")
        screenshot(shown, "tensorboard_images")
        shown.open(f"{url}#text")
        see(shown, "simulated data, mean (95 % CI)")
        screenshot(shown, "tensorboard_text")
        shown.open(f"{url}#hparams")
        see(shown, "datamodule.batch_size")
        screenshot(shown, "tensorboard_hparams")
        stays_here(shown)


@pytest.mark.skipif(
    importlib.util.find_spec("mlflow") is None, reason="mlflow is not installed (extra mlflow)"
)
def test_mlflow(tmp_path: Path, cache: str) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    store = f"sqlite:///{tmp_path / 'server.db'}"
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", store]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    quiet = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    run = tmp_path / "run"
    with serving(command, f"{url}/health", tmp_path / "log", **quiet):
        overrides = (*FREE, cache, "logger=mlflow", f"logger.mlflow.uri={url}")
        assert train(run, (*overrides, f"output_dir={tmp_path}")) == 0, log_of(run)
        where = records.entry(run, "mlflow")
        found, curves = records.mlflow_run(url, where["id"])
        told = records.of_csv(run)
        assert {name: curves[name] for name in told} == told
        assert (where["place"], found.info.status) == (url, "FINISHED")
        with browser.Browser(tmp_path, (1440, 1000)) as shown:
            page = f"{url}/#/experiments/{found.info.experiment_id}/runs/{where['id']}"
            shown.open(f"{page}{TRAINING}")
            see(shown, "run (simulated)")
            see(shown, "train/epoch_loss")
            screenshot(shown, "mlflow_run")
            shown.open(f"{page}/model-metrics{TRAINING}")
            shown.until(lambda: shown.run(TO_SECTION, "train("), "the section of the training")
            shown.until(lambda: shown.run(CURVE), "a curve")
            screenshot(shown, "mlflow_curves")
            folder = "figures/test_simulated"
            picture = run / folder / "worst_slice_simulated.png"
            shown.open(f"{page}/artifacts/{folder}/{picture.name}{TRAINING}")
            see_picture(shown, picture)
            screenshot(shown, "mlflow_picture")
            stays_here(shown)
