"""`vitruvian-export`: its keys, and each mistake told in one line; what it writes is tested with

the studies (`tests/integration/test_spine.py`, `tests/spine/head/test_onnx.py`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.integration.runs import SMALL, SMALL_MUSCLE, SMALL_SPINE
from tests.shell import Shell
from vitruvian.core import engine
from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory, freeze
from vitruvian.core.errors import RunError
from vitruvian.core.exporting import Exported, Format, write_onnx, write_torchscript
from vitruvian.core.onnx_files import session
from vitruvian.core.provenance import sha256
from vitruvian.core.rundir import RunDirectory
from vitruvian.export import HELP, KEYS

MISTAKES = {
    "nothing": ("", "run: a value is needed; vitruvian-export run=PATH"),
    "no run": ("run=nowhere", "run=nowhere: no run directory here"),
    "a folder": ("run=.", "run=.: no run directory here"),
    "key": ("run=x otput=a.onnx", "otput: no such key of vitruvian-export; did you mean `output`?"),
    "key of another verb": ("run=x device=cpu", "device: no such key of vitruvian-export"),
    "format": ("run=x format=onx", "format: got 'onx', expected onnx or torchscript or bundle"),
    "truth": ("run=x stream=yes", "stream: got 'yes', expected true or false"),
    "no equals sign": ("run=x stream", "stream: expected key=value"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def untrained(folder: Path, small: tuple[str, ...]) -> Path:
    """A run directory with the weights that a task begins with."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = freeze(compose("train", [*small, "datamodule.root=/nowhere"]))
    run = RunDirectory(folder / "run")
    run.claim(config, list(small))
    run.checkpoints.mkdir()
    torch.save({"state_dict": engine.build_task(config).state_dict()}, run.best)
    return run.path


def test_help_names_every_key(shell: Shell) -> None:
    outcome = shell("export", "--help")
    assert (outcome.code, outcome.out) == (0, HELP)
    for key, default in KEYS.items():
        (line,) = (line for line in HELP.splitlines() if line.startswith(f"  {key} "))
        assert default is None or line.endswith(f"({default})")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = MISTAKES[mistake]
    outcome = shell("export", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert line in outcome.err
    assert list(folder.iterdir()) == [], "a mistake leaves nothing behind"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("checkpoint=bst", "checkpoint=bst: bst does not exist"),
        ("model.net.hiden=1", "model.net.hiden: no such key in the run's configuration; did you"),
        ("output=run", "run"),
        ("output=run/config.yaml/x.onnx", "config.yaml"),
    ],
)
def test_run_of_the_spine(shell: Shell, folder: Path, arguments: str, line: str) -> None:
    run = untrained(folder, SMALL_SPINE)
    outcome = shell("export", f"run={run}", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert line in outcome.err
    assert not list(folder.rglob("*.onnx"))


def test_study_without_an_export(shell: Shell, folder: Path) -> None:
    run = untrained(folder, ("experiment=muscle_roi",))
    outcome = shell("export", f"run={run}")
    assert outcome.code == 2
    assert outcome.err == "error: model: MuscleSegmenter has no export\n"


@pytest.mark.parametrize(
    ("small", "arguments", "line"),
    [
        (SMALL_SPINE, "format=bundle", "format=bundle: this study's nets are exported as onnx or"),
        (SMALL_SPINE, "format=torchscript stream=true", "stream: only causal nets of the spine"),
        (SMALL_MUSCLE, "stream=true", "stream: only causal nets of the spine study have a step"),
        (SMALL, "format=bundle output=taken", "output=taken exists, and is no bundle"),
    ],
)
def test_what_a_study_cannot_be_exported_as(
    small: tuple[str, ...], arguments: str, line: str, shell: Shell, folder: Path
) -> None:
    run = untrained(folder, small)
    (folder / "taken").mkdir()
    outcome = shell("export", f"run={run}", *arguments.split())
    assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome.err
    assert line in outcome.err
    assert list((folder / "taken").iterdir()) == []


def exported(folder: Path, small: tuple[str, ...], kind: Format, name: str) -> tuple[Any, Exported]:
    """The task of an untrained run, and its export."""
    run = RunDirectory(untrained(folder, small))
    done = engine.export(run.config, run.best, folder / name, kind, stream=False)
    task = engine.build_task(run.config).eval()
    task.load_state_dict(torch.load(run.best)["state_dict"])
    return task, done


def answers(done: Exported, *inputs: torch.Tensor) -> torch.Tensor:
    """What the exported file says."""
    if done.format == "torchscript":
        return torch.jit.load(str(done.path))(*inputs)
    running = session(done.path)
    names = [put.name for put in running.get_inputs()]
    arrays = {name: given.numpy() for name, given in zip(names, inputs, strict=True)}
    return torch.from_numpy(running.run(None, arrays)[0])


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_a_liver_net_reads_hu_and_a_muscle_net_says_units(kind: Format, folder: Path) -> None:
    (folder / "liver").mkdir()
    (folder / "muscle").mkdir()
    liver, done = exported(folder / "liver", SMALL, kind, "net.file")
    hu = torch.randint(-1000, 2000, (3, 1, 48, 32)).float()
    with torch.inference_mode():
        expected = liver.logits(hu)
    assert torch.allclose(answers(done, hu), expected, atol=1e-5)
    assert torch.allclose(answers(done, hu + 0.3), expected, atol=1e-5), "whole HU, as in training"
    muscle, done = exported(folder / "muscle", SMALL_MUSCLE, kind, "net.file")
    images = torch.randint(0, 256, (5, 2, 32, 64), dtype=torch.uint8)
    bounds = torch.tensor([4, 29], dtype=torch.int16)[None, :, None].repeat(5, 1, 64)
    with torch.inference_mode():
        expected = muscle.values(images, bounds)
    assert torch.allclose(answers(done, images, bounds), expected, atol=1e-5)


def test_the_card_says_what_the_file_is(folder: Path) -> None:
    _, done = exported(folder, SMALL, "torchscript", "net.ts")
    card = (folder / "net_card.md").read_text(encoding="utf-8")
    assert done.card == folder / "net_card.md"
    assert sha256(done.path) in card
    for words in ("[-200, 250]", "0 background, 1 liver", "Not a diagnosis", "licence of the data",
                  "multiples of 16", "largest difference", "has not been evaluated"):  # fmt: skip
        assert words in card, words


def test_an_export_that_differs_is_not_kept(folder: Path) -> None:
    class Fickle(torch.nn.Module):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            return x + self.calls

    trials = [{"x": torch.rand(2, 3)}]
    with pytest.raises(RunError, match="TorchScript differs from torch by"):
        write_torchscript(Fickle(), folder / "net.ts", trials, {})
    with pytest.raises(RunError, match="onnxruntime differs from torch by"):
        write_onnx(Fickle(), folder / "net.onnx", trials, "y", {}, {})
    rigid = torch.nn.Linear(3, 2)
    with pytest.raises(RunError, match=r"onnxruntime cannot run the net with {'x': \(1, 3\)}"):
        write_onnx(rigid, folder / "net.onnx", [*trials, {"x": torch.rand(1, 3)}], "y", {}, {})
    assert list(folder.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("extra", [(), ("model.inference.mirror=true", "datamodule.context=3",
                                        "model.inference.largest_component=true")])  # fmt: skip
def test_monai_runs_the_bundle_as_we_predict(extra: tuple[str, ...], folder: Path) -> None:
    run = RunDirectory(untrained(folder, (*SMALL, *extra)))
    scan = folder / "scan.nii.gz"
    voxels = np.random.default_rng(0).integers(-300, 400, (45, 37, 19)).astype(np.int16)
    voxels[10:30, 8:28, 4:14] += 300
    affine = np.array([[0, -0.8, 0, 10], [0.7, 0, 0, -5], [0, 0, -2.5, 3], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(voxels, affine), scan)
    torch.save({"state_dict": undecided(run, voxels)}, run.best)
    ours, *_ = engine.predict(run.config, run.best, scan, folder / "ours", "cpu")
    done = engine.export(run.config, run.best, folder / "bundle", "bundle", stream=False)
    assert {p.relative_to(done.path).as_posix() for p in done.path.rglob("*") if p.is_file()} == {
        "LICENSE", "configs/inference.json", "configs/metadata.json", "docs/README.md",
        "models/model.ts",
    }  # fmt: skip
    check_metadata(json.loads((done.path / "configs" / "metadata.json").read_text()))
    keys = {"bundle_root": str(done.path), "image": str(scan), "output_dir": str(folder / "theirs")}
    config = done.path / "configs" / "inference.json"
    monai.bundle.run(run_id="run", config_file=str(config), **keys)
    (theirs,) = (folder / "theirs").iterdir()
    found, expected = nib.load(theirs), nib.load(ours)
    assert 0.05 < (np.asarray(expected.dataobj) > 0).mean() < 0.95, "else they agree on nothing"
    assert np.array_equal(np.asarray(found.dataobj), np.asarray(expected.dataobj))
    assert np.allclose(found.affine, expected.affine, atol=1e-5)


def undecided(run: RunDirectory, voxels: Any) -> dict[str, torch.Tensor]:
    """Weights of the run, moved so that about half of a scan is liver."""
    task = engine.build_task(run.config).eval()
    state = torch.load(run.best)["state_dict"]
    task.load_state_dict(state)
    planes = torch.from_numpy(voxels.transpose(2, 0, 1)[5 : 5 + task.context]).float()[None]
    with torch.inference_mode():
        scores = task.logits(planes)
    biases = [name for name, parameter in task.net.named_parameters() if parameter.shape == (2,)]
    last = f"net.{biases[-1]}"
    state[last][1] += (scores[:, 0] - scores[:, 1]).median()
    return state


def check_metadata(found: dict[str, Any]) -> None:
    """The keys that MONAI's schema requires, and what a CT net needs to be used rightly."""
    for key in ("version", "changelog", "monai_version", "pytorch_version", "numpy_version",
                "required_packages_version", "task", "description", "authors", "copyright",
                "network_data_format", "schema"):  # fmt: skip
        assert found[key], key
    image = found["network_data_format"]["inputs"]["image"]
    pred = found["network_data_format"]["outputs"]["pred"]
    assert (image["modality"], image["num_channels"], image["dtype"]) == ("CT", 1, "float32")
    assert pred["channel_def"] == {"0": "background", "1": "liver"}
    assert found["intensity_window_hu"] == [-200, 250]
    assert "resampled" in found["spacing_mm"]
