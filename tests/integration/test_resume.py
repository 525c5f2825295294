"""A run that was killed at any moment ends like one that was not: same bits, same history."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path

import pytest

from tests.integration.runs import (
    SMALL,
    SMALL_MUSCLE,
    SMALL_SPINE,
    Kill,
    log_of,
    same,
    start,
    state,
    train,
)

EPOCHS, BATCHES = 3, 5  # of every study's small run: 10 samples in batches of 2

LIVER: dict[str, tuple[str, ...]] = {
    "workers": ("datamodule.workers=2",),
    "accumulate": ("trainer.accumulate_grad_batches=2", "callbacks.checkpoints.every_n_steps=1"),
    "dropout with ema and plateau": (
        "callbacks=ema",
        "scheduler=plateau",
        "model.net.eas_dropout=0.5",
    ),
    "plateau every second epoch": ("scheduler=plateau", "trainer.check_val_every_n_epoch=2"),
    "early stopping": ("callbacks=early_stopping", "callbacks.early_stopping.patience=1"),
    "validation every second epoch": ("trainer.check_val_every_n_epoch=2",),
    "steps end it": ("trainer.max_epochs=-1", "trainer.max_steps=12"),
}
SPINE: dict[str, tuple[str, ...]] = {
    "workers": ("datamodule.workers=2",),
    "movement and averaged weights": ("augment=spine_movement", "callbacks=ema"),
    "every window once": ("datamodule.samples_per_epoch=null", "datamodule.batch_size=5"),
}
MUSCLE: dict[str, tuple[str, ...]] = {
    "workers": ("datamodule.workers=2",),
    "changes alone with plateau": (
        "datamodule.target=change",
        "callbacks=default",
        "scheduler=plateau",
        "model.net.dropout=0.5",
    ),
    "every frame once": ("datamodule.samples_per_epoch=null", "datamodule.batch_size=40"),
}
STUDIES: dict[str, tuple[str, ...]] = {
    "liver": SMALL,
    "spine": SMALL_SPINE,
    "muscle": SMALL_MUSCLE,
}
VARIANTS: dict[str, tuple[str, ...]] = {
    **{f"liver, {name}": (*SMALL, *keys) for name, keys in LIVER.items()},
    **{f"spine, {name}": (*SMALL_SPINE, *keys) for name, keys in SPINE.items()},
    **{f"muscle, {name}": (*SMALL_MUSCLE, *keys) for name, keys in MUSCLE.items()},
}
RUNS = STUDIES | VARIANTS

MOMENTS = {
    "mid-epoch": Kill("on_train_batch_end", 8),
    "first batch of an epoch": Kill("on_train_batch_start", BATCHES + 1),
    "in validation": Kill("on_validation_batch_start", 1),
    "before validation": Kill("on_validation_epoch_start", 1),
    "after validation": Kill("on_validation_end", 1),
    "end of an epoch": Kill("on_train_epoch_end", 2),
    "start of an epoch": Kill("on_train_epoch_start", 2),
    "end of training": Kill("on_train_end", 1),
    "in the final evaluation": Kill("on_test_start", 1),
}


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Phantoms, simulated people and their calves, shared by the runs of this process."""
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory, cache: str) -> dict[str, Path]:
    """Runs that nobody interrupts, made when first asked for."""
    folder = tmp_path_factory.mktemp("uninterrupted")

    class Made(dict[str, Path]):
        def __missing__(self, variant: str) -> Path:
            run = folder / variant.replace(", ", "_").replace(" ", "_")
            assert train(run, (*RUNS[variant], cache)) == 0, log_of(run)
            self[variant] = run
            return run

    return Made()


def assert_alike(run: Path, whole: Path) -> None:
    """Weights, optimiser, random states, metrics and evaluation are the same to the last bit."""
    for name in ("last.ckpt", "best.ckpt"):
        ours, theirs = state(run / "checkpoints" / name), state(whole / "checkpoints" / name)
        for part in theirs.keys() - {"loops"}:
            assert same(ours[part], theirs[part]), f"{name}: {part} differs"
    for name in ("metrics.csv", "splits.json", "config.yaml", *evaluations(whole)):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), f"{name} differs"
    assert json.loads((run / "status.json").read_text())["state"] == "complete"


def evaluations(run: Path) -> list[str]:
    found = [str(path.relative_to(run)) for path in sorted(run.glob("evaluation/*"))]
    assert found
    return found


def kill_and_continue(run: Path, overrides: tuple[str, ...], kill: Kill) -> None:
    assert train(run, overrides, kill) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)


# every moment of one study, and one moment of every study, at each change; all of them in CI
KILLED = [
    pytest.param(
        moment,
        study,
        marks=() if study == "liver" or moment == "mid-epoch" else pytest.mark.slow,
    )
    for moment in MOMENTS
    for study in STUDIES
]


@pytest.mark.parametrize(("moment", "study"), KILLED)
def test_killed_at_a_moment(
    moment: str, study: str, tmp_path: Path, cache: str, reference: dict[str, Path]
) -> None:
    run = tmp_path / "run"
    kill_and_continue(run, (*STUDIES[study], cache), MOMENTS[moment])
    assert_alike(run, reference[study])


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["mid-epoch", "in validation", "end of an epoch"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_killed_in_a_variant(
    variant: str, moment: str, tmp_path: Path, cache: str, reference: dict[str, Path]
) -> None:
    run = tmp_path / "run"
    kill_and_continue(run, (*VARIANTS[variant], cache), MOMENTS[moment])
    assert_alike(run, reference[variant])


def test_killed_again_and_again(tmp_path: Path, cache: str, reference: dict[str, Path]) -> None:
    run = tmp_path / "run"
    assert train(run, (*SMALL, cache), Kill("on_train_batch_end", 4)) == -signal.SIGKILL
    for hook, count in (("on_validation_batch_start", 1), ("on_train_batch_end", 3)):
        assert train(run, (), Kill(hook, count)) == -signal.SIGKILL, log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, reference["liver"])


@pytest.mark.slow
@pytest.mark.parametrize("variant", [f"{study}, workers" for study in STUDIES])
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_a_random_instant(
    seed: int, variant: str, tmp_path: Path, cache: str, reference: dict[str, Path]
) -> None:
    whole, run = reference[variant], tmp_path / "run"
    chance = random.Random(seed)
    process = start(run, (*VARIANTS[variant], cache))
    while process.is_alive() and not (run / "metrics.csv").exists():
        time.sleep(0.01)
    time.sleep(chance.uniform(0.0, 2.0))
    process.kill()
    process.join()
    assert train(run) == 0, log_of(run)
    assert_alike(run, whole)


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES)
def test_workers_change_nothing(study: str, reference: dict[str, Path]) -> None:
    plain, workers = reference[study], reference[f"{study}, workers"]
    ours, theirs = (state(r / "checkpoints" / "last.ckpt")["state_dict"] for r in (plain, workers))
    assert same(ours, theirs)
    assert (plain / "metrics.csv").read_bytes() == (workers / "metrics.csv").read_bytes()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1])
@pytest.mark.parametrize(
    "hook", ["on_train_batch_end", "on_validation_batch_start", "on_test_start"]
)
def test_signal_saves_and_says_so(
    hook: str, signum: int, tmp_path: Path, cache: str, reference: dict[str, Path]
) -> None:
    run = tmp_path / "run"
    code = train(run, (*SMALL, cache), Kill(hook, 1, signum))
    assert code == 128 + signum, log_of(run)
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"
    assert (run / "checkpoints" / "last.ckpt").is_file()
    assert f"run={run}" in log_of(run)
    assert train(run) == 0, log_of(run)
    assert_alike(run, reference["liver"])


def test_signal_stops_a_run_without_checkpoints(tmp_path: Path, cache: str) -> None:
    run = tmp_path / "run"
    kill = Kill("on_train_batch_end", 2, signal.SIGTERM)
    assert train(run, (*SMALL, cache, "callbacks.checkpoints=null"), kill) == 128 + signal.SIGTERM
    assert json.loads((run / "status.json").read_text())["state"] == "interrupted"


def test_finished_run_is_left_alone(tmp_path: Path, cache: str) -> None:
    run = tmp_path / "run"
    assert train(run, (*SMALL, cache, "trainer.max_epochs=1")) == 0, log_of(run)
    before = {p: p.stat().st_mtime_ns for p in run.glob("checkpoints/*")}
    history = (run / "metrics.csv").read_bytes()
    assert train(run) == 0, log_of(run)
    assert {p: p.stat().st_mtime_ns for p in run.glob("checkpoints/*")} == before
    assert (run / "metrics.csv").read_bytes() == history


def test_another_configuration_is_refused(tmp_path: Path, cache: str) -> None:
    run = tmp_path / "run"
    overrides = (*SMALL, cache, "trainer.max_epochs=1")
    assert train(run, overrides) == 0, log_of(run)
    assert train(run, (*overrides, "optimizer.lr=0.5")) == 2
    assert "optimizer.lr is 0.001 there, 0.5 here" in log_of(run)
