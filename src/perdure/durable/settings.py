"""What a runtime may be told about time and room, with a default for everything.

Plain data. What makes no sense is refused here, where it is said, and not by whatever would go wrong because of it.
"""

from __future__ import annotations

import math

import msgspec

from perdure.durable.limits import DEFAULT_LIMITS, Limits, ensure_sensible
from perdure.errors import InvalidParameter

__all__ = ["RuntimeSettings"]


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the runtime behaves over time. All times are milliseconds."""

    processing_timeout: float = 90_000
    """How long after its last external event an instance may take to settle."""
    mail_attempts: int = 5
    mail_backoff: tuple[float, ...] = (1_000, 5_000, 15_000, 30_000)
    """The pauses after the first, second, … failed attempt; the last one is repeated."""
    cached_instances: int = 10_000
    """Records kept in memory after their instances have settled."""
    service_threads: int = 32
    """Threads for services that are plain functions."""
    closing_grace: float = 2_000
    """How long ``close`` lets running services finish."""
    receipt_lifetime: float = 86_400_000
    """How long a request with an idempotency key is answered from its receipt."""
    log_lifetime: float = 604_800_000
    """How long what machine code has printed and logged is kept."""
    logs_max: int = 1_000_000
    """How many entries of it are kept."""
    log_flush_interval: float = 1_000
    """How long such an entry waits in memory at most, unless somebody reads."""
    log_buffer_max: int = 4_000_000
    """How much of it waits in memory, in characters; beyond that the oldest entries are dropped."""
    upkeep_interval: float = 600_000
    """How often what has had its time is deleted; 0 is for never."""
    limits: Limits = DEFAULT_LIMITS

    def __post_init__(self) -> None:
        ensure_sensible(self)
        if not self.mail_backoff or not all(0 <= pause < math.inf for pause in self.mail_backoff):
            raise InvalidParameter(
                f"mail_backoff is one pause in milliseconds or several, each 0 or longer, not {self.mail_backoff!r}",
                "mail_backoff",
            )
