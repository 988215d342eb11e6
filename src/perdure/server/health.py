"""``/healthz``: whether this process serves requests. It asks nothing of the store, so that a slow store restarts no
servers."""

from __future__ import annotations

from starlette.routing import Route

from perdure.server.answer import Answer, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]


def routes(services: Services) -> list[Route]:
    return [Route("/healthz", Resource(services, GET=Operation(report_health, ())))]


async def report_health(call: Call) -> Answer:
    return ok({"status": "ok"})
