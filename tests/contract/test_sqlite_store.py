"""The SQLite store keeps the store contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perdure.durable.store import Store
from perdure.stores.sqlite import SqliteStore
from perdure.testing.store_contract import StoreContract


class TestSqliteStore(StoreContract):
    is_durable = True

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[SqliteStore]:
        store = SqliteStore(tmp_path / "perdure.db")
        await store.open()
        yield store
        await store.close()

    async def reopen(self, store: Store) -> SqliteStore:
        assert isinstance(store, SqliteStore)
        await store.close()
        again = SqliteStore(store.path)
        await again.open()
        return again
