"""Macrosteps: from one stable configuration, and an event, to the next.

The loop is SCXML's ``mainEventLoop`` without its waiting: an external event is taken, then eventless transitions until
none is enabled, then one internal event and again the eventless ones, until the queue is empty; what the machine asks
of the world is collected as effects and performed by others. All functions here are pure: equal arguments give equal
results, and when one raises, nothing has happened.
https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from perdure.errors import EventFailed, MicrostepLimitExceeded, SnapshotMismatch
from perdure.json_value import Json, JsonObject
from perdure.statechart.callables import Meta
from perdure.statechart.configuration import Configuration, configuration_of, restore_configuration
from perdure.statechart.effect import (
    ChildTarget,
    Done,
    Effect,
    Fail,
    InstanceTarget,
    ParentTarget,
    Send,
    StartChild,
    StopChild,
    Target,
    Warn,
)
from perdure.statechart.entry_exit import add_with_ancestors, complete_by_default
from perdure.statechart.event import (
    DONE_INVOKE,
    ERROR_COMMUNICATION,
    ERROR_PLATFORM,
    INIT,
    STOP,
    to_event,
)
from perdure.statechart.machine import Invoke, Machine, PersistentSource, StateNode, Transition
from perdure.statechart.plan import entry_program, plan_for
from perdure.statechart.snapshot import Child, Snapshot

__all__ = ["Macrostep", "Scope", "Step", "initial", "stop", "transition"]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must be told about the world outside the machine."""

    fresh_name: Callable[[], str] | None = None
    """Names persistent children that were given no name; by default they are numbered."""
    has_parent: bool = True
    """Whether ``send_parent`` reaches anybody."""


class Step(msgspec.Struct, frozen=True):
    """The outcome of a macrostep: the next snapshot, and the effects to perform, in order, once it is safe."""

    snapshot: Snapshot
    effects: tuple[Effect, ...]
    changed: bool
    """Whether the state value, the context or the children differ, or anything was asked of the world."""


DEFAULT_SCOPE = Scope()


def initial(machine: Machine, context: JsonObject | None = None, *, scope: Scope = DEFAULT_SCOPE) -> Step:
    """Enter the machine. ``context`` is merged over the machine's own initial context, key by key.

    Raises ``EventFailed`` when user code raises, ``MicrostepLimitExceeded`` when it does not become stable.
    """
    event: JsonObject = {"type": INIT}
    step = Macrostep(machine, None, event, scope)
    step.context = {**machine.initial_context(), **(context or {})}
    entering: set[StateNode] = set()
    complete_by_default(entering, add_with_ancestors(machine.root, None, entering), {})
    active: set[StateNode] = set()
    program, completes = entry_program(machine, entering, active)
    step.configuration = configuration_of(machine, active)
    for action in program:
        action.perform(step)
    if completes is not None:
        step.complete(completes)
    return step.run_to_stable()


def transition(machine: Machine, snapshot: Snapshot, event: JsonObject | str, *, scope: Scope = DEFAULT_SCOPE) -> Step:
    """Handle one external event. A machine that has ended ignores it.

    Raises ``EventFailed`` when a guard, an assigner or another pure part of the machine raises,
    ``MicrostepLimitExceeded`` when it does not become stable, ``SnapshotMismatch`` when the snapshot is not of this
    machine, ``InvalidParameter`` for what is no event. In each case the snapshot still stands.
    """
    if snapshot.machine != machine.id:
        raise SnapshotMismatch(f"the snapshot is of machine {snapshot.machine!r}, not of {machine.id!r}")
    if snapshot.status != "active":
        return Step(snapshot, (), False)
    event = to_event(event)
    step = Macrostep(machine, snapshot, event, scope)
    step.forget_ended_child(event)
    step.forward_automatically(event)
    step.take(event)
    return step.run_to_stable()


def stop(machine: Machine, snapshot: Snapshot, *, scope: Scope = DEFAULT_SCOPE) -> Step:
    """Stop an actor from outside: exit actions run, innermost first, and its children stop. It ends without output."""
    if snapshot.status != "active":
        return Step(snapshot, (), False)
    step = Macrostep(machine, snapshot, {"type": STOP}, scope)
    step.leave_everything()
    return step.finish("stopped")


class Macrostep:
    """The working state of one macrostep. Actions change it; nobody outside this package sees it."""

    __slots__ = (
        "before",
        "children",
        "children_started",
        "configuration",
        "context",
        "effects",
        "error",
        "event",
        "external_event",
        "history",
        "machine",
        "output",
        "pending",
        "queue",
        "recent",
        "scope",
        "status",
    )

    def __init__(self, machine: Machine, before: Snapshot | None, event: JsonObject, scope: Scope) -> None:
        self.machine = machine
        self.before = before
        self.scope = scope
        self.external_event = event
        self.event = event
        """The event that guards and actions see now."""
        self.effects: list[Effect] = []
        self.queue: deque[JsonObject] = deque()
        """Internal events, first in first out."""
        self.pending: dict[str, PendingChild] = {}
        """Children announced by states entered in this macrostep, by id."""
        self.recent: list[Configuration] = []
        """Where the last microsteps led, kept only when the limit draws near, to name a loop."""
        self.status: str = "active"
        self.output: Json = None
        self.error: Json = None
        self.configuration: Configuration
        self.context: Any
        if before is None:
            self.history: dict[str, tuple[str, ...]] = {}
            self.children: dict[str, Child] = {}
            self.children_started = 0
            return
        found = machine.configurations.get(before.configuration)
        self.configuration = found or restore_configuration(machine, before.configuration)
        self.context = before.context
        self.history = before.history
        self.children = before.children
        self.children_started = before.children_started

    # -- the algorithm -----------------------------------------------------------------------------

    def take(self, event: JsonObject) -> None:
        """Take the transitions that an event enables; an error of a child that enables none ends the machine."""
        self.event = event
        enabled = self.select_transitions(event)
        if enabled:
            self.microstep(enabled)
        elif event["type"].startswith(ERROR_PLATFORM):
            self.fail(event)

    def run_to_stable(self) -> Step:
        """Eventless transitions and internal events, until there are none; then start what was announced."""
        microsteps = 0
        while self.status == "active":
            microsteps += 1
            if microsteps > self.machine.max_microsteps - LOOP_EVIDENCE:
                self.check_limit(microsteps)
            if self.configuration.always:
                self.event = self.external_event
                enabled = self.enabled_among(self.configuration.always)
                if enabled:
                    self.microstep(enabled)
                    continue
            if not self.queue:
                break
            self.take(self.queue.popleft())
        if self.status == "active":
            self.start_pending()
        return self.finish(self.status)

    def select_transitions(self, event: JsonObject) -> tuple[Transition, ...]:
        """SCXML's ``selectTransitions``: for each active leaf the innermost enabled transition, without repetitions."""
        return self.enabled_among(self.configuration.candidates_for(self.machine, event["type"]))

    def enabled_among(self, candidates: tuple[tuple[Transition, ...], ...]) -> tuple[Transition, ...]:
        """The first candidate of each leaf whose guard holds. A guard is asked once, however many leaves share it."""
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
                    holds = answers[transition] = guard is None or guard(self.context, self.event, self)
                if holds:
                    enabled[transition] = None
                    break
        return tuple(enabled)

    def microstep(self, enabled: tuple[Transition, ...]) -> None:
        """Leave, act, enter: one set of transitions, as its plan says."""
        plan = plan_for(self.machine, self.configuration, enabled, self.history)
        for action in plan.leave:
            action.perform(self)
        if plan.history:
            self.history = {**self.history, **plan.history}
        self.configuration = plan.target
        for action in plan.enter:
            action.perform(self)
        if plan.completes is not None:
            self.complete(plan.completes)

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
        """Exit actions of the whole configuration, innermost first; the children stop."""
        self.queue.clear()
        for node in sorted(self.configuration.nodes, key=lambda node: -node.order):
            for action in node.exit:
                action.perform(self)
        self.queue.clear()
        for child_id in list(self.children):
            if not self.children[child_id].detached:
                self.stop_child(child_id)

    def finish(self, status: Any) -> Step:
        before = self.before
        effects = tuple(self.effects)
        configuration = self.configuration
        if before is not None and not effects and status == "active":
            same = configuration.leaves == before.configuration and self.context is before.context
            if same and self.children is before.children and self.history is before.history:
                return Step(before, (), False)
        snapshot = Snapshot(
            machine=self.machine.id,
            configuration=configuration.leaves,
            value=configuration.value,
            context=self.context,
            history=self.history,
            children=self.children,
            children_started=self.children_started,
            tags=configuration.tags,
            status=status,
            output=self.output,
            error=self.error,
        )
        changed = (
            before is None
            or bool(effects)
            or configuration.leaves != before.configuration
            or self.children != before.children
            or self.context != before.context
            or status != before.status
        )
        return Step(snapshot, effects, changed)

    def check_limit(self, microsteps: int) -> None:
        """Raise once the limit is passed, naming the states that the last microsteps went round in."""
        self.recent.append(self.configuration)
        if microsteps <= self.machine.max_microsteps:
            return
        visited = [str(configuration.value) for configuration in dict.fromkeys(self.recent)]
        raise MicrostepLimitExceeded(
            f"machine {self.machine.id!r} took more than {self.machine.max_microsteps} microsteps for one event "
            f"({self.external_event['type']!r}); it goes round in: {' -> '.join(visited)}"
        )

    # -- children and messages ---------------------------------------------------------------------

    def announce(self, invoke: Invoke) -> None:
        """Remember a child to start when the macrostep is over, with the event that its state was entered by."""
        self.pending[invoke.id] = PendingChild(invoke, self.event)

    def leave_invoke(self, invoke: Invoke) -> None:
        """The invoking state is left: its child stops, or was never started, and then messages to it reach nobody."""
        pending = self.pending.pop(invoke.id, None)
        if pending is not None:
            for message in pending.messages:
                self.no_receiver(invoke.id, message.event)
        child = self.children.get(invoke.id)
        if child is not None and child.state == invoke.state_id and not child.detached:
            self.stop_child(invoke.id)

    def start_pending(self) -> None:
        """Start the announced children in document order, each followed by the messages already sent to it."""
        for child_id, pending in self.pending.items():
            invoke = pending.invoke
            self.event = pending.event
            context = self.context
            if invoke.data is not None:
                context = invoke.data(self.context, self.event, self)
            elif isinstance(invoke.source, PersistentSource):
                context = None
            if isinstance(invoke.source, PersistentSource):
                instance = self.fresh_name()
                if invoke.instance_name is not None:
                    instance = invoke.instance_name(self.context, self.event, self)
                    if not isinstance(instance, str):
                        raise EventFailed(f"the name of persistent child {child_id!r} must be a string")
                source, version, detached = invoke.source.machine, invoke.source.version, invoke.source.detached
            else:
                source, instance, version, detached = invoke.source, None, None, False
            self.start_child(
                child_id,
                source=source,
                instance=instance,
                version=version,
                context=context,
                state=invoke.state_id,
                detached=detached,
                auto_forward=invoke.auto_forward,
                sync=invoke.sync,
                params=invoke.params,
            )
            target = target_of(self.children[child_id])
            self.effects += [msgspec.structs.replace(message, target=target) for message in pending.messages]
        self.pending = {}

    def start_child(
        self,
        child_id: str,
        *,
        source: str,
        context: Any,
        instance: str | None = None,
        version: str | None = None,
        state: str | None = None,
        detached: bool = False,
        auto_forward: bool = False,
        sync: bool = False,
        params: Json = None,
    ) -> None:
        """Ask for a child and record it. A child that already runs under this id is stopped first."""
        if child_id in self.children:
            self.stop_child(child_id)
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
        )
        self.children = {**self.children, child_id: child}
        self.effects.append(
            StartChild(
                id=child_id,
                source=source,
                session=session,
                event=self.event,
                context=context,
                instance=instance,
                version=version,
                detached=detached,
                auto_forward=auto_forward,
                sync=sync,
                params=params,
            )
        )

    def stop_child(self, reference: Any) -> None:
        """Stop a child given by id or reference. One that does not run (any more) is no error, as in XState."""
        child_id = reference.get("id") if isinstance(reference, dict) else reference
        child = self.children.get(child_id) if isinstance(child_id, str) else None
        if child is None:
            return
        self.children = {key: other for key, other in self.children.items() if key != child_id}
        self.effects.append(StopChild(child.id, child.session, child.source, child.instance))

    def forget_ended_child(self, event: JsonObject) -> None:
        """A child that reports its end, well or badly, runs no more."""
        for prefix in (DONE_INVOKE, ERROR_PLATFORM):
            if event["type"].startswith(prefix):
                child_id = event["type"][len(prefix) :]
                if child_id in self.children:
                    self.children = {key: child for key, child in self.children.items() if key != child_id}

    def forward_automatically(self, event: JsonObject) -> None:
        """Children that asked for it get every external event before the parent handles it."""
        for child in self.children.values():
            if child.auto_forward:
                self.effects.append(Send(event, target_of(child), event["type"]))

    def send(self, event: JsonObject, target: Target | None, send_id: str, delay: float | None) -> None:
        """Ask for a delivery. A message to a child that is about to start waits for it; one to nobody is reported."""
        if isinstance(target, ChildTarget):
            if target.id not in self.children and target.id not in self.pending:
                self.no_receiver(target.id, event)
                return
            if target.id in self.pending:
                self.pending[target.id].messages.append(Send(event, target, send_id, delay))
                return
            target = target_of(self.children[target.id])
        elif target is None or (isinstance(target, ParentTarget) and not self.scope.has_parent):
            self.no_receiver("its parent" if target else "what is neither an id nor a reference", event)
            return
        self.effects.append(Send(event, target, send_id, delay))

    def no_receiver(self, receiver: str, event: JsonObject) -> None:
        """A message to nobody: a warning, and an ``error.communication`` event that the machine may handle."""
        message = f"machine {self.machine.id!r} sent {event['type']!r} to {receiver!r}, which is not there"
        self.effects.append(Warn(message))
        self.raise_event(ERROR_COMMUNICATION, message)

    def raise_event(self, event_type: str, message: str) -> None:
        self.queue.append({"type": event_type, "data": {"message": message}})

    # -- what guards and assigners may ask ---------------------------------------------------------

    def meta(self, params: Json) -> Meta:
        return Meta(snapshot=self.before, params=params)

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


LOOP_EVIDENCE = 20
"""How many of the last microsteps before the limit are remembered to name the loop."""
