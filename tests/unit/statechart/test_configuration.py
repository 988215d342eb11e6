"""Configurations: values, restoring, and the cache that they live in."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from perdure.errors import SnapshotMismatch
from perdure.statechart import configuration, create_machine, initial, transition
from tests.unit.statechart.playing import machine, value

Config = dict[str, Any]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, {}),
        ({"initial": "a", "states": {"a": {}}}, "a"),
        ({"initial": "a", "states": {"a": {"initial": "b", "states": {"b": {}}}}}, {"a": "b"}),
        ({"type": "parallel", "states": {"a": {}}}, {"a": {}}),
        ({"type": "parallel", "states": {"b": {}, "a": {"initial": "x", "states": {"x": {}}}}}, {"b": {}, "a": "x"}),
        ({"initial": "p", "states": {"p": {"type": "parallel", "states": {"a": {}}}}}, {"p": {"a": {}}}),
    ],
)
def test_the_value_has_xstates_nested_form(config: Config, expected: Any) -> None:
    assert value(config) == expected


def test_regions_keep_the_order_of_the_document() -> None:
    regions = {name: {"initial": "x", "states": {"x": {"on": {name: "y"}}, "y": {}}} for name in ("b", "a", "10", "2")}
    assert list(value({"type": "parallel", "states": regions}, "2", "a")) == ["b", "a", "10", "2"]


@pytest.mark.parametrize(
    "leaves",
    [
        (),
        ("m.nowhere",),
        ("m.p",),
        ("m.p.one.x",),
        ("m.p.one.x", "m.p.one.y", "m.p.two"),
        ("m.q", "m.p.one.x", "m.p.two"),
        ("m.p.h",),
    ],
)
def test_leaves_that_are_no_configuration_are_refused(leaves: tuple[str, ...]) -> None:
    regions = {"one": {"initial": "x", "states": {"x": {}, "y": {}}}, "two": {}, "h": {"type": "history"}}
    built = machine({"initial": "q", "states": {"p": {"type": "parallel", "states": regions}, "q": {}}})
    snapshot = msgspec.structs.replace(initial(built).snapshot, configuration=leaves)
    with pytest.raises(SnapshotMismatch, match="m"):
        transition(built, snapshot, "GO")


def test_a_snapshot_goes_on_in_a_machine_built_again() -> None:
    config = {"id": "m", "initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {"on": {"GO": "a"}}}}
    snapshot = transition(create_machine(config), initial(create_machine(config)).snapshot, "GO").snapshot
    assert transition(create_machine(config), snapshot, "GO").snapshot.value == "a"


def test_equal_configurations_are_one_object() -> None:
    built = machine({"initial": "a", "states": {"a": {"on": {"GO": "b"}}, "b": {"on": {"GO": "a"}}}})
    snapshot = initial(built).snapshot
    before = built.configurations[snapshot.configuration]
    for _ in range(2):
        snapshot = transition(built, snapshot, "GO").snapshot
    assert built.configurations[snapshot.configuration] is before
    assert repr(before) == "<Configuration 'a'>"


def test_a_full_cache_starts_afresh_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "CACHE_LIMIT", 40)
    states: Config = {f"s{i}": {"on": {"GO": f"s{(i + 1) % 50}", "x.*": f"s{i}"}} for i in range(50)}
    built = machine({"initial": "s0", "states": states})
    snapshot = initial(built).snapshot
    for i in range(200):
        snapshot = transition(built, snapshot, "GO").snapshot
        assert snapshot.value == f"s{(i + 1) % 50}"
        assert not transition(built, snapshot, f"x.{i}").changed
        assert not transition(built, snapshot, f"{i:0500}").changed
        assert built.cached <= 40
        assert len(built.configurations) <= 20
