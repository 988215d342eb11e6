"""How values look to a person."""

from __future__ import annotations

import pytest

from perdure.cli.output import Output, shown_state, shown_time, state_paths
from perdure.json_value import Json


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ("idle", ["idle"]),
        ({"running": "fast"}, ["running.fast"]),
        ({"pay": "due", "ship": {"packed": "sealed"}}, ["pay.due", "ship.packed.sealed"]),
        ({"a": {}}, ["a"]),
        ({}, []),
    ],
)
def test_a_state_value_is_shown_as_the_paths_of_its_leaves(value: Json, paths: list[str]) -> None:
    assert state_paths(value) == paths


def test_a_done_state_says_so_and_is_green() -> None:
    shown = shown_state("ashes", done=True)
    assert shown.plain == "ashes (done)"
    assert shown.style == "green"


def test_times_are_shown_to_the_second() -> None:
    assert shown_time("2026-01-02T03:04:05.678Z") == "2026-01-02 03:04:05"


def test_a_table_shows_the_whole_of_a_value_that_is_wider_than_the_output(capsys: pytest.CaptureFixture[str]) -> None:
    event = '{"type":"add","item":"' + "book," * 100 + '"}'
    Output(as_json=False).table([], ["event", "state"], [[event, "cart"]])
    printed = capsys.readouterr().out
    assert "\u2026" not in printed
    assert "".join(printed.replace("cart", "").split()) == "eventstate" + event
