"""What deleting promises: what goes, what is left behind, and that both happen in one step; and dropping mail."""

from __future__ import annotations

import msgspec
import pytest

from perdure.durable.records import Creation, Mail, Parent
from perdure.durable.store import Store
from perdure.errors import SequenceConflict, StoreError
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import ALICE, BOB, CAROL, commit_at, create, ids, letter, send, timer

__all__ = ["DeletionContract"]

STOP = Mail(
    id="stop", kind="stop", sender=ALICE, target=BOB, due_at=0.0, creation=Creation(child_id="kid")
)  # what a deleted parent leaves behind


class DeletionContract(StoreBinding):
    """``delete_instance`` with what it leaves behind, and ``drop_mail``."""

    async def test_what_a_deleted_instance_leaves_behind_is_sent_with_its_deletion(self, store: Store) -> None:
        await send(store, letter("before"), timer("void", due_at=5.0, send_id="t", target=BOB))
        assert await store.delete_instance(ALICE, mail=(STOP,)) is True
        assert await store.load(ALICE) is None
        assert await store.pending_mail(BOB) == [letter("before"), STOP]

    async def test_an_instance_that_is_not_there_leaves_nothing_behind(self, store: Store) -> None:
        assert await store.delete_instance(ALICE, mail=(STOP,)) is False
        assert await store.delete_instance(ALICE, expected=commit_at(1).record, mail=(STOP,)) is False
        assert await store.pending_mail(BOB) == []

    async def test_an_instance_that_has_moved_on_is_not_deleted(self, store: Store) -> None:
        await create(store, ALICE)
        await store.commit(commit_at(2))
        with pytest.raises(SequenceConflict):
            await store.delete_instance(ALICE, expected=commit_at(1).record, mail=(STOP,))
        assert await store.load(ALICE) is not None
        assert await store.pending_mail(BOB) == []
        assert await store.delete_instance(ALICE, expected=commit_at(2).record) is True

    async def test_an_instance_is_not_deleted_in_place_of_the_one_whose_name_it_has_taken(self, store: Store) -> None:
        await create(store, ALICE)
        await store.delete_instance(ALICE)
        await store.commit(commit_at(1, life="second"))
        with pytest.raises(SequenceConflict):
            await store.delete_instance(ALICE, expected=commit_at(1).record, mail=(STOP,))
        assert await store.load(ALICE) is not None
        assert await store.pending_mail(BOB) == []
        assert await store.delete_instance(ALICE, expected=commit_at(1, life="second").record) is True

    async def test_a_deletion_whose_mail_has_an_id_in_use_changes_nothing(self, store: Store) -> None:
        await create(store, ALICE)
        await send(store, letter("stop", sender=CAROL))
        with pytest.raises(StoreError):
            await store.delete_instance(ALICE, mail=(STOP,))
        assert await store.load(ALICE) is not None
        assert ids(await store.pending_mail(BOB)) == ["stop"]

    async def test_dropped_mail_is_gone_and_holds_nothing_back(self, store: Store) -> None:
        await send(store, letter("m1"), letter("m2"))
        await store.defer_mail("m1", attempts=1, retry_at=50.0, error="no")
        await store.drop_mail("m1")
        await store.drop_mail("m1")
        await store.drop_mail("never sent")
        assert ids(await store.due_mail(1.0, 9)) == ["m2"]
        assert await store.next_mail_at(1.0) is None
        assert (await store.list_dead_letters("org-a", cursor=None, limit=9)).rows == []

    async def test_the_name_of_a_life_and_the_ties_to_parents_are_kept(self, store: Store) -> None:
        commit = commit_at(1)
        parents = (Parent(BOB, "kid"), Parent(CAROL, "ward", True, True, True))
        record = msgspec.structs.replace(commit.record, life="first life", parents=parents)
        await store.commit(msgspec.structs.replace(commit, record=record))
        assert await store.load(ALICE) == record
