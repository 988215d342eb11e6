"""The store protocol: what durability means here, method by method.

Two parts. The **strong part** (commits, loads, mail, definitions, keys) reads its own writes. The **reading part**
(lists and journal pages) may lag behind by a bound that each store states; the SQL stores serve both from the same
tables and do not lag. ``perdure.testing.store_contract`` holds every store to these sentences.

A method that returns has happened: once ``commit`` returns, the change survives the death of the process and of the
machine. A method that raises has not happened, with one exception that no distributed store can avoid: ``StoreError``
from a lost connection leaves it unknown whether the write happened, and the caller finds out by loading.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from perdure.durable.access_store import AccessStore
from perdure.durable.commit import Commit
from perdure.durable.evolution_store import EvolutionStore
from perdure.durable.group_store import GroupStore
from perdure.durable.records import (
    Address,
    InstanceRecord,
    InstanceSummary,
    JournalEntry,
    MachineRecord,
    Mail,
    MailCounts,
    Page,
    UploadRecord,
    VersionRecord,
)
from perdure.durable.upkeep_store import UpkeepStore

__all__ = ["STORE_RETRY_MILLISECONDS", "Store"]

STORE_RETRY_MILLISECONDS = 1000.0
"""How long whoever met a ``StoreError`` waits before asking again, so that a broken disk makes no busy loop."""


class Store(AccessStore, EvolutionStore, GroupStore, UpkeepStore, Protocol):
    """Where instances, mail, journals and definitions live. Who may use them is in ``AccessStore``, how they change in
    ``EvolutionStore``, whom a broadcast reaches in ``GroupStore``, what keeps them in order in ``UpkeepStore``.
    """

    # -- life --------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Make the store usable: connect, create or migrate its schema. Raises ``StoreError`` saying what to do."""
        ...

    async def close(self) -> None:
        """Finish the writes in flight and release everything. Safe to call twice."""
        ...

    # -- instances (strong) ------------------------------------------------------------------------

    async def commit(self, commit: Commit) -> None:
        """Apply a commit, all or nothing, durably.

        Raises ``InstanceExists`` when ``expected_sequence`` is ``None`` and the instance exists; ``SequenceConflict``
        when the instance is at another sequence, in another life or gone; ``MailGone`` when consumed mail is no longer
        pending, or is addressed to another instance; ``StoreError`` when an id of its mail or a sequence number of its
        journal is in use; ``ReceiptExists`` when the key of its receipt has one; ``TypeError`` for what JSON cannot
        say. Concurrent commits may share one durable write; each keeps its own outcome.
        """
        ...

    async def load(self, address: Address) -> InstanceRecord | None:
        """The instance as its last commit left it, or ``None``."""
        ...

    async def delete_instance(
        self, address: Address, *, expected: InstanceRecord | None = None, mail: tuple[Mail, ...] = ()
    ) -> bool:
        """Remove the instance with its journal, its receipts, its logs, the mail to it and the delayed mail from it.
        False if there is none.

        Dead letters go by the same rule. ``mail`` is what it leaves behind: sent in the same atomic step, or not at all
        when there is no such instance. Raises ``SequenceConflict`` when the instance is at another sequence or in
        another life than the record ``expected``, where one is given. A store on disk overwrites what is removed, and
        says how its last traces are removed.
        """
        ...

    # -- mail (strong) -----------------------------------------------------------------------------

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
        """Pending mail with ``after < due_at <= until`` and ``retry_at`` not after ``now``, oldest due first, equal
        ones as committed. ``until`` is ``now`` unless given, since mail can be asked for before it is due. Mail without
        a due time has that of 0, before all other.

        Mail whose sender has an earlier one (in that same order) to the same target waiting for its ``retry_at`` is
        left out: order per sender and receiver is kept across failures. Dead letters are left out. So is mail to the
        receivers in ``except_to``, and that with the ids in ``except_ids``; and mail that was committed after a
        broadcast of its sender of which shares have yet to be made.
        """
        ...

    async def next_mail_at(self, now: float) -> float | None:
        """The earliest time after ``now`` at which more mail may become due, or ``None`` when none is pending."""
        ...

    async def next_times(self, now: float, *, due_after: float) -> tuple[float | None, float | None]:
        """The first due time after ``due_after`` of mail that waits for that alone, and the first time after ``now`` at
        which mail waits to be tried again; ``None`` where there is none.
        """
        ...

    async def pending_mail(self, address: Address) -> list[Mail]:
        """Mail addressed to the instance that is not applied yet, timers included, oldest due first."""
        ...

    async def defer_mail(self, mail_id: str, *, attempts: int, retry_at: float, error: str) -> None:
        """Record a failed attempt. Unknown ids are no error: the mail was applied, cancelled or buried meanwhile."""
        ...

    async def drop_mail(self, mail_id: str) -> None:
        """Remove mail that nobody is left to apply, and nobody misses. Unknown ids are no error."""
        ...

    async def bury_mail(self, mail_id: str, *, attempts: int, at: float, error: str) -> None:
        """Turn mail into a dead letter: kept, listed, never due and never cancelled again. Unknown ids are no error."""
        ...

    async def count_mail(self, now: float) -> MailCounts:
        """How much mail there is, of all orgs. May be slow where there is much: for whoever watches the store."""
        ...

    async def list_dead_letters(self, org: str, *, cursor: str | None, limit: int) -> Page[Mail]:
        """Dead letters to the instances of an org, in the order in which they were buried."""
        ...

    # -- definitions (strong) ----------------------------------------------------------------------

    async def create_machine(self, machine: MachineRecord) -> None:
        """Raises ``InvalidState`` when the org has a machine of that name."""
        ...

    async def machine(self, org: str, name: str) -> MachineRecord | None: ...

    async def delete_machine(self, org: str, name: str) -> bool:
        """Remove a machine with its versions, migrations and uploads; false if there is none.

        Raises ``InvalidState`` while it has instances.
        """
        ...

    async def add_version(self, version: VersionRecord, *, make_current: bool) -> None:
        """Add a version; adding the same id twice changes nothing but, with ``make_current``, the current version.

        Raises ``NotFound`` when there is no such machine, ``InvalidState`` when the id is another machine's version.
        """
        ...

    async def version(self, version_id: str) -> VersionRecord | None: ...

    async def create_upload(self, upload: UploadRecord) -> None:
        """Raises ``InvalidState`` when the id is taken."""
        ...

    async def upload(self, upload_id: str) -> UploadRecord | None: ...

    async def fill_upload(self, upload_id: str, code: bytes, file_name: str) -> bool:
        """Keep the uploaded bytes; a second upload replaces them. False if there is no such upload."""
        ...

    async def delete_upload(self, upload_id: str) -> None: ...

    # -- lists (reading part) ----------------------------------------------------------------------
    # Ordered oldest first; a cursor is opaque, belongs to its list, and stays valid while rows come and go.
    # A cursor the store did not give out raises ``InvalidParameter("…", "cursor")``.

    async def list_machines(self, org: str, *, cursor: str | None, limit: int) -> Page[MachineRecord]: ...

    async def list_versions(self, org: str, machine: str, *, cursor: str | None, limit: int) -> Page[VersionRecord]: ...

    async def list_instances(
        self, org: str, machine: str, *, cursor: str | None, limit: int
    ) -> Page[InstanceSummary]: ...

    async def journal(self, address: Address, *, cursor: str | None, limit: int) -> Page[JournalEntry]:
        """The instance's journal, oldest entry first; empty when there is no such instance."""
        ...
