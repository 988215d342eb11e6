"""What the store promises about machines, versions, uploads, orgs and keys."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from perdure.durable.records import Address
from perdure.durable.store import Store
from perdure.errors import InvalidState, NotFound
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    create,
    key_named,
    machine_named,
    names,
    org_named,
    upload_named,
    version_named,
)

__all__ = ["DefinitionContract"]


class DefinitionContract(StoreBinding):
    """Machines with their versions and uploads; orgs with their keys."""

    # -- machines ------------------------------------------------------------------------------------------------

    async def test_a_machine_is_answered_as_created(self, store: Store) -> None:
        machine = msgspec.structs.replace(
            machine_named("person"), created_at=12.5, current_version="ver_1", indexes=("$.public.city", "ü")
        )
        await store.create_machine(machine)
        assert await store.machine("org-a", "person") == machine
        assert await store.machine("org-b", "person") is None
        assert await store.machine("org-a", "pet") is None

    async def test_creating_a_machine_twice_raises_invalid_state_and_keeps_the_first(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        with pytest.raises(InvalidState):
            await store.create_machine(msgspec.structs.replace(machine_named("person"), created_at=99.0))
        assert await store.machine("org-a", "person") == machine_named("person")

    async def test_one_wins_when_many_create_the_same_machine_at_once(self, store: Store) -> None:
        outcomes = await asyncio.gather(
            *(store.create_machine(machine_named("person")) for _ in range(20)), return_exceptions=True
        )
        assert outcomes.count(None) == 1
        assert all(outcome is None or isinstance(outcome, InvalidState) for outcome in outcomes)

    async def test_deleting_a_machine_removes_its_versions_and_uploads_and_leaves_others(self, store: Store) -> None:
        for name in ("person", "pet"):
            await store.create_machine(machine_named(name))
            await store.add_version(version_named(f"of_{name}", name), make_current=True)
            await store.create_upload(upload_named(f"of_{name}", name))
        assert await store.delete_machine("org-a", "person") is True
        assert await store.machine("org-a", "person") is None
        assert await store.version("ver_of_person") is None
        assert await store.upload("upload-of_person") is None
        assert await store.machine("org-a", "pet") is not None
        assert await store.version("ver_of_pet") is not None
        assert await store.upload("upload-of_pet") is not None
        assert await store.delete_machine("org-a", "person") is False

    async def test_deleting_a_machine_raises_invalid_state_while_it_has_instances(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        await store.add_version(version_named("1"), make_current=True)
        instance = Address("org-a", "person", "alice")
        await create(store, instance, Address("org-b", "person", "alice"), Address("org-a", "pet", "rex"))
        with pytest.raises(InvalidState):
            await store.delete_machine("org-a", "person")
        assert await store.version("ver_1") is not None
        await store.delete_instance(instance)
        assert await store.delete_machine("org-a", "person") is True

    # -- versions ------------------------------------------------------------------------------------------------

    async def test_a_version_is_answered_as_added(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        hosted = msgspec.structs.replace(version_named("1"), source=None)
        uploaded = msgspec.structs.replace(version_named("2"), source="s = 'ß\x00'\n" * 10_000)
        await store.add_version(hosted, make_current=False)
        await store.add_version(uploaded, make_current=False)
        assert await store.version("ver_1") == hosted
        assert await store.version("ver_2") == uploaded
        assert await store.version("ver_3") is None

    async def test_a_version_becomes_current_only_when_asked(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        seen: list[str | None] = []
        for name, make_current in (("1", False), ("2", True), ("3", False), ("4", True)):
            await store.add_version(version_named(name), make_current=make_current)
            machine = await store.machine("org-a", "person")
            assert machine is not None
            seen.append(machine.current_version)
        assert seen == [None, "ver_2", "ver_2", "ver_4"]

    async def test_adding_a_version_again_changes_nothing_but_the_current_version(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        await store.add_version(version_named("1"), make_current=True)
        await store.add_version(version_named("2"), make_current=True)
        changed = msgspec.structs.replace(version_named("1"), source="other", client_info="other")
        await store.add_version(changed, make_current=False)
        machine = await store.machine("org-a", "person")
        assert machine is not None
        assert machine.current_version == "ver_2"
        await store.add_version(changed, make_current=True)
        machine = await store.machine("org-a", "person")
        assert machine is not None
        assert machine.current_version == "ver_1"
        assert await store.version("ver_1") == version_named("1")
        assert len((await store.list_versions("org-a", "person", cursor=None, limit=9)).rows) == 2

    async def test_adding_a_version_raises_not_found_when_there_is_no_such_machine(self, store: Store) -> None:
        await store.create_machine(machine_named("person", "org-b"))
        with pytest.raises(NotFound):
            await store.add_version(version_named("1"), make_current=True)
        assert await store.version("ver_1") is None

    async def test_a_version_id_of_another_machine_is_refused(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        await store.create_machine(machine_named("pet"))
        await store.add_version(version_named("1", "person"), make_current=True)
        with pytest.raises(InvalidState):
            await store.add_version(version_named("1", "pet"), make_current=True)
        assert await store.version("ver_1") == version_named("1", "person")
        assert await store.machine("org-a", "pet") == machine_named("pet")

    # -- uploads -------------------------------------------------------------------------------------------------

    async def test_an_upload_is_kept_until_it_is_deleted(self, store: Store) -> None:
        await store.create_machine(machine_named("person"))
        upload = upload_named("1")
        await store.create_upload(upload)
        assert await store.upload("upload-1") == upload
        assert await store.upload("upload-2") is None
        await store.delete_upload("upload-1")
        await store.delete_upload("upload-1")
        assert await store.upload("upload-1") is None

    async def test_a_second_filling_of_an_upload_replaces_the_first(self, store: Store) -> None:
        await store.create_upload(upload_named("1"))
        assert await store.fill_upload("upload-1", b"first", "a.py") is True
        code = bytes(range(256)) * 1000
        assert await store.fill_upload("upload-1", code, "b.py") is True
        assert await store.upload("upload-1") == msgspec.structs.replace(upload_named("1"), code=code, file_name="b.py")

    async def test_filling_an_unknown_upload_answers_false(self, store: Store) -> None:
        assert await store.fill_upload("upload-1", b"code", "a.py") is False
        assert await store.upload("upload-1") is None

    async def test_an_upload_id_in_use_is_refused(self, store: Store) -> None:
        await store.create_upload(upload_named("1"))
        await store.fill_upload("upload-1", b"code", "a.py")
        with pytest.raises(InvalidState):
            await store.create_upload(upload_named("1"))
        upload = await store.upload("upload-1")
        assert upload is not None
        assert upload.code == b"code"

    # -- orgs and keys -------------------------------------------------------------------------------------------

    async def test_creating_an_org_twice_raises_invalid_state_and_keeps_the_first(self, store: Store) -> None:
        await store.create_org(org_named("a"))
        with pytest.raises(InvalidState):
            await store.create_org(msgspec.structs.replace(org_named("a"), name="other"))
        assert (await store.list_orgs(cursor=None, limit=9)).rows == [org_named("a")]

    async def test_a_key_is_answered_as_created(self, store: Store) -> None:
        key = msgspec.structs.replace(key_named("1"), scopes=("a.read", "b.write"), sealed_secret=bytes(range(256)))
        await store.create_key(key)
        assert await store.key("sbk_1") == key
        assert await store.key("sbk_2") is None

    async def test_a_key_id_in_use_is_refused(self, store: Store) -> None:
        await store.create_key(key_named("1"))
        with pytest.raises(InvalidState):
            await store.create_key(msgspec.structs.replace(key_named("1"), org="org-b"))
        assert await store.key("sbk_1") == key_named("1")

    async def test_a_key_is_deleted_by_its_own_org_alone(self, store: Store) -> None:
        await store.create_key(key_named("1"))
        await store.create_key(key_named("2"))
        assert await store.delete_key("org-b", "sbk_1") is False
        assert await store.key("sbk_1") is not None
        assert await store.delete_key("org-a", "sbk_1") is True
        assert await store.delete_key("org-a", "sbk_1") is False
        assert await store.key("sbk_1") is None
        assert names((await store.list_keys("org-a", cursor=None, limit=9)).rows) == ["2"]
