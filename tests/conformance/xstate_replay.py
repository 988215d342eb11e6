"""Playing a recorded XState case on perdure: the same machine, events and simulated time, told in its terms.

The vocabulary of named actions and guards is the recorder's (``xstate/record.cjs``), implemented a second time.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perdure.errors import PerdureError
from perdure.statechart import (
    Machine,
    Snapshot,
    Step,
    assign,
    cancel,
    choose,
    create_machine,
    initial,
    raise_,
    send,
    transition,
)
from perdure.statechart.effect import Cancel, ChildTarget, RunAction, Send, StartChild, StopChild

RECORDINGS = Path(__file__).parent / "xstate" / "recordings"
ACTION_KEYS = ("entry", "exit", "actions")

Recorded = dict[str, Any]


def recorded_cases() -> dict[str, Recorded]:
    """Every recorded case by its name, which says its topic first."""
    found = {}
    for path in sorted(RECORDINGS.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")):
            found[f"{path.stem}: {case['name']}"] = case
    return found


def replay(case: Recorded) -> list[Recorded]:
    """What perdure does, step by step, in the form of the recording."""
    player: Player | None = None
    steps = []
    for recorded in case["steps"]:
        step: Recorded = {"event": recorded["event"]}
        trace: list[str] = []
        try:
            if player is None:
                player = Player(build(case["machine"]))
            player.trace = trace
            player.play(recorded["event"])
        except PerdureError:
            step["error"] = True
        step["actions"] = trace
        if player is not None and player.snapshot is not None:
            snapshot = player.snapshot
            step |= {"value": snapshot.value, "context": snapshot.context, "done": snapshot.is_done}
            if snapshot.is_done:
                step["output"] = snapshot.output
        steps.append(step)
    return steps


class Player:
    """One actor with a clock that only the case moves."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.snapshot: Snapshot | None = None
        self.trace: list[str] = []
        self.now = 0.0
        self.timers: list[tuple[float, int, Send]] = []
        self.sent = 0
        self.mailbox: deque[Recorded] = deque()

    def play(self, event: Any) -> None:
        if event is None:
            self.follow(initial(self.machine))
        elif isinstance(event, int):
            self.advance(event)
        else:
            self.deliver(event)

    def deliver(self, event: Any) -> None:
        self.mailbox.append({"type": event} if isinstance(event, str) else event)
        self.drain()

    def drain(self) -> None:
        while self.mailbox:
            assert self.snapshot is not None
            self.follow(transition(self.machine, self.snapshot, self.mailbox.popleft()))

    def advance(self, milliseconds: float) -> None:
        until = self.now + milliseconds
        while self.timers and min(self.timers)[0] <= until:
            due = min(self.timers)
            self.timers.remove(due)
            self.now = due[0]
            self.deliver(due[2].event)
        self.now = until

    def follow(self, step: Step) -> None:
        self.snapshot = step.snapshot
        sources: dict[str, str] = {child.id: child.source for child in step.snapshot.children.values()}
        for effect in step.effects:
            match effect:
                case RunAction():
                    self.trace.append(effect.action)
                case StartChild():
                    self.trace.append(f"start {effect.source}")
                case StopChild():
                    self.trace.append(f"stop {effect.source}")
                case Cancel():
                    self.timers = [timer for timer in self.timers if timer[2].id != effect.id]
                case Send(target=ChildTarget(id=child)):
                    self.trace.append(f"{sources[child]} gets {effect.event['type']}")
                case Send(delay=None):
                    self.mailbox.append(effect.event)
                case Send():
                    self.sent += 1
                    self.timers.append((self.now + (effect.delay or 0), self.sent, effect))
        if step.snapshot.status != "active":
            self.timers.clear()
        self.drain()


def build(config: Recorded) -> Machine:
    actions = {name: action(name) for name in {*action_names(config), "picked zero", "picked other"}}
    names = {text.replace("pick:", "zero:") for text in strings(config)}
    guards = {name: test for name in names if (test := guard(name)) is not None}
    services = {name: lambda: None for name in ("one", "two", "three")}
    return create_machine(with_functions(config), actions=actions, guards=guards, services=services, delays={"soon": 5})


def action(name: str) -> Any:
    word, first, second, *_ = (*name.split(":"), "", "")
    match word:
        case "raise":
            return raise_(first)
        case "send":
            return send(first, delay=int(second) if second else None)
        case "cancel":
            return cancel(first)
        case "inc":
            return assign({first: lambda context: (context.get(first) or 0) + 1})
        case "set":
            return assign({first: second})
        case "see":
            return assign({first: lambda context, event: event["type"]})
        case "pick":
            return choose([{"cond": f"zero:{first}", "actions": ["picked zero"]}, {"actions": ["picked other"]}])
    return lambda: None


def guard(name: str) -> Any:
    word, _, first = name.partition(":")
    if word in ("yes", "no"):
        return lambda: word == "yes"
    if word == "zero":
        return lambda context: not context.get(first)
    if word == "event":
        return lambda context, event: event["type"] == first
    return None


def action_names(config: Any, key: str = "") -> Iterator[str]:
    if isinstance(config, str):
        if key in ACTION_KEYS:
            yield config
    elif isinstance(config, list):
        for item in config:
            yield from action_names(item, key)
    elif isinstance(config, dict):
        for name, item in config.items():
            yield from action_names(item, name)


def strings(config: Any) -> Iterator[str]:
    if isinstance(config, str):
        yield config
    elif isinstance(config, (list, dict)):
        for item in config.values() if isinstance(config, dict) else config:
            yield from strings(item)


def with_functions(config: Any) -> Any:
    """``$ctx:key`` stands for a function of the context."""
    if isinstance(config, str) and config.startswith("$ctx:"):
        key = config.removeprefix("$ctx:")
        return lambda context: context[key]
    if isinstance(config, list):
        return [with_functions(item) for item in config]
    if isinstance(config, dict):
        return {key: with_functions(item) for key, item in config.items()}
    return config
