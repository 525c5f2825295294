"""What a user of the spine study can get wrong, and the line that says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.runs import SMALL_SPINE
from tests.shell import Shell

COMPOSING = {
    "experiment": ("experiment=spine_lst", "did you mean `experiment=spine_lstm`?"),
    "model": ("model=spine_lstmm", "did you mean `model=spine_lstm`?"),
    "key": ("datamodule.windws.length=3", "did you mean `datamodule.windows.length`?"),
    "key of the net": ("model.net.hiden=3", "did you mean `model.net.hidden`?"),
    "key of another net": (
        "model=spine_stgcn model.net.embedding=8",
        "model.net.embedding: no such key; valid here: channels, dropout, joint_channels, ",
    ),
    "key of the features": ("model.featurs.origin=hips", "did you mean `model.features.origin`?"),
    "unit": ("datamodule.unit=persons", "expected `person` or `clip`; did you mean `person`?"),
    "scaling": ("model.scaling=min-max", "model.scaling: got 'min-max', expected `minmax` or"),
    "output": ("model.net.output=tanh", "model.net.output: got 'tanh', expected `leaky_relu`"),
    "pooling": ("model.net.pooling=max", "model.net.pooling: got 'max', expected `last` or `mean`"),
    "pose net": (
        "datamodule.pose.variant=huge",
        "got 'huge', expected `lite` or `full` or `heavy`",
    ),
    "frames": ("datamodule.pose.resize=640x480", "did you mean `720x480`?"),
    "layout": (
        "datamodule.layout=foo",
        "datamodule.layout: got 'foo', expected `auto` or `videos`",
    ),
    "coordinates": ("datamodule.cleaning.coordinates=pixel", "expected `image` or `world`"),
    "origin": ("model.features.origin=hip", "did you mean `hips`?"),
    "one exercise": ("datamodule.exercises=walk", "expected Sequence[str] or null"),
    "what follows the data": ("model.windows.length=20", "model.windows.length: this key cannot"),
    "model of another study": (
        "model=liver_eas_unet",
        "model.classes: ${datamodule.classes} leads",
    ),
    "data of another study": ("datamodule=liver_ct", "${datamodule."),
    "augmentation of another study": (
        "experiment=liver_demo augment=spine_mirror",
        "augment.skeleton: ${datamodule.skeleton} leads nowhere",
    ),
}
# For joints that are no points of an image.
PLAIN = "augment=none model.features.origin=none model.features.scale=none model.features.aspect=1"
STARTING = {
    "no data": ("datamodule.root=nowhere", "nowhere does not exist"),
    "other data": ("datamodule.root=texts", "no videos found (it holds notes.txt)"),
    "no table": ("datamodule.root=notes.txt", "is neither a folder nor one of .db, .sqlite"),
    "no database": ("datamodule.database=no.db", "no.db: no such landmark database"),
    "kind of database": ("datamodule.database=foo://x", "database: Can't load plugin"),
    "layout without a folder": ("datamodule.layout=videos", "datamodule.root: layout=videos needs"),
    "set without a folder": ("datamodule.dataset=X", "datamodule.root: layout=rehab_pile needs"),
    "UI-PRMD without a folder": (
        f"datamodule=spine_uiprmd {PLAIN}",
        "datamodule.root: layout=uiprmd needs a file or folder",
    ),
    "no set": ("datamodule.layout=rehab_pile datamodule.root=texts", "datamodule.dataset: name a"),
    "no repetitions": ("datamodule.layout=uiprmd datamodule.root=texts", "no repetition found"),
    "skeleton": ("datamodule.skeleton=blazepose3", "'blazepose3' is none of blazepose33, "),
    "skeleton of the model": (
        f"model.features.skeleton=kinect22 {PLAIN}",
        "model.features.skeleton: the model reads kinect22, the data deliver blazepose33",
    ),
    "no hips": (
        "datamodule.skeleton=kinect22 augment=none",
        "features.origin: the skeleton kinect22 has no hips; use first or none",
    ),
    "no angles": (
        f"datamodule.skeleton=joints3x2 {PLAIN} model.features.angles=true",
        "features.angles: the skeleton joints3x2 has no joint angles",
    ),
    "no mirror": ("datamodule.skeleton=joints3x2", "leave Mirror out"),
    "stride": ("datamodule.windows.stride=30", "stride must be from 1 to length=20, not 30"),
    "length": ("datamodule.windows.length=0", "length must be at least 1, not 0"),
    "rate of frames": ("datamodule.cleaning.fps=0", "fps must be above 0, or null, not 0"),
    "confidence": ("datamodule.cleaning.min_confidence=2", "min_confidence must be from 0 to 1"),
    "nobody": ("datamodule.simulator.people=0", "people: at least 1, not 0"),
    "few people": ("datamodule.simulator.people=3", "3 subjects cannot make 5 folds"),
    "seconds": ("datamodule.simulator.seconds=[2]", "seconds: [shortest, longest] from 0.2 on"),
    "exercise": ("datamodule.exercises=[swim]", "'swim' is not among the data: jump, touch toes,"),
    "size of the net": ("model.net.hidden=0", "hidden must be an integer >= 1; got 0"),
    "dropout": ("model.net.dropout=2", "dropout must be in [0, 1); got 2"),
    "buffer": ("datamodule.pose.buckets=0", "buffer_frames and buckets must be at least 1"),
    "metric": ("monitor.metric=val/index_mea", "monitor.metric: val/index_mea is not logged"),
    "diverging": ("optimizer.lr=1e30", "training diverged: the loss is not finite"),
    "loss of another study": ("loss=ce_dice", "not made for windows of landmarks; choose another"),
    "turning": ("augment=flip_rotate", "augment: FlipRotate is not made for windows of landmarks"),
    "all too masked": (
        "datamodule.cleaning.min_confidence=1 datamodule.cleaning.max_masked=0",
        "no clip that can be used",
    ),
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Simulated people for the mistakes that only show when there are data."""
    return f"datamodule.cache_dir={tmp_path_factory.mktemp('cache')}"


@pytest.mark.parametrize("mistake", COMPOSING)
def test_on_the_command_line(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = COMPOSING[mistake]
    study = () if "experiment=" in arguments else ("experiment=spine_lstm",)
    outcome = shell("train", *study, *arguments.split())
    assert outcome.code == 2, outcome.err
    assert line in outcome.err
    assert all(said.startswith("error: ") for said in outcome.err.splitlines())
    assert outcome.out == ""
    assert list(folder.iterdir()) == [], "a mistake leaves nothing behind"


@pytest.mark.parametrize("mistake", STARTING)
def test_when_training_starts(mistake: str, shell: Shell, cache: str, folder: Path) -> None:
    (folder / "texts").mkdir()
    for place in (folder, folder / "texts"):
        (place / "notes.txt").write_text("mine")
    arguments, line = STARTING[mistake]
    outcome = shell("train", *SMALL_SPINE, cache, "run=run", *arguments.split())
    assert outcome.code == 2, outcome.err
    errors = [said for said in outcome.err.splitlines() if said.startswith("error: ")]
    assert len(errors) == 1, outcome.err
    assert line in errors[0]
    assert "Traceback" not in outcome.err
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"
