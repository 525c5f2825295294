"""`vitruvian-export`: its keys, and each mistake told in one line; what it writes is tested with

the studies (`tests/integration/test_spine.py`, `tests/spine/head/test_onnx.py`).
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import monai.bundle
import nibabel as nib
import numpy as np
import onnx
import pytest
import torch
from hydra import compose, initialize_config_dir

import vitruvian
from tests.integration.runs import SMALL, SMALL_MUSCLE, SMALL_SPINE
from tests.shell import Shell
from vitruvian.core import engine
from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory, freeze
from vitruvian.core.errors import ConfigError, RunError
from vitruvian.core.exporting import Exported, Format, passed_on, write_onnx, write_torchscript
from vitruvian.core.onnx_files import session
from vitruvian.core.provenance import sha256
from vitruvian.core.rundir import RunDirectory
from vitruvian.export import HELP, KEYS
from vitruvian.liver.volume import PADDING_HU

FILES: dict[Format, str] = {"onnx": "net.onnx", "torchscript": "net.ts", "bundle": "bundle"}

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


def claimed(folder: Path, small: tuple[str, ...]) -> RunDirectory:
    """A run directory with weights that nothing can load."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = freeze(compose("train", [*small, "datamodule.root=/nowhere"]))
    run = RunDirectory(folder / "run")
    run.claim(config, list(small))
    run.checkpoints.mkdir()
    run.best.write_bytes(b"weights")
    return run


def untrained(folder: Path, small: tuple[str, ...]) -> Path:
    """A run directory with the weights that a task begins with."""
    run = claimed(folder, small)
    torch.save({"state_dict": engine.build_task(run.config).state_dict()}, run.best)
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
        ("output=run/config.yaml/x.onnx", "config.yaml"),
        ("output=model.yaml/x.onnx", "cannot write model.yaml/x.onnx: the name is already taken"),
    ],
)
def test_run_of_the_spine(shell: Shell, folder: Path, arguments: str, line: str) -> None:
    run = untrained(folder, SMALL_SPINE)
    (folder / "model.yaml").touch()
    outcome = shell("export", f"run={run}", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("error: ")
    assert line in outcome.err
    assert not list(folder.rglob("*.onnx"))


IN_THE_RUN = "is a place of the run; leave output out for "
NO_EXPORT = "exists, and is no earlier export; choose another name"
NO_BUNDLE = "exists, and is no bundle of Vitruvian; choose another folder"
PLACES = {
    "config of the run": ("torchscript", "run/config.yaml", "ends in .ts or .pt"),
    "weights of the run": ("onnx", "run/checkpoints/best.ckpt", "ends in .onnx"),
    "among the checkpoints": ("torchscript", "run/checkpoints/net.pt", IN_THE_RUN),
    "by way of a link": ("onnx", "linked/evaluation/net.onnx", IN_THE_RUN),
    "bundle as the run": ("bundle", "run", IN_THE_RUN),
    "bundle in the run": ("bundle", "run/evaluation", IN_THE_RUN),
    "user's at the usual place": ("onnx", "", f"model.onnx {NO_EXPORT}"),
    "text": ("onnx", "text.onnx", f"output=text.onnx {NO_EXPORT}"),
    "net of another program": ("onnx", "other.onnx", f"output=other.onnx {NO_EXPORT}"),
    "weights": ("torchscript", "weights.pt", f"output=weights.pt {NO_EXPORT}"),
    "text by another name": ("torchscript", "text.ts", f"output=text.ts {NO_EXPORT}"),
    "user's card": ("onnx", "net.onnx", "its card would replace net_card.md, which is not the"),
    "folder": ("onnx", "taken.onnx", "is a folder; name a file, such as taken.onnx/model.onnx"),
    "suffix": ("onnx", "net.pt", "the name of a file of format=onnx ends in .onnx"),
    "no suffix": ("torchscript", "net", "ends in .ts or .pt"),
    "long name": ("onnx", f"{'a' * 300}.onnx", "cannot write aaa"),
    "bundle as a file": ("bundle", "net.ts", "a bundle is a folder, name it without .ts"),
    "bundle of others": ("bundle", "zoo", f"output=zoo {NO_BUNDLE}"),
    "file for a bundle": ("bundle", "readme", f"output=readme {NO_BUNDLE}"),
}


MINE = (
    *("text.onnx", "text.ts", "run/model.onnx", "net_card.md", "readme"),
    *("zoo/configs/metadata.json", "zoo/models/model.ts"),
)


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("place", PLACES)
def test_nothing_but_an_earlier_export_is_replaced(place: str, shell: Shell, folder: Path) -> None:
    kind, output, line = PLACES[place]
    run = claimed(folder, SMALL_SPINE)
    (folder / "linked").symlink_to(run.path)
    (folder / "taken.onnx").mkdir()
    (folder / "zoo" / "configs").mkdir(parents=True)
    (folder / "zoo" / "models").mkdir()
    for name in MINE:
        (folder / name).write_text("# Model card: mine")
    onnx.save(onnx.helper.make_model(onnx.GraphProto(name="other")), folder / "other.onnx")
    torch.save({"weights": torch.zeros(2)}, folder / "weights.pt")
    before = contents(folder)
    named = [f"output={output}"] if output else []
    outcome = shell("export", f"run={run.path}", f"format={kind}", *named)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1), outcome.err
    assert line in outcome.err
    assert contents(folder) == before


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
        (SMALL, "format=bundle output=taken", "output=taken exists, and is no bundle of Vitruvian"),
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


@pytest.mark.parametrize(
    "kind", ["onnx", "torchscript", pytest.param("bundle", marks=pytest.mark.slow)]
)
def test_an_earlier_export_is_replaced(kind: Format, folder: Path) -> None:
    name = FILES[kind]
    _, first = exported(folder, SMALL if kind == "bundle" else SMALL_MUSCLE, kind, name)
    before = sha256(first.path / "models" / "model.ts" if kind == "bundle" else first.path)
    assert before in first.card.read_text(encoding="utf-8")
    results = folder / name / "predictions" / "scan.nii.gz" if kind == "bundle" else folder / "scan"
    results.parent.mkdir(exist_ok=True)
    results.write_text("a day's work")
    run = RunDirectory(folder / "run")
    torch.save({"state_dict": engine.build_task(run.config).state_dict()}, run.best)  # others
    again = engine.export(run.config, run.best, folder / name, kind, stream=False)
    after = sha256(again.path / "models" / "model.ts" if kind == "bundle" else again.path)
    card = again.card.read_text(encoding="utf-8")
    assert before not in card
    assert after in card
    assert results.read_text() == "a day's work"


def test_two_exports_have_no_card_in_common(folder: Path) -> None:
    _, done = exported(folder, SMALL_MUSCLE, "torchscript", "net.ts")
    card = done.card.read_bytes()
    run = RunDirectory(folder / "run")
    with pytest.raises(ConfigError, match="not the card of an earlier export of it"):
        engine.export(run.config, run.best, folder / "net.onnx", "onnx", stream=False)
    assert done.card.read_bytes() == card


def texts(done: Exported) -> Iterator[tuple[str, bytes]]:
    """All that was written, out of its archives."""
    for path in (done.card, done.path, *done.path.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes()
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                yield from ((name, archive.read(name)) for name in archive.namelist())


@pytest.mark.parametrize(
    ("small", "kind"),
    [
        *((SMALL, kind) for kind in ("onnx", "torchscript", "bundle")),
        *((SMALL_MUSCLE, kind) for kind in ("onnx", "torchscript")),
        *((SMALL_SPINE, kind) for kind in ("onnx", "torchscript")),
    ],
)
def test_an_export_tells_no_folder_of_this_machine(
    small: tuple[str, ...], kind: Format, folder: Path
) -> None:
    home = folder / "somebody"
    home.mkdir()
    _, done = exported(home, small, kind, FILES[kind])
    told = dict(texts(done))
    ours = Path(vitruvian.__file__).parents[1]
    for word in ("somebody", str(ours), str(Path(torch.__file__).parents[1]), str(Path.home())):
        assert [name for name, text in told.items() if f"{word}/".encode() in text] == [], word
    checkpoint = sha256(home / "run" / "checkpoints" / "best.ckpt").encode()
    assert any(checkpoint in text for name, text in told.items() if name != done.card.name)
    card = done.card.read_text(encoding="utf-8")
    assert "- run: run\n" in card
    assert checkpoint.decode() in card


def test_what_is_passed_on_of_an_origin() -> None:
    origin = {
        "run": "/home/me/outputs/first",
        "checkpoint": "/home/me/outputs/first/checkpoints/best.ckpt",
        "checkpoint_sha256": "ab",
        "model": {"net": {"width": 2, "start": "~/nets/a.ckpt"}, "names": ["/data/b", "up/down"]},
    }
    assert passed_on(origin) == {
        "run": "first",
        "checkpoint_sha256": "ab",
        "model": {"net": {"width": 2, "start": "a.ckpt"}, "names": ["b", "up/down"]},
    }
    assert passed_on({"run": None}) == {"run": None}


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
    liver, done = exported(folder / "liver", SMALL, kind, FILES[kind])
    hu = torch.randint(-1000, 2000, (3, 1, 48, 32)).float()
    with torch.inference_mode():
        expected = liver.logits(hu)
    assert torch.allclose(answers(done, hu), expected, atol=1e-5)
    assert torch.allclose(answers(done, hu + 0.3), expected, atol=1e-5), "whole HU, as in training"
    muscle, done = exported(folder / "muscle", SMALL_MUSCLE, kind, FILES[kind])
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


@pytest.mark.parametrize("kind", ["onnx", "torchscript"])
def test_padding_as_the_card_says_gives_what_we_predict(kind: Format, folder: Path) -> None:
    task, done = exported(folder, SMALL, kind, FILES[kind])
    card = done.card.read_text(encoding="utf-8")
    assert f"Pad other sizes with {PADDING_HU} HU (air) at the end of each axis" in card
    hu = torch.randint(0, 300, (1, 1, 21, 37)).float()
    padded = torch.nn.functional.pad(hu, (0, 48 - 37, 0, 32 - 21), value=PADDING_HU)
    with torch.inference_mode():
        expected = task.logits(hu)
    assert torch.allclose(answers(done, padded)[..., :21, :37], expected, atol=1e-5)


def test_padding_lies_below_any_window(folder: Path) -> None:
    _, done = exported(folder, (*SMALL, "model.window=[-2000.5,250]"), "torchscript", "net.ts")
    assert "Pad other sizes with -2001 HU" in done.card.read_text(encoding="utf-8")


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
