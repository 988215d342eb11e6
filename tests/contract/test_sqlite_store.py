"""The SQLite store keeps the store contract, whoever commits: the writer's thread, the event loop, or who is faster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from math import inf
from pathlib import Path

import pytest

from perdure.durable.store import Store
from perdure.stores.sqlite import SqliteStore
from perdure.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    is_durable = True

    def make(self, path: Path) -> SqliteStore:
        return SqliteStore(path)

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        store = self.make(tmp_path / "perdure.db")
        await store.open()
        yield store
        await store.close()

    async def reopen(self, store: Store) -> SqliteStore:
        assert isinstance(store, SqliteStore)
        await store.close()
        again = self.make(store.path)
        await again.open()
        return again


class TestSqliteStoreOnAThread(TestSqliteStore):
    def make(self, path: Path) -> SqliteStore:
        return SqliteStore(path, inline_commit_ms=0)


class TestSqliteStoreOnTheLoop(TestSqliteStore):
    def make(self, path: Path) -> SqliteStore:
        return SqliteStore(path, inline_commit_ms=inf)
