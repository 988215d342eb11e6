"""The memory for recent instances is bounded by bytes, and what was committed longest ago goes first."""

from __future__ import annotations

from perdure.durable.records import Address
from perdure.stores.sqlite.recent import RecentInstances

A, B, C = (Address("org", "machine", name) for name in "abc")


def test_the_last_row_of_an_address_is_kept() -> None:
    recent = RecentInstances(10_000)
    recent.keep(A, (1, "one"))
    recent.keep(A, (2, "two"))
    assert recent.get(A) == (2, "two")
    assert recent.get(B) is None


def test_a_dropped_row_is_gone_and_dropping_twice_is_no_error() -> None:
    recent = RecentInstances(10_000)
    recent.keep(A, (1, "one"))
    recent.drop(A)
    recent.drop(A)
    assert recent.get(A) is None


def test_the_row_committed_longest_ago_makes_room() -> None:
    recent = RecentInstances(5_000)
    recent.keep(A, (1, "x" * 1_000))
    recent.keep(B, (1, "x" * 1_000))
    recent.keep(A, (2, "x" * 1_000))
    recent.keep(C, (1, "x" * 1_000))
    assert [recent.get(address) is not None for address in (A, B, C)] == [True, False, True]


def test_room_is_given_back_when_rows_are_replaced_or_dropped() -> None:
    recent = RecentInstances(5_000)
    for number in range(100):
        recent.keep(A, (number, "x" * 1_000))
        recent.drop(B)
        recent.keep(B, (number, "x" * 1_000))
    assert recent.get(A) is not None
    assert recent.get(B) is not None


def test_a_row_larger_than_all_room_is_not_kept() -> None:
    recent = RecentInstances(5_000)
    recent.keep(A, (1, "x" * 9_000))
    assert recent.get(A) is None
