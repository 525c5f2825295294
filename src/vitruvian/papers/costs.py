"""What the net of an experiment costs, measured on a batch of its own training data.

The net is counted where it stands, in its task: whatever the study feeds it, one input is one
window, one crop or one pair of frames.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitruvian.core.build import build
from vitruvian.core.config import Config
from vitruvian.core.cost import parameters, step_seconds
from vitruvian.core.engine import build_datamodule, build_task, seed_everything, set_processor
from vitruvian.core.errors import UserError
from vitruvian.core.files import write_json
from vitruvian.core.task import Task
from vitruvian.papers.paper import Paper
from vitruvian.papers.results import Cost

FILE = "costs.json"
STEPS = 6  # training steps whose median is told, the first two of them left out
PATIENCE_S = 6.0  # one that would take longer than this for all of them is told from the first
_WARMUP = 2
_FIGURES = ("parameters", "macs", "step_s")

Batch = dict[str, Tensor]


def asked_for(paper: Paper) -> tuple[str, ...]:
    """The experiments whose costs a table shows or a claim compares."""
    tables = [key for table in paper.tables if table.costs for key in table.rows]
    claims = [claim for claim in paper.claims if claim.kind == "cost"]
    return tuple(dict.fromkeys([*tables, *(k for c in claims for k in (c.experiment, c.rival))]))


def measured(configs: Mapping[str, Config], folder: Path) -> dict[str, Cost]:
    """The costs of nets; those that were measured before are read from `costs.json`.

    One that cannot be measured is told, and left out.

    Args:
        configs: by experiment.
        folder: that keeps the file.
    """
    known = _read(folder / FILE)
    found: dict[str, Cost] = {}
    for key, config in configs.items():
        entry = known.get(key)
        if entry is None or entry["config"] != _parts(config):
            print(f"measuring what the net of {key} costs", flush=True)
            try:
                entry = {"config": _parts(config), **_entry(cost_of(config))}
            except (UserError, RuntimeError) as error:  # the tables are worth having without it
                print(f"the cost of {key} is not known: {error}", flush=True)
                continue
            known[key] = entry
            write_json(folder / FILE, known)
        found[key] = Cost(**{name: entry[name] for name in _FIGURES})
    return found


def cost_of(config: Config) -> Cost:
    """Parameters, multiply-accumulates of one input, seconds of a training step on this machine.

    Raises:
        UserError: data or config cannot be used.
    """
    seed_everything(config["seed"])
    set_processor(config)
    datamodule = build_datamodule(config)
    task = build_task(_uncompiled(config), datamodule)
    datamodule.prepare()
    split = build(config["split"], "split")
    datamodule.use(split.assign(datamodule.subjects, datamodule.strata))
    task.fit_statistics(datamodule)
    batches = list(_batches(iter(datamodule.train_batches())))
    task.to(_device(config))
    on_device = [_moved(batch, _device(config)) for batch in batches]
    macs = _macs(task, on_device[0])
    return Cost(parameters(task.net), macs, _step_seconds(task, on_device))


def _uncompiled(config: Config) -> Config:
    """A compiled net runs kernels of its own, which nobody can count."""
    model = config["model"]
    return config | {"model": model | {"compile": False}} if "compile" in model else config


def _batches(source: Iterator[Any]) -> Iterator[Batch]:
    """A few batches; of one that is all there is, copies."""
    first: list[Batch] = []
    for batch, _ in zip(source, range(STEPS), strict=False):
        first.append(batch)
        yield batch
    for number in range(STEPS - len(first)):
        yield first[number % len(first)]


def _device(config: Config) -> torch.device:
    wanted = config["trainer"].get("accelerator", "auto") in ("auto", "gpu", "cuda")
    return torch.device("cuda" if wanted and torch.cuda.is_available() else "cpu")


def _moved(batch: Mapping[str, Any], device: torch.device) -> Batch:
    return {key: v.to(device) for key, v in batch.items() if isinstance(v, Tensor)}


# -- counting -------------------------------------------------------------------------------------


def _macs(task: Task, batch: Batch) -> int:
    """Multiply-accumulates of the net for one input.

    Only what happens within the net is counted, not features, augmentation and loss. Recurrent
    layers are counted by the products that they consist of: their fused kernels count as nothing.
    """
    counter = FlopCounterMode(display=False)
    task.eval()
    with _unfused(), torch.no_grad(), _counted(task.net, counter):
        task.training_loss({key: value[:1] for key, value in batch.items()})
    return int(counter.get_total_flops()) // 2


@contextmanager
def _unfused() -> Iterator[None]:
    mkldnn, cudnn = torch.backends.mkldnn, torch.backends.cudnn
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "TF32 acceleration")  # of what is switched off here
        with mkldnn.flags(enabled=False), cudnn.flags(enabled=False):
            yield


@contextmanager
def _counted(net: nn.Module, counter: FlopCounterMode) -> Iterator[None]:
    """Count what the net does, and nothing that is done around it."""
    forward = net.forward

    def counting(*given: Any, **named: Any) -> Any:
        with counter:
            return forward(*given, **named)

    net.__dict__["forward"] = counting  # of this net alone, found before that of its class
    try:
        yield
    finally:
        del net.__dict__["forward"]


def _step_seconds(task: Task, batches: Sequence[Batch]) -> float:
    """Seconds of a training step: the median of several, unless each takes long."""
    first = step_seconds(task, batches[:2], warmup=1)
    if first > PATIENCE_S / STEPS:
        return first
    return step_seconds(task, batches, warmup=_WARMUP)


# -- what was measured before ---------------------------------------------------------------------


def _parts(config: Config) -> dict[str, Any]:
    """What the cost depends on: the net, its training, its input, and the machine."""
    kept = ("model", "loss", "optimizer", "augment", "threads", "matmul_precision", "datamodule")
    places = {"device": str(_device(config)), "cores": len(os.sched_getaffinity(0))}
    return {key: config[key] for key in kept} | places


def _entry(cost: Cost) -> dict[str, Any]:
    return {"parameters": cost.parameters, "macs": cost.macs, "step_s": cost.step_s}


def _read(file: Path) -> dict[str, Any]:
    """What an earlier command measured; a damaged file is measured anew."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return {key: v for key, v in content.items() if {"config", *_FIGURES} <= v.keys()}
    except (OSError, ValueError, AttributeError):
        return {}
