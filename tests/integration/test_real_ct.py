"""Real CT from its files to masks: each of the three scans once through the verbs, kept small."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.integration.runs import SMALL, log_of, train, verb
from vitruvian.liver.readers import find_cases, read_image

pytestmark = pytest.mark.real_data

REAL = (
    "experiment=liver_demo",
    "trainer=cpu",
    "debug=overfit",  # one patient: trained on, validated and tested
    "trainer.log_every_n_steps=1",
)


def rows(run: Path) -> dict[str, dict[str, str]]:
    with (run / "evaluation" / "test.csv").open(newline="") as stream:
        return {row["predictor"]: row for row in csv.DictReader(stream)}


def dice(mask: Path, truth: Path, liver: int) -> float:
    """Dice of two files voxel by voxel, in their own order of axes."""
    ours, theirs = (np.asarray(nib.load(path).dataobj) for path in (mask, truth))
    both = np.count_nonzero((ours > 0) & (theirs == liver))
    return 2 * both / (np.count_nonzero(ours) + np.count_nonzero(theirs == liver))


def predict(run: Path, scan: Path, output: Path) -> dict[str, object]:
    """Predict one scan; what the JSON says."""
    assert verb("predict", f"run={run}", f"input={scan}", f"output={output}") == 0
    (report,) = output.glob("*.json")
    found: dict[str, object] = json.loads(report.read_text())
    assert found["trained_on_simulated"] == ("simulated" in run.name)
    assert found["input_simulated"] is False
    assert len(list(output.iterdir())) == 3
    return found


@pytest.mark.slow
def test_totalsegmentator_example(real_data: Path, tmp_path: Path) -> None:
    """Low-dose CT without contrast, 3 mm; liver is label 5. The net learns what HU cannot tell."""
    folder, run = real_data / "ct_totalsegmentator_example", tmp_path / "run"
    data = (
        f"datamodule.root={folder}",
        f"datamodule.cache_dir={tmp_path / 'cache'}",
        "datamodule.layout=pairs",
        "datamodule.image_glob=example_ct_sm.nii.gz",
        "datamodule.label_glob=example_seg.nii.gz",
        "datamodule.liver_labels=[5]",
        "datamodule.tumour_labels=[]",
        "datamodule.patch=[96,112]",
        "datamodule.samples_per_epoch=64",
    )
    net = ("model.net.width=6", "model.window=[-50,150]", "optimizer.lr=0.005")
    length = ("trainer.max_epochs=8", "trainer.check_val_every_n_epoch=4")
    assert train(run, (*REAL, *data, *net, *length)) == 0, log_of(run)
    found = rows(run)
    reached, trivial = (float(found[name]["dice"]) for name in ("model", "baseline: HU threshold"))
    assert found["model"]["data"] == "real"
    assert 0.3 < trivial < 0.7
    assert reached > trivial + 0.1
    scan = folder / "example_ct_sm.nii.gz"
    report = predict(run, scan, tmp_path / "masks")
    mask = tmp_path / "masks" / "example_ct_sm_liver.nii.gz"
    assert dice(mask, folder / "example_seg.nii.gz", 5) == pytest.approx(reached, abs=1e-9)
    assert report["liver_ml"] == pytest.approx(np.count_nonzero(nib.load(mask).dataobj) * 0.027)


@pytest.mark.slow
def test_lits_volume_0(real_data: Path, tmp_path: Path) -> None:
    """512 x 512 x 75 with a flipped y axis; another mask of another shape lies beside it."""
    folder, run = real_data / "ct_lits_volume0", tmp_path / "run"
    assert len(list(folder.glob("segmentation-0*"))) == 2
    data = (
        f"datamodule.root={folder}",
        f"datamodule.cache_dir={tmp_path / 'cache'}",
        "datamodule.samples_per_epoch=160",
        "trainer.max_epochs=1",
        "optimizer.lr=0.02",
    )
    net = ("model=liver_unet2d_small", "model.net.width=2", "model.net.depth=2")
    window = "model.window=[50,200]"  # narrow: a few steps must do
    assert train(run, (*REAL, *data, *net, window)) == 0, log_of(run)
    found = rows(run)["model"]
    assert (found["case"], found["data"]) == ("0", "real")
    assert float(found["tp"]) + float(found["fn"]) == 552627
    assert float(found["dice"]) > 0.1  # an empty mask would fit any grid
    report = predict(run, folder / "volume-0.nii.gz", tmp_path / "masks")
    mask = tmp_path / "masks" / "volume-0_liver.nii.gz"
    ours, theirs = nib.load(mask), nib.load(folder / "volume-0.nii.gz")
    assert nib.aff2axcodes(ours.affine) == ("L", "A", "S")
    np.testing.assert_array_equal(ours.affine, theirs.affine)
    assert ours.shape == tuple(report["shape_ijk"]) == (512, 512, 75)
    expected = pytest.approx(float(found["dice"]), abs=1e-9)
    assert dice(mask, folder / "segmentation-0.nii.gz", 1) == expected


def test_dcmqi_series(real_data: Path, tmp_path: Path) -> None:
    """Three DICOM slices beside masks in other formats, by a net of phantoms."""
    folder, run = real_data / "ct_dcmqi_3slice", tmp_path / "simulated"
    cache = f"datamodule.cache_dir={tmp_path / 'cache'}"
    assert train(run, (*SMALL, cache, "debug=step")) == 0, log_of(run)
    report = predict(run, folder, tmp_path / "masks")
    (case,) = find_cases(folder, labelled=False)
    image = read_image(case)
    mask = nib.load(tmp_path / "masks" / "ct_dcmqi_3slice_liver_simulated.nii.gz")
    assert mask.shape == image.grid.shape == (512, 512, 3)
    np.testing.assert_allclose(mask.affine, image.grid.affine, atol=1e-4)
    assert (report["input"], report["input_files"]) == ("ct_dcmqi_3slice", 3)
    # the slices lie 1 mm apart, whatever their thickness of 1.25 mm
    assert report["spacing_mm_zyx"] == pytest.approx([1.0, 0.810547, 0.810547])
