import threading

import pytest

from metrics_worker.messaging.heartbeat import Heartbeat


class Beats:
    """A replacement for the function with which a heartbeat publishes its event; it records its calls.

    A call returns whether the run has started.

    Args:
        fault: the exception that each call raises after it was recorded; None to raise none.
        before_start: the number of first calls that return False, as before the start of the run.

    Attributes:
        beats: (number of the heartbeat, progress of the run) of each call.
    """

    def __init__(self, fault: Exception | None = None, *, before_start: int = 0) -> None:
        self._before_start = before_start
        self.beats: list[tuple[int, float]] = []
        self._fault = fault
        self._come = threading.Semaphore(0)

    def __call__(self, number: int, progress: float) -> bool:
        self.beats.append((number, progress))
        self._come.release()
        if self._fault:
            raise self._fault
        return len(self.beats) > self._before_start

    def wait(self, more: int = 1) -> None:
        """Wait until the function has been called `more` further times.

        The first of these calls may have begun before `wait`.
        """
        while self._come.acquire(blocking=False):
            pass
        for _ in range(more):
            assert self._come.acquire(timeout=10)


def test_heartbeats_are_numbered_from_1():
    beats = Beats()

    with Heartbeat(beats, 0.001):
        beats.wait(3)

    assert [number for number, _ in beats.beats] == list(range(1, len(beats.beats) + 1))


def test_the_number_of_an_unpublished_heartbeat_is_used_again():
    beats = Beats(before_start=2)

    with Heartbeat(beats, 0.001) as heartbeat:
        beats.wait(5)

    numbers = [number for number, _ in beats.beats]
    assert numbers == [1, 1, *range(1, len(numbers) - 1)]
    assert heartbeat.sent == len(numbers) - 2


def test_the_first_heartbeat_comes_after_one_interval():
    beats = Beats()

    with Heartbeat(beats, 3600):
        pass

    assert beats.beats == []


def test_a_heartbeat_has_the_latest_progress_which_never_falls():
    beats = Beats()

    with Heartbeat(beats, 0.001) as heartbeat:
        beats.wait()
        heartbeat.advance(0.6)
        heartbeat.advance(0.2)
        beats.wait(2)

    assert beats.beats[0] == (1, 0.0)
    assert beats.beats[-1][1] == 0.6


def test_progress_is_at_most_1():
    beats = Beats()

    with Heartbeat(beats, 0.001) as heartbeat:
        heartbeat.advance(1.0000001)
        beats.wait(2)

    assert beats.beats[-1][1] == 1.0


def test_without_an_interval_there_are_no_heartbeats():
    beats = Beats()
    before = threading.active_count()

    with Heartbeat(beats, None) as heartbeat:
        heartbeat.advance(0.5)
        assert threading.active_count() == before

    assert (beats.beats, heartbeat.sent, heartbeat.failed) == ([], 0, 0)


def test_a_failed_heartbeat_is_counted_and_the_next_one_follows():
    beats = Beats(ValueError("no topic"))

    with Heartbeat(beats, 0.001) as heartbeat:
        beats.wait(2)

    assert heartbeat.sent == 0
    assert heartbeat.failed == len(beats.beats) >= 2
    assert heartbeat.last_error == "ValueError: no topic"


def test_after_the_end_there_is_no_heartbeat_and_no_thread():
    beats = Beats()
    before = threading.active_count()

    with Heartbeat(beats, 0.001) as heartbeat:
        beats.wait(2)

    assert threading.active_count() == before
    assert heartbeat.sent == len(beats.beats)


def test_the_end_waits_for_a_running_heartbeat():
    under_way, may_end, ended = threading.Event(), threading.Event(), []

    def beat(_: int, __: float) -> bool:
        under_way.set()
        may_end.wait(0.005)
        ended.append(True)
        return True

    with Heartbeat(beat, 0.001):
        assert under_way.wait(10)

    assert ended


def test_an_exception_of_the_run_passes_through_and_ends_the_thread():
    beats = Beats()
    before = threading.active_count()

    def run():
        with Heartbeat(beats, 0.001):
            beats.wait()
            raise KeyError("of the run")

    with pytest.raises(KeyError, match="of the run"):
        run()

    assert threading.active_count() == before


def test_a_process_without_a_free_thread_runs_without_heartbeats(monkeypatch):
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with Heartbeat(Beats(), 0.001) as heartbeat:
        heartbeat.advance(0.5)

    assert heartbeat.failed == 1
    assert heartbeat.last_error == "RuntimeError: can't start new thread"
