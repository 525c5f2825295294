"""`vitruvian-reproduce`: run what tests a paper, and set its numbers beside ours."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with, wants_help
from vitruvian.core.errors import ConfigError
from vitruvian.papers.departures import key_of
from vitruvian.papers.roots import KEY, ROOT, root_key, root_override, roots_by_paper

if TYPE_CHECKING:
    from vitruvian.papers.plan import Plan
    from vitruvian.papers.results import Reproduction
    from vitruvian.papers.tabulating import Tabulated
    from vitruvian.sweeps.directory import SweepDirectory

KEYS = {"paper": "", "preset": "quick", "output": "outputs/reproduce"}
ALL = "all"
RUNS = "runs"
STOPPED = 128  # exit codes from here on: a signal ended it

HELP = """vitruvian-reproduce paper=KEY|all [preset=quick|full] [key=value ...]

Does the paper hold? Train every row of its tables and everything that its claims need, as one
frozen sweep; set the printed numbers beside ours, with intervals, trivial baselines and verdicts.

  paper       {papers}; or the path of a
              YAML file of your own, like those in conf/paper
  preset      quick: minutes on two cores, simulated data; it shows the whole way and can never
              reproduce the paper
              full: the recipe of the paper, on real data                          (quick)
  root        folder of the real data, which must be there; with paper=all root.KEY of each paper
  output      folder of the results                                    (outputs/reproduce)

All other key=value are overrides of every run, as for vitruvian-train; hydra/launcher=local|slurm|
ray, hydra.launcher.KEY and cluster=NAME say where the runs are. seed=0 (or seed=0,1) repeats over
these seeds only. Runs that are complete are not run again: after an interruption give the same
command. Exit code 1 if a run has failed.

OUTPUT/PRESET[_simulated]/PAPER has index.html, results.json, tables, and the runs.

  vitruvian-reproduce paper=all
  vitruvian-reproduce paper=wang2024 preset=full root=/data/LiTS cluster=generic_gpu
"""


def main() -> None:
    """Entry point of the console script."""
    exit_with(reproduce)


def reproduce() -> int:
    """Do what the command line asks for."""
    arguments = sys.argv[1:]
    if wants_help(arguments):
        from vitruvian.papers.reading import papers

        print(HELP.format(papers=" | ".join((*papers(), ALL))), end="")
        return 0
    asked = _asked(arguments)
    frozen = [_frozen(asked, key) for key in asked.papers]  # all, before the first is started
    found: list[Tabulated] = []
    failed = 0
    for plan, sweep in frozen:
        code = _run(plan, sweep)
        if code > STOPPED:
            print(f"what is complete is kept; give the same command again: {asked.command}")
            return code
        failed |= code
        found.append(_told(plan, sweep, asked))
        failed |= bool(found[-1].problems)
    if asked.is_all:
        _page_of_all([one.found for one in found], [sweep.path.parent for _, sweep in frozen])
    return failed


# -- the command line -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """The command line.

    Attributes:
        papers: keys of the papers.
        is_all: whether all were asked for.
        preset: how.
        output: folder of the results.
        roots: folders of real data by paper.
        overrides: of every run.
        hydras: how runs are started.
        command: as typed.
    """

    papers: tuple[str, ...]
    is_all: bool
    preset: str
    output: Path
    roots: Mapping[str, str]
    overrides: tuple[str, ...]
    hydras: tuple[str, ...]
    command: str


def _asked(arguments: Sequence[str]) -> _Asked:
    """Read the command line.

    Raises:
        ConfigError: it is wrong.
    """
    own, rest = dict(KEYS), []
    roots: dict[str, str] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            raise ConfigError(f"{argument}: expected key=value; see vitruvian-reproduce --help")
        if key in own:
            own[key] = text
        elif key == KEY or key.startswith(f"{KEY}."):
            roots[key] = text
        else:
            rest.append(argument)
    papers = _papers(own["paper"])
    return _Asked(
        papers=papers,
        is_all=own["paper"] == ALL,
        preset=own["preset"],
        output=Path(own["output"]).expanduser(),
        roots=roots_by_paper(roots, papers),
        overrides=tuple(text for text in rest if not _is_hydras(text)),
        hydras=tuple(text for text in rest if _is_hydras(text)),
        command=shlex.join(["vitruvian-reproduce", *arguments]),
    )


def _is_hydras(override: str) -> bool:
    return override.lstrip("+").startswith(("hydra.", "hydra/"))


def _papers(asked: str) -> tuple[str, ...]:
    from vitruvian.papers.reading import papers

    if not asked:
        known = "|".join((*papers(), ALL))
        told = f"a value is needed, paper={known}; see vitruvian-reproduce --help"
        raise ConfigError(f"paper: {told}")
    return papers() if asked == ALL else (asked,)


# -- one paper ------------------------------------------------------------------------------------


def _frozen(asked: _Asked, key: str) -> tuple[Plan, SweepDirectory]:
    """The runs of a paper, frozen in their place.

    Raises:
        ConfigError: the paper, the preset or an override is wrong.
        RunError: other runs are in the place.
    """
    from vitruvian.papers.plan import plan_of
    from vitruvian.papers.reading import read_paper
    from vitruvian.papers.running import frozen_sweep

    root = [root_override(asked.roots[key])] if key in asked.roots else []
    typed = [*root, *asked.overrides]
    direct = any(key_of(text) == ROOT for text in asked.overrides)
    named = ROOT if direct else root_key(key, asked.papers)
    plan = plan_of(read_paper(key), asked.preset, typed, named)
    place = f"{asked.preset}_simulated" if plan.simulated else asked.preset
    folder = asked.output / place / plan.paper.key / RUNS
    return plan, frozen_sweep(plan, asked.hydras, folder)


def _run(plan: Plan, sweep: SweepDirectory) -> int:
    """Train what is missing; the exit code."""
    from vitruvian.papers.results import caveat
    from vitruvian.papers.running import run_all

    about = plan.paper.presets[plan.preset].about
    print(f"{plan.paper.key}, preset {plan.preset}: {about}", flush=True)
    if not plan.simulated:
        if told := caveat(plan.departures(sweep.run(0).config)):
            print(told, flush=True)
        for folds in plan.missing_folds():
            print(f"{folds} of the paper: not judged where the data have more folds", flush=True)
    return run_all(sweep)


def _told(plan: Plan, sweep: SweepDirectory, asked: _Asked) -> Tabulated:
    """Collect, judge, keep and print what one paper came to."""
    from vitruvian.papers import storing, terminal
    from vitruvian.papers.tabulating import tabulate
    from vitruvian.report.page.reproduction import write_reproduction

    folder = sweep.path.parent
    outcome = tabulate(plan, sweep, [asked.command])
    storing.store(outcome.found, folder)
    page = write_reproduction([outcome.found], folder)
    terminal.show(outcome.found)
    for problem in outcome.problems:
        print(f"no figures of {problem}")
    if outcome.problems:
        print(f"what they printed: {sweep.logs}")
    if outcome.waiting:
        told = "the tables have what is complete so far; for the rest give the same command later"
        print(f"{outcome.waiting} of {len(plan.runs)} runs wait or run: {told}")
    print(f"tables: {folder}")
    print(f"page: {page}")
    return outcome


def _page_of_all(found: Sequence[Reproduction], folders: Sequence[Path]) -> None:
    """One page for all papers, in the folder above theirs, with links to the runs of each."""
    from vitruvian.papers.terminal import counts_line
    from vitruvian.report.page.reproduction import write_reproduction

    above = Path(os.path.commonpath([folder.parent for folder in folders]))
    linked = [_seen_from(above, *pair) for pair in zip(found, folders, strict=True)]
    page = write_reproduction(linked, above)
    print()
    for one in found:
        origin = "SIMULATED data, " if one.simulated else ""
        print(f"{one.paper.key}: {origin}{len(one.claims)} claims: {counts_line(one.claims)}")
    print(f"page of all: {page}")


def _seen_from(above: Path, found: Reproduction, folder: Path) -> Reproduction:
    """The same with the runs' directories relative to another folder."""
    way = folder.relative_to(above)
    links = (replace(run, directory=str(way / run.directory)) for run in found.runs)
    return replace(found, runs=tuple(links))


if __name__ == "__main__":
    main()
