"""`conf/paper/KEY.yaml` as a `Paper`: every key checked, every name that is mentioned known.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from vitruvian.core.check import nearest
from vitruvian.core.config import config_directory
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.typed_yaml import read_texts, typed
from vitruvian.papers.departures import key_of
from vitruvian.papers.paper import SPLIT, UNIT, Claim, Experiment, Paper, Table

_RUN = ("figure", "order", "cost")  # kinds of claims that an experiment tests
_PAIRED = ("order", "cost")  # kinds that compare two experiments
COSTS = ("parameters", "macs", "step_s")


def paper_folder() -> Path:
    """Where the papers are."""
    return config_directory() / "paper"


def papers() -> tuple[str, ...]:
    """Keys of all papers."""
    return tuple(sorted(file.stem for file in paper_folder().glob("*.yaml")))


def read_paper(key: str) -> Paper:
    """Read a paper.

    Args:
        key: of one of ours, or the path of a YAML file of the same kind; its name is the key then.

    Raises:
        ConfigError: there is no such paper; or its file has an unknown or a missing key, a value of
            another type, or mentions an experiment, a preset or a claim that it does not have.
    """
    file = _file_of(key)
    try:
        paper: Paper = typed(_keyed(read_texts(file), file.stem), Paper)
    except DataError as error:
        raise ConfigError(_named(file, str(error))) from error
    problems = [*_problems(paper, file.stem)]
    if problems:
        raise ConfigError("\n".join(_named(file, line) for line in problems))
    return paper


def _file_of(key: str) -> Path:
    if key.endswith((".yaml", ".yml")):
        return Path(key).expanduser()
    known = papers()
    if key not in known:
        raise ConfigError(f"paper: got {key!r}; {_meant(key, (*known, 'all'))}")
    return paper_folder() / f"{key}.yaml"


def _named(file: Path, line: str) -> str:
    """A complaint with the file that it is about, ours as short as they can be found by."""
    shown = f"conf/paper/{file.name}" if file.parent == paper_folder() else str(file)
    complaint = line.removeprefix(str(file))
    return f"{shown}{'' if complaint.startswith((':', ',')) else ': '}{complaint}"


def _keyed(node: Any, key: str) -> Any:
    """The file with the keys of its mappings in the values, where the dataclasses have them."""
    if not isinstance(node, dict):
        return node
    experiments = node.get("experiments")
    if isinstance(experiments, dict):
        experiments = {
            name: {"key": name, **own} if isinstance(own, dict) else own
            for name, own in experiments.items()
        }
        node = {**node, "experiments": experiments}
    return {"key": key, **node}


# -- names that are mentioned ---------------------------------------------------------------------


def _problems(paper: Paper, name: str) -> Iterator[str]:
    if paper.key != name:
        yield f"key: {paper.key!r} is not the name of this file; leave it out"
    yield from _twice("tables", [table.key for table in paper.tables])
    yield from _twice("claims", [claim.key for claim in paper.claims])
    for experiment in paper.experiments.values():
        place = f"experiments.{experiment.key}"
        yield from _absent(f"{place}.presets", experiment.presets, paper.presets, "preset")
        yield from _absent(f"{place}.only", experiment.only, paper.presets, "preset")
        for field in ("overrides", "cost_overrides"):
            yield from _malformed(f"{place}.{field}", getattr(experiment, field))
        for preset, overrides in experiment.presets.items():
            yield from _malformed(f"{place}.presets.{preset}", overrides)
    for name, own in paper.presets.items():
        yield from _malformed(f"presets.{name}.overrides", own.overrides)
    for table in paper.tables:
        yield from _of_table(table, paper)
    for claim in paper.claims:
        yield from _of_claim(claim, paper)
    known = {claim.key: claim for claim in paper.claims}
    for number, line in enumerate(paper.audit):
        yield from _absent(f"audit[{number}].claims", line.claims, known, "claim")


def _of_table(table: Table, paper: Paper) -> Iterator[str]:
    place = f"tables.{table.key}"
    yield from _absent(f"{place}.rows", table.rows, paper.experiments, "experiment")
    if table.reference is not None and table.reference not in table.rows:
        hint = _meant(table.reference, table.rows)
        yield f"{place}.reference: {table.reference} is no row of the table; {hint}"


def _of_claim(claim: Claim, paper: Paper) -> Iterator[str]:
    place = f"claims.{claim.key}"
    named = [name for name in (claim.experiment, claim.rival) if name]
    yield from _absent(place, named, paper.experiments, "experiment")
    needed = {
        "experiment": claim.kind in _RUN,
        "rival": claim.kind in _PAIRED,
        "metric": claim.kind in _RUN,
        "measure": claim.kind == "measured",
        "why": claim.kind == "untested" or not claim.comparable,
    }
    for field, wanted in needed.items():
        if wanted and not getattr(claim, field):
            yield f"{place}.{field}: missing, a claim of kind {claim.kind} needs it"
    if claim.kind in ("figure", "order") and not claim.why:
        for own in filter(None, (_own_split(paper.experiments.get(name)) for name in named)):
            yield f"{place}.why: missing; {own} decides whom it is judged on, say what that means"
    if claim.kind == "cost" and claim.metric and claim.metric not in COSTS:
        yield f"{place}.metric: {claim.metric} is no cost; {_meant(claim.metric, COSTS)}"


def _own_split(experiment: Experiment | None) -> str:
    """By what an experiment asks for a division of its own; empty if it does not."""
    if experiment is None:
        return ""
    lines = (*experiment.overrides, *(text for own in experiment.presets.values() for text in own))
    return next((text for text in lines if key_of(text) in (SPLIT, UNIT)), "")


def _malformed(place: str, overrides: Iterable[str]) -> Iterator[str]:
    for text in overrides:
        if "=" not in text:
            yield f"{place}: {text}: expected key=value"


def _twice(place: str, keys: list[str]) -> Iterator[str]:
    for key in dict.fromkeys(key for key in keys if keys.count(key) > 1):
        yield f"{place}: {key} is there twice"


def _absent(place: str, names: Iterable[str], known: Mapping[str, Any], what: str) -> Iterator[str]:
    for name in names:
        if name not in known:
            yield f"{place}: there is no {what} {name}; {_meant(name, known)}"


def _meant(name: str, known: Iterable[str]) -> str:
    valid = list(known)
    near = nearest(name, valid)
    return f"did you mean {near}?" if near else f"there are: {', '.join(valid) or 'none'}"
