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
from collections.abc import Awaitable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.actors.actor import error_data
from perdure.actors.child_runner import ChildRunner
from perdure.durable.attempts import Attempts, lost_children
from perdure.durable.envelope import Envelope
from perdure.durable.family import farewell
from perdure.durable.message import AttemptDue, Create, Deliver, Message, title_of
from perdure.durable.observing import commit_observed, effects_span, observed, traced
from perdure.durable.records import Address, InstanceRecord, Mail, VersionRecord
from perdure.durable.running_actions import RunningActions
from perdure.durable.turn import Turn
from perdure.errors import (
    InvalidState,
    MailboxFull,
    MailGone,
    PerdureError,
    SequenceConflict,
    StoreError,
    text_of,
)
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.statechart.effect import (
    ActorTarget,
    Cancel,
    ChildTarget,
    InstanceTarget,
    Send,
    StartChild,
    StopChild,
)
from perdure.statechart.event import error_platform_type

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Resident"]

logger = get_logger("perdure.durable")

CONFLICT_RETRIES = 20
"""Lost compare-and-swaps in a row before a message fails; more than that is not a race but a fault."""
STORE_RETRY_MILLISECONDS = 1000.0
"""Pause before the word of a child is tried again that a failing store could not take."""


class Resident:
    """One instance in memory. Implements ``perdure.durable.host.World`` for its effects."""

    def __init__(self, runtime: Runtime, address: Address) -> None:
        self.address = address
        self._runtime = runtime
        self._record: InstanceRecord | None = None
        self._inbox: deque[Envelope] = deque()
        self._own: deque[Envelope] = deque()
        """Reports of children and messages to itself: taken before the inbox, until the processing time is up."""
        self._arrived = asyncio.Event()
        self._unanswered: list[Envelope] = []
        self._children = ChildRunner(
            self,
            InstanceTarget(address.machine, address.instance),
            runtime.clock,
            runtime.threads,
            copy=runtime.copied_result,
        )
        self._actions = RunningActions(address, self.report, self._arrived.set)
        self._output = runtime.machine_logs.output_of(address)
        self._attempts = Attempts(runtime, self._children.stop, self.child_ended)
        self._deadline = 0.0
        self._is_waiting = False
        self.loop = asyncio.create_task(self._live(), name=f"resident {address}")

    def submit(self, envelope: Envelope) -> None:
        """Put a message into the inbox, unless it is a request too many. Mail is bounded where it is handed out."""
        inbox_max = self._runtime.settings.limits.inbox_max
        if envelope.settles and len(self._inbox) >= inbox_max:
            envelope.fail(MailboxFull(f"{inbox_max:,} requests wait for {self.address}; try again a little later"))
            return
        self._inbox.append(envelope)
        self._arrived.set()

    @property
    def running_children(self) -> int:
        return self._children.running

    @property
    def is_resting(self) -> bool:
        """Whether it waits for a child to end, or for time to pass."""
        return self._is_waiting and not self._arrived.is_set()

    async def close(self) -> None:
        """Stop at once: children are cancelled, whoever waits gets the state reached."""
        actions = self._actions.running
        self.loop.cancel()
        await asyncio.wait([self.loop])
        remaining = [*self._children.stopping(), *actions]
        if remaining:
            await asyncio.wait(remaining, timeout=1)

    # -- World: what performing effects may touch --------------------------------------------------

    def start_child(self, effect: StartChild, behavior: Any) -> None:
        self._children.start(effect, behavior)
        self._attempts.started(effect)

    def stop_child(self, effect: StopChild) -> None:
        self._children.stop(effect)
        mail, _ = self._attempts.ended(effect.id, effect.session)
        self._runtime.delivery.release(mail)

    def send_to_child(self, effect: Send) -> None:
        self._children.send(effect)

    def cancel_sends(self, effect: Cancel) -> None:
        self._children.cancel(effect)

    def report(self, event: JsonObject) -> None:
        self._own.append(Envelope(Deliver(event=event), is_external=False, trace=self._runtime.tracer.current()))
        self._arrived.set()

    # -- Home: what the children ask ----------------------------------------------------------------

    def child_ended(self, child_id: str, session: int, event: JsonObject) -> None:
        mail, attempt = self._attempts.ended(child_id, session)
        trace = self._runtime.tracer.current()
        if mail is not None and attempt is not None and event["type"] == error_platform_type(child_id):
            self._children.forget(child_id, session)
            failure = self._attempts.failure(attempt, mail, event["data"])
            self._own.append(Envelope(failure, mail=mail, is_external=False, trace=trace))
        else:
            message, child = Deliver(event=event, mail_id=None if mail is None else mail.id), (child_id, session)
            word = Envelope(message, mail=mail, child=child, is_last_word=True, is_external=False, trace=trace)
            self._own.append(word)
        self._arrived.set()

    def child_said(
        self, event: JsonObject, origin: ChildTarget | ActorTarget | None, speaker: tuple[str, int] | None
    ) -> None:
        trace = self._runtime.tracer.current()
        self._own.append(Envelope(Deliver(event=event, origin=origin), child=speaker, is_external=False, trace=trace))
        self._arrived.set()

    def children_came_to_rest(self) -> None:
        self._arrived.set()

    def keep_running(self, work: Awaitable[Any], label: str) -> None:
        self._actions.start(work, label)

    # -- the loop ----------------------------------------------------------------------------------

    @property
    def _has_settled(self) -> bool:
        return self._children.is_idle and self._actions.are_idle and not self._own

    @property
    def _time_left(self) -> float:
        """Until the processing deadline; never more than a whole timeout, though the clock be set back."""
        return min(self._deadline - self._runtime.clock.now(), self._runtime.settings.processing_timeout)

    async def _live(self) -> None:
        """Take messages until there are none and nothing runs, then leave."""
        self._output.listen()
        failure: Exception = InvalidState("the runtime is closing; what was committed stands")
        try:
            while await self._is_needed():
                await self._step()
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

    async def _is_needed(self) -> bool:
        """Whether there is something to do, or comes at once: who has just been answered may go on, and should not
        have to have all this set up again."""
        if not self._inbox and self._has_settled:
            self._answer_all()
            await asyncio.sleep(0)
        return bool(self._inbox) or not self._has_settled

    async def _step(self) -> None:
        """Take the next message, or wait for one."""
        is_overdue = self._time_left <= 0
        if is_overdue or self._has_settled:
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
        self._arrived.clear()
        remaining = self._time_left
        if remaining <= 0:
            return False
        arrival = asyncio.ensure_future(self._arrived.wait())
        timer = asyncio.ensure_future(self._runtime.clock.sleep(remaining))
        self._is_waiting = True
        try:
            await asyncio.wait((arrival, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_waiting = False
            arrival.cancel()
            timer.cancel()
        return self._arrived.is_set()

    def _end_services(self) -> None:
        """Stop what runs, and forget what it still had to say. Unless the instance is gone, the next turn tells it."""
        self._children.stop_all()
        self._attempts.release()
        self._actions.stop()
        self._let_go(self._own, InvalidState(f"{self.address} no longer waits for what it started"))

    def _let_go(self, envelopes: deque[Envelope], failure: Exception) -> None:
        """Take no more care of these: their mail is delivered again, others get the failure."""
        while envelopes:
            envelope = envelopes.popleft()
            self._runtime.delivery.release(envelope.mail)
            envelope.fail(failure)

    async def _take(self, envelope: Envelope) -> None:
        """Handle one message; a failure is its sender's answer and leaves the instance as it was."""
        if envelope.child is not None and not self._children.is_live(*envelope.child):
            self._runtime.delivery.release(envelope.mail)
            return  # it was stopped after it had ended: nobody wants to hear of it
        if isinstance(envelope.message, AttemptDue) and self._attempts.runs(envelope.message):
            return  # its mail was handed out before it could be kept back
        try:
            try:
                self._record = await (
                    self._output.silenced(self._delete)
                    if envelope.message is None
                    else observed(self._runtime, self.address, envelope, self._run)
                )
            except Exception as error:
                await self._failed(envelope, error)
                return
        except BaseException:
            self._inbox.appendleft(envelope)  # closing: answered with all the others that wait
            raise
        if envelope.child is not None and envelope.is_last_word:
            self._children.forget(*envelope.child)
        self._runtime.delivery.release(envelope.mail)
        if envelope.is_external:
            self._deadline = self._runtime.clock.now() + self._runtime.settings.processing_timeout
        if envelope.settles:
            envelope.applied_ts = 0.0 if self._record is None else self._record.ts
            self._unanswered.append(envelope)
        else:
            envelope.succeed(self._record)

    # -- a turn ------------------------------------------------------------------------------------

    async def _run(self, envelope: Envelope) -> InstanceRecord | None:
        """The turn, against the newest record: after a lost race it is computed again."""
        runtime, message = self._runtime, envelope.message
        assert message is not None
        for _ in range(CONFLICT_RETRIES):
            record = await self._load(message)
            if envelope.child is not None and not self._children.is_live(*envelope.child):
                return record  # the newest record knows no such child
            if isinstance(message, Create):
                version_id = await runtime.version_for(self.address.org, self.address.machine, message.version_id)
                message = msgspec.structs.replace(message, version_id=version_id)
            elif record is None and envelope.mail is not None and envelope.mail.kind in ("stop", "share"):
                await runtime.store.drop_mail(envelope.mail.id)  # what is not there needs no stopping, nor is missed
                return None
            elif record is None:
                raise await runtime.absent(self.address)
            else:
                version_id = record.version_id
            version = await runtime.version(version_id)
            upgrade = None if record is None else await runtime.upgrades.path_for(record, message)
            if not self._actions.are_idle:
                upgrade = None  # it has not settled while actions of the present version run
            try:
                with runtime.watchdog.watching(self.address, title_of(message)):
                    turn = await runtime.host.turn(
                        version,
                        self.address,
                        record,
                        message,
                        now=runtime.clock.now(),
                        fresh_name=runtime.fresh_name,
                        lost=lost_children(record, self._children),
                        limits=runtime.settings.limits,
                        upgrade=upgrade,
                    )
                turn = traced(runtime, turn)
                await commit_observed(runtime, turn.commit)
            except SequenceConflict:
                runtime.forget(self.address)
                continue
            except Exception:
                # User code may have changed the context it was shown; and the commit may have happened all the same,
                # with mail that nobody knows of.
                runtime.forget(self.address)
                runtime.delivery.wake()
                raise
            await self._committed(turn, version)
            if turn.refused is not None:
                raise turn.refused
            return turn.commit.record
        raise SequenceConflict(f"{self.address} was changed by others {CONFLICT_RETRIES} times in a row")

    async def _load(self, message: Message) -> InstanceRecord | None:
        """The newest record. What runs here and is not of this record, or not of this life of the instance, is
        stopped."""
        if isinstance(message, Create):
            self._runtime.forget(self.address)  # another process may have deleted it
        record = await self._runtime.record(self.address)
        if record is None or (self._record is not None and self._record.life != record.life):
            self._end_services()
        else:
            wanted = {
                (child.id, child.session) for child in record.snapshot.children.values() if not child.is_persistent
            }
            self._children.keep_only(wanted)
            self._attempts.release(but=wanted)
        if record is not None and record is not self._record:
            self._runtime.remember(record)
        return record

    async def _committed(self, turn: Turn, version: VersionRecord) -> None:
        """The commit is durable: tell the watchers, have its mail delivered, perform its effects."""
        record, mail = turn.commit.record, turn.commit.mail
        self._record = record
        self._runtime.remember(record)
        self._runtime.watchers.publish(record)
        if mail:
            self._attempts.keep(mail)
            self._runtime.delivery.notice(mail)
        try:
            if turn.effects or turn.effects_before:
                with (
                    effects_span(self._runtime, turn),
                    self._runtime.watchdog.watching(self.address, f"effects of commit {record.sequence}"),
                ):
                    self._runtime.host.perform(version, turn.effects_before, self)
                    if record.version_id != version.id:
                        version = await self._runtime.version(record.version_id)
                    self._runtime.host.perform(version, turn.effects, self)
        except Exception:
            # The transition stands; failing its request would say otherwise.
            logger.exception("effects failed", instance=str(self.address))
        own = [item for item in mail if item.target == self.address and not item.is_delayed and item.kind == "event"]
        if own:
            with self._runtime.delivery.withholding(self.address, self.address):
                await self._take_own_mail(own)

    async def _take_own_mail(self, own: Sequence[Mail]) -> None:
        """Mail to itself needs no detour, so that the answer can wait for it; unless earlier mail of the kind has to be
        waited for, which failed or is still on its detour."""
        for item in own:
            self._runtime.delivery.claim(item)
        at_hand = {item.id for item in own} | {waiting.mail.id for waiting in self._own if waiting.mail is not None}
        try:
            # In this order: a broadcast that becomes mail meanwhile is seen by the second question.
            is_broadcasting = await self._runtime.store.is_broadcasting(self.address)
            pending = await self._runtime.store.pending_mail(self.address)
            is_first = not is_broadcasting and all(
                item.id in at_hand
                or item.is_delayed
                or item.sender != self.address
                or item.kind not in ("event", "share")
                for item in pending
            )
        except StoreError:
            is_first = False
        for item in own:
            if is_first:
                message = Deliver(event=item.event or {}, mail_id=item.id, chain=item.chain)
                self._own.append(Envelope(message, mail=item, is_external=False))
            else:
                self._runtime.delivery.release(item)
        if not is_first:
            self._runtime.delivery.wake()

    async def _delete(self) -> None:
        """Remove the instance; in the same step it lets go of its children."""
        runtime, existed = self._runtime, False
        runtime.forget(self.address)
        while not existed and (record := await runtime.store.load(self.address)) is not None:
            left_behind = farewell(record)
            try:
                existed = await runtime.store.delete_instance(
                    self.address, expected_sequence=record.sequence, mail=left_behind
                )
            except SequenceConflict:
                continue  # another process was faster
            finally:  # it may have happened though it failed
                if left_behind:
                    runtime.delivery.wake()
        self._end_services()
        runtime.watchers.end(self.address)
        if not existed:
            raise await runtime.absent(self.address)

    # -- answers -----------------------------------------------------------------------------------

    def _answer_all(self) -> None:
        unanswered, self._unanswered = self._unanswered, []
        for envelope in unanswered:
            envelope.succeed(self._record)

    async def _failed(self, envelope: Envelope, error: Exception) -> None:
        """Answer a failure. Mail is put back for another attempt, and what its sender sent after it waits behind it."""
        mail, delivery = envelope.mail, self._runtime.delivery
        if not isinstance(error, PerdureError):
            logger.error("turn failed", instance=str(self.address), exc_info=error)
        if isinstance(envelope.message, Deliver) and (
            envelope.child is not None or envelope.message.origin is not None
        ):
            await self._word_of_child_failed(envelope, envelope.message.event["type"], error)
            return
        if isinstance(error, MailGone):
            logger.debug("mail was applied or cancelled meanwhile", instance=str(self.address))
            delivery.release(mail)
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
            self._children.forget(*envelope.child)
            self._runtime.delivery.release(envelope.mail)
            self._runtime.delivery.wake()
