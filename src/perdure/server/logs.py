"""``GET /logs``: what machine code has printed and logged, as State Backed answers it.

Whoever follows the logs asks again with the ``maxTimestamp`` of the answer before. Their client compares it with what
it asked from as a string, so it is spelt as JavaScript spells times, and is ``from`` itself, to the letter, when there
is nothing new.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from starlette.routing import Route

from perdure import wire_upkeep
from perdure.durable.upkeep_records import LogEntry
from perdure.errors import InvalidParameter
from perdure.server.answer import Answer, ok
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services
from perdure.wire import wire_time

__all__ = ["routes"]


def routes(services: Services) -> list[Route]:
    return [Route("/logs", Resource(services, GET=Operation(get_logs, ("logs.read",))))]


async def get_logs(call: Call) -> Answer:
    since = call.query("from")
    if since is None:
        raise InvalidParameter("say from when: from=2026-01-02T03:04:05.678Z", "from")
    until, machine, instance = call.query("to"), call.query("machine"), call.query("instance")
    page = await call.services.runtime.machine_logs.read(
        call.org,
        since=parsed_time(since, "from"),
        until=None if until is None else parsed_time(until, "to"),
        machine=None if machine is None else checked_name(machine, "machine"),
        instance=None if instance is None else checked_name(instance, "instance"),
        version_id=call.query("version"),
    )
    return ok(
        wire_upkeep.Logs(
            logs=[_entry(entry) for entry in page.entries],
            max_timestamp=since if page.next is None else wire_time(page.next),
        )
    )


def parsed_time(text: str, parameter: str) -> float:
    """Milliseconds since 1970. Raises ``InvalidParameter``."""
    try:
        moment = datetime.fromisoformat(text)
        since_epoch = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise InvalidParameter(
            f"{text!r:.60} is not a time: write it like 2026-01-02T03:04:05.678Z", parameter
        ) from error
    return math.floor(since_epoch * 1_000_000 + 0.5) / 1000


def _entry(entry: LogEntry) -> wire_upkeep.LogEntry:
    return wire_upkeep.LogEntry(
        timestamp=wire_time(entry.at),
        org_id=entry.org,
        machine_name=entry.machine,
        instance_name=entry.instance,
        machine_version_id=entry.version_id,
        output_type=entry.output_type,
        log=entry.text,
    )
