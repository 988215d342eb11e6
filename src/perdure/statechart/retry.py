"""How often a service is tried, and with what pauses: plain data, as effects and snapshots carry it.

A service is run at most once, unless its invocation says how it is to be tried again. Then an attempt that fails, that
takes longer than its timeout, or whose process dies is followed by another one, each pause longer than the one before;
after the last attempt the machine gets ``error.platform.<id>``. Whoever runs the machine keeps that promise: durable
instances do, whatever crashes.
"""

from __future__ import annotations

import msgspec

__all__ = ["Retry"]


class Retry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a service is tried again. Times are milliseconds."""

    attempts: int
    """In all, the first one included."""
    backoff: float = 1_000.0
    """The pause after the first failed attempt."""
    factor: float = 2.0
    """By how much each pause is longer than the one before."""
    backoff_max: float = 60_000.0
    timeout: float | None = None
    """How long one attempt may take."""

    def pause_after(self, attempt: int, chance: float) -> float:
        """How long to wait after a failed attempt: between half of the pause and all of it, as ``chance`` (0 to 1)
        has it, so that what failed together is not tried again together.
        """
        whole = min(self.backoff * self.factor ** (attempt - 1), self.backoff_max)
        return whole * (0.5 + chance / 2)
