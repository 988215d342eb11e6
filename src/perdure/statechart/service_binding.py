"""Binding services: what an invocation, an activity or ``spawn`` may start, by name or written in place.

A service is a callable, another machine, or other actor logic; a persistent source stands for an instance of another
machine. The engine starts none of them: it knows services by name, and whoever performs its effects looks them up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from perdure.errors import EventFailed
from perdure.json_value import Json
from perdure.statechart.defects import child_path, describe, nearest
from perdure.statechart.machine import ActorLogic, Machine, PersistentSource

if TYPE_CHECKING:
    from perdure.statechart.binding import Binder

__all__ = ["ServiceBinder", "is_text", "parameters"]


class ServiceBinder:
    """Binds the services of one config."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder
        self.bound: dict[str, Any] = {}
        """What is to be run, by the name under which effects ask for it."""
        self.by_name: dict[str, tuple[str | PersistentSource, Json]] = {}
        """For each name given at build time what it stands for: ``spawn`` may name any at run time."""
        self.unfit: set[str] = set()
        """The names that stand for nothing that can be run, each a defect already."""
        self.gets_data: dict[str, bool] = {}
        """For each invoked service whether it is given its invocation's ``data`` instead of the context."""

    def bind_names(self) -> None:
        """Bind everything that was given a name, used or not."""
        for name in self.binder.implementations.services:
            bound = self.bind(name, child_path("services", str(name)))
            if bound is None:
                self.unfit.add(name)
            else:
                self.by_name[name] = bound

    def run_time(self, name: str) -> tuple[str | PersistentSource, Json]:
        """What a name that ``spawn`` was given stands for. Raises ``EventFailed`` when it stands for nothing."""
        try:
            return self.by_name[name]
        except KeyError:
            hint = nearest(name, self.by_name)
            raise EventFailed(
                f"spawn was given {name!r}, which is no service of this machine. {hint}".strip()
            ) from None

    def bind(self, config: Any, path: str, params: Json = None) -> tuple[str | PersistentSource, Json] | None:
        """Bind an invocation's source to what it is known by, and its parameters.

        A service is anything that a runner of children can run: a callable, another machine, and what else it knows.
        """
        if isinstance(config, PersistentSource):
            if not is_text(config.machine):
                self.binder.defects.add(path, f"a persistent child's machine cannot be {describe(config.machine)}")
            return config, params
        if isinstance(config, Mapping) and isinstance(config.get("type"), str):
            config, params = config["type"], parameters(config, params)
        if not isinstance(config, str):
            return self.unnamed_service(path, config, path, params)
        if config in self.by_name:
            source, of_name = self.by_name[config]
            return source, {**(of_name or {}), **(params or {})} or None
        if config in self.unfit:
            return None
        known = self.binder.implementations.services
        if config not in known:
            self.binder.defects.add(path, f"the service {config!r} is not implemented", nearest(config, known))
            return None
        implementation = known[config]
        if isinstance(implementation, (str, Mapping, PersistentSource)):
            with self.binder.followed("service", config, path) as is_new:
                return self.bind(implementation, path, params) if is_new else None
        return self.unnamed_service(config, implementation, path, params)

    def activity(self, config: Any, path: str) -> tuple[str | None, str, Json] | None:
        """Bind an activity to the id it was given, the service that it is, and its parameters."""
        child_id = None
        if isinstance(config, Mapping) and "id" in config:
            # XState writes a name without an id of its own as both.
            child_id = None if config["id"] == config.get("type") else config["id"]
            if child_id is not None and not is_text(child_id):
                self.binder.defects.add(child_path(path, "id"), f"an activity's id cannot be {describe(child_id)}")
            config = {key: value for key, value in config.items() if key != "id"}
        bound = self.bind(config, path)
        if bound is None:
            return None
        source, params = bound
        if isinstance(source, PersistentSource):
            self.binder.defects.add(path, "a persistent child cannot be an activity", "Invoke it, or spawn it.")
            return None
        self.invoked(source, False, path)
        return child_id, source, params

    def unnamed_service(self, name: str, config: Any, path: str, params: Json) -> tuple[str, Json] | None:
        if not callable(config) and not isinstance(config, (Machine, ActorLogic)):
            self.binder.defects.add(
                path, f"a service cannot be {describe(config)}", "Give a name, a callable, or another machine."
            )
            return None
        if callable(config) and not self.binder.check_parameters(config, path):
            return None
        self.bound[name] = config
        return name, params

    def invoked(self, source: str, with_data: bool, path: str) -> None:
        """Note what a service is given: in a typed machine it cannot be both the context and something else."""
        before = self.gets_data.setdefault(source, with_data)
        if before != with_data and self.binder.has_typed_context:
            self.binder.defects.add(
                path,
                f"the service {source!r} is given data at one place and the context at another",
                "What it is given has one type: give it another name here.",
            )


def parameters(config: Mapping[str, Any], outer: Json) -> Json:
    """The other keys of ``{"type": name, ...}``; those of a reference win over those of what it refers to."""
    return {**{key: value for key, value in config.items() if key != "type"}, **(outer or {})} or None


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""
