"""Callables of zero to three parameters."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from perdure.errors import EventFailed, InvalidState
from perdure.statechart.callables import Meta, accepted_parameters, call_with, can_take, known_parameters, uniform


class Asked:
    def meta(self, params: Any) -> Meta:
        return Meta(snapshot=None, params=params)


def test_a_function_gets_as_many_of_context_event_and_meta_as_it_takes() -> None:
    event = {"type": "A"}
    assert uniform(lambda: 0, "f")("c", event, Asked()) == 0
    assert uniform(lambda context: context, "f")("c", event, Asked()) == "c"
    assert uniform(lambda context, event: event, "f")("c", event, Asked()) == event
    assert uniform(lambda context, event, meta: meta.params, "f", {"k": 1})("c", event, Asked()) == {"k": 1}


def test_call_with_passes_the_same_parameters() -> None:
    assert call_with(lambda: 0, 0, "c", {}, "m") == 0
    assert call_with(lambda c: c, 1, "c", {}, "m") == "c"
    assert call_with(lambda c, e: e, 2, "c", {"type": "A"}, "m") == {"type": "A"}
    assert call_with(lambda c, e, m: m, 3, "c", {}, "m") == "m"


def test_defaults_and_keywords_do_not_count_and_a_star_takes_all_three() -> None:
    assert accepted_parameters(lambda context, factor=2, **more: None) == 1
    assert accepted_parameters(lambda *all: None) == 3
    assert accepted_parameters(functools.partial(lambda a, b, c: None, 1)) == 2


def test_a_builtin_that_hides_its_signature_gets_context_and_event() -> None:
    assert accepted_parameters(max) == 2


def test_more_than_three_parameters_or_a_needed_keyword_cannot_be_called() -> None:
    with pytest.raises(TypeError, match="needs 4 arguments"):
        accepted_parameters(lambda a, b, c, d: None)

    def needs_keyword(context: Any, *, key: int) -> None: ...

    with pytest.raises(TypeError, match="'key'"):
        accepted_parameters(needs_keyword)


def test_how_many_arguments_a_function_can_take_is_read_from_its_signature() -> None:
    assert can_take(lambda path, context: None, 2)
    assert can_take(lambda *all, more=1: None, 2)
    assert not can_take(lambda path: None, 2)
    assert not can_take(lambda path, context, more: None, 2)
    assert can_take(max, 7)  # it hides its signature


@pytest.mark.parametrize("parameters", [0, 1, 2, 3])
def test_what_a_function_raises_becomes_event_failed_with_its_place(parameters: int) -> None:
    functions: list[Any] = [
        lambda: 1 / 0,
        lambda context: 1 / 0,
        lambda context, event: 1 / 0,
        lambda context, event, meta: 1 / 0,
    ]
    with pytest.raises(EventFailed, match=r"the guard at \$\.x raised ZeroDivisionError") as caught:
        uniform(functions[parameters], "the guard at $.x")({}, {}, Asked())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_an_error_of_perdure_goes_through_as_it_is() -> None:
    def refuse() -> None:
        raise InvalidState("not now")

    with pytest.raises(InvalidState):
        uniform(refuse, "f")({}, {}, Asked())


def test_known_parameters_are_those_of_the_function_each_time_it_is_asked() -> None:
    def two(context: object, event: object) -> None: ...

    assert [known_parameters(two), known_parameters(two), known_parameters(lambda: None)] == [2, 2, 0]


def test_known_parameters_of_a_callable_that_cannot_be_a_key_are_read_each_time() -> None:
    class Unhashable:
        __hash__ = None  # type: ignore[assignment]  # as of a class that defines __eq__ alone

        def __call__(self, context: object) -> None: ...

    assert known_parameters(Unhashable()) == 1


def test_known_parameters_refuse_what_accepted_parameters_refuse() -> None:
    def needs_more(a: object, b: object, c: object, d: object) -> None: ...

    for _ in range(2):
        with pytest.raises(TypeError, match="it needs 4 arguments"):
            known_parameters(needs_more)
