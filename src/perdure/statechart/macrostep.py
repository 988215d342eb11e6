"""One macrostep at work: the state that guards see and actions change.

The loop is SCXML's ``mainEventLoop`` without its waiting: an external event is taken, then eventless transitions until
none is enabled, then one internal event and again the eventless ones, until the queue is empty.
https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation

Messages to a child that a state entered in this macrostep invokes are held until the child is started, at the end: the
child does not exist before, and never will when its state is left again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import msgspec

from perdure.errors import EventFailed, MicrostepLimitExceeded
from perdure.json_value import Json, JsonObject
from perdure.statechart.callables import Meta
from perdure.statechart.configuration import Configuration
from perdure.statechart.effect import (
    ActorTarget,
    Cancel,
    ChildTarget,
    Done,
    Effect,
    Fail,
    InstanceTarget,
    ParentTarget,
    SelfTarget,
    Send,
    StartChild,
    StopChild,
    Target,
    Warn,
)
from perdure.statechart.event import DONE_INVOKE, ERROR_COMMUNICATION, ERROR_PLATFORM, PROGRESS
from perdure.statechart.machine import Invoke, Machine, PersistentSource, StateNode, Transition
from perdure.statechart.plan import plan_for
from perdure.statechart.reference import ACTOR_REFERENCE, checked_instance_name, path_of, reference_of
from perdure.statechart.retry import Retry
from perdure.statechart.snapshot import Child, Snapshot, Status

if TYPE_CHECKING:
    from perdure.statechart.action import Action

__all__ = ["Macrostep", "Scope"]

LOOP_EVIDENCE = 20
"""How many of the last microsteps before the limit are remembered to name the loop."""


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must be told about the world outside the machine."""

    fresh_name: Callable[[], str] | None = None
    """Names persistent children that were given no name; by default they are numbered."""
    has_parent: bool = True
    """Whether ``send_parent`` reaches anybody."""
    address: Target | None = None
    """Who this actor is, for references to it and to its children; ``None`` outside any system of actors."""
    origin: Target | None = None
    """The actor that sent the event and still runs: ``respond`` reaches it. ``None`` for a client, a timer, an end."""
    watch: Callable[[tuple[Transition, ...], Configuration], None] | None = None
    """Told of every microstep: the transitions taken and where they lead. It must change nothing."""


class Macrostep:
    """The working state of one macrostep. Actions change it; nobody outside this package sees it."""

    # What most macrosteps never change stands here once; what changes it puts a value of its own in its place.
    status: Status = "active"
    output: Json = None
    error: Json = None
    microsteps = 0
    recent: tuple[Transition, ...] = ()
    """What the last microsteps took, kept only when the limit draws near, to name a loop."""
    pending: Mapping[str, PendingChild] = MappingProxyType({})
    """Children announced by states entered in this macrostep, by id."""
    history: dict[str, tuple[str, ...]]
    children: dict[str, Child]
    owns_children = False
    """Whether ``children`` is this macrostep's own dict, and no longer the one of the snapshot before."""
    forwarding: tuple[str, ...]

    def __init__(
        self,
        machine: Machine,
        before: Snapshot | None,
        configuration: Configuration,
        context: Json,
        event: JsonObject,
        scope: Scope,
    ) -> None:
        self.machine = machine
        self.before = before
        self.configuration = configuration
        self.context = context
        self.scope = scope
        self.external_event = event
        self.event = event
        """The event that guards and actions see now."""
        self.effects: list[Effect] = []
        self.queue: list[JsonObject] = []
        """Internal events, first in first out; few enough that taking the first off a list is cheap."""
        if before is None:
            self.history, self.children, self.children_started, self.forwarding = {}, {}, 0, ()
        else:
            self.history, self.children = before.history, before.children
            self.children_started, self.forwarding = before.children_started, before.forwarding

    # -- the algorithm -----------------------------------------------------------------------------

    def perform(self, actions: tuple[Action, ...]) -> None:
        for action in actions:
            action.perform(self)

    def take(self, event: JsonObject) -> None:
        """Take the transitions that an event enables; an error of a child that enables none ends the machine."""
        self.event = event
        event_type = event["type"]
        candidates = self.configuration.candidates.get(event_type)
        if candidates is None:
            candidates = self.configuration.candidates_for(self.machine, event_type)
        enabled = self.enabled_among(candidates)
        if enabled:
            self.microstep(enabled)
        elif event_type.startswith(ERROR_PLATFORM):
            self.fail(event)

    def run_to_stable(self) -> None:
        """Eventless transitions and internal events, until there are none; then start what was announced.

        The inner loop of SCXML's ``mainEventLoop``, and its ``selectEventlessTransitions``.
        """
        while self.status == "active":
            if self.configuration.always:
                self.event = self.external_event
                enabled = self.enabled_among(self.configuration.always)
                if enabled:
                    self.microstep(enabled)
                    continue
            if not self.queue:
                break
            self.take(self.queue.pop(0))
        if self.status == "active" and self.pending:
            self.start_pending()

    def enabled_among(self, candidates: tuple[tuple[Transition, ...], ...]) -> tuple[Transition, ...]:
        """SCXML's ``selectTransitions``: for each active leaf the first candidate whose guard holds, no repetitions.

        A guard is asked once, however many leaves share it.
        """
        if len(candidates) == 1:
            for transition in candidates[0]:
                if transition.guard is None or transition.guard(self.context, self.event, self):
                    return (transition,)
            return ()
        enabled: dict[Transition, None] = {}
        answers: dict[Transition, bool] = {}
        for region in candidates:
            for transition in region:
                holds = answers.get(transition)
                if holds is None:
                    guard = transition.guard
                    holds = answers[transition] = guard is None or bool(guard(self.context, self.event, self))
                if holds:
                    enabled[transition] = None
                    break
        return tuple(enabled)

    def microstep(self, enabled: tuple[Transition, ...]) -> None:
        """SCXML's ``microstep``: leave, act, enter, for one set of transitions, as its plan says."""
        plan = plan_for(self.machine, self.configuration, enabled, self.history)
        self.microsteps += 1
        if self.microsteps > self.machine.max_microsteps - LOOP_EVIDENCE:
            self.watch_for_loop(plan.transitions)
        for action in plan.leave:
            action.perform(self)
        if plan.history:
            self.history = {**self.history, **plan.history}
        self.configuration = plan.target
        for action in plan.enter:
            action.perform(self)
        if self.scope.watch is not None:
            self.scope.watch(plan.transitions, plan.target)
        if plan.completes is not None:
            self.complete(plan.completes)

    def watch_for_loop(self, taken: tuple[Transition, ...]) -> None:
        """Remember the last microsteps; once the limit is passed, raise and name the transitions that go round."""
        self.recent += taken
        limit = self.machine.max_microsteps
        if self.microsteps > limit:
            loop = ", ".join(str(transition) for transition in dict.fromkeys(self.recent))
            raise MicrostepLimitExceeded(
                f"machine {self.machine.id!r} took more than {limit} microsteps for one event "
                f"({self.external_event['type']!r}); it goes round in: {loop}"
            )

    def complete(self, final: StateNode) -> None:
        """The machine has reached its end: what is queued is void, all is left, the output is the final's data."""
        output = None if final.data is None else final.data(self.context, self.event, self)
        self.leave_everything()
        self.status, self.output = "done", output
        self.effects.append(Done(output))

    def fail(self, event: JsonObject) -> None:
        """A child's error was handled by nobody: the machine ends in status ``error``."""
        self.leave_everything()
        self.status, self.error = "error", event.get("data")
        self.effects.append(Fail(self.error))

    def leave_everything(self) -> None:
        """SCXML's ``exitInterpreter``: exit actions of the whole configuration, innermost first; the children stop."""
        for node in reversed(self.configuration.active):
            self.perform(node.exit)
        for child in tuple(self.children.values()):
            if not child.detached:
                self.stop_child(child)

    # -- children and messages ---------------------------------------------------------------------

    def announce(self, invoke: Invoke) -> None:
        """Remember a child to start when the macrostep is over, with its event. Of two with one id the later has it."""
        self.withdraw(invoke.id)
        self.pending = {**self.pending, invoke.id: PendingChild(invoke, self.event)}

    def withdraw(self, child_id: str) -> None:
        """An announced child is not started after all; the messages held for it reach nobody."""
        pending = self.pending.get(child_id)
        if pending is None:
            return
        self.pending = {key: other for key, other in self.pending.items() if other is not pending}
        for message in pending.messages:
            self.no_receiver(child_id, message.event)

    def leave_invoke(self, invoke: Invoke) -> None:
        """The invoking state is left: its child stops, or is never started."""
        pending = self.pending.get(invoke.id)
        if pending is not None and pending.invoke is invoke:
            self.withdraw(invoke.id)
        child = self.children.get(invoke.id)
        if child is not None and child.state == invoke.state_id and not child.detached:
            self.stop_child(child)

    def start_pending(self) -> None:
        """Start the announced children in document order, each followed by the messages already sent to it."""
        for child_id, pending in self.pending.items():
            invoke = pending.invoke
            self.event = pending.event
            context = self.context if invoke.data is None else invoke.data(self.context, self.event, self)
            if isinstance(invoke.source, PersistentSource):
                source, version, detached = invoke.source.machine, invoke.source.version, invoke.source.detached
                instance: str | None = self.instance_name(invoke)
                if invoke.data is None:
                    context = None
                elif not isinstance(context, Mapping):
                    raise EventFailed(f"the data of persistent child {child_id!r} must be a mapping, not {context!r}")
            else:
                source, instance, version, detached = invoke.source, None, None, False
            self.start_child(
                child_id,
                source=source,
                instance=instance,
                version=version,
                context=context,
                has_data=invoke.data is not None,
                state=invoke.state_id,
                detached=detached,
                auto_forward=invoke.auto_forward,
                sync=invoke.sync,
                snapshots=invoke.snapshots,
                activity=invoke.is_activity,
                params=invoke.params,
                retry=invoke.retry,
            )
            target = target_of(self.children[child_id])
            self.effects += [msgspec.structs.replace(message, target=target) for message in pending.messages]
        self.pending = {}

    def instance_name(self, invoke: Invoke) -> str:
        """The name of the instance that an invocation starts."""
        if invoke.instance_name is None:
            return self.fresh_name()
        return checked_instance_name(invoke.instance_name(self.context, self.event, self), invoke.id)

    def start_child(
        self,
        child_id: str,
        *,
        source: str,
        context: Any,
        has_data: bool = False,
        instance: str | None = None,
        version: str | None = None,
        state: str | None = None,
        detached: bool = False,
        auto_forward: bool = False,
        sync: bool = False,
        snapshots: bool = False,
        activity: bool = False,
        params: Json = None,
        retry: Retry | None = None,
        behavior: Any = None,
    ) -> None:
        """Ask for a child and record it. A child that already runs under this id is stopped first."""
        running = self.children.get(child_id)
        if running is not None:
            self.stop_child(running)
        self.children_started += 1
        session = self.children_started
        child = Child(
            id=child_id,
            source=source,
            session=session,
            instance=instance,
            state=state,
            detached=detached,
            auto_forward=auto_forward,
            sync=sync,
            activity=activity,
            by_value=behavior is not None,
            retry=retry,
        )
        self.own_children()[child_id] = child
        if auto_forward:
            self.forwarding = (*self.forwarding, child_id)
        self.effects.append(
            StartChild(
                id=child_id,
                source=source,
                session=session,
                event=self.event,
                context=context,
                has_data=has_data,
                instance=instance,
                version=version,
                detached=detached,
                auto_forward=auto_forward,
                sync=sync,
                snapshots=snapshots,
                params=params,
                retry=retry,
                behavior=behavior,
            )
        )

    def stop_referenced(self, reference: Any) -> None:
        """Stop a child by id or reference, or activities by name; if none runs, an announced one. Other is no error."""
        name = reference
        if isinstance(reference, Mapping):
            name = reference.get("id")
            if reference.get("type") == ACTOR_REFERENCE and reference.get("path") != self.path_of_child(name):
                return  # somebody else's child
        running = [child for child in self.children.values() if name in names_of(child)]
        for child in running:
            self.stop_child(child)
        if not running:
            for child_id, pending in self.pending.items():
                if name in ((child_id, pending.invoke.source) if pending.invoke.is_activity else (child_id,)):
                    self.withdraw(child_id)

    def own_children(self) -> dict[str, Child]:
        """The children, as a dict that may be changed: a copy, made once however many start or stop."""
        if not self.owns_children:
            # Unlike dict(), copy() takes a dict with gaps over as it is: many children that end one by one cost less.
            self.children, self.owns_children = self.children.copy(), True
        return self.children

    def remove_child(self, child: Child) -> None:
        del self.own_children()[child.id]
        if child.auto_forward:
            self.forwarding = tuple(other for other in self.forwarding if other != child.id)

    def stop_child(self, child: Child) -> None:
        self.remove_child(child)
        self.effects.append(StopChild(child.id, child.session, child.source, child.instance))

    def forget_ended_child(self, event: JsonObject) -> Child | None:
        """A child that reports its end, well or badly, runs no more. The child, if this is such a report."""
        if self.scope.origin is not None:
            return None  # whoever sent it is still there, and says what it likes
        for prefix in (DONE_INVOKE, ERROR_PLATFORM):
            if event["type"].startswith(prefix):
                child = self.children.get(event["type"][len(prefix) :])
                if child is not None:
                    self.remove_child(child)
                    return child
        return None

    def end_activity(self, child: Child, event: JsonObject) -> None:
        """Nobody waits for an activity; only that one has failed is worth a word."""
        if event["type"].startswith(ERROR_PLATFORM):
            message = f"the activity {child.source!r} of machine {self.machine.id!r} failed: {event.get('data')}"
            self.effects.append(Warn(message))

    def forward_automatically(self, event: JsonObject) -> None:
        """Children that asked for it get every external event before the parent handles it; word of where a child
        stands is no news for them, and would go round for ever."""
        if event["type"].startswith(PROGRESS):
            return
        for child_id in self.forwarding:
            self.effects.append(Send(event, target_of(self.children[child_id]), event["type"]))

    def send(self, event: JsonObject, target: Target | None, send_id: str, delay: float | None) -> None:
        """Ask for a delivery. A message to a child that is about to start waits for it; one to nobody is reported."""
        if target is None:
            self.no_receiver("what is neither an id nor a reference", event)
            return
        if isinstance(target, ParentTarget) and not self.scope.has_parent:
            self.no_receiver("its parent", event)
            return
        if isinstance(target, ChildTarget):
            pending, child = self.pending.get(target.id), self.children.get(target.id)
            if pending is not None:
                pending.messages.append(Send(event, target, send_id, delay))
                return
            if child is None:
                self.no_receiver(target.id, event)
                return
            target = target_of(child)
        self.effects.append(Send(event, target, send_id, delay))

    def cancel(self, send_id: str) -> None:
        """Ask to forget delayed events; those to children that are about to start are forgotten here."""
        for pending in self.pending.values():
            pending.messages = [held for held in pending.messages if held.id != send_id or held.delay is None]
        self.effects.append(Cancel(send_id))

    def no_receiver(self, receiver: str, event: JsonObject) -> None:
        """A message to nobody: a warning, and an ``error.communication`` event that the machine may handle."""
        message = f"machine {self.machine.id!r} sent {event['type']!r} to {receiver!r}, which is not there"
        self.effects.append(Warn(message))
        self.raise_event(ERROR_COMMUNICATION, message)

    def raise_event(self, event_type: str, message: str) -> None:
        self.queue.append({"type": event_type, "data": {"message": message}})

    # -- what guards and assigners may ask ---------------------------------------------------------

    def meta(self, params: Json) -> Meta:
        return Meta(snapshot=self.before, params=params, reference=reference_of(self.scope.address))

    def path_of_child(self, child_id: Any) -> str:
        """Where an ephemeral child is, among all actors of its system."""
        above = path_of(self.scope.address)
        return f"{above}/{child_id}" if above else str(child_id)

    def target_at(self, path: Any) -> Target | None:
        """The ephemeral actor at a path: a child of this one, this one itself, or any other of its system."""
        if not isinstance(path, str) or not path:
            return None
        address, prefix = self.scope.address, self.path_of_child("")
        if isinstance(address, ActorTarget) and address.path == path:
            return SelfTarget()
        if path.startswith(prefix):
            child_id = path[len(prefix) :]
            if child_id in self.children or child_id in self.pending or "/" not in child_id:
                return ChildTarget(child_id)
        return ActorTarget(path)

    @property
    def origin(self) -> Target | None:
        """Who sent the event that is handled now."""
        return self.scope.origin if self.event is self.external_event else None

    def fresh_name(self) -> str:
        if self.scope.fresh_name is not None:
            return self.scope.fresh_name()
        return f"{self.machine.id}-{self.children_started + 1}"


class PendingChild:
    """A child announced in this macrostep, and the messages already sent to it."""

    __slots__ = ("event", "invoke", "messages")

    def __init__(self, invoke: Invoke, event: JsonObject) -> None:
        self.invoke = invoke
        self.event = event
        self.messages: list[Send] = []


def target_of(child: Child) -> Target:
    """Where a message to a child goes: a persistent one is addressed as the instance it is."""
    return ChildTarget(child.id) if child.instance is None else InstanceTarget(child.source, child.instance)


def names_of(child: Child) -> tuple[str, ...]:
    """What ``stop`` may call a child."""
    return (child.id, child.source) if child.activity else (child.id,)
