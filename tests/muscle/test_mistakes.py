"""What a user of the muscle study can get wrong, and the line that says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.integration.runs import SMALL_MUSCLE
from tests.shell import Shell

COMPOSING = {
    "experiment": ("experiment=muscle_cn", "did you mean `experiment=muscle_cnn`?"),
    "model": ("model=muscle_cnnn", "did you mean `model=muscle_cnn`?"),
    "region": ("datamodule/roi=apo", "there are: aponeuroses, given, none, rectified, unet"),
    "key": ("datamodule.inputs.kindd=pair", "did you mean `datamodule.inputs.kind`?"),
    "key of the net": ("model.net.filter=3", "did you mean `model.net.filters`?"),
    "key of another net": (
        "model.net.features=2",
        "model.net.features: no such key; valid here: channels, dense, dropout, filters, ",
    ),
    "key of the finder": (
        "datamodule.roi.finder.depth=3",
        "did you mean `datamodule.roi.finder.depth_mm`?",
    ),
    "key of another finder": (
        "datamodule/roi=given datamodule.roi.finder.depth_mm=3",
        "datamodule.roi.finder.depth_mm: no such key",
    ),
    "frames behind an answer": (
        "datamodule.inputs.kind=pairs",
        "expected `pair` or `single` or `difference` or `stack`; did you mean `pair`?",
    ),
    "target": (
        "datamodule.target=changes",
        "expected `change` or `centred` or `absolute` or `both`; did you mean `change`?",
    ),
    "unit": ("datamodule.unit=person", "datamodule.unit: got 'person', expected `participant` or"),
    "layout": ("datamodule.layout=foo", "expected `auto` or `recordings` or `timtrack` or"),
    "bad recordings": ("datamodule.on_bad_recording=leave", "expected `raise` or `skip`"),
    "design": ("datamodule.simulator.design=confused", "did you mean `confounded`?"),
    "envelope": ("datamodule.synchronisation.emg.kind=low", "did you mean `lowpass`?"),
    "offset": (
        "datamodule.synchronisation.torque.offset=zero",
        "datamodule.synchronisation.torque.offset: got 'zero', expected `none` or `rest`",
    ),
    "one task": ("datamodule.tasks=passive", "expected Sequence[str] or null"),
    "no segmenter": (
        "datamodule/roi=unet",
        "datamodule.roi.finder.checkpoint: a value is needed; add",
    ),
    "what follows the data": ("model.roi.size=[64,64]", "model.roi.size: this key cannot be set"),
    "model of another study": ("model=spine_lstm", "model.pose: ${datamodule.pose} leads nowhere"),
    "data of another study": ("datamodule=liver_ct", "${datamodule."),
    "data of the segmenter": ("datamodule=muscle_masks", "${datamodule."),
    "augmentation of another study": (
        "augment=spine_mirror",
        "augment.skeleton: ${datamodule.skeleton} leads nowhere",
    ),
}
STARTING = {
    "turning": ("augment=flip_rotate", "augment: FlipRotate is not made for frames of a muscle"),
    "no data": ("datamodule.root=nowhere", "nowhere is no folder"),
    "a file": ("datamodule.root=notes.txt", "notes.txt is no folder"),
    "other data": ("datamodule.root=texts", "texts: no recording.yaml in it or in a folder below"),
    "no TimTrack": ("datamodule.layout=timtrack datamodule.root=texts", "root must hold `dataset"),
    "no Tecchio": ("datamodule.layout=tecchio datamodule.root=texts", "texts: no trials: Raw_Data"),
    "nothing to predict": ("datamodule.quantities=[]", "datamodule.quantities: name at least one"),
    "quantity": ("datamodule.quantities=[angle]", "'angle' is none of angle_deg, torque_nm, emg_v"),
    "quantity nobody measured": (
        "datamodule.quantities=[fascicle_angle_deg]",
        "no recording that can be used",
    ),
    "task": ("datamodule.tasks=[running]", "'running' is not among the data: combined, isometric"),
    "task of the simulator": ("datamodule.simulator.tasks=[run]", "tasks: some of passive, "),
    "nobody": ("datamodule.simulator.people=0", "people: at least 1, not 0"),
    "women": ("datamodule.simulator.women=9", "women: from 0 to people=4, not 9"),
    "one person": (
        "datamodule.simulator.people=1",
        "1 subject cannot make folds that leave one out and validate on 1",
    ),
    "few people": ("split=kfold", "4 subjects cannot make 5 folds"),
    "nobody of that number": ("datamodule.fold=4", "fold=4: choose a number from 0 to 3"),
    "seconds": ("datamodule.simulator.seconds=0.1", "seconds: from 1 to 120, not 0.1"),
    "rate": ("datamodule.simulator.frame_rate_hz=1", "frame_rate_hz: from 5 to 100, not 1"),
    "short stack": ("datamodule.inputs.frames=0", "frames: a stack has at least 2, not 0"),
    "scale": ("datamodule.roi.mm_per_pixel=0", "mm_per_pixel: must be above 0, not 0"),
    "size": ("datamodule.roi.size=[0,64]", "size: must be rows and columns from 32 to 4096, not"),
    "size for the net": (
        "datamodule.roi.size=[48,64]",
        "size: must be multiples of 32 for SiamesePair, not [48, 64]",
    ),
    "smoothing": ("datamodule.roi.smoothing=1", "smoothing: must be from 0 to below 1, not 1"),
    "tilt": ("datamodule.roi.finder.tilt_deg=100", "tilt_deg: must be from 0 to 45, not 100"),
    "high-pass": (
        "datamodule.synchronisation.emg.highpass_hz=-1",
        "highpass_hz: must be above 0, got -1",
    ),
    "low-pass": (
        "datamodule.synchronisation.angle_lowpass_hz=0",
        "angle_lowpass_hz: must be above 0, got 0",
    ),
    "tolerance": (
        "datamodule.synchronisation.tolerance_frames=-1",
        "tolerance_frames: must be 0 or more, got -1",
    ),
    "level": ("model.level=1", "model.level: a share between 0 and 1, not 1"),
    "ridge": ("model.ridge=-1", "ridge: must be above 0, not -1"),
    "width": ("model.net.width=0", "width: must be an integer of at least 1, not 0"),
    "dropout": ("model.net.dropout=2", "dropout: must be in [0, 1), not 2"),
    "frames for the net": (
        "datamodule.inputs.kind=single",
        "channels: must be 2, a pair of frames, for SiamesePair, not 1",
    ),
    "target of the model": ("model.target=change", "differs from datamodule.target; leave it to"),
    "quantities of the model": (
        "model.quantities=[angle_deg]",
        "model.quantities: differs from datamodule.quantities",
    ),
    "no weights": (
        "datamodule/roi=unet datamodule.roi.finder.checkpoint=nowhere.ckpt",
        "nowhere.ckpt does not exist; train one with `vitruvian-train experiment=muscle_roi`",
    ),
    "metric": ("monitor.metric=val/nrms", "monitor.metric: val/nrms is not logged"),
    "diverging": ("optimizer.lr=1e30", "training diverged: the loss is not finite"),
    "mirroring": (
        "augment=spine_mirror augment.skeleton=blazepose33",
        "augment: Mirror is not made for frames of a muscle",
    ),
    "loss of another study": ("loss=ce_dice", "not made for frames of a muscle; choose another"),
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
    study = () if "experiment=" in arguments else ("experiment=muscle_cnn",)
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
    outcome = shell("train", *SMALL_MUSCLE, cache, "run=run", *arguments.split())
    assert outcome.code == 2, outcome.err
    errors = [said for said in outcome.err.splitlines() if said.startswith("error: ")]
    assert len(errors) == 1, outcome.err
    assert line in errors[0]
    assert "Traceback" not in outcome.err
    assert json.loads(Path("run/status.json").read_text())["state"] == "failed"
