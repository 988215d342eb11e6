"""Playing a recorded XState case on perdure: the same machine, events and simulated time, told in its terms.

The engine decides everything; ``Actor`` carries out its effects, in their order, as a runner in memory would: a message
to an actor that is at work waits until it has finished, a promise answers when everybody has.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from perdure.errors import PerdureError
from perdure.statechart import Machine, Snapshot, Step, initial, transition
from perdure.statechart.effect import (
    Cancel,
    ChildTarget,
    Done,
    Effect,
    Fail,
    Log,
    ParentTarget,
    RunAction,
    Send,
    StartChild,
    StopChild,
    Target,
)
from perdure.statechart.step import Scope, stop
from tests.conformance.xstate_vocabulary import build

RECORDINGS = Path(__file__).parent / "xstate" / "recordings"

Recorded = dict[str, Any]
Event = dict[str, Any]


def recorded_cases() -> dict[str, Recorded]:
    """Every recorded case by its name, which says its topic first."""
    found = {}
    for path in sorted(RECORDINGS.glob("*.json")):
        for case in json.loads(path.read_text(encoding="utf-8")):
            name = f"{path.stem}: {case['name']}"
            assert name not in found, f"two cases are named {name!r}"
            found[name] = case
    return found


def replay(case: Recorded) -> list[Recorded]:
    """What perdure does, step by step, in the form of the recording."""
    world = World(case.get("children", {}))
    actor: Actor | None = None
    steps = []
    for recorded in case["steps"]:
        event = recorded["event"]
        step: Recorded = {"event": event}
        try:
            if actor is None or actor.snapshot is None:
                actor = Actor(world, build(case["machine"], by_xstate=case.get("written", False)))
                actor.enter()
            elif isinstance(event, int):
                world.advance(event)
            else:
                actor.receive({"type": event} if isinstance(event, str) else event)
            world.keep_promises()
        except PerdureError:
            step["error"] = True
        step["actions"] = world.taken_trace()
        if actor is not None and actor.snapshot is not None:
            step |= seen(actor, actor.snapshot, sees=case.get("sees", False))
            if event is not None and case.get("sees", False):
                step["changed"] = actor.changed
            if "asks" in case:
                step["asked"] = asked(actor.machine, actor.snapshot, case["asks"])
            if "resolves" in case:
                step["resolved"] = [resolved(actor.machine, value) for value in case["resolves"]]
        steps.append(step)
    return steps


def seen(actor: Actor, snapshot: Snapshot, *, sees: bool) -> Iterator[tuple[str, Any]]:
    """What the recording tells of a state."""
    yield "value", snapshot.value
    if snapshot.context:
        yield "context", snapshot.context
    if snapshot.is_done:
        yield from {"done": True, "output": snapshot.output}.items()
    if sees:
        nodes = [actor.machine.by_id[leaf] for leaf in snapshot.configuration]
        active = {node for leaf in nodes for node in (leaf, *leaf.ancestors())}
        yield "tags", sorted(snapshot.tags)
        yield "meta", {node.id: node.meta for node in active if node.meta is not None}


def asked(machine: Machine, snapshot: Snapshot, asks: Recorded) -> Recorded:
    """What the state tells."""
    return {
        "can": {event: machine.can(snapshot, event) for event in asks["events"]},
        "hasTag": {tag: snapshot.has_tag(tag) for tag in asks["tags"]},
        "matches": [snapshot.matches(value) for value in asks["values"]],
        "meta": machine.meta(snapshot),
        "nextEvents": sorted(machine.next_events(snapshot)),
        "strings": sorted(snapshot.to_strings()),
    }


def resolved(machine: Machine, value: Any) -> Any:
    try:
        return machine.resolve(value).value
    except PerdureError:
        return "error"


@dataclass(frozen=True)
class Timer:
    due: float
    order: int
    owner: object
    id: str
    act: Callable[[], None]


class World:
    """The clock and the trace that all actors of a case share."""

    def __init__(self, machines: dict[str, Recorded]) -> None:
        self.machines = machines
        """What children may run, by key."""
        self.trace: list[str] = []
        self.now = 0.0
        self.timers: list[Timer] = []
        self.started = 0
        self.promises: deque[Callable[[], None]] = deque()

    def taken_trace(self) -> list[str]:
        taken, self.trace = self.trace, []
        return taken

    def after(self, delay: float, owner: object, act: Callable[[], None], timer_id: str = "") -> None:
        self.started += 1
        self.timers.append(Timer(self.now + delay, self.started, owner, timer_id, act))

    def forget(self, owner: object, timer_id: str | None = None) -> None:
        self.timers = [
            timer
            for timer in self.timers
            if timer.owner is not owner or (timer_id is not None and timer.id != timer_id)
        ]

    def advance(self, milliseconds: float) -> None:
        until = self.now + milliseconds
        while due := [timer for timer in self.timers if timer.due <= until]:
            first = min(due, key=lambda timer: (timer.due, timer.order))
            self.timers.remove(first)
            self.now = first.due
            first.act()
            self.keep_promises()
        self.now = until

    def keep_promises(self) -> None:
        while self.promises:
            self.promises.popleft()()


class Running(Protocol):
    """A child of any kind."""

    def receive(self, event: Event, origin: Target | None = None) -> None: ...
    def stop(self) -> None: ...


class Actor:
    """One machine at work."""

    def __init__(self, world: World, machine: Machine, parent: Actor | None = None, name: str = "") -> None:
        self.world = world
        self.machine = machine
        self.parent = parent
        self.name = name
        self.scope = Scope(has_parent=parent is not None)
        self.snapshot: Snapshot | None = None
        self.changed = True
        self.children: dict[str, Running] = {}
        self.mailbox: deque[tuple[Event, Target | None]] = deque()
        self.is_busy = False

    def enter(self) -> None:
        self.work(lambda: self.perform(initial(self.machine, scope=self.scope)))

    def receive(self, event: Event, origin: Target | None = None) -> None:
        """Take an event; ``origin`` is who sent it, if that is an actor that goes on."""
        self.mailbox.append((event, origin))
        if not self.is_busy:
            self.work(lambda: None)

    def work(self, first: Callable[[], None]) -> None:
        self.is_busy = True
        try:
            first()
            while self.mailbox:
                assert self.snapshot is not None
                event, origin = self.mailbox.popleft()
                if origin is None:
                    self.forget_ended(event)
                scope = msgspec.structs.replace(self.scope, origin=origin)
                self.perform(transition(self.machine, self.snapshot, event, scope=scope))
        finally:
            self.mailbox.clear()
            self.is_busy = False

    def forget_ended(self, event: Event) -> None:
        """A child whose end this reports is no more."""
        for prefix in ("done.invoke.", "error.platform."):
            if event["type"].startswith(prefix):
                self.children.pop(event["type"].removeprefix(prefix), None)

    def stop(self) -> None:
        assert self.snapshot is not None
        self.perform(stop(self.machine, self.snapshot, scope=self.scope))

    def perform(self, step: Step) -> None:
        self.snapshot, self.changed = step.snapshot, step.changed
        for effect in step.effects:
            self.carry_out(effect)
        if step.snapshot.status != "active":
            self.world.forget(self)

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case RunAction():
                told = "" if effect.params is None else f" {compact(effect.params)}"
                self.world.trace.append(effect.action + told)
            case Log():
                self.world.trace.append(f"log {effect.value}")
            case Cancel():
                self.world.forget(self, effect.id)
            case StartChild():
                self.start_child(effect)
            case StopChild():
                child = self.children.pop(effect.id, None)
                if child is not None:
                    child.stop()
            case Send(delay=None):
                self.deliver(effect)
            case Send():
                self.world.after(effect.delay or 0, self, lambda: self.deliver(effect), effect.id)
            case Done() if self.parent is not None:
                self.parent.receive({"type": f"done.invoke.{self.name}", "data": effect.output})
            case Fail() if self.parent is not None:
                self.parent.receive({"type": f"error.platform.{self.name}", "data": effect.error})

    def deliver(self, effect: Send) -> None:
        match effect.target:
            case ChildTarget(id=child_id):
                if child_id in self.children:
                    self.children[child_id].receive(effect.event, ParentTarget())
            case ParentTarget():
                assert self.parent is not None
                event = effect.event
                if event["type"] == "xstate.error":
                    event = {"type": f"error.platform.{self.name}", "data": event["data"]}
                self.parent.receive(event, ChildTarget(self.name))
            case _:
                self.receive(effect.event)

    def start_child(self, effect: StartChild) -> None:
        word, _, key = effect.source.partition(":")
        if word != "machine":
            child = self.children[effect.id] = Service(self, effect)
            child.start()
            return
        config = self.world.machines[key]
        if any(invoke.id == effect.id and invoke.data for node in self.machine.nodes for invoke in node.invokes):
            config = {**config, "context": effect.context}
        actor = self.children[effect.id] = Actor(self.world, build(config, key), self, effect.id)
        actor.enter()


class Service:
    """A callback or a promise of the vocabulary."""

    def __init__(self, parent: Actor, effect: StartChild) -> None:
        self.parent = parent
        self.effect = effect
        self.word, self.first, self.second, *_ = (*effect.source.split(":"), "", "")
        self.is_stopped = False

    def start(self) -> None:
        trace = self.parent.world.trace
        match self.word:
            case "tells":
                trace.append(f"tells {compact(self.effect.context)}")
            case "throwing":
                self.answer({"type": f"error.platform.{self.effect.id}", "data": "thrown"})
            case "says":
                trace.append(f"start {self.effect.source}")
                self.soon(lambda: self.say({"type": self.first}))
            case "promise":
                trace.append(f"start {self.effect.source}")
                self.promise({"type": f"done.invoke.{self.effect.id}", "data": self.first})
            case "failing":
                trace.append(f"start {self.effect.source}")
                self.promise({"type": f"error.platform.{self.effect.id}", "data": self.first})
            case "one" | "two" | "three" | "beep" | "flash":
                trace.append(f"start {self.word}")

    def soon(self, act: Callable[[], None]) -> None:
        if self.second:
            self.parent.world.after(int(self.second), self, act)
        else:
            act()

    def promise(self, event: Event) -> None:
        self.soon(lambda: self.parent.world.promises.append(lambda: self.answer(event)))

    def answer(self, event: Event) -> None:
        if not self.is_stopped:
            self.parent.receive(event)

    def say(self, event: Event) -> None:
        if not self.is_stopped:
            self.parent.receive(event, ChildTarget(self.effect.id))

    def receive(self, event: Event, origin: Target | None = None) -> None:
        if self.word == "echo":
            self.say({"type": "ECHO", "data": event["type"]})
        elif self.word in ("one", "two", "three"):
            self.parent.world.trace.append(f"{self.word} gets {event['type']}")

    def stop(self) -> None:
        self.is_stopped = True
        if self.word in ("one", "two", "three", "beep", "flash"):
            self.parent.world.trace.append(f"stop {self.word}")


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))
