"""What a runtime counts about itself, as plain numbers.

Counting is on the path of every turn, so that it is additions and one binary search, and no library; whoever wants the
numbers reads them (``perdure.server.metrics`` writes them for Prometheus). A runtime belongs to one event loop, which
is the only one to count. Times are milliseconds here.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, TypeAlias

__all__ = ["Histogram", "Meters", "Outcome"]

LATENCIES = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 60_000.0)
"""Upper bounds of the buckets; what is above the last one is in a bucket of its own."""

Outcome: TypeAlias = Literal["committed", "refused", "failed"]


class Histogram:
    """How often a value fell into each bucket, how many there were, and their sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...] = LATENCIES) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    @property
    def count(self) -> int:
        return sum(self.counts)


class Meters:
    """The numbers of one runtime since it was made."""

    __slots__ = (
        "commit_milliseconds",
        "conflicts",
        "mail_buried",
        "mail_failed",
        "timer_lateness",
        "turn_milliseconds",
        "turns",
    )

    def __init__(self) -> None:
        self.turns: dict[Outcome, int] = {"committed": 0, "refused": 0, "failed": 0}
        """Messages handled: applied; refused by an authoriser, a status or a limit; failed in machine code or store."""
        self.turn_milliseconds = Histogram()
        """From beginning a turn to its durable commit, effects not included."""
        self.commit_milliseconds = Histogram()
        """Of these, how long the store took."""
        self.conflicts = 0
        """Commits that lost their compare-and-swap and were computed again."""
        self.timer_lateness = Histogram()
        """How long after its due time delayed mail was applied."""
        self.mail_failed = 0
        """Attempts at mail that failed."""
        self.mail_buried = 0
        """Mail that was given up and is a dead letter now."""

    def committed(self, began: float, computed: float, durable: float, turns: int = 1) -> None:
        """So many turns were begun, computed, and their commit durable, at these times."""
        self.turns["committed"] += turns
        self.turn_milliseconds.observe(max(durable - began, 0.0), turns)
        self.commit_milliseconds.observe(max(durable - computed, 0.0), turns)
