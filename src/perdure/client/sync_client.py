"""The synchronous client: the operations of the API for scripts and threads. Live views need ``AsyncClient``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx2

from perdure import wire
from perdure.client import operations
from perdure.client.exchange import Operation, Request, Response, TokenSource
from perdure.client.http import READ_TIMEOUT_SECONDS, base_url, http_arguments, pauses_of, transport_error
from perdure.entropy import SystemEntropy
from perdure.errors import ServerUnreachable
from perdure.json_value import JsonObject

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """A perdure server, seen from blocking code. Use it as ``with Client(url, token) as client:``.

    The same methods as ``AsyncClient``, with the same promises and errors.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource = None,
        *,
        org: str | None = None,
        timeout_seconds: float = READ_TIMEOUT_SECONDS,
        retries: int = 0,
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
        self._http = httpx2.Client(timeout=timeout_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connections. Safe to call twice."""
        self._http.close()

    def run(self, operation: Operation[T]) -> T:
        """Drive an operation to its end."""
        try:
            request = next(operation)
            while True:
                request = operation.send(self._exchange(request))
        except StopIteration as end:
            result: T = end.value
            return result

    def _exchange(self, request: Request) -> Response:
        for pause in pauses_of(request, self._retries):
            try:
                return self._try(request)
            except ServerUnreachable:
                threading.Event().wait(pause)
        return self._try(request)

    def _try(self, request: Request) -> Response:
        arguments = http_arguments(request, url=self._url, token=self._token, org=self._org)
        try:
            answer = self._http.request(**arguments)
        except httpx2.TransportError as error:
            raise transport_error(self._url, error) from error
        return Response(status=answer.status_code, body=answer.content)

    def _key(self, given: str | None) -> str | None:
        """The idempotency key of a request that changes something."""
        return given or (str(self._entropy.uuid()) if self._retries else None)

    # -- machines and their versions ---------------------------------------------------------------------------------

    def list_machines(self, limit: int | None = None) -> list[wire.MachineSummary]:
        return self.run(operations.list_machines(limit))

    def get_machine(self, machine: str) -> wire.MachineDetail:
        return self.run(operations.get_machine(machine))

    def create_machine(self, machine: str, indexes: Sequence[str] = ()) -> None:
        self.run(operations.create_machine(machine, indexes))

    def delete_machine(self, machine: str) -> None:
        self.run(operations.delete_machine(machine))

    def list_versions(self, machine: str, limit: int | None = None) -> list[wire.Version]:
        return self.run(operations.list_versions(machine, limit))

    def deploy(
        self, machine: str, source: str, *, file_name: str, client_info: str = "", make_current: bool = True
    ) -> str:
        """Upload a machine version's source and, unless told otherwise, make it current; the id of the version."""
        return self.run(
            operations.deploy(machine, source, file_name=file_name, client_info=client_info, make_current=make_current)
        )

    # -- instances ---------------------------------------------------------------------------------------------------

    def create_instance(
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
        return self.run(operations.create_instance(machine, instance, context, version=version, idempotency_key=key))

    def get_instance(self, machine: str, instance: str) -> wire.State:
        return self.run(operations.get_instance(machine, instance))

    def get_or_create_instance(self, machine: str, instance: str, context: JsonObject | None = None) -> wire.State:
        """The instance, created if there is none; of several callers at once one creates it and all get it."""
        return self.run(operations.get_or_create_instance(machine, instance, context))

    def send(
        self, machine: str, instance: str, event: JsonObject | str, *, idempotency_key: str | None = None
    ) -> wire.State:
        """Send an event; the state once the instance has settled. With the same ``idempotency_key`` it is sent once."""
        return self.run(operations.send(machine, instance, event, idempotency_key=self._key(idempotency_key)))

    def list_instances(self, machine: str, limit: int | None = None) -> list[wire.InstanceSummary]:
        return self.run(operations.list_instances(machine, limit))

    def list_transitions(self, machine: str, instance: str, limit: int | None = None) -> list[wire.Transition]:
        return self.run(operations.list_transitions(machine, instance, limit))

    def inspect_instance(self, machine: str, instance: str) -> wire.AdminState:
        """The whole context and more; asks no authoriser, needs ``instances.admin``."""
        return self.run(operations.inspect_instance(machine, instance))

    def set_status(self, machine: str, instance: str, status: Literal["running", "paused"]) -> None:
        self.run(operations.set_status(machine, instance, status))

    def delete_instance(self, machine: str, instance: str) -> None:
        self.run(operations.delete_instance(machine, instance))

    # -- keys --------------------------------------------------------------------------------------------------------

    def list_keys(self, limit: int | None = None) -> list[wire.Key]:
        return self.run(operations.list_keys(limit))

    def create_key(
        self, name: str, *, scopes: Sequence[str] = (), use: Literal["production", "ci"] | None = None
    ) -> wire.CreatedKey:
        return self.run(operations.create_key(name, scopes=scopes, use=use))

    def delete_key(self, key_id: str) -> None:
        self.run(operations.delete_key(key_id))
