"""A turn: one message handled durably, as a pure function.

``turn`` takes an instance's record and a message and returns the commit that handling it makes, with the effects to
perform once that commit is durable. It reads no clock, touches no store and starts nothing, so a turn that loses its
compare-and-swap is simply computed again from the newer record.

The order inside a turn is fixed: children that were lost with a process get their error events, each a macrostep of
its own; then the instance moves to the version it is to have, if it has settled; then the writer is authorised, against
the state and by the version that these left; then the message's macrostep; then the limits. Whatever raises on the way
leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from perdure.durable import family
from perdure.durable.authorization import ensure_writable
from perdure.durable.commit import Commit
from perdure.durable.definition import Definition, Sender, WriteRequest
from perdure.durable.indexes import IndexValue, index_values
from perdure.durable.limits import DEFAULT_LIMITS, Limits
from perdure.durable.message import Create, Message, Reindex, SetStatus, SetVersion, Stop
from perdure.durable.records import Address, Creation, InstanceRecord, JournalEntry, Mail, Parent
from perdure.durable.upgrade import Upgrade, upgraded
from perdure.durable.upkeep_records import Receipt, encode_answer
from perdure.errors import (
    ChainTooLong,
    ContextTooLarge,
    EventFailed,
    EventTooLarge,
    InstanceEnded,
    InstanceExists,
    InvalidState,
    PerdureError,
    TooMuchMail,
)
from perdure.json_value import Json, JsonObject, decode_json, encode_json, json_copy
from perdure.statechart import step as engine
from perdure.statechart.effect import (
    ActorTarget,
    Cancel,
    ChildTarget,
    Done,
    Effect,
    Fail,
    InstanceTarget,
    ParentTarget,
    Send,
    StartChild,
    StopChild,
    Target,
)
from perdure.statechart.event import INIT, STOP, done_invoke_type, error_platform_type
from perdure.statechart.snapshot import Snapshot, encode_snapshot

__all__ = ["Turn", "turn"]

UNSPEAKABLE = (TypeError, ValueError, RecursionError)
"""What encoding raises for a value that is not JSON, or is nested without end."""

TS_STEP = 0.001
"""Milliseconds between the ``ts`` of two commits of an instance that the clock does not tell apart."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """What a turn comes to: the commit to make, and what to do once it is durable."""

    commit: Commit
    effects: tuple[Effect, ...] = ()
    """To be performed by whoever hosts the instance, in order. Everything that is mail is in the commit instead."""
    effects_before: tuple[Effect, ...] = ()
    """To be performed before those, with the code of the version that the instance had before this turn."""
    refused: PerdureError | None = None
    """The message itself was not applied, though the commit stands: the instance ended over a lost child."""


def turn(
    definition: Definition,
    address: Address,
    record: InstanceRecord | None,
    message: Message,
    *,
    now: float,
    fresh_name: Callable[[], str],
    lost: tuple[str, ...] = (),
    limits: Limits = DEFAULT_LIMITS,
    upgrade: Upgrade | None = None,
) -> Turn:
    """Handle one message.

    ``now`` is the clock's milliseconds; ``fresh_name`` names children that were given no name; ``lost`` are the ids
    of the ephemeral children that the record counts as running and nobody runs any more; ``upgrade`` leads to the
    version that the instance is to have.

    Raises ``InstanceExists`` for a ``Create`` of what exists, ``InvalidState`` for an event to an instance that is
    paused, stopped or in error, ``AuthorizerRefused``, ``EventFailed`` when the machine's code raises,
    ``MigrationFailed``, ``ContextTooLarge``, ``EventTooLarge``, ``TooMuchMail``, ``ChainTooLong``.
    """
    if isinstance(message, Create):
        if record is not None:
            raise InstanceExists(f"there is an instance {address} already")
        return create(definition, address, message, now, fresh_name, limits)
    assert record is not None, "the runtime answers not-found itself"
    work = Work(definition, address, record, now, fresh_name, limits)
    if isinstance(message, SetStatus):
        work.status = message.status
        return work.finish()
    if isinstance(message, Reindex):
        return work.finish(reindexes=True)
    if isinstance(message, SetVersion):
        return set_version(work, message, lost, upgrade)
    if isinstance(message, Stop):
        if record.snapshot.status == "active":
            work.stop(message)
        return work.finish(consumed=message.mail_id)
    is_word = message.is_platform or family.is_escalation(message)
    if is_word and not family.is_awaited(record.snapshot, message):
        return work.finish(consumed=message.mail_id)
    ensure_accepting(address, record)
    for child_id in lost:
        work.lose_child(child_id)
    work.chain = message.chain + 1
    if work.snapshot.status == "error":
        refused = InstanceEnded(f"{address} has ended in status 'error': {work.snapshot.error}")
        return work.finish(refused=refused)
    work.upgrade(upgrade)
    if message.auth_context is not None and not is_word:
        context = work.snapshot.context
        ensure_writable(
            work.definition,
            WriteRequest(
                type="event",
                machine_instance_name=address.instance,
                state=work.snapshot.value,
                # A typed machine that has just lost a child holds its context as a value.
                context=context if isinstance(context, dict) else json_copy(context),
                event=message.event,
                auth_context=message.auth_context,
                sender=sender_of(message.sender),
            ),
        )
    has_ended = message.is_platform and not family.is_progress(message)
    work.deliver(message.event, message.sender, has_ended=has_ended, origin=message.origin)
    return work.finish(consumed=message.mail_id, receipt=message.receipt)


def create(
    definition: Definition,
    address: Address,
    message: Create,
    now: float,
    fresh_name: Callable[[], str],
    limits: Limits,
) -> Turn:
    """The first turn: permission is asked with the creator's context alone, then the initial state is entered."""
    if message.auth_context is not None:
        ensure_writable(
            definition,
            WriteRequest(
                type="initialization",
                machine_instance_name=address.instance,
                state=None,
                context=message.context or {},
                event=None,
                auth_context=message.auth_context,
                sender=sender_of(message.sender),
            ),
        )
    assert message.version_id is not None, "the runtime looks it up"
    scope = scope_of(address, message.parents, fresh_name)
    step = engine.initial(definition.machine, message.context, scope=scope)
    record = InstanceRecord(
        address=address,
        sequence=0,
        version_id=message.version_id,
        created_at=now,
        ts=0.0,
        snapshot=step.snapshot,
        life=fresh_name(),
        parents=message.parents,
    )
    work = Work(definition, address, record, now, fresh_name, limits)
    work.chain = message.chain + 1
    work.absorb(step, {"type": INIT}, message.sender)
    return work.finish(consumed=message.mail_id, is_new=True, receipt=message.receipt)


def set_version(work: Work, message: SetVersion, lost: tuple[str, ...], upgrade: Upgrade | None) -> Turn:
    """Remember the version that the instance is to have, or move it there at once, if it may and has settled."""
    if work.snapshot.status != "active":
        raise InstanceEnded(f"{work.address} has ended in status {work.snapshot.status!r} and keeps its version")
    work.desired_version_id = None if message.version_id == work.version_id else message.version_id
    if message.at_once and work.status == "running":
        for child_id in lost:
            work.lose_child(child_id)
        work.upgrade(upgrade)
    return work.finish()


def scope_of(address: Address, parents: tuple[Parent, ...], fresh_name: Callable[[], str]) -> engine.Scope:
    """What the engine is told of the instance's surroundings."""
    return engine.Scope(
        fresh_name=fresh_name,
        has_parent=bool(parents),
        address=InstanceTarget(address.machine, address.instance),
    )


def ensure_accepting(address: Address, record: InstanceRecord) -> None:
    if record.status == "paused":
        raise InvalidState(f"{address} is paused; set its status to running before you send it events")
    if record.snapshot.status in ("stopped", "error"):
        raise InstanceEnded(f"{address} has ended in status {record.snapshot.status!r} and takes no more events")


def sender_of(address: Address | None) -> Sender | None:
    return None if address is None else Sender(address.machine, address.instance)


class Work:
    """The growing outcome of one turn."""

    def __init__(
        self,
        definition: Definition,
        address: Address,
        record: InstanceRecord,
        now: float,
        fresh_name: Callable[[], str],
        limits: Limits,
    ) -> None:
        self.limits = limits
        self.chain = 1
        """What mail sent from here on counts in its chain."""
        self.definition = definition
        self.address = address
        self.record = record
        self.scope = scope_of(address, record.parents, fresh_name)
        self.snapshot: Snapshot = record.snapshot
        self.status = record.status
        self.parents = record.parents
        self.version_id = record.version_id
        self.desired_version_id = record.desired_version_id
        self.sequence = record.sequence
        self.now = now
        self.ts = round(max(now, record.ts + TS_STEP), 3)
        self.journal: list[JournalEntry] = []
        self.mail: list[Mail] = []
        self.mail_count = 0
        self.cancelled: list[str] = []
        self.has_ended = False
        self.effects: list[Effect] = []
        self.effects_before: tuple[Effect, ...] = ()

    # -- macrosteps --------------------------------------------------------------------------------

    def deliver(
        self, event: JsonObject, sender: Address | None, *, has_ended: bool = False, origin: Target | None = None
    ) -> None:
        """The event's macrostep. Its sender, or ``origin`` in its place, can be answered, unless it ``has_ended``."""
        scope = self.scope
        if sender is not None and not has_ended:
            origin = InstanceTarget(sender.machine, sender.instance)
        if origin is not None:
            scope = msgspec.structs.replace(scope, origin=origin)
        step = engine.transition(self.definition.machine, self.snapshot, event, scope=scope)
        self.absorb(step, event, sender)

    def lose_child(self, child_id: str) -> None:
        """A child was running when its process died or its time was up; it is never run again, and the machine is
        told."""
        message = f"{child_id!r} was still running when its process stopped or its time was up"
        self.deliver({"type": error_platform_type(child_id), "data": {"message": message}}, None)

    def upgrade(self, upgrade: Upgrade | None) -> None:
        """Go on in the desired version, unless a service of the present one still runs."""
        has_settled = all(child.is_persistent for child in self.snapshot.children.values())
        if upgrade is None or self.snapshot.status != "active" or not has_settled:
            return
        step = upgraded(upgrade, self.snapshot, scope=self.scope)
        self.definition, self.version_id, self.desired_version_id = upgrade.definition, upgrade.to_version_id, None
        self.effects_before, self.effects = tuple(self.effects), []
        self.absorb(step, upgrade.event, None)

    def stop(self, message: Stop) -> None:
        """A parent lets go of its tie; with the last tie that held it, the instance is stopped."""
        left = family.without(self.parents, message.sender, message.child_id)
        if len(left) == len(self.parents):
            return
        if family.is_held(left):
            self.parents = left
            return
        step = engine.stop(self.definition.machine, self.snapshot, scope=self.scope)
        self.has_ended = True
        self.absorb(step, {"type": STOP}, message.sender)

    def absorb(self, step: engine.Step, event: JsonObject, sender: Address | None) -> None:
        """Take over a macrostep: its snapshot, a journal entry, and its effects as mail or as things to perform."""
        self.snapshot = step.snapshot
        self.sequence += 1
        self.journal.append(
            JournalEntry(
                sequence=self.sequence,
                created_at=self.ts,
                event=event,
                state=step.snapshot.value,
                version_id=self.version_id,
                sender=sender,
            )
        )
        for effect in step.effects:
            self.route(effect)

    # -- effects -----------------------------------------------------------------------------------

    def route(self, effect: Effect) -> None:
        """Turn an effect that concerns other instances, or the future, into mail; keep the others to be performed."""
        if isinstance(effect, Send):
            self.route_send(effect)
        elif isinstance(effect, Cancel):
            self.mail = [mail for mail in self.mail if not (mail.is_delayed and mail.send_id == effect.id)]
            self.cancelled.append(effect.id)
            self.effects.append(effect)
        elif isinstance(effect, StartChild) and effect.instance is not None:
            creation = Creation(
                child_id=effect.id,
                context=effect.context,
                version_id=effect.version,
                detached=effect.detached,
                sync=effect.sync,
                snapshots=effect.snapshots,
            )
            self.post("create", Address(self.address.org, effect.source, effect.instance), creation=creation)
        elif isinstance(effect, StopChild) and effect.instance is not None:
            target = Address(self.address.org, effect.source, effect.instance)
            self.post("stop", target, creation=Creation(child_id=effect.id))
        elif isinstance(effect, Done):
            self.tell_progress(self.snapshot)
            self.tell_parents(done_invoke_type, effect.output)
        elif isinstance(effect, Fail):
            self.tell_parents(error_platform_type, effect.error)
        else:
            self.effects.append(effect)

    def route_send(self, effect: Send) -> None:
        target = effect.target
        if isinstance(target, InstanceTarget):
            receivers = [(Address(self.address.org, target.machine, target.instance), effect.event)]
        elif isinstance(target, ParentTarget):
            receivers = [(parent.address, family.event_for(parent, effect.event)) for parent in self.parents]
        elif isinstance(target, (ChildTarget, ActorTarget)):
            self.effects.append(effect)
            return
        else:
            receivers = [(self.address, effect.event)]
        for receiver, event in receivers:
            self.post("event", receiver, event=event, send_id=effect.id, delay=effect.delay)

    def tell_parents(self, event_type: Callable[[str], str], data: Json) -> None:
        """The machine has ended: its delayed events are void, and whoever started it gets to know."""
        self.has_ended = True
        for parent in self.parents:
            event = {"type": event_type(parent.child_id), "data": data}
            self.post("event", parent.address, event=event, is_platform=True)

    def tell_progress(self, snapshot: Snapshot) -> None:
        """The parents that asked for it learn where the instance stands now."""
        for parent, event in family.words_of_progress(self.parents, snapshot):
            self.post("event", parent, event=event, is_platform=True)

    def post(
        self,
        kind: str,
        target: Address,
        *,
        event: JsonObject | None = None,
        creation: Creation | None = None,
        send_id: str | None = None,
        delay: float | None = None,
        is_platform: bool = False,
    ) -> None:
        """Put mail into the commit. Its id is the same when the turn is replayed from the same record."""
        # A timer that waits is paced by time. Word of an ending cannot go round for ever without a new child.
        chain = 0 if delay else self.chain
        is_bounded = not is_platform and kind != "stop"
        if chain > self.limits.chain_max and is_bounded:
            raise ChainTooLong(
                f"{self.address} would send message {chain:,} of a chain in which each comes of the one before; "
                f"the limit is {self.limits.chain_max:,}"
            )
        if self.mail_count >= self.limits.mail_per_turn_max and is_bounded:
            raise TooMuchMail(f"{self.address} sends more than {self.limits.mail_per_turn_max:,} messages in one turn")
        # A word of a child may carry its whole context.
        bytes_max = self.limits.event_bytes_max + (self.limits.context_bytes_max if is_platform else 0)
        event = self.copied(event, target, bytes_max)
        self.mail.append(
            Mail(
                id=f"{self.record.life}#{self.sequence}.{self.mail_count}",
                kind=kind,  # type: ignore[arg-type]  # the three literals above
                sender=self.address,
                target=target,
                # Without a delay it is due at once whatever the clock says, so that a clock set back neither holds it
                # up nor lets what is sent later overtake it.
                due_at=0.0 if delay is None else self.now + delay,
                event=event,
                creation=creation,
                send_id=send_id,
                is_delayed=delay is not None,
                is_platform=is_platform,
                chain=chain,
            )
        )
        self.mail_count += 1

    def copied(self, event: JsonObject | None, target: Address, bytes_max: int) -> JsonObject | None:
        """An event as its receiver will see it."""
        try:
            event_json = encode_json(event)
            copy: JsonObject | None = decode_json(event_json)
        except UNSPEAKABLE as error:
            raise EventFailed(f"an event that {self.address} sends to {target} is not JSON: {error}") from error
        if len(event_json) > bytes_max:
            raise EventTooLarge(
                f"an event that {self.address} sends to {target} is {len(event_json):,} bytes of JSON; "
                f"the limit is {bytes_max:,} bytes"
            )
        return copy

    # -- the outcome -------------------------------------------------------------------------------

    def finish(
        self,
        *,
        consumed: str | None = None,
        is_new: bool = False,
        reindexes: bool = False,
        refused: PerdureError | None = None,
        receipt: Receipt | None = None,
    ) -> Turn:
        """Check the limits and put the commit together."""
        snapshot, snapshot_json = checked(self.snapshot, self.address, self.limits.context_bytes_max)
        if not self.has_ended and family.has_news(self.parents, None if is_new else self.record.snapshot, snapshot):
            self.tell_progress(snapshot)
        mail = [mail for mail in self.mail if not mail.is_delayed] if self.has_ended else self.mail
        record = InstanceRecord(
            address=self.address,
            sequence=max(self.sequence, self.record.sequence + 1),
            version_id=self.version_id,
            created_at=self.record.created_at,
            ts=self.ts,
            snapshot=snapshot,
            status=self.status,
            life=self.record.life,
            parents=self.parents,
            desired_version_id=self.desired_version_id,
        )
        commit = Commit(
            expected_sequence=None if is_new else self.record.sequence,
            consumed=() if consumed is None else (consumed,),
            cancelled=tuple(self.cancelled),
            cancels_all=self.has_ended,
            record=record,
            snapshot_json=snapshot_json,
            journal=tuple(self.journal),
            indexes=self.indexed(snapshot, is_new=is_new, reindexes=reindexes),
            mail=tuple(mail),
            receipt=None if receipt is None else msgspec.structs.replace(receipt, answer=encode_answer(record)),
        )
        return Turn(commit=commit, effects=tuple(self.effects), effects_before=self.effects_before, refused=refused)

    def indexed(self, snapshot: Snapshot, *, is_new: bool, reindexes: bool) -> tuple[IndexValue, ...] | None:
        """What the instance is found by; ``None`` where nothing can have changed."""
        selectors = self.definition.index_selectors
        is_other = is_new or self.snapshot.context is not self.record.snapshot.context
        if reindexes or self.version_id != self.record.version_id or (selectors and is_other):
            return index_values(selectors, snapshot.context)
        return None


def checked(snapshot: Snapshot, address: Address, bytes_max: int) -> tuple[Snapshot, bytes]:
    """The snapshot as it will be when it is read again, and its encoding; raises when its context is over the limit.

    Going on with the decoded context means that it makes no difference whether an instance is loaded or still in
    memory, and that nothing user code still holds can change what was committed.
    """
    try:
        context_json = encode_json(snapshot.context)
        if len(context_json) > bytes_max:
            raise ContextTooLarge(
                f"the context of {address} would be {len(context_json):,} bytes of JSON; "
                f"the limit is {bytes_max:,} bytes"
            )
        snapshot = msgspec.structs.replace(snapshot, context=decode_json(context_json))
        return snapshot, encode_snapshot(snapshot)
    except UNSPEAKABLE as error:
        raise EventFailed(f"the context of {address} cannot be kept, it is not JSON: {error}") from error
