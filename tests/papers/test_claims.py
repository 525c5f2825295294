"""The papers as they are kept: everything they name exists, and what they claim can be judged."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.muscle.trials import trial_of
from tests.papers.evidence import repeat, rows
from tests.sweeps.composed import hydra_of
from vitruvian.core.check import check_node
from vitruvian.liver.metrics import evaluate_case, global_dice, stratified_dice
from vitruvian.muscle.metrics import trial_row
from vitruvian.muscle.pooling import best_participant, over_people
from vitruvian.papers.evidence import Evidence
from vitruvian.papers.plan import plan_of
from vitruvian.papers.reading import papers, read_paper
from vitruvian.papers.results import Verdict
from vitruvian.papers.verdicts import judge
from vitruvian.report.audit import audit_lines
from vitruvian.spine.metrics import clip_row, pooled
from vitruvian.sweeps.composing import Composer

KEYS = ("cunningham2017", "singha2021", "wang2024")
ROOT = {"quick": (), "full": ("datamodule.root=/data",)}


def test_there_are_the_three_papers():
    assert papers() == KEYS


def liver():
    mask = np.zeros((6, 8, 8), bool)
    mask[1:5, 2:6, 2:6] = True
    row = evaluate_case(mask, mask, (1.0, 1.0, 1.0), True) | stratified_dice(mask, mask)
    return set(row), {"global_dice": global_dice([row])}


def spine():
    row = clip_row("c", "p", "walk", "model", 0.2, 0.3)
    return set(row), pooled([row])


def muscle():
    values = {name: np.linspace(0, 1, 50) for name in ("angle_deg", "torque_nm", "emg_v")}
    trials = [trial_of(name=who, participant=who, **values) for who in ("A", "B")]
    rows = [
        trial_row(one, "model", {name: one.truth(name, "change") for name in values}, "change")
        for one in trials
    ]
    return set(rows[0]), over_people(rows) | best_participant(rows)


@pytest.mark.parametrize(
    ("key", "measured"), [("wang2024", liver), ("singha2021", spine), ("cunningham2017", muscle)]
)
def test_every_metric_is_one_that_the_evaluation_has(key, measured):
    paper, (of_cases, of_all) = read_paper(key), measured()
    for table in paper.tables:
        assert set(table.metrics) <= of_cases, table.key
        assert set(table.pooled) <= of_all.keys(), table.key
    for claim in paper.claims:
        if claim.kind in ("figure", "order"):
            assert claim.metric in (of_all if claim.pooled else of_cases), claim.key
        if claim.beside:
            assert claim.beside in of_all, claim.key


@pytest.mark.parametrize("key", KEYS)
def test_every_claim_can_be_judged_before_anything_has_run(key):
    paper = read_paper(key)
    for one in judge(paper, True, {}, {}, {}):
        assert one.reason
        assert one.claim.where
    for claim in paper.claims:
        if claim.measure:
            check_node(dict(claim.measure), claim.key)
    named = {run.experiment for preset in paper.presets for run in _runs(paper, preset)}
    assert named == set(paper.experiments)


@pytest.mark.parametrize(
    ("key", "claims", "rows"),
    [
        ("wang2024", {"voe_unet", "voe_vnet", "voe_eas", "voe_formula"}, "Table 1, Ours"),
        ("singha2021", set(), "98.4 %, 29 people validate"),
        ("cunningham2017", set(), ""),
    ],
)
def test_the_audit_finds_what_excludes_itself(key, claims, rows):
    """And nothing that claims depend on in the papers where the numbers are only unlikely."""
    found = [one for one in audit_lines(read_paper(key).audit) if one.impossible]
    assert {claim for one in found for claim in one.claims} == claims
    assert rows in ("", *(one.row for one in found))
    assert all(any(character.isdigit() for character in one.message) for one in found)


LAYERS = ["5.26", "5.13", "3.77"]  # mm: 2 V (1 - D) over the surface of a sphere of V = 1.6 l


def test_distances_are_doubted_and_exclude_no_claim():
    """A typical volume is no printed number: it can make a distance odd, never impossible."""
    found = audit_lines(read_paper("wang2024").audit)
    doubted = [one.message for one in found if not one.impossible and "assd_mm" in one.message]
    assert [mm for mm, told in zip(LAYERS, doubted, strict=True) if f"{mm} mm" in told] == LAYERS


def ratios(model, **others):
    """Evidence of nets and baselines: the error of the change over that of zero change."""
    figures = {"model": model, "baseline: zero change": (1.0, 1.0, 1.0)} | {
        f"baseline: {name}": figure for name, figure in others.items()
    }
    pooled = {
        who: {
            "angle_ratio": mean,
            "angle_ratio_sd": 0.1,
            "angle_ratio_low": low,
            "angle_ratio_high": high,
            "n_participants": 19.0,
        }
        for who, (low, mean, high) in figures.items()
    }
    cases = [row for who in figures for row in rows([0.1] * 19, "error", who)]
    return Evidence("cnn", (repeat(cases, **pooled),), (19, 19), pool=lambda _: {})


UNSEEN = {
    "better than zero change": (ratios((0.2, 0.3, 0.4)), Verdict.REPRODUCED, "keeps within"),
    "perhaps": (ratios((0.8, 0.95, 1.1)), Verdict.NOT_REPRODUCED, "only on average"),
    "worse": (ratios((1.3, 1.5, 1.7)), Verdict.NOT_REPRODUCED, "does not"),
    "and so is what knows the sensor, which is another question": (
        ratios((0.2, 0.3, 0.4), persistence=(0.06, 0.07, 0.08)),
        Verdict.REPRODUCED,
        "keeps within",
    ),
}


@pytest.mark.parametrize(("found", "verdict", "told"), UNSEEN.values(), ids=UNSEEN)
def test_somebody_unseen_is_predicted_or_not(found, verdict, told):
    judged = judge(read_paper("cunningham2017"), False, {"cnn": found}, {}, {})
    (unseen,) = (one for one in judged if one.claim.key == "unseen_angle")
    assert unseen.verdict == verdict, unseen.reason
    assert told in unseen.reason
    assert unseen.baseline is not None
    assert unseen.baseline[0] == "zero change"


OTHER_READINGS = {
    "precision": ("wang2024", "precision_eas", "eas_unet", "precision", 0.9305, "our reading"),
    "a leak": ("singha2021", "accuracy_leaky", "lstm_leaky", "accuracy", 0.984, "clips of one"),
}


@pytest.mark.parametrize(
    ("key", "claim", "experiment", "metric", "value", "told"),
    OTHER_READINGS.values(),
    ids=OTHER_READINGS,
)
def test_another_reading_can_fit_and_never_reproduces(key, claim, experiment, metric, value, told):
    paper = read_paper(key)
    own = rows([value] * 20, metric)
    found = Evidence(experiment, (repeat(own, model={metric: value}),) * 2, (2, 2))
    judged = judge(paper, False, {experiment: found}, {}, {})
    (one,) = (one for one in judged if one.claim.key == claim)
    assert one.ours.mean == pytest.approx(one.claim.value)
    assert one.verdict == Verdict.NOT_COMPARABLE
    assert one.reason.startswith(told)


def _runs(paper, preset):
    return plan_of(paper, preset, ROOT[preset]).runs


def _frozen(key, preset, monkeypatch, tmp_path):
    """The frozen config of one run of each experiment."""
    monkeypatch.chdir(tmp_path)
    plan = plan_of(read_paper(key), preset, ROOT[preset])
    firsts = {run.experiment: run for run in reversed(plan.runs)}
    first = [f"{name}={text}" for name, text in plan.runs[0].point.items()]
    with hydra_of(*plan.shared, *first) as (loader, master):
        composer = Composer(loader, master, plan.shared)
        return {name: composer.freeze(run.point, 0) for name, run in firsts.items()}


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["quick", "full"])
@pytest.mark.parametrize("key", KEYS)
def test_every_run_can_be_composed(key, preset, monkeypatch, tmp_path):
    configs = _frozen(key, preset, monkeypatch, tmp_path)
    distinct = {str(config) for config in configs.values()}
    assert len(distinct) == len(configs)  # no two rows are the same run
    for config in configs.values():
        assert (config["datamodule"]["root"] is None) == (preset == "quick")
        assert config["page"]


@pytest.mark.slow
def test_the_ablation_is_every_combination_of_the_three_parts(monkeypatch, tmp_path):
    configs = _frozen("wang2024", "quick", monkeypatch, tmp_path)
    (ablation,) = (table for table in read_paper("wang2024").tables if table.key == "ablation")
    plain, *nets = [configs[row]["model"]["net"] for row in ablation.rows]
    assert plain["_target_"].endswith("UNet2D")
    parts = {(net["separable"], net["eas"], net["fusion"]) for net in nets}
    assert parts == {*itertools.product([False, True], repeat=3)} - {(False, False, False)}
    rest = [{k: v for k, v in n.items() if k not in ("separable", "eas", "fusion")} for n in nets]
    assert all(one == rest[0] for one in rest)
