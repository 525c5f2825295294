"""What a user can get wrong, and the one line that says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir

from tests.integration.runs import SMALL
from tests.shell import Outcome, Shell
from vitruvian.core.compose import register_schema
from vitruvian.core.config import Config, config_directory, freeze
from vitruvian.core.rundir import RunDirectory
from vitruvian.core.splits import Splits
from vitruvian.core.task import CONFIG_KEY

COMMAND_LINE = {
    "key": ("optimizer.lrr=1", "optimizer.lrr: no such key; did you mean `optimizer.lr`?"),
    "deep key": ("model.net.widht=8", "did you mean `model.net.width`?"),
    "group in a key": ("optimzer.lr=1", "optimzer.lr: no such key; did you mean `optimizer.lr`?"),
    "root key": ("sed=1", "sed: no such key; did you mean `seed`?"),
    "root key with a plus": ("+sed=1", "sed: no such key; did you mean `seed`?"),
    "key with a plus": ("+optimizer.lrr=1", "optimizer.lrr: no such key; did you mean `lr`?"),
    "key with two": ("++optimizer.lrr=1", "optimizer.lrr: no such key; did you mean `lr`?"),
    "nothing like it": ("zebra=1", "zebra: no such key; valid here: augment, callbacks, "),
    "key below a value": ("optimizer.lr.x=1", "optimizer.lr is a value and has no keys"),
    "key that no file sets": ("optimizer.betas=[0,1]", "add it with a plus sign: +optimizer.betas"),
    "key that is there": ("+optimizer.lr=1", "+optimizer.lr: the key is there already; write "),
    "key of the program": ("+model.loss=1", "model.loss: the program sets this itself"),
    "key of Hydra": ("hydra.sweep.dirr=x", "did you mean `hydra.sweep.dir`?"),
    "deleted key": ("~optimizer.lrr", "optimizer.lrr: no such key; did you mean `optimizer.lr`?"),
    "deleted root key": ("~seed", "datamodule.seed: ${seed} leads nowhere"),
    "deleted group": ("~optimizer", "optimizer: an option is needed; choose one with optimizer="),
    "deleted option": ("~optimizer=adam", "~optimizer=adam: optimizer is another option"),
    "misspelt role": ("+callbacks.progres.enabled=false", "did you mean `callbacks.progress`?"),
    "whole number": ("seed=a", "seed: got 'a', expected a whole number"),
    "no value": ("seed=", "seed: got '', expected a whole number"),
    "null": ("name=null", "name: got null, expected text"),
    "fraction": ("seed=1.5", "seed: got 1.5, expected a whole number"),
    "keys": ("monitor=1", "monitor: got 1, expected keys below it"),
    "number": ("optimizer.lr=fast", "optimizer.lr: got 'fast', expected float"),
    "number of a net": ("model.net.width=x", "model.net.width: got 'x', expected int"),
    "truth value": ("model.net.eas=maybe", "model.net.eas: got 'maybe', expected bool"),
    "choice": ("model.net.fusion_mode=concta", "did you mean `concat`?"),
    "choice of the root": ("monitor.mode=most", "monitor.mode: got 'most', expected min or max"),
    "too small": ("seed=-1", "seed: got -1, expected 0 or more"),
    "no steps": ("trainer.accumulate_grad_batches=0", "accumulate_grad_batches: got 0, expected 1"),
    "no epochs": ("trainer.max_epochs=0", "trainer.max_epochs: got 0, expected 1 or more epochs"),
    "fewer steps": ("trainer.max_steps=-3", "trainer.max_steps: got -3, expected 1 or more opt"),
    "no end": ("trainer.max_epochs=-1", "trainer.max_epochs: training needs an end"),
    "Lightning's epoch": ("+trainer.limit_train_batches=3", "datamodule.samples_per_epoch"),
    "option": ("optimizer=sdg", "optimizer=sdg: no such option; did you mean `optimizer=sgd`?"),
    "experiment": ("experiment=liver_bets", "did you mean `experiment=liver_best`?"),
    "nothing like that option": ("optimizer=zebra", "no such option; there are: adam, adamw, sgd"),
    "group": ("optimzer=sgd", "optimzer: no such key; did you mean `optimizer`?"),
    "group with a plus": ("+optimzer=sgd", "optimzer: no such key; did you mean `optimizer`?"),
    "second option": ("+optimizer=adam", "+optimizer: an option is chosen already"),
    "no option": ("optimizer=null", "optimizer=null: expected the name of an option; ~optimizer "),
    "option of nobody": ("local=office", "local=office: no such option; there are: default"),
    "os.system": ("model.net._target_=os.system", "model.net._target_: os.system may not be built"),
    "smuggled": ("loss._target_=vitruvian.core.files.os.system", "os.system does not exist"),
    "target": ("loss._target_=vitruvian.liver.loses.CEDice", "did you mean `vitruvian.liver.losse"),
    "missing value": ("split=file", "split.file: a value is needed; add split.file=..."),
    "no equals sign": ("optimizer.lr", "optimizer.lr: expected key=value"),
    "no key": ("=1", "=1: expected key=value"),
    "bracket": ("optimizer.lr=[1,2", "optimizer.lr=[1,2: cannot be read as key=value"),
    "sweep without -m": ("optimizer.lr=1,2", "optimizer.lr=1,2: several values; add --multirun"),
    "interpolation": ("name=${sed}", "name: ${sed} leads nowhere; did you mean `seed`?"),
    "environment": ("name=${oc.env:NO_SUCH}", "name: KeyError raised while resolving"),
    "no folder": ("hydra.searchpath=[file:///no]", "hydra.searchpath: /no does not exist"),
}

FILES = {
    "key": ("optimizer: {lrr: 1}", "optimizer.lrr: no such key; did you mean `lr`?"),
    "deep key": ("model: {net: {widht: 8}}", "model.net.widht: no such key; did you mean `width`?"),
    "root key": ("sed: 1", "experiment/mine.yaml: sed: no such key; did you mean `seed`?"),
    "typed key": ("monitor: {metrc: x}", "monitor.metrc: no such key; did you mean `monitor.met"),
    "role": (
        "callbacks: {checkpoint: {every_n_steps: 5}}",
        "did you mean `callbacks.checkpoints`?",
    ),
    "target": ("optimizer: {_targt_: torch.optim.SGD}", "did you mean `_target_`?"),
    "type": ("seed: many", "experiment/mine.yaml: seed: got 'many', expected a whole number"),
    "type of a value": ("optimizer: {lr: fast}", "optimizer.lr: got 'fast', expected float"),
    "not a group": ("optimizer: 3", "experiment/mine.yaml: optimizer: got 3, expected keys below"),
    "list": ("- 1", "experiment/mine.yaml: "),
    "os.system": ("optimizer: {_target_: os.system}", "optimizer._target_: os.system may not be"),
    "interpolation": ("optimizer: {lr: '${optimizr.lr}'}", "did you mean `optimizer.lr`?"),
    "YAML": ("optimizer: [1\n  lr: 1", "experiment/mine.yaml, line 3: not valid YAML: "),
    "tab": ("optimizer:\n\tlr: 1", "experiment/mine.yaml, line 3: not valid YAML: "),
    "twice": ("seed: 1\nseed: 2", "mine.yaml, line 3: not valid YAML: found duplicate key seed"),
    "option": ("defaults: [override /optimizer: sdg]", "did you mean `optimizer=sgd`?"),
    "group": ("defaults: [override /optimzer: sgd]", "mine.yaml: optimzer: no such key; did you"),
    "no override": ("defaults: [/optimizer: adam]", "write `- override /optimizer: OPTION`"),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_told(outcome: Outcome, line: str) -> None:
    """Exit code 2, one line, no traceback; at most the place of the run was said before."""
    assert outcome.code == 2, outcome.err
    assert line in outcome.err
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    said = outcome.out.splitlines()  # of a training the header, no more
    assert all(line.startswith(("training in ", "  ")) for line in said), outcome.out


# -- composing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", COMMAND_LINE)
def test_on_the_command_line(mistake: str, shell: Shell, folder: Path) -> None:
    argument, line = COMMAND_LINE[mistake]
    assert_told(shell("train", argument), line)
    assert list(folder.iterdir()) == [], "a mistake leaves nothing behind"


@pytest.mark.parametrize("mistake", FILES)
def test_in_a_file_of_the_user(mistake: str, shell: Shell, folder: Path) -> None:
    text, line = FILES[mistake]
    (folder / "experiment").mkdir()
    (folder / "experiment/mine.yaml").write_text(f"# @package _global_\n{text}\n")
    outcome = shell("train", f"hydra.searchpath=[file://{folder}]", "experiment=mine")
    assert_told(outcome, line)


def test_file_without_its_package(shell: Shell, folder: Path) -> None:
    (folder / "experiment").mkdir()
    (folder / "experiment/mine.yaml").write_text("seed: 1\n")
    outcome = shell("train", f"hydra.searchpath=[file://{folder}]", "experiment=mine")
    assert_told(outcome, "put `# @package _global_` on the first line of the file")


def test_each_mistake_is_told(shell: Shell) -> None:
    outcome = shell("train", "optimizer.lr=fast", "model.net.eas=maybe")
    assert outcome.code == 2
    assert [line.split(":")[1].strip() for line in outcome.err.splitlines()] == [
        "model.net.eas",
        "optimizer.lr",
    ]


@pytest.mark.parametrize("arguments", [("--cfg", "job", "sed=1"), ("-m", "sed=1,2")])
def test_beside_a_flag(arguments: tuple[str, ...], shell: Shell) -> None:
    assert_told(shell("train", *arguments), "sed: no such key; did you mean `seed`?")


def test_unknown_flag(shell: Shell) -> None:
    outcome = shell("train", "--sed")
    assert outcome.code == 2
    assert outcome.err.endswith("unrecognized arguments: --sed\n")
    assert "Traceback" not in outcome.err


# -- starting to train ----------------------------------------------------------------------------

STARTING = {
    "no data": ("datamodule.root=nowhere", "nowhere: no such folder"),
    "several devices": ("trainer.devices=2", "trainer.devices: more than one needs trainer=ddp"),
    "several machines": (
        "trainer=ddp trainer.devices=1 trainer.accelerator=cpu trainer.num_nodes=2",
        "trainer.num_nodes: 2 machines need somebody who starts the run on each",
    ),
    "strategy": ("+trainer.strategy=ddp trainer.devices=2", "more than one needs trainer=ddp"),
    "no device": ("trainer.devices=0", "trainer.devices: "),
    "accelerator": ("trainer.accelerator=abacus", "trainer (pytorch_lightning.Trainer): "),
    "odd patch": ("datamodule.patch=[40,40]", "datamodule.patch: [40, 40] must be multiples of 16"),
    "flat patch": ("model=liver_vnet3d", "patch must be three sizes"),
    "3-D patch": ("datamodule.patch=[16,32,32]", "datamodule.patch: this model needs 2-D patches"),
    "even context": ("datamodule.context=2", "context must be an odd number"),
    "batch": ("datamodule.batch_size=0", "datamodule: batch_size must be at least 1, not 0"),
    "rate": ("optimizer.lr=-1", "optimizer: Invalid learning rate: -1"),
    "schedule": ("scheduler=plateau scheduler.factor=2", "scheduler: Factor should be < 1.0."),
    "checkpoints": ("callbacks.checkpoints.every_n_steps=0", "every_n_steps must be at least 1"),
    "logger": ("logger.csv=null", "keep logger.csv"),
    "fold": ("split.fold=9", "fold=9: choose a number from 0 to 4"),
    "split": ("split=file split.file=no.json", "no.json"),
    "diverging": ("optimizer.lr=1e30", "training diverged: the loss is not finite"),
    "metric": (
        "monitor.metric=val/lver_dice",
        "monitor.metric: val/lver_dice is not logged; did you mean `val/liver_dice`?",
    ),
    "metric of a callback": (
        "callbacks=early_stopping callbacks.early_stopping.monitor=train/los",
        "callbacks.early_stopping.monitor: train/los is not logged; did you mean `train/loss`?",
    ),
}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Converted phantoms for the mistakes that only show when there are data."""
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.mark.parametrize("mistake", STARTING)
def test_when_training_starts(mistake: str, shell: Shell, cache: str) -> None:
    arguments, line = STARTING[mistake]
    assert_told(shell("train", *SMALL, cache, "run=run", *arguments.split()), line)
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(shell: Shell) -> None:
    outcome = shell("train", *SMALL, "trainer=gpu")
    assert_told(outcome, "trainer.accelerator: No supported gpu backend found; try the processor")


@pytest.mark.parametrize("mistake", ["trainer.accelerator=abacus", "monitor.metric=val/dise"])
def test_it_is_told_before_data_are_read(mistake: str, shell: Shell, folder: Path) -> None:
    shell("train", *SMALL, mistake)
    assert not (folder / "outputs/cache").exists()


# -- run directories ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def frozen() -> Config:
    """What SMALL composes to."""
    register_schema()
    with initialize_config_dir(str(config_directory()), version_base="1.3"):
        return freeze(compose("train", [*SMALL, "datamodule.root=/nowhere"]))


@pytest.fixture
def run(folder: Path, frozen: Config) -> Path:
    """A run directory with a frozen config and a checkpoint that holds no weights."""
    run = RunDirectory(folder / "run")
    run.claim(frozen, list(SMALL))
    Splits(("0",), ("1",), ("2",), "by hand").write(run.splits_file)
    run.checkpoints.mkdir()
    torch.save({"state_dict": {}}, run.best)
    return run.path


def test_run_of_another_configuration(run: Path, shell: Shell) -> None:
    cache = RunDirectory(run).config["datamodule"]["cache_dir"]
    place = f"datamodule.cache_dir={cache}"
    arguments = (*SMALL, "run=run", "datamodule.root=/nowhere", place)
    assert_told(shell("train", *arguments), "nowhere: no such folder")  # the same one goes on
    assert_told(shell("train", *arguments, "optimizer.lr=0.5"), "nowhere")  # nothing is lost yet
    (run / "checkpoints").mkdir(exist_ok=True)
    (run / "checkpoints" / "last.ckpt").write_bytes(b"something to lose")
    outcome = shell("train", *arguments, "optimizer.lr=0.001")
    assert_told(outcome, "optimizer.lr is 0.5 there, 0.001 here")
    assert str(run) in outcome.err


@pytest.mark.parametrize("where", ["run=file", "run=file/run", "output_dir=file"])
def test_file_in_the_way(where: str, shell: Shell, folder: Path) -> None:
    (folder / "file").write_text("mine")
    outcome = shell("train", *SMALL, where, "datamodule.cache_dir=cache")
    assert_told(outcome, "the name is already taken")
    assert str(folder / "file") in outcome.err
    assert (folder / "file").read_text() == "mine"


EDITED = {
    "empty": ("", "holds no configuration"),
    "not YAML": ("a: [1", "is not valid YAML"),
    "no model": ("seed: 1", "model: an option is needed"),
    "unknown key": (None, "sed: no such key; did you mean `seed`?"),
}


@pytest.mark.parametrize("verb", ["train", "evaluate", "predict"])
@pytest.mark.parametrize("mistake", EDITED)
def test_config_edited_by_hand(mistake: str, verb: str, run: Path, shell: Shell) -> None:
    text, line = EDITED[mistake]
    file = run / "config.yaml"
    file.write_text(text if text is not None else file.read_text() + "sed: 1\n")
    outcome = shell(verb, "run=run", *(["input=run"] if verb == "predict" else []))
    assert outcome.code == 2
    assert line in outcome.err
    assert all(line.startswith("error: ") for line in outcome.err.splitlines())


def test_config_that_would_run_a_command(run: Path, shell: Shell, folder: Path) -> None:
    config = RunDirectory(run).config
    config["optimizer"] = {"_target_": "os.system", "command": f"touch {folder}/pwned"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    for verb, *arguments in (("train",), ("evaluate",), ("predict", "input=run")):
        assert_told(shell(verb, "run=run", *arguments), "os.system may not be built from a config")
    assert not (folder / "pwned").exists()


def test_checkpoint_whose_config_would_run_a_command(frozen: Config, shell: Shell) -> None:
    config = frozen | {"model": {"_target_": "os.system", "command": "touch pwned"}}
    torch.save({"state_dict": {}, CONFIG_KEY: config}, "lone.ckpt")
    outcome = shell("predict", "run=lone.ckpt", "input=lone.ckpt")
    assert_told(outcome, "model._target_: os.system may not be built from a config")
    assert not Path("pwned").exists()


# -- the other verbs ------------------------------------------------------------------------------

EVALUATE = {
    "nothing": ("", "run: a value is needed; vitruvian-evaluate run=PATH"),
    "no run": ("run=nowhere", "run=nowhere: no run directory here"),
    "a folder": ("run=.", "run=.: no run directory here"),
    "another file": ("run=run/splits.json", "run/splits.json is refused: it is damaged"),
    "key": ("run=run splt=val", "splt: no such key of vitruvian-evaluate; did you mean `split`?"),
    "key of train": ("run=run optimizer=sgd", "optimizer: no such key of vitruvian-evaluate"),
    "dotted key": ("run=run model.net.widht=1", "model.net.widht: no such key in the run's config"),
    "type": ("run=run model.net.width=x", "model.net.width: got 'x', expected int"),
    "split": ("run=run split=tset", "split: got 'tset', expected test or val or train or all"),
    "device": ("run=run device=abacus", "device: got 'abacus', expected auto or cpu or gpu"),
    "checkpoint": ("run=run checkpoint=bst", "checkpoint=bst: bst does not exist"),
    "no checkpoint yet": ("run=run checkpoint=last", "last.ckpt does not exist"),
    "other weights": ("run=run", "best.ckpt does not fit the model of config.yaml"),
    "name": ("run=run name=../mine", "name: '../mine' is no file name"),
    "no equals sign": ("run=run split", "split: expected key=value"),
    "flag": ("run=run --all", "--all: expected key=value"),
    "two values": ("run=run model.net.width=1,2", "model.net.width=1,2: expected one value"),
}
PREDICT = {
    "nothing": ("", "input: a value is needed; vitruvian-predict input=PATH"),
    "no run": ("input=run run=nowhere", "run=nowhere: no run directory here"),
    "no run named": ("input=run", "run: a value is needed; vitruvian-predict run=PATH"),
    "key": ("run=run inptu=x", "inptu: no such key of vitruvian-predict; did you mean `input`?"),
    "device": ("run=run input=run device=abacus", "device: got 'abacus'"),
    "another file": ("run=run/splits.json input=run", "run/splits.json is refused: it is damaged"),
    "other weights": ("run=run input=run", "best.ckpt does not fit the model of config.yaml"),
}


@pytest.mark.parametrize("mistake", EVALUATE)
def test_evaluate(mistake: str, run: Path, shell: Shell) -> None:
    arguments, line = EVALUATE[mistake]
    assert_told(shell("evaluate", *arguments.split()), line)
    assert not (run / "evaluation").exists()


@pytest.mark.parametrize("mistake", PREDICT)
def test_predict(mistake: str, run: Path, shell: Shell) -> None:
    arguments, line = PREDICT[mistake]
    assert_told(shell("predict", *arguments.split()), line)
    assert not (run / "predictions").exists()
