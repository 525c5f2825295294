"""Model files: where they are looked for, what is refused, how they are fetched and trimmed."""

from __future__ import annotations

import hashlib
import io
import shutil
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from vitruvian.core.errors import ConfigError, DataError
from vitruvian.spine.pose.pose_models import (
    DETECTOR,
    LANDMARK_NET,
    VARIABLE,
    PoseModel,
    address,
    cached,
    model_file,
    without_silhouette,
)

NAME = "pose_landmarker_lite.task"
LITE = "59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a"


@pytest.fixture(autouse=True)
def _nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, no variable, no proxy."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def lite(pose_models: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Google's lite model, which the code under test does not find by itself."""
    monkeypatch.delenv(VARIABLE)
    return (pose_models / NAME).read_bytes()


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def served(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A real web server; yields its address and the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            """Nothing on stderr."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def whole(content: bytes, promised: int | None = None) -> Answer:
    """Answers with this content, whatever length it promises."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content) if promised is None else promised))
        handler.end_headers()
        handler.wfile.write(content)

    return answer


def refuse(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def own_model(folder: Path, lite: bytes) -> Path:
    """A model that is not Google's: the same nets, packed otherwise."""
    path = folder / "mine.task"
    with zipfile.ZipFile(io.BytesIO(lite)) as source, zipfile.ZipFile(path, "w") as target:
        for name in (DETECTOR, LANDMARK_NET):
            target.writestr(zipfile.ZipInfo(name), source.read(name))
    return path


def place(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


# -- where it is looked for -----------------------------------------------------------------------


def test_the_given_path_comes_first_then_the_variable_then_the_cache(
    tmp_path: Path, lite: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = place(tmp_path / "given.task", lite)
    folder = place(tmp_path / "folder" / NAME, lite).parent
    place(cached("lite"), lite)
    monkeypatch.setenv(VARIABLE, str(folder))
    assert model_file("lite", given) == PoseModel(given, LITE, "lite")
    assert model_file("lite", str(given)).path == given
    assert model_file("lite").path == folder / NAME
    monkeypatch.setenv(VARIABLE, str(given))
    assert model_file("lite").path == given, "the variable may also name the file"
    monkeypatch.setenv(VARIABLE, "")
    assert model_file("lite") == PoseModel(cached("lite"), LITE, "lite")


def test_a_folder_without_the_model_leads_on_to_the_cache(
    tmp_path: Path, lite: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    place(cached("lite"), lite)
    assert model_file("lite").path == cached("lite")


def test_the_home_directory_may_be_abbreviated(
    tmp_path: Path, lite: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    place(tmp_path / NAME, lite)
    monkeypatch.setenv(VARIABLE, "~")
    assert model_file("lite").path == tmp_path / NAME
    assert model_file("lite", f"~/{NAME}").path == tmp_path / NAME


@pytest.mark.parametrize("value", [None, "", "relative/cache"])
def test_without_an_absolute_cache_the_home_directory_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME")
    if value is not None:
        monkeypatch.setenv("XDG_CACHE_HOME", value)
    expected = tmp_path / ".cache/vitruvian/pose/pose_landmarker_heavy.task"
    assert cached("heavy") == expected


@pytest.mark.parametrize("variant", ["lite", "full"])
def test_the_published_hashes_are_known(pose_models: Path, variant: str) -> None:
    model = model_file(variant, pose_models / f"pose_landmarker_{variant}.task")
    assert model.official
    assert model.sha256 == hashlib.sha256(model.path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "sha256",
    [
        "5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1",
        "4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad",
    ],
)
def test_both_copies_of_the_full_model_are_google_s(sha256: str) -> None:
    assert PoseModel(Path("x"), sha256, "full").official
    assert not PoseModel(Path("x"), sha256, "lite").official


def test_an_own_model_is_taken_with_its_hash_and_a_warning(
    tmp_path: Path, lite: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = own_model(tmp_path, lite)
    model = model_file("lite", path)
    assert model.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != LITE
    assert not model.official
    (message,) = caplog.messages
    assert message == f"{path} is not Google's lite model; its sha256 is {model.sha256}"


# -- what is refused ------------------------------------------------------------------------------


def test_an_unknown_variant_is_refused() -> None:
    with pytest.raises(ValueError, match="one of lite, full, heavy, not 'light'"):
        model_file("light")


GIVEN_FAULTS = {
    "gone": (None, "lite", ConfigError, "pose.model=.*given.task: no such file"),
    "cut short": (
        3_000_000,
        "lite",
        DataError,
        f"given.task.*cut short.*3000000 .*5777746.*{LITE}",
    ),
    "empty": (0, "lite", DataError, "given.task: no model bundle .*0 bytes"),
    "another variant": (None, "full", ConfigError, "is the lite model; set pose.variant=lite"),
}


@pytest.mark.parametrize(
    ("keep", "variant", "error", "message"), GIVEN_FAULTS.values(), ids=GIVEN_FAULTS
)
def test_a_given_file_that_is_no_model_is_refused(
    tmp_path: Path,
    lite: bytes,
    keep: int | None,
    variant: str,
    error: type[Exception],
    message: str,
) -> None:
    path = tmp_path / "given.task"
    if "no such" not in message:
        place(path, lite[:keep])
    with pytest.raises(error, match=f"(?s){message}"):
        model_file(variant, path)


def test_a_given_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a folder"):
        model_file("lite", tmp_path)


def test_a_variable_that_leads_nowhere_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "/no/such/folder")
    with pytest.raises(ConfigError, match=f"{VARIABLE}=/no/such/folder: no such file or folder"):
        model_file("lite")


@pytest.mark.parametrize("where", ["variable", "cache"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda lite: lite[:1_999_138], "cut short: 1999138 bytes with sha256 .{64}, not 5777746"),
        (lambda lite: lite + b"\0", f"damaged or another version: .* with sha256 {LITE}. Delete"),
    ],
)
def test_a_wrong_hash_is_refused_with_both(
    tmp_path: Path,
    lite: bytes,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    content: Callable[[bytes], bytes],
    message: str,
) -> None:
    path = {"variable": tmp_path / NAME, "cache": cached("lite")}[where]
    place(path, content(lite))
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    with pytest.raises(DataError, match=message) as error:
        model_file("lite")
    assert str(error.value).startswith(f"{path}: the lite model is")


def test_another_variant_under_this_name_is_refused(lite: bytes) -> None:
    place(cached("full"), lite)
    with pytest.raises(DataError, match="this is the lite model, not full"):
        model_file("full")


# -- fetching it ----------------------------------------------------------------------------------


def test_a_missing_model_is_fetched_once(lite: bytes) -> None:
    with served(whole(lite)) as (url, asked):
        for _ in range(2):
            assert model_file("lite", url=url) == PoseModel(cached("lite"), LITE, "lite")
    assert asked == ["/pose_landmarker_lite/float16/1/pose_landmarker_lite.task"]
    assert cached("lite").read_bytes() == lite
    assert list(cached("lite").parent.iterdir()) == [cached("lite")]


def test_the_official_address() -> None:
    assert address("full") == (
        "https://storage.googleapis.com/mediapipe-models/pose_landmarker/"
        "pose_landmarker_full/float16/1/pose_landmarker_full.task"
    )


def test_several_processes_may_fetch_at_once(lite: bytes) -> None:
    with served(whole(lite)) as (url, _), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: model_file("lite", url=url), range(4)))
    assert found == [PoseModel(cached("lite"), LITE, "lite")] * 4
    assert list(cached("lite").parent.iterdir()) == [cached("lite")]


DOWNLOADS: dict[str, tuple[Callable[[bytes], Answer], str]] = {
    "cut short": (lambda lite: whole(lite[:1000], len(lite)), "cut short: 1000 bytes"),
    "another file": (lambda lite: whole(lite + b"\0"), "damaged or another version"),
    "a page to log in": (lambda lite: whole(b"<html>"), "cut short: 6 bytes"),
    "not there": (lambda lite: refuse, "HTTP Error 404: Not Found"),
}


@pytest.mark.parametrize(("answer", "reason"), DOWNLOADS.values(), ids=DOWNLOADS)
def test_a_bad_download_leaves_nothing_and_says_what_to_do(
    lite: bytes, answer: Callable[[bytes], Answer], reason: str
) -> None:
    with served(answer(lite)) as (url, _), pytest.raises(DataError, match=reason) as error:
        model_file("lite", url=url)
    for part in (address("lite", url), LITE, str(cached("lite")), VARIABLE, "pose.model="):
        assert part in str(error.value)
    assert not list(cached("lite").parent.iterdir())


def test_without_a_network_the_error_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DataError, match=r"could not be fetched \(.*refused\)") as error:
            model_file("lite", url=url)
    for part in (address("lite", url), LITE, str(cached("lite"))):
        assert part in str(error.value)


# -- trimming it ----------------------------------------------------------------------------------


def members(bundle: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        assert archive.testzip() is None
        for info in archive.infolist():
            assert info.compress_type == zipfile.ZIP_STORED
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("variant", ["lite", "full"])
def test_only_the_landmark_net_is_trimmed(pose_models: Path, variant: str) -> None:
    model = model_file(variant, pose_models / f"pose_landmarker_{variant}.task")
    original = members(model.path.read_bytes())
    untouched, trimmed = members(model.bundle(trim=False)), members(model.bundle())
    assert untouched == original
    assert trimmed[DETECTOR] == original[DETECTOR]
    assert trimmed[LANDMARK_NET] != original[LANDMARK_NET]
    assert len(trimmed[LANDMARK_NET]) == len(original[LANDMARK_NET])
    assert model.bundle() == model.bundle()


def test_the_nets_in_a_bundle_are_aligned(pose_models: Path) -> None:
    """MediaPipe reads a net in its place, and its numbers take four bytes."""
    bundle = model_file("lite", pose_models / NAME).bundle()
    for content in members(bundle).values():
        assert bundle.index(content) % 4 == 0


def test_a_net_without_a_silhouette_stays_as_it_is(lite: bytes) -> None:
    detector = members(lite)[DETECTOR]
    assert without_silhouette(detector) == detector
    trimmed = without_silhouette(members(lite)[LANDMARK_NET])
    assert without_silhouette(trimmed) == trimmed


def test_an_own_model_is_never_trimmed(tmp_path: Path, lite: bytes) -> None:
    model = model_file("lite", own_model(tmp_path, lite))
    assert members(model.bundle()) == members(lite)


def test_a_model_that_went_away_is_named(tmp_path: Path, lite: bytes) -> None:
    path = tmp_path / NAME
    path.write_bytes(lite)
    model = model_file("lite", path)
    shutil.move(path, tmp_path / "elsewhere")
    with pytest.raises(DataError, match=f"{NAME}: no model bundle"):
        model.bundle()
