"""Running the named queries of a store on its threads: what every part of the store is written with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perdure.durable.records import Page
from perdure.errors import StoreError
from perdure.stores.cursor import decode_cursor, page_of
from perdure.stores.sqlite.inbox import HEAVY, Inbox, Work
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import Row

__all__ = ["Statements"]

T = TypeVar("T")


class Statements:
    """The inboxes of the writing and the reading threads, which are there while the store is open."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._write_inbox: Inbox | None = None
        self._read_inbox: Inbox | None = None

    def _write(self, work: Work[T], weight: float = HEAVY) -> asyncio.Future[T]:
        return self._opened(self._write_inbox).do(work, weight)

    def _read(self, work: Work[T]) -> asyncio.Future[T]:
        return self._opened(self._read_inbox).do(work)

    def _opened(self, inbox: Inbox | None) -> Inbox:
        if inbox is None:
            raise StoreError(f"the store {self.path} is not open")
        return inbox

    async def _change(self, query: str, parameters: Row) -> bool:
        """Run one statement that changes at most one row, and say whether it did."""
        return await self._write(lambda connection: connection.execute(QUERIES[query], parameters).rowcount > 0)

    async def _row(self, query: str, parameters: Row) -> Row | None:
        found = await self._rows(query, parameters)
        return found[0] if found else None

    async def _rows(self, query: str, parameters: Row) -> list[Row]:
        return await self._read(lambda connection: connection.execute(QUERIES[query], parameters).fetchall())

    async def _page(
        self, query: str, scope: tuple[str, ...], cursor: str | None, limit: int, record: Callable[[Row], T]
    ) -> Page[T]:
        """A page of a list. Its query takes the scope without the list's name, a position and a limit."""
        after = decode_cursor(scope, cursor)
        found = await self._rows(query, (*scope[1:], after, limit + 1))
        return page_of(found, limit, scope, position=lambda row: row[0], row=lambda row: record(row[1:]))
