"""A process that can die at any await: between two steps of any of its tasks, and with all of them at once.

Everything that runs inside ``Process.run`` belongs to the process, and so does every task that is made there, however
deep. Each step of such a task, from one await to the next, is counted; after the last one that it was given, no line of
the process ever runs again: no handler, no ``finally``, no answer. What it left in the world outside, such as a write
that a store took over, takes its course.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["Process", "outside_of_processes", "tasks_belong_to_their_process"]

T = TypeVar("T")

_current: contextvars.ContextVar[Process | None] = contextvars.ContextVar("process", default=None)


class Process:
    """The tasks of one process, and how many steps they have left; ``None`` for no end in sight."""

    def __init__(self, steps: int | None = None) -> None:
        self.steps = steps
        self.taken = 0
        self.is_dead = False
        self._tasks: list[asyncio.Task[Any]] = []

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run a coroutine as part of this process."""
        context = contextvars.copy_context()
        context.run(_current.set, self)
        return asyncio.get_running_loop().create_task(work, context=context)

    def die(self) -> None:
        self.is_dead = True

    async def bury(self) -> None:
        """Take what is left of its tasks out of the event loop, without running any of it."""
        self.die()
        tasks = [task for task in self._tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def may_step(self) -> bool:
        """Count a step; false once there are none left."""
        if self.steps is not None and self.taken >= self.steps:
            self.is_dead = True
        self.taken += not self.is_dead
        return not self.is_dead

    def adopt(self, task: asyncio.Task[Any]) -> None:
        self._tasks.append(task)


class _Mortal(Coroutine[Any, Any, Any]):
    """A coroutine that goes on as long as its process does, and then waits for ever."""

    def __init__(self, work: Coroutine[Any, Any, Any], process: Process) -> None:
        self._work = work
        self._process = process

    def send(self, value: Any) -> Any:
        if self._process.may_step():
            return self._work.send(value)
        return next(iter(asyncio.get_running_loop().create_future()))

    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        if not self._process.is_dead:
            return self._work.throw(kind if value is None else value)
        self.close()
        raise kind if value is None else value

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # what it awaits while it is closed is of no interest
            self._work.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return (yield from self._work.__await__())


async def _nothing() -> None:
    """What a dead process does."""


def tasks_belong_to_their_process(loop: asyncio.AbstractEventLoop) -> None:
    """Have the event loop make each task part of the process that it is made in."""

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        context = options.get("context")
        process = _current.get() if context is None else context.get(_current)
        if process is None:
            return asyncio.Task(work, loop=loop, **options)
        if process.is_dead:  # a ``finally`` that runs as the process is buried, and may begin nothing any more
            work.close()
            return asyncio.Task(_nothing(), loop=loop)
        task = asyncio.Task(_Mortal(work, process), loop=loop, **options)
        process.adopt(task)
        return task

    loop.set_task_factory(make)


def outside_of_processes(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run a coroutine that outlives the process which asks for it, as a disk outlives a program."""
    context = contextvars.copy_context()
    context.run(_current.set, None)
    return asyncio.get_running_loop().create_task(work, context=context)
