"""The reference store: what the store protocol means, in the plainest code that does it.

Where a sentence of ``perdure.durable.store`` leaves a question, the answer is here. Three rules keep it right:

- No method waits for anything, so every method is one atomic step of the event loop.
- A commit checks everything first and changes something only when nothing can fail any more.
- Values are copied through their JSON on the way in and on the way out, as if they had been on a disk: nobody holds a
  reference into the store, and a value that could not be stored elsewhere cannot be stored here.

It keeps its contents when it is closed, and loses them with the process. Mail is searched from end to end; for what
should be fast with many instances, take another store.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from itertools import count

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.records import (
    Address,
    IndexedInstance,
    IndexQuery,
    InstanceRecord,
    InstanceSummary,
    JournalEntry,
    MachineRecord,
    Mail,
    MailCounts,
    MigrationRecord,
    Page,
    UploadRecord,
    VersionRecord,
)
from perdure.errors import InstanceExists, InvalidState, MailGone, NotFound, ReceiptExists, SequenceConflict, StoreError
from perdure.statechart.snapshot import Snapshot, decode_snapshot
from perdure.stores.index_range import Place, index_page, index_scope, range_of
from perdure.stores.memory.groups import GroupTables
from perdure.stores.memory.kept import KeptInstance, Letter
from perdure.stores.memory.numbered import copy_of, page, record_of
from perdure.stores.memory.upkeep import UpkeepTables

__all__ = ["MemoryStore"]

_NO_SNAPSHOT = Snapshot(machine="", configuration=(), value=None)


class MemoryStore(UpkeepTables, GroupTables):
    """A store without durability, for tests, for trying things out and as the reference of the others."""

    def __init__(self) -> None:
        UpkeepTables.__init__(self, count(1))
        GroupTables.__init__(self)
        self._versions: dict[str, tuple[int, VersionRecord]] = {}
        self._migrations: dict[str, tuple[int, MigrationRecord]] = {}
        self._uploads: dict[str, UploadRecord] = {}

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    # -- instances -----------------------------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> None:
        address = commit.record.address
        kept = self._instances.get(address)
        _check_sequence(commit, kept)
        consumed = self._consumed(commit)
        removed = consumed | self._cancelled(commit)
        mail = self._outgoing(commit.mail, removed)
        journal = _new_entries(commit, kept)
        _check_receipt(commit, kept)

        for mail_id in removed:
            del self._mail[mail_id]
        record = msgspec.structs.replace(commit.record, snapshot=_NO_SNAPSHOT)
        if kept is None:
            self._instances[address] = KeptInstance(next(self._arrivals), record, commit.snapshot_json, journal)
        else:
            kept.record, kept.snapshot_json = record, commit.snapshot_json
            kept.journal.update(journal)
        if commit.indexes is not None:
            self._instances[address].indexes = commit.indexes
        if commit.receipt is not None:
            receipt = msgspec.structs.replace(commit.receipt, expired_before=0.0)
            self._instances[address].receipts[receipt.key] = receipt
        self._change_memberships(commit)
        self._send(mail)

    def _consumed(self, commit: Commit) -> set[str]:
        """The ids of the mail the commit applies: pending, addressed to its instance, none twice."""
        found: set[str] = set()
        for mail_id in commit.consumed:
            letter = self._mail.get(mail_id)
            if letter is None or letter.mail.target != commit.record.address or mail_id in found:
                raise MailGone(f"mail {mail_id} to {commit.record.address} is not pending: drop the turn")
            found.add(mail_id)
        return found

    def _cancelled(self, commit: Commit) -> set[str]:
        """The ids of the pending delayed mail that the commit makes void."""
        if not commit.cancelled and not commit.cancels_all:
            return set()
        return {
            mail_id
            for mail_id, letter in self._mail.items()
            if letter.mail.sender == commit.record.address
            and letter.mail.is_delayed
            and (commit.cancels_all or letter.mail.send_id in commit.cancelled)
        }

    async def load(self, address: Address) -> InstanceRecord | None:
        kept = self._instances.get(address)
        if kept is None:
            return None
        return msgspec.structs.replace(kept.record, snapshot=decode_snapshot(kept.snapshot_json))

    async def delete_instance(
        self, address: Address, *, expected: InstanceRecord | None = None, mail: tuple[Mail, ...] = ()
    ) -> bool:
        kept = self._instances.get(address)
        if kept is None:
            return False
        if expected is not None and _position(kept.record) != _position(expected):
            raise SequenceConflict(
                f"{address} is not at sequence {expected.sequence} any more, or not the same instance"
            )
        left_behind = self._outgoing(mail, set())
        del self._instances[address]
        self._end_memberships(address)

        def is_void(mail: Mail) -> bool:
            return mail.target == address or (mail.sender == address and mail.is_delayed)

        self._mail = {mail_id: letter for mail_id, letter in self._mail.items() if not is_void(letter.mail)}
        self._dead_letters = [letter for letter in self._dead_letters if not is_void(letter.mail)]
        self._logs = [entry for entry in self._logs if entry.address != address]
        self._send(left_behind)
        return True

    # -- mail ----------------------------------------------------------------------------------------------------

    async def due_mail(
        self,
        now: float,
        limit: int,
        *,
        after: float = -1.0,
        until: float | None = None,
        except_to: Collection[Address] = (),
        except_ids: Collection[str] = (),
    ) -> list[Mail]:
        held_back: set[tuple[Address, Address]] = set()
        under_way = self._first_broadcasts()
        due: list[Mail] = []
        for letter in self._in_order():
            mail = letter.mail
            if mail.sender in under_way and letter.place > under_way[mail.sender]:
                continue
            if mail.retry_at > now:
                held_back.add((mail.sender, mail.target))
            elif mail.target in except_to or mail.id in except_ids or mail.due_at <= after:
                continue
            elif mail.due_at <= (now if until is None else until) and (mail.sender, mail.target) not in held_back:
                due.append(copy_of(mail))
        return due[:limit]

    async def next_mail_at(self, now: float) -> float | None:
        return min((at for at in await self.next_times(now, due_after=now) if at is not None), default=None)

    async def next_times(self, now: float, *, due_after: float) -> tuple[float | None, float | None]:
        pending = [letter.mail for letter in self._mail.values()]
        due = (mail.due_at for mail in pending if mail.retry_at <= mail.due_at and mail.due_at > due_after)
        tried = (mail.retry_at for mail in pending if mail.retry_at > mail.due_at and mail.retry_at > now)
        return min(due, default=None), min(tried, default=None)

    async def pending_mail(self, address: Address) -> list[Mail]:
        return [copy_of(letter.mail) for letter in self._in_order() if letter.mail.target == address]

    async def defer_mail(self, mail_id: str, *, attempts: int, retry_at: float, error: str) -> None:
        letter = self._mail.get(mail_id)
        if letter is not None:
            letter.mail = msgspec.structs.replace(letter.mail, attempts=attempts, retry_at=retry_at, last_error=error)

    async def drop_mail(self, mail_id: str) -> None:
        self._mail.pop(mail_id, None)

    async def bury_mail(self, mail_id: str, *, attempts: int, at: float, error: str) -> None:
        letter = self._mail.pop(mail_id, None)
        if letter is not None:
            dead = msgspec.structs.replace(letter.mail, attempts=attempts, last_error=error, buried_at=at)
            self._dead_letters.append(Letter(next(self._arrivals), dead))

    async def count_mail(self, now: float) -> MailCounts:
        due = [letter.mail.due_at for letter in self._mail.values() if letter.mail.due_at <= now]
        return MailCounts(
            pending=len(self._mail),
            due=len(due),
            dead=len(self._dead_letters),
            oldest_due_at=min((due_at for due_at in due if due_at > 0), default=None),
        )

    async def list_dead_letters(self, org: str, *, cursor: str | None, limit: int) -> Page[Mail]:
        rows = ((letter.arrival, letter.mail) for letter in self._dead_letters if letter.mail.target.org == org)
        found = page(rows, ("dead-letters", org), cursor, limit)
        return Page([copy_of(mail) for mail in found.rows], found.cursor)

    def _in_order(self) -> list[Letter]:
        return sorted(self._mail.values(), key=lambda letter: letter.order)

    # -- definitions ---------------------------------------------------------------------------------------------

    async def create_machine(self, machine: MachineRecord) -> None:
        if (machine.org, machine.name) in self._machines:
            raise InvalidState(f"there is a machine named {machine.name} already")
        self._machines[machine.org, machine.name] = (next(self._arrivals), machine)

    async def machine(self, org: str, name: str) -> MachineRecord | None:
        return record_of(self._machines.get((org, name)))

    async def delete_machine(self, org: str, name: str) -> bool:
        if (org, name) not in self._machines:
            return False
        if any((address.org, address.machine) == (org, name) for address in self._instances):
            raise InvalidState(f"the machine {name} still has instances: delete them first")
        del self._machines[org, name]
        self._retentions.pop((org, name), None)
        self._versions = {
            version_id: (arrival, version)
            for version_id, (arrival, version) in self._versions.items()
            if (version.org, version.machine) != (org, name)
        }
        self._migrations = {
            migration_id: (arrival, migration)
            for migration_id, (arrival, migration) in self._migrations.items()
            if (migration.org, migration.machine) != (org, name)
        }
        self._uploads = {
            upload_id: upload
            for upload_id, upload in self._uploads.items()
            if (upload.org, upload.machine) != (org, name)
        }
        return True

    async def add_version(self, version: VersionRecord, *, make_current: bool) -> None:
        owner = (version.org, version.machine)
        if owner not in self._machines:
            raise NotFound(f"there is no machine named {version.machine}")
        _, present = self._versions.setdefault(version.id, (next(self._arrivals), version))
        if (present.org, present.machine) != owner:
            raise InvalidState(f"the version id {version.id} is taken by another machine")
        if make_current:
            arrival, machine = self._machines[owner]
            self._machines[owner] = (arrival, msgspec.structs.replace(machine, current_version=version.id))

    async def version(self, version_id: str) -> VersionRecord | None:
        return record_of(self._versions.get(version_id))

    async def add_migration(self, migration: MigrationRecord) -> None:
        owner = (migration.org, migration.machine)
        if owner not in self._machines:
            raise NotFound(f"there is no machine named {migration.machine}")
        _, present = self._migrations.setdefault(migration.id, (next(self._arrivals), migration))
        if (present.org, present.machine) != owner:
            raise InvalidState(f"the migration id {migration.id} is taken by another machine")

    async def list_migrations(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[MigrationRecord]:
        rows = (
            (arrival, migration)
            for arrival, migration in self._migrations.values()
            if (migration.org, migration.machine) == (org, machine)
        )
        return page(rows, ("migrations", org, machine), cursor, limit)

    async def create_upload(self, upload: UploadRecord) -> None:
        if upload.id in self._uploads:
            raise InvalidState(f"the upload id {upload.id} is taken")
        self._uploads[upload.id] = upload

    async def upload(self, upload_id: str) -> UploadRecord | None:
        return self._uploads.get(upload_id)

    async def fill_upload(self, upload_id: str, code: bytes, file_name: str) -> bool:
        upload = self._uploads.get(upload_id)
        if upload is None:
            return False
        self._uploads[upload_id] = msgspec.structs.replace(upload, code=code, file_name=file_name)
        return True

    async def delete_upload(self, upload_id: str) -> None:
        self._uploads.pop(upload_id, None)

    # -- indexes -------------------------------------------------------------------------------------------------

    async def add_index(self, org: str, machine: str, index: str, *, selector: str | None = None) -> None:
        if (org, machine) not in self._machines:
            raise NotFound(f"there is no machine named {machine}")
        arrival, record = self._machines[org, machine]
        if index not in record.indexes:
            changed = msgspec.structs.replace(record, indexes=(*record.indexes, index))
            self._machines[org, machine] = (arrival, changed)
        for version_id, (arrival, version) in self._versions.items():
            if selector is not None and (version.org, version.machine) == (org, machine):
                selectors = {index: selector, **version.index_selectors}
                self._versions[version_id] = (arrival, msgspec.structs.replace(version, index_selectors=selectors))

    async def query_index(
        self, org: str, machine: str, index: str, query: IndexQuery, *, cursor: str | None, limit: int
    ) -> Page[IndexedInstance]:
        scope = index_scope(org, machine, index, query)
        wanted = range_of(query, scope, cursor)
        found = sorted(
            (
                (Place(value, kept.arrival), address.instance)
                for address, kept in self._instances.items()
                for name, value in kept.indexes
                if (address.org, address.machine, name) == (org, machine, index)
                and wanted.contains(Place(value, kept.arrival))
            ),
            reverse=query.descending,
        )
        return index_page([(place, instance) for place, instance in found[: limit + 1]], limit, scope)

    async def count_instances(self, org: str, machine: str) -> dict[str, int]:
        return dict(
            Counter(
                kept.record.version_id
                for address, kept in self._instances.items()
                if (address.org, address.machine) == (org, machine)
            )
        )

    # -- lists ---------------------------------------------------------------------------------------------------

    async def list_machines(self, org: str, *, cursor: str | None, limit: int) -> Page[MachineRecord]:
        rows = ((arrival, machine) for arrival, machine in self._machines.values() if machine.org == org)
        return page(rows, ("machines", org), cursor, limit)

    async def list_versions(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[VersionRecord]:
        rows = (
            (arrival, version)
            for arrival, version in self._versions.values()
            if (version.org, version.machine) == (org, machine)
        )
        return page(rows, ("versions", org, machine), cursor, limit)

    async def list_instances(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[InstanceSummary]:
        rows = (
            (kept.arrival, _summary(kept.record))
            for address, kept in self._instances.items()
            if (address.org, address.machine) == (org, machine)
        )
        return page(rows, ("instances", org, machine), cursor, limit)

    async def journal(self, address: Address, *, cursor: str | None, limit: int) -> Page[JournalEntry]:
        kept = self._instances.get(address)
        rows: Iterable[tuple[int, JournalEntry]] = kept.journal.items() if kept else ()
        found = page(rows, ("journal", *msgspec.structs.astuple(address)), cursor, limit)
        return Page([copy_of(entry) for entry in found.rows], found.cursor)


def _check_sequence(commit: Commit, kept: KeptInstance | None) -> None:
    """The compare of the compare-and-swap."""
    address = commit.record.address
    if commit.expected_sequence is None:
        if kept is not None:
            raise InstanceExists(f"there is an instance {address} already")
        return
    if kept is None:
        raise SequenceConflict(f"{address} is gone: it was at sequence {commit.expected_sequence}")
    if kept.record.life != commit.record.life:
        raise SequenceConflict(f"{address} was deleted and is another instance now: reload it")
    if kept.record.sequence != commit.expected_sequence:
        raise SequenceConflict(
            f"{address} is at sequence {kept.record.sequence}, not at {commit.expected_sequence}: reload it"
        )


def _position(record: InstanceRecord) -> tuple[int, str]:
    return record.sequence, record.life


def _check_receipt(commit: Commit, kept: KeptInstance | None) -> None:
    """A key stands for one request until its receipt has expired."""
    if commit.receipt is None or kept is None:
        return
    present = kept.receipts.get(commit.receipt.key)
    if present is not None and present.at >= commit.receipt.expired_before:
        raise ReceiptExists(f"{commit.record.address} has applied the request {commit.receipt.key!r} already")


def _new_entries(commit: Commit, kept: KeptInstance | None) -> dict[int, JournalEntry]:
    """Copies of the journal entries the commit appends, by their sequence numbers, of which none may be taken."""
    entries = {entry.sequence: copy_of(entry) for entry in commit.journal}
    if len(entries) < len(commit.journal) or (kept and not entries.keys().isdisjoint(kept.journal.keys())):
        raise StoreError(f"{commit.record.address} has a journal entry under one of these sequence numbers already")
    return entries


def _summary(record: InstanceRecord) -> InstanceSummary:
    return InstanceSummary(
        name=record.address.instance,
        created_at=record.created_at,
        status=record.status,
        version_id=record.version_id,
    )
