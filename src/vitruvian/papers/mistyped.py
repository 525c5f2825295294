"""A sweep that was frozen with a wrong folder of data gives way, if none of its runs has trained.

Nothing here imports torch.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vitruvian.core.config import Config, flatten
from vitruvian.core.files import unwritable
from vitruvian.core.rundir import RunDirectory
from vitruvian.papers.roots import ROOT
from vitruvian.sweeps.directory import SweepDirectory


@contextmanager
def set_aside(sweep: SweepDirectory) -> Iterator[None]:
    """Make room for the sweep that the block writes; if that fails, the old one is put back.

    Raises:
        RunError: the place cannot be written.
    """
    aside = sweep.path.with_name(f".{sweep.path.name}.{secrets.token_hex(3)}.old")
    try:
        sweep.path.replace(aside)
    except OSError as error:
        raise unwritable(sweep.path, error) from error
    try:
        yield
    except BaseException:
        aside.replace(sweep.path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def is_mistyped(sweep: SweepDirectory, configs: Sequence[Config]) -> bool:
    """Whether a sweep differs from these configs in the folder of data only, and never trained."""
    there = [one.run for one in sweep.runs()]
    return (
        len(there) == len(configs)
        and all(_differs(*pair) == {ROOT} for pair in zip(there, configs, strict=True))
        and not any(map(has_trained, there))
    )


def has_trained(run: RunDirectory) -> bool:
    """Whether anything is there that was learnt or measured."""
    kept = (run.checkpoints, run.evaluation, run.predictions)
    return _rows(run) > 0 or any(any(one.iterdir()) for one in kept if one.is_dir())


def _differs(run: RunDirectory, config: Config) -> set[str]:
    there, here = dict(flatten(run.config)), dict(flatten(config))
    return {key for key in there.keys() | here.keys() if there.get(key) != here.get(key)}


def _rows(run: RunDirectory) -> int:
    """Rows of metrics; an unreadable file may hold some."""
    try:
        return len(run.metrics_file.read_text(encoding="utf-8").splitlines()[1:])
    except FileNotFoundError:
        return 0
    except (OSError, UnicodeDecodeError):
        return 1
