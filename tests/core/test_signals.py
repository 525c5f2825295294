"""Stop signals: remembered inside training, raised outside, held back until somebody answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest
from tests.shell import kept_signals

from vitruvian.core.signals import STOP_SIGNALS, Interrupted, StopRequest


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    with kept_signals():
        request = StopRequest()
        request.install()
        yield request


def test_the_signals_of_schedulers_are_among_them() -> None:
    assert {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2} == set(STOP_SIGNALS)


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_outside_training_it_strikes_at_once(stop: StopRequest, signum: int) -> None:
    with pytest.raises(Interrupted) as caught:
        signal.raise_signal(signum)
    assert caught.value.exit_code == 128 + signum
    assert stop.struck


@pytest.mark.parametrize("signum", STOP_SIGNALS)
def test_inside_training_the_first_is_remembered(stop: StopRequest, signum: int) -> None:
    stop.graceful = True
    signal.raise_signal(signum)
    assert (stop.signum, stop.struck) == (signum, False)


def test_the_same_signal_may_come_by_several_ways(stop: StopRequest) -> None:
    """SLURM signals every process of a step, and a worker passes on what it gets."""
    stop.graceful = True
    for _ in range(3):
        signal.raise_signal(signal.SIGUSR1)
    assert stop.signum == signal.SIGUSR1
    assert not stop.struck


def test_the_second_strikes_and_the_first_counts(
    stop: StopRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A time limit warns by SIGUSR1 and ends by SIGTERM: it is still the time limit."""
    monkeypatch.setattr("vitruvian.core.signals.ECHO_S", 0.0)
    stop.graceful = True
    signal.raise_signal(signal.SIGUSR1)
    with pytest.raises(Interrupted, match="SIGUSR1"):
        signal.raise_signal(signal.SIGTERM)


def test_no_except_of_a_library_swallows_it(stop: StopRequest) -> None:
    def library() -> None:
        with suppress(Exception):
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted):
        library()


def test_a_check_finds_what_was_swallowed(stop: StopRequest) -> None:
    stop.check()
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        stop.check()


def test_when_all_is_done_it_changes_nothing(stop: StopRequest) -> None:
    stop.deaf = True
    signal.raise_signal(signal.SIGTERM)
    assert stop.signum is None


def test_the_handlers_are_given_back() -> None:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    with StopRequest().listening():
        assert signal.getsignal(signal.SIGUSR2) != before[signal.SIGUSR2]
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before


def test_a_forked_process_leaves_it_to_its_program(stop: StopRequest) -> None:
    child = os.fork()
    if child == 0:
        signal.raise_signal(signal.SIGUSR1)
        os._exit(7 if stop.signum is None else 8)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# -- processes of their own: the signals end them, or must not ------------------------------------

HELD = """
import os, signal, sys
from vitruvian.core import signals
signals.hold()
os.kill(os.getpid(), signal.{name})
print("held", flush=True)
with signals.ending_at_once(lambda signum: signum + 100):
    print("never")
"""

OBEDIENT = """
import os, signal, sys, time
from vitruvian.core.signals import leave_to_parent
leave_to_parent()
for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
    os.kill(os.getpid(), number)  # as a scheduler does, which is not the parent
time.sleep(0.2)
print("alive", flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1", "SIGUSR2"])
def test_a_signal_that_was_held_back_is_answered(name: str) -> None:
    code = HELD.format(name=name)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("held\n", "")
    assert done.returncode == signal.Signals[name] + 100


def test_a_loader_obeys_its_parent_alone() -> None:
    with subprocess.Popen([sys.executable, "-c", OBEDIENT], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"alive\n"
        process.terminate()
        assert process.wait(30) == 0
