"""The operations of the HTTP API about machines that change: migrations, upgrades and indexes.

Planning and applying an upgrade, and building an index anew, go page by page: each call works on the next instances and
answers where to go on, so that whoever calls decides how fast, and may stop between any two.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

from perdure import wire_evolution as wire
from perdure.client.exchange import Operation, Upload, ask, follow, tell

__all__ = [
    "IndexOperator",
    "add_index",
    "apply_upgrade",
    "deploy_migration",
    "list_migrations",
    "plan_upgrade",
    "population",
    "query_index",
    "rebuild_index",
    "set_desired_version",
]

IndexOperator = Literal["eq", "ne", "gt", "gte", "lt", "lte"]


def list_migrations(machine: str, limit: int | None = None) -> Operation[list[wire.MigrationSummary]]:
    path = f"{_machine(machine)}/migrations"
    return (yield from follow(path, wire.MigrationsPage, lambda page: page.migrations, limit))


def deploy_migration(
    machine: str, source: str, *, from_version: str, to_version: str, file_name: str
) -> Operation[str]:
    """Upload a migration's source; the id of the migration."""
    migrations = f"{_machine(machine)}/migrations"
    body = wire.CreateMigration(from_machine_version_id=from_version, to_machine_version_id=to_version)
    provisional = yield from ask("POST", migrations, wire.ProvisionalMigration, body=body, query={"gzip": ""})
    upload = Upload(
        fields={
            **provisional.code_upload_fields,
            "content-type": "application/javascript",
            "content-encoding": "gzip",
        },
        file_name=file_name,
        content=gzip.compress(source.encode(), mtime=0),
    )
    yield from tell("POST", provisional.code_upload_url, upload=upload)
    path = f"{migrations}/{quote(provisional.machine_version_migration_id, safe='')}"
    final = yield from ask("PUT", path, wire.FinalMigration)
    return final.machine_version_migration_id


def set_desired_version(machine: str, instance: str, version: str) -> Operation[None]:
    path = f"{_machine(machine)}/i/{quote(instance, safe='')}/v"
    return (yield from tell("PUT", path, body=wire.SetDesiredVersion(target_machine_version_id=version)))


def population(machine: str) -> Operation[list[wire.PopulatedVersion]]:
    """Which versions the instances of a machine run, oldest version first."""
    answer = yield from ask("GET", f"{_machine(machine)}/upgrades", wire.Population)
    return answer.versions


def plan_upgrade(
    machine: str, version: str, *, instances: Sequence[str] | None = None, cursor: str | None = None, limit: int = 100
) -> Operation[wire.UpgradeOutcomes]:
    body = _upgrade(version, instances, cursor, limit)
    return (yield from ask("POST", f"{_machine(machine)}/upgrades/plan", wire.UpgradeOutcomes, body=body))


def apply_upgrade(
    machine: str, version: str, *, instances: Sequence[str] | None = None, cursor: str | None = None, limit: int = 100
) -> Operation[wire.UpgradeOutcomes]:
    body = _upgrade(version, instances, cursor, limit)
    return (yield from ask("POST", f"{_machine(machine)}/upgrades", wire.UpgradeOutcomes, body=body))


def query_index(
    machine: str,
    index: str,
    *,
    operator: IndexOperator | None = None,
    value: str = "",
    descending: bool = False,
    limit: int | None = None,
) -> Operation[list[wire.IndexRow]]:
    """The values of an index with their instances, ordered by value."""
    query = {"dir": "desc" if descending else "asc"}
    if operator is not None:
        query |= {"op": operator, "value": value}
    if limit is not None:
        query["limit"] = str(limit)
    return (
        yield from follow(_index(machine, index) + "/query", wire.IndexPage, lambda page: page.instances, limit, query)
    )


def add_index(machine: str, index: str, selector: str | None = None) -> Operation[None]:
    return (yield from tell("PUT", _index(machine, index), body=wire.AddIndex(selector=selector)))


def rebuild_index(
    machine: str, index: str, *, cursor: str | None = None, limit: int = 100
) -> Operation[wire.RebuiltIndex]:
    body = wire.RebuildIndex(cursor=cursor, limit=limit)
    return (yield from ask("POST", f"{_index(machine, index)}/rebuild", wire.RebuiltIndex, body=body))


def _upgrade(version: str, instances: Sequence[str] | None, cursor: str | None, limit: int) -> wire.UpgradeInstances:
    return wire.UpgradeInstances(
        target_machine_version_id=version,
        instances=None if instances is None else list(instances),
        cursor=cursor,
        limit=limit,
    )


def _machine(machine: str) -> str:
    return f"/machines/{quote(machine, safe='')}"


def _index(machine: str, index: str) -> str:
    return f"{_machine(machine)}/indexes/{quote(index, safe='')}"
