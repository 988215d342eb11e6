"""How machines change, in SQLite: migrations, indexes, and counts of instances."""

from __future__ import annotations

import sqlite3
from functools import partial

from perdure.durable.records import IndexedInstance, IndexQuery, MigrationRecord, Page
from perdure.errors import InvalidState, NotFound
from perdure.json_value import decode_json, encode_json
from perdure.stores.index_range import KEY_MAX, Place, index_page, index_scope, range_of
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import machine_of, migration_of, migration_row
from perdure.stores.sqlite.statements import Statements

__all__ = ["EvolutionQueries"]

_AFTER_ALL_TEXT = b""
"""SQLite orders every blob after every text."""


class EvolutionQueries(Statements):
    """Implements ``perdure.durable.evolution_store.EvolutionStore``."""

    async def add_migration(self, migration: MigrationRecord) -> None:
        await self._write(partial(_add_migration, migration=migration))

    async def list_migrations(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[MigrationRecord]:
        return await self._page("list_migrations", ("migrations", org, machine), cursor, limit, migration_of)

    async def add_index(self, org: str, machine: str, index: str, *, selector: str | None = None) -> None:
        await self._write(partial(_add_index, org=org, machine=machine, index=index, selector=selector))

    async def query_index(
        self, org: str, machine: str, index: str, query: IndexQuery, *, cursor: str | None, limit: int
    ) -> Page[IndexedInstance]:
        scope = index_scope(org, machine, index, query)
        wanted = range_of(query, scope, cursor)
        high = (_AFTER_ALL_TEXT, KEY_MAX) if wanted.high is None else wanted.high
        name = "query_index_descending" if query.descending else "query_index_ascending"
        rows = await self._rows(name, (org, machine, index, *wanted.low, *high, wanted.excluded, limit + 1))
        return index_page([(Place(value, key), instance) for value, key, instance in rows], limit, scope)

    async def count_instances(self, org: str, machine: str) -> dict[str, int]:
        return dict(await self._rows("count_instances", (org, machine)))


def _add_migration(connection: sqlite3.Connection, migration: MigrationRecord) -> None:
    owner = (migration.org, migration.machine)
    if connection.execute(QUERIES["load_machine"], owner).fetchone() is None:
        raise NotFound(f"there is no machine named {migration.machine}")
    if connection.execute(QUERIES["add_migration"], migration_row(migration)).rowcount == 0:
        present = connection.execute(QUERIES["migration_owner"], (migration.id,)).fetchone()
        if present != owner:
            raise InvalidState(f"the migration id {migration.id} is taken by another machine")


def _add_index(connection: sqlite3.Connection, org: str, machine: str, index: str, selector: str | None) -> None:
    row = connection.execute(QUERIES["load_machine"], (org, machine)).fetchone()
    if row is None:
        raise NotFound(f"there is no machine named {machine}")
    indexes = machine_of(row).indexes
    if index not in indexes:
        text = encode_json((*indexes, index)).decode()
        connection.execute(QUERIES["set_machine_indexes"], (text, org, machine))
    if selector is None:
        return
    for version_id, selectors_json in connection.execute(QUERIES["list_selectors"], (org, machine)).fetchall():
        selectors = decode_json(selectors_json)
        if index not in selectors:
            text = encode_json({**selectors, index: selector}).decode()
            connection.execute(QUERIES["set_selectors"], (text, version_id))
