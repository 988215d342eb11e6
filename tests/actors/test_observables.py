"""Async iterators as children."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from perdure import from_observable
from tests.actors.machines import child
from tests.actors.parents import Parent


async def count(context: dict[str, Any]) -> AsyncIterator[Any]:
    for n in range(3):
        yield {"type": "N", "n": n + context["offset"]}


async def test_every_event_of_an_async_generator_reaches_the_parent_then_its_end() -> None:
    parent = Parent(count)
    async with parent.actor:
        await parent.hears("done.invoke.kid")
        assert [event.get("n") for event in parent.heard] == [1, 2, 3, None]


async def test_from_observable_takes_whatever_returns_an_async_iterator() -> None:
    class Twice:
        def __init__(self) -> None:
            self.left = 2

        def __aiter__(self) -> Twice:
            return self

        async def __anext__(self) -> str:
            if not self.left:
                raise StopAsyncIteration
            self.left -= 1
            return "TWICE"

    async def later() -> Twice:
        return Twice()

    for source in (lambda: Twice(), later):
        parent = Parent(from_observable(source))
        async with parent.actor:
            await parent.hears("done.invoke.kid")
            assert parent.types == ["TWICE", "TWICE", "done.invoke.kid"]


async def test_what_an_iterator_raises_midway_comes_after_what_it_yielded() -> None:
    async def broken() -> AsyncIterator[str]:
        yield "ONE"
        raise ValueError("midway")

    parent = Parent(broken)
    async with parent.actor:
        error = await parent.hears("error.platform.kid")
        assert error["data"]["message"] == "midway"
        assert parent.types == ["ONE", "error.platform.kid"]


async def test_a_value_that_is_no_event_fails_the_observable() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1

    parent = Parent(numbers)
    async with parent.actor:
        assert "yields events" in (await parent.hears("error.platform.kid"))["data"]["message"]


async def test_on_snapshot_gets_values_of_any_kind() -> None:
    async def numbers() -> AsyncIterator[int]:
        yield 1
        yield 2

    seen: list[Any] = []
    parent = Parent(numbers, onSnapshot={"actions": lambda context, event: seen.append(event["snapshot"]["context"])})
    async with parent.actor:
        await parent.hears("done.invoke.kid")
        assert seen == [1, 2]


async def test_what_is_no_iterator_fails() -> None:
    parent = Parent(from_observable(lambda: [1, 2]))
    async with parent.actor:
        assert "not of list" in (await parent.hears("error.platform.kid"))["data"]["message"]


async def test_stopping_closes_the_iterator() -> None:
    closed = asyncio.Event()

    async def endless() -> AsyncIterator[str]:
        try:
            while True:
                yield "TICK"
        finally:
            closed.set()

    parent = Parent(endless)
    async with parent.actor:
        await parent.hears("TICK")
        parent.actor.send("LEAVE")
        heard = len(parent.heard)
        await asyncio.wait_for(closed.wait(), 5)
        assert len(parent.heard) == heard


async def test_an_observable_can_be_watched_by_itself() -> None:
    release = asyncio.Event()

    async def numbers() -> AsyncIterator[str]:
        await release.wait()
        yield "ONE"
        yield "TWO"

    parent = Parent(numbers)
    async with parent.actor:
        values: list[Any] = []
        child(parent.actor, "kid").subscribe(values.append)
        release.set()
        await parent.hears("done.invoke.kid")
        assert values == ["ONE", "TWO"]
