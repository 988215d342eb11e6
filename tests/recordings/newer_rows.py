"""What later schemas have beside the first one's rows, written only by releases that know of it.

Each function is named for the schema version that brought its tables, and imports what that release had. What the
runtime of a release could not do yet, though its store could, is committed to the store as such.
"""

from __future__ import annotations

from typing import Any

import msgspec

from perdure import Address, Runtime
from perdure.durable.commit import Commit
from perdure.statechart.snapshot import encode_snapshot

__all__ = ["GROUP", "KEYED", "MEMBERS", "MOVED", "MOVED_VERSION", "ORG", "RETRIED", "fill_newer", "newer_answers"]

ORG = "org_recorded"
MOVED = Address(ORG, "bells", "moved")
MOVED_VERSION = "ver_recorded"
KEYED = Address(ORG, "bells", "keyed")
GROUP = "choir"
MEMBERS = (Address(ORG, "singers", "one"), Address(ORG, "singers", "two"))
RETRIED = Address(ORG, "workers", "one")

MIGRATION_SOURCE = """
def upgrade_state(path, context):
    return path

def upgrade_context(old_paths, new_paths, context):
    return {**context, "moved": True}
"""

SINGERS_SOURCE = """
from perdure import assign, create_machine, join_group

machine = create_machine({
    "id": "singers",
    "initial": "in",
    "context": {"sung": 0},
    "states": {
        "in": {
            "entry": join_group("choir"),
            "on": {"SING": {"actions": assign(sung=lambda context: context["sung"] + 1)}},
        },
    },
})

def allow_read(request):
    return True

def allow_write(request):
    return True
"""

WORKERS_SOURCE = """
from perdure import create_machine

async def work(context, event, meta):
    if meta.attempt == 1:
        raise ValueError("not at once")
    return meta.idempotency_key

invoke = {"id": "work", "src": "work", "retry": {"attempts": 3, "backoff": 60_000}, "onDone": "done", "onError": "sad"}
states = {"busy": {"invoke": invoke}, "done": {}, "sad": {}}
machine = create_machine({"id": "workers", "initial": "busy", "states": states}, services={"work": work})

def allow_read(request):
    return True

def allow_write(request):
    return True
"""


async def fill_newer(version: int, store: Any, runtime: Runtime, bells_source: str) -> None:
    """Write rows into the tables of all schemas after the first, up to ``version``."""
    if version >= 2:
        await fill_providers(store)
    if version >= 4:
        await fill_versions_and_indexes(store, runtime, bells_source)
    if version >= 6:
        await fill_upkeep(store, runtime)
    if version >= 8:
        await fill_groups(store, runtime)


async def fill_providers(store: Any) -> None:
    from perdure.durable.records import IdentityProviderRecord, TokenProviderRecord

    await store.put_identity_provider(
        IdentityProviderRecord(
            id="idp_recorded",
            org=ORG,
            aud="here",
            iss=None,
            algs=("HS256",),
            mapping={"sub.$": "$.sub"},
            sealed_key=bytes(range(64)),
            created_at=2.0,
        )
    )
    await store.put_token_provider(
        TokenProviderRecord(org=ORG, service="app", key_id="sbk_recorded", mapping={"sub.$": "$.sub"}, created_at=3.0)
    )


async def fill_versions_and_indexes(store: Any, runtime: Runtime, bells_source: str) -> None:
    """An instance with an index value that is to have another version, and the migration that leads there."""
    from perdure.durable.records import MigrationRecord

    await runtime.deploy(
        ORG,
        "bells",
        bells_source,
        file_name="bells.py",
        client_info="recorded",
        make_current=False,
        version_id=MOVED_VERSION,
    )
    await runtime.create_instance(MOVED)
    await runtime.idle()
    await store.add_index(ORG, "bells", "note", selector="$.public.note")
    record = await store.load(MOVED)
    await store.add_migration(
        MigrationRecord(
            id="mig_recorded",
            org=ORG,
            machine="bells",
            created_at=4.0,
            from_version_id=record.version_id,
            to_version_id=MOVED_VERSION,
            content_hash="0" * 64,
            source=MIGRATION_SOURCE,
            file_name="bells_migration.py",
        )
    )
    sequence = record.sequence
    record = msgspec.structs.replace(record, sequence=sequence + 1, desired_version_id=MOVED_VERSION)
    snapshot_json = encode_snapshot(record.snapshot)
    indexes = (("note", "\u266b"),)
    await store.commit(Commit(expected_sequence=sequence, record=record, snapshot_json=snapshot_json, indexes=indexes))
    runtime.forget(MOVED)


async def fill_upkeep(store: Any, runtime: Runtime) -> None:
    from perdure.durable.upkeep_records import JournalRetention, LogEntry

    await runtime.create_instance(KEYED)
    await runtime.send(KEYED, "RING", idempotency_key="recorded")
    await store.set_retention(JournalRetention(org=ORG, machine="refused", entries_max=9, age_max=None))
    entry = LogEntry(
        org=ORG,
        machine="bells",
        instance="keyed",
        version_id=MOVED_VERSION,
        at=1_000_000.0,
        output_type="stdout",
        text="ding",
    )
    await store.append_logs([entry])


async def fill_groups(store: Any, runtime: Runtime) -> None:
    """A group, with a broadcast to it that is under way; and a service that waits for its second attempt."""
    from perdure.durable.records import Mail, group_address, host_address

    for machine, source in (("singers", SINGERS_SOURCE), ("workers", WORKERS_SOURCE)):
        await runtime.create_machine(ORG, machine)
        await runtime.deploy(ORG, machine, source, file_name=f"{machine}.py", client_info="recorded")
    for address in (*MEMBERS, RETRIED):
        await runtime.create_instance(address)
    await runtime.idle()
    await store.post_mail(
        (
            Mail(
                id="broadcast-1#0",
                kind="broadcast",
                sender=host_address(ORG),
                target=group_address(ORG, GROUP),
                due_at=0.0,
                event={"type": "SING"},
            ),
        )
    )


async def newer_answers(store: Any) -> dict[str, Any]:
    """What a store says of these rows, as far as it knows such things."""
    said: dict[str, Any] = {}
    if hasattr(store, "list_identity_providers"):
        said["identity providers"] = (await store.list_identity_providers(ORG, cursor=None, limit=9)).rows
        said["token providers"] = (await store.list_token_providers(ORG, cursor=None, limit=9)).rows
    if hasattr(store, "query_index"):
        from perdure.durable.records import IndexQuery

        said["migrations"] = (await store.list_migrations(ORG, "bells", cursor=None, limit=9)).rows
        said["index"] = (await store.query_index(ORG, "bells", "note", IndexQuery(), cursor=None, limit=9)).rows
        said["versions in use"] = await store.count_instances(ORG, "bells")
        said[f"{MOVED}"] = await store.load(MOVED)
    if hasattr(store, "receipt"):
        said["receipt"] = await store.receipt(KEYED, "recorded")
        said["retentions"] = await store.list_retentions()
        said["logs"] = await store.logs(ORG, since=0.0, until=9e9, limit=9)
    if hasattr(store, "list_members"):
        said["members"] = (await store.list_members(ORG, GROUP, cursor=None, limit=9)).rows
        said["attempts"] = await store.pending_mail(RETRIED)
        said["broadcasts"] = await store.is_broadcasting(Address(ORG, "", ""))
    return said
