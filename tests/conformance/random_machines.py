"""Hypothesis strategies: machines in the reference's config language, and events for them.

Every machine drawn here is legal. About half of the states have no actions, so that some events take the engine's quick
path and some do not.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Config = dict[str, Any]

EVENTS = ("A", "B", "x.y", "UNKNOWN")
DESCRIPTORS = ("A", "A", "B", "B", "x.*", "*", "R", "S", "xstate.init")


class Drawing:
    """The state of one draw: the states made so far, by id, with their parents."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.parents: dict[str, str | None] = {}
        self.configs: dict[str, Config] = {}

    def chance(self, percent: int) -> bool:
        return self.draw(st.integers(0, 99)) >= 100 - percent

    def state(self, parent: str | None, depth: int) -> Config:
        """A state and all below it; what refers to other states comes later, when all are known."""
        name = f"s{len(self.configs)}"
        config: Config = {"id": name}
        self.configs[name] = config
        self.parents[name] = parent
        kind = self.draw(st.sampled_from(("atomic", "compound", "compound", "parallel"))) if depth < 3 else "atomic"
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
        for index in range(self.draw(st.integers(1, 3))):
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
                    config["target"] = f"#{self.draw(st.sampled_from(candidates))}"
                continue
            if "states" in config and config.get("type") != "parallel":
                config["initial"] = f"#{self.draw(st.sampled_from(below))}"
            if self.chance(40):
                config["entry"] = self.actions(name, "in")
            if self.chance(40):
                config["exit"] = self.actions(name, "out")
            if config.get("type") != "final":
                self.transitions(name, config)

    def transitions(self, name: str, config: Config) -> None:
        descriptors = [*DESCRIPTORS, f"done.state.{name}"]
        on: dict[str, list[Config]] = {}
        for _ in range(self.draw(st.integers(0, 3))):
            descriptor = self.draw(st.sampled_from(descriptors))
            on.setdefault(descriptor, []).append(self.transition(name))
        if on:
            config["on"] = on
        if self.chance(12):
            config["always"] = [{**self.transition(name), "cond": self.draw(st.sampled_from(("zero:n", "event:A")))}]

    def transition(self, name: str) -> Config:
        found: Config = {}
        if self.chance(85):
            found["target"] = self.targets()
            if self.chance(35):
                found["internal"] = True
        if self.chance(30):
            found["actions"] = self.actions(name, "go")
        if self.chance(30):
            found["cond"] = self.draw(st.sampled_from(("zero:n", "no", "event:A")))
        if self.chance(15):
            active = [other for other in self.configs if not self.is_history(other)]
            found["in"] = f"#{self.draw(st.sampled_from(active))}"
        return found

    def targets(self) -> list[str]:
        """One target, or two that lie in different regions of a parallel state."""
        first, second = (self.draw(st.sampled_from(list(self.configs))) for _ in range(2))
        if self.chance(70) or not self.in_different_regions(first, second):
            return [f"#{first}"]
        return [f"#{first}", f"#{second}"]

    def actions(self, name: str, label: str) -> list[str]:
        own = f"{name} {label}"
        choices = (own, own, own, own, own, "inc:n", "inc:n", "see:e", "send:X", "raise:R", "raise:S")
        return self.draw(st.lists(st.sampled_from(choices), min_size=1, max_size=2))

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


@st.composite
def machines(draw: st.DrawFn) -> Config:
    """A legal machine of up to a few dozen states."""
    drawing = Drawing(draw)
    config = drawing.state(None, 0)
    drawing.finish()
    return {**config, "context": {"n": 0}}


def event_sequences() -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(EVENTS), min_size=1, max_size=8)
