"""`vitruvian-live`: its keys, and each mistake told in one line before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir

from tests.integration.runs import SMALL
from tests.shell import Shell
from vitruvian.core import engine
from vitruvian.core.compose import register_schema
from vitruvian.core.config import config_directory, freeze
from vitruvian.core.errors import ConfigError
from vitruvian.core.live import LiveOptions
from vitruvian.core.rundir import RunDirectory
from vitruvian.live import HELP, KEYS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(b"a clip")
    return tmp_path


def options(**keys: str) -> LiveOptions:
    return LiveOptions.from_keys({**KEYS, "source": "0", **keys})


# -- the keys -------------------------------------------------------------------------------------


def test_defaults() -> None:
    assert options() == LiveOptions("0")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"source": "clip.mp4"}, {"source": "clip.mp4"}),
        ({"source": "frames/%05d.png"}, {"source": "frames/%05d.png"}),
        ({"source": "rtsp://camera/1"}, {"source": "rtsp://camera/1"}),
        ({"port": "0"}, {"port": 0}),
        ({"page": "false", "video": "a/out.mp4"}, {"page": False, "video": Path("a/out.mp4")}),
        ({"page": "False", "window": "TRUE"}, {"page": False, "window": True}),
        ({"image": "false"}, {"image": False}),
        ({"realtime": "true", "wait": "true"}, {"realtime": True, "wait": True}),
    ],
)
def test_keys_are_read(keys: dict[str, str], expected: dict[str, Any]) -> None:
    assert options(**keys) == LiveOptions(**{"source": "0", **expected})


def test_home_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert options(video="~/out.mp4").video == tmp_path / "out.mp4"
    assert options(source="~/clip.mp4").source == "~/clip.mp4"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("0", "camera 0"),
        ("/secret/people/clip.mp4", "clip.mp4"),
        ("rtsp://user:pass@camera:554/live?token=1", "rtsp://camera:554/live"),
        ("http://camera/stream", "http://camera/stream"),
    ],
)
def test_source_is_shown_without_its_secrets(source: str, shown: str) -> None:
    if source.startswith("/"):
        source = str(Path("clip.mp4").resolve())
    assert LiveOptions(source).shown_source == shown


def test_help_names_every_key_and_its_default(shell: Shell) -> None:
    outcome = shell("live", "--help")
    assert (outcome.code, outcome.out) == (0, HELP)
    for key, default in KEYS.items():
        (line,) = (line for line in HELP.splitlines() if line.startswith(f"  {key} "))
        assert default is None or line.endswith(f"({default})")


# -- mistakes -------------------------------------------------------------------------------------

MISTAKES = {
    "nothing": ("", "source: a value is needed; source=0 (a camera), source=FILE or a URL"),
    "no run named": ("source=0", "run: a value is needed; vitruvian-live run=PATH"),
    "no source": ("run=run", "source: a value is needed; source=0 (a camera), source=FILE or a"),
    "no run": ("run=nowhere source=0", "run=nowhere: no run directory here"),
    "key": ("run=run sorce=0", "sorce: no such key of vitruvian-live; did you mean `source`?"),
    "key of another verb": ("run=run input=clip.mp4", "input: no such key of vitruvian-live"),
    "no file": ("run=run source=clp.mp4", "source=clp.mp4: no such file; a camera is given by"),
    "no device file": ("run=run source=/dev/video99", "source=/dev/video99: no such file"),
    "port": ("run=run source=0 port=x", "port: got 'x', expected a number from 0 to 65535"),
    "negative port": ("run=run source=0 port=-1", "port: got '-1', expected a number"),
    "high port": ("run=run source=0 port=65536", "port: got 65536, expected 0 to 65535"),
    "truth": ("run=run source=0 page=yes", "page: got 'yes', expected true or false"),
    "other truth": ("run=run source=0 image=0", "image: got '0', expected true or false"),
    "nothing shown": ("run=run source=0 page=false", "page: nothing would be shown; page=true"),
    "nobody to wait for": (
        "run=run source=0 page=false window=true wait=true",
        "wait: there is no page to wait for",
    ),
    "video": ("run=run source=0 video=out.gif", "video=out.gif: expected a name that ends in .mp4"),
    "video there": ("run=run source=0 video=clip.mp4", "video=clip.mp4: the file exists already"),
    "device": ("run=run source=0 device=abacus", "device: got 'abacus', expected auto or cpu or"),
    "no equals sign": ("run=run source", "source: expected key=value"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = MISTAKES[mistake]
    outcome = shell("live", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    assert line in outcome.err
    assert [path.name for path in folder.iterdir()] == ["clip.mp4"], "it leaves nothing behind"


def test_options_of_a_program_are_checked_as_well() -> None:
    with pytest.raises(ConfigError, match="source: a value is needed"):
        LiveOptions("")


# -- a run of a study without a live mode ---------------------------------------------------------


@pytest.fixture
def run(folder: Path) -> Path:
    """A liver run, not trained."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        config = freeze(compose("train", [*SMALL, "datamodule.root=/nowhere"]))
    run = RunDirectory(folder / "run")
    run.claim(config, list(SMALL))
    run.checkpoints.mkdir()
    torch.save({"state_dict": engine.build_task(config).state_dict()}, run.best)
    return run.path


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("", "model: LiverSegmenter has no live mode"),
        ("checkpoint=bst", "checkpoint=bst: bst does not exist"),
        ("model.net.widht=1", "model.net.widht: no such key in the run's configuration; did you"),
        ("model.net.width=x", "model.net.width: got 'x', expected int"),
    ],
)
def test_run_that_cannot(run: Path, shell: Shell, arguments: str, line: str) -> None:
    outcome = shell("live", f"run={run}", "source=0", "device=cpu", *arguments.split())
    assert outcome.code == 2, outcome.err
    assert line in outcome.err
