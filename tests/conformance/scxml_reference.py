"""A second interpreter, slow and literal: SCXML's Appendix D as the specification has it, over a small config language.

It shares nothing with ``perdure.statechart``: it reads the config itself, recurses where the specification does, and
keeps no cache. Each procedure has the specification's name in snake case. What perdure decided otherwise is marked
*Decision*; docs/conformance.md gives the reasons.
https://www.w3.org/TR/scxml/#AlgorithmforSCXMLInterpretation

The language: states by key with unique ``id``s, targets as ``#id``; actions are names: ``raise:E``, ``send:E``,
``inc:k``, ``see:k`` (the event's type), anything else is traced with the context and the event it saw;
guards are ``yes``, ``no``, ``zero:k``, ``event:E``; ``in`` is ``#id``; a final state's ``data`` is the key of a value
in the context.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


class EndlessLoop(Exception):
    """The macrostep took more microsteps than it may."""


@dataclass(eq=False)
class State:
    id: str
    kind: str
    parent: State | None
    place: int
    entry: list[str]
    exit: list[str]
    data: str | None
    initial: list[str] = field(default_factory=list)
    deep: bool = False
    default: list[str] = field(default_factory=list)
    children: list[State] = field(default_factory=list)
    transitions: list[Move] = field(default_factory=list)


@dataclass(eq=False)
class Move:
    source: State
    event: str
    cond: str | None
    inside: str | None
    target: list[str]
    internal: bool
    actions: list[str]


def names(value: Any) -> list[str]:
    """One name, a list of names or nothing, as a list."""
    return [] if value is None else [value] if isinstance(value, str) else list(value)


class Reference:
    """One actor."""

    def __init__(self, config: dict[str, Any], max_microsteps: int) -> None:
        self.by_id: dict[str, State] = {}
        self.root = self.read(config, None)
        self.max_microsteps = max_microsteps
        self.context: dict[str, Any] = dict(config.get("context", {}))
        self.configuration: set[State] = set()
        self.history_value: dict[State, set[State]] = {}
        self.internal_queue: list[Event] = []
        self.trace: list[tuple[Any, ...]] = []
        self.running = True
        self.output: Any = None
        self.event: Event = {"type": "xstate.init"}

    # -- reading the config ------------------------------------------------------------------------

    def read(self, config: dict[str, Any], parent: State | None) -> State:
        kind = config.get("type") or ("compound" if config.get("states") else "atomic")
        state = State(
            config["id"], kind, parent, len(self.by_id), names(config.get("entry")), names(config.get("exit")),
            config.get("data"),
        )  # fmt: skip
        self.by_id[state.id] = state
        state.deep = config.get("history") == "deep"
        state.default = [target.removeprefix("#") for target in names(config.get("target"))]
        state.initial = [target.removeprefix("#") for target in names(config.get("initial"))]
        for event, candidates in [*config.get("on", {}).items(), ("", config.get("always", []))]:
            for candidate in candidates:
                state.transitions.append(
                    Move(
                        state,
                        event,
                        candidate.get("cond"),
                        candidate.get("in"),
                        [target.removeprefix("#") for target in names(candidate.get("target"))],
                        candidate.get("internal", False),
                        names(candidate.get("actions")),
                    )
                )
        for child in config.get("states", {}).values():
            state.children.append(self.read(child, state))
        return state

    # -- the event loop ----------------------------------------------------------------------------

    def interpret(self) -> None:
        self.microsteps = 0
        external = self.event
        self.enter_states_of(self.states_to_enter_first())
        self.macrostep(external)

    def handle(self, event: Event) -> None:
        if not self.running:
            return
        self.microsteps = 0
        self.trace = []
        self.event = event
        self.microstep(self.select_transitions(event["type"]))
        self.macrostep(event)

    def macrostep(self, external: Event) -> None:
        while self.running:
            self.event = external  # Decision: eventless transitions see the event that began the macrostep.
            enabled = self.select_transitions("")
            if not enabled:
                if not self.internal_queue:
                    return
                self.event = self.internal_queue.pop(0)
                enabled = self.select_transitions(self.event["type"])
            self.microstep(enabled)
        self.exit_interpreter()

    def exit_interpreter(self) -> None:
        self.internal_queue = []
        for state in self.in_document_order(self.configuration, reverse=True):
            self.execute(state.exit)

    def microstep(self, enabled: list[Move]) -> None:
        if not enabled:
            return
        self.microsteps += 1
        if self.microsteps > self.max_microsteps:
            raise EndlessLoop
        enabled = self.remove_conflicting_transitions(enabled)
        # Decision: an internal transition of an atomic state to itself leaves nothing and so enters nothing.
        moving = [move for move in enabled if not self.stays_where_it_is(move)]
        self.exit_states(enabled)
        for move in enabled:
            self.execute(move.actions)
        self.enter_states_of(self.compute_entry_set(moving))

    def stays_where_it_is(self, move: Move) -> bool:
        domain = self.get_transition_domain(move) if move.target else None
        return domain is not None and self.is_atomic(domain)

    # -- selection ---------------------------------------------------------------------------------

    def select_transitions(self, event_type: str) -> list[Move]:
        enabled: list[Move] = []
        for leaf in self.in_document_order(state for state in self.configuration if not state.children):
            for state in [leaf, *self.get_proper_ancestors(leaf, None)]:
                move = self.first_enabled(state, event_type)
                if move is not None:
                    if move not in enabled:
                        enabled.append(move)
                    break
        return enabled

    def first_enabled(self, state: State, event_type: str) -> Move | None:
        """Decision: the longest matching descriptor of a state first, the star last."""
        exact = [move for move in state.transitions if move.event == event_type]
        prefixes: list[Move] = []
        for length in range(len(event_type), 0, -1):
            prefix = event_type[:length]
            if prefix == event_type or event_type[length] == ".":
                prefixes += [move for move in state.transitions if move.event == f"{prefix}.*"]
        stars = [move for move in state.transitions if move.event == "*" and event_type]
        for move in [*exact, *prefixes, *stars]:
            if self.condition_match(move):
                return move
        return None

    def condition_match(self, move: Move) -> bool:
        if move.inside is not None and self.by_id[move.inside.removeprefix("#")] not in self.configuration:
            return False
        word, _, name = (move.cond or "yes").partition(":")
        if word == "zero":
            return not self.context.get(name)
        if word == "event":
            return bool(self.event["type"] == name)
        return word == "yes"

    def remove_conflicting_transitions(self, enabled: list[Move]) -> list[Move]:
        filtered: list[Move] = []
        for one in enabled:
            preempted = False
            to_remove: list[Move] = []
            for other in filtered:
                if self.compute_exit_set([one]) & self.compute_exit_set([other]):
                    if self.is_descendant(one.source, other.source):
                        to_remove.append(other)
                    else:
                        preempted = True
                        break
            if not preempted:
                filtered = [other for other in filtered if other not in to_remove] + [one]
        return filtered

    # -- leaving -----------------------------------------------------------------------------------

    def exit_states(self, enabled: list[Move]) -> None:
        leaving = self.compute_exit_set(enabled)
        for state in leaving:
            for history in state.children:
                if history.kind == "history":
                    self.history_value[history] = {
                        other
                        for other in self.configuration
                        if (self.is_atomic(other) and self.is_descendant(other, state) if history.deep
                            else other.parent is state)
                    }  # fmt: skip
        for state in self.in_document_order(leaving, reverse=True):
            self.execute(state.exit)
        self.configuration -= leaving

    def compute_exit_set(self, enabled: list[Move]) -> set[State]:
        leaving: set[State] = set()
        for move in enabled:
            if move.target:
                domain = self.get_transition_domain(move)
                leaving |= {state for state in self.configuration if self.is_descendant(state, domain)}
        return leaving

    # -- entering ----------------------------------------------------------------------------------

    def states_to_enter_first(self) -> set[State]:
        entering: set[State] = set()
        self.add_descendant_states_to_enter(self.root, entering)
        return entering

    def compute_entry_set(self, enabled: list[Move]) -> set[State]:
        entering: set[State] = set()
        for move in enabled:
            if move.target:
                domain = self.get_transition_domain(move)
                # Decision: nothing outside the domain, where nothing was left; the specification's handling of a
                # history state adds ancestors up to its parent, which may lie further out.
                entering |= {state for state in self.states_to_enter(move, domain) if self.is_descendant(state, domain)}
        return entering

    def states_to_enter(self, move: Move, domain: State | None) -> set[State]:
        entering: set[State] = set()
        targets = [self.by_id[target] for target in move.target]
        for target in targets:
            if target is domain:
                # Decision: internal to the source itself; the source stays, what was in it starts over.
                self.add_default_children(target, entering)
            else:
                self.add_descendant_states_to_enter(target, entering)
        for target in self.get_effective_target_states(targets):
            if target is not domain:
                self.add_ancestor_states_to_enter(target, domain, entering)
        if domain is not None and domain.kind == "parallel":
            # Decision: the domain may be parallel; then its other regions have been left and start over.
            self.add_missing_regions(domain, entering)
        return entering

    def add_descendant_states_to_enter(self, state: State, entering: set[State]) -> None:
        if state.kind == "history":
            assert state.parent is not None
            for target in self.history_targets(state):
                self.add_descendant_states_to_enter(target, entering)
            for target in self.history_targets(state):
                self.add_ancestor_states_to_enter(target, state.parent, entering)
            if state.parent.kind == "parallel":
                self.add_missing_regions(state.parent, entering)
            return
        entering.add(state)
        self.add_default_children(state, entering)

    def add_default_children(self, state: State, entering: set[State]) -> None:
        if state.kind == "compound":
            for target in self.initial_states(state):
                self.add_descendant_states_to_enter(target, entering)
                self.add_ancestor_states_to_enter(target, state, entering)
        elif state.kind == "parallel":
            self.add_missing_regions(state, entering)

    def add_ancestor_states_to_enter(self, state: State, until: State | None, entering: set[State]) -> None:
        for ancestor in self.get_proper_ancestors(state, until):
            entering.add(ancestor)
            if ancestor.kind == "parallel":
                self.add_missing_regions(ancestor, entering)

    def add_missing_regions(self, parallel: State, entering: set[State]) -> None:
        for child in self.get_child_states(parallel):
            if child not in entering and not any(self.is_descendant(state, child) for state in entering):
                self.add_descendant_states_to_enter(child, entering)

    def enter_states_of(self, entering: set[State]) -> None:
        announced: set[State] = set()
        for state in self.in_document_order(entering):
            self.configuration.add(state)
            self.execute(state.entry)
            if state.kind == "final":
                self.enter_final(state, announced)

    def enter_final(self, state: State, announced: set[State]) -> None:
        parent = state.parent
        if parent is None or (parent is self.root and parent.kind == "compound"):
            self.running = False
            self.output = self.done_data(state)
            return
        if parent.kind == "compound":
            done = {"type": f"done.state.{parent.id}"}
            self.internal_queue.append(done if state.data is None else {**done, "data": self.done_data(state)})
        above = parent if parent.kind == "parallel" else parent.parent
        # Decision: the done event of a parallel state goes up through parallel states around it, once.
        while above is not None and above.kind == "parallel" and above not in announced:
            if not self.is_in_final_state(above):
                return
            announced.add(above)
            if above is self.root:
                self.running = False
                return
            self.internal_queue.append({"type": f"done.state.{above.id}"})
            above = above.parent

    def done_data(self, state: State) -> Any:
        return None if state.data is None else self.context.get(state.data)

    # -- actions -----------------------------------------------------------------------------------

    def execute(self, actions: list[str]) -> None:
        for action in actions:
            word, _, name = action.partition(":")
            if word == "raise":
                self.internal_queue.append({"type": name})
            elif word == "send":
                self.trace.append(("send", name))
            elif word == "inc":
                self.context = {**self.context, name: self.context.get(name, 0) + 1}
            elif word == "see":
                self.context = {**self.context, name: self.event["type"]}
            else:
                self.trace.append((action, self.context, self.event))

    # -- predicates and relations ------------------------------------------------------------------

    def get_transition_domain(self, move: Move) -> State | None:
        targets = self.get_effective_target_states([self.by_id[target] for target in move.target])
        source = move.source
        if move.internal and all(target is source or self.is_descendant(target, source) for target in targets):
            return source  # Decision: whatever kind the source is, and also for the source itself.
        return self.find_lca([source, *targets])

    def find_lca(self, states: list[State]) -> State | None:
        """Decision: the least common ancestor of any kind; ``None`` stands for the document around the root."""
        for ancestor in self.get_proper_ancestors(states[0], None):
            if all(self.is_descendant(state, ancestor) for state in states[1:]):
                return ancestor
        return None

    def get_effective_target_states(self, targets: list[State]) -> set[State]:
        effective: set[State] = set()
        for target in targets:
            if target.kind == "history":
                effective |= self.get_effective_target_states(self.history_targets(target))
            else:
                effective.add(target)
        return effective

    def history_targets(self, history: State) -> list[State]:
        if history in self.history_value:
            return list(self.history_value[history])
        assert history.parent is not None
        if history.default:
            return [self.by_id[target] for target in history.default]
        if history.parent.kind == "parallel":
            return self.get_child_states(history.parent)
        return self.initial_states(history.parent)

    def initial_states(self, state: State) -> list[State]:
        return [self.by_id[target] for target in state.initial]

    def get_child_states(self, state: State) -> list[State]:
        return [child for child in state.children if child.kind != "history"]

    def get_proper_ancestors(self, state: State, until: State | None) -> list[State]:
        if state.parent is None or state.parent is until:
            return []
        return [state.parent, *self.get_proper_ancestors(state.parent, until)]

    def is_descendant(self, state: State, other: State | None) -> bool:
        return other is None or other in self.get_proper_ancestors(state, None)

    def is_atomic(self, state: State) -> bool:
        return state.kind in ("atomic", "final")

    def is_in_final_state(self, state: State) -> bool:
        if state.kind == "compound":
            return any(child.kind == "final" and child in self.configuration for child in state.children)
        if state.kind == "parallel":
            return all(self.is_in_final_state(child) for child in self.get_child_states(state))
        return state.kind == "final" and state in self.configuration

    def in_document_order(self, states: Any, reverse: bool = False) -> list[State]:
        return sorted(states, key=lambda state: state.place, reverse=reverse)

    @property
    def leaves(self) -> list[str]:
        """The ids of the active atomic and final states, in document order."""
        return [state.id for state in self.in_document_order(self.configuration) if self.is_atomic(state)]
