"""`vitruvian-report`: the page of a run written again, or one page over many runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with, parse_overrides, take_keys, wants_help
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.report.page.ending import tell_kept

if TYPE_CHECKING:
    from vitruvian.sweeps.directory import SweepDirectory

KEYS = {"output": None}

HELP = """vitruvian-report PATH... [output=FILE|FOLDER]

Write a page: one HTML file that opens from disk, needs no network, and prints.

  PATH    a run directory, or one of folds: its own page, index.html, is written again
          a sweep, a folder with runs, or several of these: one page over all runs, with a table
          to sort, learning curves, what was varied, and the best run beside its neighbours
  output  file of the page over many runs, or a folder for it   (index.html in PATH; of several
                                                    paths, in the nearest folder that holds all)

Names of pages that rest on simulated data end in _simulated.

  vitruvian-report outputs/liver_demo
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(report)


def report() -> int:
    """Write the page that the command line asks for."""
    arguments = sys.argv[1:]
    if wants_help(arguments) or not arguments:
        print(HELP, end="")
        return 0
    named = [argument for argument in arguments if _is_path(argument)]
    values = parse_overrides([argument for argument in arguments if argument not in named])
    paths = [_folder(argument) for argument in named]
    keys, dotted = take_keys(values, dict(KEYS), "report")
    for key in dotted:
        raise ConfigError(f"{key}: a page changes nothing of a run; vitruvian-report takes output")
    if not paths:
        raise ConfigError("a run, a sweep or a folder with runs is needed: vitruvian-report PATH")
    output = _output(keys["output"]) if keys["output"] else None
    page = _written(paths, output)
    print(f"page: {page}")
    if output is None or page.parent == output:
        tell_kept(page)
    return 0


def _output(text: str) -> Path:
    """The file of a page, whose name ends as one, or the folder for one.

    Raises:
        ConfigError: its name ends as that of something else.
    """
    from vitruvian.sweeps.gathering import PAGE

    path = Path(text).expanduser().resolve()
    if path.is_dir() or text.endswith("/") or path.suffix.lower() in PAGE:
        return path
    if path.suffix:
        raise ConfigError(f"output={text}: the name of a page ends in .html, a folder in /")
    return path.with_suffix(".html")


def _is_path(argument: str) -> bool:
    """Whether it is no key: a folder that is there may have `=` in its name."""
    return "=" not in argument or Path(argument).expanduser().is_dir()


def _folder(argument: str) -> Path:
    path = Path(argument).expanduser().resolve()
    if not path.is_dir():
        raise RunError(f"{argument}: no such folder; give a run, a sweep or a folder with runs")
    return path


def _written(paths: Sequence[Path], output: Path | None) -> Path:
    from vitruvian.core.rundir import RunDirectory

    if len(paths) == 1 and (RunDirectory(paths[0]).exists or (paths[0] / "folds.yaml").is_file()):
        if output is not None:
            raise ConfigError("output: the page of a run is in the run; leave out output=")
        from vitruvian.report.page.run import write_run_page

        return write_run_page(RunDirectory(paths[0]))
    return _many(paths, output)


def _many(paths: Sequence[Path], output: Path | None) -> Path:
    import os

    from vitruvian.sweeps.gathering import found_below, write_page

    sweeps: dict[Path, SweepDirectory] = {}
    runs: dict[Path, Path] = {}
    left_out: dict[Path, Path] = {}
    for path in paths:
        below = found_below(path)
        sweeps |= {one.path: one for one in below.sweeps}
        runs |= {one.resolve(): one for one in below.runs if one.resolve() not in runs}
        left_out |= {one.resolve(): one for one in below.left_out}
    if not sweeps and not runs:
        places = ", ".join(map(str, paths))
        raise RunError(f"{places}: no run here (it would hold a config.yaml), and no sweep")
    folder = Path(os.path.commonpath(paths))
    found = list(sweeps.values()), list(runs.values())
    return write_page(*found, folder, output, left_out=list(left_out.values()))


if __name__ == "__main__":
    main()
