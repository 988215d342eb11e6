"""Snapshots: plain data, and the same future after a round trip through JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perdure.errors import SnapshotMismatch
from perdure.statechart import (
    Snapshot,
    assign,
    decode_snapshot,
    encode_snapshot,
    initial,
    raise_,
    send_to,
    spawn_persistent,
    transition,
)
from tests.unit.statechart.playing import machine

EVENTS = ("NEXT", "OUT", "BACK", "ADD", "SPAWN", "TELL", "done.invoke.c", "error.platform.c", "END", "NOBODY")
MACHINE = machine(
    {
        "context": {"n": 0, "seen": []},
        "initial": "p",
        "tags": "always",
        "on": {
            "ADD": {"actions": [assign(n=lambda context: context["n"] + 1), raise_("ADDED")]},
            "ADDED": {"actions": assign(seen=lambda context, event: [*context["seen"], event["type"]][-3:])},
            "SPAWN": {"actions": assign(ref=lambda: spawn_persistent("worker"))},
            "TELL": {"actions": send_to(lambda context: context.get("ref"), "HELLO")},
            "END": {"target": ".end", "cond": lambda context: context["n"] > 2},
        },
        "states": {
            "p": {
                "type": "parallel",
                "on": {"OUT": "q"},
                "states": {
                    "one": {
                        "initial": "x",
                        "states": {"x": {"on": {"NEXT": "y"}}, "y": {"tags": "why", "after": {10: "x"}}},
                    },
                    "two": {
                        "initial": "x",
                        "states": {"x": {"on": {"NEXT": "y"}}, "y": {"invoke": {"src": "work", "id": "c"}}},
                    },
                    "h": {"type": "history", "history": "deep"},
                },
            },
            "q": {"on": {"BACK": "p.h", "NEXT": "p"}},
            "end": {"type": "final", "data": {"n": lambda context: context["n"]}},
        },
    },
    services={"work": lambda: None},
)


@given(st.lists(st.sampled_from(EVENTS), max_size=12), st.lists(st.sampled_from(EVENTS), max_size=6))
def test_a_snapshot_read_again_has_the_same_future(prefix: list[str], future: list[str]) -> None:
    snapshot = initial(MACHINE).snapshot
    for event in prefix:
        snapshot = transition(MACHINE, snapshot, event).snapshot
    restored = decode_snapshot(encode_snapshot(snapshot))
    assert restored == snapshot
    for event in future:
        step, again = transition(MACHINE, snapshot, event), transition(MACHINE, restored, event)
        assert step == again
        snapshot, restored = step.snapshot, decode_snapshot(encode_snapshot(again.snapshot))


def test_the_encoded_form_says_its_format_and_leaves_out_defaults() -> None:
    snapshot = initial(machine({"initial": "a", "states": {"a": {}}})).snapshot
    assert json.loads(encode_snapshot(snapshot)) == {
        "machine": "m",
        "configuration": ["m.a"],
        "value": "a",
        "format": 1,
    }
    assert decode_snapshot(encode_snapshot(snapshot).decode()) == snapshot


@pytest.mark.parametrize(
    "wrong", [b"", b"5", b"{}", b'{"machine": 5}', b"\xff", "\ud800", b"[" * 100_000, b'{"machine": "m"']
)
def test_what_is_no_snapshot_is_refused(wrong: Any) -> None:
    with pytest.raises(SnapshotMismatch, match="not a snapshot"):
        decode_snapshot(wrong)


def test_a_snapshot_of_another_format_is_refused() -> None:
    with pytest.raises(SnapshotMismatch, match="format 2"):
        decode_snapshot(b'{"machine": "m", "configuration": [], "value": {}, "format": 2}')
    with pytest.raises(SnapshotMismatch, match="format 0"):
        decode_snapshot(b'{"machine": "m", "configuration": [], "value": {}}')


def test_a_context_that_is_not_json_cannot_be_encoded() -> None:
    with pytest.raises(TypeError):
        encode_snapshot(Snapshot(machine="m", configuration=(), value={}, context={"f": print}))


def test_status_and_output_survive() -> None:
    snapshot = initial(MACHINE).snapshot
    for event in ("ADD", "ADD", "ADD", "END"):
        snapshot = transition(MACHINE, snapshot, event).snapshot
    restored = decode_snapshot(encode_snapshot(snapshot))
    assert (restored.is_done, restored.status, restored.output) == (True, "done", {"n": 3})
