"""What a user is likely to want next, as commands that can be copied into the shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from vitruvian.core.rundir import RunDirectory
from vitruvian.core.verbosity import speaks

Commands = Sequence[tuple[str, str]]  # what for, and the command

_OTHER_SEEDS = "seed=1,2,3"
_OF_THIS_RUN = ("run", "seed")


def show_next(commands: Commands) -> None:
    """Print what to do next, unless the user wants it quiet."""
    if not commands or not speaks():
        return
    wide = max(len(what) for what, _ in commands)
    print("next:")
    for what, command in commands:
        print(f"  {what:<{wide}}  {command}")


def after_training(run: RunDirectory) -> Commands:
    """Apply it, see the cases it learned from, and ask whether it was luck."""
    place = _typed("run", run.path)
    return (
        ("use it on a new recording", f"vitruvian-predict {place} input=FILE"),
        ("see the validation cases", f"vitruvian-evaluate {place} split=val"),
        ("repeat with other seeds", _repeat(run)),
    )


def after_evaluation(run: RunDirectory, split: str) -> Commands:
    """Apply it, look at another part of the data, look at the page."""
    place = _typed("run", run.path)
    other = "val" if split != "val" else "test"
    return (
        ("use it on a new recording", f"vitruvian-predict {place} input=FILE"),
        ("see the other cases", f"vitruvian-evaluate {place} split={other}"),
        ("write the page of the run", f"vitruvian-report {_quoted(run.path)}"),
    )


def after_folds(path: Path, fold: Path) -> Commands:
    """The page of all, one fold's weights on something new, the folds again after a change."""
    return (
        ("write the page of the folds", f"vitruvian-report {_quoted(path)}"),
        ("see a fold's validation", f"vitruvian-evaluate {_typed('run', fold)} split=val"),
        ("use a fold's weights", f"vitruvian-predict {_typed('run', fold)} input=FILE"),
    )


def _repeat(run: RunDirectory) -> str:
    """The same training as a sweep over seeds, from the overrides it was started with."""
    typed = run.overrides_file.read_text(encoding="utf-8").splitlines()
    kept = [line for line in typed if line.partition("=")[0].lstrip("+") not in _OF_THIS_RUN]
    return " ".join(["vitruvian-train", "-m", *map(shlex.quote, kept), _OTHER_SEEDS])


def _typed(key: str, path: Path) -> str:
    return shlex.quote(f"{key}={_short(path)}")


def _quoted(path: Path) -> str:
    return shlex.quote(str(_short(path)))


def _short(path: Path) -> Path:
    """From where we are, if it is below."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) and path != here else path
