"""The wire types: spellings that clients compare as text."""

from __future__ import annotations

import msgspec
import pytest

from perdure import wire
from perdure.json_value import encode_json


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_767_323_045_678.0, "2026-01-02T03:04:05.678Z"),
        (1_767_323_045_678.999, "2026-01-02T03:04:05.678Z"),
        (1_767_323_045_000.0, "2026-01-02T03:04:05.000Z"),
    ],
)
def test_wire_time_has_three_decimals_and_z(milliseconds: float, text: str) -> None:
    assert wire.wire_time(milliseconds) == text


def test_wire_time_keeps_every_millisecond() -> None:
    start = 1_767_323_045_000
    seen = {wire.wire_time(float(start + each))[-4:-1] for each in range(1000)}
    assert len(seen) == 1000


def test_absent_fields_are_left_out_and_false_ones_are_not() -> None:
    state = wire.State(ts=1.5, state="on", tags=(), done=False)
    assert encode_json(state) == b'{"ts":1.5,"state":"on","tags":[],"done":false}'


def test_a_push_always_has_its_public_context() -> None:
    update = wire.InstanceUpdate(
        machine_name="m", machine_instance_name="i", ts=1, state="on", public_context={}, tags=(), done=False
    )
    assert msgspec.json.decode(encode_json(update)) == {
        "type": "instance-update",
        "machineName": "m",
        "machineInstanceName": "i",
        "ts": 1,
        "state": "on",
        "publicContext": {},
        "tags": [],
        "done": False,
    }
