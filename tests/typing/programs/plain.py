"""Machines without types, and with a type that create_machine is told."""

from typing import Any, assert_type

import msgspec

from perdure import Machine, Types, create_machine, decode_snapshot, encode_snapshot, initial, transition


class Light(msgspec.Struct, frozen=True):
    switched: int = 0


class Switch(msgspec.Struct, frozen=True, tag="switch"):
    by: str


class Break(msgspec.Struct, frozen=True, tag="break"):
    pass


plain = create_machine({"id": "plain", "context": {"n": 1}})
assert_type(plain, Machine[Any])
assert_type(initial(plain).snapshot.context, Any)


def anything(machine: Machine) -> str:
    return machine.id


typed = create_machine({"id": "light"}, context_type=Light, events={"switch": Switch})
assert_type(typed, Machine[Light])
snapshot = transition(typed, initial(typed).snapshot, Switch(by="me")).snapshot
assert_type(decode_snapshot(encode_snapshot(snapshot)).context, Any)
assert anything(plain) + anything(typed)

types = Types[dict[str, Any], Switch | Break]()
lamp = types.create_machine(
    {"id": "lamp", "on": {"switch": {"actions": "note"}}},
    actions={"note": types.on(Switch).assign(lambda context, event: {**context, "by": event.by})},
)
assert_type(lamp, Machine[dict[str, Any]])

without_events = Types[Light]()
other = without_events.create_machine(
    {"id": "other"}, guards={"byMe": without_events.guard(lambda light, event: event["by"] == "me")}
)
assert_type(other, Machine[Light])
