"""Counting: averages over a minute, and calls in a window."""

from __future__ import annotations

from scripts.local_supabase.realtime.limits import Rate, Window


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_rate_is_an_average() -> None:
    clock = Clock()
    rate = Rate(10, clock)
    rate.add(50)
    assert (rate.average, rate.exceeded) == (10, False)
    rate.add()
    assert rate.exceeded
    clock.now += 5
    assert rate.average == 5.1
    clock.now += 50
    assert rate.average == 51 / 60
    clock.now += 5
    assert rate.average == 0


def test_a_rate_after_a_long_silence() -> None:
    clock = Clock()
    rate = Rate(10, clock)
    rate.add(1000)
    clock.now += 3600
    rate.add(60)
    assert rate.average == 1


def test_a_window_counts_from_its_first_call() -> None:
    clock = Clock()
    window = Window(2, 30, clock)
    assert [window.admit() for _ in range(3)] == [True, True, False]
    clock.now += 29.9
    assert not window.admit()
    clock.now += 0.1
    assert [window.admit() for _ in range(3)] == [True, True, False]
