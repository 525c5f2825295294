"""Trackers record what `metrics.csv` says, each step once, however often the run is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.integration.runs import SMALL, Kill, log_of, same, start, state, train, verb
from tests.trackers import records

pytestmark = pytest.mark.slow

FREE = tuple(key for key in SMALL if key not in ("logger=csv", "page=false"))
MLFLOW = importlib.util.find_spec("mlflow") is not None
ALL = "logger=many" if MLFLOW else "logger=wandb"
needs_mlflow = pytest.mark.skipif(not MLFLOW, reason="mlflow is not installed (extra mlflow)")
CANARY = "canary" * 7  # a key of wandb has forty letters

MOMENTS = {
    "before the first checkpoint": Kill("on_train_batch_end", 1),
    "mid-epoch": Kill("on_train_batch_end", 8),
    "in the final evaluation": Kill("on_test_start", 1),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


def keys(folder: Path, cache: str) -> tuple[str, ...]:
    return (*FREE, cache, f"output_dir={folder / 'outputs'}")


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run that nobody follows."""
    run = tmp_path_factory.mktemp("untracked") / "run"
    assert train(run, (*SMALL, cache)) == 0, log_of(run)
    return run


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run that all trackers follow, with secrets in its environment."""
    folder = tmp_path_factory.mktemp("tracked")
    names = ("WANDB_API_KEY", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
    kept = ("logger.wandb.artifacts=true", *["logger.mlflow.artifacts=true"][: int(MLFLOW)])
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setenv(name, CANARY)
        run = folder / "run"
        overrides = (*keys(folder, cache), ALL, *kept)
        assert command(run, overrides) == 0, log_of(run)
    return run


def command(run: Path, overrides: tuple[str, ...]) -> int:
    """A process of its own: those of the fork server have the server's environment."""
    import subprocess
    import sys

    with Path(f"{run}.log").open("ab") as log:
        line = [sys.executable, "-m", "vitruvian.train", f"run={run}", *overrides]
        return subprocess.call(line, stdout=log, stderr=log)


def alike(ours: records.Curves, theirs: records.Curves) -> None:
    """The same points, in order; TensorBoard keeps single precision."""
    for name, points in theirs.items():
        assert [step for step, _ in ours[name]] == [step for step, _ in points], name
        assert [v for _, v in ours[name]] == pytest.approx([v for _, v in points], rel=1e-6), name


def without_findings(curves: records.Curves) -> records.Curves:
    return {name: points for name, points in curves.items() if not name.startswith("test_")}


def wandb_curves(run: Path) -> records.Curves:
    curves: records.Curves = {}
    for record in records.wandb_records(run):
        item = record.get("history", {}).get("item", {})
        for name, value in item.items():
            if not name.startswith(("_", "evaluation", "figures")) and name != "step":
                point = (int(item["step"]), value)
                if point not in curves.setdefault(name, []):
                    curves[name].append(point)
    return curves


# -- a run that nobody interrupts -----------------------------------------------------------------


def test_trackers_change_no_bit(tracked: Path, untracked: Path) -> None:
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = (
            state(tracked / "checkpoints" / name),
            state(untracked / "checkpoints" / name),
        )
        for part in theirs.keys() - {"vitruvian_config", "loops"}:  # with all random states
            assert same(ours[part], theirs[part]), f"{name}: {part}"
    for name in ("metrics.csv", "evaluation/test_simulated.csv"):
        assert (tracked / name).read_bytes() == (untracked / name).read_bytes()


def test_no_secret_is_written(tracked: Path) -> None:
    for file in tracked.parent.rglob("*"):
        if file.is_file():
            assert CANARY.encode() not in file.read_bytes(), file


def test_tensorboard_has_it_all(tracked: Path) -> None:
    folder = tracked / "tensorboard"
    alike(records.tensorboard_curves(folder), records.of_csv(tracked))
    tags = records.of_tensorboard(folder).Tags()
    figures = json.loads((tracked / "figures/test_simulated/index.json").read_text())["figures"]
    pictures = {f"test_simulated/{one['name']}" for one in figures if one["kind"] == "picture"}
    assert set(tags["images"]) == pictures != set()
    assert "test_simulated/dice" in tags["scalars"]
    text = records.of_tensorboard(folder).Tensors("run/what/text_summary")[0].tensor_proto
    assert b"simulated" in text.string_val[0]


def test_wandb_has_it_all(tracked: Path) -> None:
    alike(wandb_curves(tracked), records.of_csv(tracked))
    found = records.wandb_records(tracked)
    (run,) = (one["run"] for one in found if one["type"] == "run")
    assert run["run_id"] == records.entry(tracked, "wandb")["id"]
    told = run["config"]["update"]
    assert (told["optimizer.lr"], told["data"]) == (0.001, "simulated")
    assert "torch" in told["environment"]["packages"]
    assert "host" not in told["environment"]
    assert [one["exit"]["exit_code"] for one in found if one["type"] == "exit"] == [0]
    files = [path.name for path in (tracked / "wandb").rglob("*") if path.is_file()]
    assert any(name.startswith("dice_per_case") for name in files), "a chart"
    assert any(name.startswith("worst_slice") for name in files), "a picture"
    assert any(name.endswith(".table.json") for name in files)
    assert {one["artifact"]["type"] for one in found if one["type"] == "artifact"} >= {"model"}


@needs_mlflow
def test_mlflow_has_it_all(tracked: Path) -> None:
    where = records.entry(tracked, "mlflow")
    run, curves = records.mlflow_run(where["place"], where["id"])
    alike(curves, records.of_csv(tracked))
    assert run.info.status == "FINISHED"
    assert (run.data.params["optimizer.lr"], run.data.params["data"]) == ("0.001", "simulated")
    assert "test_simulated/dice" in run.data.metrics
    assert run.data.tags["data"] == "simulated"
    assert "python" in run.data.tags
    kept = {path.name for path in (tracked.parent / "outputs/mlflow/artifacts").rglob("*")}
    assert {"test_simulated.csv", "best.ckpt", "config.yaml"} <= kept
    assert {"dice_per_case_simulated.png", "worst_slice_simulated.png"} <= kept


# -- killed, and continued ------------------------------------------------------------------------


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(moment: str, tmp_path: Path, cache: str) -> None:
    run = tmp_path / "run"
    assert train(run, (*keys(tmp_path, cache), ALL, "page=false"), MOMENTS[moment]) < 0
    first = json.loads((run / "tracker.json").read_text())
    assert train(run) == 0, log_of(run)
    assert "cannot" not in log_of(run), log_of(run)
    assert json.loads((run / "tracker.json").read_text()) == first, "another record was begun"
    told = records.of_csv(run)
    curves = {"wandb": wandb_curves(run)}
    if MLFLOW:
        curves["tensorboard"] = records.tensorboard_curves(run / "tensorboard")
        found, curves["mlflow"] = records.mlflow_run(
            first["mlflow"]["place"], first["mlflow"]["id"]
        )
        assert found.info.status == "FINISHED"
    for tracker, curve in curves.items():
        assert without_findings(curve).keys() == told.keys(), tracker
        alike(curve, told)


def test_a_stop_is_told(tmp_path: Path, cache: str) -> None:
    import signal

    run = tmp_path / "run"
    stop = Kill("on_train_batch_end", 8, signal.SIGTERM)
    assert train(run, (*keys(tmp_path, cache), ALL, "page=false"), stop) == 143, log_of(run)
    exits = [one["exit"] for one in records.wandb_records(run) if one["type"] == "exit"]
    assert [one["exit_code"] for one in exits] == [255]
    if MLFLOW:
        where = records.entry(run, "mlflow")
        assert records.mlflow_run(where["place"], where["id"])[0].info.status == "KILLED"


def test_a_run_of_an_earlier_version(tmp_path: Path, cache: str) -> None:
    """It has `{role: target}` in `tracker.json`, and goes on."""
    run = tmp_path / "run"
    overrides = (*keys(tmp_path, cache), "logger=tensorboard", "page=false")
    assert train(run, overrides, MOMENTS["mid-epoch"]) < 0
    shutil.rmtree(run / "tensorboard")
    old = {"csv": "vitruvian.core.history.History", "tensorboard": "somebody.else.Logger"}
    (run / "tracker.json").write_text(json.dumps(old))
    assert train(run) == 0, log_of(run)
    alike(records.tensorboard_curves(run / "tensorboard"), records.of_csv(run))


# -- what fails -----------------------------------------------------------------------------------


@needs_mlflow
def test_a_server_that_is_away(tmp_path: Path, cache: str) -> None:
    """The run goes on, says so once, and tells how to bring later what is missing."""
    run = tmp_path / "run"
    away = ("logger=mlflow", "logger.mlflow.uri=http://127.0.0.1:9", "page=false")
    assert train(run, (*keys(tmp_path, cache), *away)) == 0, log_of(run)
    told = log_of(run)
    assert told.count("no connection") == 1
    assert f"python -m vitruvian.trackers.sync {run}" in told
    assert "Traceback" not in told


class Refuses(BaseHTTPRequestHandler):
    """A server that answers, and lets nobody in."""

    def do_POST(self) -> None:
        self.send_response(401)
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_POST()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=["away", "refuses"])
def closed_server(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server that takes no run."""
    if request.param == "away":
        yield "http://127.0.0.1:9"
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), Refuses) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_online_without_a_connection(
    tmp_path: Path, cache: str, closed_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", closed_server)
    monkeypatch.setenv("WANDB_API_KEY", CANARY[:40])
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "4")
    run = tmp_path / "run"
    overrides = (*keys(tmp_path, cache), "logger=wandb", "logger.wandb.mode=online", "page=false")
    assert command(run, overrides) == 0, log_of(run)
    assert "kept offline" in log_of(run)
    assert "cannot" not in log_of(run), log_of(run)
    alike(wandb_curves(run), records.of_csv(run))


# -- sweeps ---------------------------------------------------------------------------------------


def test_a_sweep_is_one_group(tmp_path: Path, cache: str) -> None:
    sweep = tmp_path / "sweep"
    axes = ("optimizer.lr=0.001,0.002", "trainer.max_epochs=1", "page=false")
    arguments = ("-m", *keys(tmp_path, cache), ALL, *axes, f"hydra.sweep.dir={sweep}")
    jobs = "hydra.launcher.jobs=2"  # both begin at the same time on a fresh database
    log = tmp_path / "log"
    assert verb("train", *arguments, jobs, log=log) == 0, log.read_text()
    groups = set()
    for number, rate in (("0000", "0.001"), ("0001", "0.002")):
        (told,) = (r["run"] for r in records.wandb_records(sweep / number) if r["type"] == "run")
        assert told["config"]["update"]["axes"] == {"optimizer.lr": rate}
        groups.add(told["run_group"])
    assert groups == {"liver_demo/sweep"}
    if MLFLOW:
        _one_experiment(sweep)


def _one_experiment(sweep: Path) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(records.entry(sweep / "0000", "mlflow")["place"])
    experiment: Any = client.get_experiment_by_name("liver_demo/sweep")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.data.tags["axis optimizer.lr"] for run in runs} == {"0.001", "0.002"}


def test_two_runs_of_one_process(tmp_path: Path) -> None:
    """wandb would make one of them, and let later processes share the service of this one."""
    from tests.trackers.told import subject
    from vitruvian.core.tracker_file import Entry
    from vitruvian.trackers.wandb import WandB

    trackers = {1.0: WandB(), 2.0: WandB()}
    for loss, tracker in trackers.items():
        tracker.role = "wandb"
        tracker.open(subject(tmp_path / str(loss), parameters={"loss": loss}), Entry())
    for step in range(3):
        for loss, tracker in trackers.items():
            tracker.log_metrics({"train/loss": loss, "epoch": 0}, step)
    for tracker in trackers.values():
        tracker.close("complete")
    assert "WANDB_SERVICE" not in os.environ
    for loss in trackers:
        run = tmp_path / str(loss)
        assert wandb_curves(run)["train/loss"] == [(step, loss) for step in range(3)]
        (told,) = (one["run"] for one in records.wandb_records(run) if one["type"] == "run")
        assert told["run_id"] == records.entry(run, "wandb")["id"]
        assert told["config"]["update"]["loss"] == loss
    assert len({records.entry(tmp_path / str(loss), "wandb")["id"] for loss in trackers}) == 2


def test_nothing_is_begun_for_what_cannot_start(tmp_path: Path, cache: str) -> None:
    run = tmp_path / "run"
    process = start(run, (*keys(tmp_path, cache), "logger=wandb", "datamodule.root=/nowhere"))
    process.join(120)
    assert process.exitcode == 2
    assert not (run / "wandb").exists()
