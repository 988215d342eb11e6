"""What travels over HTTP and the WebSocket, one type per message.

State Backed's wire contract in msgspec structs: names are snake case here and camel case on the wire, and only this
module knows both. Server and client share it, so it imports nothing of either. Three rules hold for every type: a field
that the contract calls optional is left out when it is absent (``None`` here), never sent as null; unknown fields of a
request are ignored; times are ISO 8601 in UTC with milliseconds and ``Z``, except ``ts``, a number of milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import msgspec

from perdure.json_value import Json, JsonObject

__all__ = [
    "ACT_HEADER",
    "IDEMPOTENCY_HEADER",
    "NAME_PATTERN",
    "ORG_HEADER",
    "AdminState",
    "CreateInstance",
    "CreateKey",
    "CreateMachine",
    "CreatedKey",
    "Defect",
    "DeleteInstance",
    "DeleteMachine",
    "FinalizeVersion",
    "FinalVersion",
    "InstancesPage",
    "InstanceSummary",
    "InstanceUpdate",
    "KeysPage",
    "Key",
    "MachineAnswer",
    "MachineDetail",
    "MachinesPage",
    "MachineSummary",
    "OrgLimits",
    "OrgsPage",
    "Org",
    "Ping",
    "Problem",
    "ProvisionalVersion",
    "RealtimeError",
    "RealtimeRequest",
    "SendEvent",
    "SetStatus",
    "State",
    "SubscribeToInstance",
    "Transition",
    "TransitionsPage",
    "UnsubscribeFromInstance",
    "Version",
    "VersionsPage",
    "wire_time",
]

IDEMPOTENCY_HEADER = "idempotency-key"
"""A request with one is applied once, however often it is made."""
ORG_HEADER = "x-statebacked-org-id"
ACT_HEADER = "x-statebacked-act"

NAME_PATTERN = r"[a-zA-Z0-9_-]{1,128}"
"""What a machine, an instance or an index may be called; the whole name has to match."""


def wire_time(milliseconds: float) -> str:
    """``2026-01-02T03:04:05.678Z``: milliseconds since the Unix epoch as JavaScript's ``toISOString`` spells them."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


class WireStruct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The base of everything here: immutable, camel case on the wire, what is absent left out."""


# -- errors ------------------------------------------------------------------------------------------------------------


class Defect(WireStruct, frozen=True, kw_only=True):
    """One thing wrong with the config of a deployed machine."""

    path: str
    message: str
    suggestion: str | None = None


class Problem(WireStruct, frozen=True, kw_only=True):
    """The body of every answer with a status of 400 or more. Clients match on ``code``."""

    code: str
    error: str
    parameter: str | None = None
    defects: list[Defect] | None = None
    """All that is wrong with a machine's config (code ``invalid-machine``)."""
    file: str | None = None
    line: int | None = None
    """Where a machine's code is wrong (code ``invalid-machine-code``)."""


# -- machines and their versions ---------------------------------------------------------------------------------------


class CreateMachine(WireStruct, frozen=True, kw_only=True):
    slug: str
    indexes: list[str] = []


class DeleteMachine(WireStruct, frozen=True, kw_only=True):
    """The proof that the caller means it; a missing field is as wrong as a wrong one."""

    danger_data_will_be_deleted_forever: bool = False
    hmac_sha256_of_machine_name_with_machine_name_key: str = ""


class Version(WireStruct, frozen=True, kw_only=True):
    id: str
    created_at: str
    client_info: str


class MachineSummary(WireStruct, frozen=True, kw_only=True):
    slug: str
    created_at: str
    current_version: Version | None = None


class MachinesPage(WireStruct, frozen=True, kw_only=True):
    machines: list[MachineSummary]
    cursor: str | None = None


class MachineDetail(WireStruct, frozen=True, kw_only=True):
    created_at: str
    current_version: Version | None = None
    indexes: tuple[str, ...]


class MachineAnswer(WireStruct, frozen=True, kw_only=True):
    machine: MachineDetail


class VersionsPage(WireStruct, frozen=True, kw_only=True):
    versions: list[Version]
    cursor: str | None = None


class ProvisionalVersion(WireStruct, frozen=True, kw_only=True):
    """Where the code goes: a multipart POST of all the fields, then the file, to an absolute URL."""

    machine_version_id: str
    code_upload_url: str
    code_upload_fields: dict[str, str]


class FinalizeVersion(WireStruct, frozen=True, kw_only=True):
    client_info: str = ""
    make_current: bool = False
    index_selectors: dict[str, str] = {}


class FinalVersion(WireStruct, frozen=True, kw_only=True):
    machine_version_id: str


# -- instances ---------------------------------------------------------------------------------------------------------


class CreateInstance(WireStruct, frozen=True, kw_only=True):
    slug: str
    context: JsonObject | None = None
    machine_version_id: str | None = None


class SendEvent(WireStruct, frozen=True, kw_only=True):
    event: str | JsonObject


class SetStatus(WireStruct, frozen=True, kw_only=True):
    status: Literal["running", "paused"]


class DeleteInstance(WireStruct, frozen=True, kw_only=True):
    """The proof that the caller means it; a missing field is as wrong as a wrong one."""

    danger_data_will_be_deleted_forever: bool = False
    hmac_sha256_of_machine_instance_name_with_machine_name_key: str = ""


class State(WireStruct, frozen=True, kw_only=True):
    """An instance as those see it who may read it."""

    ts: float
    """Milliseconds, strictly growing per instance; a client drops what is older than what it has."""
    state: Json
    public_context: Json = None
    """The part of the context under ``public``; absent when there is none."""
    tags: tuple[str, ...]
    done: bool

    def matches(self, pattern: Json) -> bool:
        """Whether the instance is in a state: ``"a.b"``, ``["a", "b"]``, or a state value such as ``{"a": "b"}``."""
        if isinstance(pattern, str):
            pattern = pattern.split(".")
        if isinstance(pattern, list | tuple):
            return ".".join(map(str, pattern)) in self.to_strings()
        return _is_part_of(pattern, self.state)

    def has_tag(self, tag: str) -> bool:
        return tag in self.tags

    def to_strings(self) -> list[str]:
        """Every active state as its path: ``{"a": "b"}`` is ``["a", "a.b"]``."""
        return list(_paths(self.state))


def _paths(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for parent, child in value.items():
            yield parent
            for path in _paths(child):
                yield f"{parent}.{path}"


def _is_part_of(pattern: Json, value: Json) -> bool:
    """As XState's ``matchesState``: a part of a state value matches, and a parent alone does."""
    if isinstance(value, str):
        return bool(pattern in (value, {}, {value: {}}))
    if isinstance(pattern, str):
        return pattern in value
    return all(key in value and _is_part_of(part, value[key]) for key, part in pattern.items())


class InstanceSummary(WireStruct, frozen=True, kw_only=True):
    slug: str
    created_at: str
    status: Literal["running", "paused"]
    machine_version: Version


class InstancesPage(WireStruct, frozen=True, kw_only=True):
    instances: list[InstanceSummary]
    cursor: str | None = None


class Transition(WireStruct, frozen=True, kw_only=True):
    created_at: str
    state: Json
    event: JsonObject


class TransitionsPage(WireStruct, frozen=True, kw_only=True):
    transitions: list[Transition]
    cursor: str | None = None


class ParentTie(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    """A parent of a persistent child, and the id by which it knows that child."""

    machine_name: str
    machine_instance_name: str
    id: str
    detached: bool = False


class ChildSummary(WireStruct, frozen=True, kw_only=True, omit_defaults=True):
    """A child of an instance: a persistent one has a machine and a name, an ephemeral one what it runs (``src``)."""

    id: str
    machine_name: str | None = None
    machine_instance_name: str | None = None
    src: str | None = None
    detached: bool = False


class AdminState(WireStruct, frozen=True, kw_only=True):
    """An instance as its administrators see it, private context included."""

    state: Json
    context: Json
    tags: tuple[str, ...]
    done: bool
    status: Literal["running", "paused"]
    machine_version: Version
    desired_machine_version: Version | None = None
    """The version it is to move to with the next event that finds it settled."""
    created_at: str
    parents: tuple[ParentTie, ...] = ()
    children: tuple[ChildSummary, ...] = ()


# -- keys and orgs -----------------------------------------------------------------------------------------------------


class CreateKey(WireStruct, frozen=True, kw_only=True):
    """Exactly one of ``scopes`` and ``use`` is given."""

    name: str
    scopes: list[str] | None = None
    use: Literal["production", "ci"] | None = None


class CreatedKey(WireStruct, frozen=True, kw_only=True):
    id: str
    key: str
    """The secret; nothing ever shows it again."""


class Key(WireStruct, frozen=True, kw_only=True):
    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: str


class KeysPage(WireStruct, frozen=True, kw_only=True):
    keys: list[Key]
    cursor: str | None = None


class OrgLimits(WireStruct, frozen=True, kw_only=True):
    monthly_events_limit: int
    monthly_reads_limit: int


class Org(WireStruct, frozen=True, kw_only=True):
    id: str
    name: str
    role: Literal["admin", "read", "write"]
    created_at: str
    limits: OrgLimits


class OrgsPage(WireStruct, frozen=True, kw_only=True):
    orgs: list[Org]
    cursor: str | None = None


# -- /rt, client to server ---------------------------------------------------------------------------------------------


class SubscribeToInstance(WireStruct, frozen=True, kw_only=True, tag_field="type", tag="subscribe-to-instance"):
    """A subscription is its request id, which is unique within its connection."""

    request_id: str
    machine_name: str
    machine_instance_name: str


class UnsubscribeFromInstance(WireStruct, frozen=True, kw_only=True, tag_field="type", tag="unsubscribe-from-instance"):
    """Ends the subscription with this request id; the names are the ones it was made with."""

    request_id: str
    machine_name: str
    machine_instance_name: str


class Ping(WireStruct, frozen=True, kw_only=True, tag_field="type", tag="ping"):
    """Keeps an idle connection alive; there is no answer."""


RealtimeRequest: TypeAlias = SubscribeToInstance | UnsubscribeFromInstance | Ping

# -- /rt, server to client ---------------------------------------------------------------------------------------------


class InstanceUpdate(WireStruct, frozen=True, kw_only=True, tag_field="type", tag="instance-update"):
    machine_name: str
    machine_instance_name: str
    ts: float
    state: Json
    public_context: Json
    """``{}`` when the instance has none: unlike in ``State`` it is always there."""
    tags: tuple[str, ...]
    done: bool


class RealtimeError(WireStruct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """A request was refused; ``status`` and ``code`` are those of the same refusal over HTTP."""

    request_id: str
    status: int
    code: str
