"""The allow-list, and names followed through source that is never run."""

from __future__ import annotations

import ast
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

from vitruvian.core.allowed import VARIABLE, permit_home, permit_name
from vitruvian.core.errors import ConfigError
from vitruvian.core.targets import (
    Definition,
    Expression,
    MissingError,
    Module,
    UnreadableError,
    attribute,
    module_at,
    resolve,
)

Files = dict[str, str]


def write(folder: Path, files: Files) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    "name",
    [
        "vitruvian.liver.nets.EASUNet",
        "torch.nn.Conv2d",
        "torch.optim.lr_scheduler.PolynomialLR",
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.EarlyStopping",
        "monai.networks.nets.DynUNet",
        "torchmetrics.MeanMetric",
    ],
)
def test_names_inside_the_allow_list(name: str) -> None:
    assert permit_name(name) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("os.system", "os.system may not be built from a config; allowed are parts of vitruvian,"),
        ("builtins.eval", "builtins.eval may not be built from a config"),
        ("torch.load", "torch.load may not be built"),
        ("torch.hub.load", "torch.hub.load may not be built"),
        ("torch.nnx.Conv2d", "torch.nnx.Conv2d may not be built"),
        ("pytorch_lightning.cli.LightningCLI", "may not be built"),
        ("pytorch_lightning.utilities.seed.os.system", "may not be built"),
        ("monai.networks.utils.save_state", "may not be built"),
        ("monai.bundle.ConfigParser", "may not be built"),
        ("monai.transforms.LoadImage", "may not be built"),
        ("torch.nn.Module.__init__.__globals__", "names something private"),
        ("torch.nn._reduction.get_enum", "names something private"),
        ("SGD", "`SGD` is not a dotted name such as torch.optim.SGD"),
        ("", "`` is not a dotted name"),
        ("torch.nn.", "is not a dotted name"),
        ("torch.nn.Conv2d()", "is not a dotted name"),
        ("torch.nn.Conv2d; import os", "is not a dotted name"),
    ],
)
def test_names_outside_the_allow_list(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        permit_name(name)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("home", "function", "message"),
    [
        ("vitruvian.core.files.write_text", True, "is a function; a config builds classes"),
        ("torch.nn.utils.clip_grad.clip_grad_norm_", True, "is a function"),
        ("monai.inferers.inferer.PatchInferer", False, "imports whatever its merger_cls names"),
        ("monai.losses.perceptual.PerceptualLoss", False, "downloads code through torch.hub"),
        ("torchmetrics.multimodal.clip_score.CLIPScore", False, "comes with a downloaded model"),
    ],
)
def test_definitions_that_are_refused(home: str, function: bool, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        permit_home(home, function=function)


@pytest.mark.parametrize(
    "home", ["torch.nn.functional.relu", "monai.networks.nets.resnet.resnet50"]
)
def test_functions_that_only_compute_or_build(home: str) -> None:
    assert permit_home(home, function=True) is None


@pytest.mark.parametrize("value", ["mylab", "mylab.nets", " other , mylab.nets "])
def test_environment_extends_the_list(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    with pytest.raises(ConfigError, match=r"mylab\.nets\.Net may not be built"):
        permit_name("mylab.nets.Net")
    monkeypatch.setenv(VARIABLE, value)
    assert permit_name("mylab.nets.Net") is None
    assert permit_home("mylab.nets.make", function=True) is None


@pytest.mark.parametrize("value", ["", ",", "mylab.nets", "mylab.losses.Dice"])
def test_environment_extends_no_further_than_it_says(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigError):
        permit_name("mylab.netsandmore.Net")
    with pytest.raises(ConfigError):
        permit_name("mylab.losses.CE")


# --- names in source ---------------------------------------------------------------------------

PACKAGE: Files = {
    "pack/__init__.py": (
        "from .a import *\nfrom .a import Net as Other\nfrom . import b as letters\n"
    ),
    "pack/a.py": (
        "from __future__ import annotations\n"
        "from typing import TYPE_CHECKING\n"
        "import pack.b as b\n"
        "if TYPE_CHECKING:\n    from pack.b import Late\n"
        "try:\n    from pack.b import Fast as Engine\n"
        "except ImportError:\n    Engine = None\n"
        "else:\n    extra = 1\n"
        "__all__ = ['Net', 'Alias', '_hidden']\n"
        "class Net:\n"
        "    @classmethod\n    def small(cls, width=1): ...\n"
        "    class Inner: ...\n"
        "class Child(Net): ...\n"
        "Alias = Again = Net\n"
        "def _hidden(): ...\n"
        "def made(): ...\nmade = print(made)\n"
        "Scalar = int | str\n"
    ),
    "pack/b.py": "class Late: ...\nclass Fast: ...\nfrom . import sub as sub\n",
    "pack/sub/__init__.py": (
        "from pack import sub as sub\nfrom ..a import Net\nfrom .. import b\n"
    ),
    "pack/sub/open.py": "def __getattr__(name): ...\n",
    "pack/ring.py": "from pack.gnir import *\n",
    "pack/gnir.py": "from pack.ring import *\nfrom pack.gnir import Lost as Lost\n",
    "space/nested/deep.py": "class Far: ...\n",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def follow(dotted: str) -> Module | Definition | Expression:
    head, *rest = dotted.split(".")
    found: Module | Definition | Expression | None = module_at(head)
    for part in rest:
        assert found is not None
        found = attribute(found, part)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("dotted", "home"),
    [
        ("pack.a.Net", "pack.a.Net"),
        ("pack.Net", "pack.a.Net"),  # from .a import *
        ("pack._hidden", "pack.a._hidden"),  # named in __all__
        ("pack.Other", "pack.a.Net"),  # import ... as
        ("pack.a.Again", "pack.a.Net"),  # two names for one class
        ("pack.a.Late", "pack.b.Late"),  # if TYPE_CHECKING
        ("pack.a.Engine", "pack.b.Fast"),  # try
        ("pack.a.b.Late", "pack.b.Late"),  # import pack.b as b
        ("pack.letters.Late", "pack.b.Late"),  # from . import b as
        ("pack.b.sub.Net", "pack.a.Net"),  # from ..a import
        ("pack.sub.b.Late", "pack.b.Late"),  # from .. import
        ("pack.sub.sub.Net", "pack.a.Net"),  # a package that imports itself
        ("pack.a.made", "pack.a.made"),  # made = decorate(made)
        ("pack.a.Net.Inner", "pack.a.Net.Inner"),
        ("pack.a.Child.small", "pack.a.Net.small"),  # inherited
        ("space.nested.deep.Far", "space.nested.deep.Far"),  # namespace packages
    ],
)
@pytest.mark.usefixtures("package")
def test_names_lead_to_their_definition(dotted: str, home: str) -> None:
    found = follow(dotted)
    assert isinstance(found, Definition)
    assert found.home == home
    assert "pack" not in sys.modules


@pytest.mark.usefixtures("package")
def test_assigned_names_stay_expressions() -> None:
    found = follow("pack.a.Scalar")
    assert isinstance(found, Expression)
    assert ast.unparse(found.node) == "int | str"


@pytest.mark.parametrize(
    ("dotted", "error"),
    [
        ("pack.a.Nett", MissingError),
        ("pack.Nett", MissingError),
        ("pack.a.Net.large", MissingError),
        ("pack.a.Scalar.x", MissingError),
        ("pack.ring.Lost", MissingError),  # star imports in a ring
        ("pack.gnir.Lost", MissingError),  # a name imported from itself
        ("pack.sub.open.anything", UnreadableError),  # module __getattr__
        ("math.sqrt", UnreadableError),  # compiled
    ],
)
@pytest.mark.usefixtures("package")
def test_names_that_lead_nowhere(dotted: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        follow(dotted)


@pytest.mark.usefixtures("package")
def test_modules_that_are_absent() -> None:
    assert module_at("pack.absent") is None
    assert module_at("absent.pack") is None
    assert module_at("pack.a.Net") is None


def test_only_names_can_be_resolved(package: Path) -> None:
    module = module_at("pack.a")
    assert module is not None
    with pytest.raises(UnreadableError):
        resolve(ast.parse("f(1)", mode="eval").body, module)


def test_editable_installs_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"elsewhere/__init__.py": "class Net: ...\n"})

    class Finder:
        """Like the finder of an editable install: maps a top-level name to a folder."""

        @staticmethod
        def find_spec(name: str, path: object, target: object = None) -> ModuleSpec | None:
            folder = tmp_path / "elsewhere"
            locations = [str(folder)]
            if name != "editable_package":
                return None
            return spec_from_file_location(
                name, folder / "__init__.py", submodule_search_locations=locations
            )

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    found = follow("editable_package.Net")
    assert isinstance(found, Definition)
    assert "editable_package" not in sys.modules
