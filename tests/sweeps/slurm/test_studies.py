"""A study on a real SLURM: its workers are pre-empted in the middle of a trial."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.integration.runs import SMALL_SPINE
from tests.sweeps.slurm.cluster import Submitted, eventually, submitted, told, warn
from vitruvian.core.rundir import COMPLETE
from vitruvian.sweeps.slurm import Slurm
from vitruvian.sweeps.trials import Trials

pytestmark = [pytest.mark.slurm, pytest.mark.slow, pytest.mark.usefixtures("slurm")]

TRIALS = 4
STUDY = (
    *("hydra/sweeper=optuna", "hydra/sweeper/sampler=random", f"hydra.sweeper.n_trials={TRIALS}"),
    *("optimizer.lr=interval(0.001,0.02)", "trainer.max_epochs=40"),
    *("hydra.launcher.array_parallelism=2", "hydra.launcher.cpus_per_task=2"),
)
STRUCK = "worker-0"
WORKERS = (STRUCK, "worker-1")


def test_a_struck_worker_loses_no_trial(tmp_path: Path, cache: str) -> None:
    """SLURM signals a worker and the run that it trains, both at once."""
    with submitted(tmp_path, cache, *STUDY, base=SMALL_SPINE) as study:
        for worker in WORKERS:
            trains(study, worker)
        numbers = ",".join(map(study.id_of, WORKERS))
        assert len(set(told("squeue", "-h", "-o", "%N", "-j", numbers).split())) == 2
        all_are_found_by_their_scripts(study)
        number = trains(study, STRUCK)
        warn(study.id_of(STRUCK))
        assert study.end() == 0, study.err.read_text()

        assert "stopped by SIGUSR1; SLURM will start this worker again" in study.log_of(STRUCK)
        logs = "".join(map(study.log_of, WORKERS))
        begun = sorted(map(int, re.findall(r"^trial (\d+): ", logs, re.MULTILINE)))
        assert begun == sorted([*range(TRIALS), number]), "each once, and the struck one again"
        for one in range(TRIALS):
            assert logs.count(f"\ntrial {one} complete: ") == 1
            assert study.status(one)["state"] == COMPLETE
            assert (study.status(one)["started_step"] > 0) == (one == number)
        ended = Trials(study.sweep).study.get_trials(deepcopy=False)
        assert [one.state.name for one in ended] == ["COMPLETE"] * TRIALS
        assert len({one.params["optimizer.lr"] for one in ended}) == TRIALS


def trains(study: Submitted, worker: str) -> int:
    """Wait until a worker has something to lose; the trial it is at."""
    began = re.compile(r"^trial (\d+): ", re.MULTILINE)
    number = int(eventually(f"{worker} begins", lambda: began.findall(study.log_of(worker)))[-1])
    study.trains(number)
    return number


def all_are_found_by_their_scripts(study: Submitted) -> None:
    """As if the process that submitted them had been killed before it could note them."""
    noted, hidden = study.sweep.launches_file, study.sweep.path / "hidden"
    noted.rename(hidden)
    assert Slurm().alive(study.sweep) == dict.fromkeys(WORKERS, "running")
    hidden.rename(noted)
