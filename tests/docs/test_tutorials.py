"""Every command of every tutorial is run, in order, as a reader would, in a folder of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import TUTORIALS, Block, blocks, keeps


def shell_environment(folder: Path) -> dict[str, str]:
    """The environment of `source .venv/bin/activate`, with a cache that is empty."""
    scripts = Path(sys.executable).parent
    return {
        **os.environ,
        "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "user_cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
    }


def run(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block as one shell would that stops at the first failure."""
    command = ["bash", "-euo", "pipefail", "-c", block.text]
    return subprocess.run(
        command,
        cwd=folder,
        env=shell_environment(folder),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=900,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize("tutorial", TUTORIALS, ids=lambda page: page.stem)
def test_every_command_of_a_tutorial_does_what_the_page_says(
    tutorial: Path, tmp_path: Path
) -> None:
    running = [block for block in blocks(tutorial) if block.runs]
    assert len(running) >= 6, "a tutorial without commands"
    folder = tmp_path / "work"
    folder.mkdir()
    for block in running:
        ended = run(block, folder)
        assert ended.returncode == 0, f"{block.name}\n{block.text}\n{ended.stdout}"
        missing = [line for line in block.promised if not keeps(line, ended.stdout)]
        assert not missing, f"{block.name} promises {missing}; it printed\n{ended.stdout}"
    first = folder / "outputs" / "first"
    pages = re.findall(r"`outputs/first/(\w+\.html)`", tutorial.read_text(encoding="utf-8"))
    assert pages
    assert all((first / page).is_file() for page in pages)
