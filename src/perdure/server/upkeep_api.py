"""The endpoints for operators: dead letters and the retention of journals, beside the contract, and its logs."""

from __future__ import annotations

from perdure import wire_upkeep
from perdure.server.endpoint import CURSOR, Endpoint, Query
from perdure.wire import NAME_PATTERN

__all__ = ["UPKEEP"]

_TAG = "Upkeep"
_LETTERS = ("instances.admin",)
_TIME = {"type": "string", "description": "ISO 8601; UTC where it names no zone.", "pattern": wire_upkeep.TIME_PATTERN}
_NAME = {"type": "string", "pattern": f"^{NAME_PATTERN}$"}

UPKEEP: tuple[Endpoint, ...] = (
    Endpoint(
        method="GET",
        path="/dead-letters",
        tag=_TAG,
        about="List the messages that were given up, in the order in which they were.",
        scopes=_LETTERS,
        query=(CURSOR,),
        answer=wire_upkeep.DeadLettersPage,
    ),
    Endpoint(
        method="GET",
        path="/dead-letters/{letterId}",
        tag=_TAG,
        about="Show a dead letter.",
        scopes=_LETTERS,
        answer=wire_upkeep.DeadLetter,
    ),
    Endpoint(
        method="DELETE",
        path="/dead-letters/{letterId}",
        tag=_TAG,
        about="Drop a dead letter for ever.",
        scopes=_LETTERS,
        status=204,
    ),
    Endpoint(
        method="POST",
        path="/dead-letters/{letterId}/redrive",
        tag=_TAG,
        about="Deliver a dead letter once more, with all its attempts before it.",
        scopes=_LETTERS,
        status=204,
    ),
    Endpoint(
        method="GET",
        path="/machines/{machineSlug}/journal-retention",
        tag=_TAG,
        about="Show how much of the journals of a machine's instances is kept.",
        scopes=("machines.read",),
        answer=wire_upkeep.JournalRetention,
    ),
    Endpoint(
        method="PUT",
        path="/machines/{machineSlug}/journal-retention",
        tag=_TAG,
        about="Say how much of the journals of a machine's instances is kept.",
        scopes=("machines.admin",),
        body=wire_upkeep.JournalRetention,
        status=204,
    ),
    Endpoint(
        method="POST",
        path="/machines/{machineSlug}/journal-retention",
        tag=_TAG,
        about="Shorten the journals now, as would be done by itself in a while.",
        scopes=("machines.admin",),
        answer=wire_upkeep.Removed,
    ),
    Endpoint(
        method="GET",
        path="/logs",
        tag="Logs",
        about="Read what the code of machines has printed and logged, oldest first, up to 100 entries at once.",
        scopes=("logs.read",),
        query=(
            Query("from", "The earliest time; the answer's maxTimestamp for what follows it.", _TIME, is_required=True),
            Query("to", "The first time that is too late.", _TIME),
            Query("machine", "Only of this machine.", _NAME),
            Query("instance", "Only of instances of this name.", _NAME),
            Query("version", "Only of this machine version.", {"type": "string"}),
        ),
        answer=wire_upkeep.Logs,
    ),
)
