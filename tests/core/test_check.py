"""The lines a user sees when a config is wrong, and the configs that are right."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vitruvian.core.allowed import VARIABLE
from vitruvian.core.check import check, check_node, correction, fits, members, nearest
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import kinds

SGD = {"_target_": "torch.optim.SGD", "_partial_": True}
NET = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "kernel_size": [3, [3, 3]]}
DYNUNET = {
    "_target_": "monai.networks.nets.DynUNet",
    **NET,
    "strides": [1, 2],
    "upsample_kernel_size": [2],
}
TRAINER = {"_target_": "pytorch_lightning.Trainer"}
STOP = {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/loss"}
MEAN = {"_target_": "torchmetrics.MeanMetric"}
SGD_TAKES = (
    "(torch.optim.SGD takes params, lr, momentum, dampening, weight_decay, nesterov, maximize, "
    "foreach, ...)"
)


def lines(node: Any, path: str = "key", **given: set[str]) -> list[str]:
    """What a user sees."""
    with pytest.raises(ConfigError) as error:
        check_node(node, path, given)
    return str(error.value).splitlines()


@pytest.mark.parametrize(
    "node",
    [
        {**SGD, "lr": 0.1, "momentum": 0, "nesterov": True, "foreach": None},
        {**SGD, "lr": 1},
        {**DYNUNET, "norm_name": "batch", "filters": [8, 16], "deep_supervision": False},
        {**DYNUNET, "norm_name": ["group", {"num_groups": 4}], "filters": None},
        {**TRAINER, "accelerator": "cpu", "devices": 1, "precision": "16-mixed"},
        {**TRAINER, "devices": [0, 1], "max_time": {"hours": 1}, "logger": False},
        {**TRAINER, "callbacks": [STOP], "limit_val_batches": 0.5, "precision": 32},
        {
            **TRAINER,
            "logger": [{"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "x"}],
        },
        {**STOP, "mode": "max"},
        {**MEAN, "nan_strategy": 0.0, "compute_on_cpu": True},
        {"_target_": "torch.nn.Conv2d", "in_channels": 1, "out_channels": 2, "kernel_size": [3, 1]},
        {"_target_": "torch.nn.Identity", "anything": 1},
        {"_target_": "monai.losses.DiceCELoss", "reduction": "mean", "sigmoid": True},
        {"name": "plain", "values": [1, None, {"a": {}}], 3: 4},
        {},
        None,
    ],
)
def test_configs_that_are_right(node: Any) -> None:
    assert check_node(node, "key") is None


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (
            {**SGD, "lrr": 1},
            f"key.lrr: no such key; did you mean `lr`? {SGD_TAKES}",
        ),
        (
            {**SGD, "xyz": 1},
            f"key.xyz: no such key {SGD_TAKES}",
        ),
        (
            {**STOP, "Patience": 3},
            "key.Patience: no such key; did you mean `patience`? (pytorch_lightning.callbacks."
            "EarlyStopping takes monitor, min_delta, patience, verbose, mode, strict, "
            "check_finite, stopping_threshold, ...)",
        ),
        (
            {"_target_": "torch.optim.SGD"},
            "key.params: a value is needed by torch.optim.SGD; add key.params=...",
        ),
        (
            {**SGD, "momentum": "high"},
            "key.momentum: got 'high', expected float (torch.optim.SGD)",
        ),
        (
            {**SGD, "momentum": "1e-3"},
            "key.momentum: got '1e-3', expected float; write 1.0e-3 without quotes "
            "(torch.optim.SGD)",
        ),
        (
            {**SGD, "lr": "fast"},
            "key.lr: got 'fast', expected float or a `_target_` (Tensor) (torch.optim.SGD)",
        ),
        (
            {**SGD, "momentum": True},
            "key.momentum: got True, expected float (torch.optim.SGD)",
        ),
        (
            {**SGD, "nesterov": "yes"},
            "key.nesterov: got 'yes', expected bool; write true without quotes (torch.optim.SGD)",
        ),
        (
            {**SGD, "nesterov": 1},
            "key.nesterov: got 1, expected bool (torch.optim.SGD)",
        ),
        (
            {**SGD, "foreach": "None"},
            "key.foreach: got 'None', expected bool or null; write null (torch.optim.SGD)",
        ),
        (
            {**SGD, "momentum": {"_target_": "torch.nn.Identity"}},
            "key.momentum: got {'_target_': 'torch.nn.Identity'}, expected float (torch.optim.SGD)",
        ),
        (
            {**STOP, "patience": 3.0},
            "key.patience: got 3.0, expected int; write 3 "
            "(pytorch_lightning.callbacks.EarlyStopping)",
        ),
        (
            {**STOP, "monitor": 3},
            'key.monitor: got 3, expected str; write "3" in quotes '
            "(pytorch_lightning.callbacks.EarlyStopping)",
        ),
        (
            {**DYNUNET, "strides": 2},
            "key.strides: got 2, expected Sequence[Sequence[int] | int] "
            "(monai.networks.nets.DynUNet)",
        ),
        (
            {**MEAN, "nan_strategy": "wran"},
            "key.nan_strategy: got 'wran', expected `error` or `warn` or `ignore` or `disable` or "
            "float; did you mean `warn`? (torchmetrics.MeanMetric)",
        ),
        (
            {**TRAINER, "precision": "16-mixd"},
            "key.precision: got '16-mixd', expected `64` or `32` or `16` or `transformer-engine` "
            "or `transformer-engine-float16` or `16-true` or `16-mixed` or `bf16-true` or ...; "
            "did you mean `16-mixed`? (pytorch_lightning.Trainer)",
        ),
        (
            {**SGD, "_recursive_": False},
            "key._recursive_: no such key; did you mean `_target_`?",
        ),
        (
            {"_targt_": "torch.optim.SGD"},
            "key._targt_: no such key; did you mean `_target_`?",
        ),
        (
            {"_target_": 3},
            "key._target_: got 3, expected a dotted name",
        ),
        (
            {**SGD, "_partial_": "true"},
            "key._partial_: got 'true', expected bool",
        ),
        (
            {"_partial_": True},
            "key: `_partial_` without `_target_`",
        ),
        (
            {"_target_": "torch.optim.SDG"},
            "key._target_: torch.optim.SDG does not exist; did you mean `torch.optim.SGD`?",
        ),
        (
            {"_target_": "vitruvian.core.files.write_text", "path": "x", "text": "y"},
            "key._target_: vitruvian.core.files.write_text is a function; a config builds classes",
        ),
        (
            {"_target_": "os.system", "command": "true"},
            "key._target_: os.system may not be built from a config; allowed are parts of "
            "vitruvian, torch, pytorch_lightning, lightning_fabric, monai, torchmetrics, optuna "
            "and, with "
            "VITRUVIAN_ALLOW_TARGETS=package, a package of your own",
        ),
        (
            {"root": "???"},
            "key.root: a value is needed",
        ),
    ],
)
def test_what_the_user_reads(node: Any, message: str) -> None:
    assert lines(node) == [message]


def test_every_problem_has_its_line() -> None:
    config = {
        "optimizer": {**SGD, "lrr": 1, "momentum": "x"},
        "callbacks": [{**STOP, "patienc": 1}],
        "model": {"net": {"_target_": "torch.nn.Conv3"}},
    }
    with pytest.raises(ConfigError) as error:
        check(config)
    keys = [line.split(":")[0] for line in str(error.value).splitlines()]
    assert keys == [
        "optimizer.lrr",
        "optimizer.momentum",
        "callbacks[0].patienc",
        "model.net._target_",
    ]


def test_a_misspelt_key_is_not_missed_as_well() -> None:
    node = {key: value for key, value in DYNUNET.items() if key != "strides"}
    assert len(lines({**node, "stride": [1]})) == 1


# --- what the program passes itself ------------------------------------------------------------

MODEL = """
class Model:
    def __init__(self, net, loss, width: int = 1): ...
class Narrow:
    def __init__(self, net): ...
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "checked_lab.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "checked_lab")
    return "checked_lab"


@pytest.mark.parametrize(
    ("name", "keys", "expected"),
    [
        ("Model", {"net": 1}, []),
        (
            "Model",
            {"net": 1, "loss": 2},
            ["model.loss: the program sets this itself; remove the key"],
        ),
        ("Model", {}, ["model.net: a value is needed by checked_lab.Model; add model.net=..."]),
        (
            "Model",
            {"net": 1, "los": 2},
            ["model.los: no such key (checked_lab.Model takes net, width)"],
        ),
        ("Narrow", {"net": 1}, ["model._target_: checked_lab.Narrow must take `loss`"]),
    ],
)
def test_given_arguments(lab: str, name: str, keys: dict[str, Any], expected: list[str]) -> None:
    config = {"model": {"_target_": f"{lab}.{name}", **keys}}
    if expected:
        assert lines(config, "", model={"loss"}) == expected
    else:
        assert check(config, {"model": {"loss"}}) is None
    assert lab not in sys.modules


# --- values against annotations ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("int", [1, -1], [1.0, True, "1", None, [1], {}]),
        ("float", [1, 1.5, float("inf")], [True, "1.0", None]),
        ("bool", [True], [0, "true", None]),
        ("str", ["", "x"], [1, True, None, ["x"]]),
        ("None", [None], [0, ""]),
        ("Path", ["x"], [1]),
        ("pathlib.Path | None", ["x", None], [1]),
        ("Optional[int]", [1, None], ["1"]),
        ("typing.Union[int, str]", [1, "x"], [1.5, None]),
        ("'int | None'", [1, None], ["x"]),
        ("Annotated[int, 'mm']", [1], ["x"]),
        ("Literal['a', 2]", ["a", 2], ["b", "2", 2.0]),
        ("list[int]", [[], [1, 2]], [[1.5], 1, "12"]),
        ("Sequence[str]", [["a"]], ["a", [1]]),
        ("tuple[int, str]", [[1, "a"]], [[1], [1, "a", 2], ["a", 1], 1]),
        ("tuple[float, ...]", [[], [1, 2.5]], [["a"]]),
        ("list", [[1, "a"]], [1]),
        ("dict[str, int]", [{}, {"a": 1}], [{"a": "b"}, [1]]),
        ("Mapping", [{"a": 1}], [1]),
        ("Sequence[Sequence[int] | int]", [[1, [2, 3]]], [[1, ["a"]]]),
        ("Callable[[int], int]", [1, "x"], []),
        ("Unknown", [1, "x", [1], {}], []),
        ("Any", [1, None], []),
    ],
)
def test_values(annotation: str, good: list[Any], bad: list[Any]) -> None:
    alternatives = list(kinds(ast.parse(annotation, mode="eval").body, None))

    def accepted(value: Any) -> bool:
        return any(fits(value, kind) for kind in alternatives)

    assert [value for value in good if not accepted(value)] == []
    assert [value for value in bad if accepted(value)] == []


@pytest.mark.parametrize(
    ("annotation", "accepted"),
    [
        ("int", False),
        ("str | None", False),
        ("Literal['a']", False),
        ("list[int]", True),
        ("dict", True),
        ("Net", True),
        ("int | Net", True),
        ("Any", True),
    ],
)
def test_objects_to_be_built(annotation: str, accepted: bool) -> None:
    alternatives = kinds(ast.parse(annotation, mode="eval").body, None)
    assert any(fits({"_target_": "torch.nn.Identity"}, kind) for kind in alternatives) == accepted


# --- the nearest right name --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "candidates", "expected"),
    [
        ("lrr", ["lr", "momentum"], "lr"),
        ("LR", ["lr", "l"], "lr"),
        ("sgd", ["sdg", "SGD", "SDG"], "SGD"),
        ("SDG", ["sgd", "SGD"], "SGD"),
        ("batchsize", {"batch_size": 1, "size": 2}, "batch_size"),
        ("momentum", [], None),
        ("xyz", ["lr", "momentum"], None),
        ("3", [3, 4], "3"),
    ],
)
def test_nearest(name: str, candidates: Any, expected: str | None) -> None:
    assert nearest(name, candidates) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("trch.optim.Adm", "torch.optim.Adam"),
        ("torch.optm.SGD", "torch.optim.SGD"),
        ("torch.nn.conv2d", "torch.nn.Conv2d"),
        ("pytorch_lightning.trainer", "pytorch_lightning.Trainer"),
        ("monai.networks.nets.DynUnett", "monai.networks.nets.DynUnet"),
        ("vitruvian.core.file.write_text", None),  # a function
        ("os.system", None),
    ],
)
def test_correction(target: str, expected: str | None) -> None:
    assert correction(target) == expected


def test_members_stay_inside_the_allow_list() -> None:
    assert set(members("torch")) == {"nn", "optim"}
    assert "os" not in members("")
    assert "core" in members("vitruvian")


def test_checking_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from vitruvian.core.check import problems\n"
        f"config = [{SGD!r}, {DYNUNET!r}, {TRAINER!r}, {STOP!r}, {MEAN!r}, "
        "{'_target_': 'torch.optim.SDG'}, {'_target_': 'os.system'}]\n"
        "assert len(list(problems(config, '', {}))) == 2\n"
        "heavy = {'torch', 'pytorch_lightning', 'monai', 'numpy', 'torchmetrics'}\n"
        "print(*heavy & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""
