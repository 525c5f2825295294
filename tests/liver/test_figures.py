"""Figures of an evaluation of liver masks: who is shown, what is drawn, what the charts hold."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import vl_convert

from tests.galleries import spec
from tests.liver.known import HIGH, LOW, threshold_task
from vitruvian.core.evaluation import Row, merge
from vitruvian.core.gallery import Gallery, read_gallery
from vitruvian.core.store import Converter, Store
from vitruvian.liver.datamodule import LiverCase
from vitruvian.liver.inference import Inference
from vitruvian.liver.segmenter import LiverSegmenter
from vitruvian.report.panels import ORANGE, SKY, VERMILLION

SPACING = (2.0, 1.5, 1.0)
ALWAYS = {"overlay_best", "overlay_median", "overlay_worst", "worst_slice"}
CHARTS = {"dice_per_case", "dice_by_volume", "wrong_volumes", "dice_by_area", "dice_by_position"}


def case(folder: Path, name: str, missed: int = 0, added: int = 0, true: bool = True) -> LiverCase:
    """Four slices of liver, of which `missed` rows are too dark, and beside it `added` bright ones.

    The task takes what is bright for liver, so both are mistakes.
    """
    hu, label = np.full((6, 40, 40), -100, np.int16), np.zeros((6, 40, 40), np.uint8)
    for z, rows in ((1, 4), (2, 8), (3, 10), (4, 6)):
        hu[z, 4 : 4 + rows, 4:24] = LOW + 20
        label[z, 4 : 4 + rows, 4:24] = int(true)
    hu[2:4, 4 : 4 + missed, 4:24] = LOW - 50
    hu[2, 30 : 30 + added, 4:24] = LOW + 30
    hu[3, 9, 9], label[3, 9, 9] = HIGH + 20, 2 * int(true)
    arrays = {"image": hu, "label": label, "areas": (label > 0).sum(axis=(1, 2))}
    source = folder / name
    source.write_text(name)
    record = Store(folder / "store").add(
        [source], Converter("test", 1), lambda: (arrays, {"spacing_mm": SPACING})
    )
    return LiverCase(name, record, SPACING)


def evaluated(task: LiverSegmenter, cases: Sequence[LiverCase]) -> list[Row]:
    return merge([task.evaluate_case(one, "test") for one in cases])


def drawn(
    folder: Path, task: LiverSegmenter, cases: Sequence[LiverCase], rows: Sequence[Row]
) -> Gallery:
    task.illustrate(cases, rows, Gallery(folder / "figures", simulated=True))
    return read_gallery(folder / "figures")


def picture(gallery: Gallery, name: str) -> np.ndarray:
    (figure,) = [one for one in gallery.figures if one.name == name]
    return np.asarray(cv2.imread(str(gallery.folder / figure.file)))


def drawn_in(image: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Pixels of a colour below the names of the panels."""
    return (np.abs(image[54:].astype(int) - colour).max(axis=2) < 12).nonzero()[1]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Gallery, list[Row]]:
    folder = tmp_path_factory.mktemp("figures")
    cases = [case(folder, str(n), missed=2 * n, added=n) for n in (2, 0, 1)]
    task = threshold_task()
    rows = evaluated(task, cases)
    return drawn(folder, task, cases, rows), rows


def test_the_best_the_median_and_the_worst_are_shown(shown: tuple[Gallery, list[Row]]) -> None:
    gallery, _ = shown
    assert {figure.name for figure in gallery.figures} == ALWAYS | CHARTS
    titles = {figure.name: figure.title for figure in gallery.figures}
    assert titles["overlay_best"].startswith("Best case: 0, Dice 1.000")
    assert titles["overlay_median"].startswith("Median case: 1,")
    assert titles["overlay_worst"].startswith("Worst case: 2,")


def test_pictures_show_scan_truth_and_prediction(shown: tuple[Gallery, list[Row]]) -> None:
    """Truth in the second and the third panel, the prediction in the third alone."""
    image = picture(shown[0], "overlay_worst")
    third = image.shape[1] / 3
    true, found = drawn_in(image, SKY), drawn_in(image, ORANGE)
    assert true.min() > third
    assert (true < 2 * third).any()
    assert (true > 2 * third).any()
    assert found.min() > 2 * third
    assert (np.abs(image[:30].astype(int) - VERMILLION).max(axis=2) < 12).any()  # the banner
    # 40 x 40 voxels of 1.5 by 1 mm: the picture is taller than wide
    assert image.shape[0] == 300 + 54


def test_the_slice_with_most_liver_and_that_with_most_mistakes(
    shown: tuple[Gallery, list[Row]],
) -> None:
    captions = {figure.name: figure.caption for figure in shown[0].figures}
    assert captions["overlay_worst"].startswith("Axial slice 4 of 6, the one with most liver")
    assert captions["worst_slice"].startswith("Axial slice 3 of 6, the one with most wrong voxels")


def test_one_slice_is_predicted_as_the_whole_volume_would(tmp_path: Path) -> None:
    """The median case has only its slice predicted; the same with the whole volume cleaned."""
    cases = [case(tmp_path, str(n), missed=2 * n) for n in range(3)]
    pictures = []
    for keep in (False, True):
        task = threshold_task(inference=Inference(2, largest_component=keep), context=3)
        rows = evaluated(task, cases)
        gallery = drawn(tmp_path / str(keep), task, cases, rows)
        pictures.append(picture(gallery, "overlay_median"))
    assert (pictures[0] == pictures[1]).all()


def test_charts_hold_the_numbers_of_the_rows(shown: tuple[Gallery, list[Row]]) -> None:
    gallery, rows = shown
    model = {row["case"]: row for row in rows if row["predictor"] == "model"}
    table = spec(gallery, "dice_per_case")["data"]["values"]
    found = {d["case"]: d["dice"] for d in table if d["predictor"] == "model"}
    assert found == {name: row["dice"] for name, row in model.items()}
    assert {d["predictor"] for d in table} == {"model", "baseline: HU threshold"}
    wrong = spec(gallery, "wrong_volumes")["data"]["values"]
    missed = {d["case"]: d["volume_ml"] for d in wrong if "missed" in d["mistake"]}
    voxel = math.prod(SPACING) / 1000
    assert missed == pytest.approx({name: row["fn"] * voxel for name, row in model.items()})
    thirds = spec(gallery, "dice_by_area")["data"]["values"]
    small = {
        d["case"]: d["dice"] for d in thirds if (d["third"], d["predictor"]) == ("small", "model")
    }
    assert small == {name: row["dice_small"] for name, row in model.items()}


def test_cases_are_sorted_from_the_best_to_the_worst(shown: tuple[Gallery, list[Row]]) -> None:
    dots = spec(shown[0], "dice_per_case")["layer"][-1]
    assert dots["encoding"]["y"]["sort"] == ["0", "1", "2"]


def test_every_chart_compiles_and_has_titled_axes(shown: tuple[Gallery, list[Row]]) -> None:
    for name in CHARTS:
        chart = spec(shown[0], name)
        assert vl_convert.vegalite_to_vega(chart)["marks"]
        for layer in chart.get("layer", [chart]):
            for channel in {"x", "y"} & set(layer["encoding"]):
                assert layer["encoding"][channel]["title"]


def test_all_figures_of_a_small_evaluation_weigh_little(shown: tuple[Gallery, list[Row]]) -> None:
    folder = shown[0].folder
    assert sum(path.stat().st_size for path in folder.iterdir()) < 300_000


def test_tumours_have_a_chart_and_thin_lines_of_their_own(tmp_path: Path) -> None:
    cases = [case(tmp_path, "1")]
    task = threshold_task(3)
    gallery = drawn(tmp_path, task, cases, evaluated(task, cases))
    figures = {figure.name: figure for figure in gallery.figures}
    assert "Thin lines: tumour" in figures["overlay_only"].caption
    table = spec(gallery, "tumour_dice_per_case")["data"]["values"]
    assert [d["tumour_dice"] for d in table if d["predictor"] == "model"] == [1.0]


def odd(folder: Path) -> dict[str, tuple[list[LiverCase], list[Row]]]:
    """Name -> cases and rows that no figure may fail for."""
    task = threshold_task()
    one, two = case(folder, "one", missed=10), case(folder, "two", added=3)
    empty = case(folder, "empty", true=False)
    rows = evaluated(task, [one, two, empty])
    nan = [{**row, "dice": math.nan, "dice_small": math.nan} for row in rows]
    return {
        "nothing": ([], []),
        "no model row": ([one], [row for row in rows if row["predictor"] != "model"]),
        "NaN everywhere": ([one, two], nan),
        "one case": ([one], [row for row in rows if row["case"] == "one"]),
        "rows of a case that is not there": ([one], rows),
        "no baseline, no counts": ([one], [{"case": "one", "predictor": "model", "dice": 0.5}]),
        "an empty truth": ([one, empty], [row for row in rows if row["case"] != "two"]),
    }


def test_odd_evaluations_are_drawn_as_far_as_they_go(tmp_path: Path) -> None:
    pictures = {
        "nothing": set(),
        "no model row": set(),
        "NaN everywhere": set(),
        "one case": {"overlay_only", "worst_slice"},
        "rows of a case that is not there": {"overlay_only", "worst_slice"},
        "no baseline, no counts": {"overlay_only", "worst_slice"},
        "an empty truth": {"overlay_best", "overlay_worst", "worst_slice"},
    }
    for name, (cases, rows) in odd(tmp_path).items():
        gallery = drawn(tmp_path / name, threshold_task(), cases, rows)
        kinds = {figure.name for figure in gallery.figures if figure.kind == "picture"}
        assert kinds == pictures[name], name
        assert all((gallery.folder / figure.file).is_file() for figure in gallery.figures)
