"""What a tortured server's clients noted, and what is left of it when all is over: the evidence for the checker."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from perdure.json_value import Json

__all__ = ["Entry", "Evidence", "Kind", "Ledger", "Operation", "Outcome", "read_operations"]

Kind: TypeAlias = Literal["CREATE", "READ", "NOTE", "TIMER", "CALL", "WORK"]
Outcome: TypeAlias = Literal["answered", "unknown", "refused"]
"""``unknown``: no answer came, so it may have happened or not, or may never."""


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a client, as the client saw it. Events are named by ids that no other event has."""

    kind: Kind
    ledger: str
    id: str
    begun: int
    ended: int
    """Both in nanoseconds of the machine's monotonic clock, which all its processes share."""
    outcome: Outcome
    delay: float = 0.0
    """Of a timer, in milliseconds."""
    count: int = -1
    digest: int = -1
    state: Json = None
    """What the answer showed."""
    reason: str = ""
    """Why it was refused."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a journal. ``at``: milliseconds."""

    type: str
    at: float
    id: str = ""
    state: Json = None


class Ledger(msgspec.Struct, frozen=True, kw_only=True):
    """A ledger and its clerk, at the end."""

    journal: list[Entry]
    clerk: list[Entry]
    """The clerk's journal."""
    count: int
    digest: int
    state: Json


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All there is to judge by."""

    operations: list[Operation]
    ledgers: dict[str, Ledger]
    performed: list[str]
    """The ids of the work that was begun, in order."""
    pending: list[str] = []
    """Mail that is not delivered, and dead letters, though all has come to rest."""
    longest_log: int = 0
    """Bytes of the database's log that a killed server has left, at most."""


_operation = msgspec.json.Decoder(Operation)


def read_operations(files: Iterable[Path]) -> list[Operation]:
    """What the clients wrote, a line of JSON each."""
    return [_operation.decode(line) for file in files for line in file.read_bytes().splitlines()]
