"""Rows of an evaluation: merged, summarised, written and read back."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest

from vitruvian.core.errors import DataError
from vitruvian.core.evaluation import Statistic, merge, read, summarise, write

NAN = math.nan


def row(case, predictor="model", **metrics):
    return {"case": case, "predictor": predictor, **metrics}


def rows_of(values, predictor="model", metric="dice"):
    return [row(f"c{i}", predictor, **{metric: value}) for i, value in enumerate(values)]


def statistic(rows, metric="dice", group=("model",), **options):
    return summarise(rows, **options).groups[group][metric]


def same(left, right):
    """Equality in which NaN equals NaN, and floats are equal to the last bit."""
    return repr(left) == repr(right)


def test_merge_drops_padding_and_sorts_naturally():
    ranks = [
        [row("volume-10", dice=0.5), row("volume-2", dice=0.7)],
        [row("volume-2", "empty", dice=0.0), row("volume-2", dice=0.6)],
    ]
    merged = merge(ranks)
    assert [(r["case"], r["predictor"], r["dice"]) for r in merged] == [
        ("volume-2", "empty", 0.0),
        ("volume-2", "model", 0.7),  # the first rank's
        ("volume-10", "model", 0.5),
    ]


def test_merge_tells_rows_apart_by_every_string():
    rows = [row("a", fold="0", dice=0.1), row("a", fold="1", dice=0.2)]
    assert merge([rows, rows]) == rows


def test_merge_does_not_depend_on_the_ranks():
    rows = [row(f"volume-{i}", p, dice=i / 7) for i in range(9) for p in ("model", "empty")]
    assert merge([rows[::2], rows[1::2]]) == merge([rows[5:], rows[:5]]) == merge([rows])


def test_merge_makes_plain_floats():
    (merged,) = merge([[row("a", dice=np.float32(0.5), n=np.int64(3), ok=True)]])
    assert all(type(merged[key]) is float for key in ("dice", "n", "ok"))


STATISTICS = {
    # values: n, n_nan, mean, sd, median
    (0.2, 0.4, 0.9): (3, 0, 0.5, math.sqrt(0.13), 0.4),
    (0.2, NAN, 0.4): (2, 1, 0.3, math.sqrt(0.02), 0.3),
    (0.7,): (1, 0, 0.7, NAN, 0.7),
    (0.7, NAN): (1, 1, 0.7, NAN, 0.7),
    (NAN, NAN): (0, 2, NAN, NAN, NAN),
    (1, 1, 1): (3, 0, 1, 0, 1),
}


@pytest.mark.parametrize("values", STATISTICS, ids=str)
def test_statistics_by_hand(values):
    found = statistic(rows_of(values))
    measured = (found.n, found.n_nan, found.mean, found.sd, found.median)
    assert measured == pytest.approx(STATISTICS[values], nan_ok=True)
    assert math.isnan(found.ci_low) == math.isnan(found.ci_high) == (found.n < 2)


def test_interval_equals_a_plain_bootstrap():
    values = np.random.default_rng(5).gamma(2.0, size=30)
    found = statistic(rows_of(values), resamples=20000)
    drawn = np.random.default_rng(6).choice(values, (20000, 30)).mean(axis=1)
    expected = np.percentile(drawn, [2.5, 97.5])
    assert (found.ci_low, found.ci_high) == pytest.approx(expected, abs=0.02)


def test_interval_is_seeded_and_shared_by_predictors():
    values = np.random.default_rng(0).random(12)
    rows = rows_of(values) + rows_of(values + 0.25, "better")
    first, again = (summarise(rows, seed=4) for _ in range(2))
    assert first == again
    model, better = (first.groups[(name,)]["dice"] for name in ("model", "better"))
    assert better.ci_low == pytest.approx(model.ci_low + 0.25)
    assert statistic(rows, seed=5) != model


def test_interval_in_blocks_is_the_same(monkeypatch):
    rows = rows_of([0.1, 0.5, 0.6, 0.9, NAN])
    whole = summarise(rows, resamples=50)
    monkeypatch.setattr("vitruvian.core.evaluation._BLOCK", 35)
    assert summarise(rows, resamples=50) == whole


def test_missing_and_nan_are_counted_alike():
    rows = [row("a", dice=0.5, hd_mm=3.0), row("b", dice=0.7), row("c", dice=0.9, hd_mm=NAN)]
    assert statistic(rows, "hd_mm") == statistic(rows_of([3.0, NAN, NAN], metric="hd_mm"), "hd_mm")


def test_the_case_is_the_unit():
    twice = [row("a", fold="0", dice=0.2), row("a", fold="1", dice=0.4), row("b", fold="0", dice=1)]
    assert statistic(twice) == statistic(rows_of([(0.2 + 0.4) / 2, 1.0]))
    summary = summarise(twice, by=("predictor", "fold"))
    assert {key: group["dice"].n for key, group in summary.groups.items()} == {
        ("model", "0"): 2,
        ("model", "1"): 1,
    }
    assert summary.cases == 2


def test_summary_names_its_metrics_in_order():
    summary = summarise([row("a", dice=1, hd_mm=2), row("a", "empty", dice=0, rvd=-1)])
    assert summary.metrics == ("dice", "hd_mm", "rvd")
    assert "rvd" not in summary.groups[("model",)]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: merge([[{"predictor": "model"}]]), "'case'"),
        (lambda: merge([[{"case": "a"}]]), "'predictor'"),
        (lambda: merge([[{"case": 3, "predictor": "model"}]]), "'case'"),
        (lambda: merge([[row("a", dice=None)]]), "'dice' must be"),
        (lambda: merge([[row("a", dice=[1, 2])]]), "'dice' must be"),
        (lambda: merge([[row("a", hd_mm=math.inf)]]), "infinite"),
        (lambda: merge([[row("a", data="real")]]), "kept for the origin"),
        (lambda: summarise([]), "0 rows"),
        (lambda: summarise([row("a")], resamples=0), "0 resamples"),
        (lambda: summarise([row("a", dice=1)], by=("fold",)), "'fold'"),
        (lambda: summarise([row("a", dice=1)], by=("dice",)), "'dice'"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


ROWS = [
    row("volume-2", dice=1 / 3, hd_mm=NAN),
    row("volume-2", "empty, or not", dice=0.1 + 0.2),
    row('volume "ü"', dice=np.nextafter(1, 0), hd_mm=1e-300),
]


@pytest.mark.parametrize("simulated", [True, False])
def test_round_trip(tmp_path, simulated):
    rows = merge([ROWS])
    summary = summarise(rows, seed=3, resamples=100)
    paths = write(rows, summary, tmp_path / "new", "test", simulated)
    assert [path.name for path in paths] == ["test.csv", "test.json"]
    back = read(tmp_path / "new", "test")
    assert same(back.rows, rows)
    assert same(back.summary, summary)
    assert back.simulated is simulated


@pytest.mark.parametrize(("simulated", "word"), [(True, "simulated"), (False, "real")])
def test_both_files_tell_the_origin(tmp_path, simulated, word):
    table, outline = write(ROWS, summarise(ROWS), tmp_path, "test", simulated)
    with table.open(encoding="utf-8", newline="") as stream:
        assert {line["data"] for line in csv.DictReader(stream)} == {word}
    assert json.loads(outline.read_text(encoding="utf-8"))["data"] == word


def test_json_is_strict(tmp_path):
    _, outline = write(ROWS, summarise(ROWS), tmp_path, "test", simulated=False)

    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    content = json.loads(outline.read_text(encoding="utf-8"), parse_constant=refuse)
    assert content["groups"][0]["predictor"] == "model"
    assert content["groups"][1]["metrics"]["dice"]["sd"] is None


def break_csv(folder):
    table = folder / "test.csv"
    table.write_text(table.read_text(encoding="utf-8").replace("0.3333", "a third"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "test.csv").unlink(), "test.csv is missing"),
        (lambda folder: (folder / "test.json").unlink(), "test.json is missing"),
        (lambda folder: (folder / "test.json").write_text("{"), "test.json is not a summary"),
        (lambda folder: (folder / "test.json").write_text("{}"), "test.json is not a summary"),
        (lambda folder: (folder / "test.json").write_text("[1]"), "test.json is not a summary"),
        (break_csv, "test.csv holds something that is not a number"),
    ],
)
def test_spoilt_files(tmp_path, spoil, message):
    write(ROWS, summarise(ROWS), tmp_path, "test", simulated=False)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        read(tmp_path, "test")


def test_statistic_fields_are_the_file_format():
    names = ["n", "n_nan", "mean", "sd", "median", "ci_low", "ci_high"]
    assert list(Statistic.__dataclass_fields__) == names
