"""Indexes of living instances: they are asked, added to machines, and built anew.

An index belongs to a machine, its selector to each version. What a selector finds is part of every commit that may
change it, so that an index needs no care; but a selector that is given to a version later finds nothing in instances
that rest. ``rebuild`` lets each of them commit once more with what is found now.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from perdure.durable.envelope import Envelope
from perdure.durable.indexes import compiled
from perdure.durable.message import Reindex
from perdure.durable.records import Address, IndexedInstance, IndexQuery, MachineRecord, Page
from perdure.errors import InvalidParameter, NotFound, PerdureError, text_of

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Indexes", "RebuiltPage"]


class RebuiltPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some instances were indexed anew; ``cursor`` leads to the next ones, ``None`` at the end."""

    rebuilt: int
    failed: dict[str, str]
    """By the names of the instances that could not be, why."""
    cursor: str | None = None


class Indexes:
    """Everything about indexes that a ``Runtime`` can do, as ``runtime.indexes``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def query(
        self,
        org: str,
        machine: str,
        index: str,
        query: IndexQuery | None = None,
        *,
        cursor: str | None = None,
        limit: int = 100,
    ) -> Page[IndexedInstance]:
        """The instances of a machine by what an index has of them. No authoriser is asked.

        Raises ``NotFound`` (machine, or it has no such index), ``InvalidParameter`` for a cursor of another query.
        """
        await self._machine(org, machine, index)
        return await self._runtime.store.query_index(
            org, machine, index, query or IndexQuery(), cursor=cursor, limit=limit
        )

    async def add(self, org: str, machine: str, index: str, selector: str | None = None) -> None:
        """Give a machine an index, and versions without a selector for it this one.

        Without a selector they get the one of the current version, where that has one. Versions that have a selector
        keep it. Raises ``NotFound`` (no such machine; no such index and no selector either), ``InvalidParameter`` for a
        selector that is not JSONPath, and when there is none to take.
        """
        record = await self._machine(org, machine, None if selector is not None else index)
        if selector is None and record.current_version is not None:
            current = await self._runtime.version(record.current_version)
            selector = current.index_selectors.get(index)
        if selector is None:
            raise InvalidParameter(
                f"the current version of machine {machine!r} has no selector for the index {index!r}: give one",
                "selector",
            )
        compiled(selector)
        await self._runtime.store.add_index(org, machine, index, selector=selector)
        self._runtime.forget_versions(org, machine)

    async def rebuild(
        self, org: str, machine: str, index: str, *, cursor: str | None = None, limit: int = 100
    ) -> RebuiltPage:
        """Index the next ``limit`` instances anew. Call ``add`` before the first page.

        Raises ``NotFound`` (machine, or it has no such index), ``InvalidParameter`` for a bad cursor.
        """
        await self._machine(org, machine, index)
        page = await self._runtime.store.list_instances(org, machine, cursor=cursor, limit=limit)
        names = [row.name for row in page.rows]
        reasons = await asyncio.gather(*(self._reindexed(Address(org, machine, name)) for name in names))
        failed = {name: reason for name, reason in zip(names, reasons, strict=True) if reason is not None}
        return RebuiltPage(rebuilt=len(names) - len(failed), failed=failed, cursor=page.cursor)

    async def _reindexed(self, address: Address) -> str | None:
        """Why it could not be; an instance that is gone needs no index."""
        envelope = Envelope(Reindex(), is_external=False)
        self._runtime.submit(address, envelope)
        try:
            await envelope.answer
        except NotFound:
            return None
        except PerdureError as error:
            return text_of(error)
        return None

    async def _machine(self, org: str, machine: str, index: str | None) -> MachineRecord:
        record = await self._runtime.store.machine(org, machine)
        if record is None:
            raise NotFound(f"there is no machine {machine!r}")
        if index is not None and index not in record.indexes:
            known = ", ".join(record.indexes) or "none"
            raise NotFound(f"machine {machine!r} has no index {index!r}; it has {known}")
        return record
