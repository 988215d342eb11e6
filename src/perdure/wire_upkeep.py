"""What travels about the upkeep of a server: dead letters, how long journals are kept, logs.

They lie beside State Backed's contract, but for the logs, which are in it. The rules are those of ``perdure.wire``.
"""

from __future__ import annotations

import base64
import binascii
from typing import Literal

from perdure.json_value import Json, JsonObject
from perdure.wire import WireStruct

__all__ = [
    "DeadLetter",
    "DeadLettersPage",
    "JournalRetention",
    "LogEntry",
    "Logs",
    "Removed",
    "Reference",
    "TIME_PATTERN",
    "letter_id",
    "mail_id",
]


TIME_PATTERN = (
    r"^[1-9][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
    r"T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$"
)
"""Times that are certain to be understood."""


class Reference(WireStruct, frozen=True, kw_only=True):
    """An instance."""

    machine_name: str
    machine_instance_name: str


class DeadLetter(WireStruct, frozen=True, kw_only=True):
    """A message that was given up."""

    id: str
    kind: Literal["event", "create", "adopt", "stop", "broadcast", "share", "attempt"]
    sender: Reference
    target: Reference
    event: JsonObject | None = None
    context: Json = None
    """Of a persistent child that could not be created: its initial context."""
    attempts: int
    error: str | None = None
    """Why the last attempt failed."""
    buried_at: str | None = None


class DeadLettersPage(WireStruct, frozen=True, kw_only=True):
    dead_letters: list[DeadLetter]
    cursor: str | None = None


class JournalRetention(WireStruct, frozen=True, kw_only=True):
    """How much of each journal of a machine is kept; an absent limit is none."""

    entries: int | None = None
    days: float | None = None


class Removed(WireStruct, frozen=True, kw_only=True):
    removed: int


class LogEntry(WireStruct, frozen=True, kw_only=True):
    """Something that machine code has printed or logged."""

    timestamp: str
    org_id: str
    machine_name: str
    instance_name: str
    machine_version_id: str
    output_type: Literal["stdout", "stderr"]
    log: str


class Logs(WireStruct, frozen=True, kw_only=True):
    """Entries, oldest first, and the ``from`` to ask for the next ones with."""

    logs: list[LogEntry]
    max_timestamp: str


def letter_id(mail: str) -> str:
    """A message's id as it stands in a path."""
    return base64.urlsafe_b64encode(mail.encode()).rstrip(b"=").decode()


def mail_id(letter: str) -> str | None:
    """The message's id that ``letter_id`` made this of, or ``None``."""
    try:
        return base64.b64decode(letter + "=" * (-len(letter) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        return None
