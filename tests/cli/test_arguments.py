"""Arguments that need reading."""

from __future__ import annotations

from datetime import timedelta

import pytest

from perdure.cli.arguments import parse_duration, parse_event, parse_object
from perdure.errors import InvalidParameter
from perdure.json_value import JsonObject


@pytest.mark.parametrize(
    ("event", "data", "expected"),
    [
        ("OPEN", None, {"type": "OPEN"}),
        ("OPEN", '{"by": "me"}', {"type": "OPEN", "by": "me"}),
        ("OPEN", '{"type": "other"}', {"type": "OPEN"}),
        ('{"type": "OPEN", "by": 1}', None, {"type": "OPEN", "by": 1}),
        (' {"type": "OPEN", "by": 1}', '{"by": 2}', {"type": "OPEN", "by": 2}),
    ],
)
def test_an_event_is_a_type_or_a_whole_object(event: str, data: str | None, expected: JsonObject) -> None:
    assert parse_event(event, data) == expected


@pytest.mark.parametrize(("event", "data"), [('{"by": 1}', None), ('{"type": 1}', None), ("{", None), ("OPEN", "[1]")])
def test_what_is_no_event_is_refused(event: str, data: str | None) -> None:
    with pytest.raises(InvalidParameter, match="write it like"):
        parse_event(event, data)


@pytest.mark.parametrize("text", ["", "{", "1", "null", "[]", '"a"'])
def test_what_is_no_json_object_is_refused_by_the_name_of_its_option(text: str) -> None:
    with pytest.raises(InvalidParameter, match=r"--context is not"):
        parse_object(text, "--context")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h", timedelta(hours=1)),
        ("30d", timedelta(days=30)),
    ],
)
def test_durations_have_a_unit(text: str, expected: timedelta) -> None:
    assert parse_duration(text, "--expires-in") == expected


@pytest.mark.parametrize("text", ["", "10", "h", "1.5h", "-1h", "0s", "1w", "99999999999d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="--expires-in"):
        parse_duration(text, "--expires-in")
