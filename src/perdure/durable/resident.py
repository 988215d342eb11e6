"""A resident: one instance, for as long as somebody needs it in memory.

It takes messages one at a time, in order, and runs each as a turn: compute the commit, make it durable, publish the new
state, perform the effects. It stays while messages wait or ephemeral children run, and then leaves; a settled instance
lives nowhere. What it holds is only a cache of the store, guarded by the compare-and-swap of every commit.

An answer is given when the instance has settled: no ephemeral child or asynchronous action runs, and no message of
its own to itself waits. At the processing timeout, counted from the last external event, children that still run are
stopped, the answers are given with the state reached, and the next turn begins with an error event for each of them.

Whatever fails, two things hold. Every envelope is answered once, or its mail is let go for another attempt. And no
child goes on running that the newest record does not know, be it because another process has changed the instance, or
because the store lost an acknowledgement and with it the effects of a commit that stands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import error_data
from perdure.durable.commit import Turn
from perdure.durable.envelope import Envelope
from perdure.durable.message import AttemptDue, Deliver
from perdure.durable.observing import outcome_of, run_traced
from perdure.durable.records import Address, InstanceRecord
from perdure.durable.running_services import RunningServices
from perdure.durable.store import STORE_RETRY_MILLISECONDS
from perdure.durable.turn_taking import TurnTaking, as_stored
from perdure.errors import (
    InvalidState,
    MailboxFull,
    MailGone,
    PerdureError,
    ReceiptExists,
    SequenceConflict,
    StoreError,
    text_of,
)
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.statechart.effect import (
    Cancel,
    Send,
    StartChild,
    StopChild,
)
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Resident"]

logger = get_logger("perdure.durable")


class Resident(TurnTaking):
    """One instance in memory. Implements ``perdure.durable.host.World`` for its effects."""

    def __init__(self, runtime: Runtime, address: Address) -> None:
        self.address = address
        self._runtime = runtime
        self._record: InstanceRecord | None = None
        self._inbox: deque[Envelope] = deque()
        self._own: deque[Envelope] = deque()
        """Reports of children and messages to itself: taken before the inbox, until the processing time is up."""
        self._unanswered: list[Envelope] = []
        self._services: RunningServices | None = None
        """From the first one on."""
        self._output = runtime.machine_logs.output_of(address)
        self._deadline = 0.0
        self._one_by_one = 0
        """How many of the messages that are taken next must not share a commit."""
        self._arrival: asyncio.Future[None] | None = None
        """What it waits for, while it waits: a message, or the end of something that runs."""
        self.loop = asyncio.create_task(self._live(), name=address.instance)

    def submit(self, envelope: Envelope) -> None:
        """Put a message into the inbox, unless it is a request too many. Mail is bounded where it is handed out."""
        if envelope.settles and len(self._inbox) >= self._runtime.limits.inbox_max:
            inbox_max = self._runtime.limits.inbox_max
            envelope.fail(MailboxFull(f"{inbox_max:,} requests wait for {self.address}; try again a little later"))
            return
        self._inbox.append(envelope)
        self._stir()

    def _stir(self) -> None:
        """There is something to do."""
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    @property
    def running_children(self) -> int:
        return 0 if self._services is None else self._services.children

    @property
    def is_resting(self) -> bool:
        """Whether it waits for a child to end, or for time to pass."""
        return self._arrival is not None and not self._arrival.done()

    async def close(self) -> None:
        """Stop at once: children are cancelled, whoever waits gets the state reached."""
        ending = [] if self._services is None else self._services.ending()
        self.loop.cancel()
        await asyncio.wait([self.loop])
        if self._services is not None:
            ending += self._services.ending()
        if ending:
            await asyncio.wait(ending, timeout=1)

    # -- World: what performing effects may touch --------------------------------------------------

    def start_child(self, effect: StartChild, behavior: Any) -> None:
        self._have_services().start_child(effect, behavior)

    def stop_child(self, effect: StopChild) -> None:
        if self._services is not None:
            self._services.stop_child(effect)

    def send_to_child(self, effect: Send) -> None:
        self._have_services().send_to_child(effect)

    def cancel_sends(self, effect: Cancel) -> None:
        if self._services is not None:
            self._services.cancel_sends(effect)

    def keep_running(self, work: Awaitable[Any], label: str) -> None:
        self._have_services().keep_running(work, label)

    def report(self, event: JsonObject) -> None:
        self._have_services().report(event)

    def _have_services(self) -> RunningServices:
        if self._services is None:
            self._services = RunningServices(self._runtime, self.address, self._hear, self._stir)
        return self._services

    def _hear(self, envelope: Envelope) -> None:
        """A message from within."""
        self._own.append(envelope)
        self._stir()

    # -- the loop ----------------------------------------------------------------------------------

    @property
    def _has_settled(self) -> bool:
        return not self._own and (self._services is None or self._services.are_idle)

    @property
    def _time_left(self) -> float:
        """Until the processing deadline; never more than a whole timeout, though the clock be set back."""
        return min(self._deadline - self._runtime.clock.now(), self._runtime.settings.processing_timeout)

    async def _live(self) -> None:
        """Take messages until there are none and nothing runs, then leave."""
        self._output.listen()
        failure: Exception = InvalidState("the runtime is closing; what was committed stands")
        try:
            while True:
                if not self._has_settled:
                    await self._step()
                    continue
                self._answer_all()
                if not self._inbox:
                    # Who has just been answered may go on, and should not have to have all this set up again.
                    await asyncio.sleep(0)
                    if not self._inbox and self._has_settled:
                        break
                elif len(self._inbox) > 1 and await self._take_several():
                    pass
                else:
                    await self._take(self._inbox.popleft())
        except Exception as error:
            logger.exception("resident failed", instance=str(self.address))
            failure = error
            self._runtime.delivery.pause()
        finally:
            # Nothing is awaited between finding the inbox empty and leaving, so no message can slip in between.
            self._runtime.leave(self)
            self._answer_all()
            self._end_services()
            self._let_go(self._inbox, failure)

    async def _step(self) -> None:
        """While something runs: take the next message, or wait for one."""
        is_overdue = self._time_left <= 0
        if is_overdue:
            self._answer_all()
        if self._inbox and (is_overdue or not self._own):
            await self._take(self._inbox.popleft())
        elif self._own:
            await asyncio.sleep(0)  # a machine that keeps itself busy must not keep everybody else from running
            if self._own:
                await self._take(self._own.popleft())
        elif not await self._wait():
            logger.warning("processing timed out; its services are stopped", instance=str(self.address))
            self._end_services()

    async def _wait(self) -> bool:
        """Wait for a message, or for a child to end; false when the processing deadline passes first."""
        remaining = self._time_left
        if remaining <= 0:
            return False
        self._arrival = arrival = asyncio.get_running_loop().create_future()
        timer = asyncio.ensure_future(self._runtime.clock.sleep(remaining))
        try:
            await asyncio.wait((arrival, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._arrival = None
            timer.cancel()
        return arrival.done()

    def _end_services(self) -> None:
        """Stop what runs, and forget what it still had to say. Unless the instance is gone, the next turn tells it."""
        if self._services is not None:
            self._services.stop_all()
        self._let_go(self._own, InvalidState(f"{self.address} no longer waits for what it started"))

    def _end_life(self) -> None:
        """The instance was deleted by somebody else: whoever waits for it to settle need not wait any more."""
        self._end_services()
        unanswered, self._unanswered = self._unanswered, []
        for envelope in unanswered:
            envelope.succeed(None)

    def _let_go(self, envelopes: deque[Envelope], failure: Exception) -> None:
        """Take no more care of these: their mail is delivered again, others get the failure."""
        while envelopes:
            envelope = envelopes.popleft()
            self._runtime.delivery.release(envelope.mail)
            envelope.fail(failure)

    async def _take(self, envelope: Envelope) -> None:
        """Handle one message; a failure is its sender's answer and leaves the instance as it was."""
        if self._is_void(envelope):
            self._runtime.delivery.release(envelope.mail)
            return  # its child was stopped after it had ended: nobody wants to hear of it
        if (
            isinstance(envelope.message, AttemptDue)
            and self._services is not None
            and self._services.attempts(envelope.message)
        ):
            return  # its mail was handed out before it could be kept back
        try:
            try:
                if envelope.message is None:
                    self._record = await self._output.silenced(self._delete)
                elif self._runtime.tracer.is_on:
                    self._record = await run_traced(self._runtime, self.address, envelope, self._run)
                else:
                    self._record = await self._run(envelope)
            except Exception as error:
                await self._failed(envelope, error)
                return
        except BaseException:
            self._inbox.appendleft(envelope)  # closing: answered with all the others that wait
            raise
        if envelope.is_last_word:
            self._forget_child(envelope)
        self._applied(envelope, self._record, self._runtime.clock.now())
        if envelope.settles:
            self._unanswered.append(envelope)
        else:
            envelope.succeed(self._record)

    async def _take_several(self) -> bool:
        """Handle the first messages of the inbox with one commit; false when the first has to be taken alone.

        What the message after them raised counts only if they stand: it was computed from where they have led.
        """
        if self._one_by_one > 0:
            self._one_by_one -= 1
            return False
        turns, refusal = await self._turns_at_hand(self._inbox)
        if turns and not await self._take_together([self._inbox.popleft() for _ in turns], turns):
            return True
        if refusal is not None:
            await self._fail_waiting(self._inbox[0], refusal)
        return bool(turns) or refusal is not None

    async def _take_together(self, envelopes: list[Envelope], turns: list[Turn]) -> bool:
        """Make the turns of these messages durable and answer them; false when they have failed, or when nothing has
        happened and they are back in the inbox, to be taken one by one."""
        try:
            await self._run_together(turns)
        except (SequenceConflict, MailGone, ReceiptExists):
            self._one_by_one = len(envelopes)
            self._inbox.extendleft(reversed(envelopes))
            return False
        except Exception as error:
            self._inbox.extendleft(reversed(envelopes))
            for envelope in envelopes:
                if envelope in self._inbox:  # or else it waits behind one that has failed
                    await self._fail_waiting(envelope, error)
            return False
        except BaseException:
            self._inbox.extendleft(reversed(envelopes))  # closing: answered with all the others that wait
            raise
        has_settled, now = self._has_settled, self._runtime.clock.now()
        for envelope, turn in zip(envelopes, turns, strict=True):
            self._applied(envelope, turn.commit.record, now)
            if envelope.settles and not has_settled:
                self._unanswered.append(envelope)
            elif envelope.settles:  # the turns after it were shown its context, and may have changed it
                envelope.succeed(as_stored(turn).commit.record, is_own=True)
            else:
                envelope.succeed(turn.commit.record)
        return True

    async def _fail_waiting(self, envelope: Envelope, error: Exception) -> None:
        """A message of the inbox has failed."""
        self._inbox.remove(envelope)
        try:
            await self._failed(envelope, error)
        except BaseException:
            self._inbox.appendleft(envelope)  # closing: answered with all the others that wait
            raise

    def _applied(self, envelope: Envelope, record: InstanceRecord | None, now: float) -> None:
        """The message has led to this record, durably."""
        if envelope.mail is not None:
            self._runtime.delivery.applied(envelope.mail)
            if envelope.mail.is_delayed:
                self._runtime.meters.timer_lateness.observe(max(now - envelope.mail.due_at, 0.0))
        if envelope.is_external:
            self._deadline = now + self._runtime.settings.processing_timeout
        if envelope.settles:
            envelope.applied_ts = 0.0 if record is None else record.ts

    def _is_void(self, envelope: Envelope) -> bool:
        """Whether it is word of a child that was stopped meanwhile."""
        return envelope.child is not None and (self._services is None or not self._services.is_live(envelope.child))

    def _forget_child(self, envelope: Envelope) -> None:
        if envelope.child is not None and self._services is not None:
            self._services.forget(envelope.child)

    @property
    def _runs_actions(self) -> bool:
        return self._services is not None and not self._services.actions_are_idle

    # -- answers -----------------------------------------------------------------------------------

    def _answer_all(self) -> None:
        unanswered, self._unanswered = self._unanswered, []
        for envelope in unanswered:
            envelope.succeed(self._record)

    async def _failed(self, envelope: Envelope, error: Exception) -> None:
        """Answer a failure. Mail is put back for another attempt, and what its sender sent after it waits behind it."""
        mail, delivery = envelope.mail, self._runtime.delivery
        if envelope.message is not None and not isinstance(error, MailGone):
            self._runtime.meters.turns[outcome_of(error)] += 1
        if not isinstance(error, PerdureError):
            logger.error("turn failed", instance=str(self.address), exc_info=error)
        if isinstance(envelope.message, Deliver) and (
            envelope.child is not None or envelope.message.origin is not None
        ):
            await self._word_of_child_failed(envelope, envelope.message.event["type"], error)
            return
        if isinstance(error, MailGone):
            logger.debug("mail was applied or cancelled meanwhile", instance=str(self.address))
            delivery.applied(mail)
        elif mail is not None:
            for waiting in (self._own, self._inbox):
                for later in [other for other in waiting if other.is_behind(mail)]:
                    waiting.remove(later)
                    delivery.release(later.mail)
            await delivery.failed(mail, error)
        elif not envelope.is_external:
            logger.warning("a report was not applied", instance=str(self.address), error=text_of(error))
        envelope.fail(error)

    async def _word_of_child_failed(self, envelope: Envelope, event_type: str, error: Exception) -> None:
        """What a child did should not be lost to a store that fails for a moment; and a machine that cannot take the
        last word of one has at least to learn that there was an error."""
        log = logger.bind(instance=str(self.address), type=event_type, error=text_of(error))
        if isinstance(error, StoreError) and not isinstance(error, MailGone) and self._time_left > 0:
            log.warning("the word of a child could not be stored, will be tried again")
            await self._runtime.clock.sleep(min(STORE_RETRY_MILLISECONDS, self._time_left))
            self._own.appendleft(envelope)
        elif envelope.child is None or not envelope.is_last_word:
            log.warning("the word of a child was not applied")
        elif not isinstance(error, StoreError) and event_type != error_platform_type(envelope.child[0]):
            log.warning("the word of a child failed in the machine")
            event = {"type": error_platform_type(envelope.child[0]), "data": error_data(error)}
            message = Deliver(event=event, mail_id=None if envelope.mail is None else envelope.mail.id)
            self._own.appendleft(
                Envelope(message, mail=envelope.mail, child=envelope.child, is_last_word=True, is_external=False)
            )
        else:
            log.warning("the word of a child was not applied")
            self._forget_child(envelope)
            self._runtime.delivery.release(envelope.mail)
            self._runtime.delivery.wake()
