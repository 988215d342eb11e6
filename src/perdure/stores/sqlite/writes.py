"""What the writer does to the tables, one function per method of the protocol.

Each runs inside a transaction: it may stop anywhere by raising, and nothing of it stays. Rows are prepared before, on
the caller's side, so that the transaction that everybody waits for only runs statements.
"""

from __future__ import annotations

import sqlite3

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.indexes import IndexValue
from perdure.durable.records import Address, InstanceRecord, VersionRecord
from perdure.errors import InstanceExists, InvalidState, MailGone, NotFound, ReceiptExists, SequenceConflict
from perdure.stores.sqlite.groups import MembershipChanges
from perdure.stores.sqlite.inbox import HEAVY
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import (
    Row,
    address_row,
    entry_row,
    instance_row,
    mail_row,
    receipt_row,
    version_row,
)

__all__ = ["PreparedCommit", "add_version", "advance_together", "bury_mail", "delete_instance", "delete_machine"]

_ENTRY_BYTES = 200
_MAIL_BYTES = 600
"""About what a journal entry and a piece of mail are beside their events."""


class PreparedCommit(msgspec.Struct, frozen=True):
    """A commit as rows, and as the work of writing them. Making one raises ``TypeError`` for what JSON cannot say."""

    address: Address
    expected_sequence: int | None
    instance: Row
    journal: list[Row]
    consumed: tuple[str, ...]
    mail: list[Row]
    is_plain: bool
    """Whether there is nothing but the above, and the instance exists: see ``advance_together``."""
    bytes: int
    """About how many are written."""
    cancelled: tuple[str, ...] = ()
    cancels_all: bool = False
    memberships: MembershipChanges | None = None
    indexes: frozenset[IndexValue] | None = None
    receipt: Row | None = None

    @property
    def weight(self) -> float:
        """For the event loop: ``HEAVY`` where it depends on what is in the store."""
        return self.bytes if self.memberships is None else HEAVY

    @classmethod
    def of(cls, commit: Commit) -> PreparedCommit:
        instance = instance_row(commit)
        journal, mail, size = [], [], len(commit.snapshot_json)
        for entry in commit.journal:
            row = entry_row(entry)
            journal.append(row)
            size += _ENTRY_BYTES + len(row[2])
        for each in commit.mail:
            row = mail_row(each)
            mail.append(row)
            size += _MAIL_BYTES + len(row[9] or "") + len(row[10] or "")
        address, expected = commit.record.address, commit.expected_sequence
        has_memberships = commit.cancels_all or commit.leaves or commit.joins
        if not (has_memberships or commit.cancelled or commit.indexes is not None or commit.receipt is not None):
            is_plain = expected is not None
            return cls(address, expected, instance, journal, commit.consumed, mail, is_plain, size)
        return cls(
            address,
            expected,
            instance,
            journal,
            commit.consumed,
            mail,
            is_plain=False,
            bytes=size,
            cancelled=commit.cancelled,
            cancels_all=commit.cancels_all,
            memberships=MembershipChanges(commit) if has_memberships else None,
            indexes=None if commit.indexes is None else frozenset(commit.indexes),
            receipt=None if commit.receipt is None else receipt_row(commit.receipt),
        )

    def __call__(self, connection: sqlite3.Connection) -> int:
        """Write the commit; answers the instance's key.

        Raises ``InstanceExists``, ``SequenceConflict``, ``MailGone``, ``ReceiptExists``; ``sqlite3.IntegrityError``
        for ids in use.
        """
        address = address_row(self.address)
        key = self._swap(connection, address)
        for mail_id in self.consumed:
            if connection.execute(QUERIES["consume_mail"], (mail_id, *address)).rowcount == 0:
                raise MailGone(f"mail {mail_id} to {self.address} is not pending: drop the turn")
        if self.cancels_all:
            connection.execute(QUERIES["cancel_all_mail"], address)
        elif self.cancelled:
            connection.executemany(QUERIES["cancel_mail"], [(*address, send_id) for send_id in self.cancelled])
        if self.memberships is not None:
            self.memberships.apply(connection)
        if self.journal:
            connection.executemany(QUERIES["append_journal"], [(key, *entry) for entry in self.journal])
        if self.indexes is not None:
            self._index(connection, key, address, self.indexes)
        if self.mail:
            connection.executemany(QUERIES["send_mail"], self.mail)
        if self.receipt is not None and not self._keep_receipt(connection, (*address, *self.receipt)):
            raise ReceiptExists(f"{self.address} has applied the request {self.receipt[0]!r} already")
        return key

    def _index(self, connection: sqlite3.Connection, key: int, address: Row, wanted: frozenset[IndexValue]) -> None:
        """Let the instance be found by these values; only what differs is written."""
        present = set(connection.execute(QUERIES["index_values_of"], (key,)).fetchall())
        for query, values in (("remove_index_value", present - wanted), ("add_index_value", wanted - present)):
            if values:
                connection.executemany(QUERIES[query], [(*address[:2], *value, key) for value in values])

    def _swap(self, connection: sqlite3.Connection, address: Row) -> int:
        """The compare-and-swap; answers the instance's key."""
        if self.expected_sequence is None:
            changed = connection.execute(QUERIES["create_instance"], (*address, *self.instance)).fetchall()
            if not changed:
                raise InstanceExists(f"there is an instance {self.address} already")
        else:
            parameters = (*self.instance, *address, self.expected_sequence)
            changed = connection.execute(QUERIES["advance_instance"], parameters).fetchall()
            if not changed:
                raise self._conflict(connection, address)
        key: int = changed[0][0]
        return key

    def _keep_receipt(self, connection: sqlite3.Connection, row: Row) -> bool:
        return connection.execute(QUERIES["add_receipt"], row).rowcount > 0

    def _conflict(self, connection: sqlite3.Connection, address: Row) -> SequenceConflict:
        present = connection.execute(QUERIES["instance_position"], address).fetchone()
        if present is None:
            return SequenceConflict(f"{self.address} is gone: it was at sequence {self.expected_sequence}")
        sequence, life = present
        if life != self.instance[-1]:
            return SequenceConflict(f"{self.address} was deleted and is another instance now: reload it")
        return SequenceConflict(f"{self.address} is at sequence {sequence}, not at {self.expected_sequence}: reload it")


def advance_together(connection: sqlite3.Connection, commits: dict[int, PreparedCommit]) -> None:
    """Write plain commits, of different instances, by the keys of these: each statement once for all of them.

    Raises when any of them cannot be written, without saying which.
    """
    pairs = commits.items()
    swaps = [(*commit.instance, key, commit.expected_sequence) for key, commit in pairs]
    if connection.executemany(QUERIES["advance_instance_of_key"], swaps).rowcount != len(swaps):
        raise SequenceConflict("an instance is not at the sequence that its commit began from")
    consumed = [(each, *address_row(commit.address)) for commit in commits.values() for each in commit.consumed]
    mail = [row for commit in commits.values() for row in commit.mail]
    if consumed:
        if connection.executemany(QUERIES["consume_mail"], consumed).rowcount != len(consumed):
            raise MailGone("mail is not pending")
        if mail and not {mail_id for mail_id, *_ in consumed}.isdisjoint(mail_id for mail_id, *_ in mail):
            raise MailGone("one commit consumes what another one sends: it matters which is first")
    entries = [(key, *entry) for key, commit in pairs for entry in commit.journal]
    if entries:
        connection.executemany(QUERIES["append_journal"], entries)
    if mail:
        connection.executemany(QUERIES["send_mail"], mail)


def delete_instance(
    connection: sqlite3.Connection, address: Address, expected: InstanceRecord | None, mail: list[Row]
) -> bool:
    row = address_row(address)
    present = connection.execute(QUERIES["instance_position"], row).fetchone()
    if present is not None and expected is not None and present != (expected.sequence, expected.life):
        raise SequenceConflict(f"{address} is not at sequence {expected.sequence} any more, or not the same instance")
    if connection.execute(QUERIES["delete_instance"], row).rowcount == 0:
        return False
    for query in (
        "delete_mail_to",
        "cancel_all_mail",
        "delete_dead_letters_to",
        "delete_delayed_dead_letters_from",
        "delete_receipts_of",
        "delete_logs_of",
        "delete_memberships",
    ):
        connection.execute(QUERIES[query], row)
    connection.executemany(QUERIES["send_mail"], mail)
    return True


def bury_mail(connection: sqlite3.Connection, mail_id: str, attempts: int, at: float, error: str) -> None:
    connection.execute(QUERIES["copy_to_dead_letters"], (attempts, error, at, mail_id))
    connection.execute(QUERIES["delete_mail"], (mail_id,))


def delete_machine(connection: sqlite3.Connection, org: str, name: str) -> bool:
    (has_instances,) = connection.execute(QUERIES["machine_has_instances"], (org, name)).fetchone()
    if connection.execute(QUERIES["delete_machine"], (org, name)).rowcount == 0:
        return False
    if has_instances:
        raise InvalidState(f"the machine {name} still has instances: delete them first")
    connection.execute(QUERIES["delete_uploads_of"], (org, name))
    return True


def add_version(connection: sqlite3.Connection, version: VersionRecord, make_current: bool) -> None:
    owner = (version.org, version.machine)
    if connection.execute(QUERIES["load_machine"], owner).fetchone() is None:
        raise NotFound(f"there is no machine named {version.machine}")
    if connection.execute(QUERIES["add_version"], version_row(version)).rowcount == 0:
        _, org, machine, *_ = connection.execute(QUERIES["load_version"], (version.id,)).fetchone()
        if (org, machine) != owner:
            raise InvalidState(f"the version id {version.id} is taken by another machine")
    if make_current:
        connection.execute(QUERIES["set_current_version"], (version.id, *owner))
