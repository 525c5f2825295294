"""From the runs of a paper, as they stand, to everything that is told of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vitruvian.core.config import Config
from vitruvian.core.rundir import RunDirectory
from vitruvian.papers import costs, running
from vitruvian.papers.collecting import Collected, collect
from vitruvian.papers.paper import Paper
from vitruvian.papers.plan import Plan
from vitruvian.papers.results import Cost, Reproduction, RunLink
from vitruvian.papers.tables import result_tables
from vitruvian.papers.verdicts import judge
from vitruvian.report.audit import audit_lines
from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.figures import figures_of
from vitruvian.sweeps.states import RunState, State

UNREADABLE = "complete, but its evaluation cannot be read"


@dataclass(frozen=True)
class Tabulated:
    """What the runs came to.

    Attributes:
        found: everything that is told.
        problems: one line for each run that gives no figures although it was to.
        waiting: how many runs wait or run somewhere else.
    """

    found: Reproduction
    problems: tuple[str, ...]
    waiting: int


def tabulate(plan: Plan, sweep: SweepDirectory, commands: Sequence[str]) -> Tabulated:
    """Collect what is complete, judge it, and measure what the nets cost.

    Args:
        plan: the runs.
        sweep: where they are; the results are kept beside it.
        commands: what gives these results again.
    """
    states = running.how_they_stand(sweep)
    collected = collect(plan, states, _costs(plan, states, sweep.path.parent))
    findings, impossible = _audited(plan.paper)
    simulated = plan.simulated if collected.simulated is None else collected.simulated
    departures = replace(plan, real=not simulated).departures(states[0].entry.run.config)
    if collected.simulated is not None:  # how many folds there are is known from the runs
        departures = (*plan.missing_folds(collected.folds), *departures)
    labels = {number: plan.label(run) for number, run in enumerate(plan.runs)}
    origin = _origin(one.entry.run for one in states if one.state is State.COMPLETED)
    found = Reproduction(
        paper=plan.paper,
        preset=plan.preset,
        simulated=simulated,
        split="; ".join(dict.fromkeys(e.split for e in collected.evidence.values() if e.split)),
        tables=result_tables(plan.paper, plan.preset, collected.evidence),
        claims=judge(plan.paper, simulated, collected.evidence, impossible, departures=departures),
        findings=findings,
        runs=tuple(_link(plan, sweep, one, collected) for one in states),
        commit=origin.commit,
        machine=origin.machine,
        seconds=sum(figures_of(one.entry.run).seconds or 0.0 for one in states),
        commands=tuple(commands),
        departures=departures,
    )
    unreadable = [f"{labels[number]}: {why}" for number, why in collected.unreadable.items()]
    problems = (*running.unfinished_lines(states, labels), *unreadable)
    return Tabulated(found, problems, running.count_moving(states))


def _link(plan: Plan, sweep: SweepDirectory, one: RunState, collected: Collected) -> RunLink:
    planned, index = plan.runs[one.entry.index], one.entry.index
    state = UNREADABLE if index in collected.unreadable else str(one.state)
    directory = f"{sweep.path.name}/{one.entry.name}"
    return RunLink(directory, planned.experiment, plan.label(planned), state)


def _costs(plan: Plan, states: Sequence[RunState], folder: Path) -> dict[str, Cost]:
    """Costs of the nets that are asked for: of those that have a run, or a config for the cost."""
    first = {run.experiment: one for run, one in zip(plan.runs, states, strict=True)}
    configs: dict[str, Config] = {}
    for key in costs.asked_for(plan.paper):
        own = plan.paper.experiments[key].cost_overrides
        if own:
            configs[key] = running.frozen_alone(own)
        elif key in first:
            configs[key] = first[key].entry.run.config
    return costs.measured(configs, folder)


def _audited(paper: Paper) -> tuple[tuple[str, ...], dict[str, str]]:
    """What is wrong with the paper's own numbers, and which claims fall with that."""
    findings = audit_lines(paper.audit)
    impossible: dict[str, str] = {}
    for finding in findings:
        for claim in finding.claims if finding.impossible else ():
            impossible.setdefault(claim, finding.message)
    told = (f"{'' if one.impossible else 'to be doubted: '}{one.message}" for one in findings)
    return tuple(told), impossible


# -- where the results come from ------------------------------------------------------------------


@dataclass(frozen=True)
class _Origin:
    """Code and machine of the runs, in words; several if they differ."""

    commit: str
    machine: str


def _origin(runs: Iterator[RunDirectory]) -> _Origin:
    starts = [start for run in runs for start in _starts(run)[-1:]]
    return _Origin(
        ", ".join(dict.fromkeys(map(_commit, starts))),
        "; ".join(dict.fromkeys(map(_machine, starts))),
    )


def _starts(run: RunDirectory) -> list[Mapping[str, Any]]:
    """What `environment.json` says of each start; none if it is gone or damaged."""
    try:
        starts = json.loads(run.environment_file.read_text(encoding="utf-8"))["starts"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [start for start in starts if isinstance(start, dict)]


def _commit(start: Mapping[str, Any]) -> str:
    git = start.get("git") or {}
    commit = str(git.get("commit") or f"version {start.get('vitruvian', 'unknown')}")
    return f"{commit}-modified" if git.get("diff") else commit


def _machine(start: Mapping[str, Any]) -> str:
    """Such as "2 processor cores, no GPU, Linux-6.1-x86_64"; not its name, which is nobody's."""
    gpus = ", ".join(start.get("gpus") or []) or "no GPU"
    return f"{start.get('cpu_cores', '?')} processor cores, {gpus}, {start.get('platform', '')}"
