"""``interpret``: a machine, running in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Generic

from perdure.actors.actor import error_data
from perdure.actors.inspection import InspectionEvent, Inspector
from perdure.actors.machine_actor import MachineActor
from perdure.actors.system import ActorSystem
from perdure.clock import SystemClock, TimerClock
from perdure.errors import InvalidParameter, InvalidState, PerdureError
from perdure.json_value import JsonObject
from perdure.statechart import step as engine
from perdure.statechart.effect import ActorTarget, Done
from perdure.statechart.event import EventLike, error_platform_type, to_event
from perdure.statechart.machine import Machine
from perdure.statechart.snapshot import C, Snapshot

__all__ = ["RootActor", "interpret"]

ENDING_GRACE = 1_000.0
"""How long leaving ``async with`` waits for cancelled tasks, in milliseconds: some ignore that they are cancelled."""


class RootActor(MachineActor, Generic[C]):
    """The root of a system in memory: what ``interpret`` returns.

    As a context manager it starts at the beginning and stops at the end of the block; ``async with`` also waits for its
    tasks to end.
    """

    def __init__(self, system: ActorSystem, address: ActorTarget, machine: Machine[C]) -> None:
        super().__init__(system, address, None, 0, machine)
        self._context: Any = None
        self._restored: Snapshot[C] | None = None
        self._early: list[tuple[Any, Any]] = []
        """What was sent before the start."""

    @property
    def snapshot(self) -> Snapshot[C]:
        """Where it stands. Raises ``InvalidState`` before it has started."""
        return super().snapshot

    def start(self) -> RootActor[C]:
        """Enter the machine, or go on from the snapshot; what was sent before comes next. Returns the actor.

        Started already, it does nothing. Raises ``EventFailed`` when the machine's own code does, ``NoEventLoop``,
        ``ActorFailed``, and ``InvalidState`` for an actor that has ended: interpret the machine again.
        """
        if self.has_ended:
            raise InvalidState(f"{self.path} has ended; to run the machine again, interpret it again")
        if self.status == "active":
            return self
        system = self.system
        system.use_here()
        system.add(self)
        if self._restored is None:
            system.post(self.begin, self._context)
        else:
            system.post(self.restore, self._restored)
        early, self._early, self._context, self._restored = self._early, [], None, None
        for receive, event in early:
            system.post(receive, event)
        system.drain()
        return self

    def send(self, event: EventLike) -> None:
        if self.status == "new":
            self._early.append((self.receive_from_outside, to_event(event)))
        else:
            super().send(event)

    def batch(self, events: Iterable[EventLike]) -> None:
        """Send several events as one step: observers are told once, and when one event fails none has happened.

        Raises what ``send`` raises.
        """
        checked = [to_event(event) for event in events]
        if not checked:
            return
        if self.status == "new":
            self._early.append((self.receive_batch, checked))
        else:
            self.system.submit(self.receive_batch, checked)

    def begin(self, given: Any, sender: Any) -> None:
        """Enter the machine. Whoever starts it learns from the exception what is wrong with it."""
        self.status = "active"
        try:
            step = engine.initial(self.machine, given, scope=self._scope)
        except PerdureError as error:
            self._refuse_to_start(error)
        else:
            self._take(step, None)

    def restore(self, snapshot: Snapshot[Any], sender: Any) -> None:
        """Go on from a snapshot. The ``after`` timers of the active states start anew. The children that ran then do
        not run any more: for each of them the machine gets its ``error.platform`` event first.
        """
        self.status = "active"
        try:
            step = engine.resume(self.machine, snapshot, scope=self._scope)
        except PerdureError as error:
            self._refuse_to_start(error)
            return
        self._take(step, None)
        if snapshot.status == "done":
            self._done(Done(snapshot.output))
        elif snapshot.status == "error":
            self._end_in_error(snapshot.error, None)
        elif snapshot.status == "stopped":
            self.system.post(self.halt)
        for child in snapshot.children.values() if snapshot.status == "active" else ():
            message = f"{child.id!r} was running when the snapshot was taken, and is not any more"
            self.system.post(self.receive, {"type": error_platform_type(child.id), "data": {"message": message}})

    def _refuse_to_start(self, error: PerdureError) -> None:
        self.status, self._error = "error", error_data(error)
        self.system.ended(self)
        self.system.fail(error)

    def __enter__(self) -> RootActor[C]:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> RootActor[C]:
        return self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()
        await self.system.wait_ended(ENDING_GRACE)


def interpret(
    machine: Machine[C],
    *,
    clock: TimerClock | None = None,
    id: str | None = None,
    context: JsonObject | C | None = None,
    snapshot: Snapshot[C] | None = None,
    inspect: Callable[[InspectionEvent], object] | None = None,
) -> RootActor[C]:
    """A running machine in memory, the root of a system of actors of its own. ``start`` starts it.

    ``clock`` is what its timers, and those of all actors below it, go by: by default the operating system's, which
    needs a running event loop. ``id`` is the beginning of all paths, by default the machine's id. ``context`` is merged
    over the machine's initial context, key by key. ``snapshot`` makes it go on from there instead. ``inspect`` is
    called with everything that happens in the system.

    Raises ``InvalidParameter`` for what is no machine.
    """
    if not isinstance(machine, Machine):
        raise InvalidParameter(f"interpret takes a machine, not {type(machine).__name__}", "machine")
    if snapshot is not None and context is not None:
        raise InvalidParameter("a snapshot has a context already: give one of the two", "context")
    if id is not None and (not isinstance(id, str) or not id):
        raise InvalidParameter(f"the id of an actor is a non-empty string, not {id!r}", "id")
    used_clock = clock or SystemClock()
    inspector = None if inspect is None else Inspector(inspect, used_clock.now)
    system = ActorSystem(used_clock, inspector=inspector)
    actor = RootActor(system, ActorTarget(id or machine.id), machine)
    actor._context = context
    actor._restored = snapshot
    return actor
