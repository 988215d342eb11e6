"""The garbage collector of a server's process, and of nobody else's."""

from __future__ import annotations

import gc
import weakref

from perdure.cli.heap import YOUNG_OBJECTS_MAX, serving_heap


class Node:
    """Something that can refer to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_alive_when_serving_begins_is_left_out_of_the_search_until_it_ends() -> None:
    before = gc.get_freeze_count()
    with serving_heap():
        assert gc.get_freeze_count() > before + 10_000
    assert gc.get_freeze_count() == 0


def test_the_young_are_searched_less_often_while_serving_and_as_often_as_before_afterwards() -> None:
    before = gc.get_threshold()
    with serving_heap():
        assert gc.get_threshold() == (YOUNG_OBJECTS_MAX, *before[1:])
    assert gc.get_threshold() == before


def test_cycles_that_come_up_while_serving_are_collected() -> None:
    with serving_heap():
        gone = weakref.ref(Node())
        assert gone() is not None
        for _ in range(3 * YOUNG_OBJECTS_MAX):
            Node()
        assert gone() is None


def test_the_collector_is_as_it_was_when_serving_fails() -> None:
    before = gc.get_threshold()
    try:
        with serving_heap():
            raise OSError("the address is in use")
    except OSError:
        pass
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
