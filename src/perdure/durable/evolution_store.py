"""The part of the store protocol about machines that change: migrations between versions, and indexes.

Migrations are strong, as versions are. What index queries and counts answer belongs to the reading part and may lag;
index values themselves are part of each commit, so that what is answered was true of one commit of that instance.
"""

from __future__ import annotations

from typing import Protocol

from perdure.durable.records import IndexedInstance, IndexQuery, MigrationRecord, Page

__all__ = ["EvolutionStore"]


class EvolutionStore(Protocol):
    """Migrations, indexes and counts of instances."""

    async def add_migration(self, migration: MigrationRecord) -> None:
        """Add a migration; adding the same id twice changes nothing. It goes when its machine goes.

        Raises ``NotFound`` when there is no such machine, ``InvalidState`` when the id is another machine's migration.
        Whether its versions exist is not checked.
        """
        ...

    async def list_migrations(
        self, org: str, machine: str, *, cursor: str | None, limit: int
    ) -> Page[MigrationRecord]: ...

    async def add_index(self, org: str, machine: str, index: str, *, selector: str | None = None) -> None:
        """Make sure that the machine has this index, and with ``selector`` that each of its versions has a selector for
        it: the ones that have none get this one. All or nothing. Raises ``NotFound``.
        """
        ...

    async def query_index(
        self, org: str, machine: str, index: str, query: IndexQuery, *, cursor: str | None, limit: int
    ) -> Page[IndexedInstance]:
        """The values in an index with their instances, ordered by value and, under one value, by age of the instance;
        the other way round when the query is ``descending``. An instance comes once for each of its values.

        A cursor belongs to its query. Values are compared as strings, by code points.
        """
        ...

    async def count_instances(self, org: str, machine: str) -> dict[str, int]:
        """How many instances run each version of a machine, ended ones included; versions without any are left out."""
        ...
