"""What a test class has to provide so that the contract can be run against its store."""

from __future__ import annotations

from typing import ClassVar

import pytest

from perdure.durable.store import Store

__all__ = ["StoreBinding"]


class StoreBinding:
    """The ways in which the contract gets hold of a store."""

    is_durable: ClassVar[bool] = False
    """Whether ``reopen`` finds what was written. Tests of durability are skipped where it does not."""

    @pytest.fixture
    def store(self) -> Store:
        """A store of its own for each test, empty and open; closed by whoever provides it."""
        raise NotImplementedError("define a fixture named `store` in the test class that binds the contract")

    async def reopen(self, store: Store) -> Store:
        """Close the store and open what it wrote as a new one, as after a restart. The test closes that one."""
        raise NotImplementedError("define `reopen`, or leave `is_durable` false")
