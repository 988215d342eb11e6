"""Records for the contract's tests: valid, small, and different where a test needs to tell them apart."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from perdure.durable.commit import Commit
from perdure.durable.records import (
    Address,
    IdentityProviderRecord,
    InstanceRecord,
    JournalEntry,
    KeyRecord,
    MachineRecord,
    Mail,
    MigrationRecord,
    OrgRecord,
    TokenProviderRecord,
    UploadRecord,
    VersionRecord,
)
from perdure.durable.store import Store
from perdure.json_value import Json
from perdure.statechart.snapshot import Snapshot, encode_snapshot

__all__ = [
    "ALICE",
    "BOB",
    "CAROL",
    "commit_at",
    "create",
    "entry_at",
    "identity_provider_named",
    "ids",
    "key_named",
    "letter",
    "machine_named",
    "migration_named",
    "names",
    "org_named",
    "send",
    "timer",
    "token_provider_named",
    "upload_named",
    "version_named",
]

ALICE = Address("org-a", "person", "alice")
BOB = Address("org-a", "person", "bob")
CAROL = Address("org-a", "person", "carol")


def commit_at(
    sequence: int,
    address: Address = ALICE,
    *,
    life: str = "",
    context: Json = None,
    consumed: Iterable[str] = (),
    cancelled: Iterable[str] = (),
    cancels_all: bool = False,
    indexes: tuple[tuple[str, str], ...] | None = None,
    desired_version: str | None = None,
    mail: Iterable[Mail] = (),
    journal: Iterable[JournalEntry] = (),
) -> Commit:
    """The commit that brings an instance from the sequence before to this one; 1 creates it."""
    snapshot = Snapshot(machine=address.machine, configuration=("idle",), value="idle", context=context or {})
    record = InstanceRecord(
        address=address,
        life=life,
        sequence=sequence,
        version_id="ver_1",
        created_at=1000.0,
        ts=1000.0 + sequence,
        snapshot=snapshot,
        desired_version_id=desired_version,
    )
    return Commit(
        expected_sequence=sequence - 1 or None,
        consumed=tuple(consumed),
        cancelled=tuple(cancelled),
        cancels_all=cancels_all,
        indexes=indexes,
        record=record,
        snapshot_json=encode_snapshot(snapshot),
        journal=tuple(journal),
        mail=tuple(mail),
    )


async def create(store: Store, *addresses: Address) -> None:
    """Let instances be there, at sequence 1."""
    for address in addresses:
        await store.commit(commit_at(1, address))


async def send(store: Store, *mail: Mail) -> None:
    """Let mail be pending, committed in this order, by senders that are created or go on as needed."""
    for each in mail:
        sender = await store.load(each.sender)
        await store.commit(commit_at(sender.sequence + 1 if sender else 1, each.sender, mail=[each]))


def letter(mail_id: str, *, sender: Address = ALICE, target: Address = BOB, due_at: float = 0.0) -> Mail:
    """Mail from one instance to another, without delay."""
    return Mail(
        id=mail_id, kind="event", sender=sender, target=target, due_at=due_at, event={"type": "HELLO", "id": mail_id}
    )


def timer(mail_id: str, *, due_at: float, send_id: str, owner: Address = ALICE, target: Address | None = None) -> Mail:
    """Delayed mail from an instance, to itself where nobody else is named."""
    return Mail(
        id=mail_id,
        kind="event",
        sender=owner,
        target=target or owner,
        due_at=due_at,
        event={"type": "TICK"},
        send_id=send_id,
        is_delayed=True,
    )


def entry_at(sequence: int, event_type: str = "STEP") -> JournalEntry:
    return JournalEntry(
        sequence=sequence,
        created_at=1000.0 + sequence,
        event={"type": event_type},
        state="idle",
        version_id="ver_1",
    )


def org_named(name: str) -> OrgRecord:
    return OrgRecord(id=f"org_{name}", name=name, created_at=1.0)


def key_named(name: str, org: str = "org-a") -> KeyRecord:
    return KeyRecord(
        id=f"sbk_{name}",
        org=org,
        name=name,
        scopes=("events.write",),
        sealed_secret=b"\x00\xff" + name.encode(),
        created_at=1.0,
    )


def identity_provider_named(name: str, org: str = "org-a") -> IdentityProviderRecord:
    return IdentityProviderRecord(
        id=f"idp_{name}",
        org=org,
        aud=f"https://{name}.test/aud",
        iss=f"https://{name}.test/",
        algs=("HS256", "HS512"),
        mapping={"sub.$": "$.sub", "provider": name},
        sealed_key=b"\x00\xff" + name.encode(),
        created_at=1.0,
    )


def token_provider_named(name: str, org: str = "org-a") -> TokenProviderRecord:
    return TokenProviderRecord(org=org, service=name, key_id=f"sbk_{name}", mapping={"sub.$": "$.sub"}, created_at=1.0)


def machine_named(name: str, org: str = "org-a") -> MachineRecord:
    return MachineRecord(org=org, name=name, created_at=1.0)


def version_named(name: str, machine: str = "person", org: str = "org-a") -> VersionRecord:
    return VersionRecord(
        id=f"ver_{name}",
        org=org,
        machine=machine,
        created_at=1.0,
        client_info=f"release {name}",
        content_hash="ab" * 32,
        source=f"machine = {name!r}\n",
        file_name="machine.py",
    )


def migration_named(name: str, machine: str = "person", org: str = "org-a") -> MigrationRecord:
    return MigrationRecord(
        id=f"mig_{name}",
        org=org,
        machine=machine,
        created_at=1.0,
        from_version_id="ver_1",
        to_version_id="ver_2",
        content_hash="cd" * 32,
        source=f"name = {name!r}\n",
        file_name="migration.py",
    )


def upload_named(name: str, machine: str = "person", org: str = "org-a") -> UploadRecord:
    return UploadRecord(
        id=f"upload-{name}", org=org, machine=machine, created_at=1.0, gzip=True, version_id=f"ver_{name}"
    )


def ids(mail: Iterable[Mail]) -> list[str]:
    return [each.id for each in mail]


class Named(Protocol):
    @property
    def name(self) -> str: ...


def names(rows: Iterable[Named]) -> list[str]:
    return [row.name for row in rows]
