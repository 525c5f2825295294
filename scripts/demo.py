"""`make demo`: a small study on simulated data from end to end, through the real commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

STUDIES = ("liver_demo",)


def verb(name: str, *arguments: str) -> None:
    """Run a verb as a user would, showing the command."""
    print(f"\n$ vitruvian-{name} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", f"vitruvian.{name}", *arguments], check=True)


def demo(experiment: str) -> None:
    """Train, evaluate the same run again, predict one of its scans."""
    from vitruvian.core.rundir import new_run_path

    run = new_run_path(Path("outputs"), experiment)
    verb("train", f"experiment={experiment}", f"run={run}")
    verb("evaluate", f"run={run}", "split=val")
    scan = sorted(Path("outputs/cache/simulated").glob("liver-*/volume-0.nii*"))[0]
    verb("predict", f"run={run}", f"input={scan}")


def main() -> None:
    """Run every study."""
    for experiment in STUDIES:
        demo(experiment)


if __name__ == "__main__":
    main()
