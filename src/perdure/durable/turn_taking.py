"""Taking turns: from a message to a durable commit and its effects. A part of ``Resident``.

A turn is computed against the newest record, by the machine's code behind the ``Host``; its commit is made durable;
then the watchers are told, its mail is delivered and its effects are performed. A lost compare-and-swap means that the
record was not the newest: it is loaded and the turn computed again.

Messages that wait for an instance in which nothing runs may share a commit: each is a turn of its own, begun where the
one before it ended, with its own sequence number, journal entry and answer; they are durable together. All but the last
are plain, so that together they are what they would be one by one. With that a hot instance, or one whose timers are
due together, is not bound by what a commit costs. When such a commit is refused, because mail is gone or the record was
not the newest, nothing has happened, and each of them is taken alone.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Collection, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from perdure.durable.commit import Turn, joined
from perdure.durable.deletion import delete_instance
from perdure.durable.envelope import Envelope
from perdure.durable.host import World
from perdure.durable.message import Create, Deliver, Message
from perdure.durable.observing import commit_traced, effects_span, traced
from perdure.durable.own_mail import nothing_precedes
from perdure.durable.records import InstanceRecord, Mail, VersionRecord
from perdure.durable.running_services import RunningServices, lost_children
from perdure.durable.upgrade import UpgradePath
from perdure.errors import MailGone, SequenceConflict
from perdure.logs import get_logger
from perdure.statechart.snapshot import decode_snapshot

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["TurnTaking", "as_stored"]

logger = get_logger("perdure.durable")

CONFLICT_RETRIES = 20
"""Lost compare-and-swaps in a row before a message fails; more than that is not a race but a fault."""
TURNS_PER_COMMIT_MAX = 32
MILLISECONDS_PER_COMMIT_MAX = 2.0
"""After so much machine code the other instances have their turn."""


class TurnTaking(World, ABC):
    """The turns of one instance. A base of ``Resident``, which has the rest."""

    _runtime: Runtime
    _record: InstanceRecord | None
    _own: deque[Envelope]
    _services: RunningServices | None

    async def _run(self, envelope: Envelope) -> InstanceRecord | None:
        """The turn, against the newest record: after a lost race it is computed again."""
        runtime, message = self._runtime, envelope.message
        assert message is not None
        for _ in range(CONFLICT_RETRIES):
            at_hand = None if isinstance(message, Create) else self._record_at_hand()
            record = at_hand or await self._load(message)
            if self._is_void(envelope) or (is_from_within(envelope) and self._is_of_former_life(record)):
                return record  # the newest record knows no such child, or is not of the instance that says this
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
            version = runtime.version_at_hand(version_id) or await runtime.version(version_id)
            upgrade = None
            if (
                record is not None
                and runtime.upgrades.may_concern(record, message)
                and (self._services is None or self._services.actions_are_idle)
            ):
                # It has not settled while actions of the present version run.
                upgrade = await runtime.upgrades.path_for(record, message)
            turn, began, computed = await self._turn(version, record, message, upgrade)
            turn = traced(runtime, turn) if runtime.tracer.is_on else turn
            try:
                await self._make_durable(turn)
            except SequenceConflict:
                continue
            durable = runtime.clock.now()
            await self._committed(turn, version, durable)
            if turn.refused is not None:
                raise turn.refused
            runtime.meters.committed(began, computed, durable)
            return turn.commit.record
        raise SequenceConflict(f"{self.address} was changed by others {CONFLICT_RETRIES} times in a row")

    async def _turn(
        self, version: VersionRecord, record: InstanceRecord | None, message: Message, upgrade: UpgradePath | None
    ) -> tuple[Turn, float, float]:
        """The turn, and when its computation began and ended. Raises what the host raises."""
        runtime = self._runtime
        now = runtime.clock.now()
        runtime.watchdog.begin(self.address, message, now)
        try:
            turn = await runtime.host.turn(
                version,
                self.address,
                record,
                message,
                now=now,
                fresh_name=runtime.fresh_name,
                lost=lost_children(record, self._services) if record is not None and record.snapshot.children else (),
                limits=runtime.settings.limits,
                upgrade=upgrade,
            )
        except Exception:
            runtime.forget(self.address)  # machine code may have changed the context it was shown
            raise
        finally:
            computed = runtime.clock.now()
            runtime.watchdog.end(computed)
        return turn, now, computed

    async def _make_durable(self, turn: Turn) -> None:
        """Commit the turn. Raises what the store raises."""
        runtime = self._runtime
        try:
            if runtime.tracer.is_on:
                await commit_traced(runtime, turn.commit)
            else:
                await runtime.store.commit(turn.commit)
        except Exception as error:
            runtime.forget(self.address)
            if isinstance(error, SequenceConflict):
                runtime.meters.conflicts += 1
            elif not isinstance(error, MailGone):
                runtime.delivery.wake()  # it may have happened all the same, with mail that nobody knows of
            raise

    def _record_at_hand(self) -> InstanceRecord | None:
        """The newest record, if it is certain that nothing runs here that it does not know."""
        record = self._runtime.record_at_hand(self.address)
        if self._record is not None and record is not self._record:
            return None
        return record if self._services is None or self._services.are_nothing else None

    async def _load(self, message: Message) -> InstanceRecord | None:
        """The newest record. What runs here and is not of this record, or not of this life of the instance, is
        stopped."""
        if isinstance(message, Create):
            self._runtime.forget(self.address)  # another process may have deleted it
        record = await self._runtime.record(self.address)
        if record is None or self._is_of_former_life(record):
            self._end_life()
        elif self._services is not None:
            self._services.keep_only(record)
        if record is not None and record is not self._record:
            self._runtime.remember(record)
        return record

    def _is_of_former_life(self, record: InstanceRecord | None) -> bool:
        """Whether what is here is of an instance that was deleted, and the record is of the one that has its name."""
        return self._record is not None and record is not None and self._record.life != record.life

    # -- several turns, one commit -----------------------------------------------------------------

    async def _turns_at_hand(self, envelopes: Collection[Envelope]) -> tuple[list[Turn], Exception | None]:
        """The turns of the first of these messages, as many as may share a commit, and what the one after them raised;
        neither when the first has to be taken alone.
        """
        runtime, turns = self._runtime, list[Turn]()
        record = self._record_at_hand()
        if record is None or runtime.tracer.is_on or has_ephemeral_children(record):
            return turns, None
        version = runtime.version_at_hand(record.version_id)
        if version is None:
            return turns, None
        began = runtime.clock.now()
        for envelope in islice(envelopes, TURNS_PER_COMMIT_MAX):
            message = envelope.message
            if not isinstance(message, Deliver) or runtime.upgrades.may_concern(record, message):
                break
            try:
                turn, _, computed = await self._turn(version, record, message, None)
            except Exception as error:
                if turns:  # the context that it was shown may be another now
                    turns[-1] = as_stored(turns[-1])
                return turns, error
            turns.append(turn)
            record = turn.commit.record
            if not turn.is_plain or computed - began > MILLISECONDS_PER_COMMIT_MAX:
                break
        return turns, None

    async def _run_together(self, turns: Sequence[Turn]) -> None:
        """Make the turns durable with one commit. Raises what the store raises."""
        runtime, together = self._runtime, joined(turns)
        began = runtime.clock.now()
        version = await runtime.version(together.commit.record.version_id)
        await self._make_durable(together)
        durable = runtime.clock.now()
        await self._committed(together, version, durable)
        runtime.meters.committed(began, began, durable, len(turns))

    async def _committed(self, turn: Turn, version: VersionRecord, now: float) -> None:
        """The commit is durable: tell the watchers, have its mail delivered, perform its effects."""
        record, mail = turn.commit.record, turn.commit.mail
        self._record = record
        self._runtime.remember(record)
        self._runtime.watchers.publish(record)
        if mail and (self._services is not None or any(item.kind == "attempt" for item in mail)):
            self._have_services().keep_mail(mail)
        if mail or turn.commit.cancelled or turn.commit.cancels_all:
            self._runtime.delivery.committed(turn.commit)
        try:
            if turn.effects or turn.effects_before:
                await self._perform(turn, version, now)
        except Exception:
            # The transition stands; failing its request would say otherwise.
            logger.exception("effects failed", instance=str(self.address))
        if mail:
            own = [
                item for item in mail if item.target == self.address and not item.is_delayed and item.kind == "event"
            ]
            if own:
                with self._runtime.delivery.withholding(self.address, self.address):
                    await self._take_own_mail(own)

    async def _perform(self, turn: Turn, version: VersionRecord, now: float) -> None:
        runtime, record = self._runtime, turn.commit.record
        after = version if record.version_id == version.id else await runtime.version(record.version_id)
        runtime.watchdog.begin(self.address, record.sequence, now)
        try:
            with effects_span(runtime, turn):
                runtime.host.perform(version, turn.effects_before, self)
                runtime.host.perform(after, turn.effects, self)
        finally:
            runtime.watchdog.end(runtime.clock.now())

    async def _take_own_mail(self, own: Sequence[Mail]) -> None:
        """Mail to itself needs no detour, so that the answer can wait for it; unless earlier mail of the kind has to be
        waited for, which failed or is still on its detour."""
        delivery = self._runtime.delivery
        for item in own:
            delivery.claim(item)
        at_hand = {item.id for item in own} | {waiting.mail.id for waiting in self._own if waiting.mail is not None}
        if await nothing_precedes(self._runtime.store, self.address, at_hand):
            for item in own:
                message = Deliver(event=item.event or {}, mail_id=item.id, chain=item.chain)
                self._own.append(Envelope(message, mail=item, is_external=False))
        else:
            for item in own:
                delivery.release(item)
            delivery.wake()

    async def _delete(self) -> None:
        """Remove the instance; in the same step it lets go of its children."""
        existed = await delete_instance(self._runtime, self.address)
        self._end_services()
        self._runtime.watchers.end(self.address)
        if not existed:
            raise await self._runtime.absent(self.address)

    # -- of the resident ---------------------------------------------------------------------------

    @abstractmethod
    def _is_void(self, envelope: Envelope) -> bool: ...

    @abstractmethod
    def _have_services(self) -> RunningServices: ...

    @abstractmethod
    def _end_services(self) -> None: ...

    @abstractmethod
    def _end_life(self) -> None: ...


def is_from_within(envelope: Envelope) -> bool:
    """Whether what runs here says it, to nobody but the instance that has started it."""
    return not envelope.is_external and envelope.mail is None and isinstance(envelope.message, Deliver)


def has_ephemeral_children(record: InstanceRecord) -> bool:
    return any(not child.is_persistent for child in record.snapshot.children.values())


def as_stored(turn: Turn) -> Turn:
    """The same turn, whose snapshot is what a reader of the store would get."""
    record = turn.commit.record
    read = msgspec.structs.replace(record, snapshot=decode_snapshot(turn.commit.snapshot_json))
    return msgspec.structs.replace(turn, commit=msgspec.structs.replace(turn.commit, record=read))
