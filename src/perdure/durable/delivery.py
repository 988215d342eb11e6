"""Delivery: from committed mail to turns.

Mail leaves in its sender's commit and is applied in its receiver's, which deletes it: exactly once, whatever dies
between. This loop is the part that brings it there. It asks the store for what is due, hands each message to its
receiver's resident, and sleeps until the next one is due or a commit brings one that is due earlier. A timer is mail
to oneself.

A broadcast is no message to anybody: the loop has the store turn it into its members' shares, a batch at a time, and
these are mail like any other. A process that dies between two batches leaves the rest of them to the next one.

A message that fails is tried again after a pause; after the last attempt it becomes a dead letter. Until then
everything its sender sent to the same receiver later waits behind it, so that order per sender and receiver is kept.
The store sees to that once the failure is recorded; until then, and for what it answered before, this loop does.

Nobody waits for a receiver that is slow: of each only so many messages are in flight, and the rest waits in the store
until half of these are applied. Nor do timers wait for a flood of messages, though the store has these first.

Nothing ends the loop but closing: whatever fails, it pauses and looks again. It looks again now and then even when all
is well, since the computer's clock may be set, and other processes may commit mail.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from perdure.actors.actor import error_data
from perdure.durable.authorization import sender_claims
from perdure.durable.envelope import Envelope
from perdure.durable.family import tie_of
from perdure.durable.message import Adopt, AttemptDue, Create, Deliver, Message, Stop
from perdure.durable.records import Address, Mail, host_address
from perdure.errors import (
    ChainTooLong,
    InstanceEnded,
    InstanceExists,
    InvalidParameter,
    InvalidState,
    NotFound,
    StoreError,
    text_of,
)
from perdure.logs import get_logger
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Delivery"]

logger = get_logger("perdure.delivery")

BATCH_MAX = 256
"""Messages handed out after one look at the store."""
STORE_RETRY_MILLISECONDS = 1000.0
"""Pause after the store failed, so that a broken disk does not turn into a busy loop."""
LOOK_AGAIN_MILLISECONDS = 30_000.0
"""The longest sleep."""

Pair: TypeAlias = tuple[Address, Address]
"""A sender and a receiver, between whom order is kept."""


class Delivery:
    """The loop that delivers mail."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._limits = runtime.settings.limits
        self._in_flight: dict[str, Address] = {}
        """The receivers of the messages that were handed to residents and are not applied yet."""
        self._in_flight_to: Counter[Address] = Counter()
        self._held_back: set[Address] = set()
        """Receivers of which the last look has left mail in the store, since enough of it was in flight."""
        self._withheld: set[Pair] = set()
        """Between whom nothing is handed out for now: a failure is being recorded, or it is being found out which way
        mail goes that has been claimed."""
        self._passed_over: set[Pair] = set()
        """Of these the ones between whom something waited."""
        self._outdated: set[str | Pair] = set()
        """What has been let go, and between whom something was withheld, since the store was last asked."""
        self._giving_up: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._is_awake = True
        self._sleeping_until: float | None = None
        """While asleep: when it wakes by itself, ``None`` with nothing in sight."""
        self._is_saturated = False
        self._must_pause = False
        self._is_pausing = False
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="delivery")

    async def close(self) -> None:
        tasks = [*self._giving_up] if self._loop is None else [self._loop, *self._giving_up]
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
        return self._is_pausing or not (self._is_awake or self._in_flight or self._wake.is_set())

    @property
    def is_idle(self) -> bool:
        """Whether nothing is in flight and nothing was due when last looked."""
        if self._is_awake or self._in_flight or self._wake.is_set():
            return False
        return self._sleeping_until is None or self._sleeping_until > self._runtime.clock.now()

    # -- what residents tell -----------------------------------------------------------------------

    def notice(self, mail: Iterable[Mail]) -> None:
        """Mail was committed: wake up in time for it."""
        due_at = min(item.due_at for item in mail)
        # Awake, it may have asked the store before this commit, and would go to sleep without knowing of it.
        if self._is_awake or self._sleeping_until is None or due_at < self._sleeping_until:
            self._wake.set()

    def claim(self, mail: Mail) -> None:
        """This message is in a resident's hands; do not hand it out again."""
        if mail.id not in self._in_flight:
            self._in_flight[mail.id] = mail.target
            self._in_flight_to[mail.target] += 1

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
            self._outdated.add((sender, receiver))
            if (sender, receiver) in self._passed_over:
                self._passed_over.discard((sender, receiver))
                self.wake()

    def release(self, mail: Mail | None) -> None:
        """This message was applied, or given back untried."""
        if mail is not None:
            self._forget(mail)
            self._outdated.add(mail.id)
            if self._is_saturated:
                self.wake()

    def _forget(self, mail: Mail) -> None:
        """It is in flight no more."""
        receiver = self._in_flight.pop(mail.id, None)
        if receiver is None:
            return
        self._in_flight_to[receiver] -= 1
        remaining = self._in_flight_to[receiver]
        if remaining == 0:
            del self._in_flight_to[receiver]
        if receiver in self._held_back and remaining <= self._limits.in_flight_per_instance_max // 2:
            self._held_back.discard(receiver)
            self.wake()

    def wake(self) -> None:
        """There may be mail that was not noticed."""
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
        if attempts < settings.mail_attempts and not is_hopeless(mail, error):
            pause = settings.mail_backoff[min(attempts, len(settings.mail_backoff)) - 1]
            log.info("mail failed, will be tried again", pause_milliseconds=pause)
            await self._record_failure(mail, partial(self._defer, mail, attempts, pause, reason))
        elif mail.kind in ("create", "adopt"):
            # Not awaited: who waits here may be the parent itself.
            task = asyncio.create_task(self._record_failure(mail, partial(self._give_up_child, mail, attempts, error)))
            self._giving_up.add(task)
            task.add_done_callback(self._giving_up.discard)
        else:
            log.warning("mail failed for the last time, it is a dead letter now")
            await self._record_failure(mail, partial(self._bury, mail, attempts, reason))

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
            self._outdated |= {mail.id, pair}
            self.wake()

    async def _defer(self, mail: Mail, attempts: int, pause: float, reason: str) -> None:
        retry_at = self._runtime.clock.now() + pause
        await self._runtime.store.defer_mail(mail.id, attempts=attempts, retry_at=retry_at, error=reason)

    async def _bury(self, mail: Mail, attempts: int, reason: str) -> None:
        self._runtime.meters.mail_buried += 1
        await self._runtime.store.bury_mail(mail.id, attempts=attempts, at=self._runtime.clock.now(), error=reason)

    async def _give_up_child(self, mail: Mail, attempts: int, error: Exception) -> None:
        """A persistent child could not be created or adopted: its parent learns it, once, and then it is a dead letter.

        In this order, so that a process that dies in between begins again. A parent that has been told has the child
        no more, and ignores being told again.
        """
        reason = f"{type(error).__name__}: {text_of(error)}"
        if all(mail.id != pending.id for pending in await self._runtime.store.pending_mail(mail.target)):
            return  # it was applied, and only the acknowledgement got lost
        if mail.creation is not None:
            event = {"type": error_platform_type(mail.creation.child_id), "data": error_data(error)}
            session = mail.creation.session
            word = Envelope(Deliver(event=event, sender=mail.target, is_platform=True, session=session))
            self._runtime.submit(mail.sender, word)
            try:
                await word.answer
            except StoreError:
                raise
            except InvalidState:  # it is paused
                await self._defer(mail, mail.attempts, self._runtime.settings.mail_backoff[-1], reason)
                return
            except Exception as refusal:
                logger.warning("a parent could not be told", mail=mail.id, error=text_of(refusal))
                settings = self._runtime.settings
                # Its code failed, or its migration. It is told again, as often as mail is tried, by trying this again.
                if attempts < 2 * settings.mail_attempts and not isinstance(refusal, NotFound):
                    await self._defer(mail, attempts, settings.mail_backoff[-1], reason)
                    return
        logger.warning("a child could not be had", kind=mail.kind, mail=mail.id, target=str(mail.target), error=reason)
        await self._bury(mail, attempts, reason)

    # -- the loop ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._is_awake = True
            if self._must_pause:
                self._must_pause, self._is_pausing = False, True
                await self._runtime.clock.sleep(STORE_RETRY_MILLISECONDS)
                self._is_pausing = False
            try:
                wait_until = await self._hand_out()
            except Exception:
                logger.exception("the store failed; delivery pauses")
                self._must_pause = True
                continue
            self._is_awake, self._sleeping_until = False, wait_until
            if not self._wake.is_set():
                await self._sleep(wait_until)

    async def _hand_out(self) -> float | None:
        """Hand out what is due; the time at which more may be, ``None`` when nothing is in sight."""
        store, now = self._runtime.store, self._runtime.clock.now()
        share = self._limits.in_flight_per_instance_max
        room = min(BATCH_MAX, self._limits.in_flight_max - len(self._in_flight))
        limit = len(self._in_flight) + max(room, 0)
        self._outdated.clear()
        self._held_back = {receiver for receiver, count in self._in_flight_to.items() if count >= share}
        due = await self._due(now, limit) if room > 0 else []
        broadcasts = [mail.id for mail in due if mail.kind == "broadcast"]
        for mail in due:
            # Nothing is awaited in this loop: what the store has answered gets no older than it is.
            pair = (mail.sender, mail.target)
            if mail.kind == "broadcast" or mail.id in self._in_flight or mail.id in self._outdated:
                continue
            if pair in self._withheld:
                self._passed_over.add(pair)
            elif pair in self._outdated:
                self.wake()
            elif self._in_flight_to[mail.target] >= share:
                self._held_back.add(mail.target)
            else:
                self.claim(mail)
                self._runtime.submit(mail.target, Envelope(message_of(mail), mail=mail))
        for mail_id in broadcasts:
            await store.expand_broadcast(mail_id, BATCH_MAX)
            self.wake()
        self._is_saturated = room <= 0 or len(due) >= limit
        if self._is_saturated and room > 0:
            self.wake()
            await asyncio.sleep(0)  # let the residents work before asking for more
        return await store.next_mail_at(now)

    async def _due(self, now: float, limit: int) -> list[Mail]:
        """What is due, without the receivers that have enough in flight. Behind a flood of messages timers as well."""
        store, except_to = self._runtime.store, tuple(self._held_back)
        due = await store.due_mail(now, limit, except_to=except_to)
        if len(due) >= limit and due[-1].due_at <= 0:
            due += await store.due_mail(now, limit, except_to=except_to, only_timed=True)
        return due

    async def _sleep(self, until: float | None) -> None:
        """Until the time has come, or something wakes us."""
        pause = LOOK_AGAIN_MILLISECONDS
        if until is not None:
            pause = min(pause, until - self._runtime.clock.now())
        waits = [asyncio.ensure_future(wait) for wait in (self._wake.wait(), self._runtime.clock.sleep(pause))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def is_hopeless(mail: Mail, error: Exception) -> bool:
    """Whether no further attempt can end otherwise: the receiver has ended, a child's name or version cannot be, or it
    is the message that makes a chain too long.
    """
    if mail.kind == "create" and isinstance(error, InstanceExists | InvalidParameter):
        return True
    return isinstance(error, ChainTooLong | InstanceEnded)


def message_of(mail: Mail) -> Message:
    """What a message asks its receiver's turn to do."""
    if mail.kind == "adopt" and mail.creation is not None:
        tie = tie_of(mail.sender, mail.creation)
        return Adopt(tie=tie, auth_context=sender_claims(mail.sender), mail_id=mail.id)
    if mail.kind == "stop":
        child_id = None if mail.creation is None else mail.creation.child_id
        return Stop(sender=mail.sender, mail_id=mail.id, child_id=child_id)
    if mail.kind == "attempt":
        event = mail.event or {}
        return AttemptDue(child_id=event["id"], session=event["session"], mail_id=mail.id)
    is_own = mail.sender in (mail.target, host_address(mail.sender.org))  # nobody needs permission for these
    claims = None if mail.is_platform or is_own else sender_claims(mail.sender)
    if mail.kind == "create" and mail.creation is not None:
        return Create(
            version_id=mail.creation.version_id,
            context=mail.creation.context,
            auth_context=claims,
            sender=mail.sender,
            parents=(tie_of(mail.sender, mail.creation),),
            mail_id=mail.id,
            chain=mail.chain,
        )
    return Deliver(
        event=mail.event or {},
        auth_context=claims,
        sender=None if is_own else mail.sender,
        is_share=mail.kind == "share",
        is_platform=mail.is_platform,
        mail_id=mail.id,
        chain=mail.chain,
    )
