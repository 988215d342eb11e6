"""What of a macrostep is kept: its snapshot as it will be when it is read again, and the time of its commit."""

from __future__ import annotations

import msgspec

from perdure.durable.outbox import UNSPEAKABLE
from perdure.durable.records import Address, InstanceRecord
from perdure.errors import ContextTooLarge, EventFailed
from perdure.json_value import decode_json, encode_json
from perdure.statechart.snapshot import Snapshot, encode_snapshot

__all__ = ["kept", "next_ts"]

TICKS_PER_MILLISECOND = 1000
"""How finely ``ts`` tells commits apart."""


def next_ts(record: InstanceRecord, now: float) -> float:
    """The ``ts`` of the commit after this record: the clock's time, and later than the last one in any case."""
    last = int(record.ts * TICKS_PER_MILLISECOND + 0.5)
    return max(int(now * TICKS_PER_MILLISECOND + 0.5), last + 1) / TICKS_PER_MILLISECOND


def kept(snapshot: Snapshot, address: Address, bytes_max: int) -> tuple[Snapshot, bytes]:
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
        snapshot_json = encode_snapshot(snapshot, context_json)
        return msgspec.structs.replace(snapshot, context=decode_json(context_json)), snapshot_json
    except UNSPEAKABLE as error:
        raise EventFailed(f"the context of {address} cannot be kept, it is not JSON: {error}") from error
