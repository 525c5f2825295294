"""A study: what a sampler is asked for, checked before anything starts and made once.

Kept in the manifest, as plain data: `n_trials` (of the whole study), `storage` (a URL; None: the
journal of the sweep), `study_name`, `sampler` and `pruner` (nodes with a `_target_`), `seed`,
`max_failures` (in a row) and `space`.
"""

from __future__ import annotations

import hashlib
import inspect
import secrets
import warnings
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from vitruvian.core.check import check_node, is_node
from vitruvian.core.config import Config
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.sweeps.directory import Manifest, SweepDirectory
from vitruvian.sweeps.space import Space

if TYPE_CHECKING:
    from optuna import Study
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler
    from optuna.storages import BaseStorage

MODES = ("min", "max")
_HERE = "hydra.sweeper"
KEYS = ("n_trials", "storage", "study_name", "sampler", "pruner", "seed", "max_failures")
_LEAST = {"n_trials": 1, "max_failures": 1, "seed": 0}


# -- before anything starts -----------------------------------------------------------------------


def settle(
    keys: Mapping[str, Any], objectives: Mapping[str, str], space: Space, name: str
) -> Config:
    """Check the keys of a study and make them definite.

    Args:
        keys: `KEYS`, as the config gives them.
        objectives: logged metrics to `min` or `max`.
        space: what may be chosen.
        name: of the experiment, which names the study if `study_name` does not.

    Returns:
        What the manifest keeps as `study`: the path of an SQLite file is absolute, a grid has as
        many trials as points.

    Raises:
        ConfigError: a key does not fit, or the parts do not go together.
    """
    study: Config = {key: keys.get(key) for key in KEYS}
    study["pruner"] = study["pruner"] or None  # an option without content
    _check_numbers(study)
    _check_objectives(objectives, study)
    _check_part(study, "sampler", "optuna.samplers.")
    _check_part(study, "pruner", "optuna.pruners.")
    _need_optuna()
    from vitruvian.sweeps.storage import settled_url

    study["storage"] = settled_url(study["storage"])
    study["study_name"] = study["study_name"] or _fresh_name(name)
    if _is_grid(study["sampler"]):
        study["n_trials"] = min(study["n_trials"], space.size())
    _rehearse(study, objectives, space)
    return study | {"space": space.plain()}


def _fresh_name(name: str) -> str:
    """A name that no other study of a database has."""
    return f"{name}-{datetime.now():%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(3)}"


def _check_numbers(study: Config) -> None:
    for key, least in _LEAST.items():
        value = study.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{_HERE}.{key}: got {value!r}, expected {least} or more")


def _check_objectives(objectives: Mapping[str, str], study: Config) -> None:
    for metric, mode in objectives.items():
        if metric.startswith("test/"):
            raise ConfigError(
                f"{_HERE}.objectives: {metric}: choosing by test figures spends them; "
                "choose by a metric of the validation (val/...)"
            )
        if mode not in MODES:
            raise ConfigError(
                f"{_HERE}.objectives.{metric}: got {mode!r}, expected {' or '.join(MODES)}"
            )
    if len(objectives) > 1 and study["pruner"]:
        raise ConfigError(
            f"{_HERE}.pruner: a trial that is judged by {len(objectives)} objectives cannot be "
            "pruned; choose hydra/sweeper/pruner=none, or one objective"
        )


def _check_part(study: Config, part: str, package: str) -> None:
    node, place = study[part], f"{_HERE}.{part}"
    if node is None and part == "pruner":
        return
    if not is_node(node):
        raise ConfigError(f"{place}: an option is needed; choose hydra/sweeper/{part}=OPTION")
    given = {"search_space"} if _is_grid(node) else set()
    check_node(node, place, {place: given})
    if not node["_target_"].startswith(package):
        raise ConfigError(f"{place}._target_: {node['_target_']} is none of {package[:-1]}")


def _is_grid(node: Config) -> bool:
    return str(node["_target_"]).endswith(".GridSampler")


def _need_optuna() -> None:
    if find_spec("optuna") is None:
        raise ConfigError(
            "hydra/sweeper=optuna: optuna is not installed; pip install 'vitruvian[optuna]'"
        )


def _rehearse(study: Config, objectives: Mapping[str, str], space: Space) -> None:
    """Ask for three points in memory: what does not go together shows here, not on the cluster."""
    import optuna

    with quiet():
        trial_run = optuna.create_study(
            directions=[_direction(mode) for mode in objectives.values()]
        )
        try:
            trial_run.pruner = pruner_of(study) or optuna.pruners.NopPruner()
            for number in range(min(3, study["n_trials"])):
                trial_run.sampler = sampler_of(study, space, number)
                trial = trial_run.ask()
                space.suggest(trial)
                if len(objectives) == 1:
                    trial.report(0.0, 1)
                    trial.should_prune()
                trial_run.sampler = optuna.samplers.RandomSampler()
                trial_run.tell(trial, [float(number)] * len(objectives))
        except ImportError as error:
            raise ConfigError(
                f"{_HERE}.sampler: {study['sampler']['_target_']} needs {error.name}; "
                f"pip install {error.name}"
            ) from error
        except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
            told = " ".join(str(error).split())
            raise ConfigError(f"{_HERE}.sampler or pruner: {told}") from error


# -- made once, opened by every worker ------------------------------------------------------------


def create(sweep: SweepDirectory, manifest: Manifest) -> None:
    """Make the study in its storage: once, before workers that would all make it at once.

    Raises:
        ConfigError: the database holds a study of this name already.
        RunError: the storage cannot be used.
    """
    import optuna

    study = _of(manifest)
    with telling(study), quiet():
        try:
            made = optuna.create_study(
                storage=_storage(sweep, study),
                study_name=study["study_name"],
                directions=[_direction(mode) for mode in manifest.objectives.values()],
            )
        except optuna.exceptions.DuplicatedStudyError as error:
            raise ConfigError(
                f"{_HERE}.study_name: {study['study_name']}: the database holds a study of this "
                "name; choose another, or continue that one: vitruvian-sweep resume DIR"
            ) from error
        made.set_metric_names(list(manifest.objectives))


def open_study(sweep: SweepDirectory, manifest: Manifest) -> Study:
    """Open the study of a sweep; its sampler is set for each trial, see `sampler_of`.

    Raises:
        RunError: the storage cannot be used, or holds no such study.
    """
    import optuna

    study = _of(manifest)
    with telling(study), quiet():
        try:
            return optuna.load_study(
                study_name=study["study_name"],
                storage=_storage(sweep, study),
                pruner=pruner_of(study) or optuna.pruners.NopPruner(),
            )
        except (KeyError, ValueError) as error:
            raise RunError(
                f"{sweep.path}: its study is not in {study['storage'] or sweep.journal.name}; "
                "start the sweep again with the command that it was started with"
            ) from error


def _of(manifest: Manifest) -> Config:
    assert manifest.study is not None, "this sweep is a list of points"
    return manifest.study


def _storage(sweep: SweepDirectory, study: Config) -> BaseStorage:
    from vitruvian.sweeps.storage import open_storage

    return open_storage(sweep, study["storage"])


def telling(study: Config) -> AbstractContextManager[None]:
    """Say in the user's words what is wrong with the storage; see `storage.telling`."""
    from vitruvian.sweeps import storage

    return storage.telling(study["storage"])


def _direction(mode: str) -> Literal["minimize", "maximize"]:
    return "minimize" if mode == "min" else "maximize"


def sampler_of(study: Config, space: Space, number: int) -> BaseSampler:
    """The sampler of one trial.

    It is built anew for each, with a seed of its own: one seed would propose the same first point
    again after every restart and in every worker. A grid keeps its order.
    """
    from vitruvian.core.build import build, locate

    node = {key: value for key, value in study["sampler"].items() if key != "seed"}
    seed = study["sampler"].get("seed")
    seed = study["seed"] if seed is None else seed
    given: dict[str, Any] = {}
    if _is_grid(node):
        given["search_space"] = space.grid()
    else:
        seed = _derived(seed, number)
    if "seed" in inspect.signature(locate(node["_target_"])).parameters:
        given["seed"] = seed
    with quiet():
        sampler: BaseSampler = build(node, f"{_HERE}.sampler", **given)
    return sampler


def _derived(seed: int, number: int) -> int:
    """A seed that has nothing in common with its neighbours: those of 0, 1, 2 begin alike."""
    digest = hashlib.sha256(f"{seed}:{number}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def pruner_of(study: Config) -> BasePruner | None:
    """The pruner; None if nothing is pruned."""
    from vitruvian.core.build import build

    with quiet():
        pruner: BasePruner | None = build(study["pruner"], f"{_HERE}.pruner")
    return pruner


@contextmanager
def quiet() -> Iterator[None]:
    """Without Optuna's words about every trial, and about what it calls experimental."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        yield
