"""A net shared out over two processes: the numbers of DDP, plain checkpoints, exact resume."""

from __future__ import annotations

import csv
import signal
from pathlib import Path

import pytest
import torch

from tests.integration.runs import MOMENTS, SMALL, log_of, same, state, train, verb

pytestmark = pytest.mark.slow

TABLE = "evaluation/test_simulated.csv"

TWO = (
    *(key for key in SMALL if not key.startswith(("trainer=", "datamodule.simulator.cases"))),
    "trainer.accelerator=cpu",
    "datamodule.simulator.cases=9",
    "split.folds=3",  # three cases of different length on two ranks: one is evaluated twice
    "model.channels_last=false",  # shares lie in the plain order; another one draws other dropout
    "model.net.eas_dropout=0.5",
    "trainer.gradient_clip_val=0.5",
    "callbacks=ema",
    "callbacks.checkpoints.every_n_steps=2",
)
FSDP = (*TWO, "trainer=fsdp")
IN_PARTS = (*FSDP, "trainer.strategy.part=50")  # many parts: each is gathered when its turn comes


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture(scope="module")
def ddp(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    run = tmp_path_factory.mktemp("ddp") / "run"
    assert train(run, (*TWO, "trainer=ddp", cache)) == 0, log_of(run)
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A run in many parts that nobody interrupts."""
    run = tmp_path_factory.mktemp("parts") / "run"
    assert train(run, (*IN_PARTS, cache)) == 0, log_of(run)
    return run


def figures(run: Path) -> list[list[float]]:
    with (run / "metrics.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))[1:]
    return [[float(cell) if cell else -1.0 for cell in row] for row in rows]


def assert_close(run: Path, other: Path) -> None:
    """The same training, up to the order in which numbers are added."""
    for ours, theirs in zip(figures(run), figures(other), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-5)
    for name in ("last", "best"):
        a, b = (state(r / "checkpoints" / f"{name}.ckpt") for r in (run, other))
        assert a.keys() == b.keys()
        assert a["state_dict"].keys() == b["state_dict"].keys()
        for key, weight in b["state_dict"].items():
            torch.testing.assert_close(a["state_dict"][key], weight, rtol=1e-4, atol=1e-6)


def test_trains_as_ddp(whole: Path, ddp: Path) -> None:
    assert_close(whole, ddp)


def test_trains_as_one_piece(tmp_path: Path, cache: str, whole: Path) -> None:
    run = tmp_path / "run"
    assert train(run, (*FSDP, cache)) == 0, log_of(run)
    assert_close(run, whole)


def test_checkpoints_are_those_of_ddp(whole: Path, ddp: Path) -> None:
    """Whole tensors under the same names: those of the weights, the optimiser and the average."""
    a, b = (state(run / "checkpoints" / "last.ckpt") for run in (whole, ddp))
    assert layout(a["optimizer_states"]) == layout(b["optimizer_states"])
    assert layout(a["callbacks"]["WeightEMA"]) == layout(b["callbacks"]["WeightEMA"])


def layout(content: object) -> object:
    if isinstance(content, torch.Tensor):
        return type(content), content.shape, content.dtype
    if isinstance(content, dict):
        return {key: layout(value) for key, value in content.items()}
    return [layout(value) for value in content] if isinstance(content, list) else type(content)


def test_evaluated_by_one_process(whole: Path) -> None:
    before = (whole / TABLE).read_bytes()
    assert verb("evaluate", f"run={whole}", "name=alone") == 0
    assert (whole / "evaluation" / "alone_simulated.csv").read_bytes() == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed_and_continued(moment: str, tmp_path: Path, cache: str, whole: Path) -> None:
    run = tmp_path / "run"
    assert train(run, (*IN_PARTS, cache), MOMENTS[moment]) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)
    ours, theirs = (state(r / "checkpoints" / "last.ckpt") for r in (run, whole))
    for part in theirs.keys() - {"loops"}:
        assert same(ours[part], theirs[part]), f"{part} differs"
    for name in ("metrics.csv", TABLE):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"
