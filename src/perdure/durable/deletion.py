"""Deleting an instance, whoever else changes it meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure.durable.family import farewell
from perdure.durable.records import Address
from perdure.errors import SequenceConflict

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["delete_instance"]


async def delete_instance(runtime: Runtime, address: Address) -> bool:
    """Remove everything of an instance, and let go of its children in the same step. False when there is none.

    Raises ``StoreError``; it may have happened all the same.
    """
    runtime.forget(address)
    while (record := await runtime.store.load(address)) is not None:
        left_behind = farewell(record)
        try:
            if await runtime.store.delete_instance(address, expected=record, mail=left_behind):
                return True
        except SequenceConflict:
            continue  # another process was faster
        finally:  # it may have happened though it failed
            runtime.delivery.deleted(address)
    return False
