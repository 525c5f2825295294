"""Freezing: one plain, resolved, whole and checked dict."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from vitruvian.core import config as module
from vitruvian.core.compose import register_schema
from vitruvian.core.config import (
    PLACE_KEYS,
    ROOT_KEYS,
    Config,
    checked,
    config_directory,
    differences,
    flatten,
    freeze,
)
from vitruvian.core.errors import ConfigError


@pytest.fixture(scope="module")
def composed() -> Any:
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return compose("train", ["output_dir=here"])


@pytest.fixture(scope="module")
def frozen(composed: Any) -> Config:
    return freeze(composed)


def with_value(config: Config, dotted: str, value: Any) -> Config:
    changed = copy.deepcopy(config)
    node = changed
    *parents, last = dotted.split(".")
    for key in parents:
        node = node[key]
    node[last] = value
    return changed


# -- freezing -------------------------------------------------------------------------------------


def test_frozen_is_plain_and_resolved(frozen: Config) -> None:
    leaves = list(flatten(frozen))
    assert all(isinstance(v, str | int | float | bool | list | type(None)) for _, v in leaves)
    assert not any("${" in str(value) or value == "???" for _, value in leaves)
    assert type(frozen["model"]) is type(frozen["model"]["net"]) is dict


def test_frozen_does_not_say_where_it_is_kept(frozen: Config) -> None:
    assert set(frozen) == set(ROOT_KEYS) - set(PLACE_KEYS)


def test_paths_are_absolute(frozen: Config) -> None:
    assert frozen["datamodule"]["cache_dir"] == str(Path.cwd() / "here" / "cache")


def test_freezing_leaves_the_composed_config_alone(composed: Any) -> None:
    before = OmegaConf.to_yaml(composed)
    freeze(composed)
    assert OmegaConf.to_yaml(composed) == before


def test_frozen_is_checked_to_the_same(frozen: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert checked(frozen) == frozen


def test_keys_of_later_versions_are_filled_in(frozen: Config) -> None:
    older = {key: value for key, value in frozen.items() if key not in ("threads", "monitor")}
    whole = checked(older)
    assert whole["threads"] is None
    assert whole["monitor"] == {"metric": "val/loss", "mode": "min"}
    assert "threads" not in older


def test_parts_that_may_be_left_out(frozen: Config) -> None:
    bare = {key: value for key, value in frozen.items() if key not in ("scheduler", "augment")}
    whole = checked(bare)
    assert whole["scheduler"] == whole["augment"] == {}


@pytest.mark.parametrize("group", ["datamodule", "split", "model", "loss", "optimizer", "trainer"])
def test_parts_that_are_needed(group: str, frozen: Config) -> None:
    bare = {key: value for key, value in frozen.items() if key != group}
    with pytest.raises(
        ConfigError, match=f"^{group}: an option is needed; choose one with {group}="
    ):
        checked(bare)


PROBLEMS = {
    "unknown": ("sed", 1, "sed: no such key; did you mean `seed`?"),
    "unlike any": ("zebra", 1, "zebra: no such key"),
    "negative": ("seed", -1, "seed: got -1, expected 0 or more"),
    "threads": ("threads", 0, "threads: got 0, expected 1 or more"),
    "steps": ("trainer.accumulate_grad_batches", 0, "accumulate_grad_batches: got 0, expected 1"),
    "choice": ("matmul_precision", "hihg", "got 'hihg', expected highest or high or medium"),
    "deep choice": ("monitor.mode", "most", "monitor.mode: got 'most', expected min or max"),
    "role": ("callbacks.progres", {"enabled": False}, "did you mean `callbacks.progress`?"),
    "logger": ("logger.tsv", {"a": 1}, "logger.tsv: nothing to build, it has no `_target_`; did"),
    "signature": ("optimizer.lrr", 1, "optimizer.lrr: no such key; did you mean `lr`?"),
    "given": ("optimizer.params", [1], "optimizer.params: the program sets this itself"),
    "password": ("datamodule.cache_dir", "postgresql://me:pw@host/db", "cache_dir: a password in"),
    "missing": ("split.folds", "???", "split.folds: a value is needed"),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_problems(problem: str, frozen: Config) -> None:
    key, value, told = PROBLEMS[problem]
    with pytest.raises(ConfigError) as error:
        checked(with_value(frozen, key, value))
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_all_problems_are_told_at_once(frozen: Config) -> None:
    broken = with_value(with_value(frozen, "seed", -1), "optimizer.lrr", 1)
    with pytest.raises(ConfigError) as error:
        checked(broken)
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize("role", ["progress", "checkpoints"])
def test_callback_that_is_left_out(role: str, frozen: Config) -> None:
    assert checked(with_value(frozen, f"callbacks.{role}", None))["callbacks"][role] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seed: ???", "seed: a value is needed; add seed=..."),
        (
            "a:\n  b: ???\nseed: ???",
            "a.b: a value is needed; add a.b=...\nseed: a value is needed",
        ),
        ("{seed: 1, name: '${sed}'}", "name: ${sed} leads nowhere; did you mean `seed`?"),
        ("{name: '${zebra.x}'}", "name: ${zebra.x} leads nowhere"),
        ("{name: '${oc.env:NO_SUCH_VARIABLE}'}", "'NO_SUCH_VARIABLE' not found"),
    ],
)
def test_what_cannot_be_resolved(text: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        freeze(OmegaConf.create(text))
    assert told in str(error.value)


# -- comparing ------------------------------------------------------------------------------------


def test_flatten() -> None:
    node = {"a": {"b": 1, "c": {}}, "d": [1, {"e": 2}], "f": None}
    assert dict(flatten(node)) == {"a.b": 1, "a.c": {}, "d": [1, {"e": 2}], "f": None}


@pytest.mark.parametrize(
    ("ours", "theirs", "told"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": {"b": 1, "c": 2}}, {"a": {"c": 2, "b": 1}}, []),
        ({"a": 1}, {"a": 2}, ["a is 2 there, 1 here"]),
        ({"a": 1}, {"a": 1.0}, ["a is 1.0 there, 1 here"]),
        ({"a": "1"}, {"a": 1}, ["a is 1 there, '1' here"]),
        ({"c": 0}, {"c": 0, "a": {"b": 1}}, ["a.b is 1 there, absent here"]),
        ({"a": None, "c": 0}, {"c": 0}, ["a is absent there, None here"]),
        ({"b": 1, "a": 1}, {"a": 2, "b": 2}, ["a is 2 there, 1 here", "b is 2 there, 1 here"]),
    ],
)
def test_differences(ours: Config, theirs: Config, told: list[str]) -> None:
    assert differences(ours, theirs) == told


# -- where the YAML files are ---------------------------------------------------------------------


def test_files_of_a_checkout() -> None:
    assert (config_directory() / "train.yaml").is_file()


def test_files_of_an_installed_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "vitruvian"
    (package / "core").mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(package / "core" / "config.py"))
    assert config_directory() == tmp_path / "conf"
    (package / "conf").mkdir()
    assert config_directory() == package / "conf"
