"""`make demo`: small studies on simulated data from end to end, through the real commands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SIMULATED = Path("outputs/cache/simulated")


@dataclass(frozen=True)
class Demo:
    """A study to show.

    Attributes:
        experiment: that trains in about a minute.
        recording: gives the file to predict, once there are simulated data.
    """

    experiment: str
    recording: Callable[[], Path]


def a_scan() -> Path:
    """One of the study's own phantoms."""
    return sorted(SIMULATED.glob("liver-*/volume-0.nii*"))[0]


def a_stranger() -> Path:
    """Somebody with a bad back whom the model has never seen, walking for six seconds."""
    from vitruvian.spine.simulator.simulator import Person
    from vitruvian.spine.tables.tables import write_table

    path = SIMULATED / "new-person.parquet"
    write_table([Person.drawn(number=999, seed=123, severity=0.8).clip("walk", 180)], path)
    return path


def a_new_calf() -> Path:
    """Somebody whom the model has never seen, recorded with a scanner of another clock."""
    from vitruvian.muscle.simulator.cohort import SimulatedCohort

    root = SimulatedCohort(people=1, women=0, seconds=8.0, tasks=["combined"], seed=123)
    return root.write(SIMULATED) / "P01_combined"


DEMOS = (
    Demo("liver_demo", a_scan),
    Demo("spine_demo", a_stranger),
    Demo("muscle_demo", a_new_calf),
)


def verb(name: str, *arguments: str) -> None:
    """Run a verb as a user would, showing the command."""
    print(f"\n$ vitruvian-{name} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", f"vitruvian.{name}", *arguments], check=True)


def show(demo: Demo) -> None:
    """Train, evaluate the same run again, predict a recording."""
    from vitruvian.core.rundir import new_run_path

    run = new_run_path(Path("outputs"), demo.experiment)
    verb("train", f"experiment={demo.experiment}", f"run={run}")
    verb("evaluate", f"run={run}", "split=val")
    verb("predict", f"run={run}", f"input={demo.recording()}")


def main() -> None:
    """Run every study."""
    for demo in DEMOS:
        show(demo)


if __name__ == "__main__":
    main()
