"""The host protocol: the boundary behind which machine code runs.

Everything that executes what a user wrote goes through a ``Host``: loading a version's source, its authorisers, its
guards and assigners inside a turn, its actions and services after the commit. The host in this process is a function
call; the boundary is here so that isolated worker processes, with limits and a way to kill runaway code, can take its
place without touching the rest of ``durable``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from perdure.durable.commit import Turn
from perdure.durable.definition import Definition, ReadRequest
from perdure.durable.http_api import HttpAnswer, HttpEvent, HttpRequest, HttpResult
from perdure.durable.limits import Limits
from perdure.durable.message import Message
from perdure.durable.records import Address, InstanceRecord, VersionRecord
from perdure.durable.upgrade import Migration, UpgradePath
from perdure.json_value import JsonObject
from perdure.statechart.effect import Cancel, Effect, Send, StartChild, StopChild

__all__ = ["Host", "World"]


class World(Protocol):
    """What performing effects may touch: the instance they are of, and nothing else."""

    address: Address

    def start_child(self, effect: StartChild, behavior: Any) -> None:
        """Start an ephemeral child: a machine, a function, or other actor logic."""
        ...

    def stop_child(self, effect: StopChild) -> None: ...

    def send_to_child(self, effect: Send) -> None:
        """Deliver an event to an ephemeral child, or to an actor below one, now or after a delay."""
        ...

    def cancel_sends(self, effect: Cancel) -> None:
        """Forget the delayed events to ephemeral children that have this send id; others are mail."""
        ...

    def keep_running(self, work: Awaitable[Any], label: str) -> None:
        """Run what an asynchronous action returned; the instance does not settle before it ends."""
        ...

    def report(self, event: JsonObject) -> None:
        """Give the instance an event of the platform: it needs no permission and is not durable."""
        ...


class Host(Protocol):
    """Runs the code of machine versions."""

    def check(self, source: str, file_name: str) -> dict[str, str]:
        """Load a source to see whether it can be a version; the index selectors that it exports.

        Raises ``MachineCodeError`` (file, line, reason) and ``MachineConfigError`` (every defect).
        """
        ...

    def provide(self, version_id: str, definition: Definition) -> None:
        """Give the code of a version that is part of the host application and has no source of its own."""
        ...

    def check_migration(self, source: str, file_name: str) -> None:
        """Load a source to see whether it can be a migration. Raises ``MachineCodeError`` (file, line, reason)."""
        ...

    def provide_migration(self, migration_id: str, migration: Migration) -> None:
        """Give the code of a migration that is part of the host application and has no source of its own."""
        ...

    async def allow_read(self, version: VersionRecord, request: ReadRequest) -> None:
        """Raises ``AuthorizerRefused`` unless the version's ``allow_read`` says yes."""
        ...

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
        """Run ``perdure.durable.turn.turn`` with the version's code; raises what it raises.

        The code of a version that is part of the host application may be gone. An instance of it can still be upgraded,
        unless it has lost a service, whose end only that code can handle: then, and without ``upgrade``, ``NotFound``.
        """
        ...

    async def event_schemas(self, version: VersionRecord) -> dict[str, JsonObject]:
        """The JSON Schemas of the events that the version declares, by event type. Raises ``MachineCodeError``."""
        ...

    async def http_event(self, version: VersionRecord, slug: str, request: HttpRequest) -> HttpEvent:
        """Ask the handler of a slug. Raises ``NotFound`` when the version has none, ``HttpHandlerFailed``."""
        ...

    async def http_answer(self, version: VersionRecord, slug: str, result: HttpResult) -> HttpAnswer | None:
        """Ask the response mapper of a slug; ``None`` when there is none, or when it fails, which is logged."""
        ...

    def perform(self, version: VersionRecord, effects: Sequence[Effect], world: World) -> None:
        """Perform effects in order. A custom action that raises comes back as an ``error.execution`` event."""
        ...
