"""What must answer at once imports nothing heavy: no torch, no Lightning, no imaging library."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import vitruvian

HEAVY = ("torch", "pytorch_lightning", "lightning_fabric", "monai", "torchmetrics", "scipy", "cv2")
HEAVY += ("nibabel", "pydicom", "numpy", "matplotlib")
HEAVY += ("mediapipe", "av", "sqlalchemy", "pyarrow", "onnx", "onnxruntime", "h5py", "ezc3d")

VERBS = ("train", "evaluate", "predict", "extract", "live", "export", "check", "folds")

# Runs a verb, then names on a last line of stderr which heavy packages have been imported.
PROBE = f"""
import atexit, sys
sys.path.insert(0, {str(Path(vitruvian.__file__).parents[1])!r})
atexit.register(lambda: print(*(n for n in {HEAVY!r} if n in sys.modules), file=sys.stderr))
from vitruvian.{{verb}} import main
main()
"""

ANSWERS = {
    "help": ("train", ["--help"], "datamodule: liver_ct"),
    "short help": ("train", ["-h"], "datamodule: liver_ct"),
    "config": ("train", ["--cfg", "job"], "accelerator: auto"),
    "config of an experiment": ("train", ["--cfg", "job", "experiment=liver_best"], "patch:"),
    "help of evaluate": ("evaluate", ["--help"], "vitruvian-evaluate run=DIR"),
    "help of predict": ("predict", ["-h"], "vitruvian-predict run=DIR"),
    "help of extract": ("extract", ["-h"], "database: landmarks.db"),
    "config of extract": ("extract", ["--cfg", "job"], "variant: lite"),
    "help of live": ("live", ["-h"], "vitruvian-live run=DIR"),
    "help of export": ("export", ["--help"], "vitruvian-export run=DIR"),
    "help of check": ("check", ["-h"], "vitruvian-check datamodule=OPTION"),
    "config of check": (
        "check",
        ["--cfg", "job", "datamodule=muscle_recordings", "datamodule/roi=rectified"],
        "rectify: true",
    ),
    "help of folds": ("folds", ["--help"], "vitruvian-folds experiment=NAME"),
    "config of folds": (
        "folds",
        ["--cfg", "job", "experiment=muscle_cnn"],
        "fold: ${oc.select:datamodule.fold,0}",
    ),
    "config of the spine": ("train", ["--cfg", "job", "experiment=spine_lstm"], "windows:"),
    "config of the muscle": (
        "train",
        ["--cfg", "job", "experiment=muscle_cnn"],
        "vitruvian.muscle.roi.aponeuroses.Aponeuroses",
    ),
}
MISTAKES = {
    "key": ("train", ["optimizer.lrr=1"], "did you mean `optimizer.lr`?"),
    "deep key": ("train", ["+model.net.widht=1"], "did you mean `width`?"),
    "type": ("train", ["model.net.width=a"], "model.net.width: got 'a', expected int"),
    "option": ("train", ["model=liver_eas_unt"], "did you mean `model=liver_eas_unet`?"),
    "target": ("train", ["loss._target_=torch.nn.CrosEntropyLoss"], "torch.nn.CrossEntropyLoss"),
    "refused target": ("train", ["loss._target_=os.system"], "os.system may not be built"),
    "sweep": ("train", ["-m", "optimizer.lrr=1,2"], "did you mean `optimizer.lr`?"),
    "key of evaluate": ("evaluate", ["run=x", "splt=val"], "did you mean `split`?"),
    "split": ("evaluate", ["run=x", "split=tset"], "expected test or val or train or all"),
    "no run": ("evaluate", ["run=nowhere"], "no run directory here"),
    "key of predict": ("predict", ["inptu=x"], "did you mean `input`?"),
    "no input": ("predict", ["run=x"], "input: a value is needed"),
    "key of extract": ("extract", ["inptu=x"], "did you mean `input`?"),
    "deep key of extract": ("extract", ["pose.variannt=x"], "did you mean `pose.variant`?"),
    "choice of extract": ("extract", ["pose.variant=huge"], "expected `lite` or `full` or `heavy`"),
    "key of live": ("live", ["run=x", "sorce=0"], "did you mean `source`?"),
    "no source": ("live", ["run=x"], "source: a value is needed"),
    "no run of live": ("live", ["run=nowhere", "source=0"], "no run directory here"),
    "key of export": ("export", ["run=x", "otput=y"], "did you mean `output`?"),
    "no run of export": ("export", ["run=nowhere"], "no run directory here"),
    "key of check": ("check", ["datamodule=liver_ct", "figurs=x"], "did you mean `figures`?"),
    "no data to check": ("check", [], "datamodule: choose one with datamodule=OPTION"),
    "fold of folds": ("folds", ["split.fold=2"], "vitruvian-folds trains all folds"),
    "no folds": ("folds", ["run=nowhere"], "no folds to continue here"),
    "key of the spine": (
        "train",
        ["experiment=spine_lstm", "datamodule.windws.length=3"],
        "did you mean `datamodule.windows.length`?",
    ),
    "choice of the spine": (
        "train",
        ["experiment=spine_lstm", "model.scaling=min-max"],
        "did you mean `minmax`?",
    ),
    "key of the muscle": (
        "train",
        ["experiment=muscle_cnn", "datamodule.roi.finder.depth=3"],
        "did you mean `datamodule.roi.finder.depth_mm`?",
    ),
    "choice of the muscle": (
        "train",
        ["experiment=muscle_cnn", "datamodule.unit=person"],
        "expected `participant` or `task`",
    ),
}


def call(verb: str, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROBE.format(verb=verb), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_without_importing_anything_heavy(name: str, tmp_path: Path) -> None:
    verb, arguments, part = ANSWERS[name]
    done = call(verb, arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    assert part in done.stdout
    assert done.stderr.splitlines() == [""], "imported, or said"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_is_told_without_importing_anything_heavy(name: str, tmp_path: Path) -> None:
    verb, arguments, part = MISTAKES[name]
    done = call(verb, arguments, tmp_path)
    assert done.returncode == 2
    told, imported = done.stderr.splitlines()
    assert part in told
    assert imported == ""
    assert done.stdout == ""
    assert list(tmp_path.rglob("config.yaml")) == [], "a run has begun"


def test_the_probe_sees_an_import(tmp_path: Path) -> None:
    done = call("train", ["run=run", "trainer=cpu", "datamodule.root=no"], tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("torch pytorch_lightning ")


@pytest.mark.parametrize("verb", VERBS)
def test_module_and_script_are_the_same(verb: str, tmp_path: Path) -> None:
    script = Path(sys.executable).with_name(f"vitruvian-{verb}")
    ways = ([str(script)], [sys.executable, "-m", f"vitruvian.{verb}"])
    first, second = (
        subprocess.run([*way, "--help"], capture_output=True, text=True, cwd=tmp_path)
        for way in ways
    )
    assert first.returncode == second.returncode == 0
    assert f"vitruvian-{verb}" in first.stdout
    assert first.stdout == second.stdout
