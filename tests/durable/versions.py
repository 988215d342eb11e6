"""Machines with several versions, and instances that move between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure import Definition, Runtime, WriteRequest, create_machine
from perdure.durable.records import MigrationRecord, VersionRecord
from perdure.durable.upgrade import Migration
from tests.durable.world import ORG


def definition(
    config: dict[str, Any],
    *,
    name: str = "order",
    allow_write: Callable[[WriteRequest], bool] | None = None,
    index_selectors: dict[str, str] | None = None,
    **named: Any,
) -> Definition:
    return Definition(
        machine=create_machine({"id": name, **config}, **named),
        allow_read=lambda request: True,
        allow_write=allow_write or (lambda request: True),
        index_selectors=index_selectors or {},
    )


async def register(
    runtime: Runtime, label: str, config: dict[str, Any], *, name: str = "order", **options: Any
) -> VersionRecord:
    """A version of a machine, which is current from then on."""
    return await runtime.register(ORG, name, definition(config, name=name, **options), label=label)


async def migrate(
    runtime: Runtime,
    from_label: str,
    to_label: str,
    *,
    name: str = "order",
    state: Callable[[list[str], Any], Any] | None = None,
    context: Callable[[Any, Any, Any], Any] | None = None,
) -> MigrationRecord:
    """A migration between two versions; one that is given nothing leaves all as it is."""
    migration = Migration(upgrade_state=state, upgrade_context=context)
    return await runtime.upgrades.register_migration(ORG, name, migration, from_label=from_label, to_label=to_label)


def renamed(**names: str) -> Callable[[list[str], Any], list[str]]:
    """An ``upgrade_state`` that gives the last key of a path another name."""
    return lambda path, context: [*path[:-1], names.get(path[-1], path[-1])]
