"""Live views for coroutines: a subscription as an asynchronous iterator, and an actor that keeps up with its instance.

The promises of a view are those of ``perdure.client.watching``. An **actor** is a local stand-in for an instance: it
always has the newest state that got here, be it pushed or the answer to an event that it sent itself, and is never
optimistic: only the server moves it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from types import TracebackType
from typing import TYPE_CHECKING, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from perdure import wire
from perdure.client import watching
from perdure.client.local_actor import LocalActor, OnError, OnState
from perdure.client.watching import PING, View, realtime_url
from perdure.clock import Clock
from perdure.errors import PerdureError
from perdure.json_value import JsonObject

if TYPE_CHECKING:
    from perdure.client.async_client import AsyncClient

__all__ = ["AsyncActor", "subscribe"]


async def subscribe(
    url: str,
    machine: str,
    instance: str,
    *,
    token: Callable[[], Awaitable[str | None]],
    renew: Callable[[], bool],
    org: str | None,
    clock: Clock,
) -> AsyncGenerator[wire.State]:
    """States of the instance, each newer than the one before; see ``AsyncClient.subscribe`` for the promise."""
    view = View(url, machine, instance)
    while True:
        failure: Exception | None = None
        try:
            target = realtime_url(url, await token(), org)
            async with connect(target, max_size=watching.MESSAGE_BYTES_MAX) as connection:
                await connection.send(view.opening())
                while True:
                    state = view.received(await _next_frame(connection))
                    if state is not None:
                        yield state
        except (OSError, TimeoutError, WebSocketException) as error:
            if view.must_renew(error) and renew():
                continue
            failure = error
        await clock.sleep(view.lost(failure))


async def _next_frame(connection: ClientConnection) -> str | bytes:
    """The next message; a connection on which nothing happens is kept alive meanwhile."""
    while True:
        try:
            async with asyncio.timeout(watching.PING_SECONDS):
                return await connection.recv()
        except TimeoutError:
            await connection.send(PING)


class AsyncActor:
    """A local stand-in for an instance. Use it as ``async with client.actor(machine, instance) as actor:``.

    Entering gets the instance, or creates it; from then on the actor follows it until the block ends.
    """

    def __init__(
        self, client: AsyncClient, machine: str, instance: str, context: JsonObject | None, version: str | None
    ) -> None:
        self._client = client
        self._context = context
        self._version = version
        self._local = LocalActor(machine, instance)
        self._changed = asyncio.Event()
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        machine, instance = self._local.machine, self._local.instance
        state = await self._client.get_or_create_instance(machine, instance, self._context, version=self._version)
        self._offer(state)
        self._following = asyncio.create_task(self._follow(), name=f"actor {self.id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.wait([self._following])

    @property
    def id(self) -> str:
        """``machine/instance``."""
        return self._local.id

    @property
    def in_flight_events(self) -> tuple[JsonObject, ...]:
        """The events that this actor has sent and the server has not answered yet, oldest first."""
        return self._local.in_flight_events

    def get_snapshot(self) -> wire.State:
        """The newest state that got here."""
        return self._local.get_snapshot()

    def subscribe(self, on_state: OnState, on_error: OnError | None = None) -> Callable[[], None]:
        """Call back with each newer state from now on, in this event loop; what this returns ends it.

        ``on_error`` is called once when the instance can no longer be followed.
        """
        return self._local.subscribe(on_state, on_error)

    async def send(self, event: JsonObject | str) -> wire.State:
        """Send an event; the state once the instance has settled. Raises what ``AsyncClient.send`` raises."""
        with self._local.flying(event) as whole_event:
            state = await self._client.send(self._local.machine, self._local.instance, whole_event)
        self._offer(state)
        return state

    async def wait_for(
        self, predicate: Callable[[wire.State], bool], *, timeout_seconds: float | None = None
    ) -> wire.State:
        """The first state from the present one on of which the predicate is true.

        Raises ``TimeoutError``, and the error that ended the following of the instance.
        """
        async with asyncio.timeout(timeout_seconds):
            while not predicate(self.get_snapshot()):
                if self._local.failure is not None:
                    raise self._local.failure
                self._changed.clear()
                await self._changed.wait()
        return self.get_snapshot()

    def _offer(self, state: wire.State) -> None:
        if self._local.offer(state):
            self._changed.set()

    async def _follow(self) -> None:
        try:
            async with aclosing(self._client.subscribe(self._local.machine, self._local.instance)) as states:
                async for state in states:
                    self._offer(state)
        except PerdureError as error:
            self._local.fail(error)
            self._changed.set()
