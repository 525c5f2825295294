"""`vitruvian-extract`: recordings to what a study trains on, once, in parallel, into a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with

if TYPE_CHECKING:
    pass


NO_SWEEP = "--multirun: vitruvian-extract runs once; workers=N makes it parallel"


def main() -> None:
    """Entry point of the console script."""
    exit_with(extract)


def extract() -> int:
    """Build what `conf/extract.yaml` and the command line describe, and run it."""
    from vitruvian.core.compose import compose_from_shell

    composed = compose_from_shell("extract", NO_SWEEP)
    if composed is None:
        return 0
    from vitruvian.core.build import build
    from vitruvian.core.config import freeze_tool

    return int(build(freeze_tool(composed[0])).run())


if __name__ == "__main__":
    main()
