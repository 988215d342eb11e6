"""Records as rows and back. The orders of columns here are those of ``queries.sql``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.records import (
    Address,
    Creation,
    InstanceRecord,
    InstanceSummary,
    JournalEntry,
    KeyRecord,
    MachineRecord,
    Mail,
    MigrationRecord,
    OrgRecord,
    Parent,
    UploadRecord,
    VersionRecord,
)
from perdure.durable.upkeep_records import Receipt
from perdure.json_value import decode_json, encode_json
from perdure.statechart.snapshot import decode_snapshot

__all__ = [
    "Row",
    "address_row",
    "entry_of",
    "entry_row",
    "ids_row",
    "instance_of",
    "instance_row",
    "key_of",
    "key_row",
    "machine_of",
    "machine_row",
    "mail_list",
    "mail_of",
    "mail_row",
    "migration_of",
    "migration_row",
    "org_of",
    "paths_row",
    "receipt_row",
    "summary_of",
    "upload_of",
    "upload_row",
    "version_of",
    "version_row",
]

Row: TypeAlias = tuple[Any, ...]

_NOBODY = (None, None, None)

_parents = msgspec.json.Decoder(tuple[Parent, ...])
_creation = msgspec.json.Decoder(Creation)
_mail = msgspec.json.Decoder(list[Mail])
_selectors = msgspec.json.Decoder(dict[str, str])
_strings = msgspec.json.Decoder(tuple[str, ...])


def address_row(address: Address) -> tuple[str, str, str]:
    return (address.org, address.machine, address.instance)


def paths_row(addresses: Iterable[Address]) -> str:
    """Addresses as a JSON list of paths. No part of an address contains a slash."""
    return _text(["/".join(address_row(address)) for address in addresses])


def ids_row(ids: Iterable[str]) -> str:
    """Ids as a JSON list."""
    return _text(list(ids))


def instance_row(commit: Commit) -> Row:
    """Everything of the record but its address; last the name of its life, which no commit changes."""
    record = commit.record
    return (
        record.sequence,
        record.version_id,
        record.created_at,
        record.ts,
        record.status,
        _text(record.parents) if record.parents else "[]",
        record.desired_version_id,
        commit.snapshot_json.decode(),
        record.life,
    )


def instance_of(address: Address, row: Row) -> InstanceRecord:
    sequence, version_id, created_at, ts, status, parents, desired_version, snapshot, life = row
    return InstanceRecord(
        address=address,
        sequence=sequence,
        version_id=version_id,
        created_at=created_at,
        ts=ts,
        status=status,
        parents=_parents.decode(parents),
        desired_version_id=desired_version,
        life=life,
        snapshot=decode_snapshot(snapshot),
    )


def summary_of(row: Row) -> InstanceSummary:
    name, created_at, status, version_id = row
    return InstanceSummary(name=name, created_at=created_at, status=status, version_id=version_id)


def entry_row(entry: JournalEntry) -> Row:
    return (
        entry.sequence,
        entry.created_at,
        _text(entry.event),
        _text(entry.state),
        entry.version_id,
        *(_NOBODY if entry.sender is None else address_row(entry.sender)),
    )


def entry_of(row: Row) -> JournalEntry:
    sequence, created_at, event, state, version_id, *sender = row
    return JournalEntry(
        sequence=sequence,
        created_at=created_at,
        event=decode_json(event),
        state=decode_json(state),
        version_id=version_id,
        sender=Address(*sender) if sender[0] is not None else None,
    )


def mail_row(mail: Mail) -> Row:
    return (
        mail.id,
        mail.kind,
        *address_row(mail.sender),
        *address_row(mail.target),
        mail.due_at,
        None if mail.event is None else _text(mail.event),
        None if mail.creation is None else _text(mail.creation),
        mail.send_id,
        mail.is_delayed,
        mail.is_platform,
        mail.attempts,
        mail.retry_at,
        mail.last_error,
        mail.chain,
        mail.trace,
    )


def mail_of(row: Row) -> Mail:
    event, creation = row[9], row[10]
    return Mail(
        id=row[0],
        kind=row[1],
        sender=Address(*row[2:5]),
        target=Address(*row[5:8]),
        due_at=row[8],
        event=None if event is None else decode_json(event),
        creation=None if creation is None else _creation.decode(creation),
        send_id=row[11],
        is_delayed=bool(row[12]),
        is_platform=bool(row[13]),
        attempts=row[14],
        retry_at=row[15],
        last_error=row[16],
        chain=row[17],
        trace=row[18],
        buried_at=row[19] if len(row) > 19 else None,
    )


def mail_list(text: str | None) -> list[Mail]:
    """Mail that was read as one JSON array, in one step of SQLite: reading it row by row would stop and wait for the
    interpreter at each of them."""
    return [] if text is None else _mail.decode(text)


def receipt_row(receipt: Receipt) -> Row:
    """Everything of a receipt, and the time before which the one it replaces must be."""
    return (receipt.key, receipt.fingerprint, receipt.at, receipt.answer.decode(), receipt.expired_before)


def machine_row(machine: MachineRecord) -> Row:
    return (machine.org, machine.name, machine.created_at, machine.current_version, _text(machine.indexes))


def machine_of(row: Row) -> MachineRecord:
    org, name, created_at, current_version, indexes = row
    return MachineRecord(
        org=org,
        name=name,
        created_at=created_at,
        current_version=current_version,
        indexes=_strings.decode(indexes),
    )


def version_row(version: VersionRecord) -> Row:
    return (
        version.id,
        version.org,
        version.machine,
        version.created_at,
        version.client_info,
        version.content_hash,
        version.source,
        version.file_name,
        _text(version.index_selectors),
    )


def version_of(row: Row) -> VersionRecord:
    version_id, org, machine, created_at, client_info, content_hash, source, file_name, index_selectors = row
    return VersionRecord(
        id=version_id,
        org=org,
        machine=machine,
        created_at=created_at,
        client_info=client_info,
        content_hash=content_hash,
        source=source,
        file_name=file_name,
        index_selectors=_selectors.decode(index_selectors),
    )


def migration_row(migration: MigrationRecord) -> Row:
    return (
        migration.id,
        migration.org,
        migration.machine,
        migration.created_at,
        migration.from_version_id,
        migration.to_version_id,
        migration.content_hash,
        migration.source,
        migration.file_name,
    )


def migration_of(row: Row) -> MigrationRecord:
    migration_id, org, machine, created_at, from_version_id, to_version_id, content_hash, source, file_name = row
    return MigrationRecord(
        id=migration_id,
        org=org,
        machine=machine,
        created_at=created_at,
        from_version_id=from_version_id,
        to_version_id=to_version_id,
        content_hash=content_hash,
        source=source,
        file_name=file_name,
    )


def upload_row(upload: UploadRecord) -> Row:
    return (
        upload.id,
        upload.org,
        upload.machine,
        upload.created_at,
        upload.gzip,
        upload.version_id,
        upload.code,
        upload.file_name,
        upload.from_version_id,
        upload.to_version_id,
    )


def upload_of(row: Row) -> UploadRecord:
    upload_id, org, machine, created_at, gzip, version_id, code, file_name, from_version_id, to_version_id = row
    return UploadRecord(
        id=upload_id,
        org=org,
        machine=machine,
        created_at=created_at,
        gzip=bool(gzip),
        version_id=version_id,
        code=code,
        file_name=file_name,
        from_version_id=from_version_id,
        to_version_id=to_version_id,
    )


def key_row(key: KeyRecord) -> Row:
    return (key.id, key.org, key.name, _text(key.scopes), key.sealed_secret, key.created_at)


def key_of(row: Row) -> KeyRecord:
    key_id, org, name, scopes, sealed_secret, created_at = row
    return KeyRecord(
        id=key_id,
        org=org,
        name=name,
        scopes=_strings.decode(scopes),
        sealed_secret=sealed_secret,
        created_at=created_at,
    )


def org_of(row: Row) -> OrgRecord:
    org_id, name, created_at = row
    return OrgRecord(id=org_id, name=name, created_at=created_at)


def _text(value: Any) -> str:
    return encode_json(value).decode()
