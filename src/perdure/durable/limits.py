"""The limits of instances: how large things may be, how many there may be, and how long code may take.

Each has a default that no sensible machine meets, and each says what happens to whoever meets it. `docs/limits.md`
lists them with the tests that prove them. Plain data, because the turn, which is pure, keeps some of them itself.
"""

from __future__ import annotations

import math

import msgspec

from perdure.errors import InvalidParameter

__all__ = ["DEFAULT_LIMITS", "Limits", "ensure_sensible"]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes are bytes of compact UTF-8 JSON, times are milliseconds."""

    context_bytes_max: int = 400_000
    """A larger context fails the event with ``ContextTooLarge``."""
    event_bytes_max: int = 400_000
    """A larger event is refused with ``EventTooLarge``; so is the event that lets a machine send one."""
    result_bytes_max: int = 400_000
    """A service that returns more has failed: its machine gets ``error.platform.<id>``."""
    mail_per_turn_max: int = 1_000
    """Messages and timers that one turn may send; more of them fail its event with ``TooMuchMail``."""
    children_max: int = 10_000
    """Children of one instance; an event that would give it more fails with ``TooManyChildren``."""
    chain_max: int = 10_000
    """How many messages may come of one another before the next one fails with ``ChainTooLong``. A request, the end of
    a service and a timer that waited begin a new chain."""
    inbox_max: int = 1_000
    """Requests that may wait for one instance; further ones are refused with ``MailboxFull``."""
    in_flight_max: int = 1_024
    """Messages handed to instances and not applied yet. What is due beyond them waits in the store."""
    in_flight_per_instance_max: int = 64
    """The same, of one receiver: a slow one holds up nobody else."""
    timers_ahead_max: int = 256
    """Timers read from the store at a time, up to a second before they are due."""
    slow_turn: float = 250.0
    """Machine code that runs for longer is named in a warning, while it runs and afterwards; 0 is for never."""

    def __post_init__(self) -> None:
        ensure_sensible(self)


def ensure_sensible(settings: msgspec.Struct) -> None:
    """Raise ``InvalidParameter`` for a size or a number that is below 1, and for a time that is negative or endless."""
    for field in msgspec.structs.fields(settings):
        value = getattr(settings, field.name)
        if field.type is int and (type(value) is not int or value < 1):
            raise InvalidParameter(f"{field.name} is a whole number from 1 up, not {value!r}", field.name)
        if field.type is float and (type(value) not in (int, float) or not 0 <= value < math.inf):
            raise InvalidParameter(f"{field.name} is a time in milliseconds, 0 or longer, not {value!r}", field.name)


DEFAULT_LIMITS = Limits()
