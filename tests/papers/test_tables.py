"""Tables of a reproduction from evidence made by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tests.papers.evidence import cost, evidence, figure, paper, repeat, rows
from vitruvian.papers.evidence import Evidence
from vitruvian.papers.paper import Table
from vitruvian.papers.tables import result_tables

TABLE = Table("one", "Table 1", ("old", "new"), ("dice",), reference="old", costs=True)
OLD, NEW = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6], [0.2, 0.4, 0.6, 0.5, 0.9, 0.8]


def with_baselines(values, simulated=False):
    own = rows(values) + rows([0.0] * 6, predictor="baseline: empty mask")
    own += rows([0.1] * 6, predictor="control: shuffled")
    return Evidence("", (repeat(own, simulated=simulated),), (1, 1))


def made(found, preset="quick", table=TABLE, claims=()):
    (result,) = result_tables(paper(*claims, tables=[table]), preset, found)
    return result


def test_rows_in_order_then_each_baseline_once():
    result = made({"old": with_baselines(OLD), "new": with_baselines(NEW)})
    assert [(line.label, line.baseline) for line in result.lines] == [
        ("the old net", False),
        ("the new net", False),
        ("empty mask", True),
        ("control: shuffled", True),
    ]
    assert [line.figures["dice"].mean for line in result.lines] == pytest.approx(
        [0.35, 17 / 30, 0.0, 0.1]
    )


def test_the_printed_number_stands_in_our_unit():
    claims = (
        figure(92.2),
        figure(80.0),  # the same figure again
        figure(7.0, metric="voe"),
        figure(50.0, experiment="old", predictor="baseline: empty mask"),
        figure(40.0, experiment="old", bound=">="),
        figure(50.0, experiment="old"),
    )
    result = made({}, claims=claims)
    assert [line.printed for line in result.lines] == [{"dice": 0.5}, {"dice": 0.922}]


def test_rows_are_tested_against_the_reference_and_adjusted_together():
    table = replace(TABLE, rows=("old", "new", "late"))
    found = {"old": evidence(OLD), "new": evidence(NEW), "late": evidence(NEW[::-1])}
    old, new, late = made(found, "full", table).lines
    assert old.tests == {}
    assert new.tests["dice"].p == pytest.approx(0.03125)
    assert new.tests["dice"].p_holm == pytest.approx(0.0625)  # two rows
    assert late.tests["dice"].p_holm == pytest.approx(late.tests["dice"].p)  # the larger of two


def test_a_row_that_a_preset_does_not_run_is_left_out():
    table = replace(TABLE, rows=("old", "late"))
    assert [line.experiment for line in made({}, "quick", table).lines] == ["old"]
    assert [line.experiment for line in made({}, "full", table).lines] == ["old", "late"]
    assert result_tables(paper(tables=[replace(TABLE, rows=("late",))]), "quick", {}) == ()


def test_before_any_run_there_are_rows_and_a_word_about_it():
    result = made({"new": Evidence("new", (), (0, 2))})
    assert [(line.figures, line.runs) for line in result.lines] == [({}, (0, 0)), ({}, (0, 2))]
    assert "No run is complete yet." in result.notes


def test_costs_are_shown_only_where_they_are_asked_for():
    (_, new) = made({"new": cost(7)}).lines
    assert new.cost is not None
    assert new.cost.parameters == 7
    assert made({"new": cost(7)}, table=replace(TABLE, costs=False)).lines[1].cost is None


def test_notes_say_unit_number_and_what_p_can_be():
    notes = " ".join(made({"old": evidence(OLD[:4]), "new": evidence(NEW[:4], NEW[:4])}).notes)
    assert "over 4 cases" in notes
    assert "with 4 pairs p cannot be below 0.12" in notes
    assert "imulated" not in notes


@pytest.mark.parametrize("which", ["old", "new"])
def test_simulated_is_called_simulated(which):
    found = {"old": evidence(OLD), "new": evidence(NEW)}
    result = made(found | {which: evidence(OLD, simulated=True)})
    assert "(simulated)" in result.title
    assert "SIMULATED" in result.notes[0]


def test_missing_runs_are_named():
    found = {"old": evidence(OLD), "new": evidence(NEW, runs=(1, 3))}
    assert "Runs are missing of: the new net." in made(found).notes


def test_pooled_figures_have_a_column_of_their_own():
    repeats = (repeat(rows(OLD), model={"auc": 0.8}), repeat(rows(OLD), model={"auc": 0.6}))
    table = replace(TABLE, pooled=("auc",))
    result = made({"old": Evidence("", repeats, (2, 2))}, table=table)
    assert result.metrics == ("dice", "auc")
    assert result.lines[0].figures["auc"].mean == pytest.approx(0.7)
    assert math.isnan(result.lines[0].figures["auc"].sd)


def test_rows_that_flatter_are_named():
    found = {"old": with_baselines(OLD), "new": replace(with_baselines(NEW), unfit="it saw them")}
    assert "the new net: it saw them." in made(found).notes
    assert not any("saw them" in note for note in made({"old": with_baselines(OLD)}).notes)
