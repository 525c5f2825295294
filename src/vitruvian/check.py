"""`vitruvian-check`: read a data root, and say what is wrong in it before a run does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.cli import exit_with
from vitruvian.core.errors import ConfigError

if TYPE_CHECKING:
    pass


NO_SWEEP = "--multirun: vitruvian-check reads one data root at a time"


def main() -> None:
    """Entry point of the console script."""
    exit_with(check)


def check() -> int:
    """Examine the data that the command line names; 1 if some of them cannot be used."""
    from vitruvian.core.compose import compose_from_shell

    composed = compose_from_shell("check", NO_SWEEP)
    if composed is None:
        return 0
    from vitruvian.core.config import freeze_tool

    config = freeze_tool(composed[0])
    if not config.get("datamodule"):
        options = ", ".join(_options())
        raise ConfigError(f"datamodule: choose one with datamodule=OPTION; there are: {options}")
    figures = _folder(config["figures"])

    from vitruvian.core.engine import build_datamodule
    from vitruvian.core.examination import Examination

    return Examination(build_datamodule(config), figures).run()


def _options() -> list[str]:
    from vitruvian.core.config import config_directory

    return sorted(file.stem for file in (config_directory() / "datamodule").glob("*.yaml"))


def _folder(figures: object) -> Path | None:
    if figures is None:
        return None
    if not isinstance(figures, str) or not figures:
        raise ConfigError(f"figures: got {figures!r}, expected the path of a folder")
    return Path(figures).expanduser()


if __name__ == "__main__":
    main()
