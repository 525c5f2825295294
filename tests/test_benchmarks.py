"""The benchmarks run, at a minuscule size; how fast they are is not tested."""

from __future__ import annotations

import math
import time
from pathlib import Path

import numpy as np
import pytest

from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.harness import TINY, Ratio, Row, side_by_side, table
from tests.benchmarks.muscle_data import configuration, stored_cases
from tests.benchmarks.muscle_loader import OpenedPairs, ReopenedPairs
from vitruvian.muscle.data.inputs import FrameInput
from vitruvian.muscle.data.samples import FrameSamples


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Simulated scans are written once for all."""
    return tmp_path_factory.mktemp("benchmarks")


MARKS = {
    "startup": [pytest.mark.slow],
    "sweep_scale": [pytest.mark.slow],
    "sweep_speed": [pytest.mark.slow],
    "pose": [pytest.mark.slow, pytest.mark.real_data],
}


@pytest.mark.parametrize("name", [pytest.param(n, marks=MARKS.get(n, [])) for n in BENCHMARKS])
def test_ratios_are_finite_and_positive(
    name: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    if name == "pose":
        request.getfixturevalue("real_data")
        request.getfixturevalue("pose_models")
    rows = list(BENCHMARKS[name](TINY, folder))
    assert rows
    for row in rows:
        assert row.what.startswith(f"{name}: ")
        assert all(math.isfinite(ratio) and ratio > 0 for ratio in row.ratio.pairs)


@pytest.mark.parametrize("kind", [ReopenedPairs, OpenedPairs])
def test_both_sides_of_the_muscle_loader_deliver_the_same_pairs(
    kind: type[ReopenedPairs], folder: Path
) -> None:
    cases = stored_cases(TINY, folder, configuration("muscle_cnn"))
    ours, theirs = FrameSamples(cases, FrameInput("pair"), "change"), kind(cases)
    assert len(ours) == len(theirs) > len(cases)
    for item in (0, len(ours) // 2, len(ours) - 1):
        batch, pair = ours.__getitems__(np.array([[0, 0, item]])), theirs[item]
        for name in ("images", "bounds", "target"):
            np.testing.assert_array_equal(batch[name][0], pair[name])


def test_both_sides_are_timed_in_turns() -> None:
    calls: list[str] = []

    def work(name: str, units: int) -> int:
        calls.append(name)
        time.sleep(0.001)
        return units

    ratio = side_by_side(lambda: work("a", 1000), lambda: work("b", 1), 4)
    assert calls == ["a", "b", "a", "b", "b", "a", "a", "b", "b", "a"]
    assert len(ratio.pairs) == 4
    assert ratio.range[0] > 1, "seconds are counted per unit of work"


@pytest.mark.parametrize(
    ("unit", "cells"),
    [
        ("slices/s", ("x", "400 slices/s", "100 slices/s", "**4.00** (2.00 to 10)")),
        ("ms", ("x", "2.50 ms", "10 ms", "**4.00** (2.00 to 10)")),
    ],
)
def test_a_row_shows_medians_and_the_range(unit: str, cells: tuple[str, ...]) -> None:
    ratio = Ratio((0.005, 0.0025, 0.001), (0.01, 0.01, 0.01))
    assert Row("x", ratio, unit).cells() == cells


def test_the_columns_of_the_table_are_aligned() -> None:
    rows = [
        Row("short", Ratio((1.0,), (2.0,)), "s"),
        Row("a long one", Ratio((9.0,), (1.0,)), "ms"),
    ]
    head, rule, *lines = table(rows).splitlines()
    assert len(lines) == 2
    assert {len(line) for line in (rule, *lines)} == {len(head)}
    assert [part[-1] for part in rule.strip("|").split("|")] == ["-", ":", ":", ":"]
