"""A ledger that is tortured: it counts what it is told, and keeps a digest of it that depends on the order.

Each event that it takes is one line; the digest after some lines is therefore a name for exactly these lines in exactly
this order, and an answer that shows it says which part of the journal it has seen. Beside taking notes it sets timers
to itself, asks its clerk, a persistent child, and has a service work for it, which leaves a trace outside the store.
"""

import asyncio
import os
import zlib
from typing import Any

from perdure import ReadRequest, WriteRequest, assign, create_machine, send, send_to, spawn_persistent

EFFECTS_VARIABLE = "PERDURE_TORTURE_EFFECTS"
"""The file in which each piece of work that is begun leaves a line."""


def digest_after(digest: int, event: dict[str, Any]) -> int:
    """The digest of the lines before and this one."""
    return zlib.crc32(f"{digest}|{event['type']}|{event.get('id', '')}".encode())


def written(context: dict[str, Any], event: dict[str, Any]) -> dict[str, Any]:
    public = context["public"]
    return {"count": public["count"] + 1, "digest": digest_after(public["digest"], event)}


def carrying(event_type: str) -> Any:
    """An event of this type under the id of the one at hand."""
    return lambda context, event: {"type": event_type, "id": event["id"]}


async def work(context: dict[str, Any], event: dict[str, Any]) -> str:
    """Leave a trace, take a while, and fail now and then."""
    trace = os.open(os.environ[EFFECTS_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(trace, f"{event['id']}\n".encode())
    os.close(trace)
    luck = zlib.crc32(event["id"].encode())
    await asyncio.sleep(luck % 60 / 1000)
    if luck % 7 == 0:
        raise ValueError("no luck")
    return str(event["id"])


LINE = assign(public=written)
machine = create_machine(
    {
        "id": "ledger",
        "initial": "idle",
        "context": {"clerk": None, "public": {"count": 0, "digest": 0}},
        "entry": assign(clerk=lambda: spawn_persistent("clerk")),
        "on": {
            "NOTE": {"actions": LINE},
            "TIMER": {"actions": [LINE, send(carrying("RANG"), delay=lambda context, event: event["delay"])]},
            "RANG": {"actions": LINE},
            "CALL": {"actions": [LINE, send_to(lambda context: context["clerk"], carrying("ASK"))]},
            "ECHO": {"actions": LINE},
            "WORK": {"actions": LINE},
        },
        "states": {
            "idle": {"on": {"WORK": {"target": "busy", "actions": LINE}}},
            "busy": {
                "invoke": {
                    "id": "work",
                    "src": work,
                    "onDone": {"target": "idle", "actions": LINE},
                    "onError": {"target": "idle", "actions": LINE},
                }
            },
        },
    }
)


def allow_read(request: ReadRequest) -> bool:
    return request.auth_context.get("sub") == "torture"


def allow_write(request: WriteRequest) -> bool:
    return request.auth_context.get("sub") == "torture" or request.sender is not None
