"""The sandbox: brought up for the tests, by root; otherwise they are skipped with its reason."""

from __future__ import annotations

import fcntl
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

SANDBOX = Path(__file__).resolve().parents[3] / "scripts" / "slurm_sandbox.sh"
CANNOT = 3
OURS = Path(tempfile.gettempdir()) / "vitruvian_slurm_of_tests"


def _lock(name: str) -> IO[str]:
    return (Path(tempfile.gettempdir()) / f"vitruvian_slurm_{name}.lock").open("w")


@pytest.fixture(scope="session")
def sandbox() -> Iterator[None]:
    """SLURM on this machine; the last of several test processes takes it down again."""
    with _lock("users") as users:
        with _lock("change") as change:
            fcntl.flock(change, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            up = subprocess.run((SANDBOX, "up"), capture_output=True, text=True, check=False)
        if up.returncode == CANNOT:
            pytest.skip(up.stderr.strip().splitlines()[-1])
        assert up.returncode == 0, up.stderr
        if "up already" not in up.stdout:
            OURS.touch()
        yield
        with _lock("change") as change:
            fcntl.flock(change, fcntl.LOCK_EX)
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # another process still tests with it
            if OURS.exists():  # one that was up before stays up
                OURS.unlink()
                subprocess.run((SANDBOX, "down", "--wipe"), capture_output=True, check=True)


@pytest.fixture
def slurm(sandbox: None) -> Iterator[None]:
    """The sandbox for one test alone: it has few nodes, and jobs push each other away."""
    with _lock("turn") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Converted data, shared by all runs."""
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"
