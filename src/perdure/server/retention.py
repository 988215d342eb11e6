"""``/machines/{machine}/journal-retention``: how much of its instances' journals is kept. Beside the contract."""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire_upkeep
from perdure.durable.upkeep_records import JournalRetention
from perdure.errors import InvalidParameter, NotFound
from perdure.server.answer import Answer, no_content, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]

_RETENTION = msgspec.json.Decoder(wire_upkeep.JournalRetention)

_DAY = 86_400_000.0


def routes(services: Services) -> list[Route]:
    retention = Resource(
        services,
        GET=Operation(get_retention, ("machines.read",)),
        PUT=Operation(set_retention, ("machines.admin",)),
        POST=Operation(shorten_journals, ("machines.admin",)),
    )
    return [Route("/machines/{machineSlug}/journal-retention", retention)]


async def get_retention(call: Call) -> Answer:
    found = await _retention(call)
    days = None if found.age_max is None else found.age_max / _DAY
    return ok(wire_upkeep.JournalRetention(entries=found.entries_max, days=days))


async def set_retention(call: Call) -> Answer:
    machine = call.machine
    request = await call.body(_RETENTION)
    if request.entries is not None and request.entries < 1:
        raise InvalidParameter("of each journal at least 1 entry is kept", "entries")
    if request.days is not None and not request.days > 0:
        raise InvalidParameter("journals are kept for more than 0 days", "days")
    retention = JournalRetention(
        org=call.org,
        machine=machine,
        entries_max=request.entries,
        age_max=None if request.days is None else request.days * _DAY,
    )
    await call.services.runtime.store.set_retention(retention)
    return no_content()


async def shorten_journals(call: Call) -> Answer:
    """Do now what would be done by itself in a while."""
    removed = await call.services.runtime.upkeep.shorten_journals(await _retention(call))
    return ok(wire_upkeep.Removed(removed=removed))


async def _retention(call: Call) -> JournalRetention:
    store = call.services.runtime.store
    if await store.machine(call.org, call.machine) is None:
        raise NotFound(f"there is no machine {call.machine!r}")
    found = await store.retention(call.org, call.machine)
    return found or JournalRetention(org=call.org, machine=call.machine)
