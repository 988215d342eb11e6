"""A process dies at whatever await it is told to, and nothing of it runs from then on."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from tests.simulation.process import Process, outside_of_processes, tasks_belong_to_their_process


@pytest.mark.parametrize("steps", range(6))
async def test_no_line_runs_after_the_last_step(steps: int) -> None:
    tasks_belong_to_their_process(asyncio.get_running_loop())
    lines: list[int] = []

    async def work() -> None:
        try:
            for line in range(10):
                lines.append(line)
                await asyncio.sleep(0)
        except asyncio.CancelledError:
            lines.append(-1)
            raise

    process = Process(steps)
    doing = process.run(work())
    for _ in range(20):
        await asyncio.sleep(0)
    assert lines == list(range(steps))
    assert process.is_dead
    await process.bury()
    assert lines == list(range(steps)), "its handlers do not run either"
    assert doing.cancelled()


async def test_tasks_of_tasks_die_with_their_process_and_others_live() -> None:
    tasks_belong_to_their_process(asyncio.get_running_loop())
    heard: list[str] = []

    async def say(word: str) -> None:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        heard.append(word)

    async def parent() -> None:
        asyncio.create_task(say("child"))  # noqa: RUF006 - it is to be left alone
        outside_of_processes(say("disk"))
        await say("parent")

    process = Process(3)
    process.run(parent())
    for _ in range(20):
        await asyncio.sleep(0)
    assert heard == ["disk"]
    await process.bury()


async def test_process_without_an_end_runs_to_the_end_of_its_work() -> None:
    tasks_belong_to_their_process(asyncio.get_running_loop())
    process = Process()

    async def work() -> int:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(10), 0.001)
        return 7

    assert await process.run(work()) == 7
    assert not process.is_dead
    assert process.taken > 1
