"""The synchronous client: the same operations, live views and actors for scripts and threads."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self, TypeVar

import httpx2

from perdure import wire, wire_access, wire_evolution
from perdure.client import access_operations, evolution, operations
from perdure.client.carrying import Carrier, Outgoing, Pause, Retries, Step
from perdure.client.credentials import Credentials, TokenSource
from perdure.client.exchange import Operation
from perdure.client.http import READ_TIMEOUT_SECONDS, base_url, failure_of, http_arguments, response_of
from perdure.client.sync_live import Actor, Subscription
from perdure.clock import Clock, SystemClock
from perdure.entropy import Entropy, SystemEntropy
from perdure.errors import InvalidParameter
from perdure.json_value import JsonObject
from perdure.wire_access import SigningAlgorithm

__all__ = ["Client"]

T = TypeVar("T")


class Client:
    """A perdure server, seen from blocking code. Use it as ``with Client(url, token) as client:``.

    The same methods as ``AsyncClient``, with the same promises and errors. Threads may share one.
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
        self._carrier = Carrier(
            Credentials(token, clock if clock is not None else SystemClock()),
            entropy if entropy is not None else SystemEntropy(),
            retries if retries is not None else Retries(),
            org=org,
        )
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
        return self._take(self._carrier.carry(operation))

    def _take(self, steps: Generator[Step, Any, T]) -> T:
        answer: Any = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                result: T = end.value
                return result
            answer = self._step(step)

    def _step(self, step: Step) -> Any:
        if isinstance(step, Outgoing):
            try:
                return response_of(self._http.request(**http_arguments(step, url=self._url)))
            except httpx2.TransportError as error:
                return failure_of(self._url, error)
        if isinstance(step, Pause):
            return threading.Event().wait(step.milliseconds / 1000)
        token = step.provider()
        if inspect.iscoroutine(token):
            token.close()  # or Python complains that nobody awaits it
        if inspect.isawaitable(token):
            raise InvalidParameter("the token function is asynchronous: use AsyncClient, or a plain function", "token")
        return token

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
        return self.run(
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
        return self.run(
            operations.create_instance(machine, instance, context, version=version, idempotency_key=idempotency_key)
        )

    def get_instance(self, machine: str, instance: str) -> wire.State:
        return self.run(operations.get_instance(machine, instance))

    def get_or_create_instance(
        self, machine: str, instance: str, context: JsonObject | None = None, *, version: str | None = None
    ) -> wire.State:
        """The instance, created if there is none; of several callers at once one creates it and all get it."""
        return self.run(operations.get_or_create_instance(machine, instance, context, version=version))

    def send(
        self, machine: str, instance: str, event: JsonObject | str, *, idempotency_key: str | None = None
    ) -> wire.State:
        """Send an event; the state once the instance has settled. With the same ``idempotency_key`` it is sent once."""
        return self.run(operations.send(machine, instance, event, idempotency_key=idempotency_key))

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

    def subscribe(self, machine: str, instance: str) -> Subscription:
        """Each state of an instance that gets here: iterate over it, and close it, as ``AsyncClient.subscribe``."""
        return Subscription(
            self._url,
            machine,
            instance,
            token=lambda: self._take(self._carrier.token()),
            renew=self._carrier.renew,
            org=self._org,
        )

    def wait_for(
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
        with self.subscribe(machine, instance) as states:
            timer = None if timeout_seconds is None else threading.Timer(timeout_seconds, states.close)
            if timer is not None:
                timer.start()
            try:
                for state in states:
                    if predicate(state):
                        return state
            finally:
                if timer is not None:
                    timer.cancel()
        raise TimeoutError(f"{machine}/{instance} did not come to that state within {timeout_seconds} s")

    def actor(
        self, machine: str, instance: str, context: JsonObject | None = None, *, version: str | None = None
    ) -> Actor:
        """A local stand-in for an instance: ``with client.actor(machine, instance) as actor:``."""
        return Actor(self, machine, instance, context, version)

    # -- migrations, upgrades, indexes -------------------------------------------------------------------------------

    def list_migrations(self, machine: str, limit: int | None = None) -> list[wire_evolution.MigrationSummary]:
        return self.run(evolution.list_migrations(machine, limit))

    def deploy_migration(self, machine: str, source: str, *, from_version: str, to_version: str, file_name: str) -> str:
        """Upload the source of a migration between two versions; its id."""
        return self.run(
            evolution.deploy_migration(
                machine, source, from_version=from_version, to_version=to_version, file_name=file_name
            )
        )

    def set_desired_version(self, machine: str, instance: str, version: str) -> None:
        """Let an instance move to a version with the next event that finds it settled."""
        self.run(evolution.set_desired_version(machine, instance, version))

    def population(self, machine: str) -> list[wire_evolution.PopulatedVersion]:
        """Which versions the instances of a machine run, oldest version first."""
        return self.run(evolution.population(machine))

    def plan_upgrade(
        self,
        machine: str,
        version: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> wire_evolution.UpgradeOutcomes:
        """What an upgrade would do with some instances, or the next ones; nothing is changed."""
        return self.run(evolution.plan_upgrade(machine, version, instances=instances, cursor=cursor, limit=limit))

    def apply_upgrade(
        self,
        machine: str,
        version: str,
        *,
        instances: Sequence[str] | None = None,
        cursor: str | None = None,
        limit: int = 100,
    ) -> wire_evolution.UpgradeOutcomes:
        """Move some instances, or the next ones, to a version."""
        return self.run(evolution.apply_upgrade(machine, version, instances=instances, cursor=cursor, limit=limit))

    def query_index(
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
        return self.run(
            evolution.query_index(machine, index, operator=operator, value=value, descending=descending, limit=limit)
        )

    def add_index(self, machine: str, index: str, selector: str | None = None) -> None:
        """Give a machine an index, and a selector to its versions that have none for it."""
        self.run(evolution.add_index(machine, index, selector))

    def rebuild_index(
        self, machine: str, index: str, *, cursor: str | None = None, limit: int = 100
    ) -> wire_evolution.RebuiltIndex:
        """Index the next instances of a machine anew."""
        return self.run(evolution.rebuild_index(machine, index, cursor=cursor, limit=limit))

    # -- orgs, keys and tokens -------------------------------------------------------------------------------------

    def list_keys(self, limit: int | None = None) -> list[wire.Key]:
        return self.run(access_operations.list_keys(limit))

    def create_key(
        self, name: str, *, scopes: Sequence[str] = (), use: Literal["production", "ci"] | None = None
    ) -> wire.CreatedKey:
        return self.run(access_operations.create_key(name, scopes=scopes, use=use))

    def delete_key(self, key_id: str) -> None:
        self.run(access_operations.delete_key(key_id))

    def list_orgs(self, limit: int | None = None) -> list[wire.Org]:
        return self.run(access_operations.list_orgs(limit))

    def exchange_token(self, org: str, service: str, subject_token: str) -> str:
        """Trade a token of an identity provider for one of the server's. ``TokenExchange`` does it by itself."""
        return self.run(access_operations.exchange_token(org, service, subject_token))

    def create_org(self, name: str, *, allow_anonymous_access: bool = True) -> wire_access.CreatedOrg:
        """A new org with a key that may do everything in it; off unless the server allows it."""
        return self.run(access_operations.create_org(name, allow_anonymous_access=allow_anonymous_access))

    def list_identity_providers(self, limit: int | None = None) -> list[wire_access.IdentityProvider]:
        return self.run(access_operations.list_identity_providers(limit))

    def put_identity_provider(
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
        self.run(
            access_operations.put_identity_provider(
                algs=algs, mapping=mapping, aud=aud, iss=iss, key=key, jwks_url=jwks_url
            )
        )

    def delete_identity_provider(self, *, aud: str | None = None, iss: str | None = None) -> None:
        self.run(access_operations.delete_identity_provider(aud=aud, iss=iss))

    def list_token_providers(self, limit: int | None = None) -> list[wire_access.TokenProvider]:
        return self.run(access_operations.list_token_providers(limit))

    def put_token_provider(self, service: str, *, key_id: str, mapping: JsonObject) -> None:
        """Sign exchanged tokens of a service with a key; replaces the one of the same service."""
        self.run(access_operations.put_token_provider(service, key_id=key_id, mapping=mapping))

    def delete_token_provider(self, service: str) -> None:
        self.run(access_operations.delete_token_provider(service))
