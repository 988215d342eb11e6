"""Guards and their combinations."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.errors import EventFailed
from perdure.statechart import and_, choose, in_state, not_, or_
from perdure.statechart.guard import And, InState, Not
from tests.unit.statechart.playing import asked, defects, paths, play, value

YES = {"guards": {"yes": lambda: True, "no": lambda: False}}


def taken(cond: Any, **implementations: Any) -> bool:
    config = {
        "initial": "a",
        "context": {"n": 2},
        "states": {"a": {"on": {"GO": {"target": "b", "cond": cond}}}, "b": {}},
    }
    return bool(value(config, {"type": "GO", "k": 3}, **implementations) == "b")


@pytest.mark.parametrize(
    ("cond", "holds"),
    [
        ("yes", True),
        (and_("yes", "yes"), True),
        (and_("yes", "no"), False),
        (and_(), True),
        (or_("no", "yes"), True),
        (or_("no", "no"), False),
        (or_(), False),
        (not_("no"), True),
        (not_(and_("yes", or_("no", "yes"))), False),
        (lambda: True, True),
        (lambda context: context["n"] == 2, True),
        (lambda context, event: event["k"] == 3, True),
        (lambda context, event, meta: meta.snapshot.value == "a", True),
        ({"type": "yes"}, True),
    ],
)
def test_a_guard_decides(cond: Any, holds: bool) -> None:
    assert taken(cond, **YES) is holds


def test_combinations_stop_at_the_first_answer() -> None:
    def never() -> bool:
        raise AssertionError("asked for nothing")

    assert taken(or_("yes", never), **YES)
    assert not taken(and_("no", never), **YES)


def test_a_guard_sees_its_parameters_through_every_reference() -> None:
    seen: list[Any] = []

    def note(context: Any, event: Any, meta: Any) -> bool:
        seen.append(meta.params)
        return True

    guards = {"note": note, "alias": "note", "part": and_("note"), "preset": {"type": "note", "a": 0, "z": 9}}
    for cond in (
        "note",
        {"type": "note", "a": 1},
        {"type": "alias", "a": 2},
        {"type": "part", "a": 3},
        {"type": "preset", "a": 4},
    ):
        assert taken(cond, guards=guards)
    assert seen == [None, {"a": 1}, {"a": 2}, {"a": 3}, {"a": 4, "z": 9}]


def test_a_guard_that_raises_fails_the_event_and_names_its_place() -> None:
    with pytest.raises(EventFailed, match=r"\$\.states\.a\.on\.GO\.cond raised KeyError"):
        taken(lambda context: context["missing"])


def test_a_guard_that_regions_share_is_asked_once() -> None:
    calls: list[int] = []
    region = {"initial": "x", "states": {"x": {}}}
    config = {
        "type": "parallel",
        "states": {"one": region, "two": region},
        "on": {"GO": {"cond": lambda: calls.append(1)}},
    }
    play(config, "GO")
    assert calls == [1]


REGIONS: dict[str, Any] = {
    "type": "parallel",
    "states": {
        "one": {"initial": "x", "states": {"x": {"on": {"A": "y"}}, "y": {"id": "why"}}},
        "two": {"initial": "x", "states": {"x": {"on": {"GO": "y"}}, "y": {}}},
    },
}  # fmt: skip


@pytest.mark.parametrize("state", ["#why", "one.y", {"one": "y"}, {"one": {"y": {}}}, {"one": "y", "two": "x"}])
def test_in_state_asks_for_an_id_a_path_or_a_state_value(state: Any) -> None:
    states = {**REGIONS["states"]}
    states["two"] = {"initial": "x", "states": {"x": {"on": {"GO": {"target": "y", "cond": in_state(state)}}}, "y": {}}}
    config = {**REGIONS, "states": states}
    assert value(config, "GO") == {"one": "x", "two": "x"}
    assert value(config, "A", "GO") == {"one": "y", "two": "y"}


@pytest.mark.parametrize("state", ["#why", "one.y", {"one": "y"}])
def test_in_is_an_id_or_read_from_the_grandparent(state: Any) -> None:
    states = {**REGIONS["states"]}
    states["two"] = {"initial": "x", "states": {"x": {"on": {"GO": {"target": "y", "in": state}}}, "y": {}}}
    config = {"initial": "p", "states": {"p": {**REGIONS, "states": states}}}
    assert value(config, "GO") == {"p": {"one": "x", "two": "x"}}
    assert value(config, "A", "GO") == {"p": {"one": "y", "two": "y"}}


def test_in_and_cond_must_both_hold() -> None:
    def config(cond: str) -> dict[str, Any]:
        return {"initial": "a", "states": {"a": {"on": {"GO": {"target": "b", "in": "a", "cond": cond}}}, "b": {}}}

    assert value(config("yes"), "GO", **YES) == "b"
    assert value(config("no"), "GO", **YES) == "a"


def test_in_a_choose_a_guard_sees_the_new_context() -> None:
    branches: list[dict[str, Any]] = [{"cond": in_state("b"), "actions": "in b"}, {"actions": "not yet"}]
    config = {
        "initial": "a",
        "states": {"a": {"on": {"GO": "b"}, "exit": choose(branches)}, "b": {"entry": choose(branches)}},
    }
    assert asked(play(config, "GO")) == ["not yet", "in b"]


@pytest.mark.parametrize(
    "cond",
    [
        5,
        ["yes"],
        {},
        "unknown",
        Not(None),
        And(("yes", None)),
        InState("nowhere"),
        InState({"a": {"q": {}}}),
        InState({5: "a"}),
        InState(5),
        InState({"a": 5}),
        InState("#no"),
        InState("h"),
        lambda a, b, c, d: True,
    ],
)
def test_what_is_no_guard_is_a_defect(cond: Any) -> None:
    states = {"a": {"on": {"GO": {"target": "b", "cond": cond}}}, "b": {}, "h": {"type": "history"}}
    found = defects({"id": "m", "initial": "a", "states": states}, **YES)
    assert paths(found) == ["$.states.a.on.GO.cond"]


def test_an_async_guard_is_a_defect_since_it_would_always_hold() -> None:
    async def later() -> bool:
        return False

    found = defects({"initial": "a", "states": {"a": {"on": {"GO": {"target": "a", "cond": later}}}}})
    assert "cannot be async" in str(found[0])


def test_guards_that_refer_to_one_another_in_a_circle_are_a_defect() -> None:
    config = {"initial": "a", "states": {"a": {"on": {"GO": {"target": "a", "cond": "one"}}}}}
    found = defects(config, guards={"one": "two", "two": and_("one", "one"), "three": None})
    assert "in a circle" in str(found[0])
    config = {"initial": "a", "states": {"a": {"on": {"GO": {"target": "a", "cond": "three"}}}}}
    assert "by nothing" in str(defects(config, guards={"three": None})[0])
