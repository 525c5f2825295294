"""A paper as data: what it claims, and which experiments test that. Read from `conf/paper/`.

Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["figure", "order", "cost", "measured", "untested"]
Bound = Literal["=", "<=", ">="]

# Keys by which an experiment asks for a division of its own: whom to hold out, and what is one.
SPLIT, UNIT = "split", "datamodule.unit"


@dataclass(frozen=True)
class Preset:
    """One way to run a paper's experiments.

    Attributes:
        about: one line: on what data, how long, on which machine.
        simulated: whether it runs on simulated data unless a root is given.
        overrides: that all its runs share, as typed after `vitruvian-train`.
        repeats: keys that are repeated over, such as `seed: [0, 1, 2]`; every combination is a run.
        needs: keys that the user must give, and what each must hold.
    """

    about: str
    simulated: bool
    overrides: tuple[str, ...] = ()
    repeats: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    needs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Experiment:
    """One row of a table: a set of runs that differ in seeds and folds only.

    Attributes:
        key: unique in the paper.
        label: as a reader of the paper knows it.
        overrides: in every preset.
        presets: further overrides by preset; a preset that is absent, while others are named in
            `only`, does not run the experiment.
        only: the presets that run it; empty: all.
        cost_overrides: what the cost of its net is measured with, instead of all of the above:
            presets train small nets, the paper's cost is that of the large one. Empty: its first
            run.
        net: what it has in common with other rows of a table but for the length of its windows.
        frames: that length; a table with rows of several lengths gets a chart.
    """

    key: str
    label: str
    overrides: tuple[str, ...]
    presets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    cost_overrides: tuple[str, ...] = ()
    net: str = ""
    frames: int | None = None


@dataclass(frozen=True)
class Table:
    """A table of the reproduction.

    Attributes:
        key: unique in the paper.
        title: what it shows, and of which table of the paper.
        rows: keys of experiments, in order.
        metrics: of cases (columns of the evaluation), in order.
        pooled: figures of all cases taken as one, in order.
        reference: the row that the others are tested against, by case; None: no test.
        costs: whether parameters, MACs and seconds per step are shown.
        view: of the evaluation, such as `per_participant`; empty: the cases themselves.
    """

    key: str
    title: str
    rows: tuple[str, ...]
    metrics: tuple[str, ...] = ()
    pooled: tuple[str, ...] = ()
    reference: str | None = None
    costs: bool = False
    view: str = ""


@dataclass(frozen=True)
class Claim:
    """One statement of the paper that can be judged.

    Attributes:
        key: unique in the paper.
        quote: its words, shortened.
        paraphrased: whether they are ours: what a table shows, or a second reading of a claim.
        where: where it stands, such as "Table 1, row 3".
        kind: `figure`: a number that an experiment gives. `order`: an experiment is better than its
            `rival`. `cost`: it has fewer parameters, MACs or seconds than its rival, whatever the
            data. `measured`: `measure` gives the number. `untested`: `why` says why not.
        experiment: which one tests it.
        rival: which one it is compared with (`order`, `cost`).
        metric: of cases, or a pooled figure; `parameters`, `macs` or `step_s` for costs.
        pooled: whether `metric` is a pooled figure.
        predictor: whose figure it is: the model's, or that of a trivial baseline.
        baseline: the one trivial baseline that it is held against, as evaluations name it; empty:
            the best of all.
        best: the figure of the best participant, as papers print with "as little as"; a pooled
            figure is already that of the best one.
        beside: a pooled figure over all participants, which stands beside that of the best one.
        value: the printed number; None: the claim has none. Of `order`: the printed difference.
        unit: of the printed number.
        factor: from our unit to the printed one.
        bound: whether the number is meant as it is, as an upper or as a lower limit.
        higher_is_better: which end is the good one.
        comparable: whether our figure on the paper's kind of data would mean the same thing.
        why: why not, or how it is tested.
        measure: a node with `_target_` that gives the number; see `papers.measured`.
    """

    key: str
    quote: str
    where: str
    kind: Kind
    experiment: str = ""
    rival: str = ""
    metric: str = ""
    pooled: bool = False
    predictor: str = "model"
    baseline: str = ""
    best: bool = False
    beside: str = ""
    value: float | None = None
    value_high: float | None = None
    unit: str = ""
    factor: float = 1.0
    bound: Bound = "="
    higher_is_better: bool = True
    comparable: bool = True
    why: str = ""
    measure: Mapping[str, Any] = field(default_factory=dict)
    paraphrased: bool = False

    @property
    def words(self) -> str:
        """What the reader is shown: in quotation marks where the words are the paper's."""
        return self.quote if self.paraphrased else f"“{self.quote}”"


@dataclass(frozen=True)
class AuditLine:
    """Printed numbers that must fit together; see `report.audit`.

    Attributes:
        row: the name of the row.
        numbers: as printed, by the names of `vitruvian-audit`, as text: `{"dice": "92.20"}`.
        claims: keys of the claims that are impossible if these numbers are.
        note: where they stand, or why they are set side by side.
    """

    row: str
    numbers: Mapping[str, str]
    claims: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Paper:
    """A paper: how to cite it, what it claims, what tests it."""

    key: str
    title: str
    authors: str
    year: int
    where: str
    study: str
    presets: Mapping[str, Preset]
    experiments: Mapping[str, Experiment]
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...]
    audit: tuple[AuditLine, ...]
    notes: tuple[str, ...] = ()
