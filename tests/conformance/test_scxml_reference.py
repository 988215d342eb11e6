"""The engine against the literal reference, on random machines: same configuration, context, actions in order, end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st

from perdure.errors import MicrostepLimitExceeded
from perdure.statechart import (
    Machine,
    Step,
    assign,
    create_machine,
    decode_snapshot,
    encode_snapshot,
    initial,
    raise_,
    send,
    transition,
)
from perdure.statechart.effect import Done, RunAction, Send
from tests.conformance.random_machines import Chooser, Config, machine_and_events, machines_with_events
from tests.conformance.scxml_reference import EndlessLoop, Reference

MAX_MICROSTEPS = 12
LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large]


@settings(max_examples=120, suppress_health_check=LARGE)
@given(machines_with_events())
def test_engine_agrees_with_the_specification(drawn: tuple[Config, list[str]]) -> None:
    compare(*drawn)


@pytest.mark.slow
@pytest.mark.timeout(900)
@settings(max_examples=3_000, phases=[Phase.generate])
@given(st.randoms(use_true_random=True))
def test_engine_agrees_with_the_specification_on_thousands_of_machines(chooser: Chooser) -> None:
    compare(*machine_and_events(chooser))


def compare(config: Config, events: list[str]) -> None:
    """Play the events on both, and on the engine a second time, when its caches are warm."""
    machine = build(config)
    for _ in range(2):
        reference = Reference(config, MAX_MICROSTEPS)
        try:
            reference.interpret()
        except EndlessLoop:
            with pytest.raises(MicrostepLimitExceeded):
                initial(machine)
            event("endless at the start")
            return
        step = initial(machine)
        same(step, reference)
        for event_type in events:
            try:
                reference.handle({"type": event_type})
            except EndlessLoop:
                with pytest.raises(MicrostepLimitExceeded):
                    transition(machine, step.snapshot, event_type)
                event("endless")
                break
            was_active = step.snapshot.status == "active"
            step = transition(machine, decode_snapshot(encode_snapshot(step.snapshot)), event_type)
            if was_active:
                same(step, reference)
                event("quick" if not step.effects else "with effects")


def same(step: Step, reference: Reference) -> None:
    assert list(step.snapshot.configuration) == reference.leaves
    assert step.snapshot.context == reference.context
    assert trace(step) == reference.trace
    assert step.snapshot.is_done is not reference.running
    assert step.snapshot.output == reference.output
    assert {name: set(states) for name, states in step.snapshot.history.items()} == {
        history.id: {state.id for state in states} for history, states in reference.history_value.items()
    }


def trace(step: Step) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for effect in step.effects:
        match effect:
            case RunAction():
                found.append((effect.action, effect.context, effect.event))
            case Send():
                found.append(("send", effect.event["type"]))
            case Done():
                assert effect is step.effects[-1]
            case _:
                raise AssertionError(f"no machine here asks for {effect}")
    return found


def build(config: Config) -> Machine:
    names = {name for state in all_states(config) for name in action_names(state)}
    guards: dict[str, Any] = {"no": lambda: False, "zero:n": lambda context: not context.get("n")}
    guards["event:A"] = lambda context, event: event["type"] == "A"
    actions = {name: implementation(name) for name in names}
    return create_machine(with_data(config), actions=actions, guards=guards, max_microsteps=MAX_MICROSTEPS)


def implementation(name: str) -> Any:
    word, _, key = name.partition(":")
    match word:
        case "raise":
            return raise_(key)
        case "send":
            return send(key)
        case "inc":
            return assign({key: lambda context: context.get(key, 0) + 1})
        case "see":
            return assign({key: lambda context, event: event["type"]})
    return lambda: None


def all_states(config: Config) -> list[Config]:
    return [config, *(state for child in config.get("states", {}).values() for state in all_states(child))]


def action_names(state: Config) -> list[str]:
    candidates = [*state.get("always", []), *(item for items in state.get("on", {}).values() for item in items)]
    return [
        *state.get("entry", []), *state.get("exit", []),
        *(action for candidate in candidates for action in candidate.get("actions", [])),
    ]  # fmt: skip


def with_data(config: Config) -> Config:
    """The machine as perdure takes it: data is a function of the context."""
    config = dict(config)
    if "data" in config:
        key = config["data"]
        config["data"] = lambda context: context.get(key)
    if "states" in config:
        config["states"] = {key: with_data(child) for key, child in config["states"].items()}
    return config
