"""A search space is read from Hydra's grammar, kept as plain data, and checked at its corners."""

from __future__ import annotations

import json
from typing import Any

import optuna
import pytest

from vitruvian.core.errors import ConfigError
from vitruvian.sweeps.space import Space

READ = [
    ("lr=interval(0.1,0.5)", {"kind": "float", "low": 0.1, "high": 0.5}),
    ("lr=tag(log,interval(1e-4,1e-1))", {"kind": "float", "low": 1e-4, "high": 0.1, "log": True}),
    ("n=int(interval(1,5))", {"kind": "int", "low": 1, "high": 5}),
    ("n=tag(log,int(interval(8,128)))", {"kind": "int", "low": 8, "high": 128, "log": True}),
    ("n=range(8,33,8)", {"kind": "int", "low": 8, "high": 32, "step": 8}),
    ("n=range(10,0,-3)", {"kind": "int", "low": 1, "high": 10, "step": 3}),
    ("p=range(0.1,0.45,0.1)", {"kind": "float", "low": 0.1, "high": 0.4, "step": 0.1}),
    ("n=range(3)", {"kind": "int", "high": 2, "step": 1}),
    ("n=range(3,4)", {"kind": "int", "low": 3, "high": 3}),
    ("model=a,b,a", {"kind": "choice", "choices": ["a", "b"]}),
    ("s=choice([1,2],[3])", {"kind": "choice", "choices": ["[1,2]", "[3]"]}),
    ("s=null,True,'a b'", {"kind": "choice", "choices": ["null", "true", "'a b'"]}),
]


@pytest.mark.parametrize(("line", "expected"), READ, ids=[line for line, _ in READ])
def test_reads_hydras_grammar(line: str, expected: dict[str, Any]) -> None:
    key = line.partition("=")[0]
    assert Space.of({}, [line]).plain() == [{"key": key, **expected}]


def test_the_command_line_wins_over_the_config() -> None:
    params = {"lr": "interval(0.1,0.5)", "n": "range(3)", "fixed": 0.5}
    space = Space.of(params, ["lr=0.2", "n=1,2", "seed=3", "hydra.launcher.jobs=2"])
    assert space.plain() == [{"key": "n", "kind": "choice", "choices": ["1", "2"]}]


WHEN = {"opt=sgd": {"mom": "interval(0.8,0.99)", "nesterov": True}, "opt=adam": {"mom": "0.5,0.6"}}
CONDITIONS = [
    ("swept", ["opt=sgd,adam"], {"mom if opt=sgd", "nesterov if opt=sgd", "mom if opt=adam"}),
    ("settled", ["opt=sgd", "x=1,2"], {"mom", "nesterov"}),
    ("settled otherwise", ["opt=rmsprop", "x=1,2"], set()),
    ("one choice alone", ["opt=choice(sgd)"], {"mom", "nesterov"}),
    ("its key is given", ["opt=sgd,adam", "mom=0.7"], {"nesterov if opt=sgd"}),
]


@pytest.mark.parametrize(
    ("overrides", "names"), [case[1:] for case in CONDITIONS], ids=[case[0] for case in CONDITIONS]
)
def test_conditions(overrides: list[str], names: set[str]) -> None:
    when = WHEN if "adam" in overrides[0] else {"opt=sgd": WHEN["opt=sgd"]}
    space = Space.of({}, overrides, when)
    assert {one.name for one in space.parameters} - {"opt", "x"} == names


def test_suggests_only_what_its_condition_allows() -> None:
    space = Space.from_plain(json.loads(json.dumps(Space.of({}, ["opt=sgd,adam"], WHEN).plain())))
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    points = [space.suggest(study.ask()) for _ in range(20)]
    assert {point["opt"] for point in points} == {"sgd", "adam"}
    for point in points:
        assert ("nesterov" in point) == (point["opt"] == "sgd")
        assert (point["mom"] in ("0.5", "0.6")) == (point["opt"] == "adam")


def test_few_corners_touch_every_choice_and_both_ends() -> None:
    space = Space.of({"opt": "sgd,adam", "lr": "interval(0.1,0.5)", "n": "1,2,3"}, [], WHEN)
    corners = list(space.corners())
    assert len(corners) == 7
    seen = {key: {point[key] for point in corners if key in point} for key in ("lr", "n", "mom")}
    assert seen == {"lr": {0.1, 0.5}, "n": {"1", "2", "3"}, "mom": {0.8, 0.99, "0.5", "0.6"}}
    assert all(("nesterov" in point) <= (point["opt"] == "sgd") for point in corners)


def test_a_grid_has_all_points() -> None:
    space = Space.of({}, ["a=x,y", "n=range(0,6,2)", "p=range(0.1,0.45,0.1)"])
    grid = {"a": ["x", "y"], "n": [0, 2, 4], "p": [0.1, 0.2, 0.3, 0.4]}
    assert (space.grid(), space.size()) == (grid, 24)


WRONG: list[tuple[list[str], dict[str, Any], str]] = [
    (["lr=0.1"], {}, "nothing to choose"),
    (["lr=interval(0.5,0.1)"], {}, "lr: the interval from 0.5 to 0.1 is empty"),
    (["lr=tag(log,interval(0,1))"], {}, "lr: a logarithmic interval begins above 0"),
    (["lr=tag(lag,interval(1,2))"], {}, "lr: lag: an interval knows the tag log"),
    (["lr=tag(log,choice(1,2))"], {}, "only an interval has a tag"),
    (["n=range(3,3)"], {}, "n: the range is empty"),
    (["lr=interval(0.1"], {}, "hydra.sweeper: "),
    (["opt=a,b"], {"opt": {"x": "1,2"}}, "when.opt: expected key=value"),
    (["opt=sgd,adam"], {"opt=sdg": {"x": "1,2"}}, "opt is never sdg; did you mean `opt=sgd`"),
    (["opt=a,b"], {"otp=a": {"x": "1,2"}}, "otp is neither swept nor given; did you mean `opt=a`"),
    (["n=range(3)"], {"n=1": {"x": "1,2"}}, "n is a range of numbers"),
]


@pytest.mark.parametrize(("overrides", "when", "message"), WRONG, ids=[w[2][:40] for w in WRONG])
def test_mistakes(overrides: list[str], when: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Space.of({}, overrides, when)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "when", "message"),
    [
        (["lr=interval(0.1,0.5)"], {}, "lr: the grid sampler needs values"),
        (["opt=a,b"], {"opt=a": {"x": "1,2"}}, "knows no conditions"),
    ],
)
def test_no_grid(overrides: list[str], when: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Space.of({}, overrides, when).grid()
