"""The liver study from end to end on phantoms: train, move the run, evaluate, predict."""

from __future__ import annotations

import csv
import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from tests.integration.runs import SMALL, log_of, state, train
from vitruvian.core.splits import Splits
from vitruvian.liver.cohort import SimulatedCohort
from vitruvian.liver.datamodule import LiverCT

SHORT = (*SMALL, "trainer.max_epochs=1", "datamodule.samples_per_epoch=4")
Verb = Callable[..., int]

VARIANTS = {
    "tumours apart": ("datamodule.classes=3",),
    "2.5-D, averaged weights, mirrored, one liver": (
        "datamodule.context=3",
        "callbacks=ema",
        "model.inference.mirror=true",
        "model.inference.largest_component=true",
        "model.paper_slices=true",
    ),
    "3-D": (
        "model=liver_vnet3d",
        "model.net.kernel_size=3",
        "datamodule.patch=[16,32,32]",
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, cache: str) -> Path:
    """A short run; tests leave it where it is and add nothing but what they name."""
    run = tmp_path_factory.mktemp("short") / "run"
    assert train(run, (*SHORT, cache)) == 0, log_of(run)
    return run


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two phantoms that nobody was trained on."""
    cohort = SimulatedCohort(cases=2, seed=7, size=48, slices=(8, 9))
    return cohort.write(tmp_path_factory.mktemp("scans"))


@pytest.fixture
def verb(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Verb:
    """Call `vitruvian-NAME ARGUMENTS` in an empty folder; the exit code."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def call(name: str, *arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", [f"vitruvian-{name}", *arguments])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"vitruvian.{name}").main()
        return int(ended.value.code)

    return call


def rows(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as stream:
        return list(csv.DictReader(stream))


def results(run: Path, name: str) -> tuple[bytes, dict[str, Any]]:
    stem = run / "evaluation" / f"{name}_simulated"
    summary = json.loads(stem.with_suffix(".json").read_text())
    return stem.with_suffix(".csv").read_bytes(), summary | {"changed": None}


# --- evaluate ------------------------------------------------------------------------------------


def test_a_moved_run_gives_the_numbers_of_training(run: Path, tmp_path: Path, verb: Verb) -> None:
    """Also where nothing is left of the data: phantoms are drawn again from their seed."""
    moved = tmp_path / "moved" / "elsewhere"
    shutil.copytree(run, moved)
    assert verb("evaluate", f"run={moved}", "name=again", "datamodule.cache_dir=cache") == 0
    assert results(moved, "again") == results(run, "test")
    assert (
        verb("evaluate", f"run={moved}", "split=val", "name=val", "datamodule.cache_dir=cache") == 0
    )
    (logged,) = (d for row in rows(run / "metrics.csv") if (d := row["val/liver_dice"]))
    found = [
        row
        for row in rows(moved / "evaluation" / "val_simulated.csv")
        if row["predictor"] == "model"
    ]
    assert np.mean([float(row["dice"]) for row in found]) == pytest.approx(float(logged), abs=1e-6)


def test_a_checkpoint_of_the_run_gives_them_too(run: Path, verb: Verb) -> None:
    assert verb("evaluate", f"run={run / 'checkpoints' / 'best.ckpt'}", "name=bare") == 0
    assert results(run, "bare") == results(run, "test")


def test_another_configuration_never_replaces_the_runs_own_figures(run: Path, verb: Verb) -> None:
    before = results(run, "test")
    assert verb("evaluate", f"run={run}", "model.inference.mirror=true") == 0
    assert results(run, "test") == before
    found = json.loads((run / "evaluation" / "test_overridden_simulated.json").read_text())
    assert found["changed"] == ["model.inference.mirror is False there, True here"]


def test_another_window_is_refused(
    run: Path, scans: Path, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = (f"run={run}", f"input={scans}", "model.window=[0,100]")
    assert verb("predict", *keys) == 2
    assert "model.window: the weights were trained with [-200.0, 250.0]" in capsys.readouterr().err


def test_other_data_need_split_all(
    run: Path, tmp_path: Path, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    few = SimulatedCohort(cases=2, size=32, slices=(8, 10)).write(tmp_path / "few")
    assert verb("evaluate", f"run={run}", f"datamodule.root={few}") == 2
    assert "evaluate other data with split=all" in capsys.readouterr().err
    assert verb("evaluate", f"run={run}", f"datamodule.root={few}", "split=all") == 0
    found = rows(run / "evaluation" / "all_overridden_simulated.csv")
    assert {row["case"] for row in found} == {"0", "1"}


def test_global_dice_stands_beside_the_mean(run: Path) -> None:
    found = rows(run / "evaluation" / "test_simulated.csv")
    model = [row for row in found if row["predictor"] == "model"]
    counts = [[float(row[key]) for key in ("tp", "fp", "fn")] for row in model]
    tp, fp, fn = np.sum(counts, axis=0)
    pooled = json.loads((run / "evaluation" / "test_simulated.json").read_text())["pooled"]
    assert pooled["model"]["global_dice"] == pytest.approx(2 * tp / (2 * tp + fp + fn))


def test_a_checkpoint_alone_gives_them_too(run: Path, tmp_path: Path, verb: Verb) -> None:
    alone = tmp_path / "far" / "away" / "best.ckpt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.ckpt", alone)
    assert verb("evaluate", f"run={alone}") == 0
    assert results(Path(), "test") == results(run, "test")


def test_every_case_can_be_evaluated(run: Path, verb: Verb) -> None:
    assert verb("evaluate", f"run={run}", "split=all") == 0
    cases = {row["case"] for row in rows(run / "evaluation" / "all_simulated.csv")}
    splits = json.loads((run / "splits.json").read_text())
    assert cases == {*splits["train"], *splits["val"], *splits["test"]}


def test_tables_of_simulated_data_say_so(run: Path) -> None:
    found = rows(run / "evaluation" / "test_simulated.csv")
    assert {row["data"] for row in found} == {"simulated"}
    assert {row["predictor"] for row in found} == {
        "model",
        "baseline: empty mask",
        "baseline: HU threshold",
    }


# --- predict -------------------------------------------------------------------------------------


def test_a_checkpoint_alone_predicts_as_its_run_does(
    run: Path, scans: Path, tmp_path: Path, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = tmp_path / "far" / "away" / "liver.ckpt"
    alone.parent.mkdir(parents=True)
    shutil.copy(run / "checkpoints" / "best.ckpt", alone)
    assert verb("predict", f"run={run}", f"input={scans}", "output=of_run") == 0
    printed = capsys.readouterr().out.split()
    assert verb("predict", f"run={alone}", f"input={scans}") == 0
    names = [
        f"volume-{n}_liver_simulated{end}" for n in (0, 1) for end in (".nii.gz", ".json", ".png")
    ]
    assert printed == [f"of_run/{name}" for name in names]
    assert sorted(path.name for path in Path("predictions").iterdir()) == sorted(names)
    for name in names[::3]:
        assert (Path("of_run") / name).read_bytes() == (Path("predictions") / name).read_bytes()


def test_a_prediction_names_its_origin(run: Path, scans: Path, tmp_path: Path, verb: Verb) -> None:
    scan = scans / "volume-1.nii"
    more = "model.inference.largest_component=true"
    assert verb("predict", f"run={run}", f"input={scan}", f"output={tmp_path}", more) == 0
    found = json.loads((tmp_path / "volume-1_liver_simulated.json").read_text())
    assert found["run"] == str(run)
    assert found["trained_on_simulated"] is True
    assert found["input_simulated"] is True
    assert found["model"]["inference"]["largest_component"] is True
    assert len(found["checkpoint_sha256"]) == 64
    assert {"vitruvian", "torch"} <= found["versions"].keys()
    mask, header = nib.load(tmp_path / "volume-1_liver_simulated.nii.gz"), nib.load(scan)
    assert mask.shape == header.shape
    np.testing.assert_array_equal(mask.affine, header.affine)
    counted = np.count_nonzero(mask.dataobj) * abs(np.linalg.det(mask.affine[:3, :3])) / 1000
    assert found["liver_ml"] == pytest.approx(counted)


def test_a_bad_scan_ends_with_exit_code_two(
    run: Path, scans: Path, tmp_path: Path, verb: Verb, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    shutil.copytree(scans, folder)
    (folder / "volume-0.nii").write_bytes(b"")
    assert verb("predict", f"run={run}", f"input={folder}", "output=out") == 2
    said = capsys.readouterr()
    assert "volume-0.nii: the file is empty" in said.err
    assert "out/volume-1_liver_simulated.nii.gz" in said.out
    assert len(list(Path("out").iterdir())) == 3


# --- variants ------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", VARIANTS)
def test_variants_train_evaluate_and_predict(
    variant: str, cache: str, scans: Path, tmp_path: Path, verb: Verb
) -> None:
    run, scan = tmp_path / "run", scans / "volume-0.nii"
    assert train(run, (*SHORT, cache, *VARIANTS[variant])) == 0, log_of(run)
    assert verb("evaluate", f"run={run}", "name=again") == 0
    assert results(run, "again") == results(run, "test")
    assert verb("predict", f"run={run}", f"input={scan}", "output=out") == 0
    found = json.loads(Path("out/volume-0_liver_simulated.json").read_text())
    assert nib.load("out/volume-0_liver_simulated.nii.gz").shape == nib.load(scan).shape
    classes = found["model"]["classes"]
    assert ("tumour_ml" in found) == (classes == 3)
    first = rows(run / "evaluation" / "test_simulated.csv")[0]
    assert ("tumour_dice" in first) == (classes == 3)


def test_the_threshold_comes_from_the_training_patients(run: Path, cache: str) -> None:
    """It is fitted before the first step and travels in the checkpoints."""
    data = LiverCT(SimulatedCohort(5, size=32, slices=[8, 10]), Path(cache.partition("=")[2]))
    data.prepare()
    data.use(Splits.read(run / "splits.json"))
    for name in ("last", "best"):
        kept = state(run / "checkpoints" / f"{name}.ckpt")["state_dict"]["threshold_hu"]
        assert kept.tolist() == pytest.approx(data.liver_hu_range())
