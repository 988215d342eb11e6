"""How a typed context is declared, and what a new actor begins with."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import msgspec
import pydantic
import pytest

from perdure.errors import EventFailed, InvalidParameter
from perdure.statechart import create_machine, initial
from perdure.statechart.xstate_export import export_xstate
from tests.unit.statechart.playing import defects


@dataclass(frozen=True)
class Data:
    items: list[str] = field(default_factory=list)
    total: float = 0.0


class Struct(msgspec.Struct, frozen=True):
    items: list[str] = []
    total: float = 0.0


class Model(pydantic.BaseModel, frozen=True):
    items: list[str] = []
    total: float = 0.0


@dataclass(frozen=True)
class Owned:
    owner: str
    total: float = 0.0


def make() -> Data:
    return Data(["made"])


def make_plain() -> dict[str, Any]:
    return {"items": ["made"]}


every_kind = pytest.mark.parametrize("kind", [Data, Struct, Model])


def first(context: Any, given: Any = None, **options: Any) -> Any:
    """What a new actor's context is."""
    return initial(create_machine({"context": context}, **options), given).snapshot.context


@every_kind
def test_a_class_a_value_and_a_callable_declare_the_context(kind: Any) -> None:
    value = kind(items=["a"])
    assert first(kind) == kind()
    assert first(value) == value
    assert first(lambda: value) == value
    assert first(partial(kind, items=["a"])) == value
    assert first({"items": ["a"]}, context_type=kind) == value
    assert first(lambda: {"items": ["a"]}, context_type=kind) == value
    assert first(None, context_type=kind) == kind()
    assert first(kind, context_type=kind) == kind()


@every_kind
def test_actors_share_nothing_of_a_value(kind: Any) -> None:
    value = kind(items=["a"])
    one, two = first(value), first(value)
    assert one == two == value
    assert one.items is not two.items
    assert one.items is not value.items


@every_kind
def test_given_json_is_merged_over_the_machines_own_before_it_is_read(kind: Any) -> None:
    assert first(kind(items=["a"], total=1.0), {"total": 2}) == kind(items=["a"], total=2.0)
    assert first(lambda: kind(items=["a"]), {"total": 2}) == kind(items=["a"], total=2.0)
    assert first(kind, {"items": ["b"]}) == kind(items=["b"])


@every_kind
def test_a_context_may_be_given_as_a_value(kind: Any) -> None:
    assert first(kind(items=["a"]), kind(total=2.0)) == kind(items=[], total=2.0)


@every_kind
def test_a_given_context_that_does_not_fit_is_refused_with_its_place(kind: Any) -> None:
    with pytest.raises(
        InvalidParameter, match=rf"does not fit machine '\(machine\)': it is no {kind.__name__}: .*total"
    ) as error:
        first(kind, {"total": "much"})
    assert error.value.parameter == "context"


def test_a_field_without_default_is_given_by_each_creator() -> None:
    assert first(Owned, {"owner": "me"}) == Owned("me")
    with pytest.raises(InvalidParameter, match="missing required field `owner`"):
        first(Owned)


def test_a_dict_stays_a_dict() -> None:
    assert first({"n": 1}, {"m": 2}) == {"n": 1, "m": 2}
    assert first({"n": 1}, context_type=dict) == {"n": 1}
    assert first(None, context_type=dict) == {}
    assert first(make_plain) == {"items": ["made"]}
    assert create_machine({"context": {"n": 1}}).schemas is None


def test_what_a_callable_makes_is_read_from_its_annotation_without_calling_it() -> None:
    calls: list[int] = []

    def counted() -> Data:
        calls.append(1)
        return Data()

    machine = create_machine({"context": counted})
    assert calls == []
    assert initial(machine).snapshot.context == Data()
    assert first(make) == Data(["made"])


def test_a_callable_that_makes_something_else_than_it_says_fails_the_start() -> None:
    def wrong() -> Data:
        return 5  # type: ignore[return-value]

    with pytest.raises(EventFailed, match=r"the context at \$\.context must be a Data, not 5"):
        first(wrong)


def test_a_callable_whose_value_is_not_known_when_the_machine_is_built_makes_a_dict() -> None:
    made: list[Any] = [ValueError("not yet")]

    def later():  # type: ignore[no-untyped-def]
        if isinstance(made[0], Exception):
            raise made[0]
        return made[0]

    machine = create_machine({"context": later})
    made[0] = {"n": 1}
    assert initial(machine).snapshot.context == {"n": 1}
    made[0] = Data()
    with pytest.raises(EventFailed, match="must be a mapping"):
        initial(machine)


@pytest.mark.parametrize(
    ("context", "declared", "path", "words"),
    [
        ({"total": "much"}, Data, "$.context", "does not fit: it is no Data: Expected `float`"),
        ({}, Owned, "$.context", "missing required field `owner`"),
        (Data(total="much"), None, "$.context", "does not fit"),  # type: ignore[arg-type]
        (Data, Struct, "$.context", "another class"),
        (Data(), Struct, "$.context", "Give a Struct"),
        (5, Data, "$.context", "Give a Data"),
        ({}, 5, "context_type", "5 is no dataclass, msgspec Struct or pydantic model"),
        (None, int, "context_type", "no dataclass"),
        (Data, dict, "$.context", "another class"),
    ],
)
def test_a_context_that_cannot_be_is_a_defect(context: Any, declared: Any, path: str, words: str) -> None:
    (defect,) = defects({"context": context}, context_type=declared)
    assert defect.path == path
    assert words in str(defect)


def test_a_callable_context_that_wants_arguments_is_a_defect_in_a_typed_machine_too() -> None:
    (defect,) = defects({"context": lambda machine: Data()}, context_type=Data)
    assert "takes no arguments" in str(defect)


def test_a_callable_that_cannot_be_called_is_a_defect() -> None:
    async def wrong() -> Data:
        return Data()

    (defect,) = defects({"context": wrong})
    assert "cannot be async" in str(defect)


@pytest.mark.parametrize(
    ("events", "path", "words"),
    [
        ([Data], "events", "Give a dict of classes by event type"),
        ({"add": 5}, "events.add", "5 is no dataclass"),
        ({"a b": int}, 'events["a b"]', "no dataclass"),
    ],
)
def test_events_that_cannot_be_are_defects(events: Any, path: str, words: str) -> None:
    (defect,) = defects({}, events=events)
    assert defect.path == path
    assert words in str(defect)


@pytest.mark.parametrize("context", [Data(["a"]), lambda: Data(["a"])])
def test_an_export_has_the_context_as_json(context: Any) -> None:
    assert export_xstate(create_machine({"context": context})).config["context"] == {"items": ["a"], "total": 0.0}


def test_an_export_of_a_class_has_its_defaults() -> None:
    assert export_xstate(create_machine({"context": Data})).config["context"] == {"items": [], "total": 0.0}
