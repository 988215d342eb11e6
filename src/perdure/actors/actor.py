"""An actor in memory: what every kind of it has, and what users see of one.

An actor takes one message at a time. It never calls another actor: it puts a message into the queue of its system,
which hands them on in the order in which they were put there. So the messages of one sender to one receiver keep their
order, with the start and the stop of a child among them, and nothing recurses however deep the actors are nested.

``begin``, ``receive`` and ``halt`` are what the queue calls. They do not raise for what user code does: a child that
fails is the affair of its parent, which gets an ``error.platform`` event.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeAlias

from perdure.actors.observers import Observer, as_observer
from perdure.errors import ActorFailed, InvalidState, text_of
from perdure.json_value import Json, JsonObject
from perdure.logs import get_logger
from perdure.machine_output import note_error
from perdure.statechart.effect import ActorTarget, InstanceTarget
from perdure.statechart.event import (
    UPDATE,
    EventLike,
    done_invoke_type,
    error_platform_type,
    snapshot_type,
    to_event,
)
from perdure.statechart.reference import path_of, reference_of

if TYPE_CHECKING:
    from perdure.actors.system import ActorSystem

__all__ = ["SNAPSHOTS", "UPDATES", "Actor", "ActorStatus", "Parent", "Sender", "error_data", "path_of"]

logger = get_logger("perdure.actors")

ActorStatus: TypeAlias = Literal["new", "active", "done", "error", "stopped"]


UPDATES = 1
SNAPSHOTS = 2


class Sender(Protocol):
    """Who sends to actors and can be answered: another actor, or a durable instance."""

    @property
    def address(self) -> ActorTarget | InstanceTarget: ...

    @property
    def path(self) -> str: ...

    @property
    def status(self) -> ActorStatus: ...

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        """Take an event. ``sender`` goes on running and can be answered; ``None`` when there is nobody to answer."""
        ...

    def undelivered(self, event: JsonObject) -> None:
        """Take word that a message of its own had no receiver, or was not taken."""
        ...


class Parent(Protocol):
    """Who has children: a machine in memory, or the runner of a durable instance's."""

    @property
    def address(self) -> ActorTarget | InstanceTarget: ...

    @property
    def parent(self) -> Parent | None: ...

    children: dict[str, Actor] | None

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        """Take an event. ``sender`` goes on running and can be answered; ``None`` when there is nobody to answer."""
        ...

    def child_ended(self, event: JsonObject, child: Actor) -> None:
        """Take the last word of a child, which is void when the parent has stopped that child meanwhile."""
        ...

    def child_spoke(self, event: JsonObject, child: Actor) -> None:
        """Take word of where a child stands (``xstate.update``, ``xstate.snapshot``); void in the same case."""
        ...


class Actor:
    """One running actor. Make the first of a system with ``interpret``; children come from machines."""

    __slots__ = ("__weakref__", "_observers", "address", "parent", "reports", "session", "status", "system")

    kind: ClassVar[str] = "actor"
    """What it is, in a word, for people."""
    children: dict[str, Actor] | None = None
    """Those it has started and that have not ended, by id; ``None`` where there never were any."""

    def __init__(self, system: ActorSystem, address: ActorTarget, parent: Parent | None, session: int) -> None:
        self.system = system
        self.address = address
        self.parent = parent
        self.session = session
        """Numbers the children of its parent: tells it from an earlier child of the same id."""
        self.reports = 0
        """Which words of every step its parent asked for: ``UPDATES``, ``SNAPSHOTS``, neither or both."""
        self.status: ActorStatus = "new"
        self._observers: list[Observer] | None = None

    # -- who it is -----------------------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The ids from the root of its system down to it, joined by ``/``."""
        return self.address.path

    @property
    def id(self) -> str:
        """What its parent calls it."""
        path = self.address.path
        return path if self.parent is None else path[len(path_of(self.parent.address)) + 1 :]

    @property
    def reference(self) -> JsonObject:
        """The reference by which actors of its system send to it."""
        reference: JsonObject = reference_of(self.address)
        return {**reference, "id": self.id}

    @property
    def snapshot(self) -> Any:
        """Where it stands: a machine's ``Snapshot``, a reducer's state, the last value of an observable, a promise's
        result.
        """
        return None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path}: {self.status}>"

    # -- what users do with it -----------------------------------------------------------------------

    def send(self, event: EventLike) -> None:
        """Send it an event. When this is called from outside the system, everything that follows from it has happened
        when it returns; from inside (an action, an observer) the event waits for its turn.

        An actor that has ended takes nothing: the event is dropped with a warning. Raises ``InvalidParameter`` for what
        is no event, ``EventFailed`` when a machine's guard or assigner raises (the machine is as before),
        ``ActorFailed`` when it makes the root fail and nobody listens for its errors, ``NoEventLoop``.
        """
        self.system.submit(self.receive_from_outside, to_event(event))

    def stop(self) -> None:
        """Stop the root of a system and everything below it, deepest first; exit actions and cleanups run. From inside
        the system it happens in its turn. One that has ended is left as it is.

        A child is stopped by its parent (with the action ``stop``, or by leaving the state that invokes it): for any
        other actor this raises ``InvalidState``.
        """
        if self.parent is not None:
            raise InvalidState(f"{self.path} is a child, which its parent stops: send the parent an event that does it")
        if not self.has_ended:
            self.system.submit(self.halt, None)

    def subscribe(self, observer: Any) -> Callable[[], None]:
        """Hear every snapshot from now on. ``observer`` is a function of it, or has methods (or a dict keys) of the
        names ``next``, ``error`` and ``complete``. Returns what ends the subscription.

        What an observer raises is logged: it is no affair of the actor's.
        """
        return self._observe(as_observer(observer))

    def on_done(self, listener: Callable[[Any], object]) -> Callable[[], None]:
        """Call ``listener`` with the output once the actor is done; at once when it is already."""
        return self._observe(Observer(done=listener))

    def on_error(self, listener: Callable[[Any], object]) -> Callable[[], None]:
        """Call ``listener`` with the error (the ``data`` of the event that nobody handled) when the actor fails; at
        once when it has already.
        """
        return self._observe(Observer(error=listener))

    async def wait_for(self, predicate: Callable[[Any], bool], timeout: float | None = None) -> Any:
        """The first snapshot, the present one included, of which ``predicate`` holds.

        ``timeout`` is in milliseconds of the system's clock. Raises ``TimeoutError``, ``ActorFailed`` when the actor
        fails, ``InvalidState`` when it ends and the predicate never held.
        """
        found: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def look(snapshot: Any) -> None:
            if not found.done() and predicate(snapshot):
                found.set_result(snapshot)

        def ended() -> None:
            if not found.done():
                found.set_exception(InvalidState(f"{self.path} has ended, and it never was as it was waited for"))

        def failed(error: Any) -> None:
            if not found.done():
                found.set_exception(self._failure(error))

        def too_late() -> None:
            if not found.done():
                message = f"{self.path} was not as it was waited for within {timeout:g} ms"
                found.set_exception(TimeoutError(message))

        if self.status != "new":
            look(self.snapshot)
        unsubscribe = self._observe(Observer(next=strict(look, found), error=failed, complete=ended))
        call_off = None if timeout is None else self.system.clock.call_later(timeout, too_late)
        try:
            return await found
        finally:
            unsubscribe()
            if call_off is not None:
                call_off()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Every snapshot from the present one until the actor ends, none left out: those that the reader has not taken
        yet are kept. Raises ``ActorFailed`` in the end when the actor fails.
        """
        waiting: deque[Any] = deque()
        arrived = asyncio.Event()

        def take(snapshot: Any) -> None:
            waiting.append(snapshot)
            arrived.set()

        if self.status != "new":
            take(self.snapshot)
        unsubscribe = self._observe(Observer(next=take, error=lambda error: arrived.set(), complete=arrived.set))
        try:
            while True:
                while waiting:
                    yield waiting.popleft()
                if self.status == "error":
                    raise self._failure(self.error)
                if self.has_ended:
                    return
                arrived.clear()
                await arrived.wait()
        finally:
            unsubscribe()

    @property
    def has_ended(self) -> bool:
        return self.status not in ("new", "active")

    @property
    def output(self) -> Any:
        """What it came to, once its status is ``done``."""
        return None

    @property
    def error(self) -> Any:
        """What went wrong, once its status is ``error``."""
        return None

    # -- what the queue calls ------------------------------------------------------------------------

    def begin(self, given: Any, sender: Sender | None) -> None:
        """Start. ``given`` is what this kind of actor needs for that and does not keep."""
        raise NotImplementedError

    def receive(self, event: JsonObject, sender: Sender | None) -> None:
        """Take an event. One that comes when the actor has ended, or does not take any, is dropped."""
        raise NotImplementedError

    def receive_from_outside(self, event: JsonObject, sender: Sender | None) -> None:
        """Take an event whose sender has to know of its failure."""
        self.receive(event, sender)

    def halt(self, event: JsonObject | None, sender: Sender | None) -> None:
        """Stop it and everything below it, deepest first."""
        self.system.halt(self)

    def end(self) -> None:
        """Let go of everything it holds: the actors below it have ended. Called once, by whoever halts it."""
        self.status = "stopped"
        self._clean_up()
        self.system.ended(self)
        self._tell_complete()

    def crash(self, error: BaseException) -> None:
        """User code has raised where nobody waits for the answer: it ends in status ``error``."""
        self.system.let_through(error)
        self._break_down(error)

    def _break_down(self, error: BaseException) -> None:
        note_error(error)
        data = error_data(error)
        self.status = "error"
        self._keep_error(data)
        self._clean_up()
        self._fail(data, error)

    def undelivered(self, event: JsonObject) -> None:
        """A message of this actor had no receiver, or was not taken: only a machine can be told."""

    def place(self) -> Json:
        """Where it stands, in few words, for people; ``None`` for what has no states."""
        return None

    # -- what its kinds say --------------------------------------------------------------------------

    def _clean_up(self) -> None:
        """Cancel and release what runs for it. It may have ended already."""

    def _keep_error(self, error: Json) -> None:
        """Keep what went wrong, where this kind can fail."""

    def _finish(self, output: Any) -> None:
        """It is done: tell who listens, then the parent."""
        self.status = "done"
        self.system.ended(self)
        for observer in self._listening():
            observer.call(observer.done, output)
        self._tell_complete()
        if self.parent is not None:
            event = {"type": done_invoke_type(self.id), "data": output}
            self.system.post(self.parent.child_ended, event, self)

    def _fail(self, error: Json, cause: BaseException | None = None) -> None:
        """It has failed: tell who listens, then the parent. What nobody hears of a root is told to its caller."""
        self.status = "error"
        self.system.ended(self)
        is_heard = False
        for observer in self._listening():
            if observer.error is not None:
                is_heard = True
                observer.call(observer.error, error)
        self._observers = None
        if self.parent is not None:
            event = {"type": error_platform_type(self.id), "data": error}
            self.system.post(self.parent.child_ended, event, self)
        elif not is_heard:
            self.system.fail(self._failure(error), cause)

    def _tell(self, snapshot: Any) -> None:
        for observer in self._listening():
            if observer.next is not None:
                observer.call(observer.next, snapshot)

    def _report(self, state: JsonObject) -> None:
        """Tell the parent where it stands, as often as it asked to be told."""
        if self.parent is None:
            return
        if self.reports & UPDATES:
            self.system.post(self.parent.child_spoke, {"type": UPDATE, "id": self.id, "state": state}, self)
        if self.reports & SNAPSHOTS:
            self.system.post(self.parent.child_spoke, {"type": snapshot_type(self.id), "snapshot": state}, self)

    def _tell_complete(self) -> None:
        for observer in self._listening():
            if observer.complete is not None:
                observer.call(observer.complete)
        self._observers = None

    def _listening(self) -> tuple[Observer, ...]:
        return () if self._observers is None else tuple(self._observers)

    def _observe(self, observer: Observer) -> Callable[[], None]:
        if self.has_ended:
            if self.status == "done":
                observer.call(observer.done, self.output)
            if self.status == "error":
                observer.call(observer.error, self.error)
            else:
                observer.call(observer.complete)
            return lambda: None
        if self._observers is None:
            self._observers = []
        self._observers.append(observer)

        def unsubscribe() -> None:
            if self._observers is not None and observer in self._observers:
                self._observers.remove(observer)

        return unsubscribe

    def _failure(self, error: Any) -> ActorFailed:
        said = error.get("message", error) if isinstance(error, dict) else error
        return ActorFailed(f"the actor {self.path} has failed: {said}", error)


def strict(look: Callable[[Any], None], found: asyncio.Future[Any]) -> Callable[[Any], None]:
    """A predicate that raises is the failure of who waits for it."""

    def call(snapshot: Any) -> None:
        try:
            look(snapshot)
        except Exception as error:
            if not found.done():
                found.set_exception(error)

    return call


def error_data(error: BaseException) -> JsonObject:
    """An exception as the ``data`` of an error event."""
    return {"name": type(error).__name__, "message": text_of(error)}
