"""Stopping: deepest first, nothing left behind, and who stops whom."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import AsyncIterator
from typing import Any

from perdure import Actor, assign, create_machine, from_callback, from_reducer, interpret, send_parent, spawn
from perdure.testing.simulated_clock import SimulatedClock
from tests.actors.machines import child
from tests.actors.parents import Parent


def nested(depth: int, log: list[str]) -> Any:
    """A machine with one child below it, and so on; each notes its exit and the cleanup of its callback."""
    name = f"m{depth}"
    return create_machine(
        {
            "id": name,
            "context": {},
            "exit": lambda: log.append(f"exit {name}"),
            "entry": assign(
                refs=lambda: [
                    spawn(from_callback(lambda send_back: lambda: log.append(f"cleanup {name}")), "callback"),
                    *([spawn(nested(depth - 1, log), "below")] if depth > 1 else []),
                ]
            ),
        }
    )


def test_stopping_a_parent_stops_everything_below_it_deepest_first() -> None:
    log: list[str] = []
    root = interpret(nested(3, log)).start()
    root.stop()
    assert log == ["cleanup m1", "exit m1", "cleanup m2", "exit m2", "cleanup m3", "exit m3"]
    assert root.system.actors() == ()


def test_a_root_that_is_done_has_stopped_its_children_when_on_done_is_called() -> None:
    log: list[str] = []
    machine = create_machine(
        {
            "initial": "a",
            "states": {
                "a": {"invoke": {"id": "kid", "src": nested(1, log)}, "on": {"END": "b"}},
                "b": {"type": "final"},
            },
        }
    )
    root = interpret(machine)
    root.on_done(lambda output: log.append("done"))
    root.start().send("END")
    assert log == ["cleanup m1", "exit m1", "done"]


def test_a_child_can_make_its_parent_stop() -> None:
    log: list[str] = []
    kid = create_machine({"entry": send_parent("STOP_ME"), "exit": lambda: log.append("exit kid")})
    machine = {
        "initial": "a",
        "invoke": {"id": "kid", "src": kid},
        "states": {"a": {"on": {"STOP_ME": "b"}}, "b": {"type": "final"}},
        "exit": lambda: log.append("exit parent"),
    }
    root = interpret(create_machine(machine)).start()
    assert (root.status, sorted(log)) == ("done", ["exit kid", "exit parent"])


def test_a_child_that_calls_stop_on_the_root_finishes_its_own_step_first() -> None:
    log: list[str] = []
    kid = create_machine({"on": {"GO": {"actions": [lambda: root.stop(), lambda: log.append("after")]}}})
    root: Actor = interpret(create_machine({"id": "root", "invoke": {"id": "kid", "src": kid}})).start()
    child(root, "kid").send("GO")
    assert (root.status, log, root.system.actors()) == ("stopped", ["after"], ())


def test_stopping_cancels_timers() -> None:
    clock = SimulatedClock()
    machine = create_machine({"initial": "a", "states": {"a": {"after": {10: "b"}}, "b": {}}})
    actor = interpret(machine, clock=clock).start()
    actor.stop()
    clock.advance(100)
    assert (actor.snapshot.value, len(actor.system.timers)) == ("a", 0)


async def test_a_coroutine_that_ignores_its_cancellation_is_heard_of_no_more() -> None:
    release, ended = asyncio.Event(), asyncio.Event()

    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await release.wait()
        ended.set()
        return "too late"

    parent = Parent(stubborn)
    parent.actor.start()
    await asyncio.sleep(0)
    parent.actor.send("LEAVE")
    await asyncio.sleep(0)
    release.set()
    await asyncio.wait_for(ended.wait(), 5)
    await parent.actor.system.wait_ended(1_000)
    assert parent.heard == []
    parent.actor.stop()


async def test_a_coroutine_that_raises_after_its_parent_left_is_heard_of_no_more() -> None:
    async def late() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("after you left")

    parent = Parent(late)
    async with parent.actor:
        await asyncio.sleep(0)
        parent.actor.send("LEAVE")
    assert (parent.heard, parent.actor.system.ending) == ([], set())


async def test_a_thread_that_ends_after_its_parent_left_is_heard_of_no_more() -> None:
    release, ended = threading.Event(), threading.Event()

    def slow() -> str:
        release.wait(10)
        ended.set()
        return "too late"

    parent = Parent(slow)
    async with parent.actor:
        await asyncio.sleep(0)
        parent.actor.send("LEAVE")
        release.set()
        assert await asyncio.to_thread(ended.wait, 10)
        for _ in range(10):
            await asyncio.sleep(0)
        assert parent.heard == []


async def test_a_thousand_starts_and_stops_of_every_kind_of_child_leave_nothing_behind() -> None:
    async def promise() -> None:
        await asyncio.Event().wait()

    async def observable() -> AsyncIterator[str]:
        while True:
            yield "TICK"

    async def callback(send_back: Any, receive: Any) -> None:
        await asyncio.Event().wait()

    kid = create_machine({"id": "kid", "initial": "a", "states": {"a": {"after": {60_000: "b"}}, "b": {}}})
    machine = create_machine(
        {
            "id": "m",
            "context": {},
            "initial": "a",
            "states": {
                "a": {
                    "after": {60_000: "b"},
                    "invoke": [
                        {"id": "machine", "src": kid},
                        {"id": "promise", "src": promise},
                        {"id": "thread", "src": lambda: 1},
                        {"id": "observable", "src": observable},
                        {"id": "callback", "src": from_callback(lambda send_back: lambda: None)},
                        {"id": "task", "src": from_callback(callback)},
                        {"id": "reducer", "src": from_reducer(lambda state, event: state, 0)},
                    ],
                    "entry": assign(ref=lambda: spawn(kid, "spawned")),
                },
                "b": {},
            },
        }
    )
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()
    left: list[weakref.ref[Any]] = []
    for round_number in range(1_000):
        actor = interpret(machine).start()
        if round_number % 2:
            await asyncio.sleep(0)
        left += [weakref.ref(each) for each in actor.system.actors()]
        actor.stop()
        await actor.system.wait_ended(1_000)
        del actor
    gc.collect()
    assert [reference for reference in left if reference() is not None] == []
    assert asyncio.all_tasks() == tasks
    scheduled = [handle for handle in asyncio.get_running_loop()._scheduled if not handle.cancelled()]  # type: ignore[attr-defined]  # where asyncio keeps its timers
    assert scheduled == []
    for thread in set(threading.enumerate()) - threads:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()
