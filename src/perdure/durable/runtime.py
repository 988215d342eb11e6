"""The runtime: every instance of every machine, behind one object.

It hands messages to residents, keeps the newest records at hand, and knows versions. It decides nothing about an
instance: what a message does is the turn's business, and whether it has happened is the store's.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import get_args

from perdure.clock import TimerClock
from perdure.durable.checked_input import as_json, ensure_address, ensure_name, sendable
from perdure.durable.dead_letters import DeadLetters
from perdure.durable.definition import Definition, ReadRequest
from perdure.durable.delivery import Delivery
from perdure.durable.envelope import Envelope
from perdure.durable.host import Host
from perdure.durable.idempotency import KeyedRequests
from perdure.durable.indexes import check_selectors
from perdure.durable.indexing import Indexes
from perdure.durable.machine_logs import MachineLogs
from perdure.durable.message import Create, Deliver, SetStatus
from perdure.durable.meters import Meters
from perdure.durable.records import Address, InstanceRecord, InstanceStatus, MachineRecord, VersionRecord
from perdure.durable.relations import Relations
from perdure.durable.resident import Resident
from perdure.durable.settings import RuntimeSettings
from perdure.durable.store import Store
from perdure.durable.upgrading import Upgrades
from perdure.durable.upkeep import Upkeep
from perdure.durable.watchdog import Watchdog
from perdure.durable.watchers import InstanceState, Subscription, Watchers, state_of
from perdure.entropy import Entropy, prefixed_id
from perdure.errors import InvalidParameter, InvalidState, NotFound, ResultTooLarge
from perdure.json_value import Json, JsonObject, decode_json, encode_json, json_copy
from perdure.statechart.event import EventLike
from perdure.tracing import OFF, Tracer

__all__ = ["InstanceState", "Runtime", "RuntimeSettings", "Subscription"]

EMBEDDED_VERSIONS = uuid.UUID("5d1c0d9e-6b0a-4b57-9f0e-6a1f4ae0c0de")
"""Namespace of the ids of versions whose code is part of the host application: the same code label, the same id."""


class Runtime(Relations):
    """Durable instances over a store.

    It is bound to the event loop it is started in; its methods are called from that loop.
    """

    def __init__(
        self,
        store: Store,
        host: Host,
        *,
        clock: TimerClock,
        entropy: Entropy,
        settings: RuntimeSettings | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        """``tracer`` is whatever the process has configured, unless one is given."""
        self.store = store
        self.host = host
        self.clock = clock
        self.entropy = entropy
        self.settings = settings or RuntimeSettings()
        self.limits = self.settings.limits
        self.watchers = Watchers()
        self.keyed_requests = KeyedRequests(self)
        self.upgrades = Upgrades(self)
        self.indexes = Indexes(self)
        self.dead_letters = DeadLetters(self)
        self.upkeep = Upkeep(self)
        self.machine_logs = MachineLogs(self)
        self.watchdog = Watchdog(self.settings.limits.slow_turn)
        self.threads = ThreadPoolExecutor(self.settings.service_threads, thread_name_prefix="perdure-service")
        self.meters = Meters()
        self.tracer = tracer if tracer is not None else OFF
        self._traces_as_process = tracer is None
        self.delivery: Delivery
        self._residents: dict[Address, Resident] = {}
        self._records: OrderedDict[Address, InstanceRecord] = OrderedDict()
        self._versions: dict[str, VersionRecord] = {}
        self._is_open = False

    async def start(self) -> None:
        """Open the store, unless it is open, and begin to deliver; what came due meanwhile is delivered at once.

        Machines of the host application are registered before, on the open store: mail for an instance whose code is
        not there yet would fail.
        """
        await self.store.open()
        if self._traces_as_process:
            self.tracer = Tracer.of_process()
        self.delivery = Delivery(self)
        self.delivery.start()
        self.watchdog.start()
        self.upkeep.start()
        self.machine_logs.start()
        self._is_open = True

    @property
    def is_running(self) -> bool:
        """Whether it was started and not closed since."""
        return self._is_open

    async def close(self) -> None:
        """Take no more messages, let running services finish for a moment, stop the rest, and close the store.

        A service stopped here counts as lost: its instance gets an error event when it is next used.
        """
        try:
            if self._is_open:
                self._is_open = False
                await self._drain()
        finally:  # also when closing is itself cancelled
            self.watchers.end_all()
            self.watchdog.close()
            self.threads.shutdown(wait=False, cancel_futures=True)
            await self.machine_logs.close()
            await self.store.close()

    async def _drain(self) -> None:
        await self.upkeep.close()
        await self.delivery.close()
        loops = [resident.loop for resident in self._residents.values()]
        grace = asyncio.ensure_future(self.clock.sleep(self.settings.closing_grace))
        try:
            await asyncio.wait((asyncio.gather(*loops, return_exceptions=True), grace), return_when="FIRST_COMPLETED")
        finally:
            grace.cancel()
            await asyncio.gather(*(resident.close() for resident in self._residents.values()))

    async def __aenter__(self) -> Runtime:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # -- definitions -------------------------------------------------------------------------------

    async def create_machine(self, org: str, name: str, *, indexes: tuple[str, ...] = ()) -> MachineRecord:
        """Raises ``InvalidState`` for a duplicate, ``InvalidParameter("…", "slug")`` for a bad name."""
        ensure_name(name, "slug")
        for index in indexes:
            ensure_name(index, "indexes")
        machine = MachineRecord(org=org, name=name, created_at=self.clock.now(), indexes=indexes)
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
        index_selectors: Mapping[str, str] | None = None,
    ) -> VersionRecord:
        """Check a machine version's source by loading it, then keep it.

        For an index that ``index_selectors`` does not name the selector is the one that the source exports, and else
        the one of the current version. An index that the source alone names is added to the machine.

        Raises ``MachineCodeError`` (does not import, lacks an export: file, line, reason), ``MachineConfigError``
        (every defect of the config), ``NotFound`` (no such machine), ``InvalidParameter`` (``"indexSelectors"``: no
        JSONPath, no index of the machine). The running version stays in each of these cases.
        """
        exported = self.host.check(source, file_name)
        selectors = await self._selectors(org, machine, exported, index_selectors or {})
        version = VersionRecord(
            id=version_id or prefixed_id("ver", self.entropy.uuid()),
            org=org,
            machine=machine,
            created_at=self.clock.now(),
            client_info=client_info,
            content_hash=hashlib.sha256(source.encode()).hexdigest(),
            source=source,
            file_name=file_name,
            index_selectors=selectors,
        )
        await self.store.add_version(version, make_current=make_current)
        return version

    async def _selectors(
        self, org: str, machine: str, exported: Mapping[str, str], given: Mapping[str, str]
    ) -> dict[str, str]:
        """The selectors of a version to be. Indexes that its source names are there from now on."""
        record = await self.store.machine(org, machine)
        if record is None:
            raise NotFound(f"there is no machine {machine!r}")
        inherited: Mapping[str, str] = {}
        if record.current_version is not None:
            inherited = (await self.version(record.current_version)).index_selectors
        check_selectors(given, record.indexes, machine)
        check_selectors(exported, tuple(exported), machine)
        for index in exported:
            ensure_name(index, "indexSelectors")
            if index not in record.indexes:
                await self.store.add_index(org, machine, index)
        return {**inherited, **exported, **given}

    async def register(self, org: str, name: str, definition: Definition, *, label: str = "1") -> VersionRecord:
        """Make a machine of the host application's own code current, creating it where it is missing.

        Its code is not stored: an instance runs whatever code is registered under its machine's name and ``label``.
        Change the label when a change of the code must not reach the instances that exist.
        """
        if await self.store.machine(org, name) is None:
            await self.create_machine(org, name)
        version = VersionRecord(
            id=self.embedded_version_id(org, name, label),
            org=org,
            machine=name,
            created_at=self.clock.now(),
            client_info=label,
            content_hash=hashlib.sha256(label.encode()).hexdigest(),
            source=None,
            file_name=f"<{name}>",
            index_selectors=await self._selectors(org, name, definition.index_selectors, {}),
        )
        self.host.provide(version.id, definition)
        await self.store.add_version(version, make_current=True)
        return version

    @staticmethod
    def embedded_version_id(org: str, machine: str, label: str) -> str:
        """The id of the version that ``register`` makes under a label."""
        return prefixed_id("ver", uuid.uuid5(EMBEDDED_VERSIONS, f"{org}/{machine}/{label}"))

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
        idempotency_key: str | None = None,
    ) -> InstanceState:
        """Create an instance and answer once it has settled.

        ``context`` is merged over the machine's initial context, key by key. The same request with the same
        ``idempotency_key`` is answered what it was answered the first time. Raises ``NotFound`` (machine, or it has no
        current version), ``InvalidParameter`` (a bad name: parameter ``"slug"``; a version that is not this machine's:
        ``"machineVersionId"``; a context that is no object: ``"context"``), ``InstanceExists``, ``AuthorizerRefused``,
        ``EventFailed``, ``ContextTooLarge``, ``MailboxFull``, ``IdempotencyKeyReused``.
        """
        ensure_address(address)
        ensure_name(address.instance, "slug")
        if context is not None and not isinstance(context, dict):
            raise InvalidParameter(f"a context is an object, not {type(context).__name__}", "context")
        context = None if context is None else as_json(context, "context")
        message = Create(version_id=version_id, context=context, auth_context=auth_context)
        if idempotency_key is not None:
            return await self.keyed_requests.answer(address, idempotency_key, message)
        return await self._ask(address, Envelope(message, settles=True))

    async def send(
        self,
        address: Address,
        event: EventLike,
        *,
        auth_context: JsonObject | None = None,
        idempotency_key: str | None = None,
    ) -> InstanceState:
        """Send an event and answer once the instance has settled, or at the processing timeout with what it reached.

        The same event with the same ``idempotency_key`` is applied once and answered the same.

        Raises ``NotFound``, ``InvalidState`` (paused), ``InstanceEnded``, ``InvalidParameter`` (an event without a
        ``type``, of a type that only the runtime uses, or one that does not fit its schema: ``"event"``),
        ``AuthorizerRefused``, ``EventTooLarge``, ``EventFailed``, ``ContextTooLarge``, ``MailboxFull``,
        ``IdempotencyKeyReused``.
        """
        message = Deliver(event=sendable(event, self.limits.event_bytes_max), auth_context=auth_context)
        if idempotency_key is not None:
            return await self.keyed_requests.answer(address, idempotency_key, message)
        return await self._ask(address, Envelope(message, settles=True))

    async def read(self, address: Address, *, auth_context: JsonObject | None = None) -> InstanceState:
        """The latest committed state. Raises ``NotFound``, ``AuthorizerRefused``."""
        record = await self.inspect(address)
        await self._ensure_readable(record, auth_context)
        return state_of(record)

    async def inspect(self, address: Address) -> InstanceRecord:
        """The whole record, asking no authoriser. Raises ``NotFound``."""
        record = await self.record(address)
        if record is None:
            raise await self.absent(address)
        return record

    async def set_status(self, address: Address, status: InstanceStatus) -> None:
        """Pause an instance (every event is refused with ``InvalidState``) or let it run.

        Raises ``NotFound``, ``InvalidParameter`` for what is no status.
        """
        if status not in get_args(InstanceStatus):
            raise InvalidParameter(f"a status is {' or '.join(get_args(InstanceStatus))}, not {status!r}", "status")
        await self._ask(address, Envelope(SetStatus(status)))

    async def delete_instance(self, address: Address) -> None:
        """Stop it and remove everything of it. Raises ``NotFound``."""
        envelope = Envelope(None)
        self.submit(address, envelope)
        await envelope.answer

    async def subscribe(self, address: Address, *, auth_context: JsonObject | None = None) -> Subscription:
        """Watch an instance. Raises ``NotFound``, ``AuthorizerRefused``."""
        subscription = self.watchers.add(address)  # before reading, so that no commit falls between
        try:
            record = await self.inspect(address)
            await self._ensure_readable(record, auth_context)
        except BaseException:
            await subscription.close()
            raise
        subscription.offer(state_of(record))
        return subscription

    async def _ask(self, address: Address, envelope: Envelope) -> InstanceState:
        self.submit(address, envelope)
        record = await envelope.answer
        if record is None:
            raise await self.absent(address)
        return state_of(record, is_own=envelope.settles)

    async def _ensure_readable(self, record: InstanceRecord, auth_context: JsonObject | None) -> None:
        if auth_context is None:
            return
        request = ReadRequest(
            machine_instance_name=record.address.instance,
            state=record.snapshot.value,
            context=json_copy(record.snapshot.context),  # code may change what it is shown
            auth_context=auth_context,
        )
        with self.machine_logs.output_of(record.address):
            await self.host.allow_read(await self.version(record.version_id), request)

    @property
    def residents(self) -> int:
        """How many instances are in memory because somebody needs them."""
        return len(self._residents)

    @property
    def running_children(self) -> int:
        """How many ephemeral children run."""
        return sum(resident.running_children for resident in self._residents.values())

    async def idle(self) -> None:
        """Return once no instance is in memory and no mail is due: every service has ended, every message is applied.

        It may never return while instances keep each other busy. Meant for tests and for draining.
        """
        # No event to wait for: that would have the hot path signal something only tests and draining want to know.
        while self._residents or not self.delivery.is_idle:  # noqa: ASYNC110
            await asyncio.sleep(0)

    @property
    def is_resting(self) -> bool:
        """Whether all has been done that can be done before time passes, or a service ends, or somebody asks for more.

        A test's clock moves on then.
        """
        return not self._is_open or (
            self.delivery.is_resting and all(resident.is_resting for resident in self._residents.values())
        )

    # -- what residents and delivery use -----------------------------------------------------------

    def submit(self, address: Address, envelope: Envelope) -> None:
        """Give a message to the instance's resident, which takes residence for it if it must."""
        if not self._is_open:
            envelope.fail(InvalidState("the runtime is not running"))
            return
        if self.tracer.is_on and envelope.mail is None and envelope.trace is None:
            envelope.trace = self.tracer.current()
        resident = self._residents.get(address)
        if resident is None:
            ensure_address(address)
            resident = self._residents[address] = Resident(self, address)
        resident.submit(envelope)

    def leave(self, resident: Resident) -> None:
        if self._residents.get(resident.address) is resident:
            del self._residents[resident.address]

    def record_at_hand(self, address: Address) -> InstanceRecord | None:
        """The newest record that this process knows of, if it knows one."""
        return self._records.get(address)

    async def record(self, address: Address) -> InstanceRecord | None:
        """The newest record this process knows of, or the store's.

        What is loaded here is not kept: a commit or a delete may be under way that the load has not seen. Only the
        instance's resident, which makes them, knows when it may.
        """
        found = self._records.get(address)
        if found is not None:
            self._records.move_to_end(address)
            return found
        ensure_address(address)
        return await self.store.load(address)

    def remember(self, record: InstanceRecord) -> None:
        self._records[record.address] = record
        self._records.move_to_end(record.address)
        if len(self._records) > self.settings.cached_instances:
            self._records.popitem(last=False)

    def forget(self, address: Address) -> None:
        self._records.pop(address, None)

    def version_at_hand(self, version_id: str) -> VersionRecord | None:
        """A version that this process has needed before."""
        return self._versions.get(version_id)

    async def version(self, version_id: str) -> VersionRecord:
        """A version by id; versions are immutable, so they are kept for good."""
        found = self._versions.get(version_id)
        if found is None:
            found = await self.store.version(version_id)
            if found is None:
                raise NotFound(f"there is no machine version {version_id!r}")
            self._versions[version_id] = found
        return found

    def forget_versions(self, org: str, machine: str) -> None:
        """Ask the store again for the versions of a machine: their selectors have changed."""
        self._versions = {
            version_id: version
            for version_id, version in self._versions.items()
            if (version.org, version.machine) != (org, machine)
        }

    async def version_for(self, org: str, machine: str, version_id: str | None) -> str:
        """The version a new instance gets: the given one, if it is this machine's, or the current one."""
        if version_id is not None:
            version = await self.store.version(version_id)
            if version is None or (version.org, version.machine) != (org, machine):
                raise InvalidParameter(f"{version_id!r} is no version of machine {machine!r}", "machineVersionId")
            return version_id
        record = await self.store.machine(org, machine)
        if record is None:
            raise NotFound(f"there is no machine {machine!r}")
        if record.current_version is None:
            raise NotFound(f"machine {machine!r} has no current version; deploy one")
        return record.current_version

    async def absent(self, address: Address) -> NotFound:
        """The error for an instance that is not there: it says whether the machine is."""
        if await self.store.machine(address.org, address.machine) is None:
            return NotFound(f"there is no machine {address.machine!r}")
        return NotFound(f"machine {address.machine!r} has no instance {address.instance!r}")

    def copied_result(self, result: Json) -> Json:
        """What a service returned, as its machine sees it. Raises ``ResultTooLarge``, and what is no JSON."""
        encoded, bytes_max = encode_json(result), self.settings.limits.result_bytes_max
        if len(encoded) > bytes_max:
            raise ResultTooLarge(f"the result is {len(encoded):,} bytes of JSON; the limit is {bytes_max:,} bytes")
        return decode_json(encoded)

    def fresh_name(self) -> str:
        return str(self.entropy.uuid())
