"""The reference store keeps the store contract."""

from __future__ import annotations

import pytest

from perdure.stores.memory import MemoryStore
from perdure.testing.store_contract import StoreContract


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()
