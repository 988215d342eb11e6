"""The runtime's interface over a store in memory, without mail, services or recovery: enough to serve requests."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from perdure.clock import Clock
from perdure.durable.commit import Commit
from perdure.durable.definition import Definition, ReadRequest, WriteRequest
from perdure.durable.records import (
    Address,
    InstanceRecord,
    InstanceStatus,
    JournalEntry,
    MachineRecord,
    VersionRecord,
)
from perdure.durable.runtime import InstanceState, Runtime, Subscription
from perdure.durable.store import Store
from perdure.entropy import Entropy, prefixed_id
from perdure.errors import (
    AuthorizerRefused,
    ContextTooLarge,
    EventFailed,
    InvalidParameter,
    InvalidState,
    MachineCodeError,
    NotFound,
    PerdureError,
)
from perdure.json_value import JsonObject, encode_json
from perdure.statechart import Step, encode_snapshot, initial, transition


class FakeSubscription(Subscription):
    def __init__(self, first: InstanceState) -> None:
        self._newest: InstanceState | None = first
        self._is_closed = False
        self._changed = asyncio.Event()
        self._changed.set()

    def offer(self, state: InstanceState) -> None:
        self._newest = state
        self._changed.set()

    def end(self) -> None:
        self._is_closed = True
        self._changed.set()

    async def _states(self) -> AsyncIterator[InstanceState]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            state, self._newest = self._newest, None
            if state is not None:
                yield state
            if self._is_closed:
                return

    def __aiter__(self) -> AsyncIterator[InstanceState]:
        return self._states()

    async def close(self) -> None:
        self.end()


class FakeRuntime(Runtime):
    def __init__(self, store: Store, clock: Clock, entropy: Entropy) -> None:
        self.store = store
        self._clock = clock
        self._entropy = entropy
        self._definitions: dict[str, Definition] = {}
        self._subscriptions: dict[Address, list[FakeSubscription]] = {}

    async def start(self) -> None:
        await self.store.open()

    async def close(self) -> None:
        for subscriptions in self._subscriptions.values():
            for subscription in subscriptions:
                subscription.end()
        await self.store.close()

    async def create_machine(self, org: str, name: str, *, indexes: tuple[str, ...] = ()) -> MachineRecord:
        machine = MachineRecord(org=org, name=name, created_at=self._clock.now(), indexes=indexes)
        await self.store.create_machine(machine)
        return machine

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
        definition = load(source, file_name)
        version = VersionRecord(
            id=version_id or prefixed_id("ver", self._entropy.uuid()),
            org=org,
            machine=machine,
            created_at=self._clock.now(),
            client_info=client_info,
            content_hash=hashlib.sha256(source.encode()).hexdigest(),
            source=source,
            file_name=file_name,
        )
        await self.store.add_version(version, make_current=make_current)
        self._definitions[version.id] = definition
        return version

    async def create_instance(
        self,
        address: Address,
        context: JsonObject | None = None,
        *,
        version_id: str | None = None,
        auth_context: JsonObject | None = None,
    ) -> InstanceState:
        machine = await self.store.machine(address.org, address.machine)
        if machine is None or (version_id is None and machine.current_version is None):
            raise NotFound(f"there is no machine {address.machine} that can run")
        version = await self.store.version(version_id or machine.current_version or "")
        if version is None or version.machine != address.machine:
            raise InvalidParameter("the machine has no such version", "machineVersionId")
        definition = self._definitions[version.id]
        self._ask_to_write(definition, address, "initialization", context or {}, None, None, auth_context)
        step = run(lambda: initial(definition.machine, context))
        await self._commit(None, address, version.id, step, {"type": "xstate.init"})
        return await self.read(address)

    async def send(
        self, address: Address, event: JsonObject | str, *, auth_context: JsonObject | None = None
    ) -> InstanceState:
        record = await self.inspect(address)
        sent = {"type": event} if isinstance(event, str) else event
        if not isinstance(sent.get("type"), str) or not sent["type"]:
            raise InvalidParameter("an event is an object with a type", "event")
        if record.status == "paused":
            raise InvalidState(f"the instance {address} is paused")
        definition = self._definitions[record.version_id]
        before = record.snapshot
        self._ask_to_write(definition, address, "event", before.context, before.value, sent, auth_context)
        step = run(lambda: transition(definition.machine, before, sent))
        await self._commit(record, address, record.version_id, step, sent)
        return await self.read(address)

    async def read(self, address: Address, *, auth_context: JsonObject | None = None) -> InstanceState:
        record = await self.inspect(address)
        request = ReadRequest(
            machine_instance_name=address.instance,
            state=record.snapshot.value,
            context=record.snapshot.context,
            auth_context=auth_context or {},
        )
        if auth_context is not None and not self._definitions[record.version_id].allow_read(request):
            raise AuthorizerRefused("allow_read answered false")
        return InstanceState(
            address=address,
            ts=record.ts,
            state=record.snapshot.value,
            context=record.snapshot.context,
            tags=record.snapshot.tags,
            done=record.snapshot.is_done,
        )

    async def inspect(self, address: Address) -> InstanceRecord:
        record = await self.store.load(address)
        if record is None:
            raise NotFound(f"there is no instance {address}")
        return record

    async def set_status(self, address: Address, status: InstanceStatus) -> None:
        record = await self.inspect(address)
        changed = msgspec.structs.replace(record, status=status, sequence=record.sequence + 1)
        await self.store.commit(
            Commit(
                expected_sequence=record.sequence,
                record=changed,
                snapshot_json=encode_snapshot(record.snapshot),
            )
        )

    async def delete_instance(self, address: Address) -> None:
        if not await self.store.delete_instance(address):
            raise NotFound(f"there is no instance {address}")
        for subscription in self._subscriptions.pop(address, []):
            subscription.end()

    async def subscribe(self, address: Address, *, auth_context: JsonObject | None = None) -> Subscription:
        subscription = FakeSubscription(await self.read(address, auth_context=auth_context))
        self._subscriptions.setdefault(address, []).append(subscription)
        return subscription

    async def _commit(
        self, before: InstanceRecord | None, address: Address, version_id: str, step: Step, event: JsonObject
    ) -> None:
        now = self._clock.now()
        sequence = 1 if before is None else before.sequence + 1
        record = InstanceRecord(
            address=address,
            sequence=sequence,
            version_id=version_id,
            created_at=now if before is None else before.created_at,
            ts=now if before is None else max(now, before.ts + 0.001),
            snapshot=step.snapshot,
        )
        entry = JournalEntry(
            sequence=sequence, created_at=now, event=event, state=step.snapshot.value, version_id=version_id
        )
        await self.store.commit(
            Commit(
                expected_sequence=None if before is None else before.sequence,
                record=record,
                snapshot_json=encode_snapshot(step.snapshot),
                journal=(entry,),
            )
        )
        state = await self.read(address)
        for subscription in self._subscriptions.get(address, []):
            subscription.offer(state)

    def _ask_to_write(
        self,
        definition: Definition,
        address: Address,
        kind: Any,
        context: Any,
        state: Any,
        event: JsonObject | None,
        auth_context: JsonObject | None,
    ) -> None:
        request = WriteRequest(
            type=kind,
            machine_instance_name=address.instance,
            state=state,
            context=context,
            event=event,
            auth_context=auth_context or {},
            sender=None,
        )
        if auth_context is not None and not definition.allow_write(request):
            raise AuthorizerRefused("allow_write answered false")


def run(step: Any) -> Step:
    try:
        result: Step = step()
    except PerdureError:
        raise
    except Exception as error:
        raise EventFailed(f"the machine raised {error!r}") from error
    if len(encode_json(result.snapshot.context)) > 400_000:
        raise ContextTooLarge("the context has more than 400000 bytes")
    return result


def load(source: str, file_name: str) -> Definition:
    namespace: dict[str, Any] = {}
    try:
        code = compile(source, file_name, "exec")
    except SyntaxError as error:
        raise MachineCodeError(f"it is not Python: {error.msg}", file=file_name, line=error.lineno) from error
    exec(code, namespace)
    for name in ("machine", "allow_read", "allow_write"):
        if name not in namespace:
            raise MachineCodeError(f"it exports no {name}", file=file_name)
    return Definition(
        machine=namespace["machine"], allow_read=namespace["allow_read"], allow_write=namespace["allow_write"]
    )
