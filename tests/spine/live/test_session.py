"""A whole session: every way that it ends, and that nothing of it is left behind."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.spine.live.fakes import Camera, FakeIndex, LiveProcess
from tests.spine.live.test_recording import played
from tests.spine.live.test_server import events
from vitruvian.core.errors import ConfigError, DataError
from vitruvian.core.live import LiveOptions, LiveOutcome
from vitruvian.spine.live.answers import KEY_HEADER
from vitruvian.spine.live.session import run

NOTICE = "screening index trained on self-report, not a diagnosis"


def session(
    camera: Camera, index: FakeIndex | None = None, simulated: bool = False, **options: Any
) -> LiveOutcome:
    asked = LiveOptions("0", **{"port": 0, **options})
    return run(
        camera.stream(), index or FakeIndex(), asked, simulated, broken=lambda: camera.broken
    )


def resources() -> tuple[set[threading.Thread], int]:
    """Threads and open files of this process."""
    return set(threading.enumerate()), len(list(Path("/dev/fd").iterdir()))


# -- in this process ------------------------------------------------------------------------------


def test_end_of_stream_leaves_nothing_behind(tmp_path: Path) -> None:
    session(Camera(frames=1), video=tmp_path / "first.mp4")  # imports, and their files
    camera, before = Camera(frames=40), resources()
    outcome = session(camera, video=tmp_path / "out.mp4")
    assert outcome.code == 0
    assert outcome.line.startswith("end of stream: 40 frames, ")
    assert outcome.line.endswith(f", RED FLAG ({NOTICE})")
    assert not camera.open
    assert resources() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.mp4", "out.mp4"]


def test_every_frame_counts_until_the_last_one() -> None:
    index = FakeIndex("low", late=5)
    outcome = session(Camera(frames=30, nobody=range(7, 10)), index)
    assert len(index.known) == 30, "those that waited at the end, too"
    assert index.nobody == 3
    assert ", last index 0.20, mean 0.20 (" in outcome.line
    assert "RED FLAG" not in outcome.line


@pytest.mark.parametrize("world", [False, True])
def test_index_gets_the_coordinates_that_it_reads(world: bool) -> None:
    index = FakeIndex()
    run(Camera(frames=3).stream(), index, LiveOptions("0", port=0), world=world)
    assert (index.highest > 50) is world


def test_simulated_is_called_simulated() -> None:
    line = session(Camera(frames=3), simulated=True).line
    assert line.endswith(f"({NOTICE}; model trained on SIMULATED data)")


@pytest.mark.parametrize(
    ("law", "part"),
    [("beyond", "last index 1.00, mean 1.00, RED FLAG"), ("unknown", "last index -, mean - (")],
)
def test_index_is_reported_within_its_limits(law: str, part: str) -> None:
    assert part in session(Camera(frames=5), FakeIndex(law)).line


def test_lost_camera_keeps_what_there_was(tmp_path: Path) -> None:
    camera = Camera(frames=20, broken="camera 0 sends no more images")
    outcome = session(camera, video=tmp_path / "out.mp4")
    assert outcome.code == 2
    assert outcome.line.startswith(
        "the source was lost: camera 0 sends no more images: 20 frames, "
    )
    assert len(played(tmp_path / "out.mp4")[0]) == 20


def test_no_frame_at_all(tmp_path: Path) -> None:
    outcome = session(Camera(frames=0), video=tmp_path / "out.mp4")
    assert outcome == LiveOutcome("end of stream: no frame came", 0)
    assert list(tmp_path.iterdir()) == []


def test_error_of_the_source_passes_and_leaves_nothing_behind() -> None:
    def frames() -> Any:
        yield Camera().frame(0), None
        raise DataError("clip.mp4: broken")

    before = resources()
    with pytest.raises(DataError, match=r"clip\.mp4: broken"):
        run(frames(), FakeIndex(), LiveOptions("0", port=0))
    assert resources() == before


def test_refused_output_closes_the_camera(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="window: "):
        session(Camera(), window=True, video=tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_real_time_takes_its_time() -> None:
    begun = time.perf_counter()
    session(Camera(frames=11, fps=20.0), realtime=True)
    assert time.perf_counter() - begun >= 0.5, "ten frames lie between, at twenty a second"


# -- in a process of its own ----------------------------------------------------------------------


@pytest.mark.parametrize("hangs", [False, True], ids=["running", "hanging camera"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals(number: signal.Signals, hangs: bool, tmp_path: Path) -> None:
    camera = {"frames": 15, "hangs": True} if hangs else {}
    with LiveProcess(tmp_path, {"video": "out.mp4"}, camera) as live:
        port, key = live.page()
        reach(port, key, frames=12)
        if hangs:
            time.sleep(0.2)  # it waits by now; if it does not, it is stopped while it works
        live.signal(number)
        code, line = live.ended()
    assert code == 128 + number
    assert line.startswith(f"stopped by {number.name}: ")
    assert len(played(tmp_path / "out.mp4")[0]) >= 12
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize("hangs", [False, True], ids=["running", "hanging camera"])
def test_stop_of_the_page(hangs: bool, tmp_path: Path) -> None:
    camera = {"frames": 5, "hangs": True} if hangs else {}
    with LiveProcess(tmp_path, camera=camera) as live:
        port, key = live.page()
        reach(port, key, frames=5)
        assert post(port, "/stop", key) == 204
        code, line = live.ended()
    assert code == 0
    assert line.startswith("stopped by q: ")


def test_tells_the_address_and_the_tunnel(tmp_path: Path) -> None:
    with LiveProcess(tmp_path) as live:
        port, _ = live.page()
        tunnel = live.said("from another machine")
        assert f"ssh -N -L {port}:127.0.0.1:{port} " in tunnel.string
        live.signal(signal.SIGTERM)
        live.ended()


def test_waits_for_a_browser(tmp_path: Path) -> None:
    with LiveProcess(tmp_path, {"wait": True}, {"frames": 20}) as live:
        port, key = live.page()
        live.said("waiting for a browser")
        told = [data for name, data in events(listen(port, key)) if name == "reading"]
        assert told[0]["frame"] in range(1, 10), "nothing was missed"
        assert told[-1]["frame"] == 20
        assert live.ended()[0] == 0


def test_waiting_can_be_stopped(tmp_path: Path) -> None:
    with LiveProcess(tmp_path, {"wait": True}) as live:
        live.said("waiting for a browser")
        live.signal(signal.SIGINT)
        assert live.ended() == (130, "stopped by SIGINT: no frame came\n")


def test_browsers_hear_the_last_word(tmp_path: Path) -> None:
    with LiveProcess(tmp_path, {"wait": True}, {"frames": 30}) as live:
        port, key = live.page()
        told = list(events(listen(port, key)))
        _, line = live.ended()
    assert told[-1] == ("end", {"line": line.strip()})


def test_needs_neither_torch_nor_mediapipe() -> None:
    code = "import sys, vitruvian.spine.live.session; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "mediapipe", "av", "scipy", "matplotlib"} & set(done.stdout.split())


# -- a browser without a screen -------------------------------------------------------------------


def listen(port: int, key: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", "/events", headers={KEY_HEADER: key})
    return connection.getresponse()


def reach(port: int, key: str, frames: int) -> None:
    """Follow the session until it has shown so many frames."""
    answer = listen(port, key)
    for _, data in events(answer):
        frame = data.get("frame", 0)
        assert isinstance(frame, int)
        if frame >= frames:
            answer.close()
            return
    raise AssertionError(json.dumps(data))


def post(port: int, path: str, key: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("POST", path, headers={KEY_HEADER: key})
    return connection.getresponse().status
