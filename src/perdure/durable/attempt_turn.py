"""Services that are tried again: what a turn writes down, so that neither a crash nor a crash loop is forgotten.

An attempt is backed by a piece of mail from the instance to itself, committed before the attempt begins and consumed by
the commit that takes its result. While the attempt runs, whoever hosts the instance keeps that mail to itself. Should
the host die, the mail is delivered, as any mail is, and means: count this attempt as failed and begin the next. A
failed attempt is replaced by mail that is due after the pause, which means the same. The number of the attempt is in
the snapshot and grows before the attempt begins, so that a service that kills its process is not tried for ever.

The pure half of it; ``perdure.durable.attempts`` is the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from perdure.durable.message import AttemptDue, AttemptFailed
from perdure.durable.outbox import UNSPEAKABLE
from perdure.errors import EventFailed, InvalidState
from perdure.json_value import JsonObject, json_copy
from perdure.statechart.effect import Effect, StartChild, StopChild
from perdure.statechart.event import error_platform_type
from perdure.statechart.snapshot import Child

if TYPE_CHECKING:
    from perdure.durable.commit import Turn
    from perdure.durable.turn import Work

__all__ = ["ATTEMPT", "attempt_turn", "is_lease", "routed"]

ATTEMPT = "perdure.attempt"
"""The type of the event in the mail that backs an attempt."""


def routed(work: Work, effect: Effect) -> Effect:
    """An effect on its way out: what it has to do with attempts is written down."""
    if isinstance(effect, StartChild) and effect.retry is not None:
        return tracked(work, effect)
    if isinstance(effect, StopChild) and effect.instance is None:
        forget_attempt(work, effect)
    return effect


def tracked(work: Work, effect: StartChild) -> StartChild:
    """A service that may be tried again is about to be started for the first time: back its attempt."""
    child = msgspec.structs.replace(
        work.snapshot.children[effect.id],
        attempt=1,
        given=remembered(work, effect),
    )
    return begun(work, child, effect)


def remembered(work: Work, effect: StartChild) -> JsonObject:
    """What a service is given, for its next attempts: a copy, which it cannot change. Raises ``EventFailed``."""
    given = {
        "event": effect.event,
        "context": effect.context,
        "has_data": effect.has_data,
        "snapshots": effect.snapshots,
        "params": effect.params,
    }
    try:
        copy: JsonObject = json_copy(given)
    except UNSPEAKABLE as error:
        raise EventFailed(f"what the service {effect.id!r} of {work.address} is given is not JSON: {error}") from error
    return copy


def begun(work: Work, child: Child, effect: StartChild) -> StartChild:
    """Write an attempt down and back it by mail that is due at once."""
    work.snapshot = msgspec.structs.replace(work.snapshot, children={**work.snapshot.children, child.id: child})
    post_attempt(work, child, 0.0)
    key = f"{work.address.org}/{work.address}@{work.record.life}#{child.id}.{child.session}"
    return msgspec.structs.replace(effect, attempt=child.attempt, idempotency_key=key)


def post_attempt(work: Work, child: Child, delay: float) -> None:
    work.out.post(
        "attempt",
        work.address,
        event={"type": ATTEMPT, "id": child.id, "session": child.session, "runs": delay == 0.0},
        send_id=send_id_of(child.session),
        delay=delay,
        is_platform=True,
    )


def send_id_of(session: int) -> str:
    return f"{ATTEMPT}.{session}"


def is_lease(event: JsonObject | None) -> bool:
    """Whether an attempt runs that the mail with this event backs, unless its host has died."""
    return event is not None and event["runs"] is True


def forget_attempt(work: Work, effect: StopChild) -> None:
    """A child is stopped: nothing of it is tried again."""
    send_id = send_id_of(effect.session)
    former = work.record.snapshot.children.get(effect.id)
    if any(mail.send_id == send_id for mail in work.out.mail) or (former is not None and former.retry is not None):
        work.out.mail = [mail for mail in work.out.mail if mail.send_id != send_id]
        work.out.cancelled.append(send_id)


def attempt_turn(work: Work, message: AttemptDue | AttemptFailed) -> Turn:
    """An attempt is to begin, or one has failed. Void once the machine no longer has the child."""
    work.out.sequence += 1  # the ids of its mail are not those of the commit before
    child = work.snapshot.children.get(message.child_id)
    if child is None or child.session != message.session or child.retry is None:
        return work.finish(consumed=message.mail_id)
    if child.attempt >= child.retry.attempts:
        ensure_accepting(work)
        work.deliver({"type": error_platform_type(child.id), "data": error_of(message, child)}, None)
    elif isinstance(message, AttemptFailed):
        post_attempt(work, child, message.pause)
    else:
        ensure_accepting(work)
        again = msgspec.structs.replace(child, attempt=child.attempt + 1)
        work.out.effects.append(begun(work, again, restarted(again)))
    return work.finish(consumed=message.mail_id)


def ensure_accepting(work: Work) -> None:
    """Raises ``InvalidState``: nothing begins or ends in an instance that is paused."""
    if work.status == "paused":
        raise InvalidState(f"{work.address} is paused; set its status to running before you send it events")


def error_of(message: AttemptDue | AttemptFailed, child: Child) -> JsonObject:
    if isinstance(message, AttemptFailed):
        return message.error
    return {"message": f"{child.id!r} was still running when its process stopped, at attempt {child.attempt}, its last"}


def restarted(child: Child) -> StartChild:
    """What starts a child again, with what it was given the first time."""
    given = json_copy(child.given or {})
    return StartChild(
        id=child.id,
        source=child.source,
        session=child.session,
        event=given["event"],
        context=given["context"],
        has_data=given["has_data"],
        snapshots=given["snapshots"],
        params=given["params"],
        auto_forward=child.auto_forward,
        sync=child.sync,
        retry=child.retry,
    )
