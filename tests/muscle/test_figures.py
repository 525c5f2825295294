"""Figures of an evaluation of the muscle study: which trials, what the charts hold, odd trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import vl_convert

from tests.galleries import spec
from tests.muscle.small import QUANTITIES, case, task
from vitruvian.core.evaluation import Row, merge
from vitruvian.core.gallery import Gallery, read_gallery
from vitruvian.muscle.data.cases import MuscleCase
from vitruvian.muscle.estimator import MuscleEstimator
from vitruvian.muscle.evaluation_figures import chosen_trials
from vitruvian.muscle.metrics import SHUFFLED
from vitruvian.muscle.pooling import pool
from vitruvian.muscle.quantities import ANGLE, EMG
from vitruvian.muscle.readout import Answered
from vitruvian.muscle.trial_charts import SUFFIX, limits
from vitruvian.report.panels import VERMILLION

WORDS = ("angle", "torque", "emg")
TRACES = {"trace_best", "trace_median", "trace_worst"}
ALWAYS = {"regions", "ratio_per_participant", "synchronisation"}
AGREEMENT, DRIFT = {f"agreement_{w}" for w in WORDS}, {f"drift_{w}" for w in WORDS}


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> list[MuscleCase]:
    folder = tmp_path_factory.mktemp("people")
    names = ("P01", "P02", "P03")
    return [
        case(folder, name=f"{who}_passive", participant=who, seed=n)
        for n, who in enumerate(names, start=1)
    ]


def ready(target: str, cases: Sequence[MuscleCase]) -> MuscleEstimator:
    """A task with baselines, fusion and intervals fitted."""
    made = task(target=target)
    for kind in made.kinds:
        made.baselines_of(kind).fit([one.trial() for one in cases])
    made.readout.fit([Answered(one.trial(), answers(made, one)) for one in cases])
    return made


def answers(made: MuscleEstimator, one: MuscleCase) -> Any:
    return made.outputs_of(*one.images(), one.run_length >= made.inputs.context)


def evaluated(made: MuscleEstimator, cases: Sequence[MuscleCase]) -> list[Row]:
    return merge([made.evaluate_case(one, "test") for one in cases])


def drawn(
    folder: Path, made: MuscleEstimator, cases: Sequence[MuscleCase], rows: Sequence[Row]
) -> Gallery:
    made.illustrate(cases, rows, Gallery(folder / "figures", simulated=True))
    return read_gallery(folder / "figures")


@pytest.mark.parametrize(
    ("target", "figures"),
    [
        ("change", ALWAYS | TRACES | AGREEMENT | DRIFT),
        ("centred", ALWAYS | TRACES | AGREEMENT),
        ("absolute", ALWAYS | TRACES | AGREEMENT),
        ("both", ALWAYS | TRACES | AGREEMENT | DRIFT),
    ],
)
def test_what_is_drawn_of_a_target(
    tmp_path: Path, people: list[MuscleCase], target: str, figures: set[str]
) -> None:
    made = ready(target, people)
    gallery = drawn(tmp_path, made, people, evaluated(made, people))
    assert {figure.name for figure in gallery.figures} == figures
    suffix = SUFFIX[made.kinds[-1]]
    panels = spec(gallery, "trace_best")["vconcat"]
    titles = [panel["layer"][-1]["encoding"]["y"]["title"] for panel in panels]
    assert titles == [f"angle{suffix} (deg)", f"torque{suffix} (Nm)", f"EMG{suffix} (µV)"]


Shown = tuple[Gallery, list[Row], MuscleEstimator, list[MuscleCase]]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory, people: list[MuscleCase]) -> Shown:
    made = ready("both", people)
    rows = evaluated(made, people)
    return drawn(tmp_path_factory.mktemp("figures"), made, people, rows), rows, made, people


def test_a_trace_holds_the_fused_prediction_and_its_interval(shown: Shown) -> None:
    gallery, _, made, cases = shown
    (figure,) = [one for one in gallery.figures if one.name == "trace_worst"]
    (one,) = [c for c in cases if c.case in figure.title]
    trial = one.trial()
    fused = made.readout.predicted(answers(made, one), trial.follows)["absolute"]
    panel = spec(gallery, "trace_worst")["vconcat"][2]
    values = panel["data"]["values"]
    found = [[row["measured"], row["model"] or math.nan] for row in values]
    truth = np.stack([trial.values["emg_v"], fused[:, 2]], axis=1) * 1e6  # microvolts
    np.testing.assert_allclose(found, truth, rtol=1e-4)
    assert values[0]["model"] is None  # the first frame has none before it
    half = 1e6 * made.readout.half_widths("absolute")["emg_v"]
    ends = [step["calculate"] for step in panel["layer"][0]["transform"][1:]]
    assert [float(end.split()[-1]) for end in ends] == pytest.approx([half, half], rel=1e-3)


def test_limits_of_agreement_are_those_of_all_frames(shown: Shown) -> None:
    gallery, rows, made, cases = shown
    errors = []
    for one in cases:
        trial = one.trial()
        said = made.readout.predicted(answers(made, one), trial.follows)["absolute"]
        errors.append(said[:, 0] - trial.values["angle_deg"])
    error = np.concatenate(errors)
    bias, reach = np.nanmean(error), 1.96 * np.nanstd(error)
    expected = [bias - reach, bias + reach, bias]
    lines = spec(gallery, "agreement_angle")["layer"][1:]
    assert [line["encoding"]["y"]["datum"] for line in lines] == pytest.approx(expected)
    (whole,) = pool([row for row in rows if row["predictor"] == "model"], by=())
    low, middle, high = limits(whole, ANGLE, "absolute") or (0, 0, 0)
    assert [low, high, middle] == pytest.approx(expected)
    assert limits({}, EMG, "change") is None


def test_drift_ends_where_the_rows_say(shown: Shown) -> None:
    gallery, rows, _, cases = shown
    values = spec(gallery, "drift_torque")["data"]["values"]
    ends = {row["trial"].partition(" ")[0]: abs(row["drift"]) for row in values}  # the last ones
    expected = {
        row["case"]: row["torque_drift_end_nm"] for row in rows if row["predictor"] == "model"
    }
    assert ends == pytest.approx(expected, rel=1e-4)
    assert len(ends) == len(cases)


def test_ratios_are_those_of_the_rows(shown: Shown) -> None:
    gallery, rows, _, _ = shown
    expected = {
        (row["participant"], row["predictor"]): row["angle_ratio"]
        for row in pool(rows, by=("participant",))
    }
    values = spec(gallery, "ratio_per_participant")["vconcat"][0]["data"]["values"]
    found = {(row["participant"], row["predictor"]): row["ratio"] for row in values}
    assert found == {key: expected[key] for key in found}
    assert {who for _, who in found} >= {"model", SHUFFLED, "baseline: ridge on flow"}


def test_residuals_are_those_of_the_clocks(shown: Shown) -> None:
    gallery, _, _, cases = shown
    values = spec(gallery, "synchronisation")["data"]["values"]
    largest = {
        row["recording"]: row["residual_ms"] for row in values if row["residual"] == "largest"
    }
    assert largest == {one.case: one.meta["clock"]["residual_max_ms"] for one in cases}


def test_regions_carry_the_banner_and_charts_compile(shown: Shown) -> None:
    gallery = shown[0]
    for figure in gallery.figures:
        if figure.kind == "picture":
            image = np.asarray(cv2.imread(str(gallery.folder / figure.file)))[:30].astype(int)
            assert (np.abs(image - VERMILLION).max(axis=2) < 12).sum() > 500
        else:
            assert vl_convert.vegalite_to_vega(spec(gallery, figure.name))["marks"]
    assert sum(path.stat().st_size for path in gallery.folder.iterdir()) < 300_000


def test_every_task_is_seen(tmp_path: Path) -> None:
    """Best, median and worst are passive: the isometric one of the others is shown, too."""
    made = task(target="absolute")
    errors = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}
    rows = [
        {"case": name, "task": "isometric" if name == "b" else "passive", "angle_rmse_deg": error}
        for name, error in errors.items()
    ]
    chosen = chosen_trials(made, rows, set(errors))
    assert chosen == {"best": "a", "median": "c", "worst": "e", "typical isometric": "b"}
    assert chosen_trials(made, rows, {"d"}) == {"only": "d"}
    assert chosen_trials(made, [{**rows[0], "angle_rmse_deg": math.nan}], {"a"}) == {}


def odd(
    folder: Path, made: MuscleEstimator, cases: list[MuscleCase]
) -> dict[str, tuple[list[MuscleCase], list[Row], set[str]]]:
    """Name -> cases, rows and the traces that they allow."""
    rows = evaluated(made, cases)
    short = case(folder, name="P09_short", participant="P09", frames=2)
    unclear = replace(
        cases[0], meta={**cases[0].meta, "clock": {"kind": "frames", "rate_hz": None}}
    )
    nan = [{k: v if isinstance(v, str) else math.nan for k, v in row.items()} for row in rows]
    others = [row for row in rows if row["predictor"] != "model"]
    both = {"trace_best", "trace_worst"}
    return {
        "nothing": ([], [], set()),
        "one trial": (cases[:1], rows, {"trace_only"}),
        "no model row": (cases, others, set()),
        "NaN everywhere": (cases, nan, set()),
        "no clock": ([unclear, cases[1]], rows, both),
        "two frames": ([short, cases[1]], evaluated(made, [short, cases[1]]), both),
        "no participant": (cases, [{**r, "participant": ""} for r in rows], both),
    }


def test_odd_evaluations_are_drawn_as_far_as_they_go(
    tmp_path: Path, people: list[MuscleCase]
) -> None:
    made = ready("change", people)
    for name, (cases, rows, traces) in odd(tmp_path, made, people[:2]).items():
        gallery = drawn(tmp_path / name, made, cases, rows)
        found = {figure.name for figure in gallery.figures if figure.name.startswith("trace")}
        assert found == traces, name


def test_without_a_validation_no_interval_is_drawn(
    tmp_path: Path, people: list[MuscleCase]
) -> None:
    cases = people[:1]
    made = task(target="change")
    made.baselines_of("change").fit([one.trial() for one in cases])
    gallery = drawn(tmp_path, made, cases, evaluated(made, cases))
    (figure,) = [one for one in gallery.figures if one.name == "trace_only"]
    assert "Band" not in figure.caption
    marks = [one["mark"]["type"] for one in spec(gallery, "trace_only")["vconcat"][0]["layer"]]
    assert marks == ["line", "line", "point"]
    assert len(QUANTITIES) == len(spec(gallery, "trace_only")["vconcat"])
