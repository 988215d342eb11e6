"""Delivery: from committed mail to turns.

Mail leaves in its sender's commit and is applied in its receiver's, which deletes it: exactly once, whatever dies
between. This loop is the part that brings it there. It asks the store for what is due, hands each message to its
receiver's resident, and sleeps until the next one is due or a commit brings one that is due earlier. A timer is mail
that is not due at once, mostly to oneself.

Messages are asked for when a commit has brought some. Timers are asked for before they are due (``near_timers``),
while those that are known already are handed out, so that none has to wait for the store when its time has come.
Whenever that may have missed something, because mail was given back, held back or committed by nobody knows whom, both
are asked for from the start before anything else is handed out.

A broadcast is no message to anybody: the loop has the store turn it into its members' shares, a batch at a time, and
these are mail like any other. A process that dies between two batches leaves the rest of them to the next one.

A message that fails is tried again after a pause; after the last attempt it becomes a dead letter. Until then
everything its sender sent to the same receiver later waits behind it, so that order per sender and receiver is kept.
The store sees to that once the failure is recorded; until then, and for what it answered before, this loop does.

Nobody waits for a receiver that is slow: of each only so many messages are in flight, and the rest waits in the store
until half of these are applied. Nor do timers wait for a flood of messages, though the store has these first.

Nothing ends the loop but closing: whatever fails, it pauses and looks again. It looks again from the start now and then
even when all is well, since the computer's clock may be set, and other processes may commit mail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from math import inf
from typing import TYPE_CHECKING, TypeAlias

from perdure.durable.commit import Commit
from perdure.durable.envelope import Envelope
from perdure.durable.failed_mail import FailedMail, is_hopeless
from perdure.durable.mail_message import message_of
from perdure.durable.near_timers import NearTimers
from perdure.durable.records import Address, Mail
from perdure.durable.store import STORE_RETRY_MILLISECONDS
from perdure.errors import (
    InvalidState,
    text_of,
)
from perdure.logs import get_logger

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Delivery"]

logger = get_logger("perdure.delivery")

BATCH_MAX = 256
"""Messages handed out after one look at the store."""
LOOK_AGAIN_MILLISECONDS = 30_000.0
"""The longest time between two looks from the start."""

Pair: TypeAlias = tuple[Address, Address]
"""A sender and a receiver, between whom order is kept."""


class Delivery:
    """The loop that delivers mail."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._limits = runtime.settings.limits
        self._failures = FailedMail(runtime)
        self._near = NearTimers(self._limits.timers_ahead_max)
        self._in_flight: dict[str, Mail] = {}
        """The messages that were handed to residents and are not applied yet."""
        self._in_flight_to: dict[Address, int] = {}
        self._held_back: set[Address] = set()
        """Receivers of which mail was left in the store, since enough of it was in flight."""
        self._withheld: set[Pair] = set()
        """Between whom nothing is handed out for now: a failure is being recorded, or it is being found out which way
        mail goes that has been claimed."""
        self._passed_over: set[Pair] = set()
        """Of these the ones between whom something waited."""
        self._left: set[Address | Pair] = set()
        """Receivers of which timers were left in the store since it was last asked from the start, and between whom:
        those that come after them are left there too."""
        self._looks: list[set[str | Pair]] = []
        """For each look at the store that is under way what has been let go since it began, and between whom something
        was withheld."""
        self._giving_up: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_awake = True
        self._sleeping_until = inf
        """While asleep: when it wakes by itself, infinity with nothing in sight."""
        self._are_messages_known = False
        """Whether all messages are in flight that were due when last asked for, and none was committed since."""
        self._messages_asked_at = 0.0
        """When that was."""
        self._retry_at = 0.0
        """When mail may be tried again; infinity when none waits for that, 0 when that is not known."""
        self._look_again_at = 0.0
        """In the clock's elapsed milliseconds."""
        self._is_saturated = False
        self._must_pause = False
        self._is_pausing = False
        self._reading: asyncio.Task[None] | None = None
        """The look at timers that is under way."""
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="delivery")

    async def close(self) -> None:
        tasks = [task for task in (self._loop, self._reading, *self._giving_up) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    @property
    def is_running(self) -> bool:
        """Whether mail is being handed out: the loop lives, and the store has not just failed it."""
        return self._loop is not None and not self._loop.done() and not self._must_pause

    @property
    def in_flight(self) -> int:
        """Messages handed to residents and not applied yet."""
        return len(self._in_flight)

    @property
    def is_resting(self) -> bool:
        """Whether it sleeps until its time has come, and nothing is in flight."""
        return self._is_pausing or not (self._is_working or self._in_flight)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight and nothing was due when last looked."""
        if self._is_working or self._in_flight:
            return False
        return self._sleeping_until > self._runtime.clock.now()

    @property
    def _is_working(self) -> bool:
        return self._is_awake or self._wake.is_set() or self._reading is not None

    # -- what residents tell -----------------------------------------------------------------------

    def committed(self, commit: Commit) -> None:
        """A resident has made this commit."""
        if commit.cancels_all:
            self._near.withdraw_all(commit.record.address)
        elif commit.cancelled:
            self._near.withdraw(commit.record.address, commit.cancelled)
        if (commit.cancels_all or commit.cancelled) and self._retry_at < inf:
            self.wake()  # something may have waited behind what was cancelled
        if commit.mail:
            self.notice(commit.mail)

    def deleted(self, address: Address) -> None:
        """An instance has been deleted, or may have been."""
        self._near.withdraw_all(address)
        self.wake()

    def notice(self, mail: Iterable[Mail]) -> None:
        """Mail was committed: wake up in time for it."""
        for item in mail:
            if item.id in self._in_flight:
                continue
            if item.due_at > 0:
                self._near.noticed(item.due_at)
            else:
                self._are_messages_known = False
            # Awake, it may have asked the store before this commit, and would go to sleep without knowing of it.
            if self._is_awake or item.due_at < self._sleeping_until:
                self._wake.set()

    def claim(self, mail: Mail) -> None:
        """This message is in a resident's hands; do not hand it out again."""
        if mail.id not in self._in_flight:
            self._in_flight[mail.id] = mail
            self._in_flight_to[mail.target] = self._in_flight_to.get(mail.target, 0) + 1

    @contextmanager
    def withholding(self, sender: Address, receiver: Address) -> Iterator[None]:
        """Meanwhile nothing else of this sender is handed to this receiver: it could overtake what they have claimed
        and may yet release.
        """
        self._withheld.add((sender, receiver))
        try:
            yield
        finally:
            self._withheld.discard((sender, receiver))
            self._outdate((sender, receiver))
            if (sender, receiver) in self._passed_over:
                self._passed_over.discard((sender, receiver))
                self.wake()

    def applied(self, mail: Mail | None) -> None:
        """The commit that applies this message has been made."""
        if mail is not None:
            self._forget(mail)
            self._outdate(mail.id)
            if self._is_saturated and self._has_room:
                self._wake.set()

    def release(self, mail: Mail | None) -> None:
        """This message was given back untried, or is gone."""
        if mail is not None:
            self._forget(mail)
            self._outdate(mail.id)
            self.wake()

    def _outdate(self, what: str | Pair) -> None:
        """What the store may just be answering is not so any more."""
        for outdated in self._looks:
            outdated.add(what)

    def _forget(self, mail: Mail) -> None:
        """It is in flight no more."""
        if self._in_flight.pop(mail.id, None) is None:
            return
        receiver = mail.target
        remaining = self._in_flight_to[receiver] - 1
        if remaining == 0:
            del self._in_flight_to[receiver]
        else:
            self._in_flight_to[receiver] = remaining
        if receiver in self._held_back and remaining <= self._limits.in_flight_per_instance_max // 2:
            self._held_back.discard(receiver)
            self.wake()

    @property
    def _has_room(self) -> bool:
        """Whether it is worth while to hand out more, after there was no room for it."""
        return len(self._in_flight) <= self._limits.in_flight_max * 7 // 8

    def wake(self) -> None:
        """There may be mail that was not noticed."""
        self._are_messages_known = False
        self._near.forget()
        self._wake.set()

    def pause(self) -> None:
        """Something failed that would fail again at once: look again, a little later."""
        self._must_pause = True
        self.wake()

    async def failed(self, mail: Mail, error: Exception) -> None:
        """Put a message back for another attempt, or with the dead letters after the last one."""
        settings = self._runtime.settings
        self._runtime.meters.mail_failed += 1
        attempts, reason = mail.attempts + 1, f"{type(error).__name__}: {text_of(error)}"
        log = logger.bind(mail=mail.id, target=str(mail.target), attempts=attempts, error=reason)
        self._withheld.add((mail.sender, mail.target))
        if mail.kind == "attempt" and isinstance(error, InvalidState):  # a service waits for as long as it is paused
            defer = partial(self._failures.defer, mail, mail.attempts, settings.mail_backoff[-1], reason)
            await self._record_failure(mail, defer)
        elif attempts < settings.mail_attempts and not is_hopeless(mail, error):
            pause = settings.mail_backoff[min(attempts, len(settings.mail_backoff)) - 1]
            log.info("mail failed, will be tried again", pause_milliseconds=pause)
            await self._record_failure(mail, partial(self._failures.defer, mail, attempts, pause, reason))
        elif mail.kind in ("create", "adopt"):
            # Not awaited: who waits here may be the parent itself.
            giving_up = partial(self._failures.give_up_child, mail, attempts, error)
            task = asyncio.create_task(self._record_failure(mail, giving_up))
            self._giving_up.add(task)
            task.add_done_callback(self._giving_up.discard)
        else:
            log.warning("mail failed for the last time, it is a dead letter now")
            await self._record_failure(mail, partial(self._failures.bury, mail, attempts, reason))

    async def _record_failure(self, mail: Mail, work: Callable[[], Awaitable[None]]) -> None:
        """Record a failure, and let go of the message whether that succeeds or not."""
        pair = (mail.sender, mail.target)
        try:
            await work()
        except Exception:
            logger.exception("a failed attempt could not be recorded", mail=mail.id)
            self.pause()
        finally:
            self._forget(mail)
            self._withheld.discard(pair)
            self._passed_over.discard(pair)
            self._outdate(mail.id)
            self._outdate(pair)
            self.wake()

    # -- the loop ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        clock = self._runtime.clock
        while True:
            self._wake.clear()
            self._is_awake = True
            if self._must_pause:
                self._must_pause, self._is_pausing = False, True
                await clock.sleep(STORE_RETRY_MILLISECONDS)
                self._is_pausing = False
            try:
                wait_until = await self._hand_out()
            except Exception:
                logger.exception("the store failed; delivery pauses")
                self.pause()
                continue
            self._is_awake, self._sleeping_until = False, wait_until
            if not self._wake.is_set():
                await self._sleep(wait_until)

    async def _hand_out(self) -> float:
        """Hand out what is due; the time at which more may be."""
        clock, near = self._runtime.clock, self._near
        if self._reading is None and (clock.now() >= self._retry_at or clock.elapsed() >= self._look_again_at):
            self._are_messages_known = False
            near.forget()
        room = self._room
        self._is_saturated = room <= 0
        if not near.is_forgotten:
            self._hand_out_timers(room)
        if room > 0 and not self._are_messages_known:
            await self._look_at_messages(room)
        if room > 0 and self._reading is None and near.look_at <= clock.now():
            self._reading = asyncio.create_task(self._look_at_timers(), name="near timers")
            self._reading.add_done_callback(self._have_read)
        if self._is_saturated and room > 0:
            self._wake.set()
            await asyncio.sleep(0)  # let the residents work before asking for more
        next_due = inf if self._is_saturated or near.is_forgotten else near.next_due
        if self._is_saturated or self._reading is not None:
            return next_due
        return min(next_due, near.look_at, self._retry_at)

    @property
    def _room(self) -> int:
        """How many messages may be handed out now."""
        return min(BATCH_MAX, self._limits.in_flight_max - len(self._in_flight))

    async def _look_at_messages(self, room: int) -> None:
        """Hand out messages that are due, and make shares of the broadcasts among them."""
        store = self._runtime.store
        self._are_messages_known = True
        known = [mail_id for mail_id, mail in self._in_flight.items() if mail.due_at <= 0]
        with self._looking() as (now, outdated):
            self._messages_asked_at = now
            due = await store.due_mail(now, room, until=0.0, except_to=tuple(self._held_back), except_ids=known)
        if len(due) >= room:
            self._is_saturated, self._are_messages_known = True, False
        # Nothing is awaited in this loop: what the store has answered gets no older than it is.
        for mail in due:
            if mail.kind == "broadcast" or mail.id in outdated:
                continue
            if outdated and (mail.sender, mail.target) in outdated:
                self.wake()
            else:
                self._offer(mail)
        for mail in due:
            if mail.kind == "broadcast":
                is_more = await store.expand_broadcast(mail.id, BATCH_MAX)
                self._are_messages_known = False
                self._wake.set()
                if not is_more:
                    self.wake()  # what its sender has sent since was left out until now, timers as well

    async def _look_at_timers(self) -> None:
        """Read ahead, and hand out what is due already, some of it whatever messages there are."""
        store, clock = self._runtime.store, self._runtime.clock
        if self._near.is_forgotten:
            self._left.clear()
            self._retry_at, self._look_again_at = 0.0, clock.elapsed() + LOOK_AGAIN_MILLISECONDS
        look = self._near.look(clock.now())
        known = look.except_ids.union(mail_id for mail_id, mail in self._in_flight.items() if mail.due_at > look.after)
        with self._looking() as (now, outdated):
            found = await store.due_mail(
                now,
                look.limit,
                after=look.after,
                until=look.until,
                except_to=tuple(self._held_back),
                except_ids=known,
            )
            # Of the time at which messages were asked for: what may be tried again since then is in no answer yet.
            next_due, retry_at = await store.next_times(min(now, self._messages_asked_at), due_after=look.until)
        self._retry_at = inf if retry_at is None else retry_at
        pairs = {(mail.sender, mail.target) for mail in found} & outdated if outdated else set()
        if pairs:
            self._left.update(pairs)
            self.wake()
        fresh = [mail for mail in found if mail.id not in outdated and mail.id not in self._in_flight]
        self._near.absorb(look, found, fresh, next_due)
        self._hand_out_timers(max(self._room, 1))

    def _have_read(self, reading: asyncio.Task[None]) -> None:
        self._reading = None
        error = None if reading.cancelled() else reading.exception()
        if error is not None:
            logger.error("the store failed; delivery pauses", exc_info=error)
            self.pause()
        self._wake.set()

    @contextmanager
    def _looking(self) -> Iterator[tuple[float, set[str | Pair]]]:
        """The store is asked at this time; in the set is what changes until it has answered."""
        share = self._limits.in_flight_per_instance_max
        self._held_back.update(receiver for receiver, count in self._in_flight_to.items() if count >= share)
        outdated: set[str | Pair] = set()
        self._looks.append(outdated)
        try:
            yield self._runtime.clock.now(), outdated
        finally:
            self._looks = [other for other in self._looks if other is not outdated]

    def _hand_out_timers(self, room: int) -> None:
        """Hand out those of the near timers that are due, up to so many."""
        now, near = self._runtime.clock.now(), self._near
        for _ in range(room):
            mail = near.take(now)
            if mail is None:
                return
            if self._left and (mail.target in self._left or (mail.sender, mail.target) in self._left):
                continue
            if not self._offer(mail):
                self._left.add(mail.target if mail.target in self._held_back else (mail.sender, mail.target))
        if near.next_due <= now:
            self._is_saturated = True

    def _offer(self, mail: Mail) -> bool:
        """Hand a message to its receiver. False if it is left in the store, which is asked again in time."""
        if mail.id in self._in_flight:
            return True
        if self._withheld and (mail.sender, mail.target) in self._withheld:
            self._passed_over.add((mail.sender, mail.target))
            return False
        in_flight = self._in_flight_to.get(mail.target, 0)
        if in_flight >= self._limits.in_flight_per_instance_max:
            self._held_back.add(mail.target)
            return False
        self._in_flight[mail.id] = mail
        self._in_flight_to[mail.target] = in_flight + 1
        self._runtime.submit(mail.target, Envelope(message_of(mail), mail=mail))
        return True

    async def _sleep(self, until: float) -> None:
        """Until the time has come, or something wakes us."""
        clock = self._runtime.clock
        pause = min(until - clock.now(), self._look_again_at - clock.elapsed())
        if pause <= 0:
            await asyncio.sleep(0)
            return
        call_off = clock.call_later(pause, self._wake.set)
        try:
            await self._wake.wait()
        finally:
            call_off()
