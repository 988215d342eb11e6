"""The front end for XState v4's config language: from a dict to a ``Machine``.

Two passes. The first makes the state nodes, so that every id and path exists; the second reads transitions, actions and
invocations, whose targets can then be resolved. Neither stops at the first defect: ``create_machine`` raises one
``MachineConfigError`` with all of them, each with its JSON path, and nothing is silently ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from perdure.json_value import Json
from perdure.statechart.binding import Binder
from perdure.statechart.context_config import FirstContext, read_context, read_events
from perdure.statechart.defects import Defects, child_path, describe, nearest
from perdure.statechart.machine import Implementations, Machine, StateNode
from perdure.statechart.macrostep import Macrostep
from perdure.statechart.snapshot import C
from perdure.statechart.transition_config import TransitionReader, resolve_path
from perdure.statechart.typed_machine import Schemas, TypedMacrostep
from perdure.statechart.xstate_objects import check_repeated_parts

__all__ = ["create_machine"]

STATE_KEYS = (
    "activities", "after", "always", "data", "description", "entry", "exit", "history", "id", "initial", "invoke",
    "key", "meta", "on", "onDone", "order", "states", "tags", "target", "transitions", "type", "version",
)  # fmt: skip
ROOT_KEYS = (
    *STATE_KEYS, "$schema", "context", "delimiter", "predictableActionArguments", "preserveActionOrder", "schema",
    "strict", "tsTypes",
)  # fmt: skip
HISTORY_KEYS = ("description", "history", "id", "key", "meta", "order", "tags", "target", "type", "version")
KINDS = ("atomic", "compound", "final", "history", "parallel")


def create_machine(
    config: Mapping[str, Any],
    *,
    actions: Mapping[str, Any] | None = None,
    guards: Mapping[str, Any] | None = None,
    services: Mapping[str, Any] | None = None,
    delays: Mapping[str, Any] | None = None,
    context_type: type[C] | None = None,
    events: Mapping[str, type[Any]] | None = None,
    strict_events: bool = False,
    max_microsteps: int = 1000,
) -> Machine[C]:
    """Build a machine from an XState v4 config.

    Where the config names an action, guard, service or delay, the mapping of that kind implements it. Raises
    ``MachineConfigError`` listing every defect: unknown keys, wrong types, targets that do not resolve, missing or
    impossible ``initial``, duplicate ids, names that nothing implements. ``max_microsteps`` bounds what one event may
    set off inside the machine.

    The context is a dict, or of a type: ``context_type``, or the class of the config's ``context``. ``events`` says for
    event types which class their events are of; ``strict_events`` refuses all others that come from outside. Such a
    class is a dataclass, a msgspec ``Struct`` or a pydantic model. ``Types`` has type-checkers follow all this.
    """
    defects = Defects()
    given_parts = ({} if part is None else part for part in (actions, guards, services, delays))
    implementations = Implementations(*given_parts)
    given: object = config
    if not isinstance(given, Mapping):
        defects.add("$", f"a machine config cannot be {describe(given)}", "Give a dict.")
        defects.raise_if_any()
    limit: object = max_microsteps
    if not isinstance(limit, int) or limit < 1:
        defects.add("max_microsteps", f"the limit cannot be {describe(limit)}", "Give a whole number from 1.")
    builder = MachineBuilder(config, implementations, defects)
    builder.binder.check_implementations()
    schema, context = read_context(config.get("context"), context_type, builder.binder)
    event_schemas = read_events(events, defects)
    if schema is not None or event_schemas or strict_events:
        builder.binder.schemas = Schemas(schema, event_schemas, strict_events)
    builder.make_nodes()
    try:
        builder.read_nodes()
    except RecursionError:
        advice = "Nest them less deeply, and see that none contains itself."
        defects.add("$", "actions, guards or values are nested too deeply to be read", advice)
    defects.raise_if_any()

    def rebuild(other: Mapping[str, Any], parts: Implementations) -> Machine[C]:
        return create_machine(
            other,
            actions=parts.actions,
            guards=parts.guards,
            services=parts.services,
            delays=parts.delays,
            context_type=context_type,
            events=events,
            strict_events=strict_events,
            max_microsteps=max_microsteps,
        )

    return built_machine(builder, config, implementations, context, rebuild, max_microsteps)


def built_machine(
    builder: MachineBuilder,
    config: Mapping[str, Any],
    implementations: Implementations,
    context: FirstContext,
    rebuild: Callable[[Mapping[str, Any], Implementations], Machine[Any]],
    max_microsteps: int,
) -> Machine[Any]:
    """The machine of a config without defects; with schemas its actions and services read what they are called with."""
    binder = builder.binder
    schemas = binder.schemas
    actions, services = binder.actions, binder.services.bound
    if schemas is not None:
        actions = {name: schemas.reading(function) for name, function in actions.items()}
        services = {
            name: schemas.reading(service, reads_context=not binder.services.gets_data.get(name))
            if callable(service)
            else service
            for name, service in services.items()
        }
    return Machine(
        root=builder.nodes[0],
        nodes=tuple(builder.nodes),
        context=context,
        actions=actions,
        services=services,
        resolve_action=binder.run_time_action,
        resolve_service=binder.services.run_time,
        config=config,
        implementations=implementations,
        schemas=schemas,
        macrostep=Macrostep if schemas is None else TypedMacrostep,
        rebuild=rebuild,
        max_microsteps=max_microsteps,
    )


class MachineBuilder:
    """The state of one build."""

    def __init__(self, config: Mapping[str, Any], implementations: Implementations, defects: Defects) -> None:
        self.config = config
        self.defects = defects
        self.nodes: list[StateNode] = []
        """In document order."""
        self.configs: list[tuple[StateNode, Mapping[str, Any], str]] = []
        """Each node with its part of the config and the JSON path of that."""
        self.by_id: dict[str, StateNode] = {}
        delimiter = config.get("delimiter", ".")
        if not isinstance(delimiter, str) or not delimiter:
            defects.add("$.delimiter", f"the delimiter cannot be {describe(delimiter)}", "Give a non-empty string.")
            delimiter = "."
        self.delimiter = delimiter
        if config.get("strict"):
            defects.add("$.strict", "strict machines are not supported", "Leave it out: unknown events are ignored.")
        self.binder = Binder(implementations, defects)
        self.binder.resolve_state = self.states_of_value

    # -- first pass: the tree ----------------------------------------------------------------------

    def make_nodes(self) -> None:
        """Make every node, in document order. A stack instead of recursion: charts may be nested to any depth."""
        pending: list[tuple[str, Any, StateNode | None, str]] = [("", self.config, None, "$")]
        while pending:
            key, config, parent, path = pending.pop()
            if config is None:
                config = {}
            if not isinstance(config, Mapping):
                self.defects.add(path, f"a state cannot be {describe(config)}", "Give a dict, {} for a plain state.")
                continue
            node = self.make_node(key, config, parent, path)
            self.nodes.append(node)
            self.configs.append((node, config, path))
            states = config.get("states")
            if states is None:
                continue
            if not isinstance(states, Mapping):
                self.defects.add(child_path(path, "states"), f"states cannot be {describe(states)}", "Give a dict.")
                continue
            if any(config is self.configs[outer.order][1] for outer in node.ancestors()):
                self.defects.add(path, "this state contains itself", "Give every state a dict of its own.")
                continue
            states_path = child_path(path, "states")
            for child_key, child in reversed(list(states.items())):
                if not isinstance(child_key, str) or not child_key:
                    self.defects.add(states_path, f"the state key {child_key!r} is not a non-empty string")
                    continue
                pending.append((child_key, child, node, child_path(states_path, child_key)))
        for node in reversed(self.nodes):
            node.last = max(node.last, node.order)
            if node.parent is not None:
                node.parent.last = max(node.parent.last, node.last)

    def make_node(self, key: str, config: Mapping[str, Any], parent: StateNode | None, path: str) -> StateNode:
        node_path: tuple[str, ...]
        if parent is None:
            given = config.get("key", "(machine)")
            if not isinstance(given, str) or not given:
                self.defects.add("$.key", f"a key cannot be {describe(given)}", "Give a non-empty string.")
                given = "(machine)"
            key, default_id, node_path = given, given, ()
        else:
            node_path = (*parent.path, key)
            default_id = self.delimiter.join((self.nodes[0].id, *node_path))
        identity = config.get("id", default_id)
        if not isinstance(identity, str) or not identity:
            self.defects.add(
                child_path(path, "id"), f"an id cannot be {describe(identity)}", "Give a non-empty string."
            )
            identity = default_id
        node = StateNode(id=identity, key=key, path=node_path, parent=parent, order=len(self.nodes))
        node.kind = self.kind_of(config, path, parent)  # type: ignore[assignment]  # checked against KINDS there
        known = HISTORY_KEYS if node.kind == "history" else ROOT_KEYS if parent is None else STATE_KEYS
        # XState writes empty lists into the history states of a machine that it turns into JSON.
        given = [name for name in config if node.kind != "history" or name not in STATE_KEYS or config[name]]
        self.defects.unknown_keys(path, given, known)
        if parent is not None:
            place = (("key", key), ("version", self.config.get("version")))
            check_repeated_parts(config, place, path, self.defects)
        if identity in self.by_id:
            other = ".".join(self.by_id[identity].path) or "the root"
            self.defects.add(path, f"the id {identity!r} is taken by {other}", "Ids are unique in a machine.")
        self.by_id.setdefault(identity, node)
        if parent is not None:
            parent.children[key] = node
            if node.kind == "history":
                parent.histories.append(node)
        return node

    def kind_of(self, config: Mapping[str, Any], path: str, parent: StateNode | None) -> str:
        kind, history, states = config.get("type"), config.get("history"), config.get("states")
        if not isinstance(states, Mapping):
            states = None
        if history not in (None, False, True, "shallow", "deep"):
            self.defects.add(
                child_path(path, "history"), f"history cannot be {describe(history)}", "Give 'shallow' or 'deep'."
            )
        if history and kind not in (None, "history"):
            self.defects.add(child_path(path, "history"), "only a state of type history has a history")
        if kind is None:
            kind = "history" if history else "compound" if states else "atomic"
        elif kind not in KINDS:
            self.defects.add(child_path(path, "type"), f"there is no type {kind!r}", nearest(str(kind), KINDS))
            kind = "compound" if states else "atomic"
        if states and kind in ("atomic", "final", "history"):
            self.defects.add(
                child_path(path, "states"), f"{'an' if kind == 'atomic' else 'a'} {kind} state has no states"
            )
        if not states and kind in ("compound", "parallel"):
            self.defects.add(path, f"a {kind} state needs states")
            kind = "atomic"
        if kind == "history" and parent is None:
            self.defects.add(path, "the root cannot be a history state")
        return str(kind)

    # -- second pass: what refers to nodes ---------------------------------------------------------

    def read_nodes(self) -> None:
        reader = TransitionReader(self.binder, self.defects, self.by_id, self.nodes[0], self.delimiter)
        for node, config, path in self.configs:
            node.meta = config.get("meta")
            node.description = config.get("description")
            if node.description is not None and not isinstance(node.description, str):
                self.defects.add(
                    child_path(path, "description"), f"a description cannot be {describe(node.description)}"
                )
            node.tags = self.tags(config.get("tags"), child_path(path, "tags"))
            if node.kind == "history":
                self.read_history(reader, node, config, path)
                continue
            self.read_initial(reader, node, config, path)
            if "target" in config:
                self.defects.add(child_path(path, "target"), "only a history state has a target")
            if "data" in config:
                if node.kind != "final":
                    self.defects.add(child_path(path, "data"), "only a final state has data")
                node.data = self.binder.data(config["data"], child_path(path, "data"))
            node.entry = self.binder.action_list(config.get("entry"), child_path(path, "entry"))
            node.exit = self.binder.action_list(config.get("exit"), child_path(path, "exit"))
            reader.read_state(node, config, path)

    def read_initial(self, reader: TransitionReader, node: StateNode, config: Mapping[str, Any], path: str) -> None:
        initial, initial_path = config.get("initial"), child_path(path, "initial")
        if node.kind != "compound":
            if initial is not None:
                self.defects.add(initial_path, f"a state of type {node.kind} has no initial state")
            return
        keys = [child.key for child in node.states]
        if initial is None:
            self.defects.add(path, "a compound state needs an initial state", f"Set initial to one of {keys}.")
            return
        target = None
        if isinstance(initial, str):
            is_id = initial.startswith("#")
            target = reader.target_by_id(initial[1:]) if is_id else resolve_path(node, initial, self.delimiter)
        if target is None or not target.descends_from(node):
            suggestion = nearest(str(initial), keys)
            self.defects.add(initial_path, f"{describe(initial)} is no state in here", suggestion)
        elif target.kind == "history":
            self.defects.add(initial_path, "a history state cannot be the initial state")
        else:
            node.initial = (target,)

    def read_history(self, reader: TransitionReader, node: StateNode, config: Mapping[str, Any], path: str) -> None:
        node.is_deep_history = config.get("history") == "deep"
        target = config.get("target")
        if target is not None:
            node.history_target = reader.targets(node, target, child_path(path, "target"))
            if any(target.kind == "history" for target in node.history_target):
                self.defects.add(
                    child_path(path, "target"), "the default target of a history state cannot be another one"
                )
            elif node.parent is not None and not all(map(node.parent.encloses, node.history_target)):
                self.defects.add(
                    child_path(path, "target"), "the default target of a history state lies in the state that it is in"
                )

    def tags(self, config: Any, path: str) -> tuple[str, ...]:
        if config is None:
            return ()
        tags = (config,) if isinstance(config, str) else config
        if not isinstance(tags, (list, tuple, set, frozenset)) or not all(isinstance(tag, str) for tag in tags):
            self.defects.add(path, f"tags cannot be {describe(config)}", "Give a string or a list of strings.")
            return ()
        return tuple(sorted(tags) if isinstance(tags, (set, frozenset)) else tags)

    def states_of_value(self, value: Json, path: str) -> tuple[StateNode, ...]:
        """The states that ``in_state`` asks for: an id, a path from the root, or a state value."""
        if isinstance(value, str):
            root = self.nodes[0]
            node = self.by_id.get(value[1:]) if value.startswith("#") else resolve_path(root, value, self.delimiter)
            return self.states_that_can_be_active(node, value, root, path)
        found: list[StateNode] = []
        pending: list[tuple[StateNode, Json]] = [(self.nodes[0], value)]
        while pending:
            parent, part = pending.pop()
            if isinstance(part, str):
                part = {part: {}}
            if not isinstance(part, Mapping):
                self.defects.add(path, f"in_state: a state value cannot be {describe(part)}", "Give a key or a dict.")
                continue
            for key, below in part.items():
                child = parent.children.get(key)
                found += self.states_that_can_be_active(child, key, parent, path)
                if child is not None:
                    pending.append((child, below))
        return tuple(found)

    def states_that_can_be_active(
        self, node: StateNode | None, name: Any, within: StateNode, path: str
    ) -> tuple[StateNode, ...]:
        if node is not None and node.kind != "history":
            return (node,)
        known = [child.key for child in within.states]
        self.defects.add(
            path,
            f"in_state: {describe(name)} is no state of {within.id!r} that can be active",
            nearest(str(name), known),
        )
        return ()
