"""What keeps a store in order: receipts are atomic with their commits, dead letters come back, journals end, logs."""

from __future__ import annotations

import msgspec
import pytest

from perdure.durable.commit import Commit
from perdure.durable.records import Address, JournalEntry
from perdure.durable.store import Store
from perdure.durable.upkeep_records import JournalRetention, LogEntry, Receipt
from perdure.errors import NotFound, ReceiptExists, SequenceConflict, StoreError
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
    machine_named,
    send,
)

__all__ = ["UpkeepContract"]


def receipt_named(key: str, *, at: float = 5.0, expired_before: float = 0.0, answer: bytes = b'{"n":1}') -> Receipt:
    return Receipt(key=key, fingerprint=f"print of {key}", at=at, answer=answer, expired_before=expired_before)


def with_receipt(commit: Commit, receipt: Receipt) -> Commit:
    return msgspec.structs.replace(commit, receipt=receipt)


def log_at(at: float, address: Address = ALICE, *, version_id: str = "ver_1", text: str = "hello\n") -> LogEntry:
    return LogEntry(
        org=address.org,
        machine=address.machine,
        instance=address.instance,
        version_id=version_id,
        at=at,
        output_type="stdout",
        text=text,
    )


class UpkeepContract(StoreBinding):
    """The methods of ``perdure.durable.upkeep_store``."""

    # -- receipts ------------------------------------------------------------------------------------------------

    async def test_a_receipt_is_kept_by_its_commit_and_belongs_to_its_instance(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        await create(store, BOB)
        assert await store.receipt(ALICE, "k") == receipt_named("k")
        assert await store.receipt(ALICE, "other") is None
        assert await store.receipt(BOB, "k") is None
        await store.commit(with_receipt(commit_at(2, BOB), receipt_named("k")))
        assert await store.receipt(BOB, "k") == receipt_named("k")

    async def test_a_second_receipt_under_a_key_makes_its_whole_commit_fail(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        again = with_receipt(commit_at(2, mail=[letter("m")]), receipt_named("k", at=6.0, answer=b"{}"))
        with pytest.raises(ReceiptExists):
            await store.commit(again)
        assert await store.receipt(ALICE, "k") == receipt_named("k")
        assert await store.pending_mail(BOB) == []
        record = await store.load(ALICE)
        assert record is not None
        assert record.sequence == 1

    async def test_a_lost_race_is_told_as_a_conflict_though_the_receipt_is_there_too(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        with pytest.raises(SequenceConflict):
            await store.commit(with_receipt(commit_at(3), receipt_named("k")))

    async def test_a_receipt_that_has_expired_gives_way(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k", at=5.0)))
        late = receipt_named("k", at=50.0, expired_before=5.0)
        with pytest.raises(ReceiptExists):
            await store.commit(with_receipt(commit_at(2), late))
        later = receipt_named("k", at=50.0, expired_before=5.1, answer=b"{}")
        await store.commit(with_receipt(commit_at(2), later))
        assert await store.receipt(ALICE, "k") == msgspec.structs.replace(later, expired_before=0.0)

    async def test_the_answer_on_a_receipt_can_be_amended(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        await store.amend_receipt(ALICE, "k", b'{"n":2}')
        await store.amend_receipt(ALICE, "other", b"{}")
        await store.amend_receipt(BOB, "k", b"{}")
        assert await store.receipt(ALICE, "k") == receipt_named("k", answer=b'{"n":2}')
        assert await store.receipt(ALICE, "other") is None

    async def test_old_receipts_are_pruned_up_to_a_number(self, store: Store) -> None:
        for number in range(1, 6):
            await store.commit(with_receipt(commit_at(number), receipt_named(f"k{number}", at=float(number))))
        assert await store.prune_receipts(4.0, 2) == 2
        assert await store.prune_receipts(4.0, 9) == 1
        assert await store.prune_receipts(4.0, 9) == 0
        assert [await store.receipt(ALICE, f"k{number}") is None for number in range(1, 6)] == [True] * 3 + [False] * 2

    async def test_receipts_go_with_their_instance(self, store: Store) -> None:
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        await store.delete_instance(ALICE)
        assert await store.receipt(ALICE, "k") is None
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))

    # -- dead letters --------------------------------------------------------------------------------------------

    async def test_a_dead_letter_is_read_by_its_id_within_its_org(self, store: Store) -> None:
        await send(store, letter("m"), letter("pending"))
        await store.bury_mail("m", attempts=5, at=9.0, error="no")
        dead = await store.dead_letter("org-a", "m")
        assert dead == msgspec.structs.replace(letter("m"), attempts=5, last_error="no", buried_at=9.0)
        assert await store.dead_letter("org-b", "m") is None
        assert await store.dead_letter("org-a", "pending") is None

    async def test_a_redriven_dead_letter_is_mail_without_attempts_behind_all_other(self, store: Store) -> None:
        await send(store, msgspec.structs.replace(letter("m"), chain=7), letter("next"))
        await store.defer_mail("m", attempts=4, retry_at=8.0, error="no")
        await store.bury_mail("m", attempts=5, at=9.0, error="no")
        assert not await store.redrive_dead_letter("org-b", "m")
        assert await store.redrive_dead_letter("org-a", "m")
        assert not await store.redrive_dead_letter("org-a", "m")
        assert await store.due_mail(0.0, 9) == [letter("next"), msgspec.structs.replace(letter("m"), last_error="no")]
        assert (await store.list_dead_letters("org-a", cursor=None, limit=9)).rows == []
        await store.commit(commit_at(1, BOB, consumed=["m"]))

    async def test_a_dead_letter_whose_id_is_pending_again_is_not_redriven(self, store: Store) -> None:
        await send(store, letter("m"))
        await store.bury_mail("m", attempts=5, at=9.0, error="no")
        await send(store, letter("m"))
        with pytest.raises(StoreError):
            await store.redrive_dead_letter("org-a", "m")
        assert await store.dead_letter("org-a", "m") is not None
        assert ids(await store.pending_mail(BOB)) == ["m"]

    async def test_a_dropped_dead_letter_is_gone(self, store: Store) -> None:
        await send(store, letter("m"))
        await store.bury_mail("m", attempts=5, at=9.0, error="no")
        assert not await store.drop_dead_letter("org-b", "m")
        assert await store.drop_dead_letter("org-a", "m")
        assert not await store.drop_dead_letter("org-a", "m")
        assert await store.due_mail(99.0, 9) == []

    # -- journals ------------------------------------------------------------------------------------------------

    async def test_a_rule_for_journals_replaces_the_former_one_and_goes_with_its_machine(self, store: Store) -> None:
        rule = JournalRetention(org="org-a", machine="person", entries_max=5, age_max=1.5)
        with pytest.raises(NotFound):
            await store.set_retention(rule)
        await store.create_machine(machine_named("person"))
        await store.create_machine(machine_named("robot"))
        assert await store.retention("org-a", "person") is None
        await store.set_retention(JournalRetention(org="org-a", machine="robot"))
        await store.set_retention(JournalRetention(org="org-a", machine="person", entries_max=9))
        await store.set_retention(rule)
        assert await store.retention("org-a", "person") == rule
        assert await store.list_retentions() == [rule]
        await store.delete_machine("org-a", "person")
        await store.create_machine(machine_named("person"))
        assert await store.retention("org-a", "person") is None

    async def test_journals_are_shortened_to_a_number_of_entries_instance_by_instance(self, store: Store) -> None:
        for address in (ALICE, BOB, CAROL):
            await store.commit(commit_at(1, address, journal=[entry_at(number) for number in range(1, 6)]))
        removed, cursor = await store.prune_journals("org-a", "person", keep=2, since=None, cursor=None, limit=2)
        assert removed == 6
        assert [len(await self._entries(store, address)) for address in (ALICE, BOB, CAROL)] == [2, 2, 5]
        removed, cursor = await store.prune_journals("org-a", "person", keep=2, since=None, cursor=cursor, limit=2)
        assert (removed, cursor) == (3, None)
        assert [entry.sequence for entry in await self._entries(store, CAROL)] == [4, 5]

    async def test_journals_are_shortened_to_a_time_and_keep_their_newest_entry(self, store: Store) -> None:
        await store.commit(commit_at(1, journal=[entry_at(number) for number in range(1, 6)]))
        await store.commit(commit_at(1, BOB))

        async def prune(keep: int | None, since: float | None) -> int:
            removed, _ = await store.prune_journals("org-a", "person", keep=keep, since=since, cursor=None, limit=9)
            return removed

        assert await prune(None, None) == 0
        assert await prune(9, 1003.0) == 2
        assert [entry.sequence for entry in await self._entries(store, ALICE)] == [3, 4, 5]
        assert await prune(2, 1003.0) == 1
        assert await prune(None, 9999.0) == 1
        assert [entry.sequence for entry in await self._entries(store, ALICE)] == [5]
        assert await prune(0, 9999.0) == 0
        assert [entry.sequence for entry in await self._entries(store, ALICE)] == [5]

    async def _entries(self, store: Store, address: Address) -> list[JournalEntry]:
        return list((await store.journal(address, cursor=None, limit=99)).rows)

    # -- logs ----------------------------------------------------------------------------------------------------

    async def test_logs_are_answered_oldest_first_within_their_time(self, store: Store) -> None:
        entries = [log_at(3.0, text="c"), log_at(1.0, text="a"), log_at(2.0, text="b1"), log_at(2.0, text="b2")]
        await store.append_logs(entries)

        async def texts(since: float, until: float, limit: int = 9) -> list[str]:
            return [entry.text for entry in await store.logs("org-a", since=since, until=until, limit=limit)]

        assert await texts(0.0, 9.0) == ["a", "b1", "b2", "c"]
        assert await texts(2.0, 3.0) == ["b1", "b2"]
        assert await texts(0.0, 9.0, 2) == ["a", "b1"]
        (first, *_) = await store.logs("org-a", since=0.0, until=9.0, limit=1)
        assert first == log_at(1.0, text="a")

    async def test_logs_are_those_of_the_org_the_machine_the_instance_and_the_version_asked_for(
        self, store: Store
    ) -> None:
        robot = Address("org-a", "robot", "alice")
        foreign = Address("org-b", "person", "alice")
        await store.append_logs([log_at(1.0), log_at(2.0, BOB), log_at(3.0, robot), log_at(4.0, foreign)])
        await store.append_logs([log_at(5.0, version_id="ver_2")])

        async def times(**filters: str) -> list[float]:
            return [entry.at for entry in await store.logs("org-a", since=0.0, until=9.0, limit=9, **filters)]

        assert await times() == [1.0, 2.0, 3.0, 5.0]
        assert await times(machine="person") == [1.0, 2.0, 5.0]
        assert await times(machine="person", instance="alice") == [1.0, 5.0]
        assert await times(instance="alice") == [1.0, 3.0, 5.0]
        assert await times(version_id="ver_2") == [5.0]
        assert await times(machine="person", instance="bob", version_id="ver_2") == []

    async def test_logs_are_pruned_by_age_and_by_number(self, store: Store) -> None:
        await store.append_logs([log_at(float(number)) for number in range(10)])
        assert await store.prune_logs(3.0, 99, 2) == 2
        assert await store.prune_logs(3.0, 99, 9) == 1
        assert await store.prune_logs(0.0, 4, 9) == 3
        assert [entry.at for entry in await store.logs("org-a", since=0.0, until=99.0, limit=99)] == [
            6.0,
            7.0,
            8.0,
            9.0,
        ]

    async def test_logs_go_with_their_instance(self, store: Store) -> None:
        await create(store, ALICE, BOB)
        await store.append_logs([log_at(1.0), log_at(2.0, BOB)])
        await store.delete_instance(ALICE)
        assert [entry.at for entry in await store.logs("org-a", since=0.0, until=9.0, limit=9)] == [2.0]

    # -- durability ----------------------------------------------------------------------------------------------

    async def test_receipts_rules_and_logs_are_there_after_a_restart(self, store: Store) -> None:
        if not self.is_durable:
            pytest.skip("this store does not claim to outlive its process")
        rule = JournalRetention(org="org-a", machine="person", entries_max=5)
        await store.create_machine(machine_named("person"))
        await store.set_retention(rule)
        await store.commit(with_receipt(commit_at(1), receipt_named("k")))
        await store.append_logs([log_at(1.0)])
        again = await self.reopen(store)
        try:
            assert await again.receipt(ALICE, "k") == receipt_named("k")
            assert await again.list_retentions() == [rule]
            assert await again.logs("org-a", since=0.0, until=9.0, limit=9) == [log_at(1.0)]
        finally:
            await again.close()
