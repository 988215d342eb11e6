"""The pure engine: XState's statecharts by SCXML's algorithm, with no clock, no I/O and no async.

``initial(machine)`` and ``transition(machine, snapshot, event)`` return a ``Step``: the next snapshot and the effects
to perform, as data. Nothing here performs one.
"""

from perdure.statechart.action import (
    assign,
    cancel,
    choose,
    escalate,
    forward_to,
    log,
    pure,
    raise_,
    respond,
    send,
    send_parent,
    send_to,
    start,
    stop,
)
from perdure.statechart.callables import Meta
from perdure.statechart.config import create_machine
from perdure.statechart.event import done_invoke_type as done_invoke
from perdure.statechart.event import done_state_type as done_state
from perdure.statechart.event import error_platform_type as error_platform
from perdure.statechart.guard import and_, in_state, not_, or_
from perdure.statechart.instance_actions import adopt, broadcast, join_group, leave_group
from perdure.statechart.machine import Machine
from perdure.statechart.reference import instance_reference
from perdure.statechart.snapshot import Snapshot, decode_snapshot, encode_snapshot
from perdure.statechart.spawning import persistent, spawn, spawn_persistent
from perdure.statechart.step import Scope, Step, initial, transition
from perdure.statechart.typed_authoring import Types

__all__ = [
    "Machine",
    "Meta",
    "Scope",
    "Snapshot",
    "Step",
    "Types",
    "adopt",
    "and_",
    "assign",
    "broadcast",
    "cancel",
    "choose",
    "create_machine",
    "decode_snapshot",
    "done_invoke",
    "done_state",
    "encode_snapshot",
    "error_platform",
    "escalate",
    "forward_to",
    "in_state",
    "initial",
    "instance_reference",
    "join_group",
    "leave_group",
    "log",
    "not_",
    "or_",
    "persistent",
    "pure",
    "raise_",
    "respond",
    "send",
    "send_parent",
    "send_to",
    "spawn",
    "spawn_persistent",
    "start",
    "stop",
    "transition",
]
