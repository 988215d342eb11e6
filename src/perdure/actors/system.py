"""A system: the actors below one root, the queue they take their messages from, and what they share.

Everything that happens in a system is an entry of one queue, first in first out: starting a child, an event, the word
of a child's end, stopping a child. From this follow the promises about order:

* messages of one sender to one receiver arrive in the order in which they were sent; a child starts before it gets what
  was sent to it, and has got what was sent to it before it stops;
* what a child sends while it finishes arrives before its ``done.invoke``;
* an actor takes one message at a time, and its observers have seen its snapshot before the next one.

Whoever comes from outside (a caller, a timer, a task) puts an entry into the queue and works it off until nothing is
left. Whoever is inside only puts one there. So nothing recurses, however deep actors are nested.

The queue is not limited, and actors that answer each other for ever would keep their caller for ever: after
``DRAIN_MAX`` entries the rest is left to the event loop, bit by bit, or where there is none to the next caller.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeAlias

from perdure.actors.actor import Actor, Parent, Sender, error_data
from perdure.actors.children import new_child
from perdure.actors.timers import Timers
from perdure.actors.tree import drawn_tree
from perdure.clock import TimerClock
from perdure.errors import EventFailed, InvalidState, NoEventLoop
from perdure.json_value import JsonObject
from perdure.logs import get_logger
from perdure.statechart.effect import ActorTarget, ChildTarget, InstanceTarget, StartChild, Target
from perdure.statechart.event import ERROR_COMMUNICATION, ERROR_EXECUTION

if TYPE_CHECKING:
    from perdure.actors.inspection import Inspector

__all__ = ["DRAIN_MAX", "ActorSystem"]

logger = get_logger("perdure.actors")

DRAIN_MAX = 1_000_000
"""Entries of the queue that one call from outside works off before it gives up on their coming to an end."""
SLICE = 10_000
"""Entries that are worked off between two turns of the event loop, when a system does not come to rest."""
SERVICE_THREADS = 32
"""Threads of a system for services that are plain functions."""

Operation: TypeAlias = Callable[[Any, Any], object]
"""Called with an event, or what else it is about, and the actor that sent it, if one did."""


class ActorSystem:
    """The actors below one root. ``interpret`` makes it; ``actor.system`` is it."""

    def __init__(
        self,
        clock: TimerClock,
        *,
        threads: Executor | None = None,
        inspector: Inspector | None = None,
        home: Sender | None = None,
        drain_max: int | None = None,
    ) -> None:
        """``home`` is the parent of the topmost actors where that is no actor; ``drain_max`` by default
        ``DRAIN_MAX``.
        """
        self.clock = clock
        self._home = home
        self._drain_max = DRAIN_MAX if drain_max is None else drain_max
        self.timers = Timers(clock, self._timers_are_due)
        self.inspector = inspector
        self.registry: dict[str, Actor] = {}
        """Every actor that has not ended, by its path."""
        self._queue: deque[tuple[Operation, Any, Actor | None]] = deque()
        self._is_draining = False
        self._is_waiting_for_loop = False
        self._failures: list[Exception] = []
        self._threads = threads
        self._owns_threads = threads is None
        self._thread = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._actions: dict[asyncio.Task[None], Actor] = {}
        self.ending: set[asyncio.Task[Any]] = set()
        """Cancelled tasks that have not ended yet."""

    # -- looking at it -------------------------------------------------------------------------------

    def actors(self) -> tuple[Actor, ...]:
        """Every actor that has not ended, in the order in which they were started."""
        return tuple(self.registry.values())

    def get(self, name: str | JsonObject) -> Actor | None:
        """The actor at a path or a reference; or the only one of this id. ``None`` when there is none, or several."""
        path = name.get("path") if isinstance(name, dict) else name
        found = self.registry.get(path) if isinstance(path, str) else None
        if found is None and not isinstance(name, dict):
            named = [actor for actor in self.registry.values() if actor.id == name]
            found = named[0] if len(named) == 1 else None
        return found

    def tree(self) -> str:
        """The actors as a text, one a line, children below their parents, each with its kind and where it stands."""
        return "\n".join(drawn_tree(actor for actor in self.registry.values() if actor.parent is None))

    def __str__(self) -> str:
        return self.tree()

    def __iter__(self) -> Iterator[Actor]:
        return iter(self.actors())

    def __len__(self) -> int:
        return len(self.registry)

    @property
    def is_at_rest(self) -> bool:
        """Whether no message waits. Tasks and timers may bring new ones."""
        return not self._queue

    @property
    def is_idle(self) -> bool:
        """Whether no message waits, and no asynchronous action runs."""
        return not self._queue and not self._actions

    # -- the queue -----------------------------------------------------------------------------------

    def post(self, operation: Operation, event: Any = None, sender: Any = None) -> None:
        """Put an entry into the queue; for those who are inside, or see to it that the queue is worked off."""
        if self.inspector is not None:
            self.inspector.sent(operation, event, sender)
        self._queue.append((operation, event, sender))

    def submit(self, operation: Operation, event: Any, sender: Any = None) -> None:
        """Put an entry into the queue and, from outside, work the queue off. Raises what that comes to.

        From another thread it is handed to the thread of the system's event loop. Raises ``InvalidState`` when it has
        none.
        """
        if threading.get_ident() != self._thread:
            self._hand_over(operation, event, sender)
            return
        if self._is_draining or self._queue:
            self.post(operation, event, sender)
            self.work()
            return
        if self.inspector is not None:
            self.inspector.sent(operation, event, sender)
        self._is_draining = True  # nothing waits: the entry need not either
        try:
            operation(event, sender)
        except NoEventLoop:
            self._halt_all()
            raise
        finally:
            self._is_draining = False
        if self._queue or self._failures:
            self.drain()

    def submit_quietly(self, operation: Operation, event: Any, sender: Any = None) -> None:
        """``submit`` for a child's own code, whose affair the failures of others are not: they are logged."""
        try:
            self.submit(operation, event, sender)
        except Exception as error:
            logger.error("an actor failed and nobody listens", exc_info=error)

    def work(self) -> None:
        """Work off what was posted, unless somebody is at it."""
        if not self._is_draining:
            self.drain()

    def abandon(self, actors: Iterable[Actor]) -> None:
        """Forget all that waits in the queue, and stop these actors at once."""
        self._queue.clear()
        for actor in actors:
            self.halt(actor)
        self._queue.clear()

    def drain(self) -> None:
        """Work the queue off. Raises the first failure that nobody in the system takes care of."""
        self._drain(self._drain_max)
        if self._queue:
            self._go_on_later()
        if self._failures:
            failures, self._failures = self._failures, []
            for error in failures[1:]:
                logger.error("an actor failed and nobody listens", exc_info=error)
            raise failures[0]

    def _drain(self, limit: int) -> None:
        queue = self._queue
        self._is_draining = True
        try:
            for _ in range(limit):
                if not queue:
                    return
                operation, event, sender = queue.popleft()
                operation(event, sender)
        except NoEventLoop:
            self._halt_all()
            raise
        finally:
            self._is_draining = False

    def _go_on_later(self) -> None:
        """The system does not come to rest: let the event loop do other things in between."""
        loop = self.running_loop()
        if loop is None:
            self._failures.append(
                EventFailed(f"the actors went on for {self._drain_max:,} messages and came to no rest; the rest waits")
            )
        elif not self._is_waiting_for_loop:
            self._is_waiting_for_loop = True
            loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._is_waiting_for_loop = False
        self._drain(SLICE)
        if self._queue:
            self._go_on_later()
        else:
            self.came_to_rest()

    def _hand_over(self, operation: Operation, event: Any, sender: Any) -> None:
        if self._loop is None:
            raise InvalidState("this system runs without an event loop: only the thread that made it may use it")
        self._loop.call_soon_threadsafe(self.submit_quietly, operation, event, sender)

    def _timers_are_due(self) -> None:
        for actor, effect in self.timers.take_due():
            self._queue.append((actor.timer_is_due, effect, None))
        if not self._is_draining:
            self.drain()

    def plain(self, value: Any) -> Any:
        """What a child gives to its parent, as the parent can take it: in memory anything."""
        return value

    def came_to_rest(self) -> None:
        """Called after what kept the system busy on its own has ended."""

    def let_through(self, error: BaseException) -> None:
        """Raise again what is not an actor's failure but the end of the program."""
        if isinstance(error, (KeyboardInterrupt, SystemExit, NoEventLoop)):
            raise error

    @property
    def is_here(self) -> bool:
        """Whether this is the thread that the system belongs to."""
        return threading.get_ident() == self._thread

    def use_here(self) -> None:
        """From now on it belongs to this thread, and to the event loop that runs here, if one does."""
        self._thread = threading.get_ident()
        self.running_loop()

    def fail(self, error: Exception, cause: BaseException | None = None) -> None:
        """Keep an error for whoever works the queue off."""
        if cause is not None:
            error.__cause__ = cause
        self._failures.append(error)

    # -- messages to nobody --------------------------------------------------------------------------

    def find(self, target: Target) -> Actor | Sender | None:
        """Who is at an address. Of instances only the one that the actors are of is in reach."""
        if isinstance(target, ActorTarget):
            return self.registry.get(target.path)
        return self._home if self._home is not None and target == self._home.address else None

    def drop(self, receiver: Actor, event: JsonObject, sender: Any) -> None:
        """The receiver has ended."""
        self.refuse(receiver, event, sender, "it has ended")

    def refuse(self, receiver: Actor, event: JsonObject, sender: Any, reason: str) -> None:
        """An event is not taken: a warning, and an ``error.communication`` event for the actor that sent it."""
        message = f"{receiver.path} did not take {event['type']!r}: {reason}"
        logger.warning("an event was dropped", actor=receiver.path, type=event["type"], reason=reason)
        self._tell_sender(sender, event, message)

    def undeliverable(self, sender: Sender, event: JsonObject, target: Target) -> None:
        """There is nobody at an address."""
        if isinstance(target, ActorTarget):
            name = f"{target.path!r}, which is no running actor of this system"
        elif isinstance(target, ChildTarget):
            name = f"its child {target.id!r}, which has ended"
        elif isinstance(target, InstanceTarget):
            name = f"instance {target.machine}/{target.instance}, which is out of its reach"
        else:
            name = "its parent, which is not there"
        message = f"{sender.path} sent {event['type']!r} to {name}"
        logger.warning("an event was dropped", actor=sender.path, type=event["type"], reason=message)
        self._tell_sender(sender, event, message)

    def _tell_sender(self, sender: Sender | None, event: JsonObject, message: str) -> None:
        # Who cannot even be told so is not told again, and an actor that has ended hears nothing.
        if sender is not None and sender.status == "active" and event["type"] != ERROR_COMMUNICATION:
            sender.undelivered({"type": ERROR_COMMUNICATION, "data": {"message": message}})

    # -- lives ---------------------------------------------------------------------------------------

    def start_child(self, parent: Parent, effect: StartChild, behavior: Any) -> Actor:
        """Make a child of whatever kind, reachable from now on; it begins in its turn."""
        child, given = new_child(self, parent, effect, behavior)
        self.add(child)
        self.post(child.begin, given)
        return child

    def ended(self, actor: Actor) -> None:
        """An actor has come to its end, whichever."""
        self.remove(actor)
        if self.inspector is not None:
            self.inspector.ended(actor)

    def add(self, actor: Actor) -> None:
        self.registry[actor.path] = actor
        if actor.parent is not None:
            if actor.parent.children is None:
                actor.parent.children = {}
            actor.parent.children[actor.id] = actor
        if self.inspector is not None:
            self.inspector.created(actor)

    def remove(self, actor: Actor) -> None:
        """An actor is no longer reachable. Once nobody is left, what the system holds is let go."""
        if self.registry.get(actor.path) is not actor:
            return
        del self.registry[actor.path]
        parent = actor.parent
        if parent is not None and parent.children is not None and parent.children.get(actor.id) is actor:
            del parent.children[actor.id]
        if not self.registry:
            self._let_go()

    def halt(self, top: Actor) -> None:
        """Stop an actor and everything below it, the deepest first, and of equals the youngest first."""
        actors = [top]
        for actor in actors:
            actors.extend((actor.children or {}).values())
        concerned = set(actors)
        running = [task for task, actor in self._actions.items() if actor in concerned]
        for actor in reversed(actors):
            if not actor.has_ended:
                actor.end()
        for task in running:
            self.cancel(task)

    def _halt_all(self) -> None:
        """What an actor needs is missing altogether: the system cannot go on."""
        self._queue.clear()
        for actor in self.actors():
            if actor.parent is None or actor.parent.parent is None:
                self.halt(actor)

    def _let_go(self) -> None:
        self.timers.clear()
        if self._owns_threads and isinstance(self._threads, ThreadPoolExecutor):
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._threads = None

    # -- what waits ----------------------------------------------------------------------------------

    def running_loop(self) -> asyncio.AbstractEventLoop | None:
        """The event loop that runs now, if one does; the system keeps it for the threads that want to reach it."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return None
        self._thread = threading.get_ident()
        return self._loop

    def need_loop(self, actor: Actor, what: str) -> asyncio.AbstractEventLoop:
        """Raises ``NoEventLoop``, naming who needs one and for what."""
        loop = self.running_loop()
        if loop is None:
            raise NoEventLoop(
                f"{actor.path} is {what} and needs a running event loop: run the program with asyncio.run(…)"
            )
        return loop

    @property
    def threads(self) -> Executor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(SERVICE_THREADS, thread_name_prefix="perdure-service")
        return self._threads

    def keep_running(self, actor: Actor, work: Awaitable[Any], label: str) -> None:
        """Run what an asynchronous action of an actor returned. When it raises the actor gets ``error.execution``."""

        async def run() -> None:
            try:
                await work
            except Exception as error:
                logger.error("action raised", actor=actor.path, action=label, exc_info=error)
                event = {"type": ERROR_EXECUTION, "data": {"action": label, **error_data(error)}}
                if not actor.has_ended:
                    self.submit_quietly(actor.receive, event)

        def ended(task: asyncio.Task[None]) -> None:
            if asyncio.iscoroutine(work):
                work.close()  # it may have been stopped before it had begun
            self._actions.pop(task, None)
            self.came_to_rest()

        try:
            loop = self.need_loop(actor, "running an asynchronous action")
        except NoEventLoop:
            if asyncio.iscoroutine(work):
                work.close()
            raise
        task = loop.create_task(run(), name=f"action {label}")
        self._actions[task] = actor
        task.add_done_callback(ended)

    def cancel(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task and remember it until it has ended."""
        self.ending.add(task)
        task.add_done_callback(self.ending.discard)
        task.cancel()

    async def wait_ended(self, timeout: float) -> None:
        """Wait until the cancelled tasks have ended and asynchronous actions are over, at most ``timeout`` milliseconds
        of real time; what is left then is cancelled and left alone.
        """
        waiting = {*self.ending, *self._actions} - {asyncio.current_task()}
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=timeout / 1000)
            for task in late:
                self.cancel(task)
