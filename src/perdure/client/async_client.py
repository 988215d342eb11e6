"""The asynchronous client: every operation of the API, live views of instances, and actors."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2

from perdure import wire, wire_access, wire_evolution
from perdure.client import access_operations, evolution, operations
from perdure.client.async_live import AsyncActor, subscribe
from perdure.client.carrying import Carrier, Outgoing, Pause, Retries, Step
from perdure.client.credentials import Credentials, TokenSource
from perdure.client.exchange import Operation
from perdure.client.http import READ_TIMEOUT_SECONDS, base_url, failure_of, http_arguments, response_of
from perdure.clock import Clock, SystemClock
from perdure.entropy import Entropy, SystemEntropy
from perdure.json_value import JsonObject
from perdure.wire_access import SigningAlgorithm

__all__ = ["AsyncClient"]

T = TypeVar("T")


class AsyncClient:
    """A perdure server, seen from a coroutine. Use it as ``async with AsyncClient(url, token) as client:``.

    Every method raises the ``perdure.errors`` class of the server's answer, ``ServerUnreachable`` when there was none.
    Requests are tried again where that is safe; see ``Retries``.
    """

    def __init__(
        self,
        url: str,
        token: TokenSource = None,
        *,
        org: str | None = None,
        timeout_seconds: float = READ_TIMEOUT_SECONDS,
        retries: Retries | None = None,
        clock: Clock | None = None,
        entropy: Entropy | None = None,
    ) -> None:
        """Raises ``InvalidParameter`` for a URL that is not http or https."""
        self._url = base_url(url)
        self._org = org
        self._clock = clock if clock is not None else SystemClock()
        self._carrier = Carrier(
            Credentials(token, self._clock),
            entropy if entropy is not None else SystemEntropy(),
            retries if retries is not None else Retries(),
            org=org,
        )
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
        return await self._take(self._carrier.carry(operation))

    async def _take(self, steps: Generator[Step, Any, T]) -> T:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = await self._step(step)

    async def _step(self, step: Step) -> Any:
        if isinstance(step, Outgoing):
            try:
                return response_of(await self._http.request(**http_arguments(step, url=self._url)))
            except httpx2.TransportError as error:
                return failure_of(self._url, error)
        if isinstance(step, Pause):
            return await self._clock.sleep(step.milliseconds)
        token = step.provider()
        return await token if inspect.isawaitable(token) else token

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
        self,
        machine: str,
        source: str,
        *,
        file_name: str,
        client_info: str = "",
        make_current: bool = True,
        index_selectors: Mapping[str, str] | None = None,
    ) -> str:
        """Upload a machine version's source and, unless told otherwise, make it current; the id of the version."""
        return await self.run(
            operations.deploy(
                machine,
                source,
                file_name=file_name,
                client_info=client_info,
                make_current=make_current,
                index_selectors=index_selectors,
            )
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
        return await self.run(
            operations.create_instance(machine, instance, context, version=version, idempotency_key=idempotency_key)
        )

    async def get_instance(self, machine: str, instance: str) -> wire.State:
        return await self.run(operations.get_instance(machine, instance))

    async def get_or_create_instance(
        self, machine: str, instance: str, context: JsonObject | None = None, *, version: str | None = None
    ) -> wire.State:
        """The instance, created if there is none; of several callers at once one creates it and all get it."""
        return await self.run(operations.get_or_create_instance(machine, instance, context, version=version))

    async def send(
        self, machine: str, instance: str, event: JsonObject | str, *, idempotency_key: str | None = None
    ) -> wire.State:
        """Send an event; the state once the instance has settled. With the same ``idempotency_key`` it is sent once."""
        return await self.run(operations.send(machine, instance, event, idempotency_key=idempotency_key))

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

    async def subscribe(self, machine: str, instance: str) -> AsyncGenerator[wire.State]:
        """Each state of an instance that gets here, the current one first, until the caller stops listening.

        States only ever get newer (``ts`` grows). A connection that breaks is made again, and again, and then begins
        with the current state, so that none comes twice and the last one always comes; a slow reader or a lost
        connection may miss some between (``list_transitions`` has all). The first connection has to succeed. Ends with
        the error that the server gives when the instance does not exist (any more) or may not be read.
        """
        states = subscribe(
            self._url,
            machine,
            instance,
            token=lambda: self._take(self._carrier.token()),
            renew=self._carrier.renew,
            org=self._org,
            clock=self._clock,
        )
        async with aclosing(states):
            async for state in states:
                yield state

    async def wait_for(
        self,
        machine: str,
        instance: str,
        predicate: Callable[[wire.State], bool],
        *,
        timeout_seconds: float | None = None,
    ) -> wire.State:
        """The first state from the current one on of which the predicate is true.

        Raises ``TimeoutError`` when none comes in time, and what ``subscribe`` raises.
        """
        async with asyncio.timeout(timeout_seconds), aclosing(self.subscribe(machine, instance)) as states:
            async for state in states:
                if predicate(state):
                    return state
        raise AssertionError("a subscription ends with an error only")

    def actor(
        self, machine: str, instance: str, context: JsonObject | None = None, *, version: str | None = None
    ) -> AsyncActor:
        """A local stand-in for an instance: ``async with client.actor(machine, instance) as actor:``."""
        return AsyncActor(self, machine, instance, context, version)

    # -- migrations, upgrades, indexes -------------------------------------------------------------------------------

    async def list_migrations(self, machine: str, limit: int | None = None) -> list[wire_evolution.MigrationSummary]:
        return await self.run(evolution.list_migrations(machine, limit))

    async def deploy_migration(
        self, machine: str, source: str, *, from_version: str, to_version: str, file_name: str
    ) -> str:
        """Upload the source of a migration between two versions; its id."""
        return await self.run(
            evolution.deploy_migration(
                machine, source, from_version=from_version, to_version=to_version, file_name=file_name
            )
        )

    async def set_desired_version(self, machine: str, instance: str, version: str) -> None:
        """Let an instance move to a version with the next event that finds it settled."""
        await self.run(evolution.set_desired_version(machine, instance, version))

    async def population(self, machine: str) -> list[wire_evolution.PopulatedVersion]:
        """Which versions the instances of a machine run, oldest version first."""
        return await self.run(evolution.population(machine))

    async def plan_upgrade(
        self,
        machine: str,
        version: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> wire_evolution.UpgradeOutcomes:
        """What an upgrade would do with some instances, or the next ones; nothing is changed."""
        return await self.run(evolution.plan_upgrade(machine, version, instances=instances, cursor=cursor, limit=limit))

    async def apply_upgrade(
        self,
        machine: str,
        version: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> wire_evolution.UpgradeOutcomes:
        """Move some instances, or the next ones, to a version."""
        return await self.run(
            evolution.apply_upgrade(machine, version, instances=instances, cursor=cursor, limit=limit)
        )

    async def query_index(
        self,
        machine: str,
        index: str,
        *,
        operator: evolution.IndexOperator | None = None,
        value: str = "",
        descending: bool = False,
        limit: int | None = None,
    ) -> list[wire_evolution.IndexRow]:
        """The values in an index with their instances, ordered by value."""
        return await self.run(
            evolution.query_index(machine, index, operator=operator, value=value, descending=descending, limit=limit)
        )

    async def add_index(self, machine: str, index: str, selector: str | None = None) -> None:
        """Give a machine an index, and a selector to its versions that have none for it."""
        await self.run(evolution.add_index(machine, index, selector))

    async def rebuild_index(
        self, machine: str, index: str, *, cursor: str | None = None, limit: int = 100
    ) -> wire_evolution.RebuiltIndex:
        """Index the next instances of a machine anew."""
        return await self.run(evolution.rebuild_index(machine, index, cursor=cursor, limit=limit))

    # -- orgs, keys and tokens -------------------------------------------------------------------------------------

    async def list_keys(self, limit: int | None = None) -> list[wire.Key]:
        return await self.run(access_operations.list_keys(limit))

    async def create_key(
        self, name: str, *, scopes: Sequence[str] = (), use: Literal["production", "ci"] | None = None
    ) -> wire.CreatedKey:
        return await self.run(access_operations.create_key(name, scopes=scopes, use=use))

    async def delete_key(self, key_id: str) -> None:
        await self.run(access_operations.delete_key(key_id))

    async def list_orgs(self, limit: int | None = None) -> list[wire.Org]:
        return await self.run(access_operations.list_orgs(limit))

    async def exchange_token(self, org: str, service: str, subject_token: str) -> str:
        """Trade a token of an identity provider for one of the server's. ``TokenExchange`` does it by itself."""
        return await self.run(access_operations.exchange_token(org, service, subject_token))

    async def create_org(self, name: str, *, allow_anonymous_access: bool = True) -> wire_access.CreatedOrg:
        """A new org with a key that may do everything in it; off unless the server allows it."""
        return await self.run(access_operations.create_org(name, allow_anonymous_access=allow_anonymous_access))

    async def list_identity_providers(self, limit: int | None = None) -> list[wire_access.IdentityProvider]:
        return await self.run(access_operations.list_identity_providers(limit))

    async def put_identity_provider(
        self,
        *,
        algs: Sequence[SigningAlgorithm],
        mapping: JsonObject,
        aud: str | None = None,
        iss: str | None = None,
        key: bytes | None = None,
        jwks_url: str | None = None,
    ) -> None:
        """Take tokens of somebody else's in exchange; replaces the provider of the same ``aud`` and ``iss``.

        At least one of ``aud`` and ``iss``, exactly one of ``key`` (its bytes) and ``jwks_url``.
        """
        await self.run(
            access_operations.put_identity_provider(
                algs=algs, mapping=mapping, aud=aud, iss=iss, key=key, jwks_url=jwks_url
            )
        )

    async def delete_identity_provider(self, *, aud: str | None = None, iss: str | None = None) -> None:
        await self.run(access_operations.delete_identity_provider(aud=aud, iss=iss))

    async def list_token_providers(self, limit: int | None = None) -> list[wire_access.TokenProvider]:
        return await self.run(access_operations.list_token_providers(limit))

    async def put_token_provider(self, service: str, *, key_id: str, mapping: JsonObject) -> None:
        """Sign exchanged tokens of a service with a key; replaces the one of the same service."""
        await self.run(access_operations.put_token_provider(service, key_id=key_id, mapping=mapping))

    async def delete_token_provider(self, service: str) -> None:
        await self.run(access_operations.delete_token_provider(service))
