"""The trained segmenter as a finder of the region of interest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.muscle.segmentation.calves import calf
from tests.muscle.segmentation.checkpoints import CONFIG, write_checkpoint
from vitruvian.core.errors import ConfigError
from vitruvian.muscle.segmentation.finder import UNetSegmenter

SCALE = (0.2, 0.2)


@pytest.mark.parametrize(("bias", "finds"), [(9.0, True), (-9.0, False)])
def test_it_says_what_the_weights_say(tmp_path: Path, bias: float, finds: bool) -> None:
    finder = UNetSegmenter(write_checkpoint(tmp_path / "a.ckpt", bias))
    image, _ = calf()
    found = finder.follow(SCALE, None)(image)
    assert (found is not None) == finds
    if found is not None:
        assert found.shape == image.shape
        assert found.all()


def test_a_run_directory_means_its_best_weights(tmp_path: Path) -> None:
    best = write_checkpoint(tmp_path / "run" / "checkpoints" / "best.ckpt")
    write_checkpoint(best.with_name("last.ckpt"), -9.0)
    assert UNetSegmenter(tmp_path / "run").checkpoint.samefile(best)


def test_equal_weights_have_one_identity_wherever_they_lie(tmp_path: Path) -> None:
    first = write_checkpoint(tmp_path / "a.ckpt")
    (tmp_path / "b.ckpt").write_bytes(first.read_bytes())
    third = write_checkpoint(tmp_path / "c.ckpt", 1.0)
    a, b, c = (UNetSegmenter(tmp_path / f"{n}.ckpt").identity() for n in "abc")
    assert third.is_file()
    assert a == b != c
    assert a["class"] == "UNetSegmenter"
    assert len(a["sha256"]) == 64


@pytest.mark.parametrize("given", [None, Path("absent.ckpt"), Path()])
def test_missing_weights_say_how_to_train_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: Path | None
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^checkpoint: .*vitruvian-train experiment=muscle_roi"):
        UNetSegmenter(given)


def plain(path: Path) -> None:
    torch.save({"state_dict": {}}, path)


def noise(path: Path) -> None:
    path.write_bytes(b"no checkpoint")


def other_study(path: Path) -> None:
    net = {"_target_": "vitruvian.muscle.segmentation.unet.MuscleUNet", "width": 1, "depth": 1}
    write_checkpoint(path, config=CONFIG | {"model": net})


@pytest.mark.parametrize("write", [plain, noise, other_study])
def test_other_checkpoints_are_refused(tmp_path: Path, write: object) -> None:
    assert callable(write)
    write(tmp_path / "a.ckpt")
    finder = UNetSegmenter(tmp_path / "a.ckpt")
    with pytest.raises(ConfigError, match=r"^checkpoint: .*a.ckpt"):
        finder.follow(SCALE, None)


def test_choosing_it_imports_no_torch() -> None:
    code = "import vitruvian.muscle.segmentation.finder, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
