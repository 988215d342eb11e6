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
    assign,
    cancel,
    create_machine,
    persistent,
    send,
    send_parent,
    send_to,
    spawn_persistent,
)
from perdure.durable.upgrade import Migration

__all__ = ["NEWER_NAMES", "REFUSED_KIDS", "definitions", "migration"]

REFUSED_KIDS = 5
"""Children whose number this divides may not be created."""

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
    *, is_accepted: Callable[[], bool], act: Callable[..., Any], service: Callable[..., Any], is_newer: bool = False
) -> dict[str, Definition]:
    """The machines by name; of newer versions only those that have one.

    ``is_accepted`` may raise; ``act`` and ``service`` see context and event.
    """

    def may_exist(request: WriteRequest) -> bool:
        number = request.machine_instance_name.removeprefix("kid-")
        return request.type == "event" or int(number) % REFUSED_KIDS != 0

    configs = {"teller": teller(is_accepted), "caller": caller(service), "parent": PARENT, "kid": KID}
    if is_newer:
        configs = {name: renamed(configs[name], names) for name, names in NEWER_NAMES.items()}
    return {
        name: Definition(
            machine=create_machine({"id": name, **config}, actions={"act": act}),
            allow_read=lambda request: True,
            allow_write=may_exist if name == "kid" else (lambda request: True),
        )
        for name, config in configs.items()
    }
