"""`vitruvian-check` as a user starts it, on scans and clips of which some are broken."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.shell import Outcome, Shell
from tests.spine.small import clip
from tests.test_startup import PROBE
from vitruvian.spine.database.database import LandmarkDatabase
from vitruvian.spine.landmarks import Clip
from vitruvian.spine.tables.tables import write_table

AFFINE = np.diag([-0.7, 0.8, 5.0, 1.0])
SHAPE = (20, 18, 6)

MISTAKES = {
    "nothing": ("", "datamodule: choose one with datamodule=OPTION; there are: liver_ct, "),
    "option": ("datamodule=liver_tc", "did you mean `datamodule=liver_ct`?"),
    "key": ("datamodule=liver_ct figurs=x", "figurs: no such key; did you mean `figures`?"),
    "deep key": ("datamodule=liver_ct datamodule.rot=x", "did you mean `datamodule.root`?"),
    "value": ("datamodule=liver_ct figures=[1]", "figures: got [1], expected the path"),
    "seed": ("datamodule=liver_ct seed=x", "datamodule.seed: got 'x', expected int"),
    "group": ("datamodule=liver_ct model=liver_unet2d", "model: no such key"),
    "sweep": ("-m datamodule=liver_ct seed=1,2", "--multirun: vitruvian-check reads one"),
}
NO_ROOT = {
    "liver_ct": "nowhere: no such folder; set the data root",
    "spine_clips": "datamodule.root: ",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each user works in a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def line_of(case: str, outcome: Outcome) -> str:
    (line,) = (line for line in outcome.out.splitlines() if line[4:].split(":")[0] == case)
    return line


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_told_in_one_line(mistake: str, shell: Shell, folder: Path) -> None:
    arguments, line = MISTAKES[mistake]
    outcome = shell("check", *arguments.split())
    assert outcome.code == 2
    assert line in outcome.err
    assert outcome.err.splitlines()[-1].startswith("error: ")
    assert not (folder / "outputs").exists()


@pytest.mark.parametrize("option", NO_ROOT)
def test_no_root(option: str, shell: Shell) -> None:
    outcome = shell("check", f"datamodule={option}", "datamodule.root=nowhere")
    assert outcome.code == 2
    assert NO_ROOT[option] in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("--help", 0, "vitruvian-check datamodule=OPTION"), ("figurs=x", 2, "mean `figures`?")],
)
def test_it_answers_without_importing_anything_heavy(
    argument: str, code: int, said: str, folder: Path
) -> None:
    command = [sys.executable, "-c", PROBE.format(verb="check"), argument]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert done.stderr.splitlines()[-1] == "", "imported"


# -- scans ----------------------------------------------------------------------------------------


def save(path: Path, voxels: np.ndarray, affine: np.ndarray = AFFINE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)


@pytest.fixture
def scans(folder: Path) -> Path:
    """A sound case, one without air, without liver, on another grid, with a foreign label."""
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, np.uint8)
    mask[4:12, 4:12, 1:5] = 1
    mask[6:8, 6:8, 2] = 2
    for number in range(5):
        hu = rng.integers(-900, 200, SHAPE).astype(np.int16)
        save(folder / f"scans/volume-{number}.nii", hu if number != 1 else np.abs(hu))
        own = mask if number != 2 else 0 * mask
        grid = AFFINE if number != 3 else AFFINE * 1.5
        save(folder / f"scans/segmentation-{number}.nii", own + 7 * (number == 4), grid)
    (folder / "scans/volume-4.nii").touch()
    return folder / "scans"


def test_scans_are_described_and_broken_ones_named(scans: Path, shell: Shell) -> None:
    outcome = shell("check", "datamodule=liver_ct", f"datamodule.root={scans}", "figures=figs")
    assert outcome.code == 1, outcome.err
    sound = line_of("0", outcome)
    assert sound.startswith("ok  0: 20 x 18 x 6 voxels of 0.70 x 0.80 x 5.00 mm, -900 to 199 HU")
    assert sound.endswith("liver 1 ml (tumours 0.0 ml) in 4 slices")
    assert "note: no voxel is below -200 HU" in outcome.out
    assert "note: the mask holds no liver" in outcome.out
    assert outcome.out.startswith("BAD 3"), "a faulty header comes first"
    bad = {line[4:] for line in outcome.out.splitlines() if line.startswith("BAD")}
    assert bad == {"3", "4"}
    assert "segmentation-4.nii" in outcome.out
    assert "5 cases, 2 with problems: 3, 4" in outcome.out
    assert sorted(path.name for path in Path("figs").iterdir()) == ["0.png", "1.png", "2.png"]
    assert not Path("outputs").exists(), "nothing is converted to look at it"


def test_simulated_scans_say_so(shell: Shell) -> None:
    sizes = ("cases=2", "size=32", "slices=[8,9]")
    keys = [f"datamodule.simulator.{size}" for size in sizes]
    outcome = shell("check", "datamodule=liver_ct", "output_dir=mine", "figures=figs", *keys)
    assert outcome.code == 0, outcome.err
    assert outcome.out.count(", SIMULATED") == 2
    assert [path.name for path in Path("mine").iterdir()] == ["cache"]
    assert sorted(path.name for path in Path("figs").glob("*")) == [
        "0_simulated.png",
        "1_simulated.png",
    ]


# -- clips ----------------------------------------------------------------------------------------


def clips() -> list[Clip]:
    return [
        clip("a_walk", participant="a"),
        clip("b_walk", participant="b", rating=float("nan"), seed=1),
        clip("c_walk", participant="c", hidden=0.9, seed=2),
        clip("d_jump", participant="d", exercise="jump", seed=3),
    ]


@pytest.mark.parametrize("kind", ["db", "parquet"])
def test_clips_are_described_and_bad_ones_named(kind: str, folder: Path, shell: Shell) -> None:
    source = folder / f"clips.{kind}"
    if kind == "db":
        LandmarkDatabase(source).add_many(clips(), {"by": "this test"})
    else:
        write_table(clips(), source)
    outcome = shell("check", "datamodule=spine_clips", f"datamodule.root={source}")
    assert outcome.code == 1, outcome.err
    described = "ok  a_walk: a, walk, rating 70, 60 frames at 30 per second (2.0 s), 0% masked"
    assert line_of("a_walk", outcome) == described
    assert line_of("b_walk", outcome).startswith("BAD b_walk: b, walk, 60 frames")
    assert "problem: it has no rating" in outcome.out
    assert "of the landmarks are below min_confidence=0.6" in outcome.out
    assert outcome.out.endswith("4 cases, 2 with problems: b_walk, c_walk\n")


def test_a_damaged_clip_does_not_hide_the_others(folder: Path, shell: Shell) -> None:
    LandmarkDatabase(folder / "clips.db").add_many(clips()[:2], {"by": "this test"})
    with sqlite3.connect(folder / "clips.db") as database:
        (first,) = database.execute("select min(id) from clips").fetchone()
        database.execute("update landmarks set points = x'00' where clip_id = ?", (first,))
    outcome = shell("check", "datamodule=spine_clips", "datamodule.root=clips.db")
    assert outcome.code == 1, outcome.err
    assert line_of("a_walk", outcome) == "BAD a_walk"
    assert line_of("b_walk", outcome).startswith("BAD b_walk: b, walk")


def test_only_the_exercises_that_are_asked_for(folder: Path, shell: Shell) -> None:
    write_table(clips(), folder / "clips.csv")
    keys = ("datamodule=spine_clips", "datamodule.root=clips.csv")
    outcome = shell("check", *keys, "datamodule.exercises=[jump]")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[-1] == "1 case, 0 with problems"
    absent = shell("check", *keys, "datamodule.exercises=[jump,dance]")
    assert absent.code == 2
    assert "datamodule.exercises: 'dance' is not among the data" in absent.err


def test_other_joints_are_a_problem_of_each_clip(folder: Path, shell: Shell) -> None:
    write_table(clips()[:1], folder / "clips.csv")
    keys = ("datamodule=spine_clips", "datamodule.root=clips.csv", "datamodule.skeleton=kinect22")
    outcome = shell("check", *keys)
    assert outcome.code == 1
    assert "its joints are blazepose33, not kinect22" in outcome.out


@pytest.mark.slow
@pytest.mark.real_data
def test_a_broken_video_does_not_hide_the_others(
    shell: Shell, folder: Path, real_data: Path, pose_models: Path
) -> None:
    videos = folder / "videos"
    videos.mkdir()
    (videos / "broken.mp4").write_bytes(b"no video")
    walk = real_data / "video_people/sports2d_walk_sagittal_demo.mp4"
    (videos / "walk.mp4").symlink_to(walk)
    rows = "clip,participant,exercise,rating\nwalk.mp4,p1,walk,70\nbroken.mp4,p2,walk,60\n"
    (videos / "ratings.csv").write_text(rows)
    outcome = shell("check", "datamodule=spine_clips", f"datamodule.root={videos}")
    assert outcome.code == 1, outcome.err
    assert "BAD broken.mp4" in outcome.out
    assert "ok  walk.mp4: p1, walk, rating 70, 230 frames" in outcome.out
