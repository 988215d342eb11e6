"""Children that run in a task of the event loop: promises and observables.

A promise is a function of ``(context, event, meta)``. A coroutine function runs on the event loop; a plain function
runs in a thread, so that it may block. What it returns comes back to the parent as ``done.invoke.<id>``, what it raises
as ``error.platform.<id>``, be it what would end a program: a service that exits, or that lets a cancellation of its own
making out, has failed. Once a child is stopped nothing of it reaches the parent any more, even when it ignores its
cancellation.

An observable sends its parent every event that its iterator yields, and is done when that ends.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import TYPE_CHECKING, Any

from perdure.actors.actor import SNAPSHOTS, Actor, Parent, Sender
from perdure.actors.logic import ObservableLogic
from perdure.errors import InvalidParameter, NoEventLoop
from perdure.json_value import JsonObject
from perdure.statechart.callables import Meta, call_with, known_parameters
from perdure.statechart.effect import ActorTarget, StartChild
from perdure.statechart.event import to_event
from perdure.statechart.machine import ActorLogic, Machine

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["PromiseActor", "StreamActor", "TaskActor"]


class Raised:
    """What a task has come to when its code raised. Returned and not raised: a task lets ``SystemExit`` through to
    everybody else.
    """

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class TaskActor(Actor):
    """A child that has, or may have, a task."""

    __slots__ = ("_error", "_output", "_task")

    def __init__(self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int) -> None:
        super().__init__(system, address, parent, session)
        self._task: asyncio.Task[Any] | None = None
        self._output: Any = None
        self._error: Any = None

    @property
    def snapshot(self) -> Any:
        return self._output

    @property
    def output(self) -> Any:
        return self._output if self.status == "done" else None

    @property
    def error(self) -> Any:
        return self._error

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        if self.status != "active":
            self.system.drop(self, event, sender)
        else:
            self.system.refuse(self, event, sender, f"{article(self.kind)} takes no events")

    def _run_in_task(self, work: Callable[[Any], Coroutine[Any, Any, Any]], given: Any) -> None:
        """Run ``work(given)``, and end as it ends. Raises ``NoEventLoop``, and closes what will not run."""
        try:
            loop = self.system.need_loop(self, article(self.kind))
        except NoEventLoop:
            close_coroutine(given)
            raise
        # The work becomes a coroutine only once the task runs: it may be cancelled before that.
        self._task = loop.create_task(outcome_of(work, given), name=f"child {self.id}")
        self._task.add_done_callback(functools.partial(self._task_ended, given))

    def _task_ended(self, given: Any, task: asyncio.Task[Any]) -> None:
        close_coroutine(given)
        if self._task is not task:
            return  # it was stopped: whatever it still had to say is void
        self._task = None
        outcome = Raised(asyncio.CancelledError()) if task.cancelled() else task.result()
        self.system.submit(self._conclude, outcome)

    def _conclude(self, outcome: Any, sender: Sender | None) -> None:
        """In its turn, so that what the child has sent before arrives before the word of its end."""
        if self.has_ended:
            return
        if isinstance(outcome, Raised):
            self._break_down(outcome.error)  # whatever its code raised: it is only a child that has failed
        else:
            self._end_with(outcome)

    def _end_with(self, outcome: Any) -> None:
        self._output = outcome
        self._clean_up()
        self._finish(outcome)

    def _clean_up(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            self.system.cancel(task)

    def _keep_error(self, error: Any) -> None:
        self._error = error


class PromiseActor(TaskActor):
    """A function that runs once: a coroutine function on the event loop, any other in a thread."""

    __slots__ = ("_given", "_service")

    kind = "promise"

    def __init__(
        self,
        system: ActorSystem,
        address: ActorTarget,
        parent: Parent | None,
        session: int,
        service: Callable[..., Any],
    ) -> None:
        super().__init__(system, address, parent, session)
        self._service = service
        self._given: StartChild | None = None

    def begin(self, given: StartChild, sender: Sender | None) -> None:
        if self.status == "new":
            self.status = "active"
            self._given = given
            self._run_in_task(self._call, given)

    async def _call(self, given: StartChild) -> Any:
        service = self._service
        meta = Meta(
            snapshot=None,
            params=given.params,
            reference=self.reference,
            idempotency_key=given.idempotency_key,
            attempt=given.attempt,
        )
        arguments = (service, known_parameters(service), given.context, given.event, meta)
        if inspect.iscoroutinefunction(service):
            return self.system.plain(await call_with(*arguments))
        context = contextvars.copy_context()
        loop = asyncio.get_running_loop()
        result = await loop.run_in_executor(self.system.threads, lambda: context.run(call_with, *arguments))
        if inspect.isawaitable(result):
            result = await result
        return result if is_behavior(result) else self.system.plain(result)

    def _end_with(self, outcome: Any) -> None:
        """A plain function may have returned what is to run in its place: an actor of the same name and number."""
        given, parent = self._given, self.parent
        if given is None or parent is None or not is_behavior(outcome):
            super()._end_with(outcome)
            return
        if isinstance(outcome, AsyncIterator):
            iterator = outcome
            outcome = ObservableLogic(lambda: iterator)
        self.status = "stopped"
        self.system.remove(self)
        self.system.start_child(parent, given, outcome)


class StreamActor(TaskActor):
    """An async iterator that is read to its end."""

    __slots__ = ("_logic",)

    kind = "observable"

    def __init__(
        self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int, logic: ObservableLogic
    ) -> None:
        super().__init__(system, address, parent, session)
        self._logic = logic

    def begin(self, given: StartChild, sender: Sender | None) -> None:
        if self.status == "new":
            self.status = "active"
            self._run_in_task(self._read, given)

    async def _read(self, given: StartChild) -> None:
        meta = Meta(
            snapshot=None,
            params=given.params,
            reference=self.reference,
            idempotency_key=given.idempotency_key,
            attempt=given.attempt,
        )
        iterator = self._logic.iterate(given.context, given.event, meta)
        if inspect.isawaitable(iterator):
            iterator = await iterator
        if not hasattr(iterator, "__aiter__"):
            raise TypeError(f"an observable is made of an async iterator, not of {type(iterator).__name__}")
        try:
            async for value in iterator:
                self._output = value
                self._pass_on(value)
                await asyncio.sleep(0)  # an iterator that never waits must not keep everybody else from running
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    def _pass_on(self, value: Any) -> None:
        """An event goes to the parent as it is. Raises ``InvalidParameter`` for what is none, which fails the child."""
        if self._observers is not None:
            self._tell(value)
        if self.reports & SNAPSHOTS:
            self.system.submit_quietly(self._say_standing, self.system.plain(value))
            return
        try:
            event = to_event(value)
        except InvalidParameter as error:
            raise InvalidParameter(f"an observable yields events, or values for onSnapshot: {error}", "event") from None
        if self.status == "active" and self.parent is not None:
            self.system.submit_quietly(self.parent.receive, event, self)

    def _say_standing(self, value: Any, sender: Sender | None) -> None:
        if self.status == "active":
            self._report({"status": "active", "context": value, "done": False})

    def _end_with(self, outcome: Any) -> None:
        self._finish(None)


async def outcome_of(work: Callable[[Any], Coroutine[Any, Any, Any]], given: Any) -> Any:
    """What the work returns, or ``Raised``."""
    try:
        return await work(given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Raised(error)


def close_coroutine(given: Any) -> None:
    """Close a coroutine that may not have begun, which Python would complain of."""
    if inspect.iscoroutine(given):
        given.close()


def is_behavior(result: Any) -> bool:
    """Whether what a function returned is to run in its place."""
    return isinstance(result, (Machine, ActorLogic, AsyncIterator))


def article(kind: str) -> str:
    return f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
