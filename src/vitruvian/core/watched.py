"""The metrics that a run waits for: a misspelt one is told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable

from vitruvian.core.check import nearest
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError

TRAINING = ("train/loss", "train/lr", "train/epoch_loss")


def check_watched(config: Config, validated: Iterable[str]) -> None:
    """Make sure that what chooses the weights, and what callbacks wait for, will be logged.

    Args:
        config: of the run.
        validated: of its task, see `Task`.

    Raises:
        ConfigError: it will not.
    """
    asked = [("monitor.metric", config["monitor"]["metric"])]
    for role, node in config["callbacks"].items():
        if node and "monitor" in node:
            asked.append((f"callbacks.{role}.monitor", node["monitor"]))
    need_logged(asked, validated)


def need_logged(asked: Iterable[tuple[str, str]], validated: Iterable[str]) -> None:
    """Make sure that metrics will be logged, each told with the key that asks for it.

    A task that does not say what its validation logs is believed; `Checkpoints` looks again.

    Raises:
        ConfigError: the first one that will not be, with the nearest that will.
    """
    offered = [*(f"val/{name}" for name in validated), *TRAINING]
    for key, metric in asked:
        if metric not in offered and len(offered) > len(TRAINING):
            raise ConfigError(f"{key}: {not_logged(metric, offered)}")


def not_logged(metric: str, logged: Iterable[str]) -> str:
    """That nobody logs a metric, and what is logged: of a validation, where there is any."""
    known = sorted(logged)
    near = nearest(metric, known)
    meant = f"; did you mean `{near}`?" if near else ""
    offered = [name for name in known if name.startswith("val/")] or known
    return f"{metric} is not logged{meant} (the validation logs {', '.join(offered) or 'nothing'})"
