"""``/keys``: the keys that sign an org's tokens.

A key's secret is answered once, when it is made, and lies sealed in the store. Who may create keys may give a new one
any scope: they could act as anybody in any case.
"""

from __future__ import annotations

import msgspec
from starlette.routing import Route

from perdure import wire
from perdure.errors import InvalidParameter, NotFound
from perdure.server.answer import Answer, no_content, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.secrets import new_key
from perdure.server.services import Services
from perdure.tokens import KEY_USES, SCOPES

__all__ = ["routes"]

_CREATE = msgspec.json.Decoder(wire.CreateKey)

_NAME_CHARACTERS_MAX = 256
_POLICY_VIOLATION = 1008
"""The WebSocket close code for a connection whose key is gone."""


def routes(services: Services) -> list[Route]:
    collection = Resource(
        services,
        GET=Operation(list_keys, ("tokens.admin",)),
        POST=Operation(create_key, ("org.keys.write",)),
    )
    return [
        Route("/keys", collection),
        Route("/keys/{keyId}", Resource(services, DELETE=Operation(delete_key, ("org.keys.write",)))),
    ]


async def list_keys(call: Call) -> Answer:
    page = await call.services.runtime.store.list_keys(
        call.org, cursor=call.cursor, limit=call.services.settings.page_size
    )
    keys = [
        wire.Key(id=key.id, name=key.name, scopes=key.scopes, created_at=wire.wire_time(key.created_at))
        for key in page.rows
    ]
    return ok(wire.KeysPage(keys=keys, cursor=page.cursor))


async def create_key(call: Call) -> Answer:
    services = call.services
    request = await call.body(_CREATE)
    if not 0 < len(request.name) <= _NAME_CHARACTERS_MAX:
        raise InvalidParameter(f"a key's name has 1 to {_NAME_CHARACTERS_MAX} characters", "name")
    record, pair = new_key(
        org=call.org,
        name=request.name,
        scopes=_scopes(request),
        now=services.clock.now(),
        entropy=services.entropy,
        secret_box=services.secret_box,
    )
    await services.runtime.store.create_key(record)
    return ok(wire.CreatedKey(id=pair.id, key=pair.secret))


async def delete_key(call: Call) -> Answer:
    services = call.services
    key_id = call.path("keyId")
    if not await services.runtime.store.delete_key(call.org, key_id):
        raise NotFound(f"there is no key {key_id}")
    services.authenticator.forget_key(key_id)
    services.live.stop_key(key_id, _POLICY_VIOLATION)
    return no_content()


def _scopes(request: wire.CreateKey) -> tuple[str, ...]:
    """The scopes a new key is to have: those asked for, or those of its use."""
    if (request.scopes is None) == (request.use is None):
        raise InvalidParameter("a key has either scopes or a use", "scopes")
    if request.scopes is None:
        assert request.use is not None
        return KEY_USES[request.use]
    unknown = sorted(set(request.scopes) - SCOPES)
    if unknown:
        raise InvalidParameter(f"there is no scope {', '.join(unknown)}", "scopes")
    return tuple(dict.fromkeys(request.scopes))
