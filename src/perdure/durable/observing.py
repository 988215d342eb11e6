"""Turns as they are counted and traced.

A message that is mail is **delivered** in a span of its own, a part of the trace of the turn that sent it; mail that
waited for its due time begins a new trace with a link to that turn. Within it is the **turn**, within that its
**commit** and its **effects**, so that whatever machine code traces itself belongs to the turn that ran it. Nothing
here decides anything about an instance.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.message import Create, Deliver, SetStatus
from perdure.durable.meters import Outcome
from perdure.durable.records import Address, InstanceRecord
from perdure.durable.turn import Turn
from perdure.errors import EventFailed, PerdureError, SequenceConflict, StoreError
from perdure.tracing import Span

if TYPE_CHECKING:
    from perdure.durable.envelope import Envelope
    from perdure.durable.runtime import Runtime

__all__ = ["commit_observed", "effects_span", "observed", "traced"]


async def observed(
    runtime: Runtime, address: Address, envelope: Envelope, run: Callable[[Envelope], Awaitable[InstanceRecord | None]]
) -> InstanceRecord | None:
    """Handle a message by ``run``, counted and traced."""
    meters, began = runtime.meters, runtime.clock.now()
    try:
        if runtime.tracer.is_on:
            record = await _traced_run(runtime, address, envelope, run)
        else:
            record = await run(envelope)
    except Exception as error:
        meters.turns[outcome_of(error)] += 1
        raise
    now = runtime.clock.now()
    meters.turns["committed"] += 1
    meters.turn_milliseconds.observe(max(now - began, 0.0))
    if envelope.mail is not None and envelope.mail.is_delayed:
        meters.timer_lateness.observe(max(now - envelope.mail.due_at, 0.0))
    return record


async def commit_observed(runtime: Runtime, commit: Commit) -> None:
    """Make a commit durable, counted and traced. Raises what the store raises."""
    began = runtime.clock.now()
    with runtime.tracer.span("commit", sequence=commit.record.sequence, mail=len(commit.mail)):
        try:
            await runtime.store.commit(commit)
        except SequenceConflict:
            runtime.meters.conflicts += 1
            raise
    runtime.meters.commit_milliseconds.observe(max(runtime.clock.now() - began, 0.0))


def traced(runtime: Runtime, turn: Turn) -> Turn:
    """The same turn, whose mail carries the trace that it is part of, if it is part of one."""
    trace = runtime.tracer.current()
    if trace is None or not turn.commit.mail:
        return turn
    mail = tuple(msgspec.structs.replace(item, trace=trace) for item in turn.commit.mail)
    return msgspec.structs.replace(turn, commit=msgspec.structs.replace(turn.commit, mail=mail))


def effects_span(runtime: Runtime, turn: Turn) -> AbstractContextManager[Span]:
    """Around performing a turn's effects."""
    return runtime.tracer.span("effects", effects=len(turn.effects) + len(turn.effects_before))


def outcome_of(error: Exception) -> Outcome:
    """How a message ended that raised."""
    if isinstance(error, PerdureError) and not isinstance(error, EventFailed | StoreError):
        return "refused"
    return "failed"


async def _traced_run(
    runtime: Runtime, address: Address, envelope: Envelope, run: Callable[[Envelope], Awaitable[InstanceRecord | None]]
) -> InstanceRecord | None:
    mail = envelope.mail
    if mail is None:
        return await _turn(runtime, address, envelope, run, parent=envelope.trace)
    waited = mail.is_delayed
    with runtime.tracer.span(
        "deliver",
        parent=None if waited else mail.trace,
        link=mail.trace if waited else None,
        kind="consumer",
        mail=mail.id,
        sender=str(mail.sender),
        attempt=mail.attempts + 1,
    ) as span:
        return await _turn(runtime, address, envelope, run, parent=span.traceparent)


async def _turn(
    runtime: Runtime,
    address: Address,
    envelope: Envelope,
    run: Callable[[Envelope], Awaitable[InstanceRecord | None]],
    *,
    parent: str | None,
) -> InstanceRecord | None:
    with runtime.tracer.span(
        "turn",
        parent=parent,
        org=address.org,
        machine=address.machine,
        instance=address.instance,
        message=title_of(envelope),
    ) as span:
        record = await run(envelope)
        if record is not None:
            span.set("perdure.sequence", record.sequence)
        return record


def title_of(envelope: Envelope) -> str:
    """What a message is, in one word: an event's type, or what it asks for."""
    message = envelope.message
    if isinstance(message, Deliver):
        return str(message.event["type"])
    if isinstance(message, Create):
        return "create"
    return "set status" if isinstance(message, SetStatus) else "stop"
