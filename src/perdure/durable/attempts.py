"""The attempts that run here: who keeps their mail, and when they have taken too long.

The impure half of ``perdure.durable.attempt_turn``: while an attempt runs, the mail behind it is kept from delivery;
when it ends, its word carries that mail, so that the commit that takes the word consumes it; and when it is abandoned,
the mail is let go, to be delivered and to begin the next attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from perdure.durable.attempt_turn import is_lease
from perdure.durable.message import AttemptDue, AttemptFailed
from perdure.durable.records import Mail
from perdure.json_value import JsonObject
from perdure.statechart.effect import StartChild, StopChild
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Attempts"]

_CHANCES = 1_000_000


class Attempts:
    """The attempts of one resident."""

    def __init__(
        self,
        runtime: Runtime,
        stop: Callable[[StopChild], None],
        ended: Callable[[str, int, JsonObject], None],
    ) -> None:
        """An attempt that takes too long is stopped, and has ``ended``: told its id, its session and its error."""
        self._runtime = runtime
        self._stop = stop
        self._ended = ended
        self._leases: dict[tuple[str, int], Mail] = {}
        self._started: dict[tuple[str, int], StartChild] = {}
        self._timers: dict[tuple[str, int], Callable[[], None]] = {}

    def keep(self, mail: Iterable[Mail]) -> None:
        """A commit has begun attempts: their mail is not for delivery while they run."""
        for item in mail:
            if item.kind == "attempt" and item.event is not None and is_lease(item.event):
                self._runtime.delivery.claim(item)
                self._leases[item.event["id"], item.event["session"]] = item

    def started(self, effect: StartChild) -> None:
        """An attempt begins; its time runs."""
        if effect.retry is None:
            return
        place, timeout = (effect.id, effect.session), effect.retry.timeout
        self._started[place] = effect
        if timeout is not None:
            self._timers[place] = self._runtime.clock.call_later(timeout, lambda: self._expire(effect, timeout))

    @property
    def run_anything(self) -> bool:
        return bool(self._leases)

    def runs(self, due: AttemptDue) -> bool:
        """Whether the attempt that this mail backs is running here."""
        lease = self._leases.get((due.child_id, due.session))
        return lease is not None and lease.id == due.mail_id

    def ended(self, child_id: str, session: int) -> tuple[Mail | None, StartChild | None]:
        """An attempt has ended: the mail that its word has to consume, and what it was."""
        place = (child_id, session)
        self._stop_timer(place)
        return self._leases.pop(place, None), self._started.pop(place, None)

    def failure(self, started: StartChild, mail: Mail, error: JsonObject) -> AttemptFailed:
        """The word of a failed attempt."""
        assert started.retry is not None, "only what is retried has attempts"
        chance = self._runtime.entropy.uuid().int % _CHANCES / _CHANCES
        return AttemptFailed(
            child_id=started.id,
            session=started.session,
            error=error,
            pause=started.retry.pause_after(started.attempt, chance),
            mail_id=mail.id,
        )

    def release(self, but: Collection[tuple[str, int]] = ()) -> None:
        """Take no more care of attempts: their mail is delivered, and is void or begins the next ones."""
        if not self._leases:
            return
        for place in [place for place in self._leases if place not in but]:
            mail, _ = self.ended(*place)
            self._runtime.delivery.release(mail)
            self._runtime.delivery.wake()

    def _expire(self, effect: StartChild, timeout: float) -> None:
        message = f"attempt {effect.attempt} of {effect.id!r} took longer than {timeout:g} ms"
        event = {"type": error_platform_type(effect.id), "data": {"name": "TimeoutError", "message": message}}
        self._stop(StopChild(effect.id, effect.session, effect.source))
        self._ended(effect.id, effect.session, event)

    def _stop_timer(self, place: tuple[str, int]) -> None:
        timer = self._timers.pop(place, None)
        if timer is not None:
            timer()
