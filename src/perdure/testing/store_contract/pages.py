"""What every list promises: oldest first, whole, and cursors that stay valid while rows come and go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.durable.records import Address, InstanceSummary, Page
from perdure.durable.store import Store
from perdure.errors import InvalidParameter
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    commit_at,
    create,
    entry_at,
    identity_provider_named,
    key_named,
    letter,
    machine_named,
    org_named,
    send,
    token_provider_named,
    version_named,
)

__all__ = ["PageContract"]

HOME = Address("org-a", "person", "journal keeper")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One of the store's lists: how to add a row, remove one, and read a page of the names of its rows."""

    add: Callable[[Store, str], Awaitable[object]]
    remove: Callable[[Store, str], Awaitable[object]] | None
    page: Callable[[Store, str | None, int], Awaitable[Page[Any]]]
    name: Callable[[Any], str]


async def _append_to_journal(store: Store, name: str) -> None:
    kept = await store.load(HOME)
    sequence = kept.sequence + 1 if kept else 1
    await store.commit(commit_at(sequence, HOME, journal=[entry_at(sequence, name)]))


async def _bury(store: Store, name: str) -> None:
    await send(store, letter(name))
    await store.bury_mail(name, attempts=5, at=1.0, error="no")


async def _add_version(store: Store, name: str) -> None:
    if await store.machine("org-a", "person") is None:
        await store.create_machine(machine_named("person"))
    await store.add_version(version_named(name), make_current=False)


LISTINGS = {
    "orgs": Listing(
        add=lambda store, name: store.create_org(org_named(name)),
        remove=None,
        page=lambda store, cursor, limit: store.list_orgs(cursor=cursor, limit=limit),
        name=lambda org: str(org.name),
    ),
    "keys": Listing(
        add=lambda store, name: store.create_key(key_named(name)),
        remove=lambda store, name: store.delete_key("org-a", f"sbk_{name}"),
        page=lambda store, cursor, limit: store.list_keys("org-a", cursor=cursor, limit=limit),
        name=lambda key: str(key.name),
    ),
    "identity providers": Listing(
        add=lambda store, name: store.put_identity_provider(identity_provider_named(name)),
        remove=lambda store, name: store.delete_identity_provider(
            "org-a", aud=f"https://{name}.test/aud", iss=f"https://{name}.test/"
        ),
        page=lambda store, cursor, limit: store.list_identity_providers("org-a", cursor=cursor, limit=limit),
        name=lambda provider: str(provider.id).removeprefix("idp_"),
    ),
    "token providers": Listing(
        add=lambda store, name: store.put_token_provider(token_provider_named(name)),
        remove=lambda store, name: store.delete_token_provider("org-a", name),
        page=lambda store, cursor, limit: store.list_token_providers("org-a", cursor=cursor, limit=limit),
        name=lambda provider: str(provider.service),
    ),
    "machines": Listing(
        add=lambda store, name: store.create_machine(machine_named(name)),
        remove=lambda store, name: store.delete_machine("org-a", name),
        page=lambda store, cursor, limit: store.list_machines("org-a", cursor=cursor, limit=limit),
        name=lambda machine: str(machine.name),
    ),
    "versions": Listing(
        add=_add_version,
        remove=None,
        page=lambda store, cursor, limit: store.list_versions("org-a", "person", cursor=cursor, limit=limit),
        name=lambda version: str(version.id).removeprefix("ver_"),
    ),
    "instances": Listing(
        add=lambda store, name: create(store, Address("org-a", "person", name)),
        remove=lambda store, name: store.delete_instance(Address("org-a", "person", name)),
        page=lambda store, cursor, limit: store.list_instances("org-a", "person", cursor=cursor, limit=limit),
        name=lambda summary: str(summary.name),
    ),
    "journal": Listing(
        add=_append_to_journal,
        remove=None,
        page=lambda store, cursor, limit: store.journal(HOME, cursor=cursor, limit=limit),
        name=lambda entry: str(entry.event["type"]),
    ),
    "dead letters": Listing(
        add=_bury,
        remove=None,
        page=lambda store, cursor, limit: store.list_dead_letters("org-a", cursor=cursor, limit=limit),
        name=lambda mail: str(mail.id),
    ),
}

# Not in alphabetical order, so that a list sorted by name is not taken for one in the order of arrival.
NAMES = ["m", "c", "x", "a", "z", "b", "k"]

every_list = pytest.mark.parametrize("listing", LISTINGS.values(), ids=LISTINGS.keys())
every_list_with_deletion = pytest.mark.parametrize(
    "listing",
    [listing for listing in LISTINGS.values() if listing.remove],
    ids=[name for name, listing in LISTINGS.items() if listing.remove],
)


class PageContract(StoreBinding):
    """All lists alike, then what is special to one."""

    @every_list
    @pytest.mark.parametrize("limit", [1, 2, 3, 6, 7, 8, 100])
    async def test_pages_hold_every_row_once_oldest_first(self, store: Store, listing: Listing, limit: int) -> None:
        for name in NAMES:
            await listing.add(store, name)
        seen: list[str] = []
        cursor: str | None = None
        pages = 0
        while pages == 0 or cursor is not None:
            page = await listing.page(store, cursor, limit)
            assert 0 < len(page.rows) <= limit
            seen += map(listing.name, page.rows)
            cursor = page.cursor
            pages += 1
        assert seen == NAMES
        assert pages == -(-len(NAMES) // limit)

    @every_list
    async def test_an_empty_list_is_one_empty_page(self, store: Store, listing: Listing) -> None:
        page = await listing.page(store, None, 5)
        assert (list(page.rows), page.cursor) == ([], None)

    @every_list
    async def test_rows_that_come_after_the_first_page_are_on_the_later_ones(
        self, store: Store, listing: Listing
    ) -> None:
        for name in NAMES[:4]:
            await listing.add(store, name)
        first = await listing.page(store, None, 2)
        for name in NAMES[4:]:
            await listing.add(store, name)
        rest = await listing.page(store, first.cursor, 100)
        assert list(map(listing.name, rest.rows)) == NAMES[2:]

    @every_list_with_deletion
    async def test_a_cursor_stays_valid_when_rows_around_it_go(self, store: Store, listing: Listing) -> None:
        assert listing.remove is not None
        for name in NAMES:
            await listing.add(store, name)
        first = await listing.page(store, None, 3)
        for gone in (NAMES[0], NAMES[2], NAMES[3]):
            await listing.remove(store, gone)
        rest = await listing.page(store, first.cursor, 100)
        assert list(map(listing.name, rest.rows)) == NAMES[4:]

    @every_list_with_deletion
    async def test_a_row_that_takes_the_place_of_the_newest_is_not_skipped(
        self, store: Store, listing: Listing
    ) -> None:
        assert listing.remove is not None
        for name in NAMES[:3]:
            await listing.add(store, name)
        first = await listing.page(store, None, 2)
        for gone in NAMES[1:3]:
            await listing.remove(store, gone)
        await listing.add(store, NAMES[3])
        rest = await listing.page(store, first.cursor, 100)
        assert list(map(listing.name, rest.rows)) == [NAMES[3]]

    @every_list
    @pytest.mark.parametrize(
        "cursor", ["", "x", "not a cursor", "AAAA", "A" * 22, "é" * 22, "1", "0" * 400, "%00", "A" * 21 + "\n"]
    )
    async def test_a_cursor_that_was_not_given_out_is_refused(
        self, store: Store, listing: Listing, cursor: str
    ) -> None:
        for name in NAMES:
            await listing.add(store, name)
        with pytest.raises(InvalidParameter) as raised:
            await listing.page(store, cursor, 2)
        assert raised.value.parameter == "cursor"

    @every_list
    async def test_a_cursor_of_another_list_is_refused(self, store: Store, listing: Listing) -> None:
        cursors: list[str] = []
        for other in LISTINGS.values():
            for name in ("one", "two"):
                await other.add(store, name)
            page = await other.page(store, None, 1)
            assert page.cursor is not None
            if other is not listing:
                cursors.append(page.cursor)
        for cursor in cursors:
            with pytest.raises(InvalidParameter):
                await listing.page(store, cursor, 1)

    async def test_a_cursor_of_another_org_or_machine_is_refused(self, store: Store) -> None:
        await create(store, *(Address("org-a", "person", name) for name in NAMES))
        cursor = (await store.list_instances("org-a", "person", cursor=None, limit=1)).cursor
        assert cursor is not None
        for org, machine in (("org-b", "person"), ("org-a", "pet")):
            with pytest.raises(InvalidParameter):
                await store.list_instances(org, machine, cursor=cursor, limit=1)

    async def test_a_cursor_is_url_safe(self, store: Store) -> None:
        for name in NAMES:
            await store.create_org(org_named(name))
        cursor = (await store.list_orgs(cursor=None, limit=1)).cursor
        assert cursor is not None
        assert cursor.replace("-", "").replace("_", "").isalnum()
        assert cursor.isascii()

    async def test_lists_hold_only_their_own_org_and_machine(self, store: Store) -> None:
        for org in ("org-a", "org-b"):
            await store.create_key(key_named(f"of-{org}", org))
            for machine in ("person", "pet"):
                await store.create_machine(machine_named(machine, org))
                await store.add_version(version_named(f"{org}-{machine}", machine, org), make_current=False)
                await create(store, Address(org, machine, f"{org}-{machine}"))
        keys = await store.list_keys("org-b", cursor=None, limit=9)
        machines = await store.list_machines("org-b", cursor=None, limit=9)
        versions = await store.list_versions("org-b", "pet", cursor=None, limit=9)
        instances = await store.list_instances("org-b", "pet", cursor=None, limit=9)
        assert [key.name for key in keys.rows] == ["of-org-b"]
        assert [(machine.org, machine.name) for machine in machines.rows] == [("org-b", "person"), ("org-b", "pet")]
        assert [version.id for version in versions.rows] == ["ver_org-b-pet"]
        assert [instance.name for instance in instances.rows] == ["org-b-pet"]

    async def test_an_instance_keeps_its_place_in_the_list_when_it_goes_on(self, store: Store) -> None:
        first, second = Address("org-a", "person", "first"), Address("org-a", "person", "second")
        await create(store, first, second)
        await store.commit(commit_at(2, first))
        page = await store.list_instances("org-a", "person", cursor=None, limit=9)
        assert page.rows == [
            InstanceSummary(name=name, created_at=1000.0, status="running", version_id="ver_1")
            for name in ("first", "second")
        ]
