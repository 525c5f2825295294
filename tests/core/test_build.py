"""Building: what comes out, what the user reads when it fails, and what can never be reached."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from vitruvian.core.allowed import VARIABLE
from vitruvian.core.build import build, locate
from vitruvian.core.errors import ConfigError, DataError

SOURCE = """
import os
import subprocess as runner
from os import system
from os import system as helper
from pathlib import Path
from torch import load
from torch.nn import Conv2d
from pytorch_lightning import LightningModule
from vitruvian.core.errors import DataError

class Thing:
    def __init__(self, *args, **kwargs): self.args, self.kwargs = args, kwargs
    @classmethod
    def of(cls, **kwargs): return cls(made="of", **kwargs)
    @staticmethod
    def still(**kwargs): return kwargs
    def method(self): return self

class Net(LightningModule): ...

class Evil(Path): ...

class Failing:
    def __init__(self, kind: str):
        raise {"value": ValueError, "type": TypeError, "data": DataError, "key": KeyError}[kind](
            "width must be even"
        )

def make(**kwargs): return Thing(**kwargs)

instance = Thing()
borrowed = os.system
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module of one's own, allowed by the environment."""
    (tmp_path / "built_lab.py").write_text(SOURCE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "built_lab")
    yield "built_lab"
    sys.modules.pop("built_lab", None)


@pytest.mark.parametrize(
    "node", [None, 1, 1.5, "text", True, [], {}, [1, {"a": [None]}], {"a": {"b": 1}, 3: [4]}]
)
def test_plain_values_stay(node: Any) -> None:
    built = build(node)
    assert built == node
    assert type(built) is type(node)


def test_objects_inside_objects(lab: str) -> None:
    inner = {"_target_": f"{lab}.Thing", "x": 1}
    outer = build({"_target_": f"{lab}.Thing", "list": [inner, 2], "dict": {"key": inner}}, "model")
    assert type(outer).__name__ == "Thing"
    assert outer.kwargs["list"][0].kwargs == {"x": 1}
    assert outer.kwargs["list"][1] == 2
    assert outer.kwargs["dict"]["key"].kwargs == {"x": 1}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Thing", {"x": 1}), ("Thing.of", {"made": "of", "x": 1}), ("make", {"x": 1})],
)
def test_classes_class_methods_and_permitted_functions(
    lab: str, name: str, expected: dict[str, Any]
) -> None:
    assert build({"_target_": f"{lab}.{name}", "x": 1}).kwargs == expected


def test_given_arguments_reach_the_outermost_call_only(lab: str) -> None:
    node = {"_target_": f"{lab}.Thing", "net": {"_target_": f"{lab}.Thing"}, "x": 1}
    built = build(node, "model", loss="ce", x=2, path="p", node="n")
    assert built.kwargs["net"].kwargs == {}
    assert {k: v for k, v in built.kwargs.items() if k != "net"} == {
        "loss": "ce",
        "x": 2,
        "path": "p",
        "node": "n",
    }


def test_partial_waits_for_the_rest() -> None:
    import torch

    partial = build({"_target_": "torch.optim.SGD", "_partial_": True, "lr": 0.25}, "optimizer")
    assert isinstance(partial, functools.partial)
    optimizer = partial([torch.nn.Parameter(torch.zeros(1))])
    assert isinstance(optimizer, torch.optim.SGD)
    assert optimizer.defaults["lr"] == 0.25


def test_third_party_objects() -> None:
    import torch

    net = build(
        {
            "_target_": "monai.networks.nets.BasicUNet",
            "spatial_dims": 2,
            "features": [4, 4, 4, 4, 4, 4],
        }
    )
    assert net(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)
    assert build({"_target_": "torch.nn.Identity"})(3) == 3
    assert locate("torch.nn.functional.relu") is torch.nn.functional.relu


@pytest.mark.parametrize(
    ("node", "path", "message"),
    [
        (
            {"_target_": "built_lab.Failing", "kind": "value"},
            "model.net",
            "model.net (built_lab.Failing): width must be even",
        ),
        (
            {"_target_": "built_lab.Failing", "kind": "type"},
            "",
            "(built_lab.Failing): width must be even",
        ),
        (
            {"nets": [1, {"_target_": "built_lab.Failing", "kind": "value"}]},
            "model",
            "model.nets[1] (built_lab.Failing): width must be even",
        ),
        (
            {"_target_": "built_lab.Failing", "knid": "value"},
            "loss",
            "loss (built_lab.Failing): Failing.__init__() got an unexpected keyword argument "
            "'knid'",
        ),
        (
            {"_target_": "built_lab.Absent"},
            "loss",
            "loss._target_: built_lab.Absent does not exist",
        ),
    ],
)
@pytest.mark.usefixtures("lab")
def test_what_the_user_reads(node: Any, path: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        build(node, path)
    assert str(error.value) == message


@pytest.mark.parametrize(("kind", "error"), [("data", DataError), ("key", KeyError)])
def test_other_errors_pass_through(lab: str, kind: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="width must be even"):
        build({"_target_": f"{lab}.Failing", "kind": kind})


@pytest.mark.parametrize(
    ("node", "given", "message"),
    [
        (OmegaConf.create({"a": 1}), {}, "the config: DictConfig is not plain; freeze it first"),
        ({"a": OmegaConf.create([1])}, {}, "a: ListConfig is not plain"),
        ({"a": (1, 2)}, {}, "a: tuple is not plain"),
        ({"a": 1}, {"loss": 2}, "the config has no _target_ to take loss"),
        (3, {"loss": 2}, "the config has no _target_ to take loss"),
    ],
)
def test_programmer_mistakes(node: Any, given: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        build(node, **given)


# --- attacks -----------------------------------------------------------------------------------

ATTACKS = [
    "os.system",
    "builtins.eval",
    "subprocess.Popen",
    "importlib.import_module",
    "torch.load",
    "torch.hub.load",
    "torch.nn.modules.module.torch.load",
    "torch.nn.Module.__init__.__globals__",
    "torch.nn.Module.__subclasses__",
    "torch.nn.Module.mro",
    "torch.nn.Module.load_state_dict",
    "torch.nn.functional.importlib.import_module",
    "torch.nn.utils.parametrize.copyreg.pickle",
    "pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree",
    "pytorch_lightning.loggers.csv_logs.os.system",
    "pytorch_lightning.strategies.launchers.subprocess_script.subprocess.Popen",
    "monai.networks.nets.flexible_unet.optional_import",
    "monai.networks.nets.flexible_unet.FlexUNetEncoderRegister.register_class",
    "monai.networks.nets.hovernet.download_url",
    "monai.networks.utils.save_state",
    "monai.transforms.LoadImage",
    "monai.bundle.ConfigParser",
    "monai.inferers.PatchInferer",
    "monai.inferers.inferer.locate",
    "monai.losses.PerceptualLoss",
    "vitruvian.core.files.write_text",
    "vitruvian.core.files.os.system",
    "vitruvian.core.files.os.path.os.system",
    "vitruvian.core.files.tempfile.os.system",
    "vitruvian.core.files.Path",
    "vitruvian.core.build.build",
    "vitruvian.core.build.locate",
    "vitruvian.core.build.importlib.import_module",
    "built_lab.os.system",
    "built_lab.system",
    "built_lab.helper",
    "built_lab.borrowed",
    "built_lab.runner.Popen",
    "built_lab.load",
    "built_lab.Path",
    "built_lab.Evil.cwd",
    "built_lab.Net.load_from_checkpoint",
    "built_lab.instance",
    "built_lab.instance.method",
    "built_lab.Thing.method",
    "built_lab.Thing.still",
    "built_lab.make.x",
    "built_lab",
]


@pytest.mark.parametrize("target", ATTACKS)
@pytest.mark.usefixtures("lab")
def test_attacks_are_refused_when_building(target: str) -> None:
    with pytest.raises(ConfigError):
        locate(target)


@pytest.mark.parametrize("target", ATTACKS)
@pytest.mark.usefixtures("lab")
def test_attacks_are_refused_when_checking(target: str) -> None:
    from vitruvian.core.check import check_node

    with pytest.raises(ConfigError, match="_target_"):
        check_node({"_target_": target}, "model")


def test_reexports_of_allowed_classes_pass(lab: str) -> None:
    import torch

    assert locate(f"{lab}.Conv2d") is torch.nn.Conv2d


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import package_that_is_absent\n", "cannot be imported: No module named 'package_that_is"),
        ("from os import nothing_of_the_sort\n", "cannot be imported: cannot import name"),
    ],
)
def test_missing_dependencies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    (tmp_path / "needy").mkdir()
    (tmp_path / "needy" / "nets.py").write_text(source, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, "needy")
    with pytest.raises(ConfigError, match=message):
        locate("needy.nets.Net")
