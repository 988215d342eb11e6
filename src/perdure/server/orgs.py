"""``/orgs`` and ``/billing``: a key belongs to one org and sees that one.

An org that is created over HTTP comes with a key that may do everything in it, shown once, since no key of another org
can make one for it. Because whoever may create orgs may create any number, that is off unless the server allows it.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire, wire_access
from perdure.durable.records import OrgRecord
from perdure.entropy import prefixed_id
from perdure.errors import InvalidParameter
from perdure.server.anonymous import allow_anonymous_access
from perdure.server.answer import Answer, ok
from perdure.server.problems import OrgCreationDisabled
from perdure.server.resource import Call, Operation, Resource
from perdure.server.secrets import new_key
from perdure.server.services import Services
from perdure.tokens import SCOPES

__all__ = ["routes"]

_CREATE = msgspec.json.Decoder(wire_access.CreateOrg)

_NAME_CHARACTERS_MAX = 256
_NO_LIMIT = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly. Nobody counts events or reads here."""


def routes(services: Services) -> list[Route]:
    collection = Resource(services, GET=Operation(list_orgs, ("org.read",)), POST=Operation(create_org, ("org.write",)))
    return [
        Route("/orgs", collection),
        Route("/billing", Resource(services, GET=Operation(explain_billing, ("org.write",)))),
    ]


async def list_orgs(call: Call) -> Answer:
    org = await call.services.runtime.store.org(call.org)
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


async def create_org(call: Call) -> Answer:
    services = call.services
    if not services.settings.allow_org_creation:
        raise OrgCreationDisabled("this server creates no orgs over HTTP: start it with org creation allowed")
    request = await call.body(_CREATE)
    if not 0 < len(request.name) <= _NAME_CHARACTERS_MAX:
        raise InvalidParameter(f"an org's name has 1 to {_NAME_CHARACTERS_MAX} characters", "name")
    now, entropy, secret_box = services.clock.now(), services.entropy, services.secret_box
    store = services.runtime.store
    org = OrgRecord(id=prefixed_id("org", entropy.uuid()), name=request.name, created_at=now)
    await store.create_org(org)
    record, pair = new_key(
        org=org.id, name="first", scopes=tuple(sorted(SCOPES)), now=now, entropy=entropy, secret_box=secret_box
    )
    await store.create_key(record)
    if request.allow_anonymous_access:
        await allow_anonymous_access(store, org.id, now=now, entropy=entropy, secret_box=secret_box)
    return ok(wire_access.CreatedOrg(id=org.id, key_id=pair.id, key=pair.secret))


async def explain_billing(call: Call) -> Answer:
    notice = "perdure is self-hosted: nothing is billed, and there is no billing portal"
    return ok(wire_access.Billing(url="about:blank", notice=notice))
