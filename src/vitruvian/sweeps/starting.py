"""Runs, or the workers of a study, handed to a launcher: of a fresh sweep, or a resumed one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from yaml import YAMLError

from vitruvian.core.cli import show
from vitruvian.core.config import Config
from vitruvian.core.errors import RunError
from vitruvian.sweeps.directory import SweepDirectory, SweepRun
from vitruvian.sweeps.jobs import RUN, WORKER, Alive, Job, Launcher
from vitruvian.sweeps.states import MOVING, SETTLED, RunState, states_of


def start(sweep: SweepDirectory, launcher: Launcher, runs: Sequence[SweepRun] | None = None) -> int:
    """Start runs, or the workers of a study, and say what failed.

    Args:
        sweep: the sweep.
        launcher: who starts them.
        runs: of a list of points; all that are neither complete nor alive by default.

    Returns:
        The exit code: 0, 1 if some failed, 128 + signal if a signal ended the wait.

    Raises:
        ConfigError: the launcher cannot do what its keys ask for.
    """
    from vitruvian.core.signals import Interrupted

    sampled = sweep.manifest().study is not None
    if sampled:
        jobs = workers_for(sweep, launcher)
    else:
        jobs = jobs_for(sweep, unfinished(sweep, launcher) if runs is None else runs)
    try:
        failed = launcher.start(sweep, jobs) if jobs else {}
    except Interrupted as stop:
        go_on = f"the jobs go on, follow them with: vitruvian-sweep status {sweep.path}"
        saved = f"the state is saved, continue with: vitruvian-sweep resume {sweep.path}"
        print(f"{stop}; {go_on if launcher.outlived else saved}")
        return stop.exit_code
    if sampled and sweep.runs():  # none yet where the workers are only queued
        _tell_best(sweep)
    for name, reason in failed.items():
        show(RunError(f"{name} failed: {reason}"))
    if failed:
        print(f"start what failed once more with: vitruvian-sweep resume {sweep.path}")
    return int(bool(failed))


def _tell_best(sweep: SweepDirectory) -> None:
    from vitruvian.sweeps.best import best_lines

    for line in best_lines(sweep):
        print(line)


def unfinished(sweep: SweepDirectory, launcher: Launcher) -> list[SweepRun]:
    """The runs that have something left to do, and that nobody will do it for."""
    alive = launcher.alive(sweep)
    return [one.entry for one in states_of(sweep.runs(), alive) if is_idle(one, alive)]


def is_idle(one: RunState, alive: Mapping[str, Alive]) -> bool:
    """Whether a run has something left to do, and waits or runs nowhere."""
    return one.state not in SETTLED | MOVING and one.entry.name not in alive


def jobs_for(sweep: SweepDirectory, runs: Sequence[SweepRun]) -> list[Job]:
    """A job for each run.

    Raises:
        RunError: the frozen config of one is gone or damaged.
    """
    return [Job(one.name, RUN, one.run.path, one.run.config) for one in runs]


def workers_for(sweep: SweepDirectory, launcher: Launcher) -> list[Job]:
    """The workers of a study that are not alive: as many as the launcher runs side by side."""
    alive: Mapping[str, Alive] = launcher.alive(sweep)
    names = [f"worker-{number}" for number in range(launcher.workers())]
    config = any_config(sweep)
    return [Job(name, WORKER, sweep.path, config) for name in names if name not in alive]


def any_config(sweep: SweepDirectory) -> Config:
    """What the trials of a study need of a machine, from the first config they are made from.

    Raises:
        RunError: it is gone or damaged.
    """
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    file = sweep.bases / "0.yaml"
    try:
        base = OmegaConf.load(file)
        assert isinstance(base, DictConfig)
        whole = OmegaConf.to_container(base)  # as it is: what is swept may still be missing
        trainer = OmegaConf.to_container(base.trainer, resolve=True)
        own = {"trainer": trainer, "threads": base.get("threads")}
    except (OSError, ValueError, AssertionError, YAMLError, OmegaConfBaseException) as error:
        raise RunError(f"{file} is gone or damaged: {' '.join(str(error).split())}") from error
    assert isinstance(whole, dict)
    return {str(key): value for key, value in whole.items()} | own
