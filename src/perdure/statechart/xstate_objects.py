"""What XState v4 turns its built-in actions and guards into: plain objects, and so the form they have in JSON.

``JSON.stringify`` of a machine or of a config writes ``{"type": "xstate.raise", "event": …}`` where the author called
``raise``. Each object is read back into what the action creator of the same name returns. What was a function is gone
from the JSON without a trace, and where nothing can stand for it that is a defect; a ``respond`` and a ``log`` with a
function cannot be told from a ``send`` to the machine itself and a ``log`` without arguments.

A machine (not its config) also writes what follows from the rest: a list of all ``transitions`` beside ``on``, the
``source`` of each, the invocations among the ``activities``. That is no more than checked against the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from perdure.statechart import action as act
from perdure.statechart.defects import Defects, child_path

__all__ = [
    "BUILT_IN_ACTIONS",
    "GUARD",
    "INVOKE",
    "action_of_object",
    "check_repeated_parts",
    "check_repeated_transitions",
    "is_invocation",
]

GUARD = "xstate.guard"
"""``{"type": "xstate.guard", "name": …}`` is the guard with that name."""
INVOKE = "xstate.invoke"
"""The ``type`` that a machine writes into its invocations."""


def action_of_object(config: Mapping[str, Any], path: str, defects: Defects) -> tuple[Any, str] | None:
    """What the creator of a built-in action would have returned, and the path of its main part.

    ``None``, with a defect, when that part is missing: it was a function.
    """
    kind = config["type"]
    main, others, read = BUILT_IN_ACTIONS[kind]
    defects.unknown_keys(path, config, ("type", main, *others))
    if config.get(main) is None and kind != "xstate.log":
        defects.add(
            path,
            f"{kind} has no {main!r}: JSON cannot hold the function that it was",
            "Write the function in Python, with the action creator of the same name.",
        )
        return None
    return read(config), child_path(path, main)


class BuiltIn(NamedTuple):
    """How one built-in action is written as an object."""

    main: str
    """The key that it is nothing without."""
    others: tuple[str, ...]
    read: Callable[[Mapping[str, Any]], Any]


def raise_of_object(config: Mapping[str, Any]) -> Any:
    return act.raise_(config["event"], delay=config.get("delay"), id=config.get("id"))


def send_of_object(config: Mapping[str, Any]) -> Any:
    # XState's id of an event that is a function is the function's name, which is empty for most.
    return act.send(config["event"], to=config.get("to"), delay=config.get("delay"), id=config.get("id") or None)


BUILT_IN_ACTIONS: Mapping[str, BuiltIn] = {
    "xstate.raise": BuiltIn("event", ("delay", "id"), raise_of_object),
    "xstate.send": BuiltIn("event", ("delay", "id", "to"), send_of_object),
    "xstate.assign": BuiltIn("assignment", (), lambda config: act.AssignConfig(config["assignment"])),
    "xstate.cancel": BuiltIn("sendId", (), lambda config: act.cancel(config["sendId"])),
    "xstate.start": BuiltIn("activity", (), lambda config: act.start(config["activity"])),
    "xstate.stop": BuiltIn("activity", (), lambda config: act.stop(config["activity"])),
    "xstate.log": BuiltIn("expr", ("label",), lambda config: act.log(config.get("expr"), config.get("label"))),
    "xstate.choose": BuiltIn("conds", (), lambda config: act.choose(config["conds"])),
    "xstate.pure": BuiltIn("get", (), lambda config: act.pure(config["get"])),
}


def is_invocation(activity: Any) -> bool:
    """Whether one of a state's ``activities`` is there because it is invoked."""
    return isinstance(activity, Mapping) and activity.get("type") == INVOKE


def check_repeated_transitions(config: Mapping[str, Any], path: str, defects: Defects) -> None:
    """``transitions`` is what a machine writes beside ``on``: the same once more, in one list."""
    transitions, on = config.get("transitions"), config.get("on")
    by_event: dict[Any, list[Any]] = {}
    for item in transitions if isinstance(transitions, (list, tuple)) else ():
        by_event.setdefault(item.get("eventType") if isinstance(item, Mapping) else None, []).append(item)
    if transitions is not None and by_event != ({} if on is None else on):
        defects.add(
            child_path(path, "transitions"),
            "transitions is what a machine says about itself, and here it differs from on",
            "Write transitions into on, after and always, and leave this key out.",
        )


def check_repeated_parts(
    config: Mapping[str, Any], repeated: Iterable[tuple[str, Any]], path: str, defects: Defects
) -> None:
    """Keys that follow from the place at which they stand: when given, they have to say the same."""
    for key, value in repeated:
        if key in config and config[key] != value:
            defects.add(
                child_path(path, key), f"{key} is {value!r} here and cannot be {config[key]!r}", "Leave it out."
            )
