"""Running an actor's ephemeral children.

A child is a service: a function of ``(context, event, meta)``. A coroutine function runs on the event loop; a plain
function runs in a thread, so that it may block. What it returns comes back to the parent as ``done.invoke.<id>``,
what it raises as ``error.platform.<id>``, be it what would end a program: a service that exits, or that lets a
cancellation of its own making out, has failed. Each child has a session number, and once it is stopped nothing of it
reaches the parent any more, even when it ignores its cancellation.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from typing import Any

from perdure.errors import text_of
from perdure.json_value import Json, JsonObject, json_copy
from perdure.statechart.callables import Meta, accepted_parameters, call_with
from perdure.statechart.effect import StartChild, StopChild
from perdure.statechart.event import done_invoke_type, error_platform_type

__all__ = ["ChildRunner", "error_data"]

Report = Callable[[str, int, JsonObject], None]
"""Called once per child that ends by itself, with its id, its session and its last event."""


class ChildRunner:
    """The running ephemeral children of one actor. Belongs to the event loop it is used in."""

    def __init__(self, report: Report, threads: Executor, copy: Callable[[Json], Json] = json_copy) -> None:
        """``copy`` makes of a service's result what its parent sees; what it raises is an error of the service."""
        self._report = report
        self._threads = threads
        self._copy = copy
        self._running: dict[str, tuple[int, asyncio.Task[None]]] = {}
        self._reported: dict[str, int] = {}
        """Children that have ended, and whose parent has not taken the report yet."""
        self._stopping: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        return not self._running

    def is_live(self, child_id: str, session: int) -> bool:
        """Whether this child was started here and its parent has yet to learn its end."""
        return self._is_running(child_id, session) or self._reported.get(child_id) == session

    def forget(self, child_id: str, session: int) -> None:
        """The parent has taken the report of this child's end, or failed to."""
        if self._reported.get(child_id) == session:
            del self._reported[child_id]

    def start(self, effect: StartChild, service: Callable[..., Any]) -> None:
        """Start a child and return at once. Its end is reported once, unless it is stopped before.

        One that still runs under the same id is stopped.
        """
        former = self._running.pop(effect.id, None)
        if former is not None:
            self._cancel(former[1])
        task = asyncio.create_task(self._run(effect, service), name=f"child {effect.id}")
        self._running[effect.id] = (effect.session, task)

    def stop(self, effect: StopChild) -> None:
        """Cancel a child. One that has ended, or was never started here, is no error."""
        self.forget(effect.id, effect.session)
        if self._is_running(effect.id, effect.session):
            self._cancel(self._running.pop(effect.id)[1])

    def keep_only(self, wanted: Collection[tuple[str, int]]) -> None:
        """Stop the children that are not among these ids with their sessions."""
        for child_id, (session, task) in list(self._running.items()):
            if (child_id, session) not in wanted:
                del self._running[child_id]
                self._cancel(task)
        self._reported = {key: session for key, session in self._reported.items() if (key, session) in wanted}

    def stop_all(self) -> None:
        for _, task in self._running.values():
            self._cancel(task)
        self._running.clear()
        self._reported.clear()

    def stopping(self) -> Iterable[asyncio.Task[None]]:
        """The cancelled children that have not ended yet."""
        return tuple(self._stopping)

    def _cancel(self, task: asyncio.Task[None]) -> None:
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
        task.cancel()

    async def _run(self, effect: StartChild, service: Callable[..., Any]) -> None:
        try:
            event = {"type": done_invoke_type(effect.id), "data": await self._call(effect, service)}
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            event = {"type": error_platform_type(effect.id), "data": error_data(error)}
        if self._is_running(effect.id, effect.session):
            del self._running[effect.id]
            self._reported[effect.id] = effect.session
            self._report(effect.id, effect.session, event)

    def _is_running(self, child_id: str, session: int) -> bool:
        running = self._running.get(child_id)
        return running is not None and running[0] == session

    async def _call(self, effect: StartChild, service: Callable[..., Any]) -> Json:
        meta = Meta(snapshot=None, params=effect.params)
        arguments = (service, accepted_parameters(service), effect.context, effect.event, meta)
        if inspect.iscoroutinefunction(service):
            result = call_with(*arguments)
        else:
            context = contextvars.copy_context()
            loop = asyncio.get_running_loop()
            result = await loop.run_in_executor(self._threads, lambda: context.run(call_with, *arguments))
        if inspect.isawaitable(result):
            result = await result
        return self._copy(result)


def error_data(error: BaseException) -> JsonObject:
    """An exception as the ``data`` of an error event."""
    return {"name": type(error).__name__, "message": text_of(error)}
