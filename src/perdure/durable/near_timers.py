"""Near timers: mail that is due soon, read before it is due, so that when its time comes nobody has to ask the store.

What is here is a stretch of the store's mail in the order of due times. Everything due before ``known_until`` has been
read once: it is in the queue, or was taken from it. Whatever is committed with an earlier due time moves
``known_until`` back (``noticed``); what lies behind it is forgotten and read again. For anything else that may have
changed the store, everything is (``forget``).

The other way round nothing can go wrong. Mail that is in the queue though it was cancelled, or applied by somebody
else, makes the turn that would apply it fail with ``MailGone``, and such a turn leaves no trace. It is taken from the
queue where that is known (``withdraw``), since that turn would be work for nothing.

So many are read at a time, and never more than are due within a moment: a million timers that are due later, or all at
once, take no more memory than these.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from math import inf, nextafter

import msgspec

from perdure.durable.records import Address, Mail

__all__ = ["Look", "NearTimers"]

AHEAD_MILLISECONDS = 1000.0
"""Mail is read no earlier than so long before it is due."""
CANCELLED_MAX = 1000
"""Cancellations remembered before the queue is searched for what they have cancelled."""


class Look(msgspec.Struct, frozen=True):
    """What the store has to be asked for: so many timers due ``after`` and ``until``, but those with some ids."""

    after: float
    until: float
    except_ids: frozenset[str]
    limit: int


class NearTimers:
    """What is known of the timers that are due soon. ``look_max`` are read at a time, and more when half of them are
    left.
    """

    def __init__(self, look_max: int) -> None:
        self._look_max = look_max
        self._queue: deque[Mail] = deque()
        self._known_until = 0.0
        """Of the timers due at this very time some may be unknown."""
        self._at_edge: frozenset[str] = frozenset()
        """The ones due at this very time that are known."""
        self._more_at = 0.0
        """When the first timer may be due that is not known."""
        self._is_more_near = False
        """Whether the last look left some that are due within its moment."""
        self._is_forgotten = True
        """Whether what is here was read too long ago, or before something that nobody has seen."""
        self._looked_at = 0.0
        self._committed_due = inf
        """The earliest due time that was noticed since the last look began."""
        self._cancelled: set[tuple[Address, str | None]] = set()
        """Senders and send ids of what was cancelled since it came into the queue."""

    @property
    def is_forgotten(self) -> bool:
        return self._is_forgotten

    @property
    def next_due(self) -> float:
        """When the first one in the queue is due; infinity when there is none."""
        return self._queue[0].due_at if self._queue else inf

    def take(self, now: float) -> Mail | None:
        """The first one, if its time has come."""
        while self._queue and self._queue[0].due_at <= now:
            mail = self._queue.popleft()
            if not self._is_cancelled(mail):
                return mail
        return None

    # -- looks at the store ------------------------------------------------------------------------

    @property
    def look_at(self) -> float:
        """When the store has to be asked for more; infinity for not before the queue is shorter, or something is
        noticed.
        """
        if self._is_forgotten:
            return 0.0
        if len(self._queue) > self._look_max // 2:
            return inf
        if self._is_more_near:
            return 0.0
        # In good time; but not again and again while timers are set that are due in no time.
        half = AHEAD_MILLISECONDS / 2
        return min(self._more_at, max(self._more_at - half, self._looked_at + half))

    def look(self, now: float) -> Look:
        """A look begins."""
        if self._is_forgotten:
            self._queue.clear()
            self._cancelled.clear()
            self._known_until, self._at_edge, self._is_forgotten = 0.0, frozenset(), False
        self._committed_due, self._looked_at = inf, now
        after = max(0.0, nextafter(self._known_until, 0.0))
        return Look(after, now + AHEAD_MILLISECONDS, self._at_edge, self._look_max)

    def absorb(self, look: Look, found: Sequence[Mail], fresh: Iterable[Mail], next_due: float | None) -> None:
        """Take over what the store has found, of which those that are ``fresh`` come into the queue; ``next_due`` is
        when the first one is due after what was asked for.
        """
        self._forget_cancelled()
        self._is_more_near = len(found) >= look.limit
        if self._is_more_near:
            edge = found[look.limit - 1].due_at
            known = frozenset(mail.id for mail in found if mail.due_at == edge)
            self._at_edge = known | self._at_edge if edge == self._known_until else known
            self._known_until = self._more_at = edge
        else:
            self._known_until, self._at_edge = nextafter(look.until, inf), frozenset()
            self._more_at = inf if next_due is None else next_due
        self._queue.extend(fresh)
        if self._committed_due < inf:
            self.noticed(self._committed_due)

    # -- changes of the store ----------------------------------------------------------------------

    def noticed(self, due_at: float) -> None:
        """A timer was committed: from its due time on there is more to be known."""
        self._committed_due = min(self._committed_due, due_at)
        self._more_at = min(self._more_at, due_at)
        if due_at <= self._known_until:
            self._known_until, self._at_edge, self._is_more_near = due_at, frozenset(), False
            while self._queue and self._queue[-1].due_at >= due_at:
                self._queue.pop()

    def forget(self) -> None:
        """Anything may be in the store: ask from the start, before anything else is taken."""
        self._is_forgotten = True

    def withdraw(self, sender: Address, send_ids: Iterable[str]) -> None:
        """The sender has cancelled what it sent under these ids."""
        if self._queue:
            self._cancelled.update((sender, send_id) for send_id in send_ids)
            if len(self._cancelled) > CANCELLED_MAX:
                self._forget_cancelled()

    def withdraw_all(self, address: Address) -> None:
        """The instance has ended or is gone, and with it the timers it has set and those set for it."""
        self._queue = deque(mail for mail in self._queue if address not in (mail.sender, mail.target))

    def _is_cancelled(self, mail: Mail) -> bool:
        return bool(self._cancelled) and mail.is_delayed and (mail.sender, mail.send_id) in self._cancelled

    def _forget_cancelled(self) -> None:
        """What comes into the queue from now on is not meant by what was cancelled before."""
        if self._cancelled:
            self._queue = deque(mail for mail in self._queue if not self._is_cancelled(mail))
            self._cancelled.clear()
