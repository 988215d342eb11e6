"""Code that holds up everybody is named: while it runs, by a thread that counts ticks, and afterwards, by the clock."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import msgspec
import pytest

from perdure.durable.limits import Limits
from tests.durable.world import World, a_while, at, memory_store


class Recorder(logging.Handler):
    """The log, with a sign for a test that waits for a line in another thread."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.spoke = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if "is holding up" in record.getMessage():
            self.spoke.set()


@pytest.fixture
def log() -> Any:
    recorder = Recorder()
    logger = logging.getLogger("perdure.watchdog")
    logger.addHandler(recorder)
    yield recorder
    logger.removeHandler(recorder)


def slow_world(slow_turn: float) -> World:
    world = World(memory_store())
    world.settings = msgspec.structs.replace(world.settings, limits=Limits(slow_turn=slow_turn))
    return world


def run_in_thread(coroutine: Any) -> threading.Thread:
    thread = threading.Thread(target=lambda: asyncio.run(coroutine), daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("place", ["guard", "action"])
def test_code_that_does_not_return_is_named_with_its_function_while_it_runs(place: str, log: Recorder) -> None:
    may_return = threading.Event()

    def blocking_guard(context: Any) -> bool:
        may_return.wait(30)
        return True

    def blocking_action(context: Any) -> None:
        may_return.wait(30)

    world = slow_world(10)
    transition: dict[str, Any] = {"cond": "wait"} if place == "guard" else {"actions": "wait"}
    named: dict[str, Any] = {"guards": {"wait": blocking_guard}} if place == "guard" else {}
    if place == "action":
        named = {"actions": {"wait": blocking_action}}
    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": transition}}}}, **named)

    async def work() -> None:
        async with world.running() as runtime:
            await runtime.create_instance(at("m"))
            await runtime.send(at("m"), "GO")

    thread = run_in_thread(work())
    try:
        assert log.spoke.wait(30)
    finally:
        may_return.set()
        thread.join(30)
    (line, *_) = [line for line in log.lines if "is holding up" in line]
    assert "m/one" in line
    assert f"blocking_{place}" in line
    assert "test_watchdog.py:" in line
    assert ("GO" if place == "guard" else "effects of commit 2") in line


async def test_code_that_took_longer_than_the_limit_is_named_afterwards_with_how_long(log: Recorder) -> None:
    world = slow_world(1_000)

    def slow(context: Any) -> bool:
        world.clock._now += 1_500
        return True

    world.machine("m", {"initial": "a", "states": {"a": {"on": {"GO": {"cond": slow}, "QUICK": {}}}}})
    async with world.running() as runtime:
        await runtime.create_instance(at("m"))
        await runtime.send(at("m"), "QUICK")
        await runtime.send(at("m"), "GO")
    (line,) = log.lines
    assert "held up every instance" in line
    assert "m/one" in line
    assert "GO" in line
    assert "1500" in line


async def test_no_thread_watches_when_the_limit_is_zero() -> None:
    world = slow_world(0)
    world.machine("m", {"initial": "a", "states": {"a": {}}})
    before = threading.enumerate()  # of a runtime of another test, for one
    async with world.running():
        await a_while()
        started = [thread for thread in threading.enumerate() if thread not in before]
        assert not [thread for thread in started if thread.name == "perdure-watchdog"]
