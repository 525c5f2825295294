"""Sets of the Rehab-Pile: files that aeon keeps, and aeon itself against a server of this test."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.spine.public_sets import write_rehab_pile

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.data.rehab_pile import RehabPileFold, read_rehab_pile


def test_sequences_become_clips(tmp_path: Path) -> None:
    clips = list(read_rehab_pile(write_rehab_pile(tmp_path), "KIMORE_reg_LA", 0))
    names = [clip.participant for clip in clips]
    assert names == [f"train-{i}" for i in range(6)] + [f"test-{i}" for i in range(4)]
    assert clips[0].landmarks.skeleton == "joints18x3"
    assert clips[0].landmarks.points.shape == (20, 18, 3)
    stored = np.load(tmp_path / "regression/KIMORE_reg_LA/0/x_train_fold0.npy")
    assert clips[0].landmarks.points[7, 2, 1] == np.float32(stored[0, 7, 7])
    targets = np.load(tmp_path / "regression/KIMORE_reg_LA/0/y_train_fold0.npy")
    assert [clip.rating for clip in clips[:6]] == pytest.approx(targets.tolist())
    assert clips[0].exercise == "LA"


def test_classes_and_shares_become_ratings(tmp_path: Path) -> None:
    write_rehab_pile(tmp_path, "KERAAL_clf_bn_CTK")
    clips = list(read_rehab_pile(tmp_path, "KERAAL_clf_bn_CTK", 0))
    assert [clip.index for clip in clips[:4]] == [0.0, 1.0, 0.0, 1.0]
    folder = write_rehab_pile(tmp_path, "UIPRMD_reg_DS") / "regression/UIPRMD_reg_DS/0"
    for side, count in (("train", 6), ("test", 4)):
        np.save(folder / f"y_{side}_fold0.npy", np.full(count, 0.25))
    clips = list(read_rehab_pile(tmp_path, "UIPRMD_reg_DS", 0))
    assert {clip.rating for clip in clips} == {25.0}


def test_arrays_of_arrays_are_read(tmp_path: Path) -> None:
    folder = write_rehab_pile(tmp_path) / "regression/KIMORE_reg_LA/0"
    plain = list(read_rehab_pile(tmp_path, "KIMORE_reg_LA", 0))
    stored = np.load(folder / "x_train_fold0.npy")
    nested = np.empty(len(stored), object)
    nested[:] = list(stored)
    np.save(folder / "x_train_fold0.npy", nested, allow_pickle=True)
    again = list(read_rehab_pile(tmp_path, "KIMORE_reg_LA", 0))
    np.testing.assert_array_equal(again[3].landmarks.points, plain[3].landmarks.points)


class Call:
    """Pickles into a call, as a hostile file would."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    folder = write_rehab_pile(tmp_path) / "regression/KIMORE_reg_LA/0"
    hostile = np.empty(1, object)
    hostile[0] = Call(tmp_path / "struck")
    np.save(folder / "x_train_fold0.npy", hostile, allow_pickle=True)
    with pytest.raises(
        DataError, match=r"x_train_fold0\.npy is no array of numbers: it would call"
    ):
        list(read_rehab_pile(tmp_path, "KIMORE_reg_LA", 0))
    assert not (tmp_path / "struck").exists()
    np.load(folder / "x_train_fold0.npy", allow_pickle=True)
    assert (tmp_path / "struck").exists(), "the file was harmless: this test showed nothing"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("x_train_fold0.npy", b"", r"x_train_fold0\.npy is no array of numbers"),
        ("y_test_fold0.npy", b"text", r"y_test_fold0\.npy is no array of numbers"),
        ("y_train_fold0.npy", np.zeros(5), r"holds 6 sequences, .*y_train_fold0\.npy 5"),
        ("y_train_fold0.npy", np.array(["a"] * 6), r"y_train_fold0\.npy holds <U1 rather than"),
    ],
)
def test_faulty_files_are_named(
    tmp_path: Path, file: str, content: bytes | np.ndarray, message: str
) -> None:
    path = write_rehab_pile(tmp_path) / "regression/KIMORE_reg_LA/0" / file
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(DataError, match=message):
        list(read_rehab_pile(tmp_path, "KIMORE_reg_LA", 0))


def test_a_name_outside_the_collection_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^datamodule\.dataset: 'kimore' is no set such as"):
        list(read_rehab_pile(tmp_path, "kimore", 0))


# -- through aeon ---------------------------------------------------------------------------------


@pytest.fixture
def collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server with the collection's folders; aeon is told that this is the collection."""
    from aeon.datasets import rehabpile_loader as loader

    served = tmp_path / "served"
    for name in loader.REHABPILE_COLLECTIONS:
        (served / name).mkdir(parents=True)
    source = write_rehab_pile(tmp_path / "source") / "regression/KIMORE_reg_LA/0"
    (served / "KIMORE_reg" / "LA").mkdir()
    source.rename(served / "KIMORE_reg" / "LA" / "fold0")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(served))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    monkeypatch.setattr(loader, "REHABPILE_ROOT_URL", address)
    monkeypatch.setattr(loader, "_rehabpile_regression_datasets", None)
    monkeypatch.setattr(loader, "_rehabpile_classification_datasets", None)
    yield served
    server.shutdown()
    server.server_close()


def test_aeon_downloads_what_is_missing(collection: Path, tmp_path: Path) -> None:
    clips = list(read_rehab_pile(tmp_path / "mine", "KIMORE_reg_LA", 0))
    assert len(clips) == 10
    assert (tmp_path / "mine/regression/KIMORE_reg_LA/0/x_test_fold0.npy").is_file()


def test_aeon_s_refusal_is_told(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^KIMORE_reg_LA, fold 9: Invalid fold=9"):
        list(read_rehab_pile(tmp_path / "mine", "KIMORE_reg_LA", 9))


# -- the fold -------------------------------------------------------------------------------------

NAMES = [f"train-{i}" for i in range(10)] + [f"test-{i}" for i in range(5)]


def test_the_fold_tests_its_test_sequences() -> None:
    splits = RehabPileFold().assign(NAMES)
    assert set(splits.test) == {f"test-{i}" for i in range(5)}
    assert (len(splits.train), len(splits.val)) == (8, 2)
    assert splits == RehabPileFold().assign(NAMES[::-1])
    assert splits.val != RehabPileFold(seed=1).assign(NAMES).val


def test_other_data_are_refused() -> None:
    with pytest.raises(DataError, match="no sequences of a Rehab-Pile fold"):
        RehabPileFold().assign(["p1", "p2", "p3"])
    with pytest.raises(ConfigError, match=r"split\.val: a share between 0 and 1, not 1"):
        RehabPileFold(val=1)
