"""The endpoints for operators, which perdure adds to the contract: dead letters and what is kept of journals."""

from __future__ import annotations

from perdure import wire_upkeep
from perdure.server.endpoint import CURSOR, Endpoint

__all__ = ["UPKEEP"]

_TAG = "Upkeep"
_LETTERS = ("instances.admin",)

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
)
