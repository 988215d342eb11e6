"""The ephemeral children of a durable instance: actors in memory whose parent is not one.

They are the same actors as everywhere, in a system of their own. Where the root of a system in memory would be stands
the instance: what its children say to it is handed to whoever hosts it, as plain JSON, and becomes a turn of its own;
what it says to them comes as effects, after their commit. Each child has a session number, and once it is stopped no
word of its end reaches the instance any more, even when it ignores its cancellation.

The instance may be alone most of its life: its system exists from its first child on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import Executor
from typing import Any, Protocol

from perdure.actors.actor import Actor, ActorStatus, Parent, Sender, error_data
from perdure.actors.system import SLICE, ActorSystem
from perdure.actors.task_actor import TaskActor
from perdure.actors.timers import Timer
from perdure.clock import TimerClock
from perdure.json_value import Json, JsonObject, json_copy
from perdure.statechart.effect import ActorTarget, Cancel, ChildTarget, InstanceTarget, Send, StartChild, StopChild
from perdure.statechart.event import error_platform_type

__all__ = ["ChildRunner", "Home"]


class Home(Protocol):
    """Who hosts the instance, and takes what its children say."""

    def child_ended(self, child_id: str, session: int, event: JsonObject) -> None:
        """Called once for each child that ends by itself, with its last event."""
        ...

    def child_said(
        self, event: JsonObject, origin: ChildTarget | ActorTarget | None, speaker: tuple[str, int] | None
    ) -> None:
        """An event for the instance. ``origin`` can be answered; ``speaker``, the id and session of a child, is given
        for word that is void once that child has been stopped.
        """
        ...

    def children_came_to_rest(self) -> None:
        """Something that kept the instance from settling has ended."""
        ...


class ChildRunner:
    """The running ephemeral children of one instance. Belongs to the event loop it is used in.

    For the actors below it stands for their parent, and for the sender of what the instance sends them.
    """

    status: ActorStatus = "active"
    parent: Parent | None = None

    def __init__(
        self,
        home: Home,
        address: InstanceTarget,
        clock: TimerClock,
        threads: Executor,
        copy: Callable[[Json], Json] = json_copy,
    ) -> None:
        """``copy`` makes of what a child says what the instance is given; what it raises is a failure of the child."""
        self.address = address
        self.children: dict[str, Actor] | None = None
        self.timers: dict[str, list[Timer]] | None = None
        self._home = home
        self._clock = clock
        self._threads = threads
        self._copy = copy
        self._system: ActorSystem | None = None
        self._running: dict[str, int] = {}
        """The sessions of the children that run, by their ids."""
        self._reported: dict[str, int] = {}
        """The same of those that have ended, and whose end the instance has not taken yet."""

    @property
    def path(self) -> str:
        return f"{self.address.machine}/{self.address.instance}"

    # -- what the host asks --------------------------------------------------------------------------

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    @property
    def is_idle(self) -> bool:
        return not self._running and (self._system is None or self._system.is_idle)

    @property
    def runs_anything(self) -> bool:
        """Whether any runs, or has ended and its parent has yet to learn it."""
        return bool(self._running or self._reported)

    def is_live(self, child_id: str, session: int) -> bool:
        """Whether this child was started here and its parent has yet to learn its end."""
        return self._running.get(child_id) == session or self._reported.get(child_id) == session

    def forget(self, child_id: str, session: int) -> None:
        """The parent has taken the report of this child's end, or failed to."""
        if self._reported.get(child_id) == session:
            del self._reported[child_id]

    def start(self, effect: StartChild, behavior: Any) -> None:
        """Start a child: a machine, a function, or other logic. Its end is reported once, unless it is stopped before.

        One that still runs under the same id is stopped.
        """
        if effect.id in self._running:
            self._detach(effect.id)
        system = self._system
        if system is None:
            system = self._system = InstanceSystem(self, self._clock, self._threads)
        self._running[effect.id] = effect.session
        system.start_child(self, effect, behavior)
        system.work()

    def stop(self, effect: StopChild) -> None:
        """Stop a child. One that has ended, or was never started here, is no error."""
        self.forget(effect.id, effect.session)
        if self._system is not None and self._running.get(effect.id) == effect.session:
            self._detach(effect.id)
            self._system.work()

    def send(self, effect: Send) -> None:
        """Deliver an event to a child, or to an actor below one, now or after a delay.

        Where there is none the instance gets an ``error.communication`` event.
        """
        system = self._system
        if system is None:
            system = self._system = InstanceSystem(self, self._clock, self._threads)
        if effect.delay is not None:
            system.timers.add(self, effect)
        else:
            self.timer_is_due(effect, None)
            system.work()

    def cancel(self, effect: Cancel) -> None:
        """Forget the delayed events of this send id that have not been delivered yet."""
        if self._system is not None:
            self._system.timers.cancel(self, effect.id)

    def keep_only(self, wanted: Collection[tuple[str, int]]) -> None:
        """Stop the children that are not among these ids with their sessions."""
        if not self._running and not self._reported:
            return
        unwanted = [child_id for child_id, session in self._running.items() if (child_id, session) not in wanted]
        for child_id in unwanted:
            self._detach(child_id)
        if self._system is not None and unwanted:
            self._system.work()
        self._reported = {key: session for key, session in self._reported.items() if (key, session) in wanted}

    def stop_all(self) -> None:
        """Stop every child at once, and forget what they still had to say."""
        self._running.clear()
        self._reported.clear()
        if self._system is not None:
            self._system.abandon(tuple((self.children or {}).values()))
            self._system.timers.cancel_all(self)

    def stopping(self) -> Iterable[asyncio.Task[Any]]:
        """The cancelled tasks of children that have not ended yet."""
        return () if self._system is None else tuple(self._system.ending)

    def _detach(self, child_id: str) -> None:
        """A child is the instance's no more; it takes what it was sent before, then stops."""
        del self._running[child_id]
        child = (self.children or {}).get(child_id)
        if child is not None and self._system is not None:
            self._system.remove(child)
            self._system.post(child.halt, None)

    # -- what the actors below it ask ----------------------------------------------------------------

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        """Hand an event to the instance. One that is not JSON, or too large, is the failure of its sender."""
        try:
            event = self._copy(event)
        except Exception as error:
            if isinstance(sender, Actor) and not sender.has_ended:
                sender.crash(error)
            return
        origin: ChildTarget | ActorTarget | None = None
        if isinstance(sender, Actor):
            origin = ChildTarget(sender.id) if sender.parent is self else sender.address
        self._home.child_said(event, origin, None)

    def child_ended(self, event: JsonObject, child: Actor) -> None:
        if self._running.get(child.id) != child.session:
            return
        if not isinstance(child, TaskActor):  # what a task returns was copied where its failure is caught
            try:
                event = self._copy(event)
            except Exception as error:
                event = {"type": error_platform_type(child.id), "data": error_data(error)}
        del self._running[child.id]
        self._reported[child.id] = child.session
        self._home.child_ended(child.id, child.session, event)

    def child_spoke(self, event: JsonObject, child: Actor) -> None:
        if self._running.get(child.id) != child.session:
            return
        try:
            event = self._copy(event)
        except Exception as error:
            if not child.has_ended:
                child.crash(error)
            return
        origin = None if child.has_ended else ChildTarget(child.id)
        self._home.child_said(event, origin, (child.id, child.session))

    def undelivered(self, event: JsonObject) -> None:
        """A message of the instance had no receiver, or was not taken."""
        self._home.child_said(event, None, None)

    def timer_is_due(self, effect: Send, sender: Sender | None) -> None:
        """Deliver an event of the instance's to whoever is there now."""
        assert self._system is not None
        target = effect.target
        if isinstance(target, ChildTarget):
            receiver = (self.children or {}).get(target.id)
        else:
            found = self._system.find(target)
            receiver = found if isinstance(found, Actor) else None
        if receiver is None:
            self._system.undeliverable(self, effect.event, target)
        else:
            self._system.post(receiver.receive, effect.event, self)

    def came_to_rest(self) -> None:
        self._home.children_came_to_rest()

    def plain(self, value: Json) -> Json:
        return self._copy(value)


class InstanceSystem(ActorSystem):
    """The actors below one instance. It shares the event loop with all other instances, and does not hold it up."""

    def __init__(self, runner: ChildRunner, clock: TimerClock, threads: Executor) -> None:
        super().__init__(clock, threads=threads, home=runner, drain_max=SLICE)
        self._runner = runner
        self.running_loop()

    def plain(self, value: Any) -> Any:
        return self._runner.plain(value)

    def let_through(self, error: BaseException) -> None:
        # A child that would end the program must not take the other instances along.
        if isinstance(error, KeyboardInterrupt):
            raise error

    def came_to_rest(self) -> None:
        self._runner.came_to_rest()
