"""What the tests of sweeps share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweeps.recorder import Recorder
from vitruvian.sweeps import launchers


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Recorder:
    """Takes what a command hands to its launcher, which is built first; outputs go to tmp_path."""
    recorder = Recorder()
    built = launchers.build
    monkeypatch.setattr(launchers, "build", lambda *given: built(*given) and recorder)
    monkeypatch.chdir(tmp_path)
    return recorder
