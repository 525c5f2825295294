"""What becomes of each claim of a paper, and why, in one sentence.

Neither simulated data reproduce a claim about people, nor runs that depart from the paper's recipe
or judge people whom the net has seen: their verdict is "not comparable", and the reason says what
they show. The same holds of so little data that almost any printed number would agree with them.
Costs and times are claims about nets, which need no data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vitruvian.papers.evidence import Evidence
from vitruvian.papers.figures import Figures, figures_of, number, text
from vitruvian.papers.measured import Measurement, measurements
from vitruvian.papers.paper import Claim, Paper
from vitruvian.papers.results import Estimate, Judged, PairedTest, Verdict
from vitruvian.papers.statistics import adjusted, paired, subject_means
from vitruvian.papers.tables import is_simulated
from vitruvian.report.quantity import versus

LEVEL = 0.05
_WIDEST = 0.1  # half an interval over the printed number: with more, far other ones lie in it, too
_FEWEST = 6  # subjects: with five no rank test reaches LEVEL either
_NOBODY = "no run of it is complete"

Tests = Mapping[str, PairedTest]


@dataclass(frozen=True)
class _Case:
    """What a claim is judged by."""

    claim: Claim
    reservations: tuple[str, ...]  # why what was run cannot speak of the paper's claim
    figures: Figures
    test: PairedTest | None
    measured: Measurement | None
    runs: str  # in words, where some are missing
    complete: bool  # whether every experiment that it needs has complete runs


def judge(
    paper: Paper,
    simulated: bool,
    evidence: Mapping[str, Evidence],
    impossible: Mapping[str, str],
    measured: Mapping[str, Measurement] | None = None,
    departures: Sequence[str] = (),
) -> tuple[Judged, ...]:
    """Judge every claim of a paper, in order.

    Args:
        paper: with its claims.
        simulated: whether any of the data are.
        evidence: by experiment.
        impossible: by claim, the arithmetic that excludes its printed number.
        measured: what `papers.measured.measurements` found; None: it is measured now.
        departures: what makes the runs another recipe than the paper's, such as
            `trainer.max_epochs=1`.
    """
    known = measurements(paper) if measured is None else measured
    tests = order_tests(paper, evidence)
    found = []
    for claim in paper.claims:
        own = evidence.get(claim.experiment)
        behind = _behind(claim, evidence)
        case = _Case(
            claim,
            _reservations(behind, simulated or any(map(is_simulated, behind)), departures),
            _figures(claim, own, evidence.get(claim.rival), known.get(claim.key)),
            tests.get(claim.key),
            known.get(claim.key),
            _runs(claim, evidence),
            _complete(claim, evidence),
        )
        verdict, reason = _judged(case, paper, impossible.get(claim.key))
        shown = case.figures
        found.append(Judged(claim, verdict, reason, shown.ours, shown.rival, shown.baseline))
    return tuple(found)


def _figures(
    claim: Claim, own: Evidence | None, rival: Evidence | None, measured: Measurement | None
) -> Figures:
    if measured is not None and measured.value is not None:
        return Figures(ours=number(measured.value))
    return figures_of(claim, own, rival)


def order_tests(paper: Paper, evidence: Mapping[str, Evidence]) -> dict[str, PairedTest]:
    """Tests of the claims that something is better, adjusted by Holm over all of the paper's."""
    found = {}
    for claim in paper.claims:
        own, rival = evidence.get(claim.experiment), evidence.get(claim.rival)
        if claim.kind == "order" and own and rival and own.repeats and rival.repeats:
            theirs = subject_means(rival.repeats, claim.metric)
            found[claim.key] = paired(subject_means(own.repeats, claim.metric), theirs)
    return adjusted(found)


def _reservations(
    behind: Sequence[Evidence], simulated: bool, departures: Sequence[str]
) -> tuple[str, ...]:
    """Why figures cannot speak of the paper's claim, whatever they are; the weightiest first."""
    found = ["simulated"] if simulated else []
    if departures:
        found.append(f"not the paper's recipe ({'; '.join(departures)})")
    return (*found, *dict.fromkeys(one.unfit for one in behind if one.unfit))


def _judged(case: _Case, paper: Paper, excluded: str | None) -> tuple[Verdict, str]:
    claim = case.claim
    if excluded is not None:
        return Verdict.IMPOSSIBLE, f"{excluded}{_ours_too(case)}"
    if claim.kind == "untested":
        return Verdict.NOT_COMPARABLE, claim.why
    if claim.kind == "measured":
        return _measured(case)
    if case.figures.ours is None or (claim.rival and case.figures.rival is None):
        return Verdict.PENDING, _nobody(case, paper)
    if claim.kind == "cost":
        return _cost(claim, case.figures)
    verdict, shown = _order(case) if claim.kind == "order" else _figure(claim, case.figures)
    shown += case.runs
    if case.reservations:
        besides = "" if claim.comparable else _why(claim, "; besides, ")
        return Verdict.NOT_COMPARABLE, f"{'; '.join(case.reservations)}: {shown}{besides}"
    if not claim.comparable:
        return Verdict.NOT_COMPARABLE, f"{claim.why}; {shown}"
    shown += _why(claim, "; ")
    if case.runs:  # what is complete first may be the easiest
        return Verdict.PENDING, f"so far: {shown}"
    return verdict, shown


def _nobody(case: _Case, paper: Paper) -> str:
    """Why there is no figure: which preset would give it, where not every one does."""
    claim = case.claim
    if case.complete:
        return f"its runs are complete, and have no finite {claim.metric}"
    for key in (claim.experiment, claim.rival):
        if key and (only := paper.experiments[key].only):
            return f"{_NOBODY}; preset={' or preset='.join(only)} has them"
    return f"{_NOBODY} yet"


def _why(claim: Claim, before: str) -> str:
    """How the claim is tested, or what would count on real data, too."""
    return f"{before}{claim.why}" if claim.why else ""


def _behind(claim: Claim, evidence: Mapping[str, Evidence]) -> list[Evidence]:
    return [evidence[key] for key in (claim.experiment, claim.rival) if key in evidence]


def _complete(claim: Claim, evidence: Mapping[str, Evidence]) -> bool:
    """Whether everything that the claim needs has complete runs."""
    needed = {claim.experiment, claim.rival or claim.experiment}
    return all(key in evidence and bool(evidence[key].repeats) for key in needed)


def _runs(claim: Claim, evidence: Mapping[str, Evidence]) -> str:
    """How many runs there are, where some are missing."""
    incomplete = [one.runs for one in _behind(claim, evidence) if one.runs[0] < one.runs[1]]
    done, asked = (sum(counts) for counts in zip((0, 0), *incomplete, strict=True))
    return f" (of {asked} runs {done} so far)" if incomplete else ""


def _ours_too(case: _Case) -> str:
    if case.figures.ours is None:
        return ""
    kind = ", ".join([*case.reservations, "ours"])
    return f"; {kind} {text(case.figures.ours, case.claim)}"


# -- one number -----------------------------------------------------------------------------------


def _figure(claim: Claim, figures: Figures) -> tuple[Verdict, str]:
    """Whether the printed number holds, and what is to be said of it."""
    assert figures.ours is not None
    ours = text(figures.ours, claim)
    beneath = _baseline(claim, figures)
    if claim.value is None:
        told = f"ours {ours}, nothing printed to hold it against{beneath}"
        return Verdict.NOT_COMPARABLE, told
    verdict, told = _held(claim, claim.value, figures.ours)
    told = f"{told}{_everyone(figures, claim)}{beneath}"
    if verdict is Verdict.REPRODUCED and beneath:  # what costs nothing passes, too
        return Verdict.NOT_COMPARABLE, told
    return verdict, told


def _held(claim: Claim, value: float, ours: Estimate) -> tuple[Verdict, str]:
    """Whether our interval speaks for the printed number or limit."""
    printed, shown = f"{value:g}{_unit(claim)}", text(ours, claim)
    if math.isnan(ours.ci_low + ours.ci_high):
        alone = f"ours {shown} is one value without an interval"
        return Verdict.NOT_COMPARABLE, f"{alone}, too little to hold the printed {printed} against"
    if claim.bound != "=":
        return _limited(claim, value, ours)
    if ours.ci_low <= value <= ours.ci_high:
        doubt = _few(claim, ours) or _wide(value, ours)
        told = f"the printed {printed} lies in our interval, {shown}{doubt}"
        return Verdict.NOT_COMPARABLE if doubt else Verdict.REPRODUCED, told
    if _better(claim, ours.mean, value):
        told = (
            f"ours {shown} is better than the printed {printed}, which lies outside of our interval"
        )
    else:
        told = f"ours {shown} does not reach the printed {printed}"
    return Verdict.NOT_REPRODUCED, told


def _limited(claim: Claim, value: float, ours: Estimate) -> tuple[Verdict, str]:
    """A limit holds if all of our interval keeps to it."""
    limit, shown = f"{value:g}{_unit(claim)}", text(ours, claim)
    if all(_better(claim, end, value) for end in (ours.ci_low, ours.ci_high)):
        doubt = _few(claim, ours)
        told = f"ours {shown} keeps within the limit of {limit}{doubt}"
        return Verdict.NOT_COMPARABLE if doubt else Verdict.REPRODUCED, told
    better = _better(claim, ours.mean, value)
    which = "keeps within it only on average" if better else "does not keep to it"
    return Verdict.NOT_REPRODUCED, f"the limit is {limit}, ours {shown} {which}"


def _few(claim: Claim, ours: Estimate) -> str:
    """Too few subjects to tell; of the best one `n` counts repetitions."""
    return f", of {ours.n} subjects only" if ours.n < _FEWEST and not claim.best else ""


def _wide(value: float, ours: Estimate) -> str:
    """An interval so wide that much is possible: the less data, the wider it is."""
    narrow = (ours.ci_high - ours.ci_low) / 2 <= _WIDEST * abs(value)
    return "" if narrow else ", which is too wide to tell"


def _better(claim: Claim, ours: float, theirs: float) -> bool:
    higher = {"=": claim.higher_is_better, "<=": False, ">=": True}[claim.bound]
    return ours >= theirs if higher else ours <= theirs


def _everyone(figures: Figures, claim: Claim) -> str:
    """Mean and SD over all participants, beside the best one."""
    every = figures.everyone
    if not claim.best or every is None:
        return ""
    sd = "" if math.isnan(every.sd) else f" ± {every.sd:.3g}"
    return f" (best participant; over all {every.mean:.3g}{sd}{_unit(claim)})"


def _baseline(claim: Claim, figures: Figures) -> str:
    """The best trivial baseline, if it is as good."""
    if figures.baseline is None or figures.ours is None or claim.predictor != "model":
        return ""
    name, found = figures.baseline
    if not _as_good(claim, found.mean, figures.ours.mean):
        return ""
    says = "does as well" if found.mean == figures.ours.mean else "does better"
    return f"; {name} {says}, {found.mean:.3g}{_unit(claim)}"


def _as_good(claim: Claim, theirs: float, ours: float) -> bool:
    return theirs >= ours if claim.higher_is_better else theirs <= ours


def _unit(claim: Claim) -> str:
    return f" {claim.unit}" if claim.unit else ""


# -- one against another --------------------------------------------------------------------------


def _order(case: _Case) -> tuple[Verdict, str]:
    """Whether the experiment is better than its rival, and by how much."""
    claim, test = case.claim, case.test
    ours, rival = case.figures.ours, case.figures.rival
    assert ours is not None
    assert rival is not None
    assert test is not None
    figures = f"{ours.mean:.3g} v {rival.mean:.3g}{_unit(claim)}, {_p(test)}"
    if not test.n:
        return Verdict.NOT_COMPARABLE, f"the order cannot be told, {figures}"
    mean, certain = _mean_difference(test), test.p_holm < LEVEL
    if certain and mean * test.lean < 0:
        told = f"mean and ranks point in opposite directions, {figures}"
        return Verdict.NOT_COMPARABLE, told
    if not (mean > 0 if claim.higher_is_better else mean < 0):
        return Verdict.NOT_REPRODUCED, f"the order does not hold, {figures}"
    reached, size = _size(claim, test)
    if certain:
        verdict = Verdict.REPRODUCED if reached else Verdict.NOT_REPRODUCED
        return verdict, f"the order holds, {figures}{size}"
    undecided = f"the order is as printed, but may be chance, {figures}"
    if test.least_p > LEVEL:
        few = f"so few pairs give no p below {test.least_p:.2g}"
        return Verdict.NOT_COMPARABLE, f"{undecided}; {few}{size}"
    return Verdict.NOT_REPRODUCED, f"{undecided}{size}"


def _mean_difference(test: PairedTest) -> float:
    """Over the subjects that both have: others may be easier."""
    middle = (test.ci_low + test.ci_high) / 2  # Student's interval is symmetric about the mean
    return test.difference if math.isnan(middle) else middle


def _size(claim: Claim, test: PairedTest) -> tuple[bool, str]:
    """Whether the difference may be as large as it is printed."""
    if claim.value is None:
        return True, ""
    sign = 1 if claim.higher_is_better else -1
    low, high = sorted((sign * test.ci_low * claim.factor, sign * test.ci_high * claim.factor))
    reached = (
        math.isfinite(high) and low <= (claim.value_high or claim.value) and high >= claim.value
    )
    printed = f"{claim.value:g}" + (f" to {claim.value_high:g}" if claim.value_high else "")
    says = "reaches" if reached else "does not reach"
    return reached, f"; the gain [{low:.3g}, {high:.3g}]{_unit(claim)} {says} the printed {printed}"


def _p(test: PairedTest) -> str:
    if test.why:
        return test.why
    adjusted = "p" if test.p == test.p_holm else "Holm's p"
    return f"{adjusted} {test.p_holm:.2g} over {test.n} pairs"


# -- nets, whatever the data ----------------------------------------------------------------------


def _cost(claim: Claim, figures: Figures) -> tuple[Verdict, str]:
    assert figures.ours is not None
    assert figures.rival is not None
    ours, rival = figures.ours.mean, figures.rival.mean
    if math.isnan(ours) or math.isnan(rival):
        return Verdict.PENDING, "it has not been measured yet"
    verdict = Verdict.REPRODUCED if ours < rival else Verdict.NOT_REPRODUCED
    share = f", {ours / rival:.2f} of it" if rival else ""
    if not claim.comparable:
        return Verdict.NOT_COMPARABLE, f"{claim.why}; {versus(ours, rival, claim.unit)}{share}"
    return verdict, f"{versus(ours, rival, claim.unit)}{share}"


def _measured(case: _Case) -> tuple[Verdict, str]:
    claim, found = case.claim, case.measured
    if found is None or found.value is None:
        return Verdict.PENDING, found.about if found else "it has not been measured yet"
    ours = f"{found.value:.3g}{_unit(claim)}, {found.about}"
    if not claim.comparable:
        return Verdict.NOT_COMPARABLE, f"{claim.why}; measured {ours}"
    if claim.value is None:
        return Verdict.NOT_COMPARABLE, f"measured {ours}; nothing printed to hold it against"
    holds = _better(claim, found.value, claim.value)
    words = ("reaches", "stays below") if claim.bound == ">=" else ("is within", "is beyond")
    told = words[0] if holds else words[1]
    verdict = Verdict.REPRODUCED if holds else Verdict.NOT_REPRODUCED
    told = f"measured {ours}; that {told} the printed {claim.value:g}{_unit(claim)}"
    return verdict, f"{told}{_why(claim, '; ')}"
