"""``perdure instances``: creating instances, sending them events, and looking at them."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated

import typer

from perdure import wire
from perdure.cli.arguments import parse_duration, parse_event, parse_object
from perdure.cli.connection import Session, connected
from perdure.cli.output import builtins, json_text, shown_state, shown_time, state_paths
from perdure.cli.versions import version_id
from perdure.entropy import SystemEntropy
from perdure.errors import InvalidParameter, InvalidState

if TYPE_CHECKING:
    from perdure.client import Client

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Instances: the running actors of a machine.")

MachineArgument = Annotated[str, typer.Argument(metavar="MACHINE", help="The machine's name.")]
InstanceArgument = Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance's name within its machine.")]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--idempotency-key",
        metavar="KEY",
        help="The same command with the same key again does nothing, and shows what the first one did. For a day.",
    ),
]
LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")]


@app.command("create")
@connected
def create_instance(
    session: Session,
    machine: MachineArgument,
    instance: Annotated[str | None, typer.Argument(metavar="INSTANCE", help="Its name. Default: a fresh UUID.")] = None,
    context: Annotated[
        str | None, typer.Option("--context", metavar="JSON", help="Merged over the machine's initial context.")
    ] = None,
    version: Annotated[
        str | None, typer.Option("--version", metavar="ID", help="A machine version other than the current one.")
    ] = None,
    key: KeyOption = None,
) -> None:
    """Create an instance and show the state it settles in."""
    if key is not None and instance is None:
        raise InvalidParameter("a key belongs to an instance of a name: give INSTANCE too", "--idempotency-key")
    name = instance if instance is not None else str(SystemEntropy().uuid())
    given = parse_object(context, "--context") if context is not None else None
    with session.client() as client:
        state = client.create_instance(machine, name, given, version=version, idempotency_key=key)
    session.out.state(machine, name, state)


@app.command("send")
@connected
def send(
    session: Session,
    machine: MachineArgument,
    instance: InstanceArgument,
    event: Annotated[str, typer.Argument(metavar="EVENT", help="An event's type, or the whole event as JSON.")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="JSON", help="The event's other fields, as a JSON object.")
    ] = None,
    wait_for: Annotated[
        str | None,
        typer.Option("--wait-for", metavar="STATE", help="Wait until it is in a state, such as paid or pay.due."),
    ] = None,
    timeout: Annotated[
        str, typer.Option("--timeout", metavar="TIME", help="How long to wait for that: 90s, 10m, 1h or 30d.")
    ] = "1m",
    key: KeyOption = None,
) -> None:
    """Send an event and show the state the instance settles in, or with --wait-for the first one that is wanted.

    Exits with 1 when the wanted state does not come in time, or no longer can.
    """
    whole_event = parse_event(event, data)
    patience = parse_duration(timeout, "--timeout").total_seconds()
    with session.client() as client:
        state = client.send(machine, instance, whole_event, idempotency_key=key)
        if wait_for is not None and not state.matches(wait_for):
            state = wait_until(client, machine, instance, wait_for, patience)
    session.out.state(machine, instance, state)


def wait_until(client: Client, machine: str, instance: str, wanted: str, patience: float) -> wire.State:
    """The first state that matches. Raises ``InvalidState`` when none comes in time, or the instance has ended."""
    try:
        state = client.wait_for(
            machine, instance, lambda state: state.done or state.matches(wanted), timeout_seconds=patience
        )
    except TimeoutError as error:
        now = ", ".join(state_paths(client.get_instance(machine, instance).state))
        raise InvalidState(
            f"{machine}/{instance} did not come to {wanted} in time: it is in {now}. The event was applied; "
            f"`perdure instances watch {machine} {instance}` shows what follows"
        ) from error
    if not state.matches(wanted):
        raise InvalidState(f"{machine}/{instance} has ended in {', '.join(state_paths(state.state))}, not in {wanted}")
    return state


@app.command("get")
@connected
def get_instance(session: Session, machine: MachineArgument, instance: InstanceArgument) -> None:
    """Show an instance's state."""
    with session.client() as client:
        state = client.get_instance(machine, instance)
    session.out.state(machine, instance, state)


@app.command("inspect")
@connected
def inspect_instance(session: Session, machine: MachineArgument, instance: InstanceArgument) -> None:
    """Show all of an instance, private context included. Asks no authoriser; needs the scope instances.admin."""
    with session.client() as client:
        whole = client.inspect_instance(machine, instance)
    session.out.answer(
        builtins(whole),
        f"{machine}/{instance}",
        shown_state(whole.state, done=whole.done),
        f"status   {whole.status}",
        f"version  {whole.machine_version.id}"
        + (f", to be {whole.desired_machine_version.id}" if whole.desired_machine_version is not None else ""),
        f"created  {shown_time(whole.created_at)}",
        f"tags     {', '.join(whole.tags) or 'none'}",
        f"context  {json_text(whole.context)}",
        *(f"parent   {tie.machine_name}/{tie.machine_instance_name} (as {tie.id})" for tie in whole.parents),
        *(f"child    {child.id} ({_kind(child)})" for child in whole.children),
    )


def _kind(child: wire.ChildSummary) -> str:
    """What a child is: the instance, or what a service of this process runs."""
    if child.machine_name is None:
        return f"service {child.src}"
    return f"{child.machine_name}/{child.machine_instance_name}"


@app.command("upgrade")
@connected
def upgrade_instance(
    session: Session,
    machine: MachineArgument,
    instance: InstanceArgument,
    to: Annotated[str, typer.Option("--to", metavar="VERSION", help="The version to move to, or `current`.")],
) -> None:
    """Let an instance move to another version with its next event. Its present version takes that back."""
    with session.client() as client:
        target = version_id(client, machine, to)
        client.set_desired_version(machine, instance, target)
    session.out.answer(
        {"instance": instance, "desiredMachineVersionId": target},
        f"{machine}/{instance} moves to {target} with its next event",
    )


@app.command("watch")
@connected
def watch(session: Session, machine: MachineArgument, instance: InstanceArgument) -> None:
    """Show an instance's state and each one that follows, until it is done. End it with Ctrl-C."""

    async def follow() -> None:
        async with session.async_client() as client, aclosing(client.subscribe(machine, instance)) as states:
            async for state in states:
                session.out.state(machine, instance, state)
                if state.done:
                    return

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return


@app.command("list")
@connected
def list_instances(session: Session, machine: MachineArgument, limit: LimitOption = 100) -> None:
    """List the instances of a machine, oldest first."""
    with session.client() as client:
        instances = client.list_instances(machine, limit)
    session.out.table(
        instances,
        ["instance", "status", "version", "created"],
        (
            [instance.slug, instance.status, instance.machine_version.id, shown_time(instance.created_at)]
            for instance in instances
        ),
    )


@app.command("history")
@connected
def history(session: Session, machine: MachineArgument, instance: InstanceArgument, limit: LimitOption = None) -> None:
    """Show every transition of an instance, oldest first. Needs the scope instances.admin."""
    with session.client() as client:
        transitions = client.list_transitions(machine, instance, limit)
    session.out.table(
        transitions,
        ["time", "event", "state"],
        (
            [shown_time(transition.created_at), json_text(transition.event), shown_state(transition.state)]
            for transition in transitions
        ),
    )


@app.command("pause")
@connected
def pause(session: Session, machine: MachineArgument, instance: InstanceArgument) -> None:
    """Refuse every event, timers included, until `resume`. Needs the scope instances.admin."""
    with session.client() as client:
        client.set_status(machine, instance, "paused")
    session.out.answer({"slug": instance, "status": "paused"}, f"paused {machine}/{instance}")


@app.command("resume")
@connected
def resume(session: Session, machine: MachineArgument, instance: InstanceArgument) -> None:
    """Let a paused instance run again. Needs the scope instances.admin."""
    with session.client() as client:
        client.set_status(machine, instance, "running")
    session.out.answer({"slug": instance, "status": "running"}, f"resumed {machine}/{instance}")


@app.command("delete")
@connected
def delete_instance(
    session: Session,
    machine: MachineArgument,
    instance: InstanceArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete an instance with its history and its timers, for ever. Needs the scope instances.admin."""
    if not yes:
        typer.confirm(f"Delete {machine}/{instance} with its history for ever?", abort=True, err=True)
    with session.client() as client:
        client.delete_instance(machine, instance)
    session.out.answer({"slug": instance, "deleted": True}, f"deleted {machine}/{instance}")
