"""Whether the disk is so fast that the event loop may wait for it: learned from how long each ``COMMIT`` took.

A commit by the event loop spares two ways between threads, which cost more than a fast disk does; on a slow disk it
would hold up every instance. Both ways of committing measure, so the store leaves either by itself, and soon.

The writer's thread measures its own wait for the interpreter too, whenever the loop is busy: only the least of several
times is the disk's. The loop measures the disk alone; there the mean counts, and one bad moment of a good disk does not
decide, since no time counts for more than a few times the limit.
"""

from __future__ import annotations

from collections import deque

__all__ = ["ROW_MS", "Pace"]

ROW_MS = 0.015
"""What a row may add to a ``COMMIT``: its pages are written to the log. The rest is the disk's."""

_WINDOW = 16
_EXCESS_MAX = 4.0
_SHARE = 1 / 8


class Pace:
    """``is_fast`` while a transaction becomes durable within ``limit_ms`` (0 for never, infinity for always)."""

    def __init__(self, limit_ms: float) -> None:
        self._limit = limit_ms
        self._mean = 0.0
        self._lately: deque[float] = deque(maxlen=_WINDOW)
        self.is_fast = limit_ms == float("inf")

    def threaded(self, commit_ms: float, rows: int) -> None:
        """A ``COMMIT`` of so many rows took so long on the writer's thread."""
        if self.is_fast or not self._limit:
            return
        self._lately.append(commit_ms - ROW_MS * rows)
        if len(self._lately) == _WINDOW and min(self._lately) <= self._limit:
            self.is_fast = True
            self._mean = max(0.0, min(self._lately))

    def inline(self, commit_ms: float, rows: int) -> None:
        """The same on the event loop's thread."""
        sample = min(max(0.0, commit_ms - ROW_MS * rows), _EXCESS_MAX * self._limit)
        self._mean += (sample - self._mean) * _SHARE
        if self._mean > self._limit:
            self.is_fast = False
            self._lately.clear()
