"""Pictures side by side: what is drawn, what is named, and how small they are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from vitruvian.report.panels import (
    ORANGE,
    SKY,
    VERMILLION,
    Panel,
    Picture,
    encoded,
    grey,
    outline,
    write_panels,
)


def decoded(data: bytes) -> Picture:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))


def near(picture: Picture, colour: tuple[int, int, int]) -> np.ndarray:
    return np.abs(picture.astype(int) - colour).max(axis=2) < 12


def noise(rows: int = 200, columns: int = 300) -> Picture:
    shades = np.random.default_rng(0).integers(0, 256, (rows, columns), dtype=np.uint8)
    return grey(shades)


@pytest.mark.parametrize("colour", [ORANGE, SKY, VERMILLION, (0, 0, 0), (255, 255, 255)])
def test_our_colours_come_back_and_greys_nearly(colour: tuple[int, int, int]) -> None:
    picture = np.full((20, 30, 3), colour, np.uint8)
    picture[:10] = np.arange(30, dtype=np.uint8)[None, :, None] * 8
    back = decoded(encoded(picture))
    assert np.abs(back[10:].astype(int) - colour).max() <= 6
    assert np.abs(back[:10].astype(int) - picture[:10]).max() <= 10


def test_a_repeated_image_costs_next_to_nothing(tmp_path: Path) -> None:
    """Three panels of the same noise: hardly more bytes than one, far fewer than a plain PNG."""
    sizes = []
    for count in (1, 3):
        write_panels(tmp_path / "p.png", "", [Panel(str(n), noise()) for n in range(count)], False)
        sizes.append((tmp_path / "p.png").stat().st_size)
    plain = len(cv2.imencode(".png", np.hstack([noise()] * 3))[1])
    assert sizes[1] < 1.3 * sizes[0]
    assert sizes[1] < 0.5 * plain


@pytest.mark.parametrize("simulated", [True, False])
def test_only_simulated_pictures_carry_the_banner(tmp_path: Path, simulated: bool) -> None:
    panels = [Panel("one", noise(), SKY, ("R", "L")), Panel("two", noise(150, 40))]
    write_panels(tmp_path / "p.png", "A title", panels, simulated)
    picture = decoded((tmp_path / "p.png").read_bytes())
    assert near(picture[30:], VERMILLION).sum() == 0
    assert (near(picture[:30], VERMILLION).sum() > 500) == simulated


def test_a_long_title_and_the_banner_fit_above_a_narrow_panel(tmp_path: Path) -> None:
    title = "Worst case: a rather long name of a patient's folder, Dice 0.123"
    write_panels(tmp_path / "p.png", title, [Panel("p", noise(20, 20))], True)
    bar = decoded((tmp_path / "p.png").read_bytes())[:30]
    white = near(bar, (255, 255, 255)).any(axis=0)
    banner = np.flatnonzero(near(bar, VERMILLION).sum(axis=0) > 20)
    between = white[banner[0] - 8 : banner[0]]
    assert white[: banner[0]].any()
    assert not between.any()


def test_an_outline_is_drawn_about_a_mask_and_an_empty_one_draws_nothing() -> None:
    picture, mask = grey(np.zeros((20, 20), np.uint8)), np.zeros((20, 20), bool)
    outline(picture, mask, ORANGE)
    assert not picture.any()
    mask[5:15, 5:15] = True
    outline(picture, mask, ORANGE)
    assert picture[5, 10, 2] > 150
    assert picture[5, 10, 0] == 0
    assert not picture[10, 10].any()
