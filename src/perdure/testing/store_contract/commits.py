"""What a commit promises: compare, swap, all of it or nothing; and what loading and deleting an instance answer."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from perdure.durable.commit import Commit
from perdure.durable.records import Address, JournalEntry, Parent
from perdure.durable.store import Store
from perdure.errors import InstanceExists, MailGone, SequenceConflict, StoreError
from perdure.statechart.snapshot import Child, Snapshot, encode_snapshot
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    ALICE,
    BOB,
    CAROL,
    commit_at,
    create,
    entry_at,
    ids,
    letter,
    send,
    timer,
)

__all__ = ["CommitContract"]


class CommitContract(StoreBinding):
    """Instances: ``commit``, ``load``, ``delete_instance``."""

    # -- load ----------------------------------------------------------------------------------------------------

    async def test_load_answers_none_when_there_is_no_such_instance(self, store: Store) -> None:
        await create(store, ALICE)
        assert await store.load(BOB) is None

    async def test_load_answers_every_field_of_the_last_commit(self, store: Store) -> None:
        snapshot = Snapshot(
            machine="person",
            configuration=("a.b", "a.c"),
            value={"a": {"b": {}, "c": {}}},
            context={"n": 1, "f": 0.1, "list": [None, True, {"deep": ["x"]}]},
            history={"a.hist": ("a.b",)},
            children={"child": Child(id="child", source="machine", session=3, instance="child-1", state="a")},
            children_started=3,
            tags=("busy",),
            status="done",
            output={"ok": True},
        )
        await create(store, ALICE)
        commit = commit_at(2)
        record = msgspec.structs.replace(
            commit.record,
            snapshot=snapshot,
            version_id="ver_2",
            created_at=1234.5,
            ts=1_700_000_000_000.25,
            status="paused",
            parents=(Parent(BOB, "kid"), Parent(CAROL, "ward")),
        )
        await store.commit(msgspec.structs.replace(commit, record=record, snapshot_json=encode_snapshot(snapshot)))
        assert await store.load(ALICE) == record

    async def test_instances_of_other_orgs_and_machines_are_told_apart(self, store: Store) -> None:
        twins = [Address("org-a", "person", "x"), Address("org-b", "person", "x"), Address("org-a", "pet", "x")]
        for number, address in enumerate(twins):
            await store.commit(commit_at(1, address, context={"number": number}))
        loaded = [await store.load(address) for address in twins]
        assert [record.snapshot.context for record in loaded if record] == [{"number": 0}, {"number": 1}, {"number": 2}]

    async def test_changing_a_committed_or_loaded_value_does_not_reach_the_store(self, store: Store) -> None:
        context = {"list": [1]}
        event = {"type": "STEP", "list": [1]}
        entry = msgspec.structs.replace(entry_at(1), event=event)
        mail = msgspec.structs.replace(letter("m"), event=event)
        await store.commit(commit_at(1, context=context, journal=[entry], mail=[mail]))
        context["list"].append(2)
        event["list"] = "changed"
        for _ in range(2):
            loaded = await store.load(ALICE)
            assert loaded is not None
            assert loaded.snapshot.context == {"list": [1]}
            loaded.snapshot.context["list"].append(3)
            (row,) = (await store.journal(ALICE, cursor=None, limit=9)).rows
            assert row.event == {"type": "STEP", "list": [1]}
            row.event.clear()
            (pending,) = await store.pending_mail(BOB)
            assert pending.event == {"type": "STEP", "list": [1]}
            pending.event.clear()

    async def test_unicode_and_large_values_are_kept_exactly(self, store: Store) -> None:
        address = Address("org-ü", "máquina", "名前 \U0001f600 'quoted\" \\ %")
        context = {"naïve \u2028": "\x00\x1f\U0001f680", "text": "ß" * 200_000, "int": 2**53, "float": 1e-300}
        event = {"type": "ŠTEP", "payload": "x" * 100_000}
        entry = msgspec.structs.replace(entry_at(1), event=event, state={"größe": "ñ"}, sender=address)
        await store.commit(commit_at(1, address, context=context, journal=[entry]))
        loaded = await store.load(address)
        assert loaded is not None
        assert loaded.address == address
        assert loaded.snapshot.context == context
        assert (await store.journal(address, cursor=None, limit=1)).rows == [entry]

    # -- compare-and-swap ----------------------------------------------------------------------------------------

    async def test_commit_raises_instance_exists_when_the_instance_must_not_exist_and_does(self, store: Store) -> None:
        await store.commit(commit_at(1, context={"first": True}))
        with pytest.raises(InstanceExists):
            await store.commit(commit_at(1, context={"first": False}))
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.snapshot.context == {"first": True}

    async def test_commit_raises_sequence_conflict_when_the_instance_is_at_another_sequence(self, store: Store) -> None:
        await create(store, ALICE)
        await store.commit(commit_at(2, context={"winner": True}))
        for sequence in (2, 4):
            with pytest.raises(SequenceConflict):
                await store.commit(commit_at(sequence, context={"winner": False}))
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert (loaded.sequence, loaded.snapshot.context) == (2, {"winner": True})

    async def test_commit_raises_sequence_conflict_when_the_instance_is_gone(self, store: Store) -> None:
        await create(store, ALICE)
        await store.delete_instance(ALICE)
        with pytest.raises(SequenceConflict):
            await store.commit(commit_at(2))
        assert await store.load(ALICE) is None

    async def test_commit_raises_sequence_conflict_when_another_instance_has_taken_the_name(self, store: Store) -> None:
        for life in ("first", "second"):
            await store.delete_instance(ALICE)
            await store.commit(commit_at(1, life=life))
            await store.commit(commit_at(2, life=life, context={"of": life}))
        for _ in range(2):  # the second time by whatever a store remembers of the first
            with pytest.raises(SequenceConflict):
                await store.commit(commit_at(3, life="first", context={"of": "first"}))
            loaded = await store.load(ALICE)
            assert loaded is not None
            assert (loaded.sequence, loaded.life, loaded.snapshot.context) == (2, "second", {"of": "second"})
        await store.commit(commit_at(3, life="second"))

    async def test_sequence_numbers_may_skip(self, store: Store) -> None:
        await create(store, ALICE)
        commit = commit_at(7)
        await store.commit(msgspec.structs.replace(commit, expected_sequence=1))
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.sequence == 7

    async def test_exactly_one_wins_when_many_create_the_same_instance_at_once(self, store: Store) -> None:
        commits = [commit_at(1, context={"number": number}, mail=[letter(f"m{number}")]) for number in range(50)]
        outcomes = await _outcomes(store, commits)
        assert sorted(map(str, map(type, outcomes))) == sorted(
            map(str, [type(None)] + [InstanceExists] * (len(commits) - 1))
        )
        winner = outcomes.index(None)
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.snapshot.context == {"number": winner}
        assert ids(await store.pending_mail(BOB)) == [f"m{winner}"]

    async def test_exactly_one_wins_when_many_advance_the_same_instance_at_once(self, store: Store) -> None:
        await create(store, ALICE)
        outcomes = await _outcomes(store, [commit_at(2, context={"number": number}) for number in range(50)])
        assert [type(outcome) for outcome in outcomes].count(SequenceConflict) == 49
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.snapshot.context == {"number": outcomes.index(None)}

    async def test_commits_of_one_instance_sent_in_order_all_win(self, store: Store) -> None:
        outcomes = await _outcomes(store, [commit_at(sequence) for sequence in range(1, 101)])
        assert outcomes == [None] * 100
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.sequence == 100

    async def test_a_commit_that_has_returned_is_seen_by_every_reader(self, store: Store) -> None:
        async def live(address: Address) -> None:
            for sequence in range(1, 11):
                await store.commit(
                    commit_at(
                        sequence,
                        address,
                        mail=[letter(f"{address}-{sequence}", sender=address, target=address)],
                        journal=[entry_at(sequence)],
                    )
                )
                loaded = await store.load(address)
                assert loaded is not None
                assert loaded.sequence == sequence
                assert len(await store.pending_mail(address)) == sequence
                assert len((await store.journal(address, cursor=None, limit=99)).rows) == sequence

        await asyncio.gather(*(live(Address("org-a", "person", f"person-{number}")) for number in range(20)))

    # -- all or nothing ------------------------------------------------------------------------------------------

    async def test_a_refused_commit_changes_nothing(self, store: Store) -> None:
        mine = letter("mine", sender=BOB, target=ALICE)
        await send(store, mine)
        await store.commit(commit_at(1, mail=[timer("t", due_at=50.0, send_id="tick")], journal=[entry_at(1)]))
        refused = commit_at(
            2,
            context={"after": True},
            consumed=["mine", "never sent"],
            cancelled=["tick"],
            cancels_all=True,
            journal=[entry_at(2)],
            mail=[letter("out")],
        )
        with pytest.raises(MailGone):
            await store.commit(refused)
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert (loaded.sequence, loaded.snapshot.context) == (1, {})
        assert ids(await store.pending_mail(ALICE)) == ["mine", "t"]
        assert await store.pending_mail(BOB) == []
        assert [entry.sequence for entry in (await store.journal(ALICE, cursor=None, limit=9)).rows] == [1]

    async def test_a_refused_creation_leaves_no_instance(self, store: Store) -> None:
        with pytest.raises(MailGone):
            await store.commit(commit_at(1, consumed=["never sent"], journal=[entry_at(1)], mail=[letter("out")]))
        assert await store.load(ALICE) is None
        assert await store.pending_mail(BOB) == []
        assert (await store.list_instances("org-a", "person", cursor=None, limit=9)).rows == []
        await store.commit(commit_at(1, journal=[entry_at(1)]))

    async def test_neighbours_of_a_refused_commit_stand(self, store: Store) -> None:
        people = [Address("org-a", "person", f"person-{number}") for number in range(60)]
        commits = [
            commit_at(
                1,
                person,
                consumed=["never sent"] if number % 3 == 0 else [],
                mail=[letter(f"m{number}", sender=person)],
                journal=[entry_at(1)],
            )
            for number, person in enumerate(people)
        ]
        outcomes = await _outcomes(store, commits)
        for number, (person, outcome) in enumerate(zip(people, outcomes, strict=True)):
            is_refused = number % 3 == 0
            assert isinstance(outcome, MailGone) if is_refused else outcome is None
            assert (await store.load(person) is None) == is_refused
            assert len((await store.journal(person, cursor=None, limit=9)).rows) == (0 if is_refused else 1)
        assert ids(await store.pending_mail(BOB)) == [f"m{number}" for number in range(60) if number % 3]

    async def test_a_commit_with_a_value_that_json_cannot_say_raises_type_error_and_changes_nothing(
        self, store: Store
    ) -> None:
        entry = msgspec.structs.replace(entry_at(1), event={"type": "STEP", "value": object()})
        with pytest.raises(TypeError):
            await store.commit(commit_at(1, journal=[entry], mail=[letter("out")]))
        assert await store.load(ALICE) is None
        assert await store.pending_mail(BOB) == []

    async def test_a_journal_sequence_number_is_used_once(self, store: Store) -> None:
        await store.commit(commit_at(1, journal=[entry_at(1, "FIRST")]))
        with pytest.raises(StoreError):
            await store.commit(commit_at(2, journal=[entry_at(1, "SECOND")], mail=[letter("out")]))
        page = await store.journal(ALICE, cursor=None, limit=9)
        assert [entry.event["type"] for entry in page.rows] == ["FIRST"]
        assert await store.pending_mail(BOB) == []
        await store.commit(commit_at(2))

    # -- journal -------------------------------------------------------------------------------------------------

    async def test_journal_answers_entries_as_committed_oldest_first(self, store: Store) -> None:
        start = JournalEntry(
            sequence=1, created_at=1.5, event={"type": "xstate.init"}, state={"a": "b"}, version_id="v1", sender=BOB
        )
        more = [entry_at(2), entry_at(3), entry_at(9)]
        await store.commit(commit_at(1, journal=[start]))
        await store.commit(commit_at(2, journal=more))
        assert (await store.journal(ALICE, cursor=None, limit=99)).rows == [start, *more]

    async def test_journal_is_empty_when_there_is_no_such_instance(self, store: Store) -> None:
        await store.commit(commit_at(1, journal=[entry_at(1)]))
        page = await store.journal(BOB, cursor=None, limit=99)
        assert (list(page.rows), page.cursor) == ([], None)

    # -- delete --------------------------------------------------------------------------------------------------

    async def test_delete_answers_false_and_changes_nothing_when_there_is_no_such_instance(self, store: Store) -> None:
        await send(store, letter("early", sender=ALICE, target=BOB))
        assert await store.delete_instance(BOB) is False
        assert ids(await store.pending_mail(BOB)) == ["early"]

    async def test_delete_removes_the_instance_with_its_journal_and_leaves_others(self, store: Store) -> None:
        await store.commit(commit_at(1, ALICE, journal=[entry_at(1)]))
        await store.commit(commit_at(1, BOB, journal=[entry_at(1)]))
        assert await store.delete_instance(ALICE) is True
        assert await store.load(ALICE) is None
        assert (await store.journal(ALICE, cursor=None, limit=9)).rows == []
        assert await store.load(BOB) is not None
        assert (await store.journal(BOB, cursor=None, limit=9)).rows == [entry_at(1)]
        assert await store.delete_instance(ALICE) is False

    async def test_delete_removes_mail_to_it_and_delayed_mail_from_it_and_nothing_else(self, store: Store) -> None:
        await create(store, ALICE, BOB)
        await send(
            store,
            timer("own timer", due_at=9.0, send_id="t"),
            letter("to it", sender=BOB, target=ALICE),
            timer("delayed to it", due_at=9.0, send_id="t", owner=BOB, target=ALICE),
            timer("delayed from it", due_at=9.0, send_id="t", target=BOB),
            letter("from it", target=BOB),
            timer("of another", due_at=10.0, send_id="t", owner=BOB),
        )
        await store.delete_instance(ALICE)
        assert await store.pending_mail(ALICE) == []
        assert ids(await store.pending_mail(BOB)) == ["from it", "of another"]

    async def test_delete_removes_dead_letters_to_it_and_delayed_ones_from_it_and_nothing_else(
        self, store: Store
    ) -> None:
        await send(
            store,
            letter("to it", sender=BOB, target=ALICE),
            letter("from it", target=BOB),
            timer("delayed from it", due_at=1.0, send_id="t", target=BOB),
            timer("delayed from another", due_at=1.0, send_id="t", owner=BOB),
        )
        for mail_id in ("to it", "from it", "delayed from it", "delayed from another"):
            await store.bury_mail(mail_id, attempts=5, at=9.0, error="no")
        await store.delete_instance(ALICE)
        dead = await store.list_dead_letters("org-a", cursor=None, limit=9)
        assert ids(dead.rows) == ["from it", "delayed from another"]

    async def test_an_instance_can_be_created_again_after_it_was_deleted(self, store: Store) -> None:
        await store.commit(commit_at(1, context={"life": 1}, journal=[entry_at(1, "ONE")]))
        await store.delete_instance(ALICE)
        await store.commit(commit_at(1, context={"life": 2}, journal=[entry_at(1, "TWO")]))
        loaded = await store.load(ALICE)
        assert loaded is not None
        assert loaded.snapshot.context == {"life": 2}
        assert (await store.journal(ALICE, cursor=None, limit=9)).rows == [entry_at(1, "TWO")]


async def _outcomes(store: Store, commits: list[Commit]) -> list[BaseException | None]:
    """The outcomes of commits made at the same time: ``None`` for those that returned."""
    return await asyncio.gather(*(store.commit(commit) for commit in commits), return_exceptions=True)
