"""Folders of real data: as typed after `root=`, for Hydra, and whether they are there.

Nothing here imports torch or Hydra.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vitruvian.core.errors import ConfigError
from vitruvian.core.quoting import quoted

if TYPE_CHECKING:
    from vitruvian.core.config import Config

ROOT = "datamodule.root"  # the key of a run
KEY = "root"  # the key that is typed
NOTHING = ("", "null")  # what is typed for no folder


def root_key(paper: str, papers: Sequence[str]) -> str:
    """The key after which the folder of a paper is typed, where these papers are asked for."""
    return KEY if len(papers) == 1 else f"{KEY}.{paper}"


def roots_by_paper(typed: Mapping[str, str], papers: Sequence[str]) -> dict[str, str]:
    """The folder of each paper's data: `root` is that of the only one.

    Args:
        typed: what stands after `root` and `root.KEY`; empty or `null` is no folder.
        papers: that are asked for.

    Raises:
        ConfigError: `root` could be that of several, or names a paper that is not asked for.
    """
    found = {}
    for key, folder in typed.items():
        paper = key.partition(".")[2] or (papers[0] if len(papers) == 1 else "")
        if not paper:
            raise ConfigError(f"root: of which paper? Write root.{papers[0]}={folder}")
        if paper not in papers:
            raise ConfigError(f"{key}: this paper is not asked for; there are: {', '.join(papers)}")
        if folder not in NOTHING:
            found[paper] = folder
    return found


def root_override(folder: str) -> str:
    """A folder as an override of runs, quoted: a path may hold what the grammar has no place for.

    A reference such as `${oc.env:DATA}` keeps its meaning.
    """
    return f"{ROOT}={quoted(folder)}"


def need_folders(configs: Iterable[Config], key: str) -> None:
    """Make sure that the folders of data are there: without them every single run would fail.

    Args:
        configs: frozen, of the runs.
        key: after which the folder was typed.

    Raises:
        ConfigError: one is no folder.
    """
    found = (config["datamodule"].get("root") for config in configs)
    for folder in dict.fromkeys(filter(None, found)):
        if not Path(folder).is_dir():
            told = "is no folder" if Path(folder).exists() else "no such folder"
            raise ConfigError(f"{key}={folder}: {told}; give the one that holds the data")
