"""What a reproduction found, as plain data: `results.json` holds it, terminal and page show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from vitruvian.papers.paper import Claim, Paper


def caveat(departures: Sequence[str]) -> str:
    """That another recipe was run, and what this means; empty where none is."""
    told = f"Not the paper's recipe ({'; '.join(departures)}): figures are shown, not judged"
    return told if departures else ""


class Verdict(StrEnum):
    """What becomes of a claim."""

    REPRODUCED = "reproduced"
    NOT_REPRODUCED = "not reproduced"
    NOT_COMPARABLE = "not comparable"
    IMPOSSIBLE = "impossible as printed"
    PENDING = "not run yet"


@dataclass(frozen=True)
class Estimate:
    """A figure over cases, in its own unit.

    Attributes:
        mean: over cases (the mean over seeds of each); of a pooled figure, its value.
        sd: over cases; NaN for one.
        ci_low: lower end of the bootstrap 95 % interval; NaN for one case.
        ci_high: upper end.
        n: cases, or runs for a figure that has one value a run.
        sd_runs: SD of the means of single runs: seeds (and folds); NaN for one.
    """

    mean: float
    sd: float
    ci_low: float
    ci_high: float
    n: int
    sd_runs: float = float("nan")


@dataclass(frozen=True)
class PairedTest:
    """Wilcoxon's signed-rank test of a row against the table's reference, over the same cases.

    Attributes:
        n: pairs.
        difference: median of row minus reference.
        p: two-sided; NaN where there is nothing to rank.
        p_holm: adjusted by Holm over the rows of the table that were tested.
        ci_low: lower end of Student's 95 % interval of the mean difference; NaN for one pair.
        ci_high: upper end.
        least_p: the smallest p that so many pairs which differ can give.
        why: there is no p; empty where there is one.
        lean: the side to which the ranks point (sign of W+ - W-): 1 where the row is above the
            reference, -1 where it is below. The mean may point to the other one.
    """

    n: int
    difference: float
    p: float
    p_holm: float
    ci_low: float = float("nan")
    ci_high: float = float("nan")
    least_p: float = float("nan")
    why: str = ""
    lean: int = 0


@dataclass(frozen=True)
class Cost:
    """What a net costs.

    Attributes:
        parameters: trainable ones.
        macs: multiply-accumulates of one input.
        step_s: seconds of a training step on this machine; NaN where not measured.
    """

    parameters: int
    macs: int
    step_s: float = float("nan")


@dataclass(frozen=True)
class Line:
    """One row of a result table.

    Attributes:
        label: for the reader.
        experiment: its key; of a baseline, the one beside which it was evaluated.
        baseline: whether it is a trivial baseline.
        figures: by metric.
        printed: the paper's numbers in our units, by metric, where the paper has them.
        tests: against the reference, by metric.
        cost: None for baselines, and where not asked for.
        runs: how many of its runs are complete, and how many were asked for.
    """

    label: str
    experiment: str
    baseline: bool
    figures: Mapping[str, Estimate]
    printed: Mapping[str, float] = field(default_factory=dict)
    tests: Mapping[str, PairedTest] = field(default_factory=dict)
    cost: Cost | None = None
    runs: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class ResultTable:
    """A table of the reproduction; `notes` say how to read it."""

    key: str
    title: str
    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    reference: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Judged:
    """A claim with its verdict.

    Attributes:
        claim: of the paper.
        ours: in the printed unit; None where there is none.
        rival: the rival's figure (`order`, `cost`), in the printed unit.
        baseline: name and figure of the best trivial baseline, in the printed unit.
        verdict: what becomes of it.
        reason: one sentence.
    """

    claim: Claim
    verdict: Verdict
    reason: str
    ours: Estimate | None = None
    rival: Estimate | None = None
    baseline: tuple[str, Estimate] | None = None


@dataclass(frozen=True)
class RunLink:
    """A run behind the tables.

    Attributes:
        directory: relative to the folder of the results.
        experiment: its key.
        label: of the experiment, with seed and fold.
        state: as `vitruvian-sweep status` says it.
    """

    directory: str
    experiment: str
    label: str
    state: str


@dataclass(frozen=True)
class Reproduction:
    """What became of one paper.

    Attributes:
        paper: what was tested.
        preset: how.
        simulated: whether any of the data are.
        split: how subjects were divided, in words.
        tables: the result tables.
        claims: every claim with its verdict.
        findings: of the audit of the paper's own numbers, one line each.
        runs: behind the tables.
        commit: of the code.
        machine: in words: processor, GPUs.
        seconds: that the runs took together.
        commands: what gives these results again.
        departures: what makes the runs another recipe than the paper's, each in a few words.
    """

    paper: Paper
    preset: str
    simulated: bool
    split: str
    tables: tuple[ResultTable, ...]
    claims: tuple[Judged, ...]
    findings: tuple[str, ...]
    runs: tuple[RunLink, ...]
    commit: str
    machine: str
    seconds: float
    commands: tuple[str, ...] = ()
    departures: tuple[str, ...] = ()

    @property
    def caveat(self) -> str:
        """What a reader must know first; empty where it is the recipe, or only shows the way."""
        return "" if self.simulated else caveat(self.departures)
