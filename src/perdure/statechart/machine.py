"""The parsed machine: state nodes in document order, every reference resolved.

Built by a front end (``config`` for XState v4's language) and never changed afterwards, except that a machine fills its
own caches as it runs: its interned configurations and their plans. Nothing behind the front end knows which language
the author wrote.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias

from perdure.json_value import Json, JsonObject
from perdure.statechart.guard import Test
from perdure.statechart.snapshot import C, Snapshot, StateValue

if TYPE_CHECKING:
    from perdure.statechart.action import Action
    from perdure.statechart.callables import UniformCall
    from perdure.statechart.configuration import Configuration
    from perdure.statechart.event import EventLike
    from perdure.statechart.macrostep import Macrostep
    from perdure.statechart.typed_machine import Schemas
from perdure.statechart.retry import Retry

__all__ = [
    "ActorLogic",
    "After",
    "Beginning",
    "Implementations",
    "Invoke",
    "Machine",
    "PersistentSource",
    "StateKind",
    "StateNode",
    "Transition",
    "find_conflict",
]

StateKind: TypeAlias = Literal["atomic", "compound", "parallel", "final", "history"]


@dataclass(slots=True, eq=False)
class Transition:
    """One candidate. Transitions are compared by identity; ``order`` is their place in the document."""

    source: StateNode
    event: str
    """The descriptor it listens to; empty for an eventless (``always``) transition."""
    guard: Test | None
    actions: tuple[Action, ...]
    targets: tuple[StateNode, ...]
    """Empty for a targetless transition, which never leaves its source."""
    is_internal: bool
    order: int
    histories: tuple[str, ...] = ()
    """The ids of the history states among the targets: all that an outcome can depend on besides the configuration."""

    def __repr__(self) -> str:
        targets = ", ".join(target.id for target in self.targets)
        return f"<{self.source.id} --{self.event or 'always'}--> {targets or '(nowhere)'}>"


@dataclass(slots=True, eq=False)
class PersistentSource:
    """What an invocation starts when it is not a service of this machine but an instance of another one."""

    machine: str
    name: str | Callable[..., Any] | None = None
    version: str | None = None
    detached: bool = False


class ActorLogic:
    """What a child may be besides a machine and a callable: the base class by which a build knows it for a service.

    The engine only hands it on; ``perdure.actors.logic`` has the kinds there are, and runs them.
    """

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Invoke:
    """A child tied to a state: started once the state is entered to stay, stopped when it is left."""

    id: str
    state_id: str
    source: str | PersistentSource
    """The name of a service of this machine, or a persistent source."""
    data: Callable[[Any, JsonObject, Any], Any] | None
    """Computes the child's context from the parent's; ``None`` passes the parent's context to a service."""
    instance_name: UniformCall | None = None
    auto_forward: bool = False
    sync: bool = False
    snapshots: bool = False
    """Whether the machine wants to know of every step of the child."""
    is_activity: bool = False
    """Whether it is one of the state's activities, whose end nobody waits for."""
    params: Json = None
    retry: Retry | None = None
    """How it is tried again when it fails; ``None`` is once and never again."""


@dataclass(slots=True, eq=False)
class After:
    """A timer that runs while a state is active."""

    event: str
    delay: UniformCall
    """Gives milliseconds, or the name of a delay that nobody knows."""


@dataclass(slots=True, eq=False)
class StateNode:
    """One state. Nodes are compared by identity; ``order`` is document order, parents before children."""

    id: str
    key: str
    path: tuple[str, ...]
    parent: StateNode | None
    order: int = 0
    last: int = 0
    """The order of the last descendant, or its own: the descendants are exactly those numbered in between."""
    kind: StateKind = "atomic"
    children: dict[str, StateNode] = field(default_factory=dict)
    initial: tuple[StateNode, ...] = ()
    """The states that default entry of a compound state leads to."""
    entry: tuple[Action, ...] = ()
    exit: tuple[Action, ...] = ()
    transitions: list[Transition] = field(default_factory=list)
    always: list[Transition] = field(default_factory=list)
    afters: tuple[After, ...] = ()
    activities: tuple[Invoke, ...] = ()
    invokes: tuple[Invoke, ...] = ()
    is_deep_history: bool = False
    history_target: tuple[StateNode, ...] = ()
    """Where a history state leads when its parent was never left; empty for the parent's initial state."""
    histories: list[StateNode] = field(default_factory=list)
    """The history states among the children."""
    data: Callable[[Any, JsonObject, Any], Any] | None = None
    """Computes what a final state gives to its parent's done event."""
    tags: tuple[str, ...] = ()
    meta: Json = None
    description: str | None = None

    def ancestors(self) -> Iterator[StateNode]:
        """SCXML's ``getProperAncestors``: innermost first, up to the root."""
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def descends_from(self, other: StateNode) -> bool:
        """SCXML's ``isDescendant``: whether this node is a proper descendant of ``other``."""
        return other.order < self.order <= other.last

    def encloses(self, other: StateNode) -> bool:
        """Whether ``other`` is a proper descendant of this node."""
        return other.descends_from(self)

    @property
    def states(self) -> Iterator[StateNode]:
        """SCXML's ``getChildStates``: the children that can be active, which are all but the history states."""
        return (child for child in self.children.values() if child.kind != "history")

    def __repr__(self) -> str:
        return f"<{self.kind} {self.id}>"


def find_conflict(targets: Iterable[StateNode]) -> tuple[StateNode, StateNode] | None:
    """Two of the states that no configuration can hold both; ``None`` when all can be entered together.

    States conflict when they lie in different children of a compound state. A history state stands for everything in
    its parent, so that it conflicts with any other state in there.
    """
    chosen: dict[StateNode, tuple[StateNode, StateNode]] = {}
    for target in targets:
        child = target
        for parent in target.ancestors():
            other_child, other = chosen.setdefault(parent, (child, target))
            if other_child is not child and (parent.kind == "compound" or "history" in (child.kind, other_child.kind)):
                return other, target
            child = parent
    return None


@dataclass(slots=True, frozen=True)
class Implementations:
    """The named parts a config refers to."""

    actions: Mapping[str, Any] = field(default_factory=dict)
    guards: Mapping[str, Any] = field(default_factory=dict)
    services: Mapping[str, Any] = field(default_factory=dict)
    delays: Mapping[str, Any] = field(default_factory=dict)

    def merged(
        self,
        actions: Mapping[str, Any] | None,
        guards: Mapping[str, Any] | None,
        services: Mapping[str, Any] | None,
        delays: Mapping[str, Any] | None,
    ) -> Implementations:
        """These parts with some of them replaced; what is no mapping is left to be found by whoever checks them."""

        def merge(ours: Mapping[str, Any], others: Any) -> Any:
            if others is None:
                return ours
            return {**ours, **others} if isinstance(others, Mapping) else others

        return Implementations(
            merge(self.actions, actions),
            merge(self.guards, guards),
            merge(self.services, services),
            merge(self.delays, delays),
        )


Beginning: TypeAlias = "tuple[tuple[Action, ...], StateNode | None, Configuration]"
"""The actions of entering a machine, the state that ends it there if one does, and where it then stands."""


class Machine(Generic[C]):
    """A statechart, ready to run. Make one with ``create_machine``; run it with ``initial`` and ``transition``.

    ``C`` is the type of its context.
    """

    def __init__(
        self,
        *,
        root: StateNode,
        nodes: tuple[StateNode, ...],
        context: Callable[[], JsonObject],
        actions: Mapping[str, Callable[..., Any]],
        services: Mapping[str, Any],
        resolve_action: Callable[[Any, str], Action],
        resolve_service: Callable[[str], tuple[str | PersistentSource, Json]],
        config: Mapping[str, Any],
        implementations: Implementations,
        schemas: Schemas | None,
        macrostep: type[Macrostep],
        rebuild: Callable[[Mapping[str, Any], Implementations], Machine[C]],
        max_microsteps: int,
    ) -> None:
        self.id = root.id
        self.root = root
        self.nodes = nodes
        self.by_id = {node.id: node for node in nodes}
        self.initial_context = context
        self.actions = actions
        """Every custom action a ``RunAction`` effect may name, inline ones under their place in the config."""
        self.services = services
        """Every service a ``StartChild`` effect may name, inline ones under their place in the config."""
        self.resolve_action = resolve_action
        """Turns an action that ``pure`` returned at run time into an ``Action``; raises ``EventFailed``."""
        self.resolve_service = resolve_service
        """What a service that ``spawn`` names at run time stands for, and its parameters; raises ``EventFailed``."""
        self.config = config
        self.implementations = implementations
        self.schemas = schemas
        """What context and events are made of; ``None`` when they are dicts."""
        self.macrostep = macrostep
        """The kind of macrostep it runs: with schemas another one."""
        self.rebuild = rebuild
        """Builds a machine in the same way from another config or with other parts."""
        self.max_microsteps = max_microsteps
        """How many microsteps one event may set off."""
        self.beginning: Beginning | None = None
        """What entering it does, once that has been worked out."""
        self.configurations: dict[tuple[str, ...], Configuration] = {}
        """Interned configurations by the ids of their leaves; bounded, see ``configuration``."""
        self.cached = 0
        """The size of that cache."""

    def __repr__(self) -> str:
        return f"<Machine {self.id}: {len(self.nodes)} states>"

    # -- the same machine with other parts ---------------------------------------------------------

    def with_config(
        self,
        *,
        actions: Mapping[str, Any] | None = None,
        guards: Mapping[str, Any] | None = None,
        services: Mapping[str, Any] | None = None,
        delays: Mapping[str, Any] | None = None,
    ) -> Machine[C]:
        """This machine with some of its named parts implemented otherwise. Raises ``MachineConfigError``."""
        return self.rebuild(self.config, self.implementations.merged(actions, guards, services, delays))

    def with_context(self, context: Any) -> Machine[C]:
        """This machine with another initial context, which replaces its own. Raises ``MachineConfigError``."""
        return self.rebuild({**self.config, "context": context}, self.implementations)

    # -- where it stands: see state_api, which is on top of the engine and so is imported when it is asked ------------

    @property
    def initial_snapshot(self) -> Snapshot[C]:
        """Where a new actor stands. The effects of entering are left out: ``initial`` has them."""
        from perdure.statechart.step import initial

        return initial(self).snapshot

    def transition(self, snapshot: Snapshot[C] | StateValue, event: EventLike) -> Snapshot[C]:
        """Where an event would lead from a snapshot, or from a state value with the initial context.

        The effects are left out: the function ``transition`` has them, and says what may be raised.
        """
        from perdure.statechart.state_api import next_snapshot

        return next_snapshot(self, snapshot, event)

    def resolve(self, value: StateValue = None, context: Any = None) -> Snapshot[C]:
        """A snapshot that stands at a state value, which may say less than there is to say: initial states are added.

        ``value`` is a path, a list of keys or a nested value; ``context`` replaces the initial one. Nothing is entered:
        no action runs, no timer or child is started, there is no history, and a machine at its end has no output.
        Raises ``InvalidParameter`` when this machine cannot stand there.
        """
        from perdure.statechart.state_api import resolve

        return resolve(self, value, context)

    def can(self, snapshot: Snapshot[C], event: EventLike) -> bool:
        """Whether the event would do anything: whether it enables a transition that has a target or actions."""
        from perdure.statechart.state_api import can

        return can(self, snapshot, event)

    def next_events(self, snapshot: Snapshot[C]) -> tuple[str, ...]:
        """The event descriptors of the active states, outer states first. Guards are not asked, and what the machine
        sends itself (timers, ends of children) is among them.
        """
        from perdure.statechart.state_api import next_events

        return next_events(self, snapshot)

    def meta(self, snapshot: Snapshot[C]) -> dict[str, Json]:
        """The ``meta`` of the active states, by their ids."""
        from perdure.statechart.state_api import meta

        return meta(self, snapshot)

    def restore(self, data: bytes | str) -> Snapshot[C]:
        """Read what ``encode_snapshot`` wrote. Raises ``SnapshotMismatch``, saying what, for anything that is no
        snapshot, is of another machine or format, or names states and services that this machine does not have.
        """
        from perdure.statechart.state_api import restore

        return restore(self, data)
