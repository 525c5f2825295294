"""What is swept, in Hydra's words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra.core.config_loader import ConfigLoader

from tests.sweeps.composed import hydra_of
from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.axes import combined, grid, listed, overrides_of, points_of, split_arguments


@pytest.fixture(scope="module")
def loader() -> Iterator[ConfigLoader]:
    with hydra_of() as (found, _):
        yield found


def axes(loader: ConfigLoader, *arguments: str, **params: Any) -> tuple[list[str], Any]:
    named = {key.replace("__", "."): value for key, value in params.items()}
    fixed, swept = split_arguments(loader, named, arguments)
    return fixed, listed(swept)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("optimizer.lr=0.003,1e-2", ["0.003", "0.01"]),
        ("optimizer.lr=choice(0.1,0.2)", ["0.1", "0.2"]),
        ("split.fold=range(5)", ["0", "1", "2", "3", "4"]),
        ("split.fold=range(1,10,4)", ["1", "5", "9"]),
        ("datamodule.patch=[64,64],[96,96]", ["[64,64]", "[96,96]"]),
        ("optimizer=adam,sgd", ["adam", "sgd"]),
        ("+optimizer.nesterov=true,false", ["True", "False"]),
        ("name='a b','c,d'", ["'a b'", "'c,d'"]),
        ("seed=sort(3,1,2)", ["1", "2", "3"]),
        ("experiment=glob(liver_ablation*)", ["liver_ablation_eas", "liver_ablation_separable"]),
        ("experiment=glob([liver_a*,liver_d*],exclude=*_eas)",
         ["liver_ablation_separable", "liver_demo"]),
    ],
)  # fmt: skip
def test_an_axis(argument: str, values: Sequence[str], loader: ConfigLoader) -> None:
    fixed, found = axes(loader, "seed_is=no", argument)
    assert fixed == ["seed_is=no"]
    assert found == {argument.partition("=")[0]: values}


def test_the_command_line_wins_over_the_sweepers_params(loader: ConfigLoader) -> None:
    fixed, found = axes(
        loader, "seed=4", "optimizer.lr=1,2", optimizer__lr="3,4", seed="1,2", name="x"
    )
    assert fixed == ["seed=4", "name=x"]
    assert found == {"optimizer.lr": ["1", "2"]}


def test_the_last_axis_changes_fastest() -> None:
    assert grid({"a": ["1", "2"], "b": ["x", "y"]}) == [
        {"a": "1", "b": "x"}, {"a": "1", "b": "y"}, {"a": "2", "b": "x"}, {"a": "2", "b": "y"},
    ]  # fmt: skip
    assert grid({}) == [{}], "nothing swept is one run"


def test_points_are_combined_with_axes() -> None:
    points = combined([{"a": "1"}, {"a": "2", "c": "3"}], {"b": ["x", "y"]})
    assert [overrides_of(point) for point in points] == [
        ("a=1", "b=x"), ("a=1", "b=y"), ("a=2", "c=3", "b=x"), ("a=2", "c=3", "b=y"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "point"),
    [
        ({"optimizer.lr": 0.01, "seed": 1}, {"optimizer.lr": "0.01", "seed": "1"}),
        ({"a": None, "b": True, "c": [1, "x"], "d": {"e": False}},
         {"a": "null", "b": "true", "c": "[1,x]", "d": "{e:false}"}),
        (["optimizer.lr=0.01", "model=unet"], {"optimizer.lr": "0.01", "model": "unet"}),
        (["+a=b=c"], {"+a": "b=c"}),
    ],
)  # fmt: skip
def test_a_point_of_a_list(entry: Any, point: dict[str, str], tmp_path: Path) -> None:
    import yaml

    file = tmp_path / "points.yaml"
    file.write_text(yaml.safe_dump([entry]))
    assert points_of([entry]) == points_of(str(file)) == [point]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "cannot be read: No such file"),
        ("[", "not valid YAML"),
        ("", "expected a list of points"),
        ("a: 1", "expected a list of points"),
        ("- a", "point 1: expected key: value pairs"),
        ("- {a: 1}\n- [b]", "point 2: expected key: value pairs"),
        ("- {}", "point 1: expected key: value pairs"),
    ],
)
def test_a_list_that_is_none(content: str | None, told: str, tmp_path: Path) -> None:
    file = tmp_path / "points.yaml"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigError, match=rf"^hydra.sweeper.points={file}.*{told}"):
        points_of(str(file))


@pytest.mark.parametrize(
    ("argument", "told"),
    [
        ("optimizer.lr=interval(0,1)", "an interval needs a sampler; add hydra/sweeper=optuna"),
        ("experiment=glob(nothing_*)", "no value, there is nothing to sweep"),
        ("hydra.launcher.jobs=1,2", "one sweep has one value of it"),
        ("hydra/launcher=local,slurm", "one sweep has one value of it"),
    ],
)
def test_an_axis_that_is_none(argument: str, told: str, loader: ConfigLoader) -> None:
    with pytest.raises(ConfigError, match=told):
        axes(loader, argument)


def test_a_mistyped_range_is_no_sweep() -> None:
    with pytest.raises(ConfigError, match=r"1,002,001 combinations of a, b: at most 1,000,000"):
        grid({"a": [str(n) for n in range(1001)], "b": [str(n) for n in range(1001)]})


@pytest.mark.parametrize(
    "value",
    ["x,y", "/run (2)", "it's", 'a "b"', "back\\slash", "end\\", "{a}", "", " x ", "a=b", "plain"],
)  # fmt: skip
def test_a_text_of_a_list_is_one_value(value: str) -> None:
    from vitruvian.sweeps.bases import read_value

    (point,) = points_of([{"name": value}])
    assert read_value("name", point["name"]) == value


def test_params_may_hold_plain_values(loader: ConfigLoader) -> None:
    fixed, found = axes(loader, threads=None, seed="1,2", datamodule__patch=[64, 64])
    assert fixed == ["threads=null", "datamodule.patch=[64,64]"]
    assert found == {"seed": ["1", "2"]}
