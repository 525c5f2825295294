"""The result table, as text and as Markdown."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from vitruvian.core.evaluation import summarise
from vitruvian.report.table import markdown, show, title


def rows(cases, predictors=("empty", "model", "threshold")):
    return [
        {
            "case": f"volume-{c}",
            "predictor": p,
            "dice": 0.0 if p == "empty" else 0.9 + c / 100,
            "assd_mm": math.nan if p == "empty" else 12.0 + c,
            "tp": 123456.0 + c,
        }
        for c in range(cases)
        for p in predictors
    ]


SUMMARY = summarise(rows(3))


def text_of(summary, width=80, terminal=False, **options):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=width, color_system=None)
    show(summary, options.pop("simulated", False), console=console, **options)
    return stream.getvalue()


def test_markdown_by_hand():
    lines = markdown(SUMMARY, simulated=False, metrics=["dice", "assd_mm"]).splitlines()
    assert lines[0] == "**Evaluation on real data, 3 cases**"
    assert lines[2:7] == [
        "| predictor | n | dice | assd_mm |",
        "| --- | ---: | ---: | ---: |",
        "| **model** | 3 | 0.9100 ± 0.0100 [0.9000, 0.9200] | 13.00 ± 1.00 [12.00, 14.00] |",
        "| empty | 3 | 0.0000 ± 0.0000 [0.0000, 0.0000] | NaN |",
        "| threshold | 3 | 0.9100 ± 0.0100 [0.9000, 0.9200] | 13.00 ± 1.00 [12.00, 14.00] |",
    ]
    assert lines[-1] == "NaN, left out of the mean: assd_mm: empty 3 of 3"


def test_model_first_then_baselines_in_order():
    text = text_of(SUMMARY)
    assert text.index("model") < text.index("empty") < text.index("threshold")
    text = text_of(SUMMARY, model="threshold")
    assert text.index("threshold") < text.index("empty") < text.index("model")


@pytest.mark.parametrize("render", [text_of, markdown])
def test_simulated_is_called_simulated(render):
    assert "SIMULATED data, 3 cases" in render(SUMMARY, simulated=True)
    assert "SIMULATED" not in render(SUMMARY, simulated=False)


def test_single_case_has_neither_sd_nor_interval():
    summary = summarise(rows(1))
    assert title(summary, simulated=False) == "Evaluation on real data, 1 case"
    page = markdown(summary, simulated=False, metrics=["dice"])
    assert "| **model** | 1 | 0.9000 n=1 |" in page
    assert "±" not in page
    assert "[" not in page


def test_plain_text_has_no_escapes_and_no_cuts():
    text = text_of(SUMMARY, width=20)
    assert "\x1b" not in text
    assert "…" not in text
    for name in ("dice", "assd_mm", "tp", "0.9100 ± 0.0100", "[12.00, 14.00]", "123457 ± 1"):
        assert name in text


def test_a_terminal_gets_blocks_that_fit():
    text = text_of(SUMMARY, width=50, terminal=True, metrics=["dice", "assd_mm", "tp"])
    rows_of_tables = [line for line in text.splitlines() if "±" in line and "mean" not in line]
    assert len(rows_of_tables) == 8  # three predictors in three blocks, less one NaN
    assert max(map(len, rows_of_tables)) <= 50
    assert "…" not in text


def test_metrics_are_chosen_in_order():
    page = markdown(SUMMARY, simulated=False, metrics=["tp", "dice"])
    assert "| predictor | n | tp | dice |" in page
    assert "assd_mm" not in page


def test_groups_of_several_keys_and_odd_names():
    odd = [row | {"fold": "[red]a|b"} for row in rows(2, ("model",))]
    summary = summarise(odd, by=("predictor", "fold"))
    assert "| **model / [red]a\\|b** | 2 |" in markdown(summary, simulated=False)
    assert "model / [red]a|b" in text_of(summary)


def test_metric_that_a_predictor_lacks():
    summary = summarise([*rows(2, ("model",)), {"case": "x", "predictor": "empty", "rvd": -1.0}])
    page = markdown(summary, simulated=False, metrics=["dice", "rvd"])
    assert "| empty | 1 | - | -1.0000 n=1 |" in page


@pytest.mark.parametrize("render", [text_of, markdown])
def test_unknown_metric(render):
    with pytest.raises(ValueError, match="no metric 'dise'; it has dice, assd_mm, tp"):
        render(SUMMARY, simulated=False, metrics=["dise"])
