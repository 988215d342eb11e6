"""JSON values: which of those that Python takes for equal are not the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from perdure.json_value import says_the_same


@dataclass(frozen=True)
class Thing:
    of: Any


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, -0.0, "text", [1, [2]], (1, "a"), {"a": {"b": [None]}}, Thing(1)]
)
def test_a_value_says_the_same_as_its_equal(value: Any) -> None:
    other = Thing(value.of) if isinstance(value, Thing) else eval(repr(value))
    assert says_the_same(value, other)
    assert says_the_same([value], [other])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (1, 1.0),
        (0.0, -0.0),
        ({"a": [0]}, {"a": [False]}),
        ((1,), (True,)),
        (Thing(1), Thing(True)),
    ],
)
def test_what_python_takes_for_equal_may_say_something_else(one: Any, other: Any) -> None:
    assert one == other
    assert not says_the_same(one, other)
    assert not says_the_same({"in": [one]}, {"in": [other]})


def test_equal_objects_that_are_no_json_say_the_same() -> None:
    assert says_the_same(Thing(1j), Thing(complex(0, 1)))
    assert says_the_same(1j, complex(0, 1))
