"""What becomes of mail that has failed: another attempt, or a dead letter; and of a child that cannot be had its
parent is told.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.actors.actor import error_data
from perdure.durable.envelope import Envelope
from perdure.durable.message import Deliver
from perdure.durable.outbox import life_of
from perdure.durable.records import Mail
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

__all__ = ["FailedMail", "is_hopeless"]

logger = get_logger("perdure.delivery")


class FailedMail:
    """Writes down what has failed. Each method raises ``StoreError``; it may have happened all the same."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def defer(self, mail: Mail, attempts: int, pause: float, reason: str) -> None:
        retry_at = self._runtime.clock.now() + pause
        await self._runtime.store.defer_mail(mail.id, attempts=attempts, retry_at=retry_at, error=reason)

    async def bury(self, mail: Mail, attempts: int, reason: str) -> None:
        self._runtime.meters.mail_buried += 1
        await self._runtime.store.bury_mail(mail.id, attempts=attempts, at=self._runtime.clock.now(), error=reason)

    async def give_up_child(self, mail: Mail, attempts: int, error: Exception) -> None:
        """A persistent child could not be created or adopted: its parent learns it, once, and then it is a dead letter.

        In this order, so that a process that dies in between begins again. A parent that has been told has the child
        no more, and ignores being told again.
        """
        reason = f"{type(error).__name__}: {text_of(error)}"
        if all(mail.id != pending.id for pending in await self._runtime.store.pending_mail(mail.target)):
            return  # it was applied, and only the acknowledgement got lost
        if mail.creation is not None:
            event = {"type": error_platform_type(mail.creation.child_id), "data": error_data(error)}
            word = Deliver(
                event=event,
                sender=mail.target,
                is_platform=True,
                session=mail.creation.session,
                life=life_of(mail),
            )
            telling = Envelope(word)
            self._runtime.submit(mail.sender, telling)
            try:
                await telling.answer
            except StoreError:
                raise
            except InvalidState:  # it is paused
                await self.defer(mail, mail.attempts, self._runtime.settings.mail_backoff[-1], reason)
                return
            except Exception as refusal:
                logger.warning("a parent could not be told", mail=mail.id, error=text_of(refusal))
                settings = self._runtime.settings
                # Its code failed, or its migration. It is told again, as often as mail is tried, by trying this again.
                if attempts < 2 * settings.mail_attempts and not isinstance(refusal, NotFound):
                    await self.defer(mail, attempts, settings.mail_backoff[-1], reason)
                    return
        logger.warning("a child could not be had", kind=mail.kind, mail=mail.id, target=str(mail.target), error=reason)
        await self.bury(mail, attempts, reason)


def is_hopeless(mail: Mail, error: Exception) -> bool:
    """Whether no further attempt can end otherwise: the receiver has ended, a child's name or version cannot be, or it
    is the message that makes a chain too long.
    """
    if mail.kind == "create" and isinstance(error, InstanceExists | InvalidParameter):
        return True
    return isinstance(error, ChainTooLong | InstanceEnded)
