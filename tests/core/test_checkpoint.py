"""Checkpoints: plain data only, whole or not at all, never of a ruined training."""

from __future__ import annotations

import math
import os
import pickle
import resource
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from vitruvian.core.checkpoint import Checkpoints, PlainCheckpointIO, load_checkpoint
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.history import History
from vitruvian.core.resume import ExactResume
from vitruvian.core.signals import StopRequest
from vitruvian.core.task import Task

GOOD = {"state_dict": {"w": torch.arange(3.0)}, "epoch": 2, "config": {"a": [1, None, "x"]}}


class Command:
    """An object whose pickle runs a command when it is read."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


class Exec(Command):
    """The same by way of a builtin, which looks more innocent."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, (f"__import__('os').system({self.command!r})",)


# -- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Command, Exec])
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("place", ["whole", "state_dict", "beside"])
def test_crafted_pickle_is_refused_and_not_run(
    kind: type[Command], form: str, place: str, tmp_path: Path
) -> None:
    path, touched = tmp_path / "evil.ckpt", tmp_path / "touched"
    evil = kind(f"touch {touched}")
    content = {
        "whole": evil,
        "state_dict": {"state_dict": evil},
        "beside": {**GOOD, "callbacks": [evil]},
    }[place]
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(RunError, match=r"evil\.ckpt is refused: .* could run code"):
        load_checkpoint(path)
    assert not touched.exists()
    if form == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert touched.exists(), "the trap is real: whoever reads it without care has run it"


def test_caller_cannot_ask_for_more_than_plain_data(tmp_path: Path) -> None:
    path, touched = tmp_path / "evil.ckpt", tmp_path / "touched"
    torch.save({"state_dict": Command(f"touch {touched}")}, path)
    with pytest.raises(RunError, match="is refused"):
        PlainCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not touched.exists()


def test_pickled_objects_of_ours_are_refused_too(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "net": nn.Linear(1, 1)}, tmp_path / "net.ckpt")
    with pytest.raises(RunError, match="is refused"):
        load_checkpoint(tmp_path / "net.ckpt")


@pytest.fixture
def good(tmp_path: Path) -> bytes:
    PlainCheckpointIO().save_checkpoint(GOOD, tmp_path / "good.ckpt")
    return (tmp_path / "good.ckpt").read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6, 0.9, 0.999])
def test_truncated_file(share: float, good: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut.ckpt"
    path.write_bytes(good[: int(share * len(good))])
    with pytest.raises(RunError, match=r"cut\.ckpt (cannot be read|is refused): ") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [b"noise" * 100, bytes(range(256)) * 4, b"\x80\x02.", b"{}", b"\x00" * 1000, b"PK\x03\x04"],
    ids=["text", "bytes", "empty pickle", "json", "zeros", "start of a zip file"],
)
def test_file_of_another_kind(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "other.ckpt").write_bytes(content)
    with pytest.raises(RunError, match=r"other\.ckpt (cannot be read|is refused): ") as error:
        load_checkpoint(tmp_path / "other.ckpt")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [torch.zeros(1), [1], {"weights": {}}])
def test_plain_data_that_is_no_checkpoint(content: Any, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(RunError, match="is not a checkpoint of Vitruvian: it has no state_dict"):
        load_checkpoint(tmp_path / "other.ckpt")


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such checkpoint"):
        load_checkpoint(tmp_path / "last.ckpt")


# -- writing --------------------------------------------------------------------------------------


def test_what_is_written_is_read(good: bytes, tmp_path: Path) -> None:
    content = PlainCheckpointIO().load_checkpoint(tmp_path / "good.ckpt")
    assert torch.equal(content.pop("state_dict")["w"], torch.arange(3.0))
    assert content == {key: GOOD[key] for key in ("epoch", "config")}
    assert [path.name for path in tmp_path.iterdir()] == ["good.ckpt"]


def test_same_content_same_bytes(good: bytes, tmp_path: Path) -> None:
    PlainCheckpointIO().save_checkpoint(GOOD, tmp_path / "again.ckpt")
    assert (tmp_path / "again.ckpt").read_bytes() == good


def test_remove(good: bytes, tmp_path: Path) -> None:
    for _ in range(2):
        PlainCheckpointIO().remove_checkpoint(tmp_path / "good.ckpt")
    assert list(tmp_path.iterdir()) == []


def test_unpicklable_content_leaves_the_previous_one(good: bytes, tmp_path: Path) -> None:
    with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
        PlainCheckpointIO().save_checkpoint({"state_dict": lambda: 1}, tmp_path / "good.ckpt")
    assert (tmp_path / "good.ckpt").read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == ["good.ckpt"]


@pytest.mark.parametrize("floats", [40_000, 60_000, 1_000_000])
def test_full_disk_leaves_the_previous_one(floats: int, mount: Callable[[str], Path]) -> None:
    disk = mount("size=200k")
    path = disk / "last.ckpt"
    writer = PlainCheckpointIO()
    writer.save_checkpoint({"state_dict": {"w": torch.zeros(20_000)}}, path)
    before = path.read_bytes()
    with pytest.raises(RunError, match=r"cannot write .*last\.ckpt: the disk is full; free space"):
        writer.save_checkpoint({"state_dict": {"w": torch.zeros(floats)}}, path)
    assert path.read_bytes() == before
    assert [p.name for p in disk.iterdir()] == ["last.ckpt"], "nothing half-written stays"
    assert torch.equal(load_checkpoint(path)["state_dict"]["w"], torch.zeros(20_000))


def test_limit_of_file_size_leaves_the_previous_one(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    writer = PlainCheckpointIO()
    writer.save_checkpoint(GOOD, path)
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    try:
        with pytest.raises(RunError, match=r"cannot write .*last\.ckpt: File too large"):
            writer.save_checkpoint({"state_dict": {"w": torch.zeros(100_000)}}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


# -- when to write what ---------------------------------------------------------------------------


class Trainer(SimpleNamespace):
    """As much of a trainer as the callback asks for; it writes real files."""

    def save_checkpoint(self, path: Path, weights_only: bool = False) -> None:
        content = {"state_dict": self.lightning_module.state_dict(), "step": self.global_step}
        PlainCheckpointIO().save_checkpoint(content, path)


def keeper(tmp_path: Path, **arguments: Any) -> tuple[Checkpoints, Trainer]:
    parts = nn.Linear(2, 1, bias=False), nn.MSELoss(), torch.optim.SGD
    trainer = Trainer(
        lightning_module=Task(*parts),
        global_step=0,
        world_size=1,
        callback_metrics={},
        state=SimpleNamespace(fn="fit"),
    )
    callback = Checkpoints("val/dice", **arguments)
    callback.attach(tmp_path, ExactResume(History()), StopRequest())
    return callback, trainer


def step_of(path: Path) -> int:
    return int(load_checkpoint(path)["step"])


@pytest.mark.parametrize("ruined", ["loss", "weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_diverged_training_keeps_the_last_good_one(
    ruined: str, value: float, tmp_path: Path
) -> None:
    callback, trainer = keeper(tmp_path)
    task = trainer.lightning_module
    task.epoch_loss.update(torch.tensor(0.5))
    trainer.global_step = 7
    callback.save_last(trainer)
    before = (tmp_path / "last.ckpt").read_bytes()

    trainer.global_step = 8
    if ruined == "loss":
        task.epoch_loss.update(torch.tensor(value))
    else:
        with torch.no_grad():
            task.net.weight[0, 1] = value
    text = f"training diverged: .*{ruined} is not finite at step 8; .*try a smaller optimizer.lr"
    with pytest.raises(RunError, match=text):
        callback.save_last(trainer)
    with pytest.raises(RunError, match=text):
        callback.on_validation_start(trainer, task)
    assert (tmp_path / "last.ckpt").read_bytes() == before
    assert step_of(tmp_path / "last.ckpt") == 7


@pytest.mark.parametrize(
    ("mode", "scores", "kept"),
    [
        ("max", [0.2, 0.5, 0.4, 0.5], 1),
        ("min", [0.2, 0.5, 0.1, 0.1], 2),
        ("max", [math.nan, 0.1, math.nan], 1),
        ("min", [0.0, -math.inf, math.nan], 1),
    ],
)
def test_best(mode: str, scores: list[float], kept: int, tmp_path: Path) -> None:
    callback, trainer = keeper(tmp_path, mode=mode)
    for step, score in enumerate(scores):
        trainer.global_step = step
        trainer.callback_metrics["val/dice"] = torch.tensor(score)
        callback.on_validation_end(trainer, trainer.lightning_module)
    assert step_of(tmp_path / "best.ckpt") == kept
    assert callback.state_dict()["best"] == pytest.approx(scores[kept])


def test_best_score_outlives_an_interruption(tmp_path: Path) -> None:
    callback, trainer = keeper(tmp_path, mode="max")
    callback.load_state_dict({"best": 0.9})
    trainer.callback_metrics["val/dice"] = torch.tensor(0.8)
    callback.on_validation_end(trainer, trainer.lightning_module)
    assert not (tmp_path / "best.ckpt").exists()


def test_nan_alone_is_not_the_best(tmp_path: Path) -> None:
    callback, trainer = keeper(tmp_path)
    trainer.callback_metrics["val/dice"] = torch.tensor(math.nan)
    callback.on_validation_end(trainer, trainer.lightning_module)
    assert not (tmp_path / "best.ckpt").exists()


def test_metric_that_nobody_logs(tmp_path: Path) -> None:
    callback, trainer = keeper(tmp_path)
    trainer.callback_metrics = {"val/dce": torch.tensor(1.0), "train/loss": torch.tensor(1.0)}
    with pytest.raises(ConfigError, match=r"monitor\.metric: val/dice is not .* mean `val/dce`"):
        callback.on_validation_end(trainer, trainer.lightning_module)


@pytest.mark.parametrize("function", ["validate", "test"])
def test_evaluation_alone_writes_nothing(function: str, tmp_path: Path) -> None:
    callback, trainer = keeper(tmp_path)
    trainer.state.fn = function
    callback.on_validation_start(trainer, trainer.lightning_module)
    callback.on_validation_end(trainer, trainer.lightning_module)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"mode": "most"}, "mode must be 'min' or 'max'"), ({"every_n_steps": 0}, "at least 1")],
)
def test_bad_arguments(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Checkpoints("val/dice", **arguments)
