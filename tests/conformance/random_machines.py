"""Hypothesis strategies: machines in the reference's config language, and events for them.

Every machine drawn here is legal. About half of the states have no actions, so that some events take the engine's quick
path and some do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

Config = dict[str, Any]

EVENTS = ("A", "B", "x.y", "UNKNOWN")
DESCRIPTORS = ("A", "A", "B", "B", "x.*", "*", "R", "S", "xstate.init")


T = TypeVar("T")


class Chooser(Protocol):
    """Where the choices come from."""

    def randint(self, lowest: int, highest: int, /) -> int: ...

    def choice(self, options: Sequence[T], /) -> T: ...


class Drawn:
    """Choices that Hypothesis makes, and can make smaller."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw

    def randint(self, lowest: int, highest: int, /) -> int:
        return self.draw(st.integers(lowest, highest))

    def choice(self, options: Sequence[T], /) -> T:
        return self.draw(st.sampled_from(options))


class Drawing:
    """The state of one draw: the states made so far, by id, with their parents."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser
        self.parents: dict[str, str | None] = {}
        self.configs: dict[str, Config] = {}

    def chance(self, percent: int) -> bool:
        return self.chooser.randint(0, 99) >= 100 - percent

    def state(self, parent: str | None, depth: int) -> Config:
        """A state and all below it; what refers to other states comes later, when all are known."""
        name = f"s{len(self.configs)}"
        config: Config = {"id": name}
        self.configs[name] = config
        self.parents[name] = parent
        kind = self.chooser.choice(("atomic", "compound", "compound", "parallel")) if depth < 3 else "atomic"
        if kind == "atomic" and parent is not None:
            if self.chance(10 if self.configs[parent].get("type") == "parallel" else 30):
                config["type"] = "final"
                if self.chance(50):
                    config["data"] = "n"
            return config
        if kind == "parallel":
            config["type"] = "parallel"
        states: Config = {}
        config["states"] = states
        for index in range(self.chooser.randint(1, 3)):
            states[f"k{index}"] = self.state(name, depth + 1)
        if self.chance(35):
            history = f"s{len(self.configs)}"
            self.configs[history] = states["h"] = {"id": history, "type": "history"}
            self.parents[history] = name
            if self.chance(50):
                states["h"]["history"] = "deep"
        return config

    def finish(self) -> None:
        for name, config in self.configs.items():
            below = [other for other in self.configs if self.lies_in(other, name) and not self.is_history(other)]
            if self.is_history(name):
                siblings = [other for other in self.configs if self.lies_in(other, self.parents[name] or "")]
                candidates = [other for other in siblings if not self.is_history(other)]
                if self.chance(40):
                    config["target"] = f"#{self.chooser.choice(candidates)}"
                continue
            if "states" in config and config.get("type") != "parallel":
                config["initial"] = f"#{self.chooser.choice(below)}"
            if self.chance(40):
                config["entry"] = self.actions(name, "in")
            if self.chance(40):
                config["exit"] = self.actions(name, "out")
            if config.get("type") != "final":
                self.transitions(name, config)

    def transitions(self, name: str, config: Config) -> None:
        descriptors = [*DESCRIPTORS, f"done.state.{name}"]
        on: dict[str, list[Config]] = {}
        for _ in range(self.chooser.randint(0, 3)):
            descriptor = self.chooser.choice(descriptors)
            on.setdefault(descriptor, []).append(self.transition(name))
        if on:
            config["on"] = on
        if self.chance(12):
            config["always"] = [{**self.transition(name), "cond": self.chooser.choice(("zero:n", "event:A"))}]

    def transition(self, name: str) -> Config:
        found: Config = {}
        if self.chance(85):
            found["target"] = self.targets()
            if self.chance(35):
                found["internal"] = True
        if self.chance(30):
            found["actions"] = self.actions(name, "go")
        if self.chance(30):
            found["cond"] = self.chooser.choice(("zero:n", "no", "event:A"))
        if self.chance(15):
            active = [other for other in self.configs if not self.is_history(other)]
            found["in"] = f"#{self.chooser.choice(active)}"
        return found

    def targets(self) -> list[str]:
        """One target, or two that lie in different regions of a parallel state."""
        first, second = (self.chooser.choice(list(self.configs)) for _ in range(2))
        if self.chance(70) or not self.in_different_regions(first, second):
            return [f"#{first}"]
        return [f"#{first}", f"#{second}"]

    def actions(self, name: str, label: str) -> list[str]:
        own = f"{name} {label}"
        choices = (own, own, own, own, own, "inc:n", "inc:n", "see:e", "send:X", "raise:R", "raise:S")
        return [self.chooser.choice(choices) for _ in range(self.chooser.randint(1, 2))]

    def is_history(self, name: str) -> bool:
        return self.configs[name].get("type") == "history"

    def path(self, name: str | None) -> list[str]:
        return [] if name is None else [*self.path(self.parents[name]), name]

    def lies_in(self, name: str, other: str) -> bool:
        return other in self.path(self.parents[name])

    def in_different_regions(self, one: str, other: str) -> bool:
        common = [name for name in self.path(one) if name in self.path(other)]
        if not common or one in common or other in common:
            return False
        meeting = common[-1]
        regions = [self.path(name)[len(common)] for name in (one, other)]
        return self.configs[meeting].get("type") == "parallel" and not any(map(self.is_history, regions))


def machine_and_events(chooser: Chooser) -> tuple[Config, list[str]]:
    """A legal machine of up to a few dozen states, and what happens to it."""
    drawing = Drawing(chooser)
    config = drawing.state(None, 0)
    drawing.finish()
    events = [chooser.choice(EVENTS) for _ in range(chooser.randint(1, 8))]
    return {**config, "context": {"n": 0}}, events


@st.composite
def machines_with_events(draw: st.DrawFn) -> tuple[Config, list[str]]:
    """The same as a strategy that finds small examples; slow."""
    return machine_and_events(Drawn(draw))
