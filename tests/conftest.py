"""What all tests share: one thread each (they run side by side), and where the real data are."""

from __future__ import annotations

import os
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
def shell(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """Calls a verb as from a shell: `shell("train", "seed=1")`."""
    return Shell(monkeypatch, capfd)
