"""``perdure logs``: what the code of machines has printed and logged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from perdure.cli.arguments import parse_moment
from perdure.cli.connection import Session, connected
from perdure.cli.output import builtins
from perdure.clock import SystemClock
from perdure.wire import wire_time
from perdure.wire_upkeep import LogEntry

if TYPE_CHECKING:
    from perdure.client import Client

__all__ = ["app"]

_PAUSE_MILLISECONDS = 1_000.0

app = typer.Typer(no_args_is_help=True, help="Logs: what the code of machines has printed and logged.")

MachineArgument = Annotated[str | None, typer.Argument(metavar="MACHINE", help="Only of this machine.")]
InstanceArgument = Annotated[str | None, typer.Argument(metavar="INSTANCE", help="Only of this instance of it.")]
VersionOption = Annotated[str | None, typer.Option("--version", metavar="ID", help="Only of this machine version.")]
SinceOption = Annotated[
    str,
    typer.Option(
        "--since", metavar="TIME", help="How long ago (90s, 10m, 1h, 2d), or a time in UTC (2026-01-02T03:04)."
    ),
]


@app.command("get")
@connected
def get_logs(
    session: Session,
    machine: MachineArgument = None,
    instance: InstanceArgument = None,
    since: SinceOption = "1h",
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="The same for the end. Default: now.")
    ] = None,
    version: VersionOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many, the oldest.")] = None,
) -> None:
    """Show them, oldest first. Needs the scope logs.read."""
    now = SystemClock().now()
    first = parse_moment(since, "--since", now)
    end = now if until is None else parse_moment(until, "--until", now)
    with session.client() as client:
        entries = islice(_entries(client, first, end, machine, instance, version), limit)
        if session.out.as_json:
            session.out.document([builtins(entry) for entry in entries])
            return
        for entry in entries:
            _show(session, entry)


@app.command("watch")
@connected
def watch_logs(
    session: Session,
    machine: MachineArgument = None,
    instance: InstanceArgument = None,
    since: SinceOption = "1s",
    version: VersionOption = None,
) -> None:
    """Show them as they come, with --json as one document each. End it with Ctrl-C. Needs the scope logs.read."""
    from perdure.client import upkeep

    clock = SystemClock()
    first = wire_time(parse_moment(since, "--since", clock.now()))

    async def follow(since: str) -> None:
        async with session.async_client() as client:
            while True:
                page = await client.run(upkeep.logs(since, machine=machine, instance=instance, version=version))
                for entry in page.logs:
                    _show(session, entry)
                if not page.logs:
                    await clock.sleep(_PAUSE_MILLISECONDS)
                since = page.max_timestamp

    try:
        asyncio.run(follow(first))
    except KeyboardInterrupt:
        return


def _entries(
    client: Client, first: float, end: float, machine: str | None, instance: str | None, version: str | None
) -> Iterator[LogEntry]:
    """All entries of a time, page after page."""
    from perdure.client import upkeep

    since, until = wire_time(first), wire_time(end)
    while since < until:
        page = client.run(upkeep.logs(since, until=until, machine=machine, instance=instance, version=version))
        yield from page.logs
        if not page.logs:
            return
        since = page.max_timestamp


def _show(session: Session, entry: LogEntry) -> None:
    """One entry: each of its lines with where it comes from."""
    where = f"{entry.machine_name}/{entry.instance_name}"
    lines = [
        Text.assemble(
            (entry.timestamp.replace("T", " ").removesuffix("Z"), "dim"),
            "  ",
            (where, "bold"),
            "  ",
            (line, "red" if entry.output_type == "stderr" else ""),
        )
        for line in entry.log.splitlines() or [""]
    ]
    session.out.answer(builtins(entry), *lines)
