"""Figures of an evaluation: a new one leaves no picture of the one before."""

from __future__ import annotations

import json
from pathlib import Path

from vitruvian.core.gallery import INDEX, Gallery, read_gallery


def drawn(folder: Path) -> Gallery:
    gallery = Gallery(folder, simulated=True)
    with gallery.picture("best", "Best", "The best case.") as file:
        file.write_bytes(b"png")
    gallery.chart("bars", "Bars", "All cases.", {"mark": "bar", "data": {"values": [1, 2]}})
    return gallery


def test_nothing_stale_is_left(tmp_path: Path) -> None:
    folder, outside = tmp_path / "test", tmp_path / "kept.png"
    drawn(folder)
    outside.write_bytes(b"png")
    index = json.loads((folder / INDEX).read_text())
    index["figures"].append(index["figures"][0] | {"name": "out", "file": "../kept.png"})
    (folder / INDEX).write_text(json.dumps(index))
    Gallery(folder, simulated=True).clear()
    assert read_gallery(folder).figures == []
    assert [file.name for file in folder.iterdir()] == [INDEX]
    assert outside.is_file()
    assert len(read_gallery(drawn(folder).folder).figures) == 2


def test_clearing_a_damaged_list_and_none(tmp_path: Path) -> None:
    Gallery(tmp_path / "none", simulated=False).clear()
    assert not (tmp_path / "none").exists()
    (tmp_path / INDEX).write_text("{")
    Gallery(tmp_path, simulated=False).clear()
    assert read_gallery(tmp_path).figures == []


def test_charts_are_compact(tmp_path: Path) -> None:
    drawn(tmp_path)
    text = (tmp_path / "bars_simulated.vl.json").read_text()
    assert text == '{"mark":"bar","data":{"values":[1,2]}}\n'
