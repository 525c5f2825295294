"""What all tests share: one thread each (they run side by side), and where the real data are."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.shell import Shell

ROOT = Path(__file__).resolve().parents[1]

os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real recordings; the test is skipped where it is absent."""
    folder = Path(os.environ.get("VITRUVIAN_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set VITRUVIAN_REAL_DATA")
    return folder


@pytest.fixture
def pose_models(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of BlazePose's model files, also for the code under test; absent: skipped."""
    given = os.environ.get("VITRUVIAN_POSE_MODELS")
    folder = Path(given) if given else ROOT.parent / "shared" / "models"
    if not folder.is_dir():
        pytest.skip(f"no pose models at {folder}; set VITRUVIAN_POSE_MODELS")
    monkeypatch.setenv("VITRUVIAN_POSE_MODELS", str(folder))
    return folder


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """Calls a verb as from a shell: `shell("train", "seed=1")`."""
    return Shell(monkeypatch, capfd)


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a file system in memory: `mount("size=200k")`; skips where that is not permitted."""
    folder = tmp_path / "disk"
    mounted = []

    def make(options: str) -> Path:
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"mounting is not permitted: {error}")
        mounted.append(folder)
        return folder

    yield make
    for place in mounted:
        subprocess.run(["umount", str(place)], check=True)
