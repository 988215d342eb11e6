"""Upgrades of living instances: migrations are brought in, instances are told where to go, and many are moved at once.

What an upgrade does to an instance is ``upgrade``'s business, and when it may happen the turn's. Here is who asks for
it, and with which migrations. A plan is a turn that is computed and not committed, so that it meets everything that the
real one will: the migrations, the new version's eventless transitions, the limits.

Whole machines are planned and moved in pages, driven by whoever asks: between two pages nothing is remembered, so that
stopping is not asking for the next page, and going on is asking again. An instance that is at its target already is
passed over.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

from perdure.durable.envelope import Envelope
from perdure.durable.message import Deliver, Message, SetVersion
from perdure.durable.records import Address, InstanceRecord, MigrationRecord, VersionRecord
from perdure.durable.upgrade import Migration, UpgradePath, find_path
from perdure.entropy import prefixed_id
from perdure.errors import (
    InstanceEnded,
    InvalidParameter,
    MigrationFailed,
    NoMigrationPath,
    NotFound,
    PerdureError,
    text_of,
)
from perdure.statechart.relocation import leaf_paths, shown_path
from perdure.statechart.snapshot import StateValue

if TYPE_CHECKING:
    from perdure.durable.runtime import Runtime

__all__ = ["Outcome", "OutcomeKind", "OutcomePage", "Upgrades"]

EMBEDDED_MIGRATIONS = uuid.UUID("8a3f0a52-6a0f-4b8c-9d2e-3f1a5b7c9e10")
"""Namespace of the ids of migrations whose code is part of the host application."""
PATH_FRESHNESS = 30_000.0
"""Milliseconds for which a path is trusted without asking the store whether another process has made a better one."""
MIGRATIONS_PER_PAGE = 1_000

OutcomeKind: TypeAlias = Literal["moved", "pending", "there", "ended", "failed"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an upgrade does, or would do, with one instance."""

    instance: str
    kind: OutcomeKind
    """``moved``: it is at the target now, or would be. ``pending``: it moves with the next event that finds it settled
    and running. ``there``: it was at the target already. ``ended``: it takes no more events and keeps its version.
    ``failed``: it cannot, and nothing of it has changed."""
    version_id: str | None = None
    """The version it comes from, where that was looked at."""
    before: str | None = None
    """The paths of its active leaves before, and after; only of a plan."""
    after: str | None = None
    code: str | None = None
    """Why it failed, as an error code and in words."""
    error: str | None = None


class OutcomePage(msgspec.Struct, frozen=True, kw_only=True):
    """The outcomes for some instances of a machine; ``cursor`` leads to the next ones, ``None`` at the end."""

    outcomes: list[Outcome]
    cursor: str | None = None


class Upgrades:
    """Everything about migrations and upgrades that a ``Runtime`` can do, as ``runtime.upgrades``."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._paths: dict[tuple[str, str], tuple[float, UpgradePath]] = {}

    # -- migrations --------------------------------------------------------------------------------

    async def deploy_migration(
        self,
        org: str,
        machine: str,
        source: str,
        *,
        from_version_id: str,
        to_version_id: str,
        file_name: str,
        migration_id: str | None = None,
    ) -> MigrationRecord:
        """Check a migration's source by loading it, then keep it.

        Raises ``MachineCodeError`` (does not import, exports no migration), ``InvalidParameter`` for versions that are
        not two of this machine's, ``NotFound`` (no such machine).
        """
        await self.check_versions(org, machine, from_version_id, to_version_id)
        self._runtime.host.check_migration(source, file_name)
        migration = MigrationRecord(
            id=migration_id or prefixed_id("mig", self._runtime.entropy.uuid()),
            org=org,
            machine=machine,
            created_at=self._runtime.clock.now(),
            from_version_id=from_version_id,
            to_version_id=to_version_id,
            content_hash=hashlib.sha256(source.encode()).hexdigest(),
            source=source,
            file_name=file_name,
        )
        await self._add(migration)
        return migration

    async def register_migration(
        self, org: str, machine: str, migration: Migration, *, from_label: str, to_label: str
    ) -> MigrationRecord:
        """Make known a migration of the host application's own code, between two labels of ``Runtime.register``.

        Its code is not stored; register it whenever the store is opened. The code of the version it leads from need not
        be there any more. Raises ``NotFound`` (no such machine).
        """
        runtime = self._runtime
        record = MigrationRecord(
            id=prefixed_id("mig", uuid.uuid5(EMBEDDED_MIGRATIONS, f"{org}/{machine}/{from_label}/{to_label}")),
            org=org,
            machine=machine,
            created_at=runtime.clock.now(),
            from_version_id=runtime.embedded_version_id(org, machine, from_label),
            to_version_id=runtime.embedded_version_id(org, machine, to_label),
            content_hash=hashlib.sha256(f"{from_label}/{to_label}".encode()).hexdigest(),
            source=None,
            file_name=f"<{machine}>",
        )
        runtime.host.provide_migration(record.id, migration)
        await self._add(record)
        return record

    async def check_versions(self, org: str, machine: str, from_version_id: str, to_version_id: str) -> None:
        """Refuse versions between which there can be no migration. Raises as ``deploy_migration`` does."""
        if await self._runtime.store.machine(org, machine) is None:
            raise NotFound(f"there is no machine {machine!r}")
        for parameter, version_id in (
            ("fromMachineVersionId", from_version_id),
            ("toMachineVersionId", to_version_id),
        ):
            await self._version(org, machine, version_id, parameter)
        if from_version_id == to_version_id:
            raise InvalidParameter("a migration leads from one version to another", "toMachineVersionId")

    async def migrations(self, org: str, machine: str) -> list[MigrationRecord]:
        """All migrations of a machine, oldest first."""
        found: list[MigrationRecord] = []
        cursor: str | None = None
        while True:
            page = await self._runtime.store.list_migrations(org, machine, cursor=cursor, limit=MIGRATIONS_PER_PAGE)
            found += page.rows
            if page.cursor is None:
                return found
            cursor = page.cursor

    async def _add(self, migration: MigrationRecord) -> None:
        await self._runtime.store.add_migration(migration)
        self._paths.clear()

    async def _version(self, org: str, machine: str, version_id: str, parameter: str) -> VersionRecord:
        version = await self._runtime.store.version(version_id)
        if version is None or (version.org, version.machine) != (org, machine):
            raise InvalidParameter(f"{version_id!r} is no version of machine {machine!r}", parameter)
        return version

    # -- one instance ------------------------------------------------------------------------------

    async def set_desired_version(self, address: Address, version_id: str) -> None:
        """Let an instance move to a version of its machine with the next event that finds it settled.

        Its present version takes a wish back that has not come true yet. Raises ``NotFound``, ``InvalidParameter`` (a
        version that is not this machine's: ``"targetMachineVersionId"``), ``NoMigrationPath``,
        ``InstanceEnded``.
        """
        await self._version(address.org, address.machine, version_id, "targetMachineVersionId")
        await self._ask(address, SetVersion(version_id=version_id))

    async def upgrade(self, address: Address, version_id: str) -> bool:
        """Move an instance to a version now, without an event; false when it has to wait for its next event.

        It waits when it is paused, or a service of it still runs. Raises what ``set_desired_version`` raises, and what
        the migration and the new version raise, in which case nothing has changed: ``EventFailed`` and its kinds.
        """
        await self._version(address.org, address.machine, version_id, "targetMachineVersionId")
        return await self._upgrade(address, version_id)

    async def _upgrade(self, address: Address, version_id: str) -> bool:
        return (await self._ask(address, SetVersion(version_id=version_id, at_once=True))).version_id == version_id

    async def _ask(self, address: Address, message: SetVersion) -> InstanceRecord:
        envelope = Envelope(message)
        self._runtime.submit(address, envelope)
        record = await envelope.answer
        assert record is not None, "an instance that is not there is an error"
        return record

    def may_concern(self, record: InstanceRecord, message: Message) -> bool:
        """Whether there may be a way to go: nearly always there is none."""
        return record.desired_version_id is not None or isinstance(message, SetVersion)

    async def path_for(self, record: InstanceRecord, message: Message) -> UpgradePath | None:
        """The way that a turn may have to go; ``None`` when the instance is where it should be.

        Raises ``NoMigrationPath``.
        """
        wanted = None
        if isinstance(message, SetVersion):
            wanted = message.version_id
        elif isinstance(message, Deliver):
            wanted = record.desired_version_id
        if wanted is None or wanted == record.version_id:
            return None
        return await self._path(record.address, record.version_id, wanted)

    async def _path(self, address: Address, from_version_id: str, to_version_id: str) -> UpgradePath:
        runtime, now = self._runtime, self._runtime.clock.now()
        known = self._paths.get((from_version_id, to_version_id))
        if known is not None and 0 <= now - known[0] < PATH_FRESHNESS:
            return known[1]
        migrations = find_path(await self.migrations(address.org, address.machine), from_version_id, to_version_id)
        if migrations is None:
            raise NoMigrationPath(
                f"no migrations of machine {address.machine!r} lead from version {from_version_id} to {to_version_id}"
            )
        versions = [await runtime.version(migration.to_version_id) for migration in migrations]
        path = UpgradePath(migrations=migrations, versions=tuple(versions))
        self._paths[from_version_id, to_version_id] = (now, path)
        return path

    # -- whole machines ----------------------------------------------------------------------------

    async def plan(
        self,
        org: str,
        machine: str,
        version_id: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> OutcomePage:
        """What an upgrade would do with some instances, or with the next ``limit`` ones. Nothing is changed.

        An instance with a running service counts as ``pending`` and is not tried. Raises ``NotFound`` (no such
        machine), ``InvalidParameter`` (version, cursor).
        """
        names, after = await self._page(org, machine, version_id, instances, cursor, limit)
        outcomes = [await self._planned(Address(org, machine, name), version_id) for name in names]
        return OutcomePage(outcomes=[outcome for outcome in outcomes if outcome is not None], cursor=after)

    async def apply(
        self,
        org: str,
        machine: str,
        version_id: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> OutcomePage:
        """Move some instances, or the next ``limit`` ones, to a version. Raises as ``plan`` does.

        Each moves by itself: one that fails leaves the others alone, and is as it was before.
        """
        names, after = await self._page(org, machine, version_id, instances, cursor, limit)
        outcomes = await asyncio.gather(*(self._applied(Address(org, machine, name), version_id) for name in names))
        return OutcomePage(outcomes=[outcome for outcome in outcomes if outcome is not None], cursor=after)

    async def _page(
        self, org: str, machine: str, version_id: str, instances: Sequence[str] | None, cursor: str | None, limit: int
    ) -> tuple[list[str], str | None]:
        store = self._runtime.store
        if await store.machine(org, machine) is None:
            raise NotFound(f"there is no machine {machine!r}")
        await self._version(org, machine, version_id, "targetMachineVersionId")
        if instances is not None:
            return list(instances), None
        page = await store.list_instances(org, machine, cursor=cursor, limit=limit)
        return [row.name for row in page.rows], page.cursor

    async def _planned(self, address: Address, version_id: str) -> Outcome | None:
        """``None`` for an instance that is gone."""
        runtime = self._runtime
        record = await runtime.store.load(address)  # user code is shown this one, not the one that others work with
        if record is None:
            return None
        kind = kind_of(record, version_id)
        outcome = Outcome(instance=address.instance, kind=kind, version_id=record.version_id)
        if kind != "moved":
            return outcome
        outcome = msgspec.structs.replace(outcome, before=shown_leaves(record.snapshot.value))
        message = SetVersion(version_id=version_id, at_once=True)
        try:
            turn = await runtime.host.turn(
                await runtime.version(record.version_id),
                address,
                msgspec.structs.replace(record, status="running"),
                message,
                now=runtime.clock.now(),
                fresh_name=runtime.fresh_name,
                lost=(),
                limits=runtime.settings.limits,
                upgrade=await self.path_for(record, message),
            )
        except PerdureError as error:
            return failed(outcome, error)
        return msgspec.structs.replace(outcome, after=shown_leaves(turn.commit.record.snapshot.value))

    async def _applied(self, address: Address, version_id: str) -> Outcome | None:
        outcome = Outcome(instance=address.instance, kind="moved")
        try:
            record = await self._runtime.record(address)
            if record is None:
                return None
            kind = kind_of(record, version_id)
            if kind not in ("there", "ended"):
                kind = "moved" if await self._upgrade(address, version_id) else "pending"
            return msgspec.structs.replace(outcome, kind=kind, version_id=record.version_id)
        except NotFound:
            return None
        except InstanceEnded:
            return msgspec.structs.replace(outcome, kind="ended")
        except PerdureError as error:
            return failed(outcome, error)


def kind_of(record: InstanceRecord, version_id: str) -> OutcomeKind:
    """What an instance can be expected to do."""
    if record.version_id == version_id:
        return "there"
    if record.snapshot.status != "active":
        return "ended"
    has_settled = all(child.is_persistent for child in record.snapshot.children.values())
    return "moved" if has_settled else "pending"


def failed(outcome: Outcome, error: PerdureError) -> Outcome:
    detail = error.detail if isinstance(error, MigrationFailed) else text_of(error)
    return msgspec.structs.replace(outcome, kind="failed", code=error.code, error=detail)


def shown_leaves(value: StateValue) -> str:
    return ", ".join(shown_path(path) for path in leaf_paths(value))
