"""`-v` and `-q`: levels of this process, keys for Hydra, a variable for the processes we start."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator

import pytest

from vitruvian.core import cli
from vitruvian.core.errors import ConfigError
from vitruvian.core.verbosity import VARIABLE, as_hydra_keys, speaks, take_flags


@pytest.fixture(autouse=True)
def _levels(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The levels and the variable are given back."""
    monkeypatch.setenv(VARIABLE, "")
    loggers = [logging.getLogger(), logging.getLogger("vitruvian")]
    before = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, before, strict=True):
        logger.setLevel(level)


LEVELS = {
    # arguments, levels of vitruvian and of a library, what children are told
    "nothing": (["run=x"], logging.INFO, logging.INFO, ""),
    "-v": (["-v", "run=x"], logging.DEBUG, logging.INFO, "debug"),
    "--verbose": (["run=x", "--verbose"], logging.DEBUG, logging.INFO, "debug"),
    "-q": (["run=x", "-q"], logging.WARNING, logging.WARNING, "quiet"),
    "--quiet": (["--quiet", "run=x"], logging.WARNING, logging.WARNING, "quiet"),
}


@pytest.mark.parametrize("name", LEVELS)
def test_flags(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments, ours, theirs, told = LEVELS[name]
    monkeypatch.setattr(sys, "argv", ["verb", *arguments])
    take_flags()
    assert sys.argv == ["verb", "run=x"]
    assert logging.getLogger("vitruvian.core.engine").getEffectiveLevel() == ours
    assert logging.getLogger("matplotlib").getEffectiveLevel() == theirs
    assert os.environ[VARIABLE] == told
    assert speaks() is (told != "quiet")


def test_a_process_that_was_started_says_as_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["run", "DIR"])
    monkeypatch.setenv(VARIABLE, "quiet")
    take_flags()
    assert not speaks()


def test_both_exclude_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["verb", "-q", "-v"])
    with pytest.raises(ConfigError, match="-v, -q: to say more and to say less"):
        take_flags()


@pytest.mark.parametrize(
    ("chosen", "typed", "added"),
    [
        ("debug", [], ["hydra.verbose=[vitruvian]"]),
        ("quiet", [], ["hydra.job_logging.root.level=WARNING"]),
        ("", [], []),
        ("quiet", ["hydra.verbose=true"], []),
    ],
)
def test_hydra_is_told_by_its_own_keys(
    chosen: str, typed: list[str], added: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, chosen)
    monkeypatch.setattr(sys, "argv", ["verb", *typed])
    with as_hydra_keys():
        assert sys.argv == ["verb", *typed, *added]
    assert sys.argv == ["verb", *typed]


@pytest.mark.parametrize(
    ("typed", "level"),
    [
        (["-v"], logging.DEBUG),
        (["hydra.job_logging.root.level=WARNING"], logging.WARNING),
    ],
)
def test_composing_sets_what_was_asked_for(
    typed: list[str], level: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vitruvian.core.compose import compose_from_shell

    monkeypatch.setattr(sys, "argv", ["vitruvian-train", "seed=1", *typed])
    handlers = list(logging.getLogger().handlers)
    take_flags()
    composed = compose_from_shell("train")
    assert composed is not None
    assert composed[1] == ["seed=1"], "no override of the run"
    assert logging.getLogger("vitruvian").getEffectiveLevel() == level
    assert logging.getLogger().handlers == handlers
    assert speaks() is (level < logging.WARNING)


def test_where_a_mistake_came_up_is_said_with_v(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def wrong() -> int:
        raise ConfigError("key: wrong")

    for flags, told in (([], False), (["-v"], True)):
        caplog.clear()
        monkeypatch.setattr(sys, "argv", ["verb", *flags])
        with pytest.raises(SystemExit):
            cli.exit_with(wrong)
        assert ("where it came up" in caplog.text) is told
