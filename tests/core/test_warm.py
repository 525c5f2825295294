"""Warm processes behave as cold ones do: ends, signals, logs, shares; nobody is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vitruvian
from vitruvian.core import warm
from vitruvian.core.processes import Process, Share, Start, birth, start
from vitruvian.core.warm import TRAINING, WarmServer, modules_of, starter

pytestmark = pytest.mark.skipif(not warm.POSSIBLE, reason="processes are forked warm on Linux only")

# A program of a few lines in place of a training: it says what it sees, then does as it is told.
PROGRAM = """
import json, os, signal, sys, time
from pathlib import Path
from vitruvian.core.parent import follow_parent

folder = Path(sys.argv[1])
follow_parent()
seen = {
    "name": __name__,
    "argv": sys.argv[1:],
    "program": Path(sys.argv[0]).name,
    "session": os.getsid(0) == os.getpid(),
    "cores": sorted(os.sched_getaffinity(0)),
    "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
    "threads": os.environ.get("OMP_NUM_THREADS"),
    "rank": os.environ.get("SLURM_PROCID"),
    "parent": os.environ.get("VITRUVIAN_PARENT") == str(os.getppid()),
    "signals": [str(signal.getsignal(n)) for n in (15, 2, 10, 12, 17)],
    "blocked": len(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "input": sys.stdin.read(),
}
print("hello", flush=True)
print("trouble", file=sys.stderr, flush=True)
todo = (folder / "todo").read_text()
if todo == "wait":
    def save(number, _):
        (folder / "saved").write_text(str(number))
        sys.exit(128 + number)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, save)
(folder / "seen.json").write_text(json.dumps(seen))
if todo == "wait":
    time.sleep(60)
elif todo == "break":
    raise ValueError("broken")
elif todo == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
else:
    sys.exit(int(todo))
"""


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Makes a folder that tells the program what to do."""
    (tmp_path / "pretend.py").write_text(PROGRAM)
    source = Path(vitruvian.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{source}")

    def folder(name: str, todo: str) -> Path:
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "todo").write_text(todo)
        return tmp_path / name

    return folder


@pytest.fixture
def server() -> Iterator[WarmServer]:
    with WarmServer(["json", "there.is.no.such.module"]) as made:
        yield made


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to become true; the answer."""
    while not (answer := condition()):
        time.sleep(0.01)
    return answer


def code(process: Process) -> int:
    until(lambda: process.poll() is not None)
    found = process.poll()
    assert found is not None
    return found


def seen(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "seen.json").read_text())
    return found


def test_a_warm_process_sees_what_a_cold_one_does(
    make: Callable[..., Path], server: WarmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SLURM_PROCID", "1")
    share = Share(cores=(min(os.sched_getaffinity(0)),), gpus=("3", "5"), threads=2)
    found = []
    for name, begin in (("cold", start), ("warm", server.start)):
        folder = make(name, "7")
        log = folder / "log"
        assert code(begin("pretend", folder, log, share)) == 7
        assert log.read_text() == "hello\ntrouble\n"
        found.append(seen(folder) | {"argv": len(seen(folder)["argv"])})
    assert found[0] == found[1]
    assert found[1] == {
        "name": "__main__",
        "argv": 1,
        "program": "pretend.py",
        "session": True,
        "cores": list(share.cores or ()),
        "gpus": "3,5",
        "threads": "2",
        "rank": None,
        "parent": True,
        "signals": found[0]["signals"],
        "blocked": 0,
        "input": "",
    }


@pytest.mark.parametrize(("todo", "expected"), [("0", 0), ("2", 2), ("break", 1), ("kill", -9)])
def test_how_it_ends_is_told(
    make: Callable[..., Path], server: WarmServer, todo: str, expected: int
) -> None:
    folder = make("job", todo)
    process = server.start("pretend", folder, folder / "log")
    assert code(process) == expected
    assert ("ValueError: broken" in (folder / "log").read_text()) == (todo == "break")
    process.send_signal(signal.SIGTERM)  # it has ended: nobody is struck
    assert code(process) == expected


def test_many_at_a_time(make: Callable[..., Path], server: WarmServer) -> None:
    started = [server.start("pretend", make(f"job{n}", str(n)), Path(os.devnull)) for n in range(9)]
    assert [code(process) for process in started] == list(range(9))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_reaches_one_and_no_other(
    make: Callable[..., Path], server: WarmServer, signum: int
) -> None:
    folders = [make(name, "wait") for name in ("first", "second")]
    first, second = (server.start("pretend", f, f / "log") for f in folders)
    for folder in folders:
        until((folder / "seen.json").exists)
    first.send_signal(signum)
    assert code(first) == 128 + signum
    assert (folders[0] / "saved").read_text() == str(int(signum))
    assert second.poll() is None
    second.send_signal(signal.SIGKILL)
    assert code(second) == -9


def test_a_signal_at_the_very_first_moment_is_not_lost(
    make: Callable[..., Path], server: WarmServer
) -> None:
    folder = make("job", "wait")
    for _ in range(10):
        process = server.start("pretend", folder, folder / "log")
        process.send_signal(signal.SIGTERM)
        assert code(process) in (-signal.SIGTERM, 128 + signal.SIGTERM)


def test_a_server_that_dies_is_replaced(make: Callable[..., Path], server: WarmServer) -> None:
    folder = make("job", "wait")
    process = server.start("pretend", folder, folder / "log")
    until((folder / "seen.json").exists)
    assert server._line is not None
    os.kill(server._line._server.pid, signal.SIGKILL)
    assert code(process) == -9, "how it ended nobody knows"
    assert (folder / "saved").read_text() == "15", "the kernel has told it"
    folder = make("next", "5")
    assert code(server.start("pretend", folder, folder / "log")) == 5


def test_where_no_server_lives_it_starts_cold(
    make: Callable[..., Path], server: WarmServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "SERVER", "no.such.module")
    folder = make("job", "5")
    assert code(server.start("pretend", folder, folder / "log")) == 5


COORDINATOR = """
import os, sys, time
from pathlib import Path
from vitruvian.core.warm import WarmServer

server = WarmServer([])
process = server.start("pretend", Path(sys.argv[1]), Path(os.devnull))
print(process.pid, server._line._server.pid, flush=True)
time.sleep(60)
"""


def test_who_loses_the_coordinator_saves_and_goes(make: Callable[..., Path]) -> None:
    folder = make("job", "wait")
    command = [sys.executable, "-c", COORDINATOR, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as coordinator:
        assert coordinator.stdout is not None
        pids = [int(word) for word in coordinator.stdout.readline().split()]
        until((folder / "seen.json").exists)
        coordinator.kill()
    for pid in pids:
        until(lambda pid=pid: birth(pid) is None)
    assert (folder / "saved").read_text() == "15"


def test_what_runs_import_is_known_from_their_configs() -> None:
    net = {"_target_": "monai.networks.nets.UNet"}
    configs = [{"model": {"_target_": "a.b.C", "net": net}}, {"logger": [{"_target_": "a.b.D"}]}]
    assert modules_of(configs) == [*TRAINING, "a.b", "monai.networks.nets"]


@pytest.mark.parametrize(("count", "asked"), [(1, True), (5, False)])
def test_a_server_is_started_only_where_it_pays(count: int, asked: bool) -> None:
    with starter([{}] * count, [Share()], asked) as begin:
        chosen: Start = begin
        assert chosen is start
