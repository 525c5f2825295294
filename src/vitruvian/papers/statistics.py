"""From the rows of repeated runs to figures with intervals, and from two of them to a test.

The unit is the subject: rows of one `participant`, where rows name one, else of one case, are
averaged over tasks, clips and seeds first. Seeds are no cases: more of them narrow no interval.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import stats

from vitruvian.core.evaluation import Row, summarise
from vitruvian.core.fold_results import SUBJECT, by_subject
from vitruvian.papers.evidence import Evidence, Repeat
from vitruvian.papers.results import Estimate, PairedTest

MODEL = "model"
RESAMPLES = 1000  # of pooled figures: 25 of them lie beyond each end of the interval
_ENUMERATED = 13  # pairs up to which every choice of signs is counted: 2**13 sums of ranks
_EXACT = 50  # pairs up to which the exact distribution is used where ranks are not tied
_DIGITS = 36  # binary ones, eleven decimal ones: what differs beyond is noise of the arithmetic
_NAN = math.nan

Floats = npt.NDArray[np.float64]


def estimate(
    repeats: Sequence[Repeat], metric: str, view: str = "", predictor: str = MODEL
) -> Estimate | None:
    """A metric of cases over subjects, each with the mean over its rows and repetitions.

    Args:
        repeats: of one experiment.
        metric: its name in the rows.
        view: of the evaluation; empty: the cases themselves.
        predictor: whose rows.

    Returns:
        None where no row has the metric.
    """
    parts = [_values(repeat, metric, view, predictor) for repeat in repeats]
    rows = [row for part in parts for row in part]
    if not any(math.isfinite(row[metric]) for row in rows):
        return None
    found = summarise(rows).groups[predictor,][metric]
    means = [_mean(part, metric) for part in parts if part]
    ends = (found.ci_low, found.ci_high)
    return Estimate(found.mean, found.sd, *ends, found.n, spread(means))


def pooled_estimate(
    evidence: Evidence, metric: str, view: str = "", predictor: str = MODEL
) -> Estimate | None:
    """A figure of all cases taken as one: the mean over repetitions; ends: see `interval_of`.

    Returns:
        None where no repetition has the figure.
    """
    figures = [one for one in pooled_figures(evidence, view, predictor) if _finite(one, metric)]
    if not figures:
        return None
    values = [one[metric] for one in figures]
    sd, n = _mean_of(figures, f"{metric}_sd"), len(values)
    if any(f"{metric}_sd" in one for one in figures):  # over people: the task made its interval
        low, high = (_mean_of(figures, metric + end) for end in ("_low", "_high"))
        people = _mean_of(figures, "n_participants")
        n = n if math.isnan(people) else round(people)
    elif evidence.pool is not None and not _is_over_people(figures):
        low, high, n = _drawn(evidence, metric, view, predictor)
    else:
        low, high = student_interval(values)
    return Estimate(float(np.mean(values)), sd, low, high, n, spread(values))


def _is_over_people(figures: Sequence[Mapping[str, float]]) -> bool:
    """Whether the task averages over people by itself; what has no spread then is an extreme."""
    return any(name.endswith("_sd") for one in figures for name in one)


def interval_of(evidence: Evidence) -> str:
    """How the intervals of pooled figures were made, for the reader."""
    if evidence.pool is None:
        return "Intervals of figures over all cases as one: Student's, over the repetitions."
    return (
        "Intervals of figures over all cases as one: subjects drawn again "
        f"({RESAMPLES} times); Student's over people where the figure is a mean over them; "
        "Student's over the repetitions where it is that of the best participant."
    )


def pooled_figures(evidence: Evidence, view: str, predictor: str) -> list[Mapping[str, float]]:
    """The pooled figures of each repetition that has any."""
    found = (one.pooled.get(view, {}).get(predictor, {}) for one in evidence.repeats)
    return [one for one in found if one]


def predictors(repeats: Iterable[Repeat], view: str = "") -> tuple[str, ...]:
    """Names of the predictors, in order of appearance; of the cases where there is no such view."""
    names: dict[str, None] = {}
    for repeat in repeats:
        if (found := repeat.views.get(view) or repeat.views.get("")) is not None:
            names |= dict.fromkeys(str(row["predictor"]) for row in found.rows)
    return tuple(names)


def is_baseline(predictor: str) -> bool:
    """Whether a predictor is one that costs nothing, or a control."""
    return predictor.startswith(("baseline:", "control:"))


def unit_of(repeats: Iterable[Repeat], view: str = "") -> str:
    """What counts as one: `participant`, or `case`."""
    rows = (row for one in repeats if (found := one.views.get(view)) for row in found.rows)
    return SUBJECT if any(SUBJECT in row for row in rows) else "case"


def subject_means(
    repeats: Sequence[Repeat], metric: str, view: str = "", predictor: str = MODEL
) -> dict[str, float]:
    """Mean of a metric by subject; those without a value are left out."""
    rows = [row for one in repeats for row in _values(one, metric, view, predictor)]
    if not rows:
        return {}
    groups = summarise(rows, by=("case",), resamples=1).groups
    means = {key[0]: group[metric].mean for key, group in groups.items()}
    return {who: mean for who, mean in means.items() if math.isfinite(mean)}


def paired(ours: Mapping[str, float], reference: Mapping[str, float]) -> PairedTest:
    """Compare two experiments over the subjects that both have, by Wilcoxon's signed-rank test.

    Pairs without a difference are not ranked (Wilcoxon's own rule). Up to 13 pairs, or 50 without
    ties, p is exact; above, it is that of the normal approximation. Differences are compared to
    eleven digits of the largest value: 5/9 - 4/9 ties with 8/9 - 7/9.

    Args:
        ours: value by subject.
        reference: of the other.

    Returns:
        `p_holm` is `p`: `adjusted` changes that where there are several tests.
    """
    shared = [who for who in ours if who in reference]
    differences = _differences([(ours[who], reference[who]) for who in shared])
    moved = differences[differences != 0]
    p, why = _NAN, ""
    if not shared:
        why = "no subject was tested by both"
    elif not moved.size:
        why = f"all {len(shared)} pairs are equal"
    else:
        p = _wilcoxon(moved)
    middle = float(np.median(differences)) if shared else _NAN
    ends, least = student_interval(differences.tolist()), least_p(len(moved))
    return PairedTest(len(shared), middle, p, p, *ends, least, why, _lean(moved))


def _differences(pairs: Sequence[tuple[float, float]]) -> Floats:
    """Differences without the noise of their arithmetic, which would rank what is tied.

    The grain is a power of two, so that sums of these differences are exact as well.
    """
    values = np.array(pairs, np.float64).reshape(-1, 2)
    _, exponent = math.frexp(np.abs(values).max(initial=0.0))
    grain = math.ldexp(1.0, exponent - _DIGITS)
    return np.round((values[:, 0] - values[:, 1]) / grain) * grain


def _lean(moved: Floats) -> int:
    """The sign of W+ - W-: to which side the ranks point."""
    return int(np.sign(stats.rankdata(np.abs(moved)) @ np.sign(moved)))


def _wilcoxon(moved: Floats) -> float:
    tied = len(np.unique(np.abs(moved))) < len(moved)
    if len(moved) <= _ENUMERATED and tied:
        return _enumerated(moved)
    method = "exact" if len(moved) <= _EXACT and not tied else "asymptotic"
    return float(stats.wilcoxon(moved, method=method).pvalue)


def _enumerated(moved: Floats) -> float:
    """Two-sided p over all choices of signs: the exact test also where ranks are tied."""
    ranks = stats.rankdata(np.abs(moved))
    signs = (np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved))) & 1
    sums, middle = signs @ ranks, ranks.sum() / 2
    distance = abs(ranks[moved > 0].sum() - middle)
    return float(np.mean(np.abs(sums - middle) >= distance - 1e-9))


def least_p(pairs: int) -> float:
    """The smallest two-sided p that so many pairs which differ can give; NaN for none."""
    return min(1.0, 2.0 ** (1 - pairs)) if pairs else _NAN


def holm(ps: Sequence[float]) -> list[float]:
    """Adjust p values for their number (S. Holm, Scand. J. Statist. 1979, 6, 65-70); NaN stay."""
    known = sorted((p, place) for place, p in enumerate(ps) if not math.isnan(p))
    adjusted, highest = [_NAN] * len(ps), 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[place] = highest
    return adjusted


def adjusted(tests: Mapping[str, PairedTest]) -> dict[str, PairedTest]:
    """The tests with `p_holm` adjusted for their number, and `least_p` as the least of it."""
    ps = [test.p for test in tests.values()]
    found = {}
    for place, (key, test) in enumerate(tests.items()):
        least = holm([*ps[:place], test.least_p, *ps[place + 1 :]])[place]
        found[key] = replace(test, p_holm=holm(ps)[place], least_p=least)
    return found


def student_interval(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a mean by Student's t; NaN for fewer than two values."""
    if len(values) < 2:
        return _NAN, _NAN
    half = stats.t.ppf(0.975, len(values) - 1) * spread(values) / math.sqrt(len(values))
    mean = float(np.mean(values))
    return mean - float(half), mean + float(half)


def spread(values: Sequence[float]) -> float:
    """Standard deviation; NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else _NAN


def _values(repeat: Repeat, metric: str, view: str, predictor: str) -> list[Row]:
    """Rows of one repetition with the subject as their case and this metric alone."""
    found = repeat.views.get(view)
    rows = [] if found is None else [row for row in found.rows if row["predictor"] == predictor]
    return [
        {"case": row["case"], "predictor": predictor, metric: row[metric]}
        for row in by_subject(rows)
        if isinstance(row.get(metric), float)
    ]


def _mean(rows: Sequence[Row], metric: str) -> float:
    return summarise(rows, by=(), resamples=1).groups[()][metric].mean


def _finite(figures: Mapping[str, float], metric: str) -> bool:
    return math.isfinite(figures.get(metric, _NAN))


def _mean_of(figures: Sequence[Mapping[str, float]], name: str) -> float:
    return float(np.mean([one.get(name, _NAN) for one in figures]))


def _drawn(evidence: Evidence, metric: str, view: str, predictor: str) -> tuple[float, float, int]:
    """Ends of the percentile interval over subjects drawn again, and the number of subjects."""
    draws, subjects = _draws(_Itself(evidence), view, predictor)
    values = draws.get(metric, np.array([]))
    known = values[np.isfinite(values)]
    if not known.size:
        return _NAN, _NAN, subjects
    low, high = np.percentile(known, (2.5, 97.5))
    return float(low), float(high), subjects


class _Itself:
    """Evidence as a key, which equals itself only: what it holds has no hash."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence

    def __hash__(self) -> int:
        return id(self.evidence)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.evidence is self.evidence


@lru_cache(maxsize=64)  # tables and claims ask for many metrics: the same draws give them all
def _draws(of: _Itself, view: str, predictor: str) -> tuple[dict[str, Floats], int]:
    """Each figure over subjects drawn again, a value a draw; and the number of subjects."""
    pool, repeats = of.evidence.pool, of.evidence.repeats
    assert pool is not None
    people = [_by_subject(repeat, view, predictor) for repeat in repeats]
    names = sorted({name for one in people for name in one})
    rng = np.random.default_rng(0)
    draws: list[dict[str, float]] = []
    for _ in range(RESAMPLES if len(names) > 1 else 0):
        drawn = rng.choice(names, len(names))
        pools = [[row for who in drawn for row in one.get(who, ())] for one in people]
        draws.append(_means([pool(rows) for rows in pools if rows]))
    metrics = dict.fromkeys(metric for one in draws for metric in one)
    return {n: np.array([one.get(n, _NAN) for one in draws]) for n in metrics}, len(names)


def _means(figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Each figure over the repetitions; NaN where one has it not."""
    names = dict.fromkeys(name for one in figures for name in one)
    return {name: sum(one.get(name, _NAN) for one in figures) / len(figures) for name in names}


def _by_subject(repeat: Repeat, view: str, predictor: str) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    found = repeat.views.get(view)
    for row in found.rows if found is not None else ():
        if row["predictor"] == predictor:
            groups.setdefault(str(row.get(SUBJECT, row["case"])), []).append(row)
    return groups
