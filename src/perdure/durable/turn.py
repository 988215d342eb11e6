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

from perdure.durable import attempt_turn as attempts
from perdure.durable import family
from perdure.durable.authorization import ensure_writable
from perdure.durable.commit import Commit, Turn
from perdure.durable.definition import Definition, Sender, WriteRequest
from perdure.durable.indexes import IndexValue, index_values
from perdure.durable.kept import kept, next_ts
from perdure.durable.limits import DEFAULT_LIMITS, Limits
from perdure.durable.message import (
    Adopt,
    AttemptDue,
    AttemptFailed,
    Create,
    Deliver,
    Message,
    Reindex,
    SetStatus,
    SetVersion,
    Stop,
    TakeIn,
)
from perdure.durable.outbox import Outbox
from perdure.durable.plain_turn import plain_turn
from perdure.durable.records import Address, InstanceRecord, JournalEntry, Parent
from perdure.durable.upgrade import Upgrade, upgraded
from perdure.durable.upkeep_records import Receipt, encode_answer
from perdure.errors import (
    InstanceEnded,
    InstanceExists,
    InvalidState,
    PerdureError,
    TooManyChildren,
)
from perdure.json_value import JsonObject, json_copy
from perdure.statechart import step as engine
from perdure.statechart.effect import Effect, InstanceTarget, Target
from perdure.statechart.event import ADOPT, INIT, STOP, error_platform_type
from perdure.statechart.reference import instance_reference
from perdure.statechart.snapshot import Snapshot

__all__ = ["turn"]


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
    if isinstance(message, Deliver):
        return delivered(definition, address, record, message, now, fresh_name, lost, limits, upgrade)
    work = Work(definition, address, record, now, fresh_name, limits)
    if isinstance(message, SetStatus):
        work.status = message.status
        return work.finish()
    if isinstance(message, AttemptDue | AttemptFailed):
        return attempts.attempt_turn(work, message)
    if isinstance(message, Reindex):
        return work.finish(reindexes=True)
    if isinstance(message, SetVersion):
        return set_version(work, message, lost, upgrade)
    if isinstance(message, TakeIn):
        return take_in(work, message)
    if isinstance(message, Adopt):
        return adopted(work, message)
    if record.snapshot.status == "active":
        work.stop(message)
    return work.finish(consumed=message.mail_id)


def delivered(
    definition: Definition,
    address: Address,
    record: InstanceRecord,
    message: Deliver,
    now: float,
    fresh_name: Callable[[], str],
    lost: tuple[str, ...],
    limits: Limits,
    upgrade: Upgrade | None,
) -> Turn:
    """An event reaches an instance."""
    is_word = message.is_platform or family.is_escalation(message)
    if (is_word and not family.is_heard(record, message)) or (
        message.is_share and record.snapshot.status in ("stopped", "error")
    ):
        return Work(definition, address, record, now, fresh_name, limits).finish(consumed=message.mail_id)
    ensure_accepting(address, record)
    if not (is_word or lost or upgrade or message.receipt):
        return delivered_alone(definition, address, record, message, now, fresh_name, limits)
    work = Work(definition, address, record, now, fresh_name, limits)
    for child_id in lost:
        work.lose_child(child_id)
    work.out.chain = message.chain + 1
    if work.snapshot.status == "error":
        refused = InstanceEnded(f"{address} has ended in status 'error': {work.snapshot.error}")
        return work.finish(refused=refused)
    work.upgrade(upgrade)
    if message.auth_context is not None and not is_word:
        work.ensure_writable(message.event, message.auth_context, message.sender)
    has_ended = message.is_platform and not family.is_progress(message)
    work.deliver(message.event, message.sender, has_ended=has_ended, origin=message.origin)
    return work.finish(consumed=message.mail_id, receipt=message.receipt)


def delivered_alone(
    definition: Definition,
    address: Address,
    record: InstanceRecord,
    message: Deliver,
    now: float,
    fresh_name: Callable[[], str],
    limits: Limits,
) -> Turn:
    """An event reaches an instance, and nothing else is to be done in its turn."""
    if message.auth_context is not None:
        ensure_event_writable(definition, address, record.snapshot, message.event, message.auth_context, message.sender)
    scope = scope_of(address, record.parents, fresh_name, origin_of(message.sender) or message.origin)
    step = engine.transition(definition.machine, family.shown(record), message.event, scope=scope)
    plain = plain_turn(definition, record, message, step, now=now, limits=limits)
    if plain is not None:
        return plain
    work = Work(definition, address, record, now, fresh_name, limits)
    work.out.chain = message.chain + 1
    work.absorb(step, message.event, message.sender)
    return work.finish(consumed=message.mail_id)


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
    work.out.chain = message.chain + 1
    work.absorb(step, {"type": INIT}, message.sender)
    return work.finish(consumed=message.mail_id, is_new=True, receipt=message.receipt)


def take_in(work: Work, message: TakeIn) -> Turn:
    """The host application has this instance adopt another one."""
    ensure_active(work)
    child = message.child
    step = engine.adopt(
        work.definition.machine,
        work.snapshot,
        instance_reference(child.machine, child.instance),
        child_id=message.child_id,
        detached=message.detached,
        auto_forward=message.auto_forward,
        sync=message.sync,
        scope=work.scope,
    )
    work.absorb(step, adoption(message), None)
    return work.finish()


def adoption(message: TakeIn) -> JsonObject:
    """The adoption as the journal has it: all that it takes to make the macrostep again."""
    child = message.child
    event = {"type": ADOPT, "machineName": child.machine, "machineInstanceName": child.instance}
    asked = {
        "childId": message.child_id,
        "detached": message.detached,
        "autoForward": message.auto_forward,
        "sync": message.sync,
    }
    return event | {option: value for option, value in asked.items() if value}


def adopted(work: Work, message: Adopt) -> Turn:
    """Another instance becomes a parent of this one, if its ``allow_write`` lets it."""
    ensure_active(work)
    tie = message.tie
    work.ensure_writable({"type": ADOPT, "id": tie.child_id}, message.auth_context, tie.address)
    work.out.sequence += 1  # mail has ids of its own, though there is no macrostep
    work.out.parents = (*family.without(work.out.parents, tie.address, tie.child_id), tie)
    work.out.tell_progress(family.words_of_progress((tie,), work.snapshot))
    return work.finish(consumed=message.mail_id)


def ensure_active(work: Work) -> None:
    """Raise unless the instance may become a parent or a child."""
    ensure_accepting(work.address, work.record)
    if work.snapshot.status != "active":
        raise InstanceEnded(f"{work.address} has ended in status {work.snapshot.status!r}")


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


def scope_of(
    address: Address, parents: tuple[Parent, ...], fresh_name: Callable[[], str], origin: Target | None = None
) -> engine.Scope:
    """What the engine is told of the instance's surroundings."""
    return engine.Scope(
        fresh_name=fresh_name,
        has_parent=bool(parents),
        address=InstanceTarget(address.machine, address.instance),
        origin=origin,
    )


def origin_of(sender: Address | None) -> InstanceTarget | None:
    """Whom ``respond`` answers."""
    return None if sender is None else InstanceTarget(sender.machine, sender.instance)


def ensure_event_writable(
    definition: Definition,
    address: Address,
    snapshot: Snapshot,
    event: JsonObject,
    auth_context: JsonObject,
    sender: Address | None,
) -> None:
    """Raise ``AuthorizerRefused`` unless the machine lets this event in, as things stand now."""
    context = snapshot.context
    request = WriteRequest(
        type="event",
        machine_instance_name=address.instance,
        state=snapshot.value,
        # A typed machine that has just lost a child holds its context as a value.
        context=context if isinstance(context, dict) else json_copy(context),
        event=event,
        auth_context=auth_context,
        sender=sender_of(sender),
    )
    ensure_writable(definition, request)


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
        self.out = Outbox(record, now, limits)
        self.definition = definition
        self.address = address
        self.record = record
        self.scope = scope_of(address, record.parents, fresh_name)
        self.snapshot: Snapshot = family.shown(record)
        self.status = record.status
        self.version_id = record.version_id
        self.desired_version_id = record.desired_version_id
        self.ts = next_ts(record, now)
        self.journal: list[JournalEntry] = []
        self.effects_before: tuple[Effect, ...] = ()

    def ensure_writable(self, event: JsonObject, auth_context: JsonObject, sender: Address | None) -> None:
        """Raise ``AuthorizerRefused`` unless the machine lets this event in, as things stand now."""
        ensure_event_writable(self.definition, self.address, self.snapshot, event, auth_context, sender)

    # -- macrosteps --------------------------------------------------------------------------------

    def deliver(
        self, event: JsonObject, sender: Address | None, *, has_ended: bool = False, origin: Target | None = None
    ) -> None:
        """The event's macrostep. Its sender, or ``origin`` in its place, can be answered, unless it ``has_ended``: then
        the journal names none, which tells a child that has failed from one that reports an error and goes on.
        """
        origin = origin if sender is None or has_ended else origin_of(sender)
        scope = self.scope if origin is None else msgspec.structs.replace(self.scope, origin=origin)
        step = engine.transition(self.definition.machine, self.snapshot, event, scope=scope)
        self.absorb(step, event, None if has_ended else sender)

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
        self.effects_before, self.out.effects = tuple(self.out.effects), []
        self.absorb(step, upgrade.event, None)

    def stop(self, message: Stop) -> None:
        """A parent lets go of its tie; with the last tie that held it, the instance is stopped."""
        left = family.without(self.out.parents, message.sender, message.child_id)
        if len(left) == len(self.out.parents):
            return
        if family.is_held(left):
            self.out.parents = left
            return
        step = engine.stop(self.definition.machine, self.snapshot, scope=self.scope)
        self.out.has_ended = True
        self.absorb(step, {"type": STOP}, message.sender)

    def absorb(self, step: engine.Step, event: JsonObject, sender: Address | None) -> None:
        """Take over a macrostep: its snapshot, a journal entry, and its effects as mail or as things to perform."""
        self.snapshot = step.snapshot
        self.out.sequence += 1
        self.journal.append(
            JournalEntry(
                sequence=self.out.sequence,
                created_at=self.ts,
                event=event,
                state=step.snapshot.value,
                version_id=self.version_id,
                sender=sender,
            )
        )
        for effect in step.effects:
            self.out.route(attempts.routed(self, effect), step.snapshot)

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
        snapshot, snapshot_json = kept(self.snapshot, self.address, self.limits.context_bytes_max)
        before = None if is_new else self.record.snapshot
        if not self.out.has_ended and family.has_news(self.out.parents, before, snapshot):
            self.out.tell_progress(family.words_of_progress(self.out.parents, snapshot))
        if len(snapshot.children) > max(self.limits.children_max, 0 if before is None else len(before.children)):
            raise TooManyChildren(
                f"{self.address} would have {len(snapshot.children):,} children; the limit is "
                f"{self.limits.children_max:,}. Have some of them start others, or start them without a parent"
            )
        mail = [mail for mail in self.out.mail if not mail.is_delayed] if self.out.has_ended else self.out.mail
        record = InstanceRecord(
            address=self.address,
            sequence=max(self.out.sequence, self.record.sequence + 1),
            version_id=self.version_id,
            created_at=self.record.created_at,
            ts=self.ts,
            snapshot=snapshot,
            status=self.status,
            life=self.record.life,
            parents=self.out.parents,
            desired_version_id=self.desired_version_id,
        )
        commit = Commit(
            expected_sequence=None if is_new else self.record.sequence,
            consumed=() if consumed is None else (consumed,),
            cancelled=tuple(self.out.cancelled),
            cancels_all=self.out.has_ended,
            record=record,
            snapshot_json=snapshot_json,
            journal=tuple(self.journal),
            leaves=tuple(name for name, is_in in self.out.memberships.items() if not is_in),
            joins=tuple(name for name, is_in in self.out.memberships.items() if is_in),
            indexes=self.indexed(snapshot, is_new=is_new, reindexes=reindexes),
            mail=tuple(mail),
            receipt=None if receipt is None else msgspec.structs.replace(receipt, answer=encode_answer(record)),
        )
        return Turn(commit=commit, effects=tuple(self.out.effects), effects_before=self.effects_before, refused=refused)

    def indexed(self, snapshot: Snapshot, *, is_new: bool, reindexes: bool) -> tuple[IndexValue, ...] | None:
        """What the instance is found by; ``None`` where nothing can have changed."""
        selectors = self.definition.index_selectors
        is_other = is_new or self.snapshot.context is not self.record.snapshot.context
        if reindexes or self.version_id != self.record.version_id or (selectors and is_other):
            return index_values(selectors, snapshot.context)
        return None
