"""What a machine answers about snapshots, and machines made from others."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from perdure.errors import InvalidParameter, MachineConfigError, SnapshotMismatch
from perdure.statechart import assign, create_machine, encode_snapshot, initial, persistent, stop, transition
from tests.unit.statechart.playing import machine, play

PLAYER: dict[str, Any] = {
    "initial": "idle",
    "context": {"n": 0},
    "on": {"RESET": {"target": "#m", "cond": lambda context: context["n"] > 0}, "NOTHING": {}},
    "meta": {"all": True},
    "states": {
        "idle": {"on": {"PLAY": "on", "COUNT": {"actions": assign(n=lambda context: context["n"] + 1)}}},
        "on": {
            "tags": ["busy"],
            "meta": {"title": "playing"},
            "type": "parallel",
            "states": {
                "sound": {
                    "initial": "loud",
                    "states": {"loud": {}, "quiet": {"tags": "soft"}, "h": {"type": "history"}},
                },
                "light": {"after": {"10": {"actions": "blink"}}, "on": {"PLAY": None}},
            },
            "on": {"STOP": "end"},
        },
        "end": {"type": "final", "data": {"n": 1}},
    },
}


# -- where it stands -----------------------------------------------------------------------------


def test_the_initial_snapshot_is_where_a_new_actor_stands() -> None:
    built = machine(PLAYER)
    assert built.initial_snapshot == initial(built).snapshot


def test_a_machine_tells_where_an_event_leads_from_a_snapshot_or_a_state_value() -> None:
    built = machine(PLAYER)
    counted = built.transition(built.initial_snapshot, "COUNT")
    assert (counted.value, counted.context) == ("idle", {"n": 1})
    assert built.transition("idle", "PLAY").value == {"on": {"sound": "loud", "light": {}}}
    assert built.transition("on.sound.quiet", {"type": "STOP"}).value == "end"


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (None, "idle"),
        ("end", "end"),
        ("on", {"on": {"sound": "loud", "light": {}}}),
        ("on.sound.quiet", {"on": {"sound": "quiet", "light": {}}}),
        (["on", "sound", "quiet"], {"on": {"sound": "quiet", "light": {}}}),
        ({"on": "light"}, {"on": {"sound": "loud", "light": {}}}),
        ({"on": {"light": {}, "sound": {"quiet": {}}}}, {"on": {"sound": "quiet", "light": {}}}),
        ({}, "idle"),
    ],
)
def test_a_state_value_is_resolved_by_adding_initial_states(wanted: Any, value: Any) -> None:
    built = machine(PLAYER)
    snapshot = built.resolve(wanted)
    assert snapshot.value == value
    assert snapshot.context == {"n": 0}
    assert transition(built, snapshot, "NOTHING").snapshot == snapshot


def test_a_resolved_snapshot_has_tags_and_the_given_context_and_knows_when_it_is_at_the_end() -> None:
    built = machine(PLAYER)
    snapshot = built.resolve("on.sound.quiet", {"n": 5})
    assert (snapshot.tags, snapshot.context, snapshot.status) == (("busy", "soft"), {"n": 5}, "active")
    assert (built.resolve("end").status, built.resolve("end").output) == ("done", None)


def test_a_key_that_contains_the_delimiter_is_resolved_whole() -> None:
    built = machine({"initial": "1.5", "states": {"1.5": {}, "2": {}}})
    assert built.resolve("1.5").value == "1.5"
    assert built.resolve(r"1\.5").value == "1.5"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("onn", r"'onn' is no state of 'm' that can be active. Did you mean 'on'\?"),
        ("on.sound.h", r"'h' is no state of 'm.on.sound' that can be active"),
        ("idle.x", r"'x' is no state of 'm.idle' that can be active. There are none"),
        ({"idle": {}, "on": {}}, r"\['idle', 'on'\] cannot be active at the same time in 'm'"),
        ({"on": 5}, r"a state value is a key or an object of keys, not 5"),
    ],
)
def test_what_is_no_state_value_of_the_machine_is_refused(wanted: Any, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        machine(PLAYER).resolve(wanted)


def test_a_context_that_is_no_object_is_refused() -> None:
    with pytest.raises(InvalidParameter, match="a context is an object, not int"):
        machine(PLAYER).resolve("idle", 5)


# -- what it allows ------------------------------------------------------------------------------


def test_can_asks_whether_an_event_would_do_anything() -> None:
    built = machine(PLAYER)
    idle = built.initial_snapshot
    assert built.can(idle, "PLAY")
    assert built.can(idle, {"type": "COUNT"})
    assert not built.can(idle, "STOP")
    assert not built.can(idle, "RESET")
    assert built.can(built.transition(idle, "COUNT"), "RESET")
    assert not built.can(idle, "NOTHING")
    assert not built.can(built.transition("on", "STOP"), "RESET")


def test_can_refuses_what_is_no_event() -> None:
    built = machine(PLAYER)
    with pytest.raises(InvalidParameter):
        built.can(built.initial_snapshot, {"kind": "PLAY"})


def test_next_events_are_those_of_all_active_states_but_forbidden_ones() -> None:
    built = machine(PLAYER)
    assert built.next_events(built.initial_snapshot) == ("RESET", "PLAY", "COUNT")
    assert built.next_events(built.resolve("on")) == ("RESET", "STOP", "xstate.after(10)#m.on.light")
    assert built.next_events(built.resolve("end")) == ()


def test_meta_is_that_of_the_active_states_by_id() -> None:
    built = machine(PLAYER)
    assert built.meta(built.initial_snapshot) == {"m": {"all": True}}
    assert built.meta(built.resolve("on")) == {"m": {"all": True}, "m.on": {"title": "playing"}}


# -- restoring -----------------------------------------------------------------------------------

WORKING: dict[str, Any] = {
    "initial": "p",
    "states": {
        "p": {
            "initial": "x",
            "invoke": [{"id": "kid", "src": "work"}, {"id": "far", "src": persistent("other", name="o")}],
            "states": {"x": {"on": {"NEXT": "y"}}, "y": {}, "h": {"type": "history"}},
            "on": {"OUT": "q"},
        },
        "q": {"on": {"BACK": "p.h"}},
    },
}
SERVICES = {"work": lambda: None}


def test_a_snapshot_is_restored_from_its_json_with_the_same_future() -> None:
    built = machine(WORKING, services=SERVICES)
    snapshot = play(built, "NEXT", "OUT", "BACK").snapshot
    assert built.restore(encode_snapshot(snapshot)) == snapshot
    assert built.restore(encode_snapshot(snapshot).decode()) == snapshot


def test_a_restored_snapshot_goes_by_the_ids_of_its_states_and_has_todays_keys_and_tags() -> None:
    before = machine({"initial": "old", "states": {"old": {"id": "it", "tags": "a"}}})
    now = machine({"initial": "new", "states": {"new": {"id": "it", "tags": "b"}}})
    restored = now.restore(encode_snapshot(before.initial_snapshot))
    assert (restored.value, restored.tags) == ("new", ("b",))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "the snapshot has format 2, this release reads format 1"),
        ({"machine": "other"}, "the snapshot is of machine 'other', not of 'm'"),
        ({"configuration": ["m.p.z"]}, "machine 'm' has no atomic or final state with the id 'm.p.z'"),
        ({"configuration": []}, r"\[\] is no configuration of machine 'm'"),
        ({"history": {"m.p.g": ["m.p.x"]}}, "machine 'm' has no history state with the id 'm.p.g'"),
        ({"history": {"m.q": ["m.p.x"]}}, "machine 'm' has no history state with the id 'm.q'"),
        ({"history": {"m.p.h": ["m.q"]}}, r"cannot have recorded \['m.q'\] for history state 'm.p.h'"),
        (
            {"children": {"kid": {"id": "kid", "source": "gone", "session": 1}}},
            "machine 'm' has no service 'gone', which 'kid' runs",
        ),
        (
            {"children": {"kid": {"id": "kid", "source": "work", "session": 1, "state": "m.z"}}},
            "machine 'm' has no state 'm.z', which runs 'kid'",
        ),
    ],
)
def test_a_snapshot_that_does_not_fit_the_machine_is_refused_saying_why(change: dict[str, Any], message: str) -> None:
    built = machine(WORKING, services=SERVICES)
    written = json.loads(encode_snapshot(play(built, "NEXT").snapshot)) | change
    with pytest.raises(SnapshotMismatch, match=message):
        built.restore(json.dumps(written))


# -- the same machine with other parts -----------------------------------------------------------


def test_with_config_replaces_some_implementations_and_keeps_the_others() -> None:
    config = {
        "id": "m",
        "initial": "a",
        "states": {
            "a": {"on": {"GO": {"target": "b", "cond": "may"}}},
            "b": {"entry": "say", "invoke": {"src": "work"}},
        },
    }
    given: dict[str, Any] = {"actions": {"say": assign(said="first")}, "guards": {"may": lambda: False}}
    first = create_machine(config, **given, services=SERVICES, max_microsteps=7)
    second = first.with_config(guards={"may": lambda: True}, services={"work": print}, delays={"soon": 1})
    assert first.transition("a", "GO").value == "a"
    after = second.transition("a", "GO")
    assert (after.value, after.context) == ("b", {"said": "first"})
    assert second.services == {"work": print}
    assert (second.max_microsteps, second.id) == (7, "m")
    third = second.with_config(actions={"say": assign(said="third")})
    assert third.transition("a", "GO").context == {"said": "third"}


def test_with_config_finds_what_is_wrong_with_the_new_parts() -> None:
    with pytest.raises(MachineConfigError) as caught:
        machine(PLAYER).with_config(guards=5)  # type: ignore[arg-type]  # that is the point
    assert [defect.path for defect in caught.value.defects] == ["guards"]


def test_with_context_replaces_the_initial_context() -> None:
    built = machine({**PLAYER, "context": {"n": 0, "other": True}}).with_context({"n": 3})
    assert built.initial_snapshot.context == {"n": 3}
    assert machine(PLAYER).with_context(lambda: {"n": 4}).initial_snapshot.context == {"n": 4}
    with pytest.raises(MachineConfigError):
        machine(PLAYER).with_context(5)


# -- typed machines ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    n: int = 0


def test_a_typed_machine_resolves_restores_and_changes_with_its_types() -> None:
    config = {
        "id": "m",
        "context": Count(1),
        "on": {"GO": {"cond": lambda context: context.n > 1, "actions": stop("x")}},
    }
    built = create_machine(config)
    assert built.resolve().context == Count(1)
    assert built.resolve(None, Count(2)).context == Count(2)
    assert built.restore(encode_snapshot(built.resolve(None, Count(3)))).context == Count(3)
    assert not built.can(built.initial_snapshot, "GO")
    assert built.can(built.resolve(None, Count(2)), "GO")
    assert built.with_context(Count(5)).initial_snapshot.context == Count(5)
    broken = json.loads(encode_snapshot(built.initial_snapshot)) | {"context": {"n": "many"}}
    with pytest.raises(SnapshotMismatch, match="does not fit"):
        built.restore(json.dumps(broken))
