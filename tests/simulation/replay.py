"""Journals are made again: the macrostep of each entry, from the snapshot before it, by the code of its version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from perdure import Definition, Migration, Runtime, Scope
from perdure.durable.records import JournalEntry
from perdure.durable.upgrade import MigrationStep, Upgrade, upgraded
from perdure.statechart import step as engine
from perdure.statechart.effect import InstanceTarget
from perdure.statechart.event import ADOPT, INIT, STOP, UPGRADE
from perdure.statechart.reference import instance_reference
from perdure.statechart.snapshot import Snapshot, decode_snapshot, encode_snapshot
from tests.simulation.families import ORG
from tests.simulation.machines import NEWER_NAMES, definitions, migration
from tests.simulation.trials import without_attempts

__all__ = ["AllVersions", "Code", "as_read", "replayed", "replayed_step"]


class Code(Protocol):
    """The code of the machines, for replays."""

    def definition(self, version_id: str) -> Definition: ...

    def migration(self, version_id: str) -> Migration:
        """The one that leads to this version."""
        ...


def replayed(code: Code, snapshot: Snapshot | None, entry: JournalEntry, *, has_parent: bool) -> Snapshot:
    """The snapshot that a journal entry leads to, as it would be read again."""
    return as_read(replayed_step(code, snapshot, entry, has_parent=has_parent))


def as_read(step: engine.Step) -> Snapshot:
    return without_attempts(decode_snapshot(encode_snapshot(step.snapshot)))


def replayed_step(code: Code, snapshot: Snapshot | None, entry: JournalEntry, *, has_parent: bool) -> engine.Step:
    """The macrostep of a journal entry, once more."""
    scope = Scope(has_parent=has_parent)
    definition = code.definition(entry.version_id)
    machine = definition.machine
    if entry.event["type"] == UPGRADE:
        assert snapshot is not None
        origin = entry.event["fromMachineVersionId"]
        (migration_id,) = entry.event["migrationPath"]
        upgrade = Upgrade(
            definition=definition,
            from_version_id=origin,
            to_version_id=entry.version_id,
            former=code.definition(origin).machine,
            steps=(MigrationStep(id=migration_id, migration=code.migration(entry.version_id), machine=machine),),
        )
        assert upgrade.event == entry.event
        step = upgraded(upgrade, snapshot, scope=scope)
    elif snapshot is None:
        assert entry.event["type"] == INIT
        step = engine.initial(machine, None, scope=scope)
    elif entry.event["type"] == STOP:
        step = engine.stop(machine, snapshot, scope=scope)
    elif entry.event["type"] == ADOPT:
        step = engine.adopt(
            machine,
            snapshot,
            instance_reference(entry.event["machineName"], entry.event["machineInstanceName"]),
            child_id=entry.event.get("childId"),
            detached=entry.event.get("detached", False),
            auto_forward=entry.event.get("autoForward", False),
            sync=entry.event.get("sync", False),
            scope=scope,
        )
    else:
        origin = None if entry.sender is None else InstanceTarget(entry.sender.machine, entry.sender.instance)
        step = engine.transition(machine, snapshot, entry.event, scope=msgspec.structs.replace(scope, origin=origin))
    return step


class AllVersions:
    """The code of the machines for replays: what is replayed has been accepted once."""

    def __init__(self, **services: Callable[..., Any]) -> None:
        self._definitions: dict[str, Definition] = {}
        self._migrations: dict[str, Migration] = {}
        for label in ("1", "2"):
            found = definitions(is_accepted=lambda: True, is_newer=label == "2", **services)
            for name, definition in found.items():
                version_id = Runtime.embedded_version_id(ORG, name, label)
                self._definitions[version_id] = definition
                if name in NEWER_NAMES:
                    self._migrations[version_id] = migration(name, label)

    def definition(self, version_id: str) -> Definition:
        return self._definitions[version_id]

    def migration(self, version_id: str) -> Migration:
        return self._migrations[version_id]
