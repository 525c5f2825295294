"""The card of an exported net: what it is, what goes in and out, how good it was, and on whom."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from vitruvian.core.config import Config
from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import Evaluation, Statistic, read
from vitruvian.core.export_place import card_line
from vitruvian.core.exporting import Exported, Port
from vitruvian.core.files import write_text
from vitruvian.core.provenance import sha256
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.task import SIMULATED_KEY

_HELD_OUT = re.compile(r"(test|val)(_leaky)?(_simulated)?")  # evaluations that a run ends with
_MOST = 8  # metrics of a table


def write_card(
    exported: Exported, run: RunDirectory, config: Config, origin: Mapping[str, Any]
) -> None:
    """Write the card of an export.

    Args:
        exported: what was written.
        run: it comes from; there may be none.
        config: of the run.
        origin: as `exporting.passed_on` says it.

    Raises:
        RunError: the card cannot be written.
    """
    write_text(exported.card, "\n".join(_lines(exported, run, config, origin)) + "\n")


def _lines(
    exported: Exported, run: RunDirectory, config: Config, origin: Mapping[str, Any]
) -> Iterator[str]:
    simulated = bool(origin.get(SIMULATED_KEY))
    mark = " (SIMULATED)" if simulated else ""
    yield f"# Model card: {config.get('name') or exported.path.stem}{mark}"
    if simulated:
        yield "\n> **SIMULATED**: trained on simulated data. It has seen no person and no patient."
    yield f"\n{exported.what}"
    yield f"\n{card_line(exported.path, exported.format)}"
    yield (
        f"- held together with torch when it was written: largest difference "
        f"{exported.difference:.1e} (relative above 1), at most {exported.tolerance:.0e} allowed"
    )
    yield "\n## Inputs\n"
    yield from _ports(exported.inputs)
    yield "\n## Outputs\n"
    yield from _ports(exported.outputs)
    if exported.notes:
        yield "\n## To know\n"
        yield from (f"- {note}" for note in exported.notes)
    yield f"\n## Intended use\n\n{exported.use}\n\n**Not a diagnosis, and not a medical device.**"
    yield "\n## Trained on\n"
    yield from _training(run, config, origin)
    yield f"- licence of the data: {exported.data}"
    yield "\n## Figures of the run\n"
    yield from _figures(run, exported.reported)
    yield "\n## Origin\n"
    yield from _origin(exported, origin)


def _ports(ports: Sequence[Port]) -> Iterator[str]:
    yield "| name | shape | meaning |"
    yield "|---|---|---|"
    yield from (f"| `{port.name}` | {port.shape} | {port.meaning} |" for port in ports)


def _training(run: RunDirectory, config: Config, origin: Mapping[str, Any]) -> Iterator[str]:
    words = {True: "simulated", False: "real", None: "of unknown origin"}
    yield f"- data: {words[origin.get(SIMULATED_KEY)]} (`{config['datamodule']['_target_']}`)"
    yield f"- seed: {config['seed']}"
    try:
        splits = json.loads(run.splits_file.read_text(encoding="utf-8"))
        parts = ", ".join(f"{len(splits[part])} {part}" for part in ("train", "val", "test"))
        yield f"- people or patients: {parts}; split: {splits['kind']}"
    except (OSError, ValueError, KeyError, TypeError):
        yield "- the split is not at hand: the net was exported from a checkpoint alone"


def _figures(run: RunDirectory, reported: Sequence[str]) -> Iterator[str]:
    """Tables of the held-out evaluations, baselines beside the model."""
    names = sorted(p.stem for p in run.evaluation.glob("*.json") if _HELD_OUT.fullmatch(p.stem))
    told = False
    for name in names:
        try:
            found = read(run.evaluation, name)
        except DataError:
            continue
        told = True
        yield from _table(name, found, reported)
    if not told:
        yield "None: the run has not been evaluated."


def _table(name: str, found: Evaluation, reported: Sequence[str]) -> Iterator[str]:
    metrics = [metric for metric in reported if metric in found.summary.metrics][:_MOST]
    origin = "SIMULATED data" if found.simulated else "real data"
    yield (
        f"`{name}`: {found.summary.cases} cases of {origin}; mean over cases with its bootstrap "
        "95 % interval, beside what costs nothing to predict.\n"
    )
    yield f"| predictor | {' | '.join(metrics)} |"
    yield "|---" * (len(metrics) + 1) + "|"
    for key, group in found.summary.groups.items():
        cells = [_cell(group.get(metric)) for metric in metrics]
        yield f"| {key[0]} | {' | '.join(cells)} |"
    yield ""


def _cell(one: Statistic | None) -> str:
    if one is None or not one.n:
        return ""
    interval = f" [{one.ci_low:.4g}, {one.ci_high:.4g}]" if one.n > 1 else ""
    return f"{one.mean:.4g}{interval}"


def _origin(exported: Exported, origin: Mapping[str, Any]) -> Iterator[str]:
    versions = origin.get("versions", {})
    yield f"- Vitruvian {versions.get('vitruvian')}, commit {versions.get('commit')}"
    yield f"- torch {versions.get('torch')}, Python {versions.get('python')}"
    if origin.get("run"):
        yield f"- run: {origin['run']}"
    yield f"- checkpoint: sha256 {origin.get('checkpoint_sha256')}"
    for path in [exported.path] if exported.path.is_file() else sorted(exported.path.rglob("*")):
        if path.is_file() and path != exported.card:
            name = path.relative_to(exported.path.parent).as_posix()
            yield f"- {name}: sha256 {sha256(path)}"
