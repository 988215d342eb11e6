"""``/healthz``: whether this process serves requests; ``/readyz``: whether it should be sent any.

Health asks nothing of the store, so that a slow store restarts no servers. Readiness does: a server whose store does
not answer, or whose mail is not delivered, is better left out until it does.
"""

from __future__ import annotations

import asyncio

from starlette.routing import Route

from perdure.errors import PerdureError
from perdure.json_value import encode_json
from perdure.server.answer import Answer, ok
from perdure.server.resource import Call, Operation, Resource
from perdure.server.services import Services

__all__ = ["routes"]

_PATIENCE_SECONDS = 2.0


def routes(services: Services) -> list[Route]:
    return [
        Route("/healthz", Resource(services, GET=Operation(report_health, ()))),
        Route("/readyz", Resource(services, GET=Operation(report_readiness, ()))),
    ]


async def report_health(call: Call) -> Answer:
    return ok({"status": "ok"})


async def report_readiness(call: Call) -> Answer:
    checks = {
        "store": "ok" if await _store_answers(call.services) else "failed",
        "delivery": "ok" if _delivers(call.services) else "failed",
    }
    failed = [name for name, outcome in checks.items() if outcome != "ok"]
    if not failed:
        return ok({"status": "ready", "checks": checks})
    problem = {"code": "not-ready", "error": f"not ready: {' and '.join(failed)} failed", "checks": checks}
    return Answer(503, encode_json(problem))


def _delivers(services: Services) -> bool:
    delivery = getattr(services.runtime, "delivery", None)  # there is none before the start
    return delivery is not None and delivery.is_running


async def _store_answers(services: Services) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await services.runtime.store.next_mail_at(services.clock.now())
    except (PerdureError, TimeoutError):
        return False
    return True
