"""What the store promises about migrations, versions that instances are to move to, indexes and counts."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from perdure.durable.indexes import IndexValue
from perdure.durable.records import Address, IndexOperator, IndexQuery
from perdure.durable.store import Store
from perdure.errors import InvalidParameter, InvalidState, NotFound, SequenceConflict
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    ALICE,
    BOB,
    CAROL,
    commit_at,
    create,
    machine_named,
    migration_named,
    upload_named,
    version_named,
)

__all__ = ["EvolutionContract"]

ALL = IndexQuery()


async def rows(store: Store, query: IndexQuery = ALL, index: str = "city", *, limit: int = 100) -> list[str]:
    """Everything that a query answers, as ``value/instance``, read in pages."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        page = await store.query_index("org-a", "person", index, query, cursor=cursor, limit=limit)
        found += [f"{row.value}/{row.name}" for row in page.rows]
        assert len(page.rows) == limit or page.cursor is None
        if page.cursor is None:
            return found
        cursor = page.cursor


def city(*names: str) -> tuple[IndexValue, ...]:
    return tuple(("city", name) for name in names)


class EvolutionContract(StoreBinding):
    """Machines that change, and what their instances are found by."""

    # -- migrations ----------------------------------------------------------------------------------------------

    async def test_migrations_are_listed_as_added_and_in_that_order(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        hosted = msgspec.structs.replace(migration_named("b"), source=None)
        for migration in (hosted, migration_named("a")):
            await store.add_migration(migration)
        assert (await store.list_migrations("org-a", "person", cursor=None, limit=9)).rows == [
            hosted,
            migration_named("a"),
        ]
        first = await store.list_migrations("org-a", "person", cursor=None, limit=1)
        second = await store.list_migrations("org-a", "person", cursor=first.cursor, limit=1)
        assert (first.rows, second.rows, second.cursor) == ([hosted], [migration_named("a")], None)
        assert (await store.list_migrations("org-b", "person", cursor=None, limit=9)).rows == []

    async def test_adding_a_migration_again_changes_nothing(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        await store.add_migration(migration_named("1"))
        await store.add_migration(msgspec.structs.replace(migration_named("1"), source="other"))
        assert (await store.list_migrations("org-a", "person", cursor=None, limit=9)).rows == [migration_named("1")]

    async def test_a_migration_needs_a_machine_and_an_id_of_its_own(self, store: Store) -> None:
        with pytest.raises(NotFound):
            await store.add_migration(migration_named("1"))
        await store.create_machine(machine_named("person"))
        await store.create_machine(machine_named("pet"))
        await store.add_migration(migration_named("1"))
        with pytest.raises(InvalidState):
            await store.add_migration(migration_named("1", "pet"))
        assert (await store.list_migrations("org-a", "pet", cursor=None, limit=9)).rows == []

    async def test_the_migrations_of_a_machine_go_with_it(self, store: Store) -> None:
        for machine in ("person", "pet"):
            await store.create_machine(machine_named(machine))
            await store.add_migration(migration_named(machine, machine))
        await store.delete_machine("org-a", "person")
        await store.create_machine(machine_named("person"))
        assert (await store.list_migrations("org-a", "person", cursor=None, limit=9)).rows == []
        assert len((await store.list_migrations("org-a", "pet", cursor=None, limit=9)).rows) == 1

    async def test_the_upload_of_a_migration_keeps_its_versions(self, store: Store) -> None:
        upload = msgspec.structs.replace(upload_named("1"), from_version_id="ver_1", to_version_id="ver_2")
        await store.create_upload(upload)
        assert await store.upload("upload-1") == upload

    async def test_a_desired_version_is_kept_until_a_commit_without_one(self, store: Store) -> None:
        seen: list[str | None] = []
        for sequence, desired in enumerate((None, "ver_2", None), start=1):
            await store.commit(commit_at(sequence, desired_version=desired))
            record = await store.load(ALICE)
            assert record is not None
            seen.append(record.desired_version_id)
        assert seen == [None, "ver_2", None]

    async def test_instances_are_counted_by_version(self, store: Store) -> None:
        await create(store, ALICE, BOB, CAROL, Address("org-a", "pet", "rex"), Address("org-b", "person", "alice"))
        moved = commit_at(2, BOB)
        await store.commit(
            msgspec.structs.replace(moved, record=msgspec.structs.replace(moved.record, version_id="ver_2"))
        )
        assert await store.count_instances("org-a", "person") == {"ver_1": 2, "ver_2": 1}
        await store.delete_instance(BOB)
        assert await store.count_instances("org-a", "person") == {"ver_1": 2}
        assert await store.count_instances("org-a", "nobody") == {}

    # -- indexes -------------------------------------------------------------------------------------------------

    async def test_a_version_keeps_its_selectors(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        version = msgspec.structs.replace(version_named("1"), index_selectors={"city": "$.public['city']", "ü": "$"})
        await store.add_version(version, make_current=False)
        assert await store.version("ver_1") == version

    async def test_adding_an_index_gives_its_selector_to_versions_without_one(self, store: Store) -> None:
        await store.create_machine(msgspec.structs.replace(machine_named("person"), indexes=("age",)))
        await store.create_machine(machine_named("pet"))
        own = msgspec.structs.replace(version_named("1"), index_selectors={"city": "$.own"})
        for version in (own, version_named("2"), version_named("3", "pet")):
            await store.add_version(version, make_current=False)
        await store.add_index("org-a", "person", "city")
        assert (await store.version("ver_2")) == version_named("2")
        await store.add_index("org-a", "person", "city", selector="$.city")
        machine = await store.machine("org-a", "person")
        versions = [await store.version(f"ver_{number}") for number in (1, 2, 3)]
        assert machine is not None
        assert machine.indexes == ("age", "city")
        assert [version.index_selectors for version in versions if version is not None] == [
            {"city": "$.own"},
            {"city": "$.city"},
            {},
        ]
        with pytest.raises(NotFound):
            await store.add_index("org-b", "person", "city", selector="$.city")

    async def test_an_instance_is_found_by_the_values_of_its_last_commit_that_says_any(self, store: Store) -> None:
        await store.commit(commit_at(1, indexes=(*city("Rome", "Oslo"), ("age", "7"))))
        assert await rows(store) == ["Oslo/alice", "Rome/alice"]
        await store.commit(commit_at(2))
        assert await rows(store) == ["Oslo/alice", "Rome/alice"]
        await store.commit(commit_at(3, indexes=city("Rome", "Bonn")))
        assert await rows(store) == ["Bonn/alice", "Rome/alice"]
        assert await rows(store, index="age") == []
        await store.commit(commit_at(4, indexes=()))
        assert await rows(store) == []

    async def test_a_commit_that_loses_indexes_nothing(self, store: Store) -> None:
        await store.commit(commit_at(1, indexes=city("Rome")))
        with pytest.raises(SequenceConflict):
            await store.commit(commit_at(5, indexes=city("Oslo")))
        assert await rows(store) == ["Rome/alice"]

    async def test_a_deleted_instance_is_found_no_more(self, store: Store) -> None:
        for address in (ALICE, BOB):
            await store.commit(commit_at(1, address, indexes=city("Rome")))
        await store.delete_instance(ALICE)
        assert await rows(store) == ["Rome/bob"]
        await create(store, ALICE)
        assert await rows(store) == ["Rome/bob"]

    async def test_equal_values_come_in_the_order_of_their_instances(self, store: Store) -> None:
        for address in (CAROL, ALICE, BOB):
            await store.commit(commit_at(1, address, indexes=city("Rome", address.instance)))
        ordered = ["Rome/carol", "Rome/alice", "Rome/bob", "alice/alice", "bob/bob", "carol/carol"]
        assert await rows(store) == ordered
        assert await rows(store, IndexQuery(descending=True)) == ordered[::-1]

    async def test_values_are_ordered_by_code_points(self, store: Store) -> None:
        values = ["", "\x00", " ", "A", "Z", "a", "a\x00", "aa", "z", "ä", "日", "🙂"]
        await store.commit(commit_at(1, indexes=city(*reversed(values))))
        assert await rows(store) == [f"{value}/alice" for value in values]
        assert sorted(values) == values

    async def test_an_index_belongs_to_its_machine_and_org(self, store: Store) -> None:
        for address in (ALICE, Address("org-b", "person", "alice"), Address("org-a", "pet", "rex")):
            await store.commit(commit_at(1, address, indexes=(("city", address.org + address.machine),)))
        assert await rows(store) == ["org-aperson/alice"]
        assert await rows(store, index="nothing") == []

    @pytest.mark.parametrize(
        ("operator", "expected"),
        [
            (None, "aabbbc"),
            ("eq", "bbb"),
            ("ne", "aac"),
            ("gt", "c"),
            ("gte", "bbbc"),
            ("lt", "aa"),
            ("lte", "aabbb"),
        ],
    )
    async def test_an_operator_chooses_values_in_pages_of_any_size_and_both_directions(
        self, store: Store, operator: IndexOperator | None, expected: str
    ) -> None:
        for number, values in enumerate((("a", "b"), ("b", "c"), ("a", "b"))):
            await store.commit(commit_at(1, Address("org-a", "person", f"i{number}"), indexes=city(*values)))
        for limit, descending in itertools.product((1, 2, 3, 100), (False, True)):
            query = IndexQuery(operator=operator, value="b", descending=descending)
            found = [row.partition("/")[0] for row in await rows(store, query, limit=limit)]
            assert "".join(found) == (expected[::-1] if descending else expected)

    async def test_a_comparison_with_a_value_that_nobody_has_finds_its_neighbours(self, store: Store) -> None:
        await store.commit(commit_at(1, indexes=city("b", "d")))
        found = {
            operator: await rows(store, IndexQuery(operator=operator, value="c"))
            for operator in ("eq", "ne", "gt", "lte")
        }
        assert found == {"eq": [], "ne": ["b/alice", "d/alice"], "gt": ["d/alice"], "lte": ["b/alice"]}

    async def test_a_cursor_of_another_query_is_refused(self, store: Store) -> None:
        await store.commit(commit_at(1, indexes=city("a", "b", "c")))
        page = await store.query_index("org-a", "person", "city", ALL, cursor=None, limit=1)
        others = [
            ("org-b", "person", "city", ALL),
            ("org-a", "pet", "city", ALL),
            ("org-a", "person", "age", ALL),
            ("org-a", "person", "city", IndexQuery(descending=True)),
            ("org-a", "person", "city", IndexQuery(operator="gt", value="a")),
        ]
        for org, machine, index, query in others:
            with pytest.raises(InvalidParameter) as caught:
                await store.query_index(org, machine, index, query, cursor=page.cursor, limit=1)
            assert caught.value.parameter == "cursor"

    async def test_a_page_goes_on_where_it_ended_though_rows_come_and_go(self, store: Store) -> None:
        for address, value in ((ALICE, "a"), (BOB, "c"), (CAROL, "e")):
            await store.commit(commit_at(1, address, indexes=city(value)))
        page = await store.query_index("org-a", "person", "city", ALL, cursor=None, limit=2)
        await store.commit(commit_at(2, BOB, indexes=city("a")))
        await store.commit(commit_at(2, ALICE, indexes=city("d")))
        page = await store.query_index("org-a", "person", "city", ALL, cursor=page.cursor, limit=2)
        assert [row.value for row in page.rows] == ["d", "e"]

    async def test_indexes_and_migrations_survive_a_restart(self, store: Store) -> None:
        if not self.is_durable:
            pytest.skip("the store is not durable")
        await store.create_machine(machine_named("person"))
        await store.add_migration(migration_named("1"))
        await store.commit(commit_at(1, indexes=city("Rome"), desired_version="ver_2"))
        again = await self.reopen(store)
        try:
            record = await again.load(ALICE)
            assert record is not None
            assert record.desired_version_id == "ver_2"
            assert await rows(again) == ["Rome/alice"]
            assert (await again.list_migrations("org-a", "person", cursor=None, limit=9)).rows == [migration_named("1")]
        finally:
            await again.close()
