"""What targets take, read from source: what the real objects say, with nothing imported."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from vitruvian.core.allowed import VARIABLE
from vitruvian.core.build import locate
from vitruvian.core.errors import ConfigError
from vitruvian.core.signatures import absolute_paths, signature_of

TARGETS = [
    "pytorch_lightning.Trainer",
    "pytorch_lightning.callbacks.EarlyStopping",
    "pytorch_lightning.callbacks.ModelCheckpoint",
    "pytorch_lightning.callbacks.LearningRateMonitor",
    "pytorch_lightning.loggers.CSVLogger",
    "pytorch_lightning.strategies.DDPStrategy",
    "pytorch_lightning.plugins.environments.SLURMEnvironment",
    "torch.optim.SGD",
    "torch.optim.Adam",
    "torch.optim.AdamW",
    "torch.optim.lr_scheduler.PolynomialLR",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "torch.optim.lr_scheduler.StepLR",
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "torch.optim.lr_scheduler.OneCycleLR",
    "torch.nn.CrossEntropyLoss",
    "torch.nn.Identity",
    "torch.nn.Conv2d",
    "torch.nn.functional.cross_entropy",
    "monai.networks.nets.DynUNet",
    "monai.networks.nets.SegResNet",
    "monai.networks.nets.UNet",
    "monai.networks.nets.BasicUNet",
    "monai.networks.nets.resnet50",
    "monai.losses.DiceCELoss",
    "monai.losses.DiceLoss",
    "torchmetrics.MeanMetric",
]
HEAVY = ["torch", "pytorch_lightning", "monai", "torchmetrics", "numpy"]


def of_object(target: str) -> tuple[dict[str, bool], bool]:
    """Ask the real object: name -> whether it is required, and whether any other name goes."""
    taken = inspect.signature(locate(target)).parameters.values()
    named = [p for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    return {p.name: p.default is p.empty for p in named}, any(
        p.kind is p.VAR_KEYWORD for p in taken
    )


def assert_same(target: str) -> None:
    signature = signature_of(target)
    read = {name: parameter.required for name, parameter in signature.parameters.items()}
    real, is_open = of_object(target)
    if is_open:  # what `**kwargs` hands to the base may have been added
        assert read | real == read
    else:
        assert read == real
        assert not signature.open


@pytest.mark.parametrize("target", TARGETS)
def test_source_and_object_agree(target: str) -> None:
    assert_same(target)


def own_modules() -> Iterator[str]:
    for found in pkgutil.walk_packages(vitruvian.__path__, "vitruvian."):
        if "__main__" not in found.name:
            yield found.name


@pytest.mark.parametrize("name", own_modules())
def test_source_and_object_agree_on_our_own_classes(name: str) -> None:
    module = importlib.import_module(name)
    defined = [o for o in vars(module).values() if inspect.isclass(o) and o.__module__ == name]
    for found in defined:
        if not found.__name__.startswith("_") and not issubclass(found, (Exception, Enum)):
            assert_same(f"{name}.{found.__name__}")


def test_nothing_is_imported() -> None:
    script = (
        "import json, sys\n"
        "from vitruvian.core.check import check\n"
        "from vitruvian.core.signatures import signature_of\n"
        f"for target in {TARGETS!r}: assert signature_of(target).parameters or target\n"
        "node = {'_target_': 'torch.optim.SGD', '_partial_': True, 'lr': 0.1}\n"
        "check({'optimizer': node})\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


# --- one construct each ------------------------------------------------------------------------

SOURCE = """
from __future__ import annotations
import functools
from dataclasses import KW_ONLY, InitVar, dataclass, field
from typing import ClassVar, Generic, NamedTuple, TypeVar, overload
from .base import Base, Closed

T = TypeVar("T")

def keep(function):
    @functools.wraps(function)
    def inner(*args, **kwargs): return function(*args, **kwargs)
    return inner

class Plain:
    def __init__(self, a, b=1, *rest, c, d=None): ...

class Decorated:
    @keep
    def __init__(self, a, b: int = 1): ...

class Overloaded:
    @overload
    def __init__(self, a): ...
    @overload
    def __init__(self, a, b): ...
    def __init__(self, a, b=None): ...

class PositionalOnly:
    def __init__(self, a=1, /, b=2): ...

class Nothing: ...

class Inherits(Base): ...

class Twice(Inherits, Generic[T]): ...

class New:
    def __new__(cls, a, b=1): return super().__new__(cls)

class HandsOn(Closed):
    def __init__(self, own, **kwargs):
        super().__init__("filled", y=2, **kwargs)

class UsesToo(Closed):
    def __init__(self, own, **kwargs):
        kwargs.setdefault("z", 1)
        super().__init__(1, 2, **kwargs)

class Keeps(Base):
    def __init__(self, **kwargs): self.kept = kwargs

@dataclass
class Record:
    a: int
    shared: ClassVar[int] = 3
    b: float = 1.0
    c: list[int] = field(default_factory=list)
    d: int = field(init=False, default=0)
    e: InitVar[int] = 4
    _: KW_ONLY
    f: str = field()

@dataclass()
class Longer(Record):
    g: int = 5
    a: int = 6

class Pair(NamedTuple):
    left: int
    right: int = 0

class Made:
    def __init__(self, a): ...
    @classmethod
    def small(cls, width, depth=2): return cls(width)
    @classmethod
    def any(cls, **options): return cls(1)

def build(a, *, b=1): ...

class Conditional:
    if True:
        def __init__(self, a): ...
"""

BASE = """
class Base:
    def __init__(self, x, y=1): ...
class Closed:
    def __init__(self, x, y, z=3, *, w=4): ...
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package of one's own, allowed by the environment; yields its name."""
    name = "sample_lab"
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("", encoding="utf-8")
    (folder / "base.py").write_text(BASE, encoding="utf-8")
    (folder / "kinds.py").write_text(SOURCE, encoding="utf-8")
    (folder / "dynamic.py").write_text(
        "from .kinds import Plain\ndef __getattr__(name):\n"
        "    if name == 'Late': return Plain\n    raise AttributeError(name)\n",
        encoding="utf-8",
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(VARIABLE, name)
    yield name
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


@pytest.mark.parametrize(
    ("name", "required", "optional", "is_open"),
    [
        ("Plain", "a c", "b d", False),
        ("Decorated", "a", "b", False),
        ("Overloaded", "a", "b", False),
        ("PositionalOnly", "", "b", False),
        ("Nothing", "", "", False),
        ("Inherits", "x", "y", False),
        ("Twice", "x", "y", False),
        ("New", "a", "b", False),
        ("HandsOn", "own", "z w", False),
        ("UsesToo", "own", "", True),
        ("Keeps", "", "", True),
        ("Record", "a f", "b c e", False),
        ("Longer", "f", "a b c e g", False),
        ("Pair", "left", "right", False),
        ("Made.small", "width", "depth", False),
        ("Made.any", "", "", True),
        ("build", "a", "b", False),
        ("Conditional", "a", "", False),
    ],
)
def test_constructs(lab: str, name: str, required: str, optional: str, is_open: bool) -> None:
    target = f"{lab}.kinds.{name}"
    signature = signature_of(target)
    taken = signature.parameters.values()
    assert {p.name for p in taken if p.required} == set(required.split())
    assert {p.name for p in taken if not p.required} == set(optional.split())
    assert signature.open == is_open
    assert lab not in sys.modules
    assert_same_or_wider(target)


def assert_same_or_wider(target: str) -> None:
    real, is_open = of_object(target)
    read = {name: parameter.required for name, parameter in signature_of(target).parameters.items()}
    assert (read | real if is_open else real) == read


def test_what_no_source_shows_is_imported(lab: str) -> None:
    assert set(signature_of(f"{lab}.dynamic.Late").parameters) == {"a", "b", "c", "d"}
    assert f"{lab}.dynamic" in sys.modules


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("torch.optim.SDG", "torch.optim.SDG does not exist"),
        ("torch.optim.sgd.nothing.SGD", "does not exist"),
        ("monai.networks.nets", "monai.networks.nets is a module; name a class in it"),
        ("os.system", "os.system may not be built from a config"),
        ("sample_lab.kinds.Absent", "sample_lab.kinds.Absent does not exist"),
        ("sample_lab.dynamic.Absent", "sample_lab.dynamic.Absent does not exist"),
        ("sample_lab.kinds.dataclass", "dataclasses.dataclass may not be built from a config"),
        ("sample_lab.kinds.functools.wraps", "sample_lab.kinds.functools.wraps does not exist"),
        ("sample_lab.kinds.Plain.keep", "sample_lab.kinds.Plain.keep does not exist"),
        ("vitruvian.core.files.write_text", "write_text is a function; a config builds classes"),
        ("vitruvian.core.files.os.system", "vitruvian.core.files.os.system does not exist"),
        ("vitruvian.core.files.Path", "pathlib.Path may not be built from a config"),
        ("vitruvian.core.build.importlib.import_module", "does not exist"),
        ("torch.nn.modules.module.torch.load", "does not exist"),
        ("torch.nn.Module.state_dict", "state_dict is a method; a config builds classes and class"),
        ("torch.nn.Module.__init__.__globals__", "names something private"),
        ("monai.inferers.PatchInferer", "it imports whatever its merger_cls names"),
        ("monai.losses.PerceptualLoss", "it downloads code through torch.hub"),
    ],
)
@pytest.mark.usefixtures("lab")
def test_targets_that_are_refused(target: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        signature_of(target)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_absent_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "absent_lab")
    with pytest.raises(
        ConfigError, match=r"absent_lab\.Net does not exist: absent_lab is not installed"
    ):
        signature_of("absent_lab.Net")


# --- paths -------------------------------------------------------------------------------------

READER = """
from pathlib import Path
from typing import Optional, Union
Place = Union[str, Path]
class Reader:
    def __init__(self, root: Path, cache: Optional[Place] = None, files: list[Path] | None = None,
                 name: str = "x", inner: object = None): ...
"""


@pytest.mark.parametrize(
    ("given", "absolute"),
    [
        ({"root": "data"}, {"root": "/base/data"}),
        ({"root": "/data"}, {"root": "/data"}),
        ({"root": "data", "name": "data"}, {"root": "/base/data", "name": "data"}),
        ({"cache": "tmp"}, {"cache": "/base/tmp"}),
        ({"cache": None}, {"cache": None}),
        ({"cache": "s3://bucket/x"}, {"cache": "s3://bucket/x"}),
        ({"files": ["a", "/b"]}, {"files": ["/base/a", "/b"]}),
        ({"inner": {"root": "data"}}, {"inner": {"root": "data"}}),
    ],
)
def test_paths_become_absolute(lab: str, given: Any, absolute: Any) -> None:
    folder = Path(next(path for path in sys.path if (Path(path) / lab).is_dir())) / lab
    (folder / "reading.py").write_text(READER, encoding="utf-8")
    node = {"_target_": f"{lab}.reading.Reader"}
    assert absolute_paths({**node, **given}, Path("/base")) == {**node, **absolute}
    assert absolute_paths([{"x": {**node, **given}}], Path("/base")) == [
        {"x": {**node, **absolute}}
    ]
