"""The figures that a claim is about: ours, the rival's, a baseline's; in the printed unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from vitruvian.papers.evidence import Evidence
from vitruvian.papers.paper import Claim
from vitruvian.papers.results import Estimate
from vitruvian.papers.statistics import (
    estimate,
    is_baseline,
    pooled_estimate,
    predictors,
    spread,
    student_interval,
)
from vitruvian.report.people import best_subjects

_NAN = math.nan


@dataclass(frozen=True)
class Figures:
    """What stands beside a claim, in its printed unit.

    Attributes:
        ours: of the experiment.
        rival: of what it is compared with.
        baseline: name and figure of the trivial baseline that the claim is held against: the one
            that it names, else the best.
        everyone: over all participants, where `ours` is that of the best one.
    """

    ours: Estimate | None = None
    rival: Estimate | None = None
    baseline: tuple[str, Estimate] | None = None
    everyone: Estimate | None = None


def figures_of(claim: Claim, own: Evidence | None, rival: Evidence | None) -> Figures:
    """The figures of a claim, as far as they are known.

    Args:
        claim: whose.
        own: what is known of its experiment.
        rival: of the one it is compared with.
    """
    if own is None:
        return Figures()
    return Figures(
        ours=_in_print(claim, _of(claim, own, claim.predictor)),
        rival=_in_print(claim, _of(claim, rival, claim.predictor)) if rival else None,
        baseline=_best_baseline(claim, own),
        everyone=_in_print(claim, _over_everyone(claim, own)) if claim.best else None,
    )


def number(value: float) -> Estimate:
    """A number without a spread, such as one that was measured."""
    return Estimate(value, _NAN, _NAN, _NAN, 1)


def text(figure: Estimate, claim: Claim) -> str:
    """A figure with its interval and unit, for a sentence."""
    ends = (figure.ci_low, figure.ci_high)
    interval = "" if any(map(math.isnan, ends)) else f" [{ends[0]:.3g}, {ends[1]:.3g}]"
    return f"{figure.mean:.3g}{interval}{f' {claim.unit}' if claim.unit else ''}"


def _of(claim: Claim, evidence: Evidence, predictor: str) -> Estimate | None:
    if claim.kind == "cost":
        return _cost(claim, evidence)
    if claim.pooled:
        return pooled_estimate(evidence, claim.metric, predictor=predictor)
    if claim.best:
        return _best(claim, evidence, predictor)
    return estimate(evidence.repeats, claim.metric, predictor=predictor)


def _cost(claim: Claim, evidence: Evidence) -> Estimate | None:
    return None if evidence.cost is None else number(float(getattr(evidence.cost, claim.metric)))


def _best(claim: Claim, evidence: Evidence, predictor: str) -> Estimate | None:
    """The best participant of each repetition, and the mean of these."""
    values = [
        best.value
        for repeat in evidence.repeats
        for best in best_subjects(repeat.views[""].rows, [claim.metric], predictor)
    ]
    if not values:
        return None
    ends = student_interval(values)
    return Estimate(sum(values) / len(values), spread(values), *ends, len(values), spread(values))


def _over_everyone(claim: Claim, evidence: Evidence) -> Estimate | None:
    if claim.beside:
        return pooled_estimate(evidence, claim.beside)
    return None if claim.pooled else estimate(evidence.repeats, claim.metric)


def _best_baseline(claim: Claim, evidence: Evidence) -> tuple[str, Estimate] | None:
    """The baseline that comes out best, named without the word."""
    found = [(name, one) for name, one in _baselines(claim, evidence) if not math.isnan(one.mean)]
    if not found:
        return None
    choose: Callable[..., tuple[str, Estimate]] = max if claim.higher_is_better else min
    name, best = choose(found, key=lambda pair: pair[1].mean)
    return name.removeprefix("baseline: "), best


def _baselines(claim: Claim, evidence: Evidence) -> Iterator[tuple[str, Estimate]]:
    if claim.kind == "cost":
        return
    for name in predictors(evidence.repeats):
        if _counts(name, claim):
            figure = _in_print(claim, _of(claim, evidence, name))
            if figure is not None:
                yield name, figure


def _counts(name: str, claim: Claim) -> bool:
    """Whether a claim is held against this predictor."""
    if claim.baseline:
        return name == claim.baseline
    return is_baseline(name) and not name.startswith("control:")


def _in_print(claim: Claim, figure: Estimate | None) -> Estimate | None:
    """The figure in the printed unit."""
    if figure is None:
        return None
    values = (figure.mean, figure.sd, figure.ci_low, figure.ci_high)
    mean, sd, low, high = (value * claim.factor for value in values)
    return Estimate(mean, sd, low, high, figure.n, figure.sd_runs * claim.factor)
