"""Short ways to build a machine for a test, to play events on it, and to say what it asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from perdure.errors import ConfigDefect, MachineConfigError
from perdure.statechart import Machine, Step, create_machine, initial, transition
from perdure.statechart.effect import (
    AdoptChild,
    Broadcast,
    Cancel,
    Done,
    Effect,
    Fail,
    JoinGroup,
    LeaveGroup,
    Log,
    RunAction,
    Send,
    StartChild,
    StopChild,
    Warn,
)


class AnyName(dict[str, Any]):
    """Implements every name but ``unknown``, where the test gives nothing else by an action that does nothing."""

    def __contains__(self, name: object) -> bool:
        return name != "unknown"

    def __missing__(self, name: str) -> Any:
        return lambda: None


def machine(config: dict[str, Any], **implementations: Any) -> Machine:
    """A machine with the id ``m`` whose action names need no implementation."""
    actions = AnyName(implementations.pop("actions", {}))
    return create_machine({"id": "m", **config}, actions=actions, **implementations)


def play(config: dict[str, Any] | Machine, *events: Any, **implementations: Any) -> Step:
    """Enter the machine and send it the events; the last step."""
    built = config if isinstance(config, Machine) else machine(config, **implementations)
    step = initial(built)
    for event in events:
        step = transition(built, step.snapshot, event)
    return step


def value(config: dict[str, Any] | Machine, *events: Any, **implementations: Any) -> Any:
    return play(config, *events, **implementations).snapshot.value


def asked(step: Step) -> list[str]:
    """The effects in order, in short."""
    return [short(effect) for effect in step.effects]


def short(effect: Effect) -> str:
    match effect:
        case RunAction():
            return effect.action
        case Send():
            target = getattr(effect.target, "id", type(effect.target).__name__.removesuffix("Target").lower())
            return f"send {effect.event['type']} to {target}" + ("" if effect.delay is None else f" in {effect.delay}")
        case Cancel():
            return f"cancel {effect.id}"
        case StartChild():
            return f"start {effect.id}"
        case StopChild():
            return f"stop {effect.id}"
        case AdoptChild():
            return f"adopt {effect.id}"
        case JoinGroup() | LeaveGroup():
            return f"{'join' if isinstance(effect, JoinGroup) else 'leave'} {effect.name}"
        case Broadcast():
            return f"broadcast {effect.event['type']} to {effect.group}"
        case Log():
            return f"log {effect.value}"
        case Warn():
            return "warn"
        case Done():
            return f"done {effect.output}"
        case Fail():
            return f"fail {effect.error}"


def defects(config: Any, **implementations: Any) -> tuple[ConfigDefect, ...]:
    """What is wrong with a config; fails when nothing is."""
    with pytest.raises(MachineConfigError) as caught:
        create_machine(config, **implementations)
    return caught.value.defects


def paths(found: Iterable[ConfigDefect]) -> list[str]:
    return [defect.path for defect in found]
