"""What the parts of a config are called: names for people to read and for an exported config to refer to.

A part that the author named is called so. A callable is called by its own name, a combination by its parts, an action
that a creator returned by what it does. A lambda has no name of its own and is called ``lambda``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from perdure.json_value import encode_json
from perdure.statechart import action as act
from perdure.statechart import guard as gua
from perdure.statechart.delay import as_milliseconds
from perdure.statechart.machine import Machine, PersistentSource
from perdure.statechart.xstate_objects import BUILT_IN_ACTIONS

__all__ = ["LAMBDA", "action_label", "delay_label", "duration", "guard_label", "service_label"]

LAMBDA = "lambda"


def action_label(config: Any) -> str:
    """An action, as it is written in a list of actions."""
    match config:
        case act.AssignConfig(assignment=assignment):
            return function_label(assignment) if callable(assignment) else f"assign {', '.join(assignment)}"
        case act.SendConfig(is_internal=True):
            return f"raise {event_label(config.event)}"
        case act.SendConfig(target=act.SELF):
            return f"send {event_label(config.event)}"
        case act.SendConfig(target=act.PARENT):
            return f"send {event_label(config.event)} to parent"
        case act.SendConfig(event=act.forwarded):
            return f"forward to {child_label(config.target)}"
        case act.SendConfig(target=act.SENDER):
            return f"respond {event_label(config.event)}"
        case act.SendConfig():
            return f"send {event_label(config.event)} to {child_label(config.target)}"
        case act.CancelConfig(send_id=send_id):
            return f"cancel {text_label(send_id)}"
        case act.LogConfig(expression=expression, label=label):
            return f"log {label or ('' if expression is None else text_label(expression))}".rstrip()
        case act.EscalateConfig(error=error):
            return f"escalate {text_label(error)}"
        case act.StartConfig(activity=activity):
            return f"start {named_label(activity)}"
        case act.StopConfig(child=child):
            return f"stop {child_label(child)}"
        case act.ChooseConfig(branches=branches):
            return f"choose {' or '.join(map(branch_label, branches))}"
        case act.PureConfig(get_actions=get_actions):
            return function_label(get_actions)
        case {"type": str(kind)} if kind in BUILT_IN_ACTIONS:
            return action_label(BUILT_IN_ACTIONS[kind].read(config))
    return named_label(config)


def branch_label(branch: Mapping[str, Any]) -> str:
    actions = branch.get("actions")
    items = actions if isinstance(actions, (list, tuple)) else [] if actions is None else [actions]
    done = ", ".join(map(action_label, items)) or "nothing"
    return done if branch.get("cond") is None else f"{done} if {guard_label(branch['cond'])}"


def guard_label(config: Any) -> str:
    """A guard; what combines others binds as in Python."""
    match config:
        case gua.And(guards=guards):
            return " and ".join(nested_label(guard, (gua.Or,)) for guard in guards)
        case gua.Or(guards=guards):
            return " or ".join(map(guard_label, guards))
        case gua.Not(guard=guard):
            return f"not {nested_label(guard, (gua.And, gua.Or))}"
        case gua.InState(state=state):
            return f"in {' and '.join(state_labels(state))}"
        case {"type": "xstate.guard"}:
            return guard_label(config.get("predicate") or config.get("name") or config["type"])
    return named_label(config)


def nested_label(config: Any, looser: tuple[type, ...]) -> str:
    label = guard_label(config)
    return f"({label})" if isinstance(config, looser) else label


def state_labels(value: Any) -> list[str]:
    """A state value as dotted paths."""
    if not isinstance(value, Mapping):
        return [str(value)]
    return [f"{key}.{path}".rstrip(".") for key, below in value.items() for path in state_labels(below) or [""]]


def service_label(config: Any) -> str:
    """What an invocation starts."""
    if isinstance(config, Machine):
        return config.id
    if isinstance(config, PersistentSource):
        return config.machine
    return named_label(config)


def delay_label(config: Any) -> str:
    """A delay: a time with its unit, or a name. A key that looks like a number is one, as everywhere."""
    try:
        milliseconds = as_milliseconds(float(config) if isinstance(config, str) else config)
    except ValueError:
        return str(config)
    return named_label(config) if milliseconds is None else duration(milliseconds)


def duration(milliseconds: float) -> str:
    """Milliseconds in the largest unit that says them exactly."""
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds / size:g} {unit}"
    return f"{milliseconds:g} ms"


def event_label(event: Any) -> str:
    return str(event["type"]) if isinstance(event, Mapping) else text_label(event)


def child_label(child: Any) -> str:
    return str(child.get("id") or child.get("machineInstanceName")) if isinstance(child, Mapping) else text_label(child)


def text_label(value: Any) -> str:
    return function_label(value) if callable(value) else str(value)


def named_label(config: Any) -> str:
    """A name, ``{"type": name, …}``, or a callable."""
    if isinstance(config, str):
        return config
    if isinstance(config, Mapping):
        given = {key: value for key, value in config.items() if key != "type"}
        return f"{config['type']} {value_text(given)}" if given else str(config["type"])
    return function_label(config)


def value_text(value: Any) -> str:
    try:
        return encode_json(value).decode()
    except TypeError:
        return "…"


def function_label(function: Any) -> str:
    """The name of a function, or the class of any other callable."""
    name = getattr(function, "__name__", type(function).__name__)
    return LAMBDA if name == "<lambda>" else str(name)
