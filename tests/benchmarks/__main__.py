"""`python -m tests.benchmarks [name ...] [--quick]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks import (
    head,
    loader,
    muscle_loader,
    muscle_online,
    muscle_store,
    pose,
    reading,
    startup,
    step,
    surfaces,
    sweep_scale,
    sweep_speed,
)
from tests.benchmarks.harness import FULL, QUICK, Row, Scale, machine, table

Benchmark = Callable[[Scale, Path], Iterator[Row]]
BENCHMARKS: dict[str, Benchmark] = {
    "loader": loader.run,
    "step": step.run,
    "startup": startup.run,
    "reading": reading.run,
    "surfaces": surfaces.run,
    "head": head.run,
    "pose": pose.run,
    "muscle_online": muscle_online.run,
    "muscle_store": muscle_store.run,
    "muscle_loader": muscle_loader.run,
    "sweep_scale": sweep_scale.run,
    "sweep_speed": sweep_speed.run,
}


def main() -> None:
    """Run the benchmarks that are named, or all of them, and print one table."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"no such benchmark: {', '.join(unknown)}; choose from {list(BENCHMARKS)}")
    warnings.simplefilter("ignore")  # of the libraries that we compare with
    print(machine(), end="\n\n", flush=True)
    print(table(_rows(options.names or list(BENCHMARKS), QUICK if options.quick else FULL)))


def _rows(names: list[str], scale: Scale) -> Iterator[Row]:
    folder = Path(tempfile.gettempdir()) / "vitruvian-benchmarks"
    for name in names:
        for row in BENCHMARKS[name](scale, folder):
            print(" ... ".join(row.cells()), file=sys.stderr)
            yield row


if __name__ == "__main__":
    main()
