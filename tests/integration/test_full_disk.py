"""A disk that fills up: a clear error, the previous checkpoint intact, and it goes on later."""

from __future__ import annotations

import json
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.integration import runs
from tests.integration.runs import SMALL, Kill, log_of, state, train

KILL = Kill("on_train_batch_end", 8)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            return filler
    raise AssertionError("the disk has no end")


@pytest.mark.slow
def test_full_disk(mount: Callable[[str], Path], tmp_path: Path, cache: str) -> None:
    disk = mount("size=4m")  # room for a run of this size, not for much beside it
    run = tmp_path / "run"  # what the process prints is kept beside it, on another disk
    run.symlink_to(disk / "run")
    assert train(run, (*SMALL, cache), KILL) < 0, log_of(run)
    last = run / "checkpoints" / "last.ckpt"
    before = last.read_bytes()

    filler = fill(disk)
    assert train(run) == 2
    (told,) = [line for line in log_of(run).splitlines() if line.startswith("error: ")]
    assert told.startswith(f"error: cannot write {disk}")
    assert told.endswith("the disk is full; free space or choose another directory")
    assert last.read_bytes() == before
    assert not list(run.rglob("*.tmp")), "nothing half-written stays"

    filler.unlink()
    assert train(run) == 0, log_of(run)
    assert json.loads((run / "status.json").read_text())["state"] == "complete"
    whole = tmp_path / "whole"
    assert train(whole, (*SMALL, cache)) == 0, log_of(whole)
    assert (run / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()


def _work_with_small_files(run: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    runs._work(run, (), f"{run}.log", None)


def test_limit_of_file_size(tmp_path: Path, cache: str) -> None:
    """The same by a limit of the system, which needs no right to mount."""
    run = tmp_path / "run"
    assert train(run, (*SMALL, cache), KILL) < 0, log_of(run)
    files = {path: path.read_bytes() for path in (run / "checkpoints").iterdir()}

    process = runs._context.Process(target=_work_with_small_files, args=(str(run),))
    process.start()
    process.join(300)
    assert process.exitcode == 2, log_of(run)
    (told,) = [line for line in log_of(run).splitlines() if line.startswith("error: ")]
    assert told.startswith("error: cannot write ")
    assert told.endswith("last.ckpt: File too large; free space or choose another directory")
    assert {path: path.read_bytes() for path in (run / "checkpoints").iterdir()} == files
    assert json.loads((run / "status.json").read_text())["state"] == "failed"

    assert train(run) == 0, log_of(run)
    assert state(run / "checkpoints" / "last.ckpt")["global_step"] == 15
