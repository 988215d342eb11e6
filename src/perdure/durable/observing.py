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

from perdure.durable.commit import Commit, Turn
from perdure.durable.message import Create, Deliver, SetStatus
from perdure.durable.meters import Outcome
from perdure.durable.records import Address, InstanceRecord
from perdure.errors import EventFailed, PerdureError, StoreError
from perdure.tracing import Span

if TYPE_CHECKING:
    from perdure.durable.envelope import Envelope
    from perdure.durable.runtime import Runtime

__all__ = ["commit_traced", "effects_span", "outcome_of", "run_traced", "traced"]


async def run_traced(
    runtime: Runtime, address: Address, envelope: Envelope, run: Callable[[Envelope], Awaitable[InstanceRecord | None]]
) -> InstanceRecord | None:
    """Handle a message by ``run``, within its spans."""
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


async def commit_traced(runtime: Runtime, commit: Commit) -> None:
    """Make a commit durable, within its span. Raises what the store raises."""
    with runtime.tracer.span("commit", sequence=commit.record.sequence, mail=len(commit.mail)):
        await runtime.store.commit(commit)


def traced(runtime: Runtime, turn: Turn) -> Turn:
    """The same turn, whose mail carries the trace that it is part of."""
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
