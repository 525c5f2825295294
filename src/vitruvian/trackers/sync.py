"""`python -m vitruvian.trackers.sync RUN`: bring to a run's trackers what they lack.

A server that was away while the run trained is told everything that the run directory holds.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vitruvian.core.cli import exit_with
from vitruvian.core.errors import ConfigError, RunError


def main() -> None:
    """Entry point of the module."""
    exit_with(lambda: sync(sys.argv[1:]))


def sync(arguments: list[str]) -> int:
    """Tell the trackers of each run; 1 if something is missing still.

    Raises:
        UserError: a directory is no run, or its trackers cannot be built.
    """
    if not arguments:
        raise ConfigError("give run directories: python -m vitruvian.trackers.sync RUN ...")
    return max(_sync(Path(path).expanduser()) for path in arguments)


def _sync(path: Path) -> int:
    from vitruvian.core.build import build
    from vitruvian.core.rundir import COMPLETE, FAILED, INTERRUPTED, RunDirectory
    from vitruvian.core.tracking import Following, Tracker, attach
    from vitruvian.core.views import mains

    run = RunDirectory(path)
    config = run.config
    with run.lock():
        nodes = {role: node for role, node in config["logger"].items() if node}
        built = {role: build(node, f"logger.{role}") for role, node in nodes.items()}
        trackers = attach({r: one for r, one in built.items() if isinstance(one, Tracker)}, run)
        if not trackers:
            raise RunError(f"{run.path} has no tracker; it was trained with logger=csv")
        status = run.read_status()
        following = Following(run, trackers)
        following.open(config, bool(status.get("simulated", True)))
        following.rewind_all()
        following.show(*mains(run.evaluation))
        state = status.get("state")
        following.close(state if state in (COMPLETE, FAILED) else INTERRUPTED)
    for tracker in trackers:
        print(f"{tracker.role}: {tracker.missing() or 'has everything'}  ({run.path})")
    return int(any(tracker.missing() for tracker in trackers))


if __name__ == "__main__":
    main()
