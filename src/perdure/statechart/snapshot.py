"""Snapshots: where an actor stands, as plain data.

A snapshot holds no machine, callable or live reference; the JSON of one, read again, has exactly the same future. It is
named ``Snapshot`` after XState's persisted snapshot, with the configuration kept as SCXML has it: the set of active
states, of which the leaves suffice, since a legal configuration is their closure over ancestors.

What XState's states tell without their machine is here: ``matches``, ``has_tag``, ``to_strings``, ``done``. Its
``state.can``, ``nextEvents`` and ``meta`` need the machine, which a snapshot does not hold, so that here the machine is
asked: ``machine.can(snapshot, event)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

import msgspec

from perdure.errors import SnapshotMismatch
from perdure.json_value import Json, encode_model
from perdure.statechart.retry import Retry
from perdure.statechart.state_value import value_matches, value_strings

if TYPE_CHECKING:
    from typing_extensions import TypeVar as TypeVarWithDefault  # which type-checkers know without its package

    C = TypeVarWithDefault("C", default=Any)
else:
    C = TypeVar("C")

__all__ = ["SNAPSHOT_FORMAT", "C", "Child", "Snapshot", "StateValue", "Status", "decode_snapshot", "encode_snapshot"]

SNAPSHOT_FORMAT = 1
"""Raised whenever a release writes something that the one before could not read."""

StateValue: TypeAlias = Json
"""XState's nested form of a configuration: ``"idle"``, ``{"running": "done"}``, ``{"pay": "due", "ship": "sent"}``."""

Status: TypeAlias = Literal["active", "done", "error", "stopped"]


class Child(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A running child as its parent's snapshot records it."""

    id: str
    source: str
    """The service's name, or for a persistent child the name of its machine."""
    session: int
    """Numbers the children this actor has started: tells a late word of an earlier child with the same id apart."""
    instance: str | None = None
    """The instance name of a persistent child; ``None`` for an ephemeral one."""
    state: str | None = None
    """The id of the invoking state, whose exit stops the child; ``None`` for a spawned one."""
    detached: bool = False
    auto_forward: bool = False
    sync: bool = False
    activity: bool = False
    """Whether it is an activity: nobody waits for its end."""
    by_value: bool = False
    """Whether an assigner has spawned it by value: it has no name by which it could be started again."""
    retry: Retry | None = None
    attempt: int = 0
    """Which attempt has begun last, where it may be tried again."""
    given: dict[str, Any] | None = None
    """What it was started with, where it may be tried again."""

    @property
    def is_persistent(self) -> bool:
        return self.instance is not None


class Snapshot(msgspec.Struct, Generic[C], frozen=True, omit_defaults=True):
    """Where an actor stands between two events. Treat every field as read-only: snapshots share their parts.

    ``C`` is the type of the context. One that was read from JSON has a dict there, until ``transition`` takes it.
    """

    machine: str
    """The id of the machine that made it."""
    configuration: tuple[str, ...]
    """The ids of the active leaf states, in document order."""
    value: StateValue
    context: C = msgspec.field(default_factory=dict)  # type: ignore[assignment]  # an untyped context
    history: dict[str, tuple[str, ...]] = {}
    """For each history state left once: the ids of the states it would restore."""
    children: dict[str, Child] = {}
    children_started: int = 0
    tags: tuple[str, ...] = ()
    """The union of the tags of the active states, in document order."""
    status: Status = "active"
    output: Json = None
    """The root final state's ``data``, once ``status`` is ``"done"``."""
    error: Json = None
    """What went wrong, once ``status`` is ``"error"``."""
    format: int = 0
    forwarding: tuple[str, ...] = ()
    """The ids of the children that get every event before this actor handles it."""

    @property
    def is_done(self) -> bool:
        return self.status == "done"

    @property
    def done(self) -> bool:
        """``is_done`` by XState's name."""
        return self.status == "done"

    def matches(self, value: str | Sequence[str] | Mapping[str, Any]) -> bool:
        """Whether a state is active: a path (``"pay.due"``), a list of keys, or a state value that may say less than
        there is to say. The states on the way to it count as well.
        """
        return value_matches(value, self.value)

    def has_tag(self, tag: str) -> bool:
        """Whether any active state has this tag."""
        return tag in self.tags

    def to_strings(self, delimiter: str = ".") -> tuple[str, ...]:
        """The active states as paths from the root, outer ones before inner ones."""
        return value_strings(self.value, delimiter)


_encoder = msgspec.json.Encoder(enc_hook=encode_model)
_decoder = msgspec.json.Decoder(Snapshot)


def encode_snapshot(snapshot: Snapshot[Any], context_json: bytes | None = None) -> bytes:
    """The persisted form: compact UTF-8 JSON. Raises ``TypeError`` when the context holds what JSON cannot say.

    ``context_json`` is the context's encoding, where the caller has it already.
    """
    context = snapshot.context if context_json is None else msgspec.Raw(context_json)
    return _encoder.encode(msgspec.structs.replace(snapshot, context=context, format=SNAPSHOT_FORMAT))


def decode_snapshot(data: bytes | str) -> Snapshot:
    """Read what ``encode_snapshot`` wrote. Raises ``SnapshotMismatch`` for anything else, saying where it differs."""
    try:
        snapshot = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise SnapshotMismatch(f"this is not a snapshot: {error}") from error
    if snapshot.format != SNAPSHOT_FORMAT:
        raise SnapshotMismatch(
            f"the snapshot has format {snapshot.format}, this release reads format {SNAPSHOT_FORMAT}"
        )
    return msgspec.structs.replace(snapshot, format=0)
