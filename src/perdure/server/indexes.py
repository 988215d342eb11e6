"""``/machines/{machine}/indexes``: finding instances by what is in their contexts, and building indexes anew.

A query asks no authoriser: whoever has ``indexes.read`` sees every value that a selector finds, private ones included.
"""

from __future__ import annotations

from typing import get_args

import msgspec
from starlette.routing import Route

from perdure import wire_evolution as evolution
from perdure.durable.records import IndexOperator, IndexQuery
from perdure.errors import InvalidParameter
from perdure.server.answer import Answer, created, ok
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services
from perdure.server.upgrades import INSTANCES_MAX, checked_limit

__all__ = ["routes"]

_ADD = msgspec.json.Decoder(evolution.AddIndex)
_REBUILD = msgspec.json.Decoder(evolution.RebuildIndex)

_OPERATORS: tuple[IndexOperator, ...] = get_args(IndexOperator)


def routes(services: Services) -> list[Route]:
    return [
        Route(
            "/machines/{machineSlug}/indexes/{index}/query",
            Resource(services, GET=Operation(query, ("indexes.read",))),
        ),
        Route(
            "/machines/{machineSlug}/indexes/{index}",
            Resource(services, PUT=Operation(add, ("machines.write",))),
        ),
        Route(
            "/machines/{machineSlug}/indexes/{index}/rebuild",
            Resource(services, POST=Operation(rebuild, ("instances.admin",))),
        ),
    ]


async def query(call: Call) -> Answer:
    """Values are compared as strings. What a parameter leaves empty counts as absent."""
    machine, index = call.machine, _index(call)
    asked = IndexQuery(operator=_operator(call), value=call.query("value") or "", descending=_direction(call) == "desc")
    page = await call.services.runtime.indexes.query(
        call.org, machine, index, asked, cursor=call.cursor, limit=_limit(call)
    )
    rows = [evolution.IndexRow(slug=row.name, index_value=row.value) for row in page.rows]
    return ok(evolution.IndexPage(instances=rows, cursor=page.cursor))


async def add(call: Call) -> Answer:
    machine, index = call.machine, _index(call)
    request = await call.body(_ADD, default=evolution.AddIndex())
    await call.services.runtime.indexes.add(call.org, machine, index, request.selector)
    return created()


async def rebuild(call: Call) -> Answer:
    machine, index = call.machine, _index(call)
    request = await call.body(_REBUILD, default=evolution.RebuildIndex())
    page = await call.services.runtime.indexes.rebuild(
        call.org, machine, index, cursor=request.cursor, limit=checked_limit(request.limit)
    )
    return ok(evolution.RebuiltIndex(rebuilt=page.rebuilt, failed=page.failed, cursor=page.cursor))


def _index(call: Call) -> str:
    return checked_name(call.path("index"), "index")


def _operator(call: Call) -> IndexOperator | None:
    given = call.query("op") or None
    operator = next((known for known in _OPERATORS if known == given), None)
    if given is not None and operator is None:
        raise InvalidParameter(f"{given!r} is no operator: use one of {', '.join(_OPERATORS)}", "op")
    if operator is not None and call.query("value") is None:
        raise InvalidParameter(f"{operator} compares with a value: give one", "value")
    if operator is None and call.query("value"):
        raise InvalidParameter("a value is compared by an operator: give op too", "op")
    return operator


def _direction(call: Call) -> str:
    given = call.query("dir") or "asc"
    if given not in ("asc", "desc"):
        raise InvalidParameter(f"{given!r} is no direction: use asc or desc", "dir")
    return given


def _limit(call: Call) -> int:
    """As many as the caller wants, and not more than one answer holds."""
    given = call.query("limit") or str(call.services.settings.page_size)
    digits = given.lstrip("0")
    if not given.isdecimal() or not given.isascii() or not digits:
        raise InvalidParameter(f"{given!r} is no limit: give a whole number, 1 or more", "limit")
    return min(int(digits[:9]), INSTANCES_MAX)
