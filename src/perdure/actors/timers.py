"""The delayed sends of a system: one heap, and one wake-up of its clock for the earliest of them.

Ten thousand timers cost ten thousand entries and one callback. A cancelled one stays in the heap as an empty entry;
when half of the heap is empty it is built anew, so that a timer that is set again at every event does not pile up.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from typing import Any, Protocol

from perdure.clock import TimerClock
from perdure.statechart.effect import Send

__all__ = ["Timer", "TimerOwner", "Timers"]

EMPTY_ENTRIES_MIN = 64
"""So many cancelled timers are left lying, however few others there are."""


class TimerOwner(Protocol):
    """Who has delayed sends."""

    timers: dict[str, list[Timer]] | None
    """They by their ids; ``None`` where there are none."""

    def timer_is_due(self, effect: Send, sender: Any) -> None:
        """The time of one of them has come."""
        ...


class Timer:
    """One delayed send of one actor; empty once it is cancelled."""

    __slots__ = ("entry",)

    def __init__(self, actor: TimerOwner, effect: Send) -> None:
        self.entry: tuple[TimerOwner, Send] | None = (actor, effect)


class Timers:
    """The timers of a system. Due ones go to their actors in the order of their times, equal ones as they were set."""

    def __init__(self, clock: TimerClock, fire: Callable[[], None]) -> None:
        self._clock = clock
        self._fire = fire
        """Called when something is due: asks for it with ``take_due``."""
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._live = 0
        self._wakes_at = float("inf")
        self._call_off: Callable[[], None] | None = None

    def __len__(self) -> int:
        return self._live

    def add(self, actor: TimerOwner, effect: Send) -> None:
        """Raises ``NoEventLoop`` when the clock has no loop to run by."""
        assert effect.delay is not None
        due = self._clock.elapsed() + max(0.0, effect.delay)
        timer = Timer(actor, effect)
        if actor.timers is None:
            actor.timers = {}
        actor.timers.setdefault(effect.id, []).append(timer)
        heapq.heappush(self._heap, (due, next(self._order), timer))
        self._live += 1
        if due < self._wakes_at:
            self._wake_at(due)

    def cancel(self, actor: TimerOwner, send_id: str) -> None:
        """Forget an actor's timers with this send id; none is no error."""
        if actor.timers:
            self._empty(actor.timers.pop(send_id, ()))

    def cancel_all(self, actor: TimerOwner) -> None:
        if actor.timers:
            self._empty([timer for timers in actor.timers.values() for timer in timers])
        actor.timers = None

    def take_due(self) -> list[tuple[TimerOwner, Send]]:
        """Take the timers out that are due, in order, and have the clock wake up for the next."""
        now, due = self._clock.elapsed(), []
        self._wakes_at, self._call_off = float("inf"), None
        while self._heap and (self._heap[0][0] <= now or self._heap[0][2].entry is None):
            _, _, timer = heapq.heappop(self._heap)
            entry = timer.entry
            if entry is None:
                continue
            self._live -= 1
            actor, effect = entry
            assert actor.timers is not None
            waiting = actor.timers[effect.id]
            waiting.remove(timer)
            if not waiting:
                del actor.timers[effect.id]
            due.append(entry)
        if self._live:
            self._wake_at(self._heap[0][0])
        else:
            self.clear()
        return due

    def clear(self) -> None:
        self._heap.clear()
        self._live = 0
        self._sleep()

    def _empty(self, timers: list[Timer] | tuple[Timer, ...]) -> None:
        for timer in timers:
            timer.entry = None
        self._live -= len(timers)
        if not self._live:
            self.clear()
        elif len(self._heap) > 2 * self._live + EMPTY_ENTRIES_MIN:
            self._heap = [item for item in self._heap if item[2].entry is not None]
            heapq.heapify(self._heap)

    def _wake_at(self, due: float) -> None:
        self._sleep()
        self._call_off = self._clock.call_later(due - self._clock.elapsed(), self._fire)
        self._wakes_at = due

    def _sleep(self) -> None:
        if self._call_off is not None:
            self._call_off()
        self._wakes_at, self._call_off = float("inf"), None
