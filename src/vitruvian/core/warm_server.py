"""The process behind `WarmServer`: imports once, forks for each job, tells how each has ended."""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from vitruvian.core.processes import PARENT, Share
from vitruvian.core.signals import STOP_SIGNALS
from vitruvian.core.warm import LONGEST, Message


class _Server:
    """Forks on request, tells how what it forked has ended."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._jobs: dict[int, int] = {}  # by the numbers of their processes
        self._woken, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()

    def serve(self) -> Message | None:
        """Work until nobody asks any more (None); in a process that was forked: its request."""
        for end in (self._woken, self._waker):
            end.setblocking(False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # only to be woken
        signal.set_wakeup_fd(self._waker.fileno(), warn_on_full_buffer=False)
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # they are meant for what is forked, one by one
        self._selector.register(self._channel, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)
        while True:
            self._selector.select()
            self._say_farewell()
            message = self._next()
            if message is None:
                continue
            if not message:
                self._close_down()
                return None
            if "signal" in message:
                self._pass_on(message)
            elif self._fork(message["job"]):
                return message

    def _next(self) -> Message | None:
        """What was asked; None: nothing, empty: nobody is there."""
        try:
            data = self._channel.recv(LONGEST, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return None
        except ConnectionError:
            return {}
        return dict(json.loads(data)) if data else {}

    def _pass_on(self, message: Message) -> None:
        for pid, job in self._jobs.items():
            if job == message["job"]:
                os.kill(pid, message["signal"])

    def _fork(self, job: int) -> bool:
        """Fork; True in the new process."""
        with _blocked_signals():
            pid = os.fork()
            if not pid:
                _forget_signals()
                self._leave()
                return True
        self._jobs[pid] = job
        self._say({"job": job, "pid": pid})
        return False

    def _leave(self) -> None:
        """What a process that was forked has no part in."""
        self._selector.close()
        for end in (self._channel, self._woken, self._waker):
            end.close()

    def _say_farewell(self) -> None:
        with suppress(BlockingIOError):
            while self._woken.recv(LONGEST):
                pass
        for pid in list(self._jobs):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                job, code = self._jobs.pop(pid), os.waitstatus_to_exitcode(status)
                self._say({"job": job, "code": code})

    def _say(self, message: Message) -> None:
        with suppress(OSError):  # nobody listens: the next reading will show that
            self._channel.send(json.dumps(message).encode())

    def _close_down(self) -> None:
        """Nobody is there any more: what still runs is to save its state."""
        for pid in self._jobs:
            os.kill(pid, signal.SIGTERM)
        for pid in self._jobs:
            os.waitpid(pid, 0)


@contextmanager
def _blocked_signals() -> Iterator[None]:
    """Between fork and the next lines a signal waits: the server would have ignored it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forget_signals() -> None:
    """Signals as a fresh process has them."""
    signal.set_wakeup_fd(-1)
    for number in (*STOP_SIGNALS, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _become(request: Message) -> NoReturn:
    """Go on as `python -m MODULE PATH` in a process that was just forked."""
    os.setsid()
    threads = os.environ.get("OMP_NUM_THREADS")
    share = Share(**request["share"])
    os.environ.update(share.environment(os.environ) | {PARENT: str(os.getppid())})
    share.take()
    if request["log"] is not None:
        _print_to(request["log"])
    sys.argv = ["", request["path"]]
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda._is_in_bad_fork():  # an import has asked CUDA for devices
        os.execv(sys.executable, [sys.executable, "-m", request["module"], request["path"]])
    if torch is not None and os.environ.get("OMP_NUM_THREADS") != threads:
        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    sys.exit(0)


def _print_to(log: str) -> None:
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    os.close(stream)


def _import(modules: Iterable[str]) -> None:
    """Import what can be; asking CUDA for devices would keep what is forked from using it."""
    asked = "PYTORCH_NVML_BASED_CUDA_CHECK"
    added = os.environ.setdefault(asked, "1") if asked not in os.environ else None
    for module in modules:
        with suppress(Exception):
            importlib.import_module(module)
    if added:
        del os.environ[asked]
    gc.freeze()  # what is shared stays shared
    sys.stdout.flush()  # or each process that is forked would print it once more


def main() -> None:
    """Entry point of the server: its socket, and what to import."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as core/cli.py, before OpenMP is loaded
    _import(json.loads(sys.argv[2]))
    request = _Server(channel).serve()
    if request is not None:
        _become(request)


if __name__ == "__main__":
    main()
