"""What an instance is found by."""

from __future__ import annotations

from perdure.durable.indexes import INDEX_VALUE_CHARACTERS_MAX, index_values


def test_a_value_that_is_longer_than_an_index_value_may_be_is_not_indexed() -> None:
    longest = "x" * INDEX_VALUE_CHARACTERS_MAX
    selectors = {"names": "$.names"}
    assert index_values(selectors, {"names": [longest, longest + "x", 7, "short"]}) == (
        ("names", "short"),
        ("names", longest),
    )
