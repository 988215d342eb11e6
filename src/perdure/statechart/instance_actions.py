"""Actions of persistent instances: adopting one, joining and leaving groups, broadcasting.

As in ``action``, creators return descriptions that go into a config, and building the machine turns each into an action
that asks for an effect. An actor that is no instance may be built with them too; carrying them out is what it cannot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from perdure.errors import EventFailed
from perdure.json_value import JsonObject
from perdure.statechart.action import EventExpression, as_target, instance_at
from perdure.statechart.effect import AdoptChild, Broadcast, JoinGroup, LeaveGroup
from perdure.statechart.reference import NAME
from perdure.statechart.snapshot import Child

if TYPE_CHECKING:
    from perdure.statechart.action import Action
    from perdure.statechart.binding import Binder
    from perdure.statechart.callables import UniformCall
    from perdure.statechart.macrostep import Macrostep

__all__ = ["INSTANCE_ACTIONS", "adopt", "broadcast", "instance_action", "join_group", "leave_group", "take_in"]


# -- what users write --------------------------------------------------------------------------------------------------


class AdoptConfig(msgspec.Struct, frozen=True):
    reference: Any
    id: str | None
    detached: bool
    auto_forward: bool
    sync: bool


class BroadcastConfig(msgspec.Struct, frozen=True):
    to: Any
    event: Any


class GroupConfig(msgspec.Struct, frozen=True):
    name: Any
    joins: bool


InstanceConfig: TypeAlias = AdoptConfig | BroadcastConfig | GroupConfig
INSTANCE_ACTIONS = (AdoptConfig, BroadcastConfig, GroupConfig)


def adopt(
    reference: Mapping[str, Any] | Callable[..., Any],
    *,
    id: str | None = None,
    detached: bool = False,
    auto_forward: bool = False,
    sync: bool = False,
) -> AdoptConfig:
    """Become a further parent of an instance that exists, given by reference or by a callable that returns one.

    From then on it is a child as if it had been spawned under ``id``, by default the reference's: what it sends to its
    parents comes here too, so do its end and its errors, and ``stop`` lets it go. The instance's ``allow_write`` is
    asked, about an event of the type ``perdure.adopt`` from this instance; a refusal, an instance that has ended or is
    not there is ``error.platform.<id>``. Unless ``detached``, it lives as long as any of its parents holds it.
    """
    return AdoptConfig(reference, id, detached, auto_forward, sync)


def broadcast(to: str | Sequence[Any] | Callable[..., Any], event: EventExpression) -> BroadcastConfig:
    """Send an event to every member of a group, given by name, or to each of a list of references and children's ids;
    or to what a callable returns, which is either.

    A group's members are those as of the commit that sends it, with the joins and leaves of that commit.
    """
    return BroadcastConfig(to, event)


def join_group(name: str | Callable[..., str]) -> GroupConfig:
    """Become a member of the group of instances with this name, until ``leave_group``, or until this instance ends."""
    return GroupConfig(name, True)


def leave_group(name: str | Callable[..., str]) -> GroupConfig:
    """Be a member of the group with this name no longer. To leave a group one is not in is no error."""
    return GroupConfig(name, False)


# -- what a built machine performs -------------------------------------------------------------------------------------


class Adopt(msgspec.Struct, frozen=True):
    """Ask an instance to be this one's child."""

    reference: UniformCall
    id: str | None
    detached: bool
    auto_forward: bool
    sync: bool

    def perform(self, step: Macrostep) -> None:
        reference = self.reference(step.context, step.event, step)
        take_in(step, reference, self.id, detached=self.detached, auto_forward=self.auto_forward, sync=self.sync)


class BroadcastEvent(msgspec.Struct, frozen=True):
    """Ask the world to deliver an event to many."""

    to: UniformCall
    event: UniformCall

    def perform(self, step: Macrostep) -> None:
        event = self.event(step.context, step.event, step)
        to = self.to(step.context, step.event, step)
        if isinstance(to, str):
            step.effects.append(Broadcast(event, checked_group(to)))
        elif isinstance(to, (list, tuple)):
            for each in to:
                step.send(event, as_target(each, step), event["type"], None)
        else:
            raise EventFailed(f"broadcast goes to a group's name or to a list of references, not to {to!r}")


class ChangeMembership(msgspec.Struct, frozen=True):
    """Ask to be in a group, or no longer."""

    name: UniformCall
    joins: bool

    def perform(self, step: Macrostep) -> None:
        name = checked_group(self.name(step.context, step.event, step))
        step.effects.append(JoinGroup(name) if self.joins else LeaveGroup(name))


def take_in(
    step: Macrostep, reference: Any, child_id: str | None, *, detached: bool, auto_forward: bool, sync: bool
) -> None:
    """Count an instance among the children, and ask it to be one. One that is this very child already stays it; another
    child that has this id is stopped.
    """
    instance = instance_at(reference)
    if instance is None:
        raise EventFailed(f"adopt needs a reference to an instance, not {reference!r}")
    if instance == step.scope.address:
        raise EventFailed(f"{instance.machine}/{instance.instance} cannot adopt itself")
    given = child_id if child_id is not None else reference.get("id")
    name = given if isinstance(given, str) and given else instance.instance
    present = step.children.get(name)
    if present is not None:
        if (present.source, present.instance) == (instance.machine, instance.instance):
            return
        step.stop_child(present)
    step.children_started += 1
    child = Child(
        id=name,
        source=instance.machine,
        session=step.children_started,
        instance=instance.instance,
        detached=detached,
        auto_forward=auto_forward,
        sync=sync,
    )
    step.own_children()[name] = child
    if auto_forward:
        step.forwarding = (*step.forwarding, name)
    step.effects.append(AdoptChild(name, child.session, instance.machine, instance.instance, detached, sync))


def checked_group(name: Any) -> str:
    if not isinstance(name, str) or NAME.fullmatch(name) is None:
        raise EventFailed(f"{name!r} is no name of a group: 1 to 128 characters of a-z, A-Z, 0-9, _ and -")
    return name


# -- building ----------------------------------------------------------------------------------------------------------


def instance_action(config: InstanceConfig, binder: Binder, path: str, params: JsonObject | None) -> Action | None:
    """Bind what a creator returned."""
    if isinstance(config, AdoptConfig):
        reference = binder.value_of(config.reference, path, "the instance to adopt", params, is_instance)
        if config.id is not None and (not isinstance(config.id, str) or not config.id):
            binder.defects.add(path, f"the id of an adopted child cannot be {config.id!r}", "Give a non-empty string.")
        if reference is None:
            return None
        return Adopt(reference, config.id, config.detached, config.auto_forward, config.sync)
    if isinstance(config, GroupConfig):
        name = binder.value_of(config.name, path, "the name of a group", params, is_group)
        return None if name is None else ChangeMembership(name, config.joins)
    event = binder.event_expression(config.event, path, params)
    to = binder.value_of(config.to, path, "whom a broadcast goes to", params, is_audience)
    return None if event is None or to is None else BroadcastEvent(to, event)


def is_instance(value: Any) -> bool:
    return instance_at(value) is not None


def is_group(value: Any) -> bool:
    return isinstance(value, str) and NAME.fullmatch(value) is not None


def is_audience(value: Any) -> bool:
    return is_group(value) or isinstance(value, (list, tuple))
