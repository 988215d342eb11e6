"""What outlives a restart, and what closing promises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from perdure.durable.records import Address
from perdure.durable.store import Store
from perdure.errors import StoreError
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    ALICE,
    BOB,
    commit_at,
    entry_at,
    ids,
    key_named,
    letter,
    machine_named,
    names,
    org_named,
    timer,
    upload_named,
    version_named,
)

__all__ = ["DurabilityContract"]


class DurabilityContract(StoreBinding):
    """``open`` and ``close``."""

    async def test_close_is_safe_to_call_twice(self, store: Store) -> None:
        await store.close()
        await store.close()

    async def test_close_finishes_the_writes_in_flight(self, store: Store) -> None:
        people = [Address("org-a", "person", f"person-{number}") for number in range(100)]
        commits = [asyncio.ensure_future(store.commit(commit_at(1, person))) for person in people]
        await asyncio.sleep(0)
        await store.close()
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        assert outcomes == [None] * len(people)
        if self.is_durable:
            async with self._reopened(store) as again:
                page = await again.list_instances("org-a", "person", cursor=None, limit=999)
                assert sorted(names(page.rows)) == sorted(person.instance for person in people)

    async def test_everything_is_there_after_a_restart(self, store: Store) -> None:
        self._require_durability()
        commit = commit_at(
            1,
            context={"kept": "ü"},
            journal=[entry_at(1)],
            mail=[timer("timer", due_at=5.0, send_id="t"), letter("m1", due_at=1.0), letter("m2", due_at=1.0)],
        )
        await store.commit(commit)
        await store.defer_mail("m1", attempts=3, retry_at=7.0, error="it raised")
        await store.create_org(org_named("a"))
        await store.create_key(key_named("1"))
        await store.create_machine(machine_named("person"))
        await store.add_version(version_named("1"), make_current=True)
        await store.create_upload(upload_named("2"))
        await store.fill_upload("upload-2", b"code", "machine.py")
        before = await _everything(store)
        async with self._reopened(store) as again:
            assert await _everything(again) == before
            assert (await again.load(ALICE)) == commit.record
            assert ids(await again.due_mail(6.0, 9)) == ["timer"]
            assert ids(await again.due_mail(7.0, 9)) == ["m1", "m2", "timer"]

    async def test_order_and_sequence_go_on_after_a_restart(self, store: Store) -> None:
        self._require_durability()
        await store.commit(commit_at(1, mail=[letter("m1"), letter("m2")]))
        async with self._reopened(store) as again:
            await again.commit(commit_at(1, BOB, consumed=["m2"]))
            await again.commit(commit_at(2, mail=[letter("m3")]))
            with pytest.raises(StoreError):
                await again.commit(commit_at(2))
            assert ids(await again.due_mail(1.0, 9)) == ["m1", "m3"]

    async def test_cursors_and_places_in_lists_survive_a_restart(self, store: Store) -> None:
        self._require_durability()
        for name in ("c", "a", "b"):
            await store.commit(commit_at(1, Address("org-a", "person", name)))
        first = await store.list_instances("org-a", "person", cursor=None, limit=2)
        await store.delete_instance(Address("org-a", "person", "b"))
        async with self._reopened(store) as again:
            await again.commit(commit_at(1, Address("org-a", "person", "d")))
            rest = await again.list_instances("org-a", "person", cursor=first.cursor, limit=9)
            assert names(rest.rows) == ["d"]

    async def test_what_was_deleted_stays_deleted_after_a_restart(self, store: Store) -> None:
        self._require_durability()
        await store.commit(commit_at(1, mail=[letter("m"), timer("t", due_at=5.0, send_id="t")]))
        await store.commit(commit_at(1, BOB, consumed=["m"]))
        await store.delete_instance(ALICE)
        async with self._reopened(store) as again:
            assert await again.load(ALICE) is None
            assert await again.due_mail(99.0, 9) == []
            assert await again.load(BOB) is not None

    def _require_durability(self) -> None:
        if not self.is_durable:
            pytest.skip("this store does not claim to outlive its process")

    @asynccontextmanager
    async def _reopened(self, store: Store) -> AsyncIterator[Store]:
        again = await self.reopen(store)
        try:
            yield again
        finally:
            await again.close()


async def _everything(store: Store) -> list[object]:
    """What the store answers about the records of the restart test."""
    pages = [
        await store.list_orgs(cursor=None, limit=9),
        await store.list_keys("org-a", cursor=None, limit=9),
        await store.list_machines("org-a", cursor=None, limit=9),
        await store.list_versions("org-a", "person", cursor=None, limit=9),
        await store.list_instances("org-a", "person", cursor=None, limit=9),
        await store.journal(ALICE, cursor=None, limit=9),
    ]
    return [
        await store.load(ALICE),
        await store.pending_mail(ALICE),
        await store.pending_mail(BOB),
        await store.next_mail_at(0.0),
        await store.upload("upload-2"),
        *(list(page.rows) for page in pages),
    ]
