"""State values: paths, what matches them, and their parts as strings."""

from __future__ import annotations

from typing import Any

import pytest

from perdure.statechart.state_value import split_path, value_matches, value_of_path, value_strings
from tests.unit.statechart.playing import play, value

NESTED = {"p": {"x": {}, "y": {"z": "end"}}}


@pytest.mark.parametrize(
    ("path", "delimiter", "keys"),
    [
        ("a", ".", ["a"]),
        ("a.b", ".", ["a", "b"]),
        ("a/b.c", "/", ["a", "b.c"]),
        (r"a.1\.5.b", ".", ["a", "1.5", "b"]),
        (r"a||1\||5", "||", ["a", "1||5"]),
    ],
)
def test_a_path_is_split_at_its_delimiters_but_not_at_escaped_ones(path: str, delimiter: str, keys: list[str]) -> None:
    assert split_path(path, delimiter) == keys


def test_the_value_of_a_path_nests_its_keys() -> None:
    assert value_of_path(["a"]) == "a"
    assert value_of_path(("a", "b", "c")) == {"a": {"b": "c"}}


@pytest.mark.parametrize(
    "wanted",
    ["p", "p.x", "p.y", "p.y.z", "p.y.z.end", ["p", "y", "z"], {"p": "x"}, {"p": {"x": {}, "y": "z"}}, NESTED, {}],
)
def test_a_value_matches_what_says_no_more_than_it(wanted: Any) -> None:
    assert value_matches(wanted, NESTED)


@pytest.mark.parametrize(
    "wanted",
    ["q", "x", "p.q", "p.y.end", ["p", "z"], {"p": {"y": {"z": {"end": {}}}}}, {"p": "x", "q": {}}, {"p": 5}, 5],
)
def test_a_value_does_not_match_what_says_anything_else(wanted: Any) -> None:
    assert not value_matches(wanted, NESTED)


def test_a_key_with_a_dot_matches_by_itself_and_when_it_is_escaped() -> None:
    assert value_matches("1.5", "1.5")
    assert value_matches(r"sizes.1\.5", {"sizes": "1.5"})
    assert not value_matches("sizes.1.5", {"sizes": "1.5"})


def test_the_strings_of_a_value_are_all_its_states_outer_ones_first() -> None:
    assert value_strings("a", ".") == ("a",)
    assert value_strings(NESTED, ".") == ("p", "p.x", "p.y", "p.y.z", "p.y.z.end")
    assert value_strings({"p": "x"}, "/") == ("p", "p/x")
    assert value_strings({}, ".") == ()


def test_a_value_nested_without_end_needs_no_stack() -> None:
    deep: Any = "leaf"
    for _ in range(5000):
        deep = {"k": deep}
    assert value_matches(deep, deep)
    assert len(value_strings(deep, "")) == 5001


def test_a_snapshot_answers_for_its_state() -> None:
    config = {
        "initial": "p",
        "states": {
            "p": {"initial": "x", "tags": "busy", "states": {"x": {"on": {"GO": "#m.end"}}}},
            "end": {"type": "final"},
        },
    }
    snapshot = play(config).snapshot
    assert snapshot.matches("p.x")
    assert not snapshot.matches("end")
    assert (snapshot.has_tag("busy"), snapshot.has_tag("idle")) == (True, False)
    assert snapshot.to_strings() == ("p", "p.x")
    assert snapshot.to_strings("/") == ("p", "p/x")
    assert not snapshot.done
    assert play(config, "GO").snapshot.done


def test_a_target_may_name_a_key_that_contains_the_delimiter() -> None:
    sizes = {"initial": "small", "states": {"small": {}, "1.5": {"initial": "in", "states": {"in": {}}}}}
    for target in ("1.5", r"1\.5", r"1\.5.in", r"#m.1\.5.in", r".1\.5"):
        config = {**sizes, "states": {**sizes["states"], "small": {"on": {"GO": target}}}, "on": {}}  # type: ignore[dict-item]
        if target.startswith("."):
            config = {**sizes, "on": {"GO": target}}
        assert value(config, "GO") == {"1.5": "in"}
