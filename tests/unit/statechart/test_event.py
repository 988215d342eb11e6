"""Events and descriptors."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from perdure.errors import InvalidParameter
from perdure.statechart.event import descriptor_matches, descriptor_rank, to_event
from tests.unit.statechart.playing import value


@pytest.mark.parametrize(
    ("descriptor", "event_type", "matches"),
    [
        ("x", "x", True),
        ("x", "x.y", False),
        ("x.*", "x", True),
        ("x.*", "x.y", True),
        ("x.*", "x.y.z", True),
        ("x.*", "xy", False),
        ("*", "anything", True),
        ("*", "", False),
        ("", "", False),
        ("", "x", False),
    ],
)
def test_a_descriptor_matches_whole_tokens(descriptor: str, event_type: str, matches: bool) -> None:
    assert descriptor_matches(descriptor, event_type) is matches


def test_an_exact_descriptor_goes_first_then_the_longer_prefix_then_the_star() -> None:
    descriptors = ["*", "a.*", "a.b.*", "a.b"]
    assert sorted(descriptors, key=descriptor_rank) == ["a.b", "a.b.*", "a.*", "*"]


@pytest.mark.parametrize(
    ("event_type", "expected"), [("a", "exact"), ("a.b", "prefix"), ("a.b.c", "longer"), ("z", "star")]
)
def test_a_state_takes_its_most_specific_descriptor(event_type: str, expected: str) -> None:
    on = {"*": "star", "a.*": "prefix", "a.b.*": "longer", "a": "exact", "a.b": "prefix"}
    states: dict[str, Any] = {name: {} for name in ("star", "prefix", "longer", "exact")}
    assert value({"initial": "o", "states": {"o": {"on": on}, **states}}, event_type) == expected


def test_equal_descriptors_are_tried_in_the_order_of_the_config() -> None:
    on = [{"event": "GO", "target": "b"}, {"event": "GO", "target": "c"}]
    assert value({"initial": "a", "states": {"a": {"on": on}, "b": {}, "c": {}}}, "GO") == "b"


def test_a_star_takes_events_that_the_machine_raises_itself() -> None:
    states = {"a": {"initial": "x", "on": {"*": "b"}, "states": {"x": {"on": {"GO": "f"}}, "f": {"type": "final"}}}}
    assert value({"initial": "a", "states": {**states, "b": {}}}, "GO") == "b"


def test_an_event_is_copied_so_that_its_sender_may_go_on_with_it() -> None:
    given = {"type": "A", "n": 1}
    assert to_event(given) == given
    assert to_event(given) is not given
    assert to_event("A") == {"type": "A"}
    assert type(to_event(MappingProxyType(given))) is dict


@pytest.mark.parametrize("wrong", ["", {}, {"type": ""}, {"type": 5}, None, 5, ["A"]])
def test_what_has_no_type_is_no_event(wrong: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        to_event(wrong)
    assert caught.value.parameter == "event"
