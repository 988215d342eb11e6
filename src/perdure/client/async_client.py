"""The asynchronous client: every operation of the API, and live views of instances."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx2

from perdure import wire
from perdure.client import operations, watching
from perdure.client.exchange import Operation, Request, Response, TokenSource
from perdure.client.http import READ_TIMEOUT_SECONDS, base_url, http_arguments, pauses_of, transport_error
from perdure.clock import Clock, SystemClock
from perdure.entropy import SystemEntropy
from perdure.errors import ServerUnreachable
from perdure.json_value import JsonObject

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """A perdure server, seen from a coroutine. Use it as ``async with AsyncClient(url, token) as client:``.

    Every method raises the ``perdure.errors`` class of the server's answer, ``ServerUnreachable`` when there was none.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource = None,
        *,
        org: str | None = None,
        timeout_seconds: float = READ_TIMEOUT_SECONDS,
        retries: int = 0,
        clock: Clock | None = None,
    ) -> None:
        """``retries`` is how often a request is made again that has got no answer. Creating and sending then carry a
        fresh idempotency key, so that they happen once; other changes are never made again.

        Raises ``InvalidParameter`` for a URL that is not http or https.
        """
        self._url = base_url(url)
        self._token = token
        self._org = org
        self._retries = retries
        self._entropy = SystemEntropy()
        self._clock = clock if clock is not None else SystemClock()
        self._http = httpx2.AsyncClient(timeout=timeout_seconds)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Release the connections. Safe to call twice."""
        await self._http.aclose()

    async def run(self, operation: Operation[T]) -> T:
        """Drive an operation to its end."""
        try:
            request = next(operation)
            while True:
                request = operation.send(await self._exchange(request))
        except StopIteration as end:
            result: T = end.value
            return result

    async def _exchange(self, request: Request) -> Response:
        for pause in pauses_of(request, self._retries):
            try:
                return await self._try(request)
            except ServerUnreachable:
                await self._clock.sleep(pause * 1000)
        return await self._try(request)

    async def _try(self, request: Request) -> Response:
        arguments = http_arguments(request, url=self._url, token=self._token, org=self._org)
        try:
            answer = await self._http.request(**arguments)
        except httpx2.TransportError as error:
            raise transport_error(self._url, error) from error
        return Response(status=answer.status_code, body=answer.content)

    def _key(self, given: str | None) -> str | None:
        """The idempotency key of a request that changes something."""
        return given or (str(self._entropy.uuid()) if self._retries else None)

    # -- machines and their versions ---------------------------------------------------------------------------------

    async def list_machines(self, limit: int | None = None) -> list[wire.MachineSummary]:
        return await self.run(operations.list_machines(limit))

    async def get_machine(self, machine: str) -> wire.MachineDetail:
        return await self.run(operations.get_machine(machine))

    async def create_machine(self, machine: str, indexes: Sequence[str] = ()) -> None:
        await self.run(operations.create_machine(machine, indexes))

    async def delete_machine(self, machine: str) -> None:
        await self.run(operations.delete_machine(machine))

    async def list_versions(self, machine: str, limit: int | None = None) -> list[wire.Version]:
        return await self.run(operations.list_versions(machine, limit))

    async def deploy(
        self, machine: str, source: str, *, file_name: str, client_info: str = "", make_current: bool = True
    ) -> str:
        """Upload a machine version's source and, unless told otherwise, make it current; the id of the version."""
        return await self.run(
            operations.deploy(machine, source, file_name=file_name, client_info=client_info, make_current=make_current)
        )

    # -- instances ---------------------------------------------------------------------------------------------------

    async def create_instance(
        self,
        machine: str,
        instance: str,
        context: JsonObject | None = None,
        *,
        version: str | None = None,
        idempotency_key: str | None = None,
    ) -> wire.State:
        """The state it settles in; with the same ``idempotency_key`` again what was answered the first time."""
        key = self._key(idempotency_key)
        return await self.run(
            operations.create_instance(machine, instance, context, version=version, idempotency_key=key)
        )

    async def get_instance(self, machine: str, instance: str) -> wire.State:
        return await self.run(operations.get_instance(machine, instance))

    async def get_or_create_instance(
        self, machine: str, instance: str, context: JsonObject | None = None
    ) -> wire.State:
        """The instance, created if there is none; of several callers at once one creates it and all get it."""
        return await self.run(operations.get_or_create_instance(machine, instance, context))

    async def send(
        self, machine: str, instance: str, event: JsonObject | str, *, idempotency_key: str | None = None
    ) -> wire.State:
        """Send an event; the state once the instance has settled. With the same ``idempotency_key`` it is sent once."""
        return await self.run(operations.send(machine, instance, event, idempotency_key=self._key(idempotency_key)))

    async def list_instances(self, machine: str, limit: int | None = None) -> list[wire.InstanceSummary]:
        return await self.run(operations.list_instances(machine, limit))

    async def list_transitions(self, machine: str, instance: str, limit: int | None = None) -> list[wire.Transition]:
        return await self.run(operations.list_transitions(machine, instance, limit))

    async def inspect_instance(self, machine: str, instance: str) -> wire.AdminState:
        """The whole context and more; asks no authoriser, needs ``instances.admin``."""
        return await self.run(operations.inspect_instance(machine, instance))

    async def set_status(self, machine: str, instance: str, status: Literal["running", "paused"]) -> None:
        await self.run(operations.set_status(machine, instance, status))

    async def delete_instance(self, machine: str, instance: str) -> None:
        await self.run(operations.delete_instance(machine, instance))

    async def watch(self, machine: str, instance: str) -> AsyncGenerator[wire.State]:
        """Each state of an instance that gets here, the current one first, until the caller stops listening.

        States only ever get newer (``ts`` grows); a slow reader or a lost connection may miss some between. A
        connection that breaks is made again, and again; the first one has to succeed. Ends with the error that the
        server gives when the instance does not exist (any more) or may not be read.
        """
        updates = watching.watch(self._url, machine, instance, token=self._token, org=self._org, clock=self._clock)
        async with aclosing(updates):
            async for state in updates:
                yield state

    # -- keys --------------------------------------------------------------------------------------------------------

    async def list_keys(self, limit: int | None = None) -> list[wire.Key]:
        return await self.run(operations.list_keys(limit))

    async def create_key(
        self, name: str, *, scopes: Sequence[str] = (), use: Literal["production", "ci"] | None = None
    ) -> wire.CreatedKey:
        return await self.run(operations.create_key(name, scopes=scopes, use=use))

    async def delete_key(self, key_id: str) -> None:
        await self.run(operations.delete_key(key_id))
