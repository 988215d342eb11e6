"""Mail of an instance to itself: whether it may take it at once, without the detour by way of delivery."""

from __future__ import annotations

from collections.abc import Collection

from perdure.durable.records import Address
from perdure.durable.store import Store
from perdure.errors import StoreError

__all__ = ["nothing_precedes"]


async def nothing_precedes(store: Store, address: Address, at_hand: Collection[str]) -> bool:
    """Whether no mail of the instance to itself has to be taken before the pieces ``at_hand``, of these ids.

    A store that cannot say counts as a no.
    """
    try:
        # In this order: a broadcast that becomes mail meanwhile is seen by the second question.
        is_broadcasting = await store.is_broadcasting(address)
        pending = await store.pending_mail(address)
    except StoreError:
        return False
    return not is_broadcasting and all(
        item.id in at_hand or item.is_delayed or item.sender != address or item.kind not in ("event", "share")
        for item in pending
    )
