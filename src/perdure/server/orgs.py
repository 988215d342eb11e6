"""``/orgs``: a key belongs to one org and sees that one."""

from __future__ import annotations

from starlette.routing import Route

from perdure import wire
from perdure.durable.records import OrgRecord
from perdure.server.answer import Answer, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]

_NO_LIMIT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly. Nobody counts events or reads here."""


def routes(services: Services) -> list[Route]:
    return [Route("/orgs", Resource(services, GET=Operation(list_orgs, ("org.read",))))]


async def list_orgs(call: Call) -> Answer:
    org = await _own_org(call)
    if org is None:
        return ok(wire.OrgsPage(orgs=[]))
    answer = wire.Org(
        id=org.id,
        name=org.name,
        role="admin" if "org.write" in call.principal.scopes else "read",
        created_at=wire.wire_time(org.created_at),
        limits=wire.OrgLimits(monthly_events_limit=_NO_LIMIT, monthly_reads_limit=_NO_LIMIT),
    )
    return ok(wire.OrgsPage(orgs=[answer]))


async def _own_org(call: Call) -> OrgRecord | None:
    cursor = None
    while True:
        page = await call.services.runtime.store.list_orgs(cursor=cursor, limit=call.services.settings.page_size)
        for org in page.rows:
            if org.id == call.org:
                return org
        if page.cursor is None:
            return None
        cursor = page.cursor
