"""What is shipped: the wheel works in an empty directory, with all that it needs and no more."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from tests.integration.runs import SMALL
from tests.test_startup import VERBS

ROOT = Path(__file__).resolve().parents[1]
CONF = ROOT / "conf"

pytestmark = pytest.mark.slow


def build(kind: str, source: Path, target: Path) -> Path:
    """Build a wheel or an sdist; the one file that comes out."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (made,) = target.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def sources() -> set[str]:
    """Modules, and the files of pages."""
    files = ((ROOT / "src").rglob(f"*.{kind}") for kind in ("py", "html", "j2", "css", "js"))
    return {str(path.relative_to(ROOT / "src")) for path in chain.from_iterable(files)}


def configs() -> set[str]:
    files = (path.relative_to(CONF) for path in CONF.rglob("*.yaml"))
    return {f"vitruvian/conf/{path}" for path in files if path.parent.name != "local"}


# -- what is inside -------------------------------------------------------------------------------


def test_wheel_holds_the_package_its_configs_and_nothing_else(wheel: Path) -> None:
    rest = contents(wheel) - sources() - configs()
    assert sources() | configs() <= contents(wheel)
    assert all(".dist-info/" in name or "/conf/local/" in name for name in rest)
    assert wheel.stat().st_size < 1_500_000  # code and configuration, no data


def test_wheel_holds_the_live_page(wheel: Path) -> None:
    page = {f"vitruvian/spine/live/page.{kind}" for kind in ("html", "css", "js")}
    assert page <= sources()
    assert page <= contents(wheel)


def test_wheel_holds_the_options_of_options(wheel: Path) -> None:
    """Files of nested groups, and those that only other files include."""
    regions = ("aponeuroses", "given", "none", "rectified", "unet")
    nested = {f"vitruvian/conf/datamodule/roi/{region}.yaml" for region in regions}
    nested |= {
        "vitruvian/conf/datamodule/parts/muscle_region.yaml",
        "vitruvian/conf/model/parts/muscle_estimator.yaml",
    }
    assert nested <= configs()
    assert nested <= contents(wheel)


def test_wheel_names_its_commands_and_licence(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (points,) = (name for name in archive.namelist() if name.endswith("entry_points.txt"))
        commands = archive.read(points).decode()
        assert any(name.endswith("licenses/LICENSE") for name in archive.namelist())
    for verb in VERBS:
        assert f"vitruvian-{verb} = vitruvian.{verb}:main" in commands


def test_sdist_holds_what_a_checkout_holds(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {"pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt"}
    needed |= {
        "CONTRIBUTING.md",
        "mkdocs.yml",
        "CHANGELOG.md",
        "CITATION.cff",
        "conf/train.yaml",
        "tests/test_wheel.py",
    }
    assert needed | {f"src/{name}" for name in sources()} <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops <= {"src", "conf", "tests", "scripts", "docs", "PKG-INFO", ".gitignore", *needed}
    refused = (".nii", ".nii.gz", ".dcm", ".npy", ".ckpt", ".pyc", ".png", ".csv")
    shown = {name for name in names if name.startswith("docs/pictures/")}  # in the README
    made = [name for name in names - shown if name.endswith(refused)]
    assert made == [], "data, or made by a run"


def unpacked(sdist: Path, folder: Path) -> Path:
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def test_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    again = build("wheel", unpacked(sdist, tmp_path / "source"), tmp_path / "wheel")
    assert contents(again) == contents(wheel)


def test_settings_of_a_machine_stay_on_it(sdist: Path, tmp_path: Path) -> None:
    source = unpacked(sdist, tmp_path / "source")
    (source / "conf/local/default.yaml").write_text("# @package _global_\n")
    (source / "outputs").mkdir(exist_ok=True)
    (source / "outputs/scan.nii").write_text("voxels")
    with tarfile.open(build("sdist", source, tmp_path / "sdist")) as archive:
        names = archive.getnames()
    assert any(name.endswith("conf/local/README.md") for name in names)
    assert not any(name.endswith(("local/default.yaml", "scan.nii")) for name in names)


# -- installed ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Installed:
    """The wheel, unpacked by an installer; this environment's packages are behind it."""

    packages: Path
    folder: Path

    def __call__(self, verb: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.packages / "bin" / f"vitruvian-{verb}"), *arguments]
        place = {"PYTHONPATH": str(self.packages), "OMP_NUM_THREADS": "1"}
        environment = os.environ | place
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True
        )


def installer() -> list[str]:
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    uv = shutil.which("uv")
    assert uv is not None, "neither pip nor uv is here"
    return [uv, "pip"]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    packages = tmp_path_factory.mktemp("packages")
    options = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(packages)]
    subprocess.run([*installer(), *options, str(wheel)], check=True)
    return Installed(packages, tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def run(installed: Installed) -> Path:
    """A run that the installed command has trained in an empty directory."""
    done = installed("train", *SMALL, "trainer.max_epochs=1", "run=first")
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stdout
    return installed.folder / "first"


def test_installed_package_is_the_one_that_runs(installed: Installed) -> None:
    code = "import vitruvian.core.config as c; print(c.__file__, c.config_directory())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(installed.packages)},
        cwd=installed.folder,
        capture_output=True,
        text=True,
        check=True,
    )
    module, folder = done.stdout.split()
    assert Path(module).is_relative_to(installed.packages)
    assert Path(folder) == installed.packages / "vitruvian" / "conf"


def test_trains_in_an_empty_directory(run: Path) -> None:
    assert sorted(path.name for path in run.parent.iterdir()) == ["first", "outputs"]
    assert {path.name for path in run.iterdir()} >= {
        *("config.yaml", "overrides.txt", "environment.json", "splits.json", "status.json"),
        *("tracker.json", "checkpoints", "metrics.csv", "evaluation"),
    }


def test_evaluates_to_the_same_numbers(run: Path, installed: Installed) -> None:
    logged = {path: path.read_bytes() for path in (run / "evaluation").iterdir()}
    assert logged
    shutil.rmtree(run / "evaluation")
    done = installed("evaluate", "run=first", "device=cpu")
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in (run / "evaluation").iterdir()} == logged


def test_predicts(run: Path, installed: Installed) -> None:
    scans = sorted(installed.folder.glob("outputs/cache/simulated/*/**/volume-*.nii*"))
    done = installed("predict", "run=first", f"input={scans[0]}", "output=masks", "device=cpu")
    assert done.returncode == 0, done.stderr
    written = {Path(line) for line in done.stdout.split()}
    assert {path.suffix for path in written} == {".gz", ".json", ".png"}
    assert all((installed.folder / path).is_file() for path in written)


@pytest.mark.parametrize("verb", ["extract", "live", "export", "check", "folds"])
def test_the_other_commands_answer(verb: str, installed: Installed) -> None:
    done = installed(verb, "--help")
    assert done.returncode == 0, done.stderr
    assert f"vitruvian-{verb}" in done.stdout


def test_checks_simulated_calves(installed: Installed) -> None:
    """A study of many small files in nested groups, from the installed ones."""
    small = ("people=1", "women=0", "seconds=1.0", "tasks=[passive]")
    keys = [f"datamodule.simulator.{key}" for key in small]
    done = installed("check", "datamodule=muscle_recordings", "datamodule/roi=rectified", *keys)
    assert done.returncode == 0, done.stderr
    assert "1 case, 0 with problems" in done.stdout


def test_mistakes_are_told_by_the_installed_one_too(installed: Installed) -> None:
    done = installed("train", "optimizer.lrr=1")
    assert done.returncode == 2
    assert done.stderr == "error: optimizer.lrr: no such key; did you mean `optimizer.lr`?\n"
