"""Delivery: from committed mail to turns.

Mail leaves in its sender's commit and is applied in its receiver's, which deletes it: exactly once, whatever dies
between. This loop is the part that brings it there. It asks the store for what is due, hands each message to its
receiver's resident, and sleeps until the next one is due or a commit brings one that is due earlier. A timer is mail
to oneself.

A message that fails is tried again after a pause; after the last attempt it becomes a dead letter. Until then
everything its sender sent to the same receiver later waits behind it, so that order per sender and receiver is kept.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from perdure.actors.child_runner import error_data
from perdure.durable.authorization import sender_claims
from perdure.durable.records import Mail, Parent
from perdure.durable.resident import Envelope
from perdure.durable.turn import Create, Deliver, Message, Stop
from perdure.errors import NotFound, StoreError
from perdure.logs import get_logger
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Delivery"]

logger = get_logger("perdure.delivery")

IN_FLIGHT_MAX = 1024
"""Messages handed to residents and not applied yet."""
BATCH_MAX = 256
STORE_RETRY_MILLISECONDS = 1000.0
"""Pause after the store failed, so that a broken disk does not turn into a busy loop."""


class Delivery:
    """The loop that delivers mail."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._in_flight: set[str] = set()
        self._wake = asyncio.Event()
        self._is_awake = True
        self._sleeping_until: float | None = None
        """While asleep: when it wakes by itself, ``None`` with nothing in sight."""
        self._is_saturated = False
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._loop = asyncio.create_task(self._run(), name="delivery")

    async def close(self) -> None:
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait([self._loop])

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
        self._in_flight.add(mail.id)

    def release(self, mail: Mail | None) -> None:
        """This message was applied, or given back untried."""
        if mail is not None:
            self._in_flight.discard(mail.id)
            if self._is_saturated:
                self._wake.set()

    async def failed(self, mail: Mail, error: Exception) -> None:
        """Put a message back for another attempt, or with the dead letters after the last one."""
        settings, now = self._runtime.settings, self._runtime.clock.now()
        attempts = mail.attempts + 1
        reason = f"{type(error).__name__}: {error}"
        log = logger.bind(mail=mail.id, target=str(mail.target), attempts=attempts, error=reason)
        try:
            if attempts < settings.mail_attempts:
                pause = settings.mail_backoff[min(attempts, len(settings.mail_backoff)) - 1]
                log.info("mail failed, will be tried again", pause_milliseconds=pause)
                await self._runtime.store.defer_mail(mail.id, attempts=attempts, retry_at=now + pause, error=reason)
            else:
                log.warning("mail failed for the last time, it is a dead letter now")
                if mail.kind == "create":
                    self._tell_creator(mail, error)
                await self._runtime.store.bury_mail(mail.id, attempts=attempts, at=now, error=reason)
        finally:
            self._in_flight.discard(mail.id)
            self._wake.set()

    def _tell_creator(self, mail: Mail, error: Exception) -> None:
        """A persistent child could not be created: its parent learns it as the child's failure."""
        if mail.creation is not None:
            event = {"type": error_platform_type(mail.creation.child_id), "data": error_data(error)}
            self._runtime.submit(mail.sender, Envelope(Deliver(event=event)))

    # -- the loop ----------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            self._is_awake = True
            try:
                wait_until = await self._hand_out()
            except StoreError:
                logger.exception("the store failed; delivery pauses")
                await self._runtime.clock.sleep(STORE_RETRY_MILLISECONDS)
                continue
            self._is_awake, self._sleeping_until = False, wait_until
            if not self._wake.is_set():
                await self._sleep(wait_until)

    async def _hand_out(self) -> float | None:
        """Hand out what is due; the time at which more may be, ``None`` when nothing is in sight."""
        store, now = self._runtime.store, self._runtime.clock.now()
        room = min(BATCH_MAX, IN_FLIGHT_MAX - len(self._in_flight))
        limit = len(self._in_flight) + max(room, 0)
        due = await store.due_mail(now, limit) if room > 0 else []
        for mail in due:
            if mail.id not in self._in_flight:
                self.claim(mail)
                try:
                    message = await self._message(mail)
                except NotFound as error:
                    await self.failed(mail, error)
                else:
                    self._runtime.submit(mail.target, Envelope(message, mail=mail))
        self._is_saturated = room <= 0 or len(due) >= limit
        if self._is_saturated and room > 0:
            self._wake.set()
            await asyncio.sleep(0)  # let the residents work before asking for more
        return await store.next_mail_at(now)

    async def _message(self, mail: Mail) -> Message:
        """What a message asks its receiver's turn to do."""
        if mail.kind == "stop":
            return Stop(sender=mail.sender, mail_id=mail.id)
        claims = None if mail.is_platform or mail.sender == mail.target else sender_claims(mail.sender)
        if mail.kind == "create" and mail.creation is not None:
            version_id = await self._runtime.version_for(mail.target.org, mail.target.machine, mail.creation.version_id)
            return Create(
                version_id=version_id,
                context=mail.creation.context,
                auth_context=claims,
                sender=mail.sender,
                parents=(Parent(mail.sender, mail.creation.child_id),),
                mail_id=mail.id,
            )
        sender = None if mail.sender == mail.target else mail.sender
        return Deliver(event=mail.event or {}, auth_context=claims, sender=sender, mail_id=mail.id)

    async def _sleep(self, until: float | None) -> None:
        """Until the time has come, or something wakes us."""
        waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(self._wake.wait())]
        if until is not None:
            waits.append(asyncio.ensure_future(self._runtime.clock.sleep(until - self._runtime.clock.now())))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
