"""``/machines`` and ``/machines/{machine}``: the definitions, without the instances under them."""

from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
from starlette.routing import Route

from perdure import wire
from perdure.durable.records import MachineRecord
from perdure.errors import InvalidParameter, NotFound
from perdure.server.answer import Answer, created, no_content, ok
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services
from perdure.server.versions import version_of

__all__ = ["check_deletion", "machine_operations", "routes"]

_CREATE = msgspec.json.Decoder(wire.CreateMachine)
_DELETE = msgspec.json.Decoder(wire.DeleteMachine)


def routes(services: Services) -> list[Route]:
    collection = Resource(
        services,
        GET=Operation(list_machines, ("machines.read",)),
        POST=Operation(create_machine, ("machines.write",)),
    )
    return [Route("/machines", collection)]


def machine_operations() -> dict[str, Operation]:
    """What ``/machines/{machine}`` does with the machine itself; a POST there creates an instance."""
    return {
        "GET": Operation(get_machine, ("machines.read",)),
        "DELETE": Operation(delete_machine, ("machines.admin",)),
    }


async def list_machines(call: Call) -> Answer:
    services = call.services
    page = await services.runtime.store.list_machines(call.org, cursor=call.cursor, limit=services.settings.page_size)
    machines = [
        wire.MachineSummary(
            slug=machine.name,
            created_at=wire.wire_time(machine.created_at),
            current_version=await _current_version(services, machine),
        )
        for machine in page.rows
    ]
    return ok(wire.MachinesPage(machines=machines, cursor=page.cursor))


async def create_machine(call: Call) -> Answer:
    request = await call.body(_CREATE)
    name = checked_name(request.slug, "slug")
    for index in request.indexes:
        checked_name(index, "indexes")
    if len(set(request.indexes)) < len(request.indexes):
        raise InvalidParameter("an index is named twice", "indexes")
    await call.services.runtime.create_machine(call.org, name, indexes=tuple(request.indexes))
    return created()


async def get_machine(call: Call) -> Answer:
    machine = await call.services.runtime.store.machine(call.org, call.machine)
    if machine is None:
        raise NotFound(f"there is no machine {call.machine}")
    detail = wire.MachineDetail(
        created_at=wire.wire_time(machine.created_at),
        current_version=await _current_version(call.services, machine),
        indexes=machine.indexes,
    )
    return ok(wire.MachineAnswer(machine=detail))


async def delete_machine(call: Call) -> Answer:
    request = await call.body(_DELETE, default=wire.DeleteMachine())
    check_deletion(
        call.machine,
        call.machine,
        is_meant=request.danger_data_will_be_deleted_forever,
        proof=request.hmac_sha256_of_machine_name_with_machine_name_key,
        parameter="hmacSha256OfMachineNameWithMachineNameKey",
    )
    if not await call.services.runtime.store.delete_machine(call.org, call.machine):
        raise NotFound(f"there is no machine {call.machine}")
    return no_content()


def check_deletion(machine: str, name: str, *, is_meant: bool, proof: str, parameter: str) -> None:
    """Refuse a deletion without its two proofs of intent: a flag, and an HMAC of ``name`` under the machine's name.

    Raises ``InvalidParameter`` naming the one at fault.
    """
    if not is_meant:
        raise InvalidParameter(
            "a deletion cannot be undone: confirm it with dangerDataWillBeDeletedForever: true",
            "dangerDataWillBeDeletedForever",
        )
    digest = hmac.digest(machine.encode(), name.encode(), hashlib.sha256)
    expected = base64.urlsafe_b64encode(digest).rstrip(b"=")
    if not hmac.compare_digest(expected, proof.encode()):
        raise InvalidParameter(
            f"{parameter} is not the base64url HMAC-SHA-256 of {name} with the key {machine}", parameter
        )


async def _current_version(services: Services, machine: MachineRecord) -> wire.Version | None:
    if machine.current_version is None:
        return None
    return await version_of(services, machine.current_version)
