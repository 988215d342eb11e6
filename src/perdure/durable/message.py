"""The messages that an instance can be given: what a turn handles.

Each is plain data. Where one came as mail it carries the id, so that the commit that applies it takes it from the mail.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from perdure.durable.records import Address, InstanceStatus, Parent
from perdure.durable.upkeep_records import Receipt
from perdure.json_value import JsonObject
from perdure.statechart.effect import ActorTarget, ChildTarget

__all__ = [
    "Adopt",
    "AttemptDue",
    "AttemptFailed",
    "Create",
    "Deliver",
    "Message",
    "Reindex",
    "SetStatus",
    "SetVersion",
    "Stop",
    "TakeIn",
    "title_of",
]


class Create(msgspec.Struct, frozen=True, kw_only=True):
    """Bring the instance into being. ``auth_context`` is ``None`` for a creator who is not asked for permission."""

    version_id: str | None = None
    """``None``, for the machine's current version, until the runtime has looked it up."""
    context: JsonObject | None = None
    auth_context: JsonObject | None = None
    sender: Address | None = None
    parents: tuple[Parent, ...] = ()
    mail_id: str | None = None
    chain: int = 0
    """Of the mail it came as; 0 for what comes from outside."""
    receipt: Receipt | None = None
    """To be kept with the commit, once the answer is on it."""


class Deliver(msgspec.Struct, frozen=True, kw_only=True):
    """An event. ``auth_context`` is ``None`` for one that needs no permission: a timer, a child's report, the host."""

    event: JsonObject
    auth_context: JsonObject | None = None
    sender: Address | None = None
    is_platform: bool = False
    """From the runtime: ``sender``, a persistent child, has ended. Void when it is the receiver's child no more."""
    session: int | None = None
    """With the word that a child could not be had: which of those that the receiver had under that id it is."""
    life: str | None = None
    """With word of a persistent child: which life of the receiver has asked for the child."""
    is_share: bool = False
    """Of a broadcast: passed over by an instance that has ended."""
    mail_id: str | None = None
    chain: int = 0
    """Of the mail it came as; 0 for what comes from outside."""
    receipt: Receipt | None = None
    """To be kept with the commit, once the answer is on it."""
    origin: ChildTarget | ActorTarget | None = None
    """The ephemeral child, or the actor below one, that sent it and can be answered."""


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A parent lets go of this child. Void from anybody who is not its parent, and once it has ended."""

    sender: Address
    mail_id: str
    child_id: str | None = None
    """The id by which the sender knows it; ``None`` lets go of all ties to the sender."""


class Adopt(msgspec.Struct, frozen=True, kw_only=True):
    """Another instance wants to be a parent of this one, by this tie."""

    tie: Parent
    auth_context: JsonObject
    mail_id: str


class TakeIn(msgspec.Struct, frozen=True, kw_only=True):
    """The host application wants this instance to adopt another one, as the action ``adopt`` does."""

    child: Address
    child_id: str | None = None
    detached: bool = False
    auto_forward: bool = False
    sync: bool = False


class SetStatus(msgspec.Struct, frozen=True):
    """Pause the instance or let it run."""

    status: InstanceStatus


class SetVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The instance is to have another version, from its next event on or ``at_once``.

    What cannot be done at once, because the instance is paused or has not settled, is done at its next event.
    """

    version_id: str
    at_once: bool = False


class Reindex(msgspec.Struct, frozen=True):
    """The instance is indexed anew by the selectors of its version."""


class AttemptDue(msgspec.Struct, frozen=True, kw_only=True):
    """A service that may be tried again is not running: its next attempt begins, or there is none left."""

    child_id: str
    session: int
    mail_id: str


class AttemptFailed(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt at a service has failed."""

    child_id: str
    session: int
    error: JsonObject
    pause: float
    """How long to wait before the next one."""
    mail_id: str


Message: TypeAlias = (
    Create | Deliver | Stop | Adopt | TakeIn | SetStatus | SetVersion | Reindex | AttemptDue | AttemptFailed
)


def title_of(message: Message) -> str:
    """What a message is, in a log."""
    return str(message.event["type"]) if isinstance(message, Deliver) else type(message).__name__.lower()
