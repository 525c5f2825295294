"""The end: whoever asks first is heard, at once while the session waits, else after the frame."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator

import pytest

from vitruvian.spine.live.stopping import ASKED, END_OF_STREAM, Ending, Stop


def test_nothing_was_asked_for() -> None:
    stop = Stop()
    assert stop.ending is None
    assert stop.wait_for(lambda: 5) == 5


def test_first_word_counts() -> None:
    stop = Stop()
    stop.request(ASKED)
    stop.request(END_OF_STREAM)
    assert stop.ending == ASKED


def test_after_the_end_nothing_is_waited_for() -> None:
    stop = Stop()
    stop.request(ASKED)
    assert stop.wait_for(lambda: pytest.fail("it was called")) is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_signal_ends_a_wait(number: signal.Signals) -> None:
    stop = Stop()
    with stop.signals():
        assert stop.wait_for(lambda: signal.raise_signal(number)) is None
    assert stop.ending == Ending(f"stopped by {number.name}", 128 + number)


def test_signal_lets_work_go_on() -> None:
    stop = Stop()
    with stop.signals():
        signal.raise_signal(signal.SIGTERM)
        written = "the frame"
    assert written
    assert stop.ending is not None


def test_second_signal_stops_on_the_spot() -> None:
    stop = Stop()
    with stop.signals():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_request_of_another_thread_wakes_a_wait_without_end() -> None:
    stop = Stop()
    never = threading.Event()
    with stop.signals():
        thread = threading.Timer(0.05, stop.request, [ASKED])
        thread.start()
        assert stop.wait_for(never.wait) is None
        thread.join()
    assert stop.ending == ASKED


def test_request_during_work_is_heard_by_the_next_wait() -> None:
    stop = Stop()
    with stop.signals():
        thread = threading.Thread(target=stop.request, args=[ASKED])
        thread.start()
        thread.join()
        assert stop.wait_for(lambda: pytest.fail("it was called")) is None


def test_generator_that_waits_is_closed_when_it_is_woken() -> None:
    stop, closed = Stop(), []

    def frames() -> Iterator[int]:
        try:
            yield 1
            threading.Event().wait()
        except Exception:  # as careless code does: the wake-up must pass
            pytest.fail("it was held back")
        finally:
            closed.append(True)

    stream = frames()
    with stop.signals():
        assert stop.wait_for(lambda: next(stream)) == 1
        threading.Timer(0.05, stop.request, [ASKED]).start()
        assert stop.wait_for(lambda: next(stream)) is None
    assert closed == [True]


def test_errors_pass() -> None:
    stop = Stop()
    with pytest.raises(ZeroDivisionError):
        stop.wait_for(lambda: 1 // 0)
    with stop.signals():
        signal.raise_signal(signal.SIGTERM)  # no wait is left open that it would interrupt
    assert stop.ending is not None


def test_signals_are_given_back() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = [signal.getsignal(number) for number in numbers]
    stop = Stop()
    with stop.signals():
        assert [signal.getsignal(number) for number in numbers] != before
    assert [signal.getsignal(number) for number in numbers] == before


def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        stop = Stop()
        with stop.signals():
            signal.raise_signal(signal.SIGHUP)
        assert stop.ending is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_request_after_the_session_harms_nobody() -> None:
    """SIGUSR1 would end a process that no longer listens to it."""
    stop = Stop()
    with stop.signals():
        pass
    thread = threading.Thread(target=stop.request, args=[ASKED])
    thread.start()
    thread.join()
    time.sleep(0.01)
    assert stop.ending == ASKED


def test_many_requests_at_any_moment() -> None:
    """The wake-up never escapes, wherever it strikes."""
    for _ in range(300):
        stop = Stop()
        with stop.signals():
            thread = threading.Thread(target=stop.request, args=[ASKED])
            thread.start()
            while stop.wait_for(lambda: 1) is not None:
                pass
            thread.join()
        assert stop.ending == ASKED
