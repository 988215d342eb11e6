"""The store contract: tests that hold any store to the sentences of ``perdure.durable.store``.

Bind it with a test class. Each test gets a store of its own, empty and open; a durable store also says how it is opened
again. It needs pytest and pytest-asyncio in its ``auto`` mode::

    class TestMyStore(StoreContract):
        is_durable = True

        @pytest.fixture
        async def store(self, tmp_path):
            store = MyStore(tmp_path / "data")
            await store.open()
            yield store
            await store.close()

        async def reopen(self, store):
            await store.close()
            again = MyStore(store.path)
            await again.open()
            return again
"""

import pytest

pytest.register_assert_rewrite(
    *(
        f"{__name__}.{part}"
        for part in (
            "access",
            "commits",
            "definitions",
            "deletion",
            "durability",
            "evolution",
            "groups",
            "mail",
            "pages",
            "upkeep",
        )
    )
)

from perdure.testing.store_contract.access import AccessContract  # noqa: E402
from perdure.testing.store_contract.commits import CommitContract  # noqa: E402
from perdure.testing.store_contract.definitions import DefinitionContract  # noqa: E402
from perdure.testing.store_contract.deletion import DeletionContract  # noqa: E402
from perdure.testing.store_contract.durability import DurabilityContract  # noqa: E402
from perdure.testing.store_contract.evolution import EvolutionContract  # noqa: E402
from perdure.testing.store_contract.groups import GroupContract  # noqa: E402
from perdure.testing.store_contract.mail import MailContract  # noqa: E402
from perdure.testing.store_contract.pages import PageContract  # noqa: E402
from perdure.testing.store_contract.upkeep import UpkeepContract  # noqa: E402

__all__ = ["StoreContract"]


class StoreContract(
    CommitContract,
    DeletionContract,
    MailContract,
    DefinitionContract,
    EvolutionContract,
    GroupContract,
    AccessContract,
    UpkeepContract,
    PageContract,
    DurabilityContract,
):
    """Everything the store protocol promises. See the module for how to bind it to a store."""
