"""A resident: one instance, for as long as somebody needs it in memory.

It takes messages one at a time, in order, and runs each as a turn: compute the commit, make it durable, publish the new
state, perform the effects. It stays while messages wait or ephemeral children run, and then leaves; a settled instance
lives nowhere. What it holds is only a cache of the store, guarded by the compare-and-swap of every commit.

An answer is given when the instance has settled: no ephemeral child or asynchronous action runs, and no message of
its own to itself waits. At the processing timeout, counted from the last external event, children that still run are
stopped, the answers are given with the state reached, and the next turn begins with an error event for each of them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from perdure.actors.child_runner import ChildRunner, error_data
from perdure.durable.records import Address, InstanceRecord, Mail
from perdure.durable.turn import Create, Deliver, Message, Turn
from perdure.errors import InvalidState, MailGone, PerdureError, SequenceConflict
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.statechart.effect import StartChild, StopChild
from perdure.statechart.event import ERROR_EXECUTION

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Envelope", "Resident"]

logger = get_logger("perdure.durable")

CONFLICT_RETRIES = 20
"""Lost compare-and-swaps in a row before a message fails; more than that is not a race but a fault."""


class Envelope:
    """A message in a resident's inbox, and who waits for what becomes of it."""

    __slots__ = ("answer", "child", "is_external", "mail", "message", "settles")

    def __init__(
        self,
        message: Message | None,
        *,
        mail: Mail | None = None,
        child: tuple[str, int] | None = None,
        settles: bool = False,
        is_external: bool = True,
    ) -> None:
        self.message = message
        """``None`` asks the resident to delete its instance."""
        self.mail = mail
        self.child = child
        """The id and session of the ephemeral child whose end this reports."""
        self.settles = settles
        """Whether the answer waits until the instance has settled, or is given once the commit is durable."""
        self.is_external = is_external
        """Whether it moves the processing deadline: true of clients, timers and other instances."""
        self.answer: asyncio.Future[InstanceRecord | None] = asyncio.get_running_loop().create_future()
        # A failed answer that nobody collects (its request was cancelled, or it is mail) is no fault of the loop's.
        self.answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, record: InstanceRecord | None) -> None:
        if not self.answer.done():
            self.answer.set_result(record)


class Resident:
    """One instance in memory. Implements ``perdure.durable.host.World`` for its effects."""

    def __init__(self, runtime: Runtime, address: Address) -> None:
        self.address = address
        self._runtime = runtime
        self._record: InstanceRecord | None = None
        self._inbox: deque[Envelope] = deque()
        self._own: deque[Envelope] = deque()
        """Reports of children and messages to itself: taken before the inbox."""
        self._arrived = asyncio.Event()
        self._unanswered: list[Envelope] = []
        self._children = ChildRunner(self._child_ended, runtime.threads)
        self._actions: set[asyncio.Task[None]] = set()
        self._deadline = 0.0
        self.loop = asyncio.create_task(self._live(), name=f"resident {address}")

    def submit(self, envelope: Envelope) -> None:
        """Put a message into the inbox."""
        self._inbox.append(envelope)
        self._arrived.set()

    async def close(self) -> None:
        """Stop at once: children are cancelled, whoever waits gets the state reached."""
        self.loop.cancel()
        await asyncio.wait([self.loop])
        self._children.stop_all()
        for action in self._actions:
            action.cancel()
        remaining = [*self._children.stopping(), *self._actions]
        if remaining:
            await asyncio.wait(remaining, timeout=1)

    # -- World: what performing effects may touch --------------------------------------------------

    def start_child(self, effect: StartChild, service: Callable[..., Any]) -> None:
        self._children.start(effect, service)

    def stop_child(self, effect: StopChild) -> None:
        self._children.stop(effect)

    def report(self, event: JsonObject) -> None:
        self._own.append(Envelope(Deliver(event=event), is_external=False))
        self._arrived.set()

    def _child_ended(self, child_id: str, session: int, event: JsonObject) -> None:
        self._own.append(Envelope(Deliver(event=event), child=(child_id, session), is_external=False))
        self._arrived.set()

    def keep_running(self, work: Awaitable[Any], label: str) -> None:
        async def run() -> None:
            try:
                await work
            except Exception as error:
                logger.exception("action raised", instance=str(self.address), action=label)
                self.report({"type": ERROR_EXECUTION, "data": {"action": label, **error_data(error)}})

        action = asyncio.create_task(run(), name=f"action {label}")
        self._actions.add(action)
        action.add_done_callback(self._action_ended)

    def _action_ended(self, action: asyncio.Task[None]) -> None:
        self._actions.discard(action)
        self._arrived.set()

    # -- the loop ----------------------------------------------------------------------------------

    @property
    def _has_settled(self) -> bool:
        return self._children.is_idle and not self._actions and not self._own

    async def _live(self) -> None:
        """Take messages until there are none and nothing runs, then leave."""
        failure: Exception = InvalidState("the runtime is closing; what was committed stands")
        try:
            while True:
                if self._has_settled:
                    self._answer_all()
                    if not self._inbox:
                        return
                if self._own or self._inbox:
                    await self._take(self._own.popleft() if self._own else self._inbox.popleft())
                elif not await self._wait():
                    self._give_up()
        except Exception as error:
            logger.exception("resident failed", instance=str(self.address))
            failure = error
        finally:
            # Nothing is awaited between finding the inbox empty and leaving, so no message can slip in between.
            self._runtime.leave(self)
            self._answer_all()
            for envelope in (*self._own, *self._inbox):
                envelope.fail(failure)

    async def _wait(self) -> bool:
        """Wait for a message, or for a child to end; false when the processing deadline passes first."""
        self._arrived.clear()
        remaining = self._deadline - self._runtime.clock.now()
        if remaining <= 0:
            return False
        arrival = asyncio.ensure_future(self._arrived.wait())
        timer = asyncio.ensure_future(self._runtime.clock.sleep(remaining))
        try:
            await asyncio.wait((arrival, timer), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrival.cancel()
            timer.cancel()
        return self._arrived.is_set()

    def _give_up(self) -> None:
        """The processing deadline has passed: stop what runs. The next turn tells the machine."""
        logger.warning("processing timed out; its children are stopped", instance=str(self.address))
        self._children.stop_all()
        for action in self._actions:
            action.cancel()
        self._actions.clear()

    async def _take(self, envelope: Envelope) -> None:
        """Handle one message; a failure is its sender's answer and leaves the instance as it was."""
        if envelope.child is not None and not self._children.is_live(*envelope.child):
            return  # it was stopped after it had ended: nobody wants to hear of it
        try:
            self._record = await (self._delete() if envelope.message is None else self._run(envelope.message))
        except Exception as error:
            if not isinstance(error, PerdureError):
                logger.exception("turn failed", instance=str(self.address))
            await self._failed(envelope, error)
            return
        finally:
            if envelope.child is not None:
                self._children.forget(*envelope.child)
        if envelope.mail is not None:
            self._runtime.delivery.release(envelope.mail)
        if envelope.is_external:
            self._deadline = self._runtime.clock.now() + self._runtime.settings.processing_timeout
        if envelope.settles:
            self._unanswered.append(envelope)
        else:
            envelope.succeed(self._record)

    async def _run(self, message: Message) -> InstanceRecord:
        """The turn, against the newest record: after a lost race it is computed again."""
        runtime = self._runtime
        for _ in range(CONFLICT_RETRIES):
            record = await runtime.record(self.address)
            if isinstance(message, Create):
                version = await runtime.version(message.version_id)
            elif record is None:
                raise await runtime.absent(self.address)
            else:
                version = await runtime.version(record.version_id)
            turn = await runtime.host.turn(
                version,
                self.address,
                record,
                message,
                now=runtime.clock.now(),
                fresh_name=runtime.fresh_name,
                lost=self._lost_children(record),
            )
            try:
                await runtime.store.commit(turn.commit)
            except SequenceConflict:
                runtime.forget(self.address)
                continue
            self._committed(turn)
            try:
                runtime.host.perform(version, turn.effects, self)
            except Exception:
                # The transition stands; failing its request would say otherwise.
                logger.exception("effects failed", instance=str(self.address))
            if turn.refused is not None:
                raise turn.refused
            return turn.commit.record
        raise SequenceConflict(f"{self.address} was changed by others {CONFLICT_RETRIES} times in a row")

    def _committed(self, turn: Turn) -> None:
        """The commit is durable: tell the watchers, and have its mail delivered; mail to itself needs no detour."""
        record, mail = turn.commit.record, turn.commit.mail
        self._runtime.remember(record)
        self._runtime.watchers.publish(record)
        for item in mail:
            if item.target == self.address and not item.is_delayed and item.kind == "event":
                message = Deliver(event=item.event or {}, mail_id=item.id)
                self._own.append(Envelope(message, mail=item, is_external=False))
                self._runtime.delivery.claim(item)
        if mail:
            self._runtime.delivery.notice(mail)

    def _lost_children(self, record: InstanceRecord | None) -> tuple[str, ...]:
        if record is None or not record.snapshot.children:
            return ()
        return tuple(
            child.id
            for child in record.snapshot.children.values()
            if not child.is_persistent and not self._children.is_live(child.id, child.session)
        )

    async def _delete(self) -> None:
        self._children.stop_all()
        self._runtime.forget(self.address)
        if not await self._runtime.store.delete_instance(self.address):
            raise await self._runtime.absent(self.address)
        self._runtime.watchers.end(self.address)

    # -- answers -----------------------------------------------------------------------------------

    def _answer_all(self) -> None:
        unanswered, self._unanswered = self._unanswered, []
        for envelope in unanswered:
            envelope.succeed(self._record)

    async def _failed(self, envelope: Envelope, error: Exception) -> None:
        """Answer a failure. Mail is put back for another attempt, and what its sender sent after it waits behind it."""
        mail, delivery = envelope.mail, self._runtime.delivery
        if isinstance(error, MailGone):
            logger.debug("mail was applied or cancelled meanwhile", instance=str(self.address))
            if mail is not None:
                delivery.release(mail)
        elif mail is not None:
            await delivery.failed(mail, error)
            for waiting in (self._own, self._inbox):
                for later in [other for other in waiting if other.mail and other.mail.sender == mail.sender]:
                    waiting.remove(later)
                    delivery.release(later.mail)
        elif not envelope.is_external:
            logger.warning("a report was not applied", instance=str(self.address), error=str(error))
        envelope.fail(error)
