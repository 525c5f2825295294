"""What trackers are told, and what no config may tell them."""

from __future__ import annotations

import json
import random
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from tests.trackers.records import of_tensorboard, tensorboard_curves
from tests.trackers.told import subject
from vitruvian.core.confidential import confidential, passwords
from vitruvian.core.errors import ConfigError
from vitruvian.core.evaluation import Row, summarise, write
from vitruvian.core.gallery import Gallery
from vitruvian.core.history import History, Values
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.subject import Findings, Subject, findings_of, flat_parameters, subject_of
from vitruvian.core.tracker_file import Entry, read_entries
from vitruvian.core.tracking import Following, Tracker, attach
from vitruvian.core.views import mains, tables_of
from vitruvian.trackers import mlflow
from vitruvian.trackers.needed import need
from vitruvian.trackers.tensorboard import TensorBoard

DASHBOARD = Path(__file__).resolve().parents[2] / "scripts" / "dashboard.py"
ROWS = [{"step": 0.0, "epoch": 0.0, "train/loss": 3.0}, {"step": 1.0, "epoch": 0.0, "val/mae": 2.0}]

SECRETS: dict[str, tuple[Any, str]] = {
    "key": (
        {"wandb": {"api_key": "abc"}},
        "logger.wandb.api_key: no secrets in a config; set WANDB",
    ),
    "password": ({"mlflow": {"password": "abc"}}, "set MLFLOW_TRACKING_USERNAME and"),
    "token": (
        {"mine": {"access_token": "abc"}},
        "logger.mine.access_token: no secrets in a config",
    ),
    "address": ({"mlflow": {"uri": "https://me:abc@host/"}}, "logger.mlflow.uri: no user and pass"),
    "question": ({"mlflow": {"uri": "http://host/?token=abc"}}, "logger.mlflow.uri: no user and"),
    "user": ({"mlflow": {"uri": "http://abc@host"}}, "logger.mlflow.uri: no user and"),
    "slash": ({"mlflow": {"uri": "http://me:a/abc@host"}}, "logger.mlflow.uri: no user and"),
    "no user": ({"mine": {"uri": "redis://:abc@host/0"}}, "logger.mine.uri: no user and"),
    "signature": ({"mine": {"uri": "https://host/?v=1&X-Sig=abc"}}, "logger.mine.uri: no user and"),
    "private key": ({"mine": {"private_key": "abc"}}, "logger.mine.private_key: no secrets"),
    "passphrase": ({"mine": {"passphrase": "abc"}}, "logger.mine.passphrase: no secrets"),
    "header": ({"mine": {"headers": {"Authorization": "abc"}}}, "headers.Authorization: no sec"),
    "in a word": ({"mine": {"apikey": "abc"}}, "logger.mine.apikey: no secrets"),
    "list": ({"mine": {"places": ["http://me:abc@host"]}}, "logger.mine.places[0]: no user and"),
}
HARMLESS = (
    {"wandb": {"project": "p", "mode": "offline", "token": None}},
    {"mlflow": {"uri": "http://host:5000/api", "tokens": 5, "folder": "/a@b:c"}},
    {"mlflow": {"uri": "http://host:5000/a@b?version=1"}},
    {"mlflow": {"uri": "http://[::1]:5000/a@b"}},
    {"mlflow": {"uri": "sqlite:////home/me/a@b/mlflow.db"}},
    {"mine": {"monitor": "val/loss", "keys": ["a"], "author": "me"}},
)


@pytest.mark.parametrize("case", SECRETS)
def test_secrets_are_refused(case: str) -> None:
    logger, told = SECRETS[case]
    (line,) = confidential(logger)
    assert told in line
    assert "abc" not in line


@pytest.mark.parametrize("logger", HARMLESS)
def test_harmless_keys(logger: Any) -> None:
    assert not list(confidential(logger))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://me:abc@host/db", "PGPASSWORD or ~/.pgpass"),
        ("postgresql://host/db?user=me&password=abc", "PGPASSWORD or ~/.pgpass"),
        ("https://me:a/abc@host/data.zip", "take it out"),
    ],
)
def test_passwords_anywhere(address: str, told: str) -> None:
    (line,) = passwords({"datamodule": {"sources": [{"database": address}]}})
    assert line.startswith("datamodule.sources[0].database: a password in an address")
    assert told in line
    assert "abc" not in line


@pytest.mark.parametrize(
    "address",
    ["postgresql://me@host:5432/db", "postgresql://h:5432/db?application_name=a@b", "a:b@c"],
)
def test_addresses_without_a_password(address: str) -> None:
    assert not list(passwords({"datamodule": {"database": address}}))


def test_an_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mlflow, "need", lambda *_: None)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:abc@host/")
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING_USERNAME") as told:
        mlflow.MLflow()
    assert "abc" not in str(told.value)


def test_a_missing_package() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'vitruvian\[wandb\]'"):
        need("no_such_package", "wandb")


def test_the_config_flattened() -> None:
    config = {"seed": 1, "model": {"rates": [1, 2], "net": {"width": 8}}, "augment": {}}
    found = {"seed": 1, "model.rates": "[1, 2]", "model.net.width": 8, "augment": "{}"}
    assert flat_parameters(config) == found


def test_a_run_of_a_sweep(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text("name: liver\naxes: [optimizer.lr, model]\n")
    run = RunDirectory(tmp_path / "0003")
    run.path.mkdir()
    run.config_file.write_text("name: liver\n")
    run.overrides_file.write_text("optimizer.lr=9\nseed=1\noptimizer.lr=0.1\nmodel=unet\n")
    packages = {"torch": "2"}
    start = {"host": "secret-host", "command": ["x"], "git": {"commit": "c", "diff": "d"}}
    run.environment_file.write_text(json.dumps({"starts": [start | {"packages": packages}]}))
    found = subject_of(run, {"name": "liver"}, simulated=True)
    assert (found.group, found.axes) == (
        f"liver/{tmp_path.name}",
        {"optimizer.lr": "0.1", "model": "unet"},
    )
    assert found.title.endswith("0003 (simulated)")
    assert found.environment["commit"] == "c-modified"
    assert "secret-host" not in json.dumps(found.environment)


# -- tracker.json ---------------------------------------------------------------------------------


def test_entries_of_an_earlier_version(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.tracker_file.write_text(json.dumps({"csv": "vitruvian.core.history.History"}))
    assert read_entries(run) == {}
    attach({"csv": History(), "mine": Pretended()}, run)
    noted = json.loads(run.tracker_file.read_text())
    assert noted["csv"] == {"_target_": "vitruvian.core.history.History"}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"mine": {"id": 5}}'])
def test_damaged_entries_stop_nobody(content: str, tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.tracker_file.write_text(content)
    assert read_entries(run).get("mine", Entry()).id in (None, "5")
    attach({"mine": Pretended()}, run)


# -- what a tracker may and may not do ------------------------------------------------------------


class Pretended(Tracker):
    """Notes what it is told; fails, or draws random numbers, where it is asked to."""

    def __init__(self, fails: str = "", draws: bool = False) -> None:
        super().__init__()
        self.fails, self.draws, self.role = fails, draws, "mine"
        self.told: list[Any] = []

    def _note(self, what: str, value: Any) -> None:
        if self.draws:
            random.random(), np.random.random(), torch.rand(1)  # noqa: NPY002
        if self.fails == what:
            raise OSError(f"the disk of {what} is full\nsecond line")
        self.told.append((what, value))

    def _begin(self, subject: Subject, entry: Entry) -> Entry:
        self._note("begin", entry.id)
        return Entry("id-1", "place")

    def _rewind(self, rows: Sequence[Values]) -> None:
        self._note("rewind", list(rows))

    def _add(self, values: Values) -> None:
        self._note("add", values)

    def _show(self, findings: Findings) -> None:
        self._note("show", findings)

    def _end(self, state: str) -> None:
        self._note("end", state)


def follow(tracker: Tracker, folder: Path) -> None:
    tracker.open(subject(folder), Entry())
    tracker.log_metrics({"train/loss": 3.0, "epoch": 0}, 0)
    tracker.close("complete")


def test_a_tracker_is_told_in_order(tmp_path: Path) -> None:
    tracker = Pretended()
    follow(tracker, tmp_path)
    row = {"step": 0.0, "train/loss": 3.0, "epoch": 0.0}
    assert tracker.told == [("begin", None), ("add", row), ("end", "complete")]
    assert read_entries(RunDirectory(tmp_path))["mine"] == Entry("id-1", "place")


@pytest.mark.parametrize("what", ["begin", "add", "end"])
def test_a_failing_tracker_ends_nothing(
    what: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    follow(Pretended(fails=what), tmp_path)
    told = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert "the run goes on" in told[0]
    assert f"the disk of {what} is full" in told[0]
    assert "second line" not in told[0]
    assert "python -m vitruvian.trackers.sync" in told[1]
    assert len(told) == 2


def test_random_numbers_are_the_trainings(tmp_path: Path) -> None:
    def draw() -> list[float]:
        return [random.random(), np.random.random(), float(torch.rand(1))]  # noqa: NPY002

    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    expected = draw()
    torch.manual_seed(0), np.random.seed(0), random.seed(0)  # noqa: NPY002
    follow(Pretended(draws=True), tmp_path)
    assert draw() == expected


def test_killed_before_the_first_checkpoint(tmp_path: Path) -> None:
    """What the earlier start has logged is not known to any checkpoint: it goes."""
    run, tracker = RunDirectory(tmp_path), Pretended()
    run.config_file.write_text("name: x\n")
    attach({"mine": tracker}, run)
    run.tracker_file.write_text(json.dumps({"mine": {"_target_": "x", "id": "old"}}))
    Following(run, [tracker]).open({"name": "x"}, simulated=False)
    assert tracker.told == [("begin", "old"), ("rewind", [])]


def test_history_tells_its_followers(tmp_path: Path) -> None:
    history, followed = History(), Pretended()
    followed.open(subject(tmp_path), Entry())
    history.open(tmp_path)
    history.followers.append(followed.rewind)
    for row in ROWS:
        history.log_metrics({k: v for k, v in row.items() if k != "step"}, int(row["step"]))
    history.rewind(1)
    assert followed.told[-1] == ("rewind", ROWS[:1])


def test_the_way_to_the_run_can_be_copied(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    follow(Pretended(fails="add"), tmp_path / "my runs")
    assert f"sync '{tmp_path}/my runs'" in caplog.messages[-1]


def test_a_dashboard_without_tensorboard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "argv", ["dashboard.py", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"^TensorBoard is missing: pip install tensorboard"):
        runpy.run_path(str(DASHBOARD), run_name="__main__")
    assert capsys.readouterr().out == ""


# -- MLflow ---------------------------------------------------------------------------------------


class Server:
    """An MLflow whose store of files is away at first."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.params: dict[str, str] = {}
        self.texts: list[str] = []
        self.away = True

    def create_run(self, *_: Any, **__: Any) -> Any:
        self.runs.append(f"run-{len(self.runs)}")
        return SimpleNamespace(info=SimpleNamespace(run_id=self.runs[-1]))

    def get_run(self, _: str) -> Any:
        return SimpleNamespace(data=SimpleNamespace(params=self.params))

    def log_batch(self, _: str, params: Sequence[tuple[str, str]] = (), **__: Any) -> None:
        assert not self.params.keys() & dict(params).keys()
        self.params |= dict(params)

    def log_text(self, _: str, __: Any, name: str) -> None:
        if self.away:
            raise OSError("the store of files is away")
        self.texts.append(name)

    log_dict = log_text

    def list_artifacts(self, _: str) -> list[Any]:
        return [SimpleNamespace(path=name) for name in self.texts]

    def get_experiment_by_name(self, _: str) -> Any:
        return SimpleNamespace(experiment_id="1")

    def update_run(self, *_: Any, **__: Any) -> None: ...


def test_a_text_that_fails_makes_no_second_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entities = SimpleNamespace(Param=lambda *pair: pair, Metric=lambda *four: four)
    for part in ("mlflow", "mlflow.exceptions", "mlflow.entities", "mlflow.tracking"):
        content = SimpleNamespace(**vars(entities), MlflowException=KeyError, MlflowClient=None)
        monkeypatch.setitem(sys.modules, part, content)
    monkeypatch.setattr(mlflow, "need", lambda *_: None)
    monkeypatch.setattr(mlflow.MLflow, "_recorded", lambda _: {})
    tracker, server = mlflow.MLflow(folder=tmp_path), Server()
    tracker.role, tracker._client = "mlflow", server
    tracker.open(subject(tmp_path / "run"), Entry())
    assert tracker.missing() is not None
    assert read_entries(RunDirectory(tmp_path / "run"))["mlflow"].id == "run-0"
    server.away = False
    tracker._send(now=True)
    tracker._send(now=True)
    assert server.runs == ["run-0"]
    assert server.texts == ["config.yaml", "environment.json"]
    assert server.params == {"optimizer.lr": "0.001", "seed": "0", "data": "simulated"}
    assert tracker.missing() is None


# -- findings -------------------------------------------------------------------------------------


def evaluated(run: RunDirectory, name: str, **notes: Any) -> None:
    rows: list[Row] = [{"case": "p1", "predictor": "model", "dice": 0.5}]
    write(rows, summarise(rows, seed=0), run.evaluation, name, False, {"split": "hold-out"} | notes)


def test_views_belong_to_their_evaluation(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    for name, view in {"test": "", "test_people": "people", "test_last": ""}.items():
        evaluated(run, name, view=view)
    evaluated(run, "test_overridden", view="", changed=["seed"])
    evaluated(run, "test_last_people", view="people")
    evaluated(run, "val", changed=[])  # of an earlier version, which did not say it
    evaluated(run, "val_people", changed=[])
    assert tables_of(run.evaluation, "test") == ["test", "test_people"]
    assert tables_of(run.evaluation, "val") == ["val", "val_people"]
    assert mains(run.evaluation) == ["test", "test_last", "test_overridden", "val"]


def test_a_bad_chart_costs_only_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = RunDirectory(tmp_path)
    evaluated(run, "test", view="")
    gallery = Gallery(run.figures / "test", simulated=False)
    with gallery.picture("good", "Good", "A picture.") as file:
        file.write_bytes(b"png")
    gallery.chart("bad", "Bad", "A chart.", {"mark": 5})
    (run.figures / "test" / "bad.vl.json").write_text("{")
    with findings_of(run, ["test"]) as findings:
        assert [one.name for one in findings.figures(charts=True)] == ["test/good"]
        assert findings.summary["test/dice"] == 0.5
    assert "the chart test/bad cannot be drawn" in caplog.text


# -- TensorBoard's files --------------------------------------------------------------------------


def started(folder: Path, entry: Entry) -> TensorBoard:
    tracker = TensorBoard()
    tracker.role = "tensorboard"
    tracker.open(subject(folder), entry)
    return tracker


def test_steps_stand_once_after_a_restart(tmp_path: Path) -> None:
    first = started(tmp_path, Entry())
    rows = [{"step": float(n), "epoch": 0.0, "train/loss": n / 2} for n in range(6)]
    for row in rows:
        first.log_metrics({"epoch": 0.0, "train/loss": row["train/loss"]}, int(row["step"]))
    with next((tmp_path / "tensorboard").iterdir()).open("ab") as stream:
        stream.write(b"half a record")  # the process was killed here
    second = started(tmp_path, Entry("tensorboard", "tensorboard"))
    second.rewind(rows[:4])
    for row in rows[4:]:
        second.log_metrics({"epoch": 0.0, "train/loss": row["train/loss"]}, int(row["step"]))
    second.close("complete")
    curves = tensorboard_curves(tmp_path / "tensorboard")
    assert curves["train/loss"] == [(n, n / 2) for n in range(6)]
    assert curves["epoch"] == [(n, 0.0) for n in range(6)]


def test_hyper_parameters_and_state(tmp_path: Path) -> None:
    tracker = started(tmp_path, Entry())
    tracker.close("complete")
    read = of_tensorboard(tmp_path / "tensorboard")
    told = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"optimizer.lr" in told
    assert b"simulated" in told
    assert b"complete" in read.Tensors("run/state/text_summary")[0].tensor_proto.string_val[0]
