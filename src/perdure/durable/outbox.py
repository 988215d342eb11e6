"""What leaves a turn: effects routed to where they are carried out, as mail in the commit or as things to perform.

What concerns other instances, or the future, is mail and so part of the commit; what an instance does here and now is
performed once the commit is durable. Ids of mail are made of the instance's life, the sequence number and the place in
the turn, so that a turn that is computed again sends the same mail.
"""

from __future__ import annotations

from collections.abc import Callable

from perdure.durable import family
from perdure.durable.limits import Limits
from perdure.durable.records import Address, Creation, InstanceRecord, Mail, MailKind, Parent, group_address
from perdure.errors import ChainTooLong, EventFailed, EventTooLarge, TooMuchMail
from perdure.json_value import Json, JsonObject, decode_json, encode_json
from perdure.statechart.effect import (
    ActorTarget,
    AdoptChild,
    Broadcast,
    Cancel,
    ChildTarget,
    Done,
    Effect,
    Fail,
    InstanceTarget,
    JoinGroup,
    LeaveGroup,
    ParentTarget,
    Send,
    StartChild,
    StopChild,
)
from perdure.statechart.event import done_invoke_type, error_platform_type
from perdure.statechart.snapshot import Snapshot

__all__ = ["UNSPEAKABLE", "Outbox", "life_of"]

UNSPEAKABLE = (TypeError, ValueError, RecursionError)
"""What encoding raises for a value that is not JSON, or is nested without end."""


def life_of(mail: Mail) -> str:
    """Which life of its sender has sent this."""
    return mail.id.partition("#")[0]


class Outbox:
    """What one turn sends and asks for, growing."""

    def __init__(self, record: InstanceRecord, now: float, limits: Limits) -> None:
        self.address = record.address
        self.life = record.life
        self.now = now
        self.limits = limits
        self.parents = record.parents
        self.sequence = record.sequence
        """Of the macrostep that sends."""
        self.chain = 1
        """What mail sent from here on counts in its chain."""
        self.mail: list[Mail] = []
        self.mail_count = 0
        self.cancelled: list[str] = []
        self.memberships: dict[str, bool] = {}
        """For each group that was joined or left whether the instance is in it now."""
        self.has_ended = False
        self.effects: list[Effect] = []

    def route(self, effect: Effect, snapshot: Snapshot) -> None:
        """Turn an effect that concerns other instances, or the future, into mail; keep the others to be performed.

        ``snapshot`` is where the macrostep has led that asks for it.
        """
        if isinstance(effect, Send):
            self.route_send(effect)
        elif isinstance(effect, Cancel):
            self.mail = [mail for mail in self.mail if not (mail.is_delayed and mail.send_id == effect.id)]
            self.cancelled.append(effect.id)
            self.effects.append(effect)
        elif isinstance(effect, StartChild) and effect.instance is not None:
            creation = Creation(
                child_id=effect.id,
                session=effect.session,
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
        elif isinstance(effect, AdoptChild):
            target = Address(self.address.org, effect.source, effect.instance)
            wish = Creation(child_id=effect.id, session=effect.session, detached=effect.detached, sync=effect.sync)
            self.post("adopt", target, creation=wish)
        elif isinstance(effect, JoinGroup | LeaveGroup):
            self.memberships[effect.name] = isinstance(effect, JoinGroup)
        elif isinstance(effect, Broadcast):
            self.post("broadcast", group_address(self.address.org, effect.group), event=effect.event)
        elif isinstance(effect, Done):
            self.tell_progress(family.words_of_progress(self.parents, snapshot))
            self.tell_parents(done_invoke_type, effect.output)
        elif isinstance(effect, Fail):
            self.tell_parents(error_platform_type, effect.error)
        else:
            self.effects.append(effect)

    def route_send(self, effect: Send) -> None:
        target = effect.target
        receivers: list[tuple[Address, JsonObject, Creation | None]]
        if isinstance(target, InstanceTarget):
            receivers = [(Address(self.address.org, target.machine, target.instance), effect.event, None)]
        elif isinstance(target, ParentTarget):
            receivers = [
                (tie.address, family.event_for(tie, effect.event), family.mark_of(tie)) for tie in self.parents
            ]
        elif isinstance(target, ChildTarget | ActorTarget):
            self.effects.append(effect)
            return
        else:
            receivers = [(self.address, effect.event, None)]
        for receiver, event, mark in receivers:
            self.post("event", receiver, event=event, creation=mark, send_id=effect.id, delay=effect.delay)

    def tell_parents(self, event_type: Callable[[str], str], data: Json) -> None:
        """The machine has ended: its delayed events are void, and whoever started it gets to know."""
        self.has_ended = True
        for parent in self.parents:
            event = {"type": event_type(parent.child_id), "data": data}
            self.post("event", parent.address, event=event, creation=family.mark_of(parent), is_platform=True)

    def tell_progress(self, words: list[tuple[Parent, JsonObject]]) -> None:
        """The parents that asked for it learn where the instance stands now."""
        for parent, event in words:
            self.post("event", parent.address, event=event, creation=family.mark_of(parent), is_platform=True)

    def post(
        self,
        kind: MailKind,
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
                id=f"{self.life}#{self.sequence}.{self.mail_count}",
                kind=kind,
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
