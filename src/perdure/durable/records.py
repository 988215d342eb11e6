"""What the store keeps, as plain rows.

These are values: frozen, JSON all the way down, and the same for every store. Times are milliseconds since the Unix
epoch (``float``; fractions keep them distinct), ids are the strings of the wire contract.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, Literal, TypeAlias, TypeVar

import msgspec

from perdure.json_value import Json, JsonObject
from perdure.statechart.snapshot import Snapshot, StateValue

__all__ = [
    "Address",
    "Creation",
    "IdentityProviderRecord",
    "IndexOperator",
    "IndexQuery",
    "IndexedInstance",
    "InstanceRecord",
    "InstanceStatus",
    "InstanceSummary",
    "JournalEntry",
    "KeyRecord",
    "MachineRecord",
    "Mail",
    "MailCounts",
    "MailKind",
    "MigrationRecord",
    "OrgRecord",
    "Page",
    "Parent",
    "SealedSecret",
    "TokenProviderRecord",
    "UploadRecord",
    "VersionRecord",
    "group_address",
    "host_address",
]

Row = TypeVar("Row", covariant=True)


class Address(msgspec.Struct, frozen=True, order=True):
    """Where an instance lives: it is named within its machine, and the machine within its org."""

    org: str
    machine: str
    instance: str

    def __str__(self) -> str:
        return f"{self.machine}/{self.instance}"


class OrgRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    created_at: float


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A signing key. ``sealed_secret`` is the secret as it may lie on disk: encrypted by whoever made the record."""

    id: str
    org: str
    name: str
    scopes: tuple[str, ...]
    sealed_secret: bytes
    created_at: float


class IdentityProviderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whose tokens an org takes in exchange for its own. (``aud``, ``iss``) is unique within the org."""

    id: str
    """A fresh one each time the provider is put; its key is sealed for this id."""
    org: str
    aud: str | None
    iss: str | None
    algs: tuple[str, ...]
    mapping: JsonObject
    jwks_url: str | None = None
    sealed_key: bytes | None = None
    created_at: float


class TokenProviderRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How an exchanged token is made: with which key, and with which claims. ``service`` is unique within the org."""

    org: str
    service: str
    key_id: str
    mapping: JsonObject
    created_at: float


class SealedSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret of the store, whatever it belongs to: ``owner`` is the id of a key or of an identity provider."""

    owner: str
    sealed: bytes


class MachineRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A named definition; its versions hold the code."""

    org: str
    name: str
    created_at: float
    current_version: str | None = None
    indexes: tuple[str, ...] = ()


class VersionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable code of a machine."""

    id: str
    org: str
    machine: str
    created_at: float
    client_info: str
    content_hash: str
    """SHA-256 of the source in hex; of the label for a machine that lives in the host application's own code."""
    source: str | None
    """Python source of the machine version module; ``None`` for a machine of the host application."""
    file_name: str
    index_selectors: dict[str, str] = {}
    """For indexes of its machine the JSONPath into the context."""


class MigrationRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Immutable code that leads instances from one version of a machine to another."""

    id: str
    org: str
    machine: str
    created_at: float
    from_version_id: str
    to_version_id: str
    content_hash: str
    """SHA-256 of the source in hex; of the two labels for one that lives in the host application's own code."""
    source: str | None
    """Python source of the migration module; ``None`` for a migration of the host application."""
    file_name: str


class UploadRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The first half of a two-phase upload: an id was given out, the code may have arrived, nothing is visible yet."""

    id: str
    """The signed id of the contract: opaque, URL-path safe, unguessable."""
    org: str
    machine: str
    created_at: float
    gzip: bool
    version_id: str
    """The id the version will have once it is finalized; of a migration its own id."""
    from_version_id: str | None = None
    """Set for a migration, and only then: the version it leads from."""
    to_version_id: str | None = None
    """Likewise, the version it leads to."""
    code: bytes | None = None
    file_name: str | None = None


InstanceStatus: TypeAlias = Literal["running", "paused"]


class Parent(msgspec.Struct, frozen=True, omit_defaults=True):
    """A tie to a parent of a persistent child: who that is, and the id by which it knows the child."""

    address: Address
    child_id: str
    detached: bool = False
    """Whether the child outlives this parent."""
    sync: bool = False
    """Whether the parent wants an ``xstate.update`` event for each commit of the child."""
    snapshots: bool = False
    """The same of ``xstate.snapshot.<id>`` events."""
    life: str = ""
    """The life of the parent that has asked for the tie; empty in ties of early releases."""


class InstanceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its last commit left it."""

    address: Address
    life: str = ""
    """Names this life of the instance: one created under the same address after a delete has another."""
    sequence: int
    """Grows with every commit; the compare-and-swap compares it, within a life."""
    version_id: str
    created_at: float
    ts: float
    """Strictly growing per instance, comparable between answers and pushes."""
    snapshot: Snapshot
    status: InstanceStatus = "running"
    parents: tuple[Parent, ...] = ()
    desired_version_id: str | None = None
    """The version it is to move to as soon as it can; ``None`` when it is where it should be."""


class InstanceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a list of instances."""

    name: str
    created_at: float
    status: InstanceStatus
    version_id: str


class JournalEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Append-only record of one macrostep. ``sequence`` is unique and growing within the instance."""

    sequence: int
    created_at: float
    event: JsonObject
    state: StateValue
    version_id: str
    sender: Address | None = None
    """The instance that sent the event, and that the machine can answer; ``None`` for a client, a timer of its own, a
    service, or the word that a persistent child has ended."""


class IndexedInstance(msgspec.Struct, frozen=True, kw_only=True):
    """One row of an index: a value, and the instance that has it."""

    name: str
    value: str


IndexOperator: TypeAlias = Literal["eq", "ne", "gt", "gte", "lt", "lte"]


class IndexQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which values of an index are asked for, and in which order."""

    operator: IndexOperator | None = None
    """``None`` for all values."""
    value: str = ""
    """What the operator compares with."""
    descending: bool = False


MailKind: TypeAlias = Literal["event", "create", "adopt", "stop", "broadcast", "share", "attempt"]
"""``broadcast`` is addressed to a group and becomes one ``share`` for each of its members; who cannot take its share,
because it is gone or has ended, is passed over.
"""


def group_address(org: str, group: str) -> Address:
    """What a broadcast to a group is addressed to: it lies beside the machines, none of which has an empty name."""
    return Address(org, "", group)


def host_address(org: str) -> Address:
    """The sender of mail that the host application itself sends."""
    return Address(org, "", "")


class Creation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What mail between parent and child is about: the child that a ``create`` mail asks for, or the one that an
    ``adopt`` mail wants, with its tie to the sender; in a ``stop`` mail, by ``child_id`` alone, the tie that the sender
    lets go; in the mail of a child to a parent the tie that it comes by.
    """

    child_id: str
    session: int | None = None
    """Tells the child that is asked for from others that its parent had, or will have, under the same id."""
    context: Json = None
    version_id: str | None = None
    detached: bool = False
    sync: bool = False
    snapshots: bool = False
    life: str = ""
    """In the mail of a child: of its parent, the one that has asked for the child."""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A message committed and not yet applied: from one instance to another, or a timer to itself."""

    id: str
    """Unique, and the same when the turn that sends it is replayed: sender, sequence and place in its commit."""
    kind: MailKind
    sender: Address
    target: Address
    due_at: float
    """When it may be delivered: 0 for a message without a delay, which is due at once."""
    event: JsonObject | None = None
    creation: Creation | None = None
    send_id: str | None = None
    is_delayed: bool = False
    """Delayed mail can be cancelled by its sender with ``send_id``; mail without delay cannot be taken back."""
    is_platform: bool = False
    """From the runtime itself (``done.invoke.<id>`` and its like): not subject to ``allow_write``."""
    attempts: int = 0
    retry_at: float = 0.0
    """Not to be tried before this time, after a failed attempt."""
    last_error: str | None = None
    trace: str | None = None
    """The W3C ``traceparent`` of the turn that sent it, when that was traced."""
    chain: int = 0
    """How many messages it took to get from something outside (a request, a service, a timer that waited) to this."""
    buried_at: float | None = None
    """When it became a dead letter, if it is one."""


class MailCounts(msgspec.Struct, frozen=True, kw_only=True):
    """How much mail a store has."""

    pending: int
    """Not applied yet, timers included."""
    due: int
    """Of these, due by now: on their way, or waiting for another attempt."""
    dead: int
    """Dead letters."""
    oldest_due_at: float | None
    """The earliest due time that has passed, of mail that has one."""


class Page(Generic[Row]):
    """Some rows of a list, and the cursor for the next ones; ``cursor`` is ``None`` at the end."""

    __slots__ = ("cursor", "rows")

    def __init__(self, rows: Sequence[Row], cursor: str | None = None) -> None:
        self.rows = rows
        self.cursor = cursor
