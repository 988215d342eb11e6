"""``Types`` at run time: the classes it reads from its parameters, and what its methods return.

What type-checkers make of it is in tests/typing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Optional, TypeAlias, Union

import msgspec
import pydantic
import pytest

from perdure.errors import InvalidParameter
from perdure.statechart import Types, assign, initial, transition


@dataclass(frozen=True)
class Cart:
    total: float = 0.0


class Add(msgspec.Struct, frozen=True, tag="add"):
    price: float


class Pay(pydantic.BaseModel, frozen=True):
    type: ClassVar[str] = "pay"


class AlsoAdd(msgspec.Struct, tag="add"):
    pass


Events: TypeAlias = Add | Pay


@pytest.mark.parametrize(
    ("types", "events"),
    [
        (Types[Cart](), {}),
        (Types[Cart, Any](), {}),
        (Types[Cart, dict[str, Any]](), {}),
        (Types[Cart, Add](), {"add": Add}),
        (Types[Cart, Events](), {"add": Add, "pay": Pay}),
        (Types[Cart, Union[Add, Pay]](), {"add": Add, "pay": Pay}),  # noqa: UP007
        (Types[Cart, Optional[Add]](), {"add": Add}),  # noqa: UP045
        (Types[Cart, Add | dict[str, Any]](), {"add": Add}),
    ],
)
def test_the_events_are_the_classes_of_a_union_by_the_types_they_say(types: Any, events: Any) -> None:
    assert types.context is Cart
    assert types.events == events


def test_the_context_may_be_a_dict() -> None:
    types = Types[dict[str, Any], Add]()
    assert types.context is dict
    assert initial(types.create_machine({"context": {"n": 1}})).snapshot.context == {"n": 1}


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (int, "int'> is no dataclass, msgspec Struct, pydantic model or dict"),
        ((Cart, Cart), 'Cart\'> does not say its event type: give it type: ClassVar[str] = "…"'),
        ((Cart, "Add"), "does not say its event type"),
        ((Cart, Add | AlsoAdd), "Add and AlsoAdd say the same event type 'add'"),
    ],
)
def test_other_parameters_are_refused(parameters: Any, words: str) -> None:
    with pytest.raises(TypeError) as error:
        Types[parameters]
    assert words in str(error.value)


def test_types_without_parameters_are_refused() -> None:
    with pytest.raises(TypeError, match=r"say which types: Types\[Context, Event \| OtherEvent\]\(\)"):
        Types()


def test_a_machine_is_made_with_the_types() -> None:
    types = Types[Cart, Events]()
    machine = types.create_machine(
        {"id": "m", "on": {"add": {"cond": "isDear", "actions": ["add", "note"]}}},
        guards={"isDear": types.on(Add).guard(lambda cart, event: event.price > 1)},
        actions={
            "add": types.on(Add).assign(total=lambda cart, event: cart.total + event.price),
            "note": types.action(lambda cart: cart.total),
        },
        strict_events=True,
        max_microsteps=5,
    )
    snapshot = initial(machine).snapshot
    assert transition(machine, snapshot, Add(2.0)).snapshot.context == Cart(2.0)
    assert transition(machine, snapshot, Add(1.0)).snapshot.context == Cart()
    assert machine.max_microsteps == 5
    with pytest.raises(InvalidParameter, match="takes no event 'other'"):
        transition(machine, snapshot, "other")


def test_functions_come_back_as_they_are_and_assigners_as_assign_makes_them() -> None:
    types = Types[Cart, Events]()

    def function(cart: Cart) -> bool:
        return cart.total > 0

    assert types.guard(function) is types.action(function) is types.service(function) is types.expression(function)
    assert types.assign(total=5.0) == assign(total=5.0)
    assert types.assign(Cart) == assign(Cart)


def test_only_events_of_the_machine_can_be_handled() -> None:
    with pytest.raises(TypeError, match=r"AlsoAdd is none of the events \['add', 'pay'\]"):
        Types[Cart, Events]().on(AlsoAdd)
