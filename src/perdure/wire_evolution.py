"""What travels over HTTP about machines that change: migrations, upgrades of their instances, and indexes.

The rules are those of ``perdure.wire``. Migrations, the desired version of an instance and index queries are State
Backed's; planning and applying upgrades for whole machines and building indexes anew are perdure's own.
"""

from __future__ import annotations

from typing import Literal

from perdure.wire import Version, WireStruct

__all__ = [
    "AddIndex",
    "CreateMigration",
    "FinalMigration",
    "IndexPage",
    "IndexRow",
    "MigrationSummary",
    "MigrationsPage",
    "PopulatedVersion",
    "Population",
    "ProvisionalMigration",
    "RebuildIndex",
    "RebuiltIndex",
    "SetDesiredVersion",
    "UpgradeInstances",
    "UpgradeOutcome",
    "UpgradeOutcomes",
]


# -- migrations --------------------------------------------------------------------------------------------------------


class CreateMigration(WireStruct, frozen=True, kw_only=True):
    """The contract's client sends the code along; it is uploaded all the same, and what comes here is ignored."""

    from_machine_version_id: str
    to_machine_version_id: str


class ProvisionalMigration(WireStruct, frozen=True, kw_only=True):
    """Where the code goes, as for a version."""

    machine_version_migration_id: str
    code_upload_url: str
    code_upload_fields: dict[str, str]


class FinalMigration(WireStruct, frozen=True, kw_only=True):
    machine_version_migration_id: str


class MigrationSummary(WireStruct, frozen=True, kw_only=True):
    id: str
    created_at: str
    from_machine_version_id: str
    to_machine_version_id: str


class MigrationsPage(WireStruct, frozen=True, kw_only=True):
    migrations: list[MigrationSummary]
    cursor: str | None = None


class SetDesiredVersion(WireStruct, frozen=True, kw_only=True):
    target_machine_version_id: str


# -- upgrades of whole machines ----------------------------------------------------------------------------------------


class PopulatedVersion(WireStruct, frozen=True, kw_only=True):
    machine_version: Version
    instances: int
    """How many run it, ended ones included."""


class Population(WireStruct, frozen=True, kw_only=True):
    """Which versions the instances of a machine run."""

    versions: list[PopulatedVersion]


class UpgradeInstances(WireStruct, frozen=True, kw_only=True):
    """Move, or plan to move, some instances: the named ones, or the next ``limit`` ones after ``cursor``."""

    target_machine_version_id: str
    instances: list[str] | None = None
    cursor: str | None = None
    limit: int = 100


class UpgradeOutcome(WireStruct, frozen=True, kw_only=True):
    """What an upgrade does, or would do, with one instance."""

    instance: str
    kind: Literal["moved", "pending", "there", "ended", "failed"]
    machine_version_id: str | None = None
    """The version it comes from."""
    before: str | None = None
    """The paths of the active leaves before, and after; of a plan only."""
    after: str | None = None
    code: str | None = None
    error: str | None = None


class UpgradeOutcomes(WireStruct, frozen=True, kw_only=True):
    outcomes: list[UpgradeOutcome]
    cursor: str | None = None


# -- indexes -----------------------------------------------------------------------------------------------------------


class IndexRow(WireStruct, frozen=True, kw_only=True):
    slug: str
    index_value: str


class IndexPage(WireStruct, frozen=True, kw_only=True):
    instances: list[IndexRow]
    cursor: str | None = None


class AddIndex(WireStruct, frozen=True, kw_only=True):
    """A selector for the versions that have none; by default the current version's."""

    selector: str | None = None


class RebuildIndex(WireStruct, frozen=True, kw_only=True):
    cursor: str | None = None
    limit: int = 100


class RebuiltIndex(WireStruct, frozen=True, kw_only=True):
    rebuilt: int
    failed: dict[str, str]
    """Why, by instance."""
    cursor: str | None = None
