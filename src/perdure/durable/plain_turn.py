"""The plain turn: an event leads an instance to another state, and at most calls actions.

Nearly every turn is of this kind. It needs none of the bookkeeping that ``turn.Work`` does for mail, children, groups
and upgrades, and comes to the same commit as it would with it. Whether a turn is plain is known once the macrostep is
made; what is not plain goes on from that same macrostep.
"""

from __future__ import annotations

import msgspec

from perdure.durable.commit import Commit, Turn
from perdure.durable.definition import Definition
from perdure.durable.family import has_news
from perdure.durable.kept import kept, next_ts
from perdure.durable.limits import Limits
from perdure.durable.message import Deliver
from perdure.durable.records import InstanceRecord, JournalEntry
from perdure.statechart.effect import RunAction
from perdure.statechart.step import Step

__all__ = ["plain_turn"]


def plain_turn(
    definition: Definition, record: InstanceRecord, message: Deliver, step: Step, *, now: float, limits: Limits
) -> Turn | None:
    """The turn of an event whose macrostep is ``step``; ``None`` when there is more to it.

    Raises ``ContextTooLarge``, ``EventFailed`` for a context that is not JSON.
    """
    before, after = record.snapshot, step.snapshot
    for effect in step.effects:
        if type(effect) is not RunAction:
            return None
    if after.status != "active" or (definition.index_selectors and after.context is not before.context):
        return None
    snapshot, snapshot_json = kept(after, record.address, limits.context_bytes_max)
    if record.parents and has_news(record.parents, before, snapshot):
        return None
    ts = next_ts(record, now)
    sequence = record.sequence + 1
    entry = JournalEntry(
        sequence=sequence,
        created_at=ts,
        event=message.event,
        state=snapshot.value,
        version_id=record.version_id,
        sender=message.sender,
    )
    commit = Commit(
        expected_sequence=record.sequence,
        consumed=() if message.mail_id is None else (message.mail_id,),
        record=msgspec.structs.replace(record, sequence=sequence, ts=ts, snapshot=snapshot),
        snapshot_json=snapshot_json,
        journal=(entry,),
    )
    return Turn(commit=commit, effects=step.effects, is_plain=True)
