"""The runtime: every instance of every machine, behind one object.

INTERFACE DRAFT: bodies follow; signatures are settled.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from perdure.durable.records import (
    Address,
    InstanceRecord,
    InstanceStatus,
    MachineRecord,
    VersionRecord,
)
from perdure.json_value import Json, JsonObject
from perdure.statechart.snapshot import StateValue
from perdure.durable.store import Store

__all__ = ["InstanceState", "Runtime"]


class InstanceState(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its readers see it."""

    address: Address
    ts: float
    """Milliseconds; grows strictly with every commit of the instance."""
    state: StateValue
    context: Json
    """The whole context; only ``context["public"]`` may leave the server."""
    tags: tuple[str, ...]
    done: bool


class Subscription:
    """A live view of one instance: an async iterator over its states, the current one first.

    A reader slower than the instance sees the newest state and may miss ones between; ``ts`` never goes back. The
    iteration ends when the instance is deleted or the runtime closes. ``close()`` ends it from the outside.
    """

    def __aiter__(self) -> AsyncIterator[InstanceState]: ...

    async def close(self) -> None: ...


class Runtime:
    """Durable instances over a store."""

    store: Store

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    # -- definitions -------------------------------------------------------------------------------

    async def create_machine(self, org: str, name: str, *, indexes: tuple[str, ...] = ()) -> MachineRecord:
        """Raises ``InvalidState`` for a duplicate, ``InvalidParameter("…", "slug")`` for a bad name."""
        ...

    async def deploy(
        self,
        org: str,
        machine: str,
        source: str,
        *,
        file_name: str,
        client_info: str = "",
        make_current: bool = True,
        version_id: str | None = None,
    ) -> VersionRecord:
        """Check a machine version's source by loading it, then keep it.

        Raises ``MachineCodeError`` (does not import, lacks an export: file, line, reason), ``MachineConfigError`` (every
        defect of the config), ``NotFound`` (no such machine). The running version stays in each of these cases.
        """
        ...

    # -- instances ---------------------------------------------------------------------------------
    # ``auth_context`` is the ``act`` object of the caller's token. ``None`` means the host application itself, which
    # is not asked for permission.

    async def create_instance(
        self,
        address: Address,
        context: JsonObject | None = None,
        *,
        version_id: str | None = None,
        auth_context: JsonObject | None = None,
    ) -> InstanceState:
        """Create an instance and answer once it has settled.

        Raises ``NotFound`` (machine, or it has no current version), ``InvalidParameter`` (a bad name: parameter
        ``"slug"``; a version that is not this machine's: ``"machineVersionId"``; a context that is no object:
        ``"context"``), ``InstanceExists``, ``AuthorizerRefused``, ``EventFailed``, ``ContextTooLarge``.
        """
        ...

    async def send(
        self, address: Address, event: JsonObject | str, *, auth_context: JsonObject | None = None
    ) -> InstanceState:
        """Send an event and answer once the instance has settled, or at the processing timeout with what it reached.

        Raises ``NotFound``, ``InvalidState`` (paused or stopped), ``InvalidParameter`` (an event without a ``type``:
        ``"event"``), ``AuthorizerRefused``, ``EventFailed``, ``ContextTooLarge``.
        """
        ...

    async def read(self, address: Address, *, auth_context: JsonObject | None = None) -> InstanceState:
        """The latest committed state. Raises ``NotFound``, ``AuthorizerRefused``."""
        ...

    async def inspect(self, address: Address) -> InstanceRecord:
        """The whole record, asking no authoriser. Raises ``NotFound``."""
        ...

    async def set_status(self, address: Address, status: InstanceStatus) -> None:
        """Pause an instance (every event is refused with ``InvalidState``) or let it run. Raises ``NotFound``."""
        ...

    async def delete_instance(self, address: Address) -> None:
        """Stop it and remove everything of it. Raises ``NotFound``."""
        ...

    async def subscribe(self, address: Address, *, auth_context: JsonObject | None = None) -> Subscription:
        """Watch an instance. Raises ``NotFound``, ``AuthorizerRefused``."""
        ...
