"""Real training processes for the tests: started quickly, killed at a chosen moment, compared.

Each process is forked from a server that has imported everything once, which saves several seconds
of start-up per run. It composes, freezes and trains exactly as `vitruvian-train` does.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

SMALL = (
    "experiment=liver_demo",
    "trainer=cpu",
    "page=false",
    "logger=csv",
    "datamodule.simulator.cases=5",
    "datamodule.simulator.size=32",
    "datamodule.simulator.slices=[8,10]",
    "datamodule.patch=[32,32]",
    "datamodule.batch_size=2",
    "datamodule.samples_per_epoch=10",
    "model.net.width=2",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
    "callbacks.checkpoints.every_n_steps=2",
)

SMALL_SPINE = (
    "experiment=spine_demo",
    "trainer=cpu",
    "page=false",
    "logger=csv",
    "datamodule.simulator.people=6",
    "datamodule.simulator.seconds=[1.0,1.2]",
    "datamodule.windows.length=20",
    "datamodule.windows.stride=10",
    "datamodule.batch_size=2",
    "datamodule.samples_per_epoch=10",
    "model.net.embedding=8",
    "model.net.hidden=6",
    "model.net.dense=8",
    "trainer.max_epochs=3",
    "trainer.check_val_every_n_epoch=1",
    "trainer.log_every_n_steps=1",
    "callbacks.checkpoints.every_n_steps=2",
)

SMALL_MUSCLE = (
    "experiment=muscle_demo",
    "trainer=cpu",
    "page=false",
    "logger=csv",
    "datamodule.simulator.people=4",
    "datamodule.simulator.women=1",
    "datamodule.simulator.seconds=1.2",
    "datamodule.roi.size=[32,64]",
    "datamodule.roi.mm_per_pixel=1.0",
    "datamodule.batch_size=2",
    "datamodule.samples_per_epoch=10",
    "model.net.features=2",
    "model.net.context=2",
    "model.net.width=2",
    "model.net.dense=4",
    "trainer.max_epochs=3",
    "trainer.log_every_n_steps=1",
    "callbacks.checkpoints.every_n_steps=2",
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "vitruvian.core.engine",
        "vitruvian.liver.segmenter",
        "vitruvian.liver.datamodule",
        "vitruvian.spine.regressor",
        "vitruvian.spine.data.datamodule",
        "vitruvian.muscle.estimator",
        "vitruvian.muscle.data.datamodule",
    ]
)


class Kill:
    """Ends its own process with a signal at one moment of the training.

    Args:
        hook: name of the Lightning hook.
        count: at the how-manieth call of it.
        signum: SIGKILL, or one that the run may catch.
    """

    def __init__(self, hook: str, count: int, signum: int = signal.SIGKILL) -> None:
        self.hook, self.count, self.signum = hook, count, signum

    def callback(self) -> Any:
        from pytorch_lightning.callbacks import Callback

        calls = 0

        def strike(*_: Any, **__: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == self.count:
                os.kill(os.getpid(), self.signum)

        return type("Killer", (Callback,), {self.hook: staticmethod(strike)})()


# of runs of several processes
MOMENTS = {
    "mid-epoch": Kill("on_train_batch_end", 5),
    "in validation": Kill("on_validation_batch_start", 1),
    "end of an epoch": Kill("on_train_epoch_end", 2),
}


def _work(run: str, overrides: Sequence[str], log: str, kill: Kill | None) -> None:
    _print_to(log)
    torch.set_num_threads(1)
    from vitruvian import train
    from vitruvian.core import engine

    if kill is not None:
        build = engine.build_trainer

        def with_killer(*arguments: Any) -> Any:
            trainer, resume = build(*arguments)
            trainer.callbacks.append(kill.callback())
            return trainer, resume

        engine.build_trainer = with_killer
    sys.argv = ["vitruvian-train", f"run={run}", *overrides]
    train.main()


def start(run: Path, overrides: Sequence[str] = (), kill: Kill | None = None) -> ForkServerProcess:
    """Start `vitruvian-train run=RUN OVERRIDES`; what it prints goes to RUN.log."""
    process = _context.Process(target=_work, args=(str(run), list(overrides), f"{run}.log", kill))
    process.start()
    return process


def train(run: Path, overrides: Sequence[str] = (), kill: Kill | None = None) -> int:
    """Run to the end; the exit code, negative if a signal ended it."""
    process = start(run, overrides, kill)
    process.join(300)
    assert process.exitcode is not None, f"still running; see {run}.log"
    return process.exitcode


def log_of(run: Path) -> str:
    """What the processes of a run have printed."""
    return Path(f"{run}.log").read_text(encoding="utf-8")


def state(checkpoint: Path) -> dict[str, Any]:
    """A checkpoint as plain data."""
    content: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    return content


def same(a: Any, b: Any) -> bool:
    """Equality to the last bit of nested plain data and tensors (NaN equals NaN)."""
    if isinstance(a, torch.Tensor):
        alike = isinstance(b, torch.Tensor) and (a.dtype, a.shape) == (b.dtype, b.shape)
        return alike and a.numpy().tobytes() == b.numpy().tobytes()
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b) or (a != a and b != b)


def _speak(name: str, arguments: Sequence[str], log: str | None, folder: str | None) -> None:
    import importlib

    if log is not None:
        _print_to(log)
    if folder is not None:
        os.chdir(folder)
    torch.set_num_threads(1)
    sys.argv = [f"vitruvian-{name}", *arguments]
    importlib.import_module(f"vitruvian.{name}").main()


def _print_to(log: str) -> None:
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)


def verb(name: str, *arguments: str, log: Path | None = None, folder: Path | None = None) -> int:
    """Run `vitruvian-NAME ARGUMENTS` in a process of its own; the exit code.

    Args:
        name: of the verb.
        arguments: as in a shell.
        log: file for what it prints.
        folder: where it works.
    """
    places = (str(place) if place else None for place in (log, folder))
    process = _context.Process(target=_speak, args=(name, arguments, *places))
    process.start()
    process.join(300)
    assert process.exitcode is not None, "still running"
    return process.exitcode
