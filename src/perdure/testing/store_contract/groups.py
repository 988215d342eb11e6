"""What groups and broadcasts promise: who is a member when, one share for each, in the sender's order, and restarts."""

from __future__ import annotations

import msgspec
import pytest

from perdure.durable.commit import Commit
from perdure.durable.records import Address, Mail, group_address
from perdure.durable.store import Store
from perdure.errors import SequenceConflict, StoreError
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import ALICE, BOB, CAROL, commit_at, create, ids, letter, send

__all__ = ["GroupContract"]

DAVE = Address("org-a", "person", "dave")


def broadcast(mail_id: str, *, sender: Address = ALICE, group: str = "room") -> Mail:
    """Mail to a group of the sender's org."""
    return msgspec.structs.replace(
        letter(mail_id, sender=sender), kind="broadcast", target=group_address("org-a", group)
    )


def changing(
    sequence: int, address: Address, *, joins: str = "", leaves: str = "", mail: tuple[Mail, ...] = ()
) -> Commit:
    """A commit that joins and leaves groups, named by words."""
    commit = commit_at(sequence, address, mail=mail)
    return msgspec.structs.replace(commit, joins=tuple(joins.split()), leaves=tuple(leaves.split()))


async def members(store: Store, group: str = "room", org: str = "org-a") -> list[str]:
    page = await store.list_members(org, group, cursor=None, limit=99)
    return [address.instance for address in page.rows]


async def join(store: Store, *addresses: Address, group: str = "room") -> None:
    """Let instances be there, at sequence 1, as members."""
    for address in addresses:
        await store.commit(changing(1, address, joins=group))


async def expand(store: Store, mail_id: str, limit: int = 99) -> int:
    """Make all shares of a broadcast; the number of steps that took."""
    steps = 1
    while await store.expand_broadcast(mail_id, limit):
        steps += 1
    return steps


async def due(store: Store) -> list[str]:
    """Who has which mail due, in order."""
    return [f"{mail.target.instance}:{event(mail)}" for mail in await store.due_mail(10.0, 99)]


def event(mail: Mail) -> str:
    assert mail.event is not None
    return str(mail.event["id"])


class GroupContract(StoreBinding):
    """``joins`` and ``leaves`` of commits, ``list_members``, broadcasts, and ``post_mail``."""

    # -- members -------------------------------------------------------------------------------------------------

    async def test_members_are_listed_in_the_order_in_which_they_joined(self, store: Store) -> None:
        await join(store, BOB, ALICE)
        await join(store, CAROL, group="hall")
        assert await members(store) == ["bob", "alice"]
        assert await members(store, "hall") == ["carol"]
        assert await members(store, "nowhere") == []
        assert await members(store, org="org-b") == []

    async def test_joining_twice_and_leaving_what_one_is_not_in_change_nothing(self, store: Store) -> None:
        await join(store, ALICE, BOB)
        await store.commit(changing(2, ALICE, joins="room room", leaves="hall"))
        assert await members(store) == ["alice", "bob"]

    async def test_who_leaves_is_no_member_and_may_join_again(self, store: Store) -> None:
        await join(store, ALICE, BOB)
        await store.commit(changing(2, ALICE, leaves="room"))
        assert await members(store) == ["bob"]
        await store.commit(changing(3, ALICE, joins="room"))
        assert await members(store) == ["bob", "alice"]

    async def test_an_instance_that_ends_or_is_deleted_leaves_all_its_groups(self, store: Store) -> None:
        await join(store, ALICE, BOB, CAROL)
        await store.commit(changing(2, ALICE, joins="hall"))
        await store.commit(commit_at(3, ALICE, cancels_all=True))
        await store.delete_instance(BOB)
        assert await members(store) == ["carol"]
        assert await members(store, "hall") == []

    async def test_a_refused_commit_changes_no_membership(self, store: Store) -> None:
        await join(store, ALICE)
        with pytest.raises(SequenceConflict):
            await store.commit(changing(7, ALICE, joins="hall", leaves="room"))
        assert await members(store) == ["alice"]
        assert await members(store, "hall") == []

    async def test_members_come_in_pages(self, store: Store) -> None:
        people = [Address("org-a", "person", f"p{number}") for number in range(5)]
        await join(store, *people)
        first = await store.list_members("org-a", "room", cursor=None, limit=2)
        await store.commit(changing(2, people[0], leaves="room"))
        rest = await store.list_members("org-a", "room", cursor=first.cursor, limit=9)
        assert [address.instance for address in (*first.rows, *rest.rows)] == ["p0", "p1", "p2", "p3", "p4"]
        assert rest.cursor is None

    # -- shares --------------------------------------------------------------------------------------------------

    async def test_a_broadcast_becomes_one_share_for_each_member(self, store: Store) -> None:
        await join(store, BOB, CAROL)
        await create(store, DAVE)
        sent = broadcast("b")
        await store.commit(commit_at(1, mail=[sent]))
        assert await store.due_mail(1.0, 9) == [sent]
        assert await store.is_broadcasting(ALICE)
        assert await expand(store, "b") == 1
        assert not await store.is_broadcasting(ALICE)
        shares = await store.due_mail(1.0, 9)
        assert [(each.kind, each.target, each.sender, each.event) for each in shares] == [
            ("share", member, ALICE, sent.event) for member in (BOB, CAROL)
        ]
        assert len(set(ids(shares))) == 2

    async def test_a_broadcast_takes_steps_of_the_size_it_is_given_and_makes_each_share_once(
        self, store: Store
    ) -> None:
        people = [Address("org-a", "person", f"p{number}") for number in range(7)]
        await join(store, *people)
        await store.commit(commit_at(1, mail=[broadcast("b")]))
        assert await expand(store, "b", 3) == 3
        assert await expand(store, "b", 3) == 1
        assert sorted(await due(store)) == [f"p{number}:b" for number in range(7)]

    async def test_a_broadcast_to_nobody_is_gone(self, store: Store) -> None:
        await store.commit(commit_at(1, mail=[broadcast("b")]))
        assert await store.expand_broadcast("b", 9) is False
        assert await store.expand_broadcast("never sent", 9) is False
        assert await store.due_mail(1.0, 9) == []
        assert await store.next_mail_at(-1.0) is None

    async def test_only_broadcasts_are_expanded(self, store: Store) -> None:
        await join(store, BOB)
        await send(store, letter("m"))
        assert await store.expand_broadcast("m", 9) is False
        assert ids(await store.due_mail(1.0, 9)) == ["m"]

    async def test_who_joins_or_leaves_after_the_commit_of_a_broadcast_counts_as_before_it(self, store: Store) -> None:
        await join(store, BOB, CAROL)
        await store.commit(commit_at(1, mail=[broadcast("b")]))
        await store.commit(changing(2, BOB, leaves="room"))
        await join(store, DAVE)
        await store.commit(commit_at(2, CAROL, cancels_all=True))
        await store.commit(commit_at(2, mail=[broadcast("later")]))
        await store.commit(changing(3, BOB, joins="room"))
        await expand(store, "b", 1)
        await expand(store, "later", 1)
        assert sorted(await due(store)) == ["bob:b", "carol:b", "dave:later"]
        assert sorted(await members(store)) == ["bob", "dave"]

    async def test_joins_and_leaves_of_the_same_commit_count_for_its_broadcast(self, store: Store) -> None:
        await join(store, ALICE, group="hall")
        both = (broadcast("to room"), broadcast("to hall", group="hall"))
        await store.commit(changing(2, ALICE, joins="room", leaves="hall", mail=both))
        for each in both:
            await expand(store, each.id)
        assert await due(store) == ["alice:to room"]

    async def test_a_deleted_member_gets_no_share_nor_does_the_one_that_takes_its_name(self, store: Store) -> None:
        await join(store, BOB, CAROL)
        await store.commit(commit_at(1, mail=[broadcast("b")]))
        assert await store.expand_broadcast("b", 1) is True
        for member in (BOB, CAROL):
            await store.delete_instance(member)
            await join(store, member)
        await expand(store, "b")
        assert await due(store) == []

    async def test_a_broadcast_outlives_its_sender(self, store: Store) -> None:
        await join(store, BOB)
        await store.commit(commit_at(1, mail=[broadcast("b")]))
        await store.delete_instance(ALICE)
        await expand(store, "b")
        assert await due(store) == ["bob:b"]

    # -- order ---------------------------------------------------------------------------------------------------

    async def test_what_a_sender_sends_around_a_broadcast_reaches_each_member_in_that_order(self, store: Store) -> None:
        await join(store, BOB, CAROL)
        await store.commit(
            commit_at(1, mail=[letter("1"), broadcast("2"), letter("3"), letter("4", target=DAVE), broadcast("5")])
        )
        await store.commit(commit_at(2, mail=[letter("6"), letter("7", target=CAROL)]))
        await store.commit(commit_at(1, DAVE, mail=[letter("other", sender=DAVE)]))
        assert await due(store) == ["bob:1", "room:2", "bob:other"]
        assert await store.expand_broadcast("2", 1) is True
        assert sorted(await due(store)) == ["bob:1", "bob:2", "bob:other", "room:2"]
        await expand(store, "2", 1)
        assert "room:5" in await due(store)
        assert not {"bob:6", "carol:7"} & set(await due(store))
        await expand(store, "5", 1)
        found = await due(store)
        assert [each for each in found if each.startswith("bob") and each != "bob:other"] == [
            "bob:1",
            "bob:2",
            "bob:3",
            "bob:5",
            "bob:6",
        ]
        assert [each for each in found if each.startswith("carol")] == ["carol:2", "carol:5", "carol:7"]
        assert ids(await store.pending_mail(BOB))[::4] == ["1", "6"]

    async def test_a_share_that_failed_holds_back_what_its_sender_sent_later(self, store: Store) -> None:
        await join(store, BOB)
        await store.commit(commit_at(1, mail=[letter("1"), broadcast("2"), letter("3")]))
        await expand(store, "2")
        (share,) = [mail for mail in await store.due_mail(1.0, 9) if mail.kind == "share"]
        await store.defer_mail(share.id, attempts=1, retry_at=50.0, error="no")
        assert await due(store) == ["bob:1"]
        assert [event(mail) for mail in await store.due_mail(50.0, 9)] == ["1", "2", "3"]

    # -- mail of the host ----------------------------------------------------------------------------------------

    async def test_posted_mail_is_there_whole_or_not_at_all(self, store: Store) -> None:
        await join(store, BOB)
        host = Address("org-a", "", "")
        await store.post_mail((letter("m", sender=host), broadcast("b", sender=host)))
        with pytest.raises(StoreError):
            await store.post_mail((letter("n", sender=host), letter("m", sender=host)))
        assert await store.is_broadcasting(host)
        await expand(store, "b")
        assert await due(store) == ["bob:m", "bob:b"]

    # -- restarts ------------------------------------------------------------------------------------------------

    async def test_a_broadcast_goes_on_after_a_restart_where_it_was(self, store: Store) -> None:
        if not self.is_durable:
            pytest.skip("this store does not claim to outlive its process")
        people = [Address("org-a", "person", f"p{number}") for number in range(5)]
        await join(store, *people)
        await store.commit(commit_at(1, mail=[broadcast("b"), letter("m", target=people[4])]))
        await store.expand_broadcast("b", 2)
        again = await self.reopen(store)
        try:
            assert await again.is_broadcasting(ALICE)
            await again.commit(changing(2, people[3], leaves="room"))
            await join(again, DAVE)
            assert await expand(again, "b", 2) == 2
            assert await due(again) == [*(f"p{number}:b" for number in range(5)), "p4:m"]
            assert len(await members(again)) == 5
        finally:
            await again.close()
