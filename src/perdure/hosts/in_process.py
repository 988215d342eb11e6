"""The host in this process: machine code is called as a function.

Fast and simple, and fit for code you trust: it runs with the rights of the server, and a guard that never returns stops
every instance. What it raises is an event that failed, even what would end a program: ``sys.exit()`` in a guard must
not take the other instances along. Only the interruption of the whole process passes.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from perdure.actors.actor import error_data
from perdure.durable.authorization import ensure_readable
from perdure.durable.commit import Turn
from perdure.durable.definition import Definition, ReadRequest
from perdure.durable.host import World
from perdure.durable.http_api import HttpAnswer, HttpEvent, HttpRequest, HttpResult
from perdure.durable.indexes import check_selectors
from perdure.durable.limits import Limits
from perdure.durable.message import Message
from perdure.durable.records import Address, InstanceRecord, MigrationRecord, VersionRecord
from perdure.durable.turn import turn
from perdure.durable.upgrade import Migration, MigrationStep, Upgrade, UpgradePath, migration_of
from perdure.errors import (
    EventFailed,
    InvalidParameter,
    MachineCodeError,
    MachineConfigError,
    NotFound,
    PerdureError,
    text_of,
)
from perdure.hosts.event_schemas import event_schemas
from perdure.hosts.http_functions import ask_handler, ask_response_mapper, http_api_of
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.machine_output import begin, note, note_error, note_value
from perdure.statechart.callables import Meta, call_with, can_take, known_parameters
from perdure.statechart.effect import Cancel, Effect, Log, RunAction, Send, StartChild, StopChild, Warn
from perdure.statechart.event import ERROR_EXECUTION
from perdure.statechart.machine import Machine
from perdure.statechart.reference import instance_reference

__all__ = ["InProcessHost", "load_definition"]

logger = get_logger("perdure.machine")

EXPORTS = ("machine", "allow_read", "allow_write")


class InProcessHost:
    """Runs machine versions in this process; implements ``perdure.durable.host.Host``."""

    def __init__(self) -> None:
        self._definitions: dict[str, Definition] = {}
        self._migrations: dict[str, Migration] = {}

    def check(self, source: str, file_name: str) -> dict[str, str]:
        return load_definition(source, file_name).index_selectors

    def check_migration(self, source: str, file_name: str) -> None:
        load_migration(source, file_name)

    def provide(self, version_id: str, definition: Definition) -> None:
        self._definitions[version_id] = definition

    def provide_migration(self, migration_id: str, migration: Migration) -> None:
        self._migrations[migration_id] = migration

    async def allow_read(self, version: VersionRecord, request: ReadRequest) -> None:
        begin(version.id)
        ensure_readable(self._definition(version), request)

    async def turn(
        self,
        version: VersionRecord,
        address: Address,
        record: InstanceRecord | None,
        message: Message,
        *,
        now: float,
        fresh_name: Callable[[], str],
        lost: tuple[str, ...],
        limits: Limits,
        upgrade: UpgradePath | None,
    ) -> Turn:
        begin(version.id if upgrade is None else upgrade.target.id)
        definition = self._definition(version if upgrade is None or self._must_run(version, record) else upgrade.target)
        loaded = None if upgrade is None else self._upgrade(version, upgrade)
        try:
            return turn(
                definition,
                address,
                record,
                message,
                now=now,
                fresh_name=fresh_name,
                lost=lost,
                limits=limits,
                upgrade=loaded,
            )
        except KeyboardInterrupt:
            raise
        except PerdureError as error:
            if error.__cause__ is not None:
                note_error(error.__cause__)
            raise
        except BaseException as error:
            logger.exception("turn failed", instance=str(address))
            note_error(error)
            raise EventFailed(f"the code of machine {version.machine!r} raised {type(error).__name__}") from error

    async def event_schemas(self, version: VersionRecord) -> dict[str, JsonObject]:
        return event_schemas(self._definition(version).machine)

    async def http_event(self, version: VersionRecord, slug: str, request: HttpRequest) -> HttpEvent:
        return ask_handler(self._definition(version).http_api, version.machine, slug, request)

    async def http_answer(self, version: VersionRecord, slug: str, result: HttpResult) -> HttpAnswer | None:
        return ask_response_mapper(self._definition(version).http_api, version.machine, slug, result)

    def perform(self, version: VersionRecord, effects: Sequence[Effect], world: World) -> None:
        begin(version.id)
        machine = self._definition(version).machine
        for effect in effects:
            if isinstance(effect, RunAction):
                self._run_action(machine, effect, world)
            elif isinstance(effect, StartChild):
                behavior = effect.behavior
                world.start_child(effect, machine.services[effect.source] if behavior is None else behavior)
            elif isinstance(effect, StopChild):
                world.stop_child(effect)
            elif isinstance(effect, Send):
                world.send_to_child(effect)
            elif isinstance(effect, Cancel):
                world.cancel_sends(effect)
            elif isinstance(effect, Log):
                logger.info("log", instance=str(world.address), label=effect.label, value=effect.value)
                note_value(effect.label, effect.value)
            elif isinstance(effect, Warn):
                logger.warning(effect.message, instance=str(world.address))
                note("stderr", effect.message)

    def _run_action(self, machine: Machine, effect: RunAction, world: World) -> None:
        function = machine.actions[effect.action]
        try:
            parameters, meta = known_parameters(function), None
            if parameters == 3:
                reference = instance_reference(world.address.machine, world.address.instance)
                meta = Meta(snapshot=None, params=effect.params, reference=reference)
            result = call_with(function, parameters, effect.context, effect.event, meta)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            logger.exception("action raised", instance=str(world.address), action=effect.action)
            note_error(error)
            world.report({"type": ERROR_EXECUTION, "data": {"action": effect.action, **error_data(error)}})
            return
        if result is not None and inspect.isawaitable(result):
            world.keep_running(result, effect.action)

    def _must_run(self, version: VersionRecord, record: InstanceRecord | None) -> bool:
        """Whether the code of the version is needed before an upgrade from it: if it is there, or services have run."""
        has_services = record is not None and not all(
            child.is_persistent for child in record.snapshot.children.values()
        )
        return has_services or self._is_at_hand(version)

    def _is_at_hand(self, version: VersionRecord) -> bool:
        return version.source is not None or version.id in self._definitions

    def _upgrade(self, version: VersionRecord, path: UpgradePath) -> Upgrade:
        """An upgrade with its code. Versions on the way whose code is gone are done without."""

        def machine_of(version: VersionRecord) -> Machine | None:
            return self._definition(version).machine if self._is_at_hand(version) else None

        return Upgrade(
            definition=self._definition(path.target),
            from_version_id=version.id,
            to_version_id=path.target.id,
            former=machine_of(version),
            steps=tuple(
                MigrationStep(id=migration.id, migration=self._migration(migration), machine=machine_of(target))
                for migration, target in zip(path.migrations, path.versions, strict=True)
            ),
        )

    def _migration(self, record: MigrationRecord) -> Migration:
        found = self._migrations.get(record.id)
        if found is None:
            if record.source is None:
                raise NotFound(
                    f"the code of migration {record.id} of machine {record.machine!r} is part of the application that "
                    "registered it; open the store with it"
                )
            found = self._migrations[record.id] = load_migration(record.source, record.file_name)
        return found

    def _definition(self, version: VersionRecord) -> Definition:
        found = self._definitions.get(version.id)
        if found is None:
            if version.source is None:
                raise NotFound(
                    f"the code of version {version.id} of machine {version.machine!r} is part of the application that "
                    "created it; open the store with that machine"
                )
            found = self._definitions[version.id] = load_definition(version.source, version.file_name)
        if found.index_selectors != version.index_selectors:  # what the version was given counts, not what it exports
            found = msgspec.structs.replace(found, index_selectors=version.index_selectors)
            self._definitions[version.id] = found
        return found


def load_definition(source: str, file_name: str) -> Definition:
    """Execute a machine version module and take its exports.

    Raises ``MachineCodeError`` with file, line and reason when it does not import or lacks an export, and
    ``MachineConfigError`` with every defect when its machine cannot be built.
    """
    return definition_of(exports_of(source, file_name), file_name)


def load_migration(source: str, file_name: str) -> Migration:
    """Execute a migration module and take its exports. Raises ``MachineCodeError``."""
    try:
        return migration_of(exports_of(source, file_name))
    except InvalidParameter as error:
        raise MachineCodeError(text_of(error), file=file_name) from error


def exports_of(source: str, file_name: str) -> dict[str, Any]:
    """Execute a module; everything that it binds."""
    module = types.ModuleType(module_name(source, file_name))
    module.__file__ = file_name
    # Where dataclasses, msgspec and pydantic look up what an annotation names, some of them not before they need it.
    sys.modules[module.__name__] = module
    # So that tracebacks and inspect show the lines of a module that may exist nowhere on disk.
    linecache.cache[file_name] = (len(source), None, source.splitlines(keepends=True), file_name)
    try:
        # To run this code is what a host is for.
        exec(compile(source, file_name, "exec"), module.__dict__)  # noqa: S102
    except SyntaxError as error:
        raise MachineCodeError(f"syntax error: {error.msg}", file=file_name, line=error.lineno) from error
    except MachineConfigError:
        raise
    except BaseException as error:  # SystemExit from a script's main, too
        if isinstance(error, KeyboardInterrupt):
            raise
        reason = f"does not import: {type(error).__name__}: {error}{advice_on(error)}"
        raise MachineCodeError(reason, file=file_name, line=line_in(error, file_name)) from error
    return vars(module)


def advice_on(error: BaseException) -> str:
    """What to do about an import that finds nothing: a file that has another one beside it here has none there."""
    is_relative = type(error) is ImportError and error.name is None
    if not is_relative and not isinstance(error, ModuleNotFoundError):
        return ""
    return (
        ". A machine file stands alone: what it imports is installed where it runs, or a module of the same package, "
        "which `perdure machines deploy DIRECTORY` takes as a whole"
    )


def module_name(source: str, file_name: str) -> str:
    """The same for the same code, so that loading it again takes no further room among the modules."""
    return f"perdure_machine_{hashlib.sha256(f'{file_name}:{source}'.encode(errors='surrogatepass')).hexdigest()[:16]}"


def definition_of(exports: dict[str, Any], file_name: str) -> Definition:
    """The definition in a module's names. Raises ``MachineCodeError`` naming what is missing or unfit."""
    missing = [name for name in EXPORTS if name not in exports]
    if missing:
        raise MachineCodeError(
            f"lacks {', '.join(missing)}: a machine version exports machine, allow_read(request) and "
            "allow_write(request)",
            file=file_name,
        )
    machine = exports["machine"]
    if not isinstance(machine, Machine):
        raise MachineCodeError(
            f"machine is a {type(machine).__name__}; make it with perdure.create_machine(...)", file=file_name
        )
    for name in ("allow_read", "allow_write"):
        function = exports[name]
        if not callable(function) or inspect.iscoroutinefunction(function) or not can_take(function, 1):
            raise MachineCodeError(f"{name} must be a plain function of one request", file=file_name)
    return Definition(
        machine=machine,
        allow_read=exports["allow_read"],
        allow_write=exports["allow_write"],
        http_api=http_api_of(exports.get("http_api"), file_name),
        index_selectors=selectors_of(exports.get("index_selectors", {}), file_name),
    )


def selectors_of(value: Any, file_name: str) -> dict[str, str]:
    """The index selectors that a module exports. Raises ``MachineCodeError``."""
    if not isinstance(value, dict) or not all(isinstance(part, str) for item in value.items() for part in item):
        raise MachineCodeError("index_selectors must be a dict of index names and JSONPaths", file=file_name)
    try:
        check_selectors(value, tuple(value), file_name)
    except InvalidParameter as error:
        raise MachineCodeError(text_of(error), file=file_name) from error
    return value


def line_in(error: BaseException, file_name: str) -> int | None:
    """The line of a file in which an exception came up, innermost."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file_name]
    return lines[-1] if lines else None
