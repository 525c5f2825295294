"""Processes that start at once: forked from one that has imported everything and does nothing else.

A training process imports torch, Lightning and MONAI for seconds before it begins. `WarmServer`
has core/warm_server.py do that once, in a process which then forks itself for each job. What is
forked goes on as `python -m MODULE PATH` would: in a session of its own, with its share of the
machine, its log, its signals; the numbers it computes are the same to the last bit.

When the process that asked is gone, the server tells its processes to stop, so that they save their
state; when the server is gone, the kernel does (see `vitruvian.run`).
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import Any

from vitruvian.core.processes import EVERYTHING, Process, Share, Start, birth, own_environment
from vitruvian.core.processes import start as cold_start

Message = dict[str, Any]

TRAINING = ("vitruvian.core.engine", "vitruvian.report.result")  # what every run imports
POSSIBLE = sys.platform == "linux"  # elsewhere a process with system libraries cannot be forked
SERVER = "vitruvian.core.warm_server"
LONGEST = 65536  # bytes of a message
_CLOSING_S = 10.0  # how long the server may take to leave


def modules_of(configs: Iterable[Mapping[str, Any]]) -> list[str]:
    """The modules that runs of these configs import: where their `_target_`s are."""
    targets = {target for config in configs for target in _targets(config)}
    return [*TRAINING, *sorted({target.rpartition(".")[0] for target in targets})]


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _targets(value)


@contextmanager
def starter(
    configs: Sequence[Mapping[str, Any]], shares: Sequence[Share], warm: bool = True
) -> Iterator[Start]:
    """How to start several runs: from one warm process where that is possible and pays.

    Args:
        configs: of the runs.
        shares: of those that run side by side.
        warm: False: each by itself in any case.
    """
    if not (warm and POSSIBLE and len(configs) > 1):
        yield cold_start
        return
    threads = {share.thread_count for share in shares}
    with WarmServer(modules_of(configs), threads.pop() if len(threads) == 1 else None) as server:
        yield server.start


class WarmServer:
    """Starts processes warm; a context manager, whose end ends the server.

    Args:
        modules: to import beforehand; one that cannot be is left to the processes, which say why.
        threads: OMP_NUM_THREADS of all processes, if it is the same for all: the libraries read it
            when they are loaded.
    """

    def __init__(self, modules: Sequence[str], threads: int | None = None) -> None:
        self._modules, self._threads = list(modules), threads
        self._line: _Line | None = None

    def __enter__(self) -> WarmServer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._line is not None:
            self._line.close()

    def start(
        self, module: str, path: Path, log: Path | None = None, share: Share | None = None
    ) -> Process:
        """Start `python -m MODULE PATH`; see `vitruvian.core.processes.start`.

        A server that has died is replaced; where none can live, the process is started cold.
        """
        request = {
            "module": module,
            "path": str(path),
            "log": None if log is None else str(log.resolve()),
            "share": asdict(share or EVERYTHING),
        }
        for _ in range(2):
            if self._line is None or self._line.lost:
                self._line = _Line(self._modules, self._threads)
            started = self._line.ask(request)
            if started is not None:
                return started
        return cold_start(module, path, log, share)


class _Line:
    """The connection to one server."""

    def __init__(self, modules: list[str], threads: int | None) -> None:
        self.ended: dict[int, int] = {}  # exit codes; processes are known by the number of the job
        self.lost = False
        self._jobs = count()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(
                [sys.executable, "-m", SERVER, str(theirs.fileno()), json.dumps(modules)],
                stdin=subprocess.DEVNULL,
                env=Share(threads=threads).environment(own_environment()),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def ask(self, request: Message) -> _WarmProcess | None:
        """Ask for a process; None if the server has died."""
        job = next(self._jobs)
        self.send(request | {"job": job})
        while not self.lost:
            message = self._read(flags=0)
            if "pid" in message:
                return _WarmProcess(job, message["pid"], self)
        return None

    def send(self, message: Message) -> None:
        """Send a message; a server that has died does not get it."""
        with suppress(OSError):
            self._socket.send(json.dumps(message).encode())

    def listen(self) -> None:
        """Take in what the server has said so far."""
        with suppress(BlockingIOError):
            while not self.lost:
                self._read(flags=socket.MSG_DONTWAIT)

    def _read(self, flags: int) -> Message:
        """Read one message and take note of what it says; empty if nobody is there."""
        try:
            data = self._socket.recv(LONGEST, flags)
        except ConnectionError:
            data = b""
        self.lost = not data
        message: Message = json.loads(data) if data else {}
        if "code" in message:
            self.ended[message["job"]] = message["code"]
        return message

    def close(self) -> None:
        """Let the server go."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._server.wait(_CLOSING_S)


class _WarmProcess:
    """A process that a server has forked."""

    def __init__(self, job: int, pid: int, line: _Line) -> None:
        self.pid, self._job, self._line = pid, job, line
        self._birth = birth(pid)
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code; that of a killed process if there is no server any more to tell it."""
        self._line.listen()
        if self._code is None:
            self._code = self._line.ended.pop(self._job, None)
        if self._code is None and self._line.lost and not self._lives():
            self._code = -signal.SIGKILL
        return self._code

    def send_signal(self, sig: int, /) -> None:
        """Send a signal through the server: it knows whether the number is still this process's."""
        if not self._line.lost:
            self._line.send({"signal": int(sig), "job": self._job})
        elif self._code is None and self._lives():
            os.kill(self.pid, sig)

    def _lives(self) -> bool:
        return self._birth is not None and birth(self.pid) == self._birth
