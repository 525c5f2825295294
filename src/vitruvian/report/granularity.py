"""Mean, SD and interval of scores: can whole scores of so many people give them?

- GRIM: n scores that are multiples of a step have a sum that is one, so that the mean is a multiple
  of step / n (Brown and Heathers 2017, doi.org/10.1177/1948550616673876).
- GRIMMER: the squares of whole numbers add up to a whole number, which is even or odd as their sum
  is; this leaves few SDs for a mean (Anaya 2016, doi.org/10.7287/peerj.preprints.2400). They add up
  to least where all numbers are the two next to the mean.
- Bhatia and Davis 2000: in a range, the variance is at most (max - mean)(mean - min), times
  n / (n - 1) for the SD of a sample.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

from vitruvian.report.printed import Printed
from vitruvian.report.rules import SLACK, Line, Remark

_LIKELY = (0.75, 1.3)  # width of an interval by what is expected: bootstraps differ that much
_NORMAL = 1.96
_MOST = 20_000  # sums looked through for one that allows the SD


def judged(line: Line, counts: Mapping[str, int]) -> Iterator[Remark]:
    """Say what is wrong with the mean, its spread and its interval.

    Args:
        line: of the numbers mean, sd, se, min, max, step, ci_low, ci_high those that are printed.
        counts: n, the number of scores, and items, the questions whose mean a score is.
    """
    exact = {name: number for name, number in line.items() if number.bound == "="}
    n = counts.get("n")
    yield from _mean_in_range(exact)
    yield from _spread_in_range(exact, n)
    if n is not None and {"mean", "step"} <= exact.keys():
        step = exact["step"].exact / counts.get("items", 1)
        yield from _whole_scores(exact, n, step)
    yield from _interval(exact, n)


# -- the range ------------------------------------------------------------------------------------


def _mean_in_range(line: Line) -> Iterator[Remark]:
    for end, sign in (("min", -1), ("max", 1)):
        if {"mean", end} <= line.keys():
            mean, limit = line["mean"], line[end]
            beyond = sign * (mean.exact - limit.exact) - mean.half - limit.half
            if beyond > 0:
                what = "below the lowest" if end == "min" else "above the highest"
                yield Remark(f"mean {mean} is impossible: it is {what} score, {limit}")


def _spread_in_range(line: Line, n: int | None) -> Iterator[Remark]:
    if not {"sd", "min", "max"} <= line.keys() or n == 1:
        return
    low, high = line["min"].ends[0], line["max"].ends[1]
    middle = (low + high) / 2
    ends = line["mean"].ends if "mean" in line else (low, high)
    mean = min(max(middle, ends[0]), ends[1])  # of the possible ones that with the widest spread
    sample = 2.0 if n is None else n / (n - 1)
    widest = math.sqrt(max(0.0, (high - mean) * (mean - low)) * sample)
    if line["sd"].ends[0] > widest + SLACK:
        said = f" with mean {line['mean']}" if "mean" in line else ""
        number = "" if n is None else f" (n = {n})"
        yield Remark(
            f"sd {line['sd']} is impossible between {line['min']} and {line['max']}{said}: even "
            f"scores at the two ends alone reach only {widest:.{line['sd'].places + 1}f}{number}"
        )


# -- whole scores ---------------------------------------------------------------------------------


def _whole_scores(line: Line, n: int, step: Fraction) -> Iterator[Remark]:
    """GRIM, and GRIMMER where the mean is possible."""
    start = line["min"].exact if "min" in line else Fraction(0)
    mean = line["mean"]
    sums = _sums(mean.exact - mean.half, mean.exact + mean.half, n, step, start)
    if not sums:
        yield _no_sum(mean, n, step, start)
    elif "sd" in line and n > 1 and sums.stop - sums.start <= _MOST:
        yield from _squares(line["sd"], mean, sums, n, step)


def _squares(sd: Printed, mean: Printed, sums: range, n: int, step: Fraction) -> Iterator[Remark]:
    """GRIMMER."""
    if any(_spreads(sd, total, n, step) for total in sums):
        return
    least = math.sqrt(min(_least_squares(total, n) - Fraction(total**2, n) for total in sums) / n)
    least *= float(step)  # of the population, the smaller of the two kinds
    near = f"even scores next to the mean alone have {least:.{sd.places + 1}f} or more"
    why = near if sd.ends[1] < least else "no sum of their squares gives it"
    yield Remark(
        f"sd {sd} is impossible with mean {mean} of {n} scores in steps of {_plain(step)}: {why}"
    )


def _sums(low: Fraction, high: Fraction, n: int, step: Fraction, start: Fraction) -> range:
    """Sums of n scores, in steps above the start, whose mean lies in between."""
    least = math.ceil((low - start) * n / step)
    most = math.floor((high - start) * n / step)
    return range(least, most + 1)


def _no_sum(mean: Printed, n: int, step: Fraction, start: Fraction) -> Remark:
    below = math.floor((mean.exact - start) * n / step)
    near = [(start * n + k * step, (start * n + k * step) / n) for k in (below, below + 1)]
    listed = " and ".join(f"{_plain(s)}/{n} = {float(m):.{mean.places + 2}f}" for s, m in near)
    cut = near[1][1] < mean.exact + 2 * mean.half
    how = "implausible" if cut else "impossible"
    unless = ", unless its digits were cut" if cut else ""
    return Remark(
        f"mean {mean} of {n} scores in steps of {_plain(step)} is {how}{unless}: "
        f"the nearest are {listed}",
        impossible=not cut,
    )


def _spreads(sd: Printed, total: int, n: int, step: Fraction) -> bool:
    """Whether whole numbers of this sum have that SD, of the sample or of the population."""
    low, high = max(Fraction(0), sd.exact - sd.half) / step, (sd.exact + sd.half) / step
    for divisor in (n - 1, n):
        base = Fraction(total * total, n)
        least = max(math.ceil(low * low * divisor + base), _least_squares(total, n))
        most = math.floor(high * high * divisor + base)
        if most - least >= 1 or (least == most and (least - total) % 2 == 0):
            return True
    return False


def _least_squares(total: int, n: int) -> int:
    """Of n whole numbers of this sum: those of the two numbers next to their mean."""
    below, above = divmod(total, n)
    return (n - above) * below**2 + above * (below + 1) ** 2


def _plain(number: Fraction) -> str:
    return f"{float(number):g}"


# -- the interval ---------------------------------------------------------------------------------


def _interval(line: Line, n: int | None) -> Iterator[Remark]:
    """What is unlike the interval or the standard error of a mean; it may be another's."""
    if {"se", "sd"} <= line.keys() and n is not None:
        yield from _standard_error(line["se"], line["sd"], n)
    if {"ci_low", "ci_high"} <= line.keys():
        yield from _interval_of_mean(line, n)


def _standard_error(se: Printed, sd: Printed, n: int) -> Iterator[Remark]:
    """Each of the two may be the sample's or the population's: defaults of programs differ."""
    least = sd.ends[0] * math.sqrt(n - 1) / n
    most = sd.ends[1] / math.sqrt(max(1, n - 1))
    if _apart(se.ends, (least, most)):
        value = sd.value / math.sqrt(n)
        yield Remark(
            f"se {se} is implausible: sd {sd} of n = {n} gives "
            f"{sd.value:g}/sqrt({n}) = {value:.{se.places + 1}f}",
            impossible=False,
        )


def _interval_of_mean(line: Line, n: int | None) -> Iterator[Remark]:
    low, high = line["ci_low"], line["ci_high"]
    if low.ends[0] > high.ends[1]:
        yield Remark(
            f"the interval {low} to {high} is impossible: its ends stand the wrong way round"
        )
    elif "mean" in line and _apart(line["mean"].ends, (low.ends[0], high.ends[1])):
        text = f"mean {line['mean']} is implausible outside its own interval, {low} to {high}"
        yield Remark(text, impossible=False)
    elif "sd" in line and n is not None and n > 1:
        yield from _width(line, n)


def _width(line: Line, n: int) -> Iterator[Remark]:
    from scipy.special import stdtrit

    low, high, sd = line["ci_low"], line["ci_high"], line["sd"]
    half = (high.value - low.value) / 2
    rounding = float(low.half + high.half) / 2
    factor = float(stdtrit(n - 1, 0.975)) / math.sqrt(n)
    expected = sd.value * factor
    few = sd.ends[0] * _NORMAL * math.sqrt(n - 1) / n * _LIKELY[0]  # a bootstrap's, of few scores
    many = sd.ends[1] * factor * _LIKELY[1]
    if _apart((half - rounding, half + rounding), (few, many)):
        reach = {"one SD": sd.value, "one standard error": sd.value / math.sqrt(n)}
        alike = [what for what, size in reach.items() if abs(half - size) <= rounding + 0.02 * size]
        hint = f"; it reaches {alike[0]} to either side" if alike else ""
        yield Remark(
            f"the interval {low} to {high} is implausible as a 95 % interval of the mean: "
            f"sd {sd} of n = {n} gives the mean ± {expected:.{low.places + 1}f}, "
            f"not ± {half:.{low.places + 1}f}{hint}",
            impossible=False,
        )


def _apart(first: tuple[float, float], second: tuple[float, float]) -> bool:
    return first[1] < second[0] - SLACK or first[0] > second[1] + SLACK
