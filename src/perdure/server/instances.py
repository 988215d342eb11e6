"""``/machines/{machine}`` (POST) and everything under ``/machines/{machine}/i``: the instances of a machine.

These functions translate and nothing more: what happens to an instance is the runtime's affair. Whoever may write may
see the state that the write led to, so only a read asks the read authoriser.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire
from perdure.durable.records import Address, Parent
from perdure.durable.runtime import InstanceState
from perdure.errors import NotFound
from perdure.json_value import Json
from perdure.server.answer import Answer, no_content, ok
from perdure.server.machines import check_deletion, machine_operations
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services
from perdure.server.versions import version_of
from perdure.statechart.snapshot import Child

__all__ = ["public_context", "routes"]

_CREATE = msgspec.json.Decoder(wire.CreateInstance)
_SEND = msgspec.json.Decoder(wire.SendEvent)
_STATUS = msgspec.json.Decoder(wire.SetStatus)
_DELETE = msgspec.json.Decoder(wire.DeleteInstance)

_SEND_SCOPES = ("events.write", "instances.write")
"""The sources of the contract name one or the other, so either is enough."""


def routes(services: Services) -> list[Route]:
    machine = Resource(services, **machine_operations(), POST=Operation(create_instance, ("instances.write",)))
    instance = Resource(
        services,
        GET=Operation(get_instance, ("state.read",)),
        DELETE=Operation(delete_instance, ("instances.admin",)),
    )
    events = Resource(
        services,
        GET=Operation(list_transitions, ("instances.admin",)),
        POST=Operation(send_event, _SEND_SCOPES),
    )
    return [
        Route("/machines/{machineSlug}/i/{instanceSlug}/events", events),
        Route("/machines/{machineSlug}/i/{instanceSlug}", instance),
        Route("/machines/{machineSlug}", machine),
        Route("/machines/{machineSlug}/i", Resource(services, GET=Operation(list_instances, ("instances.read",)))),
        Route(
            "/machines/{machineSlug}/i/{instanceSlug}/admin",
            Resource(services, GET=Operation(inspect_instance, ("instances.admin",))),
        ),
        Route(
            "/machines/{machineSlug}/i/{instanceSlug}/status",
            Resource(services, PUT=Operation(set_status, ("instances.admin",))),
        ),
    ]


def public_context(context: Json) -> Json:
    """The part of a context that its readers see, ``None`` when there is none."""
    return context.get("public") if isinstance(context, dict) else None


async def create_instance(call: Call) -> Answer:
    machine = call.machine
    request = await call.body(_CREATE)
    state = await call.services.runtime.create_instance(
        Address(call.org, machine, checked_name(request.slug, "slug")),
        request.context,
        version_id=request.machine_version_id,
        auth_context=call.principal.auth_context(),
        idempotency_key=call.idempotency_key,
    )
    return _state(state)


async def send_event(call: Call) -> Answer:
    address = call.address
    request = await call.body(_SEND)
    state = await call.services.runtime.send(
        address,
        request.event,
        auth_context=call.principal.auth_context(),
        idempotency_key=call.idempotency_key,
    )
    return _state(state)


async def get_instance(call: Call) -> Answer:
    return _state(await call.services.runtime.read(call.address, auth_context=call.principal.auth_context()))


async def inspect_instance(call: Call) -> Answer:
    record = await call.services.runtime.inspect(call.address)
    desired = record.desired_version_id
    answer = wire.AdminState(
        state=record.snapshot.value,
        context=record.snapshot.context,
        tags=record.snapshot.tags,
        done=record.snapshot.is_done,
        status=record.status,
        machine_version=await version_of(call.services, record.version_id),
        desired_machine_version=None if desired is None else await version_of(call.services, desired),
        created_at=wire.wire_time(record.created_at),
        parents=tuple(_parent(parent) for parent in record.parents),
        children=tuple(_child(child) for child in record.snapshot.children.values()),
    )
    return ok(answer)


def _parent(parent: Parent) -> wire.ParentTie:
    return wire.ParentTie(
        machine_name=parent.address.machine,
        machine_instance_name=parent.address.instance,
        id=parent.child_id,
        detached=parent.detached,
    )


def _child(child: Child) -> wire.ChildSummary:
    if child.instance is None:
        return wire.ChildSummary(id=child.id, src=child.source)
    return wire.ChildSummary(
        id=child.id, machine_name=child.source, machine_instance_name=child.instance, detached=child.detached
    )


async def set_status(call: Call) -> Answer:
    address = call.address
    request = await call.body(_STATUS)
    await call.services.runtime.set_status(address, request.status)
    return no_content()


async def delete_instance(call: Call) -> Answer:
    address = call.address
    request = await call.body(_DELETE, default=wire.DeleteInstance())
    check_deletion(
        address.machine,
        address.instance,
        is_meant=request.danger_data_will_be_deleted_forever,
        proof=request.hmac_sha256_of_machine_instance_name_with_machine_name_key,
        parameter="hmacSha256OfMachineInstanceNameWithMachineNameKey",
    )
    await call.services.runtime.delete_instance(address)
    return no_content()


async def list_instances(call: Call) -> Answer:
    services = call.services
    store = services.runtime.store
    if await store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine}")
    page = await store.list_instances(call.org, call.machine, cursor=call.cursor, limit=services.settings.page_size)
    instances = [
        wire.InstanceSummary(
            slug=row.name,
            created_at=wire.wire_time(row.created_at),
            status=row.status,
            machine_version=await version_of(services, row.version_id),
        )
        for row in page.rows
    ]
    return ok(wire.InstancesPage(instances=instances, cursor=page.cursor))


async def list_transitions(call: Call) -> Answer:
    runtime = call.services.runtime
    address = call.address
    page = await runtime.store.journal(address, cursor=call.cursor, limit=call.services.settings.page_size)
    if not page.rows:
        # The journal of an instance that is not there is as empty as one that has been read to its end.
        await runtime.inspect(address)
    transitions = [
        wire.Transition(created_at=wire.wire_time(entry.created_at), state=entry.state, event=entry.event)
        for entry in page.rows
    ]
    return ok(wire.TransitionsPage(transitions=transitions, cursor=page.cursor))


def _state(state: InstanceState) -> Answer:
    answer = wire.State(
        ts=state.ts,
        state=state.state,
        public_context=public_context(state.context),
        tags=state.tags,
        done=state.done,
    )
    return ok(answer)
