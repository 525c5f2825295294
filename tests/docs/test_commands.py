"""Every command line that our pages show is one that its verb takes: groups, options, keys, values.

Nothing is trained here; the tutorials' commands are also run, see test_tutorials.py.
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from tests.docs.pages import DOCS, PAGES, ROOT, Command, commands
from vitruvian.core.cli import override, parse_overrides, take_keys
from vitruvian.core.compose import register_schema
from vitruvian.core.config import Config, config_directory, freeze, freeze_tool
from vitruvian.core.errors import ConfigError
from vitruvian.papers.plan import plan_of
from vitruvian.papers.reading import read_paper
from vitruvian.report.audit import audit_lines

TO_HYDRA = ("-m", "--multirun", "--cfg", "job", "--help", "-v", "-q")
OF_THE_READER = ("hydra.searchpath=", "cluster=mine", "...")  # files that only a reader can have
OF_FOLDS = ("folds=", "jobs=")
TOLD_QUICKLY = (ROOT / "README.md", DOCS / "recipes.md")
STUDIES = ("liver_eas_unet", "spine_lstm", "muscle_cnn")


@pytest.fixture(scope="module", autouse=True)
def composing() -> Iterator[None]:
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        yield


def first_value(given: str) -> str:
    """An override with the first of its values, where it sweeps."""
    parsed: Override = OverridesParser.create().parse_override(given)
    if not parsed.is_sweep_override():
        return given
    value: Any = parsed.value()
    first = (
        value.start if isinstance(value, IntervalSweep) else next(parsed.sweep_string_iterator())
    )
    return f"{parsed.get_key_element()}={first}"


def trains(words: Sequence[str]) -> None:
    chosen = [word for word in words if word not in TO_HYDRA and not word.startswith("$")]
    if not any(word.startswith(OF_THE_READER) for word in chosen):
        freeze(compose("train", overrides=[first_value(word) for word in chosen]))


def trains_folds(words: Sequence[str]) -> None:
    trains([word for word in words if not word.startswith(OF_FOLDS)])


def composes(root: str) -> Callable[[Sequence[str]], None]:
    def check(words: Sequence[str]) -> None:
        freeze_tool(compose(root, overrides=[word for word in words if word not in TO_HYDRA]))

    return check


def asks_for_a_sweep(words: Sequence[str]) -> None:
    importlib.import_module("vitruvian.sweep")._parsed(list(words))


def takes_keys(verb: str) -> Callable[[Sequence[str]], None]:
    def check(words: Sequence[str]) -> None:
        keys = importlib.import_module(f"vitruvian.{verb}").KEYS
        given = parse_overrides([word for word in words if word not in TO_HYDRA])
        _, changes = take_keys(given, keys, verb)
        assert not changes or any(fits(config, changes) for config in known_configs())

    return check


def asks_for_a_reproduction(words: Sequence[str]) -> None:
    asked = importlib.import_module("vitruvian.reproduce")._asked(list(words))
    for key in asked.papers:
        root = [f"datamodule.root={asked.roots[key]}"] if key in asked.roots else []
        plan_of(read_paper(key), asked.preset, [*root, *asked.overrides])


def asks_for_an_audit(words: Sequence[str]) -> None:
    audit = importlib.import_module("vitruvian.audit")
    keys, sources = audit._parsed(list(words))
    rows = [audit._typed(source) for source in sources if not source.endswith(".csv")]
    audit_lines([*rows, *audit._of_paper(keys["paper"])])


def asks_for_a_page(words: Sequence[str]) -> None:
    assert any("=" not in word for word in words), "a folder is needed"
    takes_keys("report_verb")([word for word in words if "=" in word])


_KNOWN: list[Config] = []


def known_configs() -> list[Config]:
    """What the frozen configuration of a run may look like, for each study."""
    if not _KNOWN:
        _KNOWN.extend(freeze(compose("train", overrides=[f"experiment={e}"])) for e in STUDIES)
    return _KNOWN


def fits(config: Config, changes: dict[str, Any]) -> bool:
    try:
        override(config, changes)
    except ConfigError:
        return False
    return True


VERBS: dict[str, Callable[[Sequence[str]], None]] = {
    "train": trains,
    "folds": trains_folds,
    "check": composes("check"),
    "extract": composes("extract"),
    "sweep": asks_for_a_sweep,
    "reproduce": asks_for_a_reproduction,
    "audit": asks_for_an_audit,
    "report": asks_for_a_page,
    **{verb: takes_keys(verb) for verb in ("evaluate", "predict", "live", "export")},
}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=() if page in TOLD_QUICKLY else pytest.mark.slow)
        for page in PAGES
        if any(True for _ in commands(page))
    ],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_every_command_of_a_page_is_understood(page: Path) -> None:
    for command in commands(page):
        assert command.verb in VERBS, f"{command}: no such verb"
        try:
            VERBS[command.verb](command.words)
        except Exception as error:
            raise AssertionError(f"{command}\n{error}") from error


def test_every_verb_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    verbs = {name.removeprefix("vitruvian-") for name in project["scripts"]}
    assert verbs == set(VERBS)
    assert verbs == {command.verb for command in commands(DOCS / "recipes.md")}


@pytest.mark.parametrize(
    ("verb", "words", "told"),
    [
        ("train", ["experiment=liver_demos"], "liver_demos"),
        ("train", ["optimizer.lrr=1"], "lrr"),
        ("folds", ["experiment=spine_lstm", "fold=1"], "fold"),
        ("check", ["datamodule=liver_ct", "datamodule.rooot=/data"], "rooot"),
        ("predict", ["run=DIR", "inputs=scan.nii"], "inputs"),
        ("sweep", ["stat", "DIR"], "stat"),
        ("reproduce", ["paper=wang2025"], "wang2025"),
        ("audit", ["EAS:dice"], "dice"),
        ("report", ["outputs", "outptu=all.html"], "outptu"),
    ],
)
def test_a_wrong_command_would_be_found(verb: str, words: list[str], told: str) -> None:
    with pytest.raises(Exception, match=told):
        VERBS[verb](words)


def test_placeholders_are_not_commands() -> None:
    shown: list[Command] = [command for page in PAGES for command in commands(page)]
    assert len(shown) > 100
