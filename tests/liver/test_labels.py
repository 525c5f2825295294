"""Numbers and names of mask files as liver and tumour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.liver.dicom_seg import Segment
from vitruvian.liver.labels import LITS, Labels


@pytest.mark.parametrize(
    ("labels", "stored", "expected"),
    [
        (LITS, np.array([0, 1, 2], np.uint8), [0, 1, 2]),
        (LITS, np.array([0.0, 1.0, 2.0004], np.float32), [0, 1, 2]),
        (Labels([1, 2], []), np.array([0, 1, 2], np.int32), [0, 1, 1]),
        (Labels([1], []), np.array([0, 1, 2, 3]), [0, 1, 0, 0]),
        (Labels([5], []), np.array([0, 2, 5, 117, -3, 2**40]), [0, 0, 1, 0, 0, 0]),
        (Labels([4, 9, 300], [300]), np.array([4, 9, 300, 301], np.uint16), [1, 1, 2, 0]),
    ],
)
def test_labels_become_classes(labels: Labels, stored: np.ndarray, expected: list[int]) -> None:
    found = labels.classes(stored)
    assert found.dtype == np.uint8
    assert found.tolist() == expected


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.array([0, 1, 3, 7, 7]), "labels 3, 7 besides 0, 1 and 2; set liver_labels"),
        (np.array([0, -1]), "labels -1 besides"),
        (np.arange(20), r"3, 4, 5, 6, 7, 8, 9, 10 \.\.\. besides"),
        (np.array([0.0, 0.37, 1.0]), r"no whole numbers \(0.37\).*nearest neighbour"),
    ],
)
def test_unknown_labels_are_refused(stored: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        LITS.classes(stored)


@pytest.mark.parametrize(
    ("liver", "tumour", "message"),
    [
        ([], [], "names no label"),
        ([0, 1], [], "1 to 65535"),
        ([1.5], [], r"liver_labels=\[1.5\]"),
        ([True], [], "whole numbers"),
        ([5], [2], r"tumour_labels=\[2\] are not among liver_labels=\[5\]"),
    ],
)
def test_label_settings_without_sense_are_refused(liver: Any, tumour: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Labels(liver, tumour)


@pytest.mark.parametrize(
    ("labels", "segments", "expected"),
    [
        (LITS, {1: "Liver", 2: "Mass", 3: "Portal vein"}, {1: 1, 2: 2}),
        (LITS, {4: " LIVER ", 1: "Liver tumour"}, {4: 1, 1: 2}),
        (LITS, {1: "Liver vessels", 2: "liver"}, {2: 1}),
        (Labels([3], []), {1: "Liver", 3: "Left lobe"}, {3: 1}),
    ],
)
def test_segments_are_chosen_by_name_or_number(
    labels: Labels, segments: dict[int, str], expected: dict[int, int]
) -> None:
    assert labels.segments([Segment(n, name, "") for n, name in segments.items()]) == expected


def test_the_property_type_may_name_the_liver() -> None:
    assert LITS.segments([Segment(1, "Segment_1", "Liver")]) == {1: 1}
    with pytest.raises(DataError, match=r"\(1: heart, 2: spine\).*liver_labels"):
        LITS.segments([Segment(1, "heart", "Heart"), Segment(2, "spine", "Spine")])
