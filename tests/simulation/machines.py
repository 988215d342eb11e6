"""The machines of the random worlds: together they ask the runtime for everything it can do.

Each remembers in its context what it has heard, in order. Guards are pure when a journal is replayed; while the world
is live, one of them fails now and then, so that mail is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from perdure import (
    Definition,
    WriteRequest,
    adopt,
    assign,
    broadcast,
    cancel,
    create_machine,
    join_group,
    leave_group,
    persistent,
    send,
    send_parent,
    send_to,
    spawn_persistent,
    stop,
)
from perdure.durable.upgrade import Migration
from tests.simulation.shadows import aide, boss
from tests.simulation.trials import Service, trier

__all__ = ["CRYING", "HOME", "JOINING", "LEAVING", "NEWER_NAMES", "REFUSED_KIDS", "definitions", "migration"]

REFUSED_KIDS = 5
"""Children whose number this divides may not be created."""
REFUSED_ADOPTIONS = 7
"""Children whose number this divides may not be adopted."""
HOME = "home"
"""The group that members of a clan are in from their beginning."""
JOINING = ("JOIN", "JOIN_AND_CRY")
"""Events by which a member of a clan joins the group that is named in them."""
LEAVING = ("QUIT", "CRY_AND_QUIT")
CRYING = ("CRY", "JOIN_AND_CRY", "CRY_AND_QUIT")
"""Events by which it broadcasts to that group ``CRIED``, with the number of the event."""

Remember = Callable[[dict[str, Any], dict[str, Any]], Any]


def heard(context: dict[str, Any], event: dict[str, Any]) -> list[Any]:
    return [*context["heard"], [event["type"], event.get("number")]]


REMEMBER = assign(heard=heard)


def reference(machine: str, instance: str) -> dict[str, str]:
    return {"type": "statebacked.instance", "id": instance, "machineName": machine, "machineInstanceName": instance}


def passed_on(event_type: str) -> Callable[[Any, dict[str, Any]], dict[str, Any]]:
    return lambda context, event: {"type": event_type, "number": event["number"]}


def teller(is_accepted: Callable[[], bool]) -> dict[str, Any]:
    """Counts, tells others, tells itself, now and later."""
    whom = send_to(lambda context, event: reference("teller", event["to"]), passed_on("TOLD"))
    on = {
        "ADD": {"actions": [REMEMBER, "act"]},
        "TELL": {"actions": [REMEMBER, whom, whom]},
        "TOLD": {"cond": is_accepted, "actions": REMEMBER},
        "SELF": {"actions": [REMEMBER, send(passed_on("ECHO"))]},
        "ECHO": {"actions": REMEMBER},
        "ARM": {"actions": [REMEMBER, send(passed_on("RING"), delay=lambda context, event: event["delay"], id="ring")]},
        "RING": {"actions": REMEMBER},
        "DISARM": {"actions": [REMEMBER, cancel("ring")]},
    }
    return {"initial": "on", "context": {"heard": []}, "states": {"on": {"on": on}}}


def caller(service: Callable[..., Any]) -> dict[str, Any]:
    """Calls a service, and may leave before it has answered."""
    call = {"target": "busy", "actions": REMEMBER}
    return {
        "initial": "idle",
        "context": {"heard": []},
        "on": {"CALL": call, "LEAVE": {"target": ".idle", "actions": REMEMBER}, "NOTE": {"actions": REMEMBER}},
        "states": {
            "idle": {},
            "busy": {
                "invoke": {
                    "id": "call",
                    "src": service,
                    "onDone": {"target": "ok", "actions": assign(result=lambda context, event: event["data"])},
                    "onError": "bad",
                },
                "after": {"20000": {"target": "idle", "cond": lambda context: len(context["heard"]) % 2 == 0}},
            },
            "ok": {"always": {"target": "idle", "cond": lambda context: context["result"] % 2 == 0}},
            "bad": {},
        },
    }


def kid_name(event: dict[str, Any]) -> str:
    return f"kid-{event['number']}"


PARENT: dict[str, Any] = {
    "initial": "out",
    "context": {"heard": [], "kids": []},
    "on": {
        "WORD": {"actions": REMEMBER},
        "PONG": {"actions": REMEMBER},
        "SPAWN": {
            "actions": assign(
                kids=lambda context, event: [*context["kids"], spawn_persistent("kid", name=kid_name(event))]
            )
        },
        "PING": {
            "actions": [
                REMEMBER,
                send_to(lambda context, event: context["kids"][-1] if context["kids"] else "nobody", passed_on("PING")),
            ]
        },
        "error.platform.*": {
            "actions": assign(heard=lambda context, event: [*context["heard"], [event["type"], None]])
        },
        "done.invoke.*": {"actions": assign(heard=lambda context, event: [*context["heard"], [event["type"], None]])},
    },
    "states": {
        "out": {"on": {"HAVE": {"target": "having", "actions": REMEMBER}}},
        "having": {
            "invoke": {
                "id": "kid",
                "src": persistent("kid", name=lambda context, event: kid_name(event)),
                "onDone": "proud",
                "onError": "sad",
            },
            "on": {"OUT": {"target": "out", "actions": REMEMBER}, "HAVE": {"target": "having", "actions": REMEMBER}},
        },
        "proud": {"on": {"HAVE": {"target": "having", "actions": REMEMBER}}},
        "sad": {"on": {"HAVE": {"target": "having", "actions": REMEMBER}}},
    },
}

KID: dict[str, Any] = {
    "initial": "young",
    "context": {"heard": []},
    "on": {"PING": {"actions": [REMEMBER, send_parent(passed_on("PONG"))]}},
    "states": {
        "young": {"entry": send_parent({"type": "WORD", "number": 1}), "after": {"3000": "old"}},
        "old": {"entry": send_parent({"type": "WORD", "number": 2}), "after": {"3000": "gone"}},
        "gone": {"type": "final", "data": 7},
    },
}


def clan(is_accepted: Callable[[], bool]) -> dict[str, Any]:
    """Cries to groups, has children, takes in those of others, and knows where they stand."""
    group = passed("group")
    called = send_to(lambda context, event: reference("clan", event["to"]), passed_on("CALLED"))
    cry = [called, broadcast(group, passed_on("CRIED")), called, send(passed_on("ECHO"))]
    ward = lambda context, event: reference(event["machine"], event["kid"])  # noqa: E731 - as in configs
    on = {
        "JOIN": {"actions": [REMEMBER, join_group(group)]},
        "QUIT": {"actions": [REMEMBER, leave_group(group)]},
        "CRY": {"actions": [REMEMBER, *cry]},
        "JOIN_AND_CRY": {"actions": [REMEMBER, *cry, join_group(group)]},
        "CRY_AND_QUIT": {"actions": [REMEMBER, *cry, leave_group(group)]},
        "CRIED": {"cond": is_accepted, "actions": REMEMBER},
        "BEAR": {"actions": assign(born=born)},
        "ADOPT": {"actions": [REMEMBER, adopt(ward)]},
        "ADOPT_KNOWN": {"actions": [REMEMBER, adopt(ward, sync=True)]},
        "ADOPT_LOOSELY": {"actions": [REMEMBER, adopt(ward, detached=True, sync=True)]},
        "ADOPT_IN_PLACE": {"actions": [REMEMBER, adopt(ward, id="place", sync=True)]},
        "DROP": {"actions": [REMEMBER, stop(passed("kid"))]},
        "PING": {"actions": [REMEMBER, send_to(passed("kid"), passed_on("PING"))]},
        "END": {"target": ".over", "actions": REMEMBER},
        "xstate.update": {
            "actions": assign(known=lambda context, event: context["known"] | {event["id"]: event["state"]})
        },
        "error.platform.*": {"actions": REMEMBER},
        "done.invoke.*": {"actions": REMEMBER},
    }
    on |= {word: {"actions": REMEMBER} for word in ("CALLED", "ECHO", "PONG", "WORD")}
    return {
        "initial": "together",
        "context": {"heard": [], "born": [], "known": {}},
        "entry": join_group(HOME),
        "on": on,
        "states": {"together": {}, "over": {"type": "final"}},
    }


def passed(key: str) -> Callable[[Any, dict[str, Any]], Any]:
    return lambda context, event: event[key]


def born(context: dict[str, Any], event: dict[str, Any]) -> list[Any]:
    return [*context["born"], spawn_persistent(event["machine"], name=event["kid"], sync=True)]


WARD: dict[str, Any] = {
    "initial": "small",
    "context": {"heard": []},
    "on": {
        "PING": {"actions": [REMEMBER, send_parent(passed_on("PONG"))]},
        "GROW": {"target": ".big", "actions": REMEMBER},
        "END": {"target": ".gone", "actions": REMEMBER},
    },
    "states": {
        "small": {"entry": send_parent({"type": "WORD", "number": 1})},
        "big": {"entry": send_parent({"type": "WORD", "number": 2})},
        "gone": {"type": "final", "data": 7},
    },
}
"""A child that no time ends."""


NEWER_NAMES = {
    "teller": {"on": "up"},
    "caller": {"idle": "home", "bad": "worse"},
    "parent": {"out": "outside", "having": "keeping", "sad": "blue"},
}
"""What states are called in the newer versions of machines."""


def renamed(config: Any, names: dict[str, str], *, is_states: bool = False) -> Any:
    """A config whose states have other names."""
    if isinstance(config, dict):
        keys = names if is_states else {}
        return {
            keys.get(key, key): renamed(value, names, is_states=key == "states" and not is_states)
            for key, value in config.items()
        }
    if isinstance(config, list):
        return [renamed(item, names) for item in config]
    if isinstance(config, str):
        return f".{names[config[1:]]}" if config[:1] == "." and config[1:] in names else names.get(config, config)
    return config


def migration(machine: str, to_label: str, *, is_willing: Callable[[], object] = lambda: None) -> Migration:
    """The way to one version of a machine from the other. ``is_willing`` may raise."""
    names = NEWER_NAMES[machine]
    if to_label == "1":
        names = {newer: older for older, newer in names.items()}

    def upgrade_context(old_paths: Any, new_paths: Any, context: dict[str, Any]) -> dict[str, Any]:
        is_willing()
        return {**context, "heard": [*context["heard"], [f"to {to_label}", None]]}

    return Migration(upgrade_state=lambda path, context: [names.get(path[0], path[0])], upgrade_context=upgrade_context)


def definitions(
    *,
    is_accepted: Callable[[], bool],
    act: Callable[..., Any],
    service: Callable[..., Any],
    trial: Service,
    is_newer: bool = False,
) -> dict[str, Definition]:
    """The machines by name; of newer versions only those that have one.

    ``is_accepted`` may raise; ``act`` and ``service`` see context and event, ``trial`` is tried again.
    """

    def may_be(request: WriteRequest) -> bool:
        number = int(request.machine_instance_name.removeprefix("kid-"))
        if request.event is not None:
            return request.event["type"] != "perdure.adopt" or number % REFUSED_ADOPTIONS != 0
        return number % REFUSED_KIDS != 0

    configs = {
        "teller": teller(is_accepted),
        "caller": caller(service),
        "parent": PARENT,
        "kid": KID,
        "clan": clan(is_accepted),
        "ward": WARD,
        "trier": trier(REMEMBER, trial),
        "boss": boss(REMEMBER, kid_name),
        "aide": aide(REMEMBER, is_accepted),
    }
    if is_newer:
        configs = {name: renamed(configs[name], names) for name, names in NEWER_NAMES.items()}
    return {
        name: Definition(
            machine=create_machine({"id": name, **config}, actions={"act": act}),
            allow_read=lambda request: True,
            allow_write=may_be if name in ("kid", "ward", "aide") else (lambda request: True),
        )
        for name, config in configs.items()
    }
