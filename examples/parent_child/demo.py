"""Kill a server while a message is on its way, start it again, and see the message arrive.

A real server over a file in a temporary directory, real HTTP, live updates over its WebSocket, and `kill -9`:

1. a parent spawns one persistent child and invokes another; the message to the spawned one is due in some seconds,
2. the server is killed while that message waits,
3. it is started again on the same file, the message arrives when it is due, and the journals of all three are shown.

Exits with 0 if everything ended where it should and with 1 and a reason otherwise. Run it with `make demo`.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import tempfile
from contextlib import aclosing
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from perdure.client import AsyncClient
from perdure.clock import SystemClock
from perdure.errors import PerdureError
from perdure.json_value import Json
from perdure.testing.server_process import ServerFailed, ServerProcess

PARENT, CHILD = "parent-machine", "child-machine"
OWNER = "ada"
DELAY_MILLISECONDS = 5_000.0
WAIT_SECONDS_MAX = 20.0
LOOK_AGAIN_MILLISECONDS = 20.0

clock = SystemClock()
console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class NotAsExpected(Exception):
    """What the demonstration set out to show did not happen."""


async def demonstrate(directory: Path) -> None:
    """Everything, in order. Raises ``NotAsExpected``, ``ServerFailed`` or ``PerdureError``."""
    async with (
        ServerProcess(directory, [Path(__file__).parent]) as server,
        server.client({"sub": OWNER}) as client,
        asyncio.TaskGroup() as views,
    ):
        story = Story()
        story.tell(f"a server is up at {server.url}, process {server.pid}")
        await client.create_instance(PARENT, "pair", {"uid": OWNER, "delayMs": DELAY_MILLISECONDS})
        parent = View(story, client, PARENT, "pair", "parent")
        following = [views.create_task(parent.follow())]
        await parent.reaches("idle")
        await client.send(PARENT, "pair", "run")
        due_at = clock.now() + DELAY_MILLISECONDS
        story.tell(
            f"told it to run: the message to the spawned child is due {DELAY_MILLISECONDS / 1000:.0f} s from now"
        )

        spawned, invoked = [
            View(story, client, CHILD, name, label)
            for name, label in zip(await children(client), ("spawned child", "invoked child"), strict=True)
        ]
        following += [views.create_task(view.follow()) for view in (spawned, invoked)]
        await parent.reaches({"running": "done"})
        await invoked.reaches("done")
        await spawned.reaches("start")

        await kill(server, story, due_at)
        await server.start()
        story.tell(f"a new server is up on the same file, process {server.pid}")
        await spawned.reaches("done")
        story.tell(f"the message arrived {max(0.0, clock.now() - due_at) / 1000:.2f} s after it was due")
        for view in (parent, spawned, invoked):
            await show_journal(view, client)
        await check_ends(story, client, {parent: {"running": "done"}, spawned: "done", invoked: "done"})
        for task in following:
            task.cancel()


async def children(client: AsyncClient) -> tuple[str, str]:
    """The names of the spawned and the invoked child, once both exist. The parent refers to the spawned one."""
    context = (await client.inspect_instance(PARENT, "pair")).context
    spawned = context["actor1"]["machineInstanceName"]
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        while len(names := [instance.slug for instance in await client.list_instances(CHILD)]) < 2:
            await clock.sleep(LOOK_AGAIN_MILLISECONDS)
    if len(names) != 2 or spawned not in names:
        raise NotAsExpected(f"the parent refers to the child {spawned}, and there are {names}")
    names.remove(spawned)
    return spawned, names[0]


async def kill(server: ServerProcess, story: Story, due_at: float) -> None:
    """Kill the server and make sure that it is gone, before the message is due."""
    pid = server.pid
    await server.kill()
    remaining = due_at - clock.now()
    story.tell(f"kill -9 {pid}, with the message still {remaining / 1000:.1f} s away", style="bold red")
    if remaining <= 0:
        raise NotAsExpected("the message was due before the server was killed: this machine is too slow for the demo")
    if server.is_running or await server.is_healthy():
        raise NotAsExpected("the server answers though it was killed")
    story.tell(f"nothing answers at {server.url} any more", style="red")


class Story:
    """Lines with the seconds since the beginning."""

    def __init__(self) -> None:
        self._began_at = clock.now()

    def tell(self, line: str, *, style: str = "") -> None:
        seconds = (clock.now() - self._began_at) / 1000
        console.print(Text.assemble((f"{seconds:6.2f} s  ", "dim"), (line, style)))


class View:
    """One instance as the server pushes it, across restarts."""

    def __init__(self, story: Story, client: AsyncClient, machine: str, instance: str, label: str) -> None:
        self.machine, self.instance, self.label = machine, instance, label
        self._story = story
        self._client = client
        self._value: Json = None
        self._moved = asyncio.Event()

    async def follow(self) -> None:
        """Tell every move, until cancelled."""
        async with aclosing(self._client.subscribe(self.machine, self.instance)) as states:
            async for state in states:
                if state.state != self._value:
                    self._value = state.state
                    self._story.tell(f"{self.label:<13} is now in {shown(state.state)}", style="green")
                self._moved.set()

    async def reaches(self, value: Json) -> None:
        """Wait until it is there. Raises ``NotAsExpected`` when that takes too long."""
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                while self._value != value:
                    self._moved.clear()
                    await self._moved.wait()
        except TimeoutError:
            raise NotAsExpected(
                f"the {self.label} did not reach {shown(value)} within {WAIT_SECONDS_MAX:.0f} s, "
                f"it is in {shown(self._value)}"
            ) from None


async def show_journal(view: View, client: AsyncClient) -> None:
    table = Table(
        title=f"journal of the {view.label}, {view.machine}/{view.instance}", title_justify="left", box=SIMPLE_HEAD
    )
    for heading in ("time", "event", "state after it"):
        table.add_column(heading, overflow="fold")
    for transition in await client.list_transitions(view.machine, view.instance):
        table.add_row(transition.created_at[11:-1], transition.event["type"], shown(transition.state))
    console.print("", table)


async def check_ends(story: Story, client: AsyncClient, expected: dict[View, Json]) -> None:
    """Ask the server itself once more. Raises ``NotAsExpected`` for what is not where it should be."""
    console.print()
    for view, value in expected.items():
        state = (await client.get_instance(view.machine, view.instance)).state
        story.tell(f"{view.label:<13} ended in {json.dumps(state)}", style="bold")
        if state != value:
            raise NotAsExpected(f"the {view.label} ended in {shown(state)} instead of {shown(value)}")


def shown(value: Json) -> str:
    """A state value as a path: ``{"running": "done"}`` is ``running.done``."""
    if isinstance(value, dict):
        return ", ".join(f"{parent}.{shown(child)}" for parent, child in value.items())
    return str(value)


async def main() -> int:
    # So that the server ends with the demonstration, however that ends.
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    reasons: list[BaseException] = []
    with tempfile.TemporaryDirectory(prefix="perdure-demo-") as directory:
        try:
            await demonstrate(Path(directory))
        except* (NotAsExpected, ServerFailed, PerdureError) as errors:
            reasons.extend(errors.exceptions)
    for reason in reasons:
        console.print(Text(f"\nnot as expected: {reason}", "bold red"))
    if not reasons:
        console.print(Text("\nAll three ended where they should.", "bold green"))
    return 1 if reasons else 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit("interrupted")
