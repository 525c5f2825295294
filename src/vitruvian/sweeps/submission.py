"""A sweep is handed in: written beside its place, renamed into it, then started.

Everything was composed and checked before anything is written, and everything is written before
anything is started: a typo in the last point costs nothing.
"""

from __future__ import annotations

import platform
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from vitruvian import __version__
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.files import unwritable
from vitruvian.core.rundir import new_run_path
from vitruvian.core.watched import check_watched, need_logged
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import Launcher
from vitruvian.sweeps.objectives import OBJECTIVES

PLACE = "hydra.sweep.dir"  # the key that names the directory of a sweep


def sweeper_keys(master: DictConfig) -> Config:
    """The keys of `hydra.sweeper`, plain."""
    keys = OmegaConf.to_container(master.hydra.sweeper, resolve=True)
    assert isinstance(keys, dict)
    return {str(key): value for key, value in keys.items()}


def launcher_node(master: DictConfig) -> Config:
    """The node of `hydra.launcher`, plain."""
    node = OmegaConf.to_container(master.hydra.launcher, resolve=True)
    assert isinstance(node, dict)
    return {str(key): value for key, value in node.items()}


def objectives_of(chosen: Mapping[str, str] | None, config: Config) -> dict[str, str]:
    """The logged metrics that runs are compared by; without a choice the monitored one.

    Args:
        chosen: the metrics, and whether more of each is better.
        config: of the first run: its task is built, and asked what it logs.

    Raises:
        ConfigError: a direction is neither `min` nor `max`, or a metric will not be logged.
    """
    from vitruvian.core.engine import build_task  # torch takes its time: after what is cheap

    for metric, mode in (chosen or {}).items():
        if mode not in ("min", "max"):
            raise ConfigError(f"{OBJECTIVES}.{metric}: got {mode!r}, not min or max")
    validated = build_task(config).validated
    check_watched(config, validated)
    need_logged([(OBJECTIVES, metric) for metric in chosen or ()], validated)
    return dict(chosen or {config["monitor"]["metric"]: config["monitor"]["mode"]})


def origin() -> dict[str, Any]:
    """When, where, by which code and which command a sweep was made."""
    from vitruvian.core.provenance import git_state

    git = git_state(Path(__file__).parent)
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "vitruvian": __version__,
        "commit": git and git["commit"] + ("-modified" if git["diff"] else ""),
        "host": platform.node(),
        "command": sys.argv,
        "folder": str(Path.cwd()),
    }


def place_of(master: DictConfig, name: str) -> SweepDirectory:
    """Where the sweep is, or will be."""
    if master.hydra.sweep.dir != "auto":
        return SweepDirectory(Path(master.hydra.sweep.dir).expanduser())
    return SweepDirectory(new_run_path(Path(master.output_dir) / "sweeps", name))


@contextmanager
def drafted(sweep: SweepDirectory, place: str = PLACE) -> Iterator[SweepDirectory]:
    """A directory to write a sweep in; it takes its place when the block ends well.

    Args:
        sweep: where it will be.
        place: the key that names the directory, for messages.

    Raises:
        RunError: the place is taken, or cannot be written.
    """
    if sweep.path.exists() and not _is_empty(sweep.path):
        raise RunError(f"{sweep.path} is not empty: give another {place}=...")
    draft = SweepDirectory(sweep.path.with_name(f".{sweep.path.name}.{secrets.token_hex(3)}.tmp"))
    try:
        draft.path.mkdir(parents=True)
        yield draft
        draft.path.replace(sweep.path)
    except OSError as error:
        raise unwritable(sweep.path, error) from error
    finally:
        shutil.rmtree(draft.path, ignore_errors=True)


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def start_and_leave(sweep: SweepDirectory, launcher: Launcher) -> None:
    """Start what is not complete; leave the process if that went badly."""
    from vitruvian.sweeps.starting import start

    manifest = sweep.manifest()
    what = "a study of" if manifest.study else "all runs over"
    print(f"frozen in {sweep.path}: {what} {', '.join(manifest.axes) or 'one point'}")
    print(f"watch it with: vitruvian-sweep status {sweep.path}", flush=True)
    code = start(sweep, launcher)
    if code:
        sys.exit(code)
