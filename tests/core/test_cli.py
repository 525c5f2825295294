"""What the verbs share: keys, overrides of a frozen config, and how a process ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from vitruvian.core import cli
from vitruvian.core.errors import ConfigError, DataError, RunError, UserError

CONFIG = {"seed": 0, "model": {"net": {"width": 8, "rates": [1, 2]}, "loss": None}}
KEYS = {"run": None, "split": "test"}


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("run=outputs/first", "outputs/first"),
        ("run=a,b", "a,b"),
        ("run=scan (1)[x]{y}.nii.gz", "scan (1)[x]{y}.nii.gz"),
        ("run=epoch=3.ckpt", "epoch=3.ckpt"),
        ("run=7", "7"),
        ("run=", ""),
        ("run=null", "null"),
        ("+run=x", "x"),
    ],
)
def test_own_keys_are_plain_text(argument: str, value: str) -> None:
    assert cli.parse_overrides([argument]) == {"run": value}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("a.b=7", 7),
        ("a.b=1e-3", 1e-3),
        ("a.b=true", True),
        ("a.b=null", None),
        ("a.b=text", "text"),
        ("a.b='7'", "7"),
        ("a.b=[1,2]", [1, 2]),
        ("a.b={c:1}", {"c": 1}),
        ("+a.b=7", 7),
        ("++a.b=7", 7),
        ("a.b=/data/x.nii", "/data/x.nii"),
    ],
)
def test_dotted_keys_are_read_as_hydra_reads_them(argument: str, value: Any) -> None:
    assert cli.parse_overrides([argument]) == {"a.b": value}


@pytest.mark.parametrize(
    ("argument", "text"),
    [
        ("run", "run: expected key=value"),
        ("--run", "--run: expected key=value"),
        ("=x", "=x: expected key=value"),
        ("~=x", "~=x: expected key=value"),
        ("a.b=[1", r"a.b=\[1: cannot be read as key=value"),
        ("a.b=1,2", "a.b=1,2: expected one value"),
        ("a.b=range(1,3)", r"a.b=range\(1,3\): expected one value"),
        ("~a.b=1", "~a.b=1: expected one value"),
    ],
)
def test_arguments_that_are_refused(argument: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"^{text}"):
        cli.parse_overrides([argument])


def test_take_keys() -> None:
    keys, changes = cli.take_keys({"split": "val", "a.b": 1}, KEYS, "evaluate")
    assert keys == {"run": None, "split": "val"}
    assert changes == {"a.b": 1}
    assert KEYS == {"run": None, "split": "test"}, "not changed"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("splt", "splt: no such key of vitruvian-evaluate; did you mean `split`?"),
        ("zebra", "zebra: no such key of vitruvian-evaluate; it takes run, split"),
    ],
)
def test_keys_that_are_not_taken(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        cli.take_keys({key: "x"}, KEYS, "evaluate")
    assert str(error.value) == text


def test_required_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert cli.required_path({"run": "~/x"}, "run", "evaluate") == Path("/home/me/x")
    for missing in (None, ""):
        with pytest.raises(ConfigError, match="run: a value is needed; vitruvian-evaluate run="):
            cli.required_path({"run": missing}, "run", "evaluate")


def test_choose() -> None:
    cli.choose({"split": "val"}, "split", ("val", "test"))
    with pytest.raises(ConfigError, match="split: got 'vla', expected val or test"):
        cli.choose({"split": "vla"}, "split", ("val", "test"))


@pytest.mark.parametrize(
    ("arguments", "wanted"), [(["-h"], True), (["a", "--help"], True), ([], False)]
)
def test_wants_help(arguments: list[str], wanted: bool) -> None:
    assert cli.wants_help(arguments) is wanted


# -- overriding a frozen config -------------------------------------------------------------------


def test_override_changes_a_copy() -> None:
    changed = cli.override(CONFIG, {"model.net.width": 4, "model.loss": {"a": 1}})
    assert changed["model"] == {"net": {"width": 4, "rates": [1, 2]}, "loss": {"a": 1}}
    assert CONFIG["model"]["net"]["width"] == 8


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("model.net.widht", "did you mean `model.net.width`?"),
        ("modle.net.width", "did you mean `model`?"),
        ("model.net.width.x", "model.net.width.x: no such key in the run's configuration"),
        ("model.net.rates.0", "model.net.rates.0: no such key"),
    ],
)
def test_override_of_a_key_that_is_not_there(key: str, text: str) -> None:
    with pytest.raises(ConfigError) as error:
        cli.override(CONFIG, {key: 1})
    assert text in str(error.value)


# -- how a process ends ---------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line is not that of pytest, whose -q would be taken for ours."""
    monkeypatch.setattr(sys, "argv", ["verb"])


def stop() -> int:
    raise KeyboardInterrupt


def fail(error: Exception) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


@pytest.mark.parametrize(
    ("action", "code", "told"),
    [
        (lambda: None, 0, ""),
        (lambda: 0, 0, ""),
        (lambda: 143, 143, ""),
        (stop, 130, "stopped\n"),
        (fail(ConfigError("a: wrong\nb: wrong")), 2, "error: a: wrong\nerror: b: wrong\n"),
        (fail(DataError("case 3")), 2, "error: case 3\n"),
        (fail(RunError("no run")), 2, "error: no run\n"),
        (fail(UserError("ünï")), 2, "error: ünï\n"),
    ],
)
def test_exit_codes(
    action: Callable[[], int], code: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.exit_with(action)
    assert end.value.code == code
    assert capfd.readouterr() == ("", told)


def test_defect_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.exit_with(lambda: 1 // 0)


def test_reader_of_the_output_may_go_away() -> None:
    """`vitruvian-train --cfg job | head -1` ends without a traceback."""
    source = "import sys; from vitruvian.core.cli import exit_with\n"
    source += "exit_with(lambda: [print('x' * 1000, flush=True) for _ in range(10000)] and 0)"
    process = subprocess.Popen(
        [sys.executable, "-c", source],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(Path(vitruvian.__file__).parents[1])},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
