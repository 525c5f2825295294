"""A launcher that starts nothing, and remembers what it should have started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vitruvian.sweeps.directory import SweepDirectory
from vitruvian.sweeps.jobs import Alive, Job, Launcher


class Recorder(Launcher):
    """Takes the place of the one that a command line names."""

    def __init__(self) -> None:
        self.started: list[Job] = []

    def start(self, sweep: SweepDirectory, jobs: Sequence[Job]) -> dict[str, str]:
        self.started += jobs
        return {}

    def alive(self, sweep: SweepDirectory) -> Mapping[str, Alive]:
        return {}

    def cancel(self, sweep: SweepDirectory) -> int:
        return 0

    def workers(self) -> int:
        return 2
