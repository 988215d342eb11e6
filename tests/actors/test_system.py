"""Looking at a system: addresses, its tree as a text, and the stream of what happens in it."""

from __future__ import annotations

from typing import Any

import pytest

from perdure import (
    EventFailed,
    assign,
    create_machine,
    from_callback,
    from_reducer,
    interpret,
    raise_,
    send_to,
    spawn,
)
from perdure.actors.inspection import ActorCreated, ActorEnded, EventSent, MicrostepTaken, SnapshotTaken
from tests.actors.machines import child, counter

FAMILY = create_machine(
    {
        "id": "family",
        "initial": "living",
        "context": {},
        "entry": assign(
            refs=lambda: [
                spawn(create_machine({"id": "son", "invoke": {"id": "grandson", "src": counter()}}), "son"),
                spawn(from_reducer(lambda state, event: state, 0), "dog"),
                spawn(from_callback(lambda send_back: None), "cat"),
            ]
        ),
        "states": {
            "living": {"on": {"GO": {"actions": send_to("dog", "BARK")}, "END": "over"}},
            "over": {"type": "final"},
        },
    }
)


def test_actors_are_found_by_path_by_reference_and_by_an_id_that_only_one_has() -> None:
    root = interpret(FAMILY).start()
    system = root.system
    grandson = system.get("family/son/grandson")
    assert grandson is not None
    assert grandson is system.get("grandson") is system.get(grandson.reference)
    assert grandson.reference == {"type": "perdure.actor", "id": "grandson", "path": "family/son/grandson"}
    assert system.get("family") is root
    assert system.get("nobody") is None
    assert system.get({"path": "grandson"}) is None


def test_an_id_that_several_have_finds_none_of_them() -> None:
    machine = create_machine({"id": "m", "invoke": [{"id": "x", "src": FAMILY}, {"id": "y", "src": FAMILY}]})
    root = interpret(machine).start()
    assert root.system.get("dog") is None
    assert root.system.get("m/x/dog") is not None


def test_the_actors_are_listed_in_the_order_of_their_starts() -> None:
    root = interpret(FAMILY).start()
    paths = ["family", "family/son", "family/dog", "family/cat", "family/son/grandson"]
    assert [actor.path for actor in root.system.actors()] == [actor.path for actor in root.system] == paths


def test_the_tree_shows_each_actor_with_its_kind_and_where_it_stands() -> None:
    root = interpret(FAMILY).start()
    assert str(root.system) == (
        "family  machine  living\n"
        "├─ son  machine  {}\n"
        "│  └─ grandson  machine  counting\n"
        "├─ dog  reducer\n"
        "└─ cat  callback"
    )
    root.send("END")
    assert root.system.tree() == ""


def test_the_stream_tells_of_actors_events_and_snapshots_in_order() -> None:
    records: list[Any] = []
    root = interpret(FAMILY, inspect=records.append).start()
    assert [(record.path, record.kind, record.parent) for record in records if isinstance(record, ActorCreated)] == [
        ("family", "machine", None),
        ("family/son", "machine", "family"),
        ("family/dog", "reducer", "family"),
        ("family/cat", "callback", "family"),
        ("family/son/grandson", "machine", "family/son"),
    ]
    records.clear()
    root.send("GO")
    assert [
        (type(record).__name__, record.path, getattr(record, "sender", None), record.event["type"])
        for record in records
    ] == [
        ("EventSent", "family", None, "GO"),
        ("MicrostepTaken", "family", None, "GO"),
        ("SnapshotTaken", "family", None, "GO"),
        ("EventSent", "family/dog", "family", "BARK"),
        ("SnapshotTaken", "family/dog", None, "BARK"),
    ]
    records.clear()
    root.stop()
    assert {record.path: record.status for record in records if isinstance(record, ActorEnded)} == {
        "family/son/grandson": "stopped",
        "family/cat": "stopped",
        "family/dog": "stopped",
        "family/son": "stopped",
        "family": "stopped",
    }


def test_the_stream_tells_of_ends_and_of_batches() -> None:
    records: list[Any] = []
    machine = create_machine({"id": "m", "initial": "a", "states": {"a": {"invoke": {"id": "kid", "src": counter()}}}})
    root = interpret(machine, inspect=records.append).start()
    child(root, "kid").send("END")
    root.batch(["A", "B"])
    assert [(record.path, record.status) for record in records if isinstance(record, ActorEnded)] == [("m/kid", "done")]
    assert [record.event["type"] for record in records if isinstance(record, EventSent)] == [
        "END",
        "done.invoke.kid",
        "A",
        "B",
    ]
    assert [record.snapshot.value for record in records if isinstance(record, SnapshotTaken)][-1] == "a"


def test_the_stream_tells_every_microstep_before_the_snapshot_they_led_to() -> None:
    records: list[Any] = []
    machine = create_machine(
        {
            "id": "m",
            "initial": "a",
            "states": {
                "a": {"on": {"GO": {"target": "b", "actions": raise_("ON")}}},
                "b": {"on": {"ON": "c"}},
                "c": {"always": "d"},
                "d": {},
            },
        }
    )
    root = interpret(machine, inspect=records.append).start()
    records.clear()
    root.send("GO")
    taken = [record for record in records if isinstance(record, MicrostepTaken)]
    assert [(record.transitions, record.value, record.event) for record in taken] == [
        (("m.a --GO--> m.b",), "b", {"type": "GO"}),
        (("m.b --ON--> m.c",), "c", {"type": "GO"}),
        (("m.c --always--> m.d",), "d", {"type": "GO"}),
    ]
    assert isinstance(records[-1], SnapshotTaken)


def test_microsteps_of_an_event_that_fails_are_not_told() -> None:
    records: list[Any] = []
    machine = create_machine(
        {
            "id": "m",
            "initial": "a",
            "context": {},
            "states": {
                "a": {"on": {"FAIL": "b", "GO": "d"}},
                "b": {"always": {"target": "c", "actions": assign(lambda context: 1 // 0)}},
                "c": {},
                "d": {},
            },
        }
    )
    root = interpret(machine, inspect=records.append).start()
    with pytest.raises(EventFailed):
        root.send("FAIL")
    root.send("GO")
    taken = [record for record in records if isinstance(record, MicrostepTaken)]
    assert [record.transitions for record in taken] == [("m.a --GO--> m.d",)]


def test_an_inspector_that_raises_does_no_harm(caplog: pytest.LogCaptureFixture) -> None:
    def broken(record: Any) -> None:
        raise ValueError("mine")

    actor = interpret(counter(), inspect=broken).start()
    actor.send("INC")
    assert actor.snapshot.context == {"n": 1}
    assert "an inspector raised" in caplog.text
