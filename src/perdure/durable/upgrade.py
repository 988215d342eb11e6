"""An upgrade: an instance moves from one version of its machine to another, as a pure function.

A **migration** is a module that leads from one version to another. It exports ``upgrade_state(path, context)``, which
is asked for every active leaf and answers where that leads, and ``upgrade_context(old_paths, new_paths, context)``;
either may be left out, and then what it is for stays as it is. A path is a list of keys; an answer may also be written
as one string with dots. State Backed's spelling ``upgradeState`` and ``upgradeContext`` is taken as well.

An upgrade applies the migrations of a shortest path one after the other. In each, the leaves are asked with the context
as it was, then the context is upgraded, then the states that history states have recorded are asked with the context as
it is now. Between two migrations the leaves are completed to what the version in between could stand at, where its code
is at hand. What the last version makes of the result is ``relocate``'s business.

User code gets copies and is called for nothing but its answer. What it raises, and an answer that is no state, is a
``MigrationFailed`` that leaves no trace.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from perdure.durable.definition import Definition
from perdure.durable.records import MigrationRecord, VersionRecord
from perdure.errors import InvalidParameter, MigrationFailed, SnapshotMismatch, text_of
from perdure.json_value import Json, JsonObject, json_copy
from perdure.statechart.callables import can_take
from perdure.statechart.event import UPGRADE
from perdure.statechart.machine import Machine
from perdure.statechart.relocation import StatePath, history_paths, leaf_paths, leaves_under, relocate, shown_path
from perdure.statechart.snapshot import Snapshot
from perdure.statechart.state_value import split_path
from perdure.statechart.step import Scope, Step

__all__ = [
    "Migration",
    "MigrationStep",
    "Upgrade",
    "UpgradePath",
    "find_path",
    "migration_of",
    "upgraded",
]

Path: TypeAlias = list[str]
"""As user code sees one."""

NAMES = {"upgrade_state": "upgradeState", "upgrade_context": "upgradeContext"}
"""What a migration exports, and how State Backed spells it."""

PARAMETERS = {"upgrade_state": ("path", "context"), "upgrade_context": ("old_paths", "new_paths", "context")}


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """The code of one migration, ready to run. What is ``None`` leaves things as they are."""

    upgrade_state: Callable[[Path, Json], Sequence[str]] | None = None
    upgrade_context: Callable[[list[Path], list[Path], Json], Json] | None = None


class UpgradePath(msgspec.Struct, frozen=True, kw_only=True):
    """The way from one version to another, as records: what a host needs to know to find the code."""

    migrations: tuple[MigrationRecord, ...]
    versions: tuple[VersionRecord, ...]
    """The version that each migration leads to."""

    @property
    def target(self) -> VersionRecord:
        return self.versions[-1]


class MigrationStep(msgspec.Struct, frozen=True, kw_only=True):
    """One migration of an upgrade."""

    id: str
    migration: Migration
    machine: Machine | None
    """Of the version it leads to; ``None`` for one in between whose code is gone."""


class Upgrade(msgspec.Struct, frozen=True, kw_only=True):
    """An upgrade with all its code."""

    definition: Definition
    """Of the version it leads to."""
    from_version_id: str
    to_version_id: str
    former: Machine | None
    """Of the version it leads from; ``None`` when its code is gone."""
    steps: tuple[MigrationStep, ...]

    @property
    def event(self) -> JsonObject:
        """What the journal keeps of it, and what user code of the new version sees."""
        return {
            "type": UPGRADE,
            "migrationPath": [step.id for step in self.steps],
            "fromMachineVersionId": self.from_version_id,
            "toMachineVersionId": self.to_version_id,
        }


def find_path(
    migrations: Iterable[MigrationRecord], from_version: str, to_version: str
) -> tuple[MigrationRecord, ...] | None:
    """The shortest path; ``None`` when there is none, and empty when there is nothing to do.

    Of two migrations between the same versions the later one counts, so that a wrong one can be put right by another.
    Of several shortest paths the one is taken that a search finds first which tries older migrations first: the same
    migrations, in the order in which they were made, always give the same path.
    """
    edges: dict[str, dict[str, MigrationRecord]] = {}
    for migration in migrations:
        edges.setdefault(migration.from_version_id, {})[migration.to_version_id] = migration
    arrived: dict[str, tuple[MigrationRecord, ...]] = {from_version: ()}
    frontier = [from_version]
    while frontier and to_version not in arrived:
        reached: list[str] = []
        for version in frontier:
            for target, migration in edges.get(version, {}).items():
                if target not in arrived:
                    arrived[target] = (*arrived[version], migration)
                    reached.append(target)
        frontier = reached
    return arrived.get(to_version)


def migration_of(exports: Mapping[str, Any]) -> Migration:
    """The migration in a module's names. Raises ``InvalidParameter`` saying what is missing or unfit."""
    found: dict[str, Any] = {}
    for name, camel_name in NAMES.items():
        if name in exports and camel_name in exports:
            raise InvalidParameter(f"{name} and {camel_name} are the same export: keep one of them", name)
        function = exports.get(name, exports.get(camel_name))
        if function is not None:
            if not callable(function) or inspect.iscoroutinefunction(function):
                raise InvalidParameter(f"{name} must be a plain function", name)
            if not can_take(function, len(PARAMETERS[name])):
                raise InvalidParameter(f"{name} must be a function of ({', '.join(PARAMETERS[name])})", name)
            found[name] = function
    if not found:
        raise InvalidParameter(
            "it exports neither upgrade_state(path, context) nor upgrade_context(old_paths, new_paths, context)",
            "upgrade_state",
        )
    return Migration(**found)


def upgraded(upgrade: Upgrade, snapshot: Snapshot, *, scope: Scope) -> Step:
    """The macrostep of an upgrade: an active snapshot without ephemeral children in the terms of the new version.

    Raises ``MigrationFailed``, and what the new version's eventless transitions raise.
    """
    try:
        paths = leaf_paths(snapshot.value)
        history = history_paths(snapshot, upgrade.former)
        context: Json = json_copy(snapshot.context)
        for step in upgrade.steps:
            former_paths, delimiter = paths, "." if step.machine is None else step.machine.config.get("delimiter", ".")
            paths = [led_to(step, path, context, delimiter) for path in former_paths]
            context = upgraded_context(step, former_paths, paths, context)
            if step.machine is not None:
                paths = leaves_under(step.machine, paths)
            history = {
                history_id: [led_to(step, path, context, delimiter) for path in recorded]
                for history_id, recorded in history.items()
            }
        return relocate(
            upgrade.definition.machine,
            snapshot,
            paths,
            context=context,
            history=history,
            event=upgrade.event,
            former=upgrade.former,
            scope=scope,
        )
    except SnapshotMismatch as error:
        raise MigrationFailed(f"the upgrade to version {upgrade.to_version_id} leads nowhere: {error}") from error


def led_to(step: MigrationStep, path: StatePath, context: Json, delimiter: str) -> StatePath:
    """Where a migration leads one state."""
    function = step.migration.upgrade_state
    if function is None:
        return path
    answer = answer_of(step, "upgrade_state", f"for {shown_path(path)}", function, list(path), json_copy(context))
    if isinstance(answer, str):
        answer = split_path(answer, delimiter)
    if not isinstance(answer, list | tuple) or not all(isinstance(key, str) for key in answer):
        raise MigrationFailed(
            f"upgrade_state of migration {step.id} must answer a path, a list of keys, for {shown_path(path)}, "
            f"not {type(answer).__name__}"
        )
    return tuple(answer)


def upgraded_context(
    step: MigrationStep, old_paths: Sequence[StatePath], new_paths: Sequence[StatePath], context: Json
) -> Json:
    function = step.migration.upgrade_context
    if function is None:
        return context
    arguments = ([list(path) for path in paths] for paths in (old_paths, new_paths))
    answer = answer_of(step, "upgrade_context", "", function, *arguments, json_copy(context))
    try:
        answer = json_copy(answer)
    except (TypeError, ValueError, RecursionError) as error:
        raise MigrationFailed(f"upgrade_context of migration {step.id} must answer JSON: {error}") from error
    if not isinstance(answer, dict):
        raise MigrationFailed(
            f"upgrade_context of migration {step.id} must answer the new context, not {type(answer).__name__}"
        )
    return answer


def answer_of(step: MigrationStep, name: str, about: str, function: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        message = f"{name} of migration {step.id} raised {type(error).__name__} {about}".rstrip()
        raise MigrationFailed(message, f"{message}: {text_of(error)}") from error
