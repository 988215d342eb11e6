"""A live view of one instance over the WebSocket, one that survives the connection it runs on.

The server pushes the current state at once and every later one as it comes. A lost connection is made again with
growing pauses, and the server then starts from the current state; what the reader has seen is dropped by its ``ts``.
Only what will not mend by itself ends the view: a refused token, an instance that is not there or may not be read.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from perdure import wire
from perdure.client.exchange import Response, TokenSource, error_for, error_of
from perdure.clock import Clock
from perdure.errors import InvalidToken, PerdureError, ServerUnreachable

__all__ = ["reconnect_pause", "realtime_url", "watch"]

_PING_SECONDS = 240.0
"""Servers close connections that say nothing for five minutes or more."""
_PAUSE_FIRST = 100.0
_PAUSE_MAX = 10_000.0
_MESSAGE_BYTES_MAX = 4_000_000

_REQUEST_ID = "watch"
_decoder = msgspec.json.Decoder(wire.InstanceUpdate | wire.RealtimeError)


async def watch(
    url: str, machine: str, instance: str, *, token: TokenSource, org: str | None, clock: Clock
) -> AsyncGenerator[wire.State]:
    """States of the instance, each newer than the one before; see ``AsyncClient.watch`` for the promise."""
    newest = float("-inf")
    failures = 0
    has_connected = False
    while True:
        try:
            async with connect(realtime_url(url, token, org), max_size=_MESSAGE_BYTES_MAX) as connection:
                has_connected = True
                async for state in _states(connection, machine, instance):
                    failures = 0
                    if state.ts > newest:
                        newest = state.ts
                        yield state
        except (OSError, TimeoutError, WebSocketException) as error:
            refusal = _refusal(error)
            if refusal is not None:
                raise refusal from error
            if not has_connected:
                raise ServerUnreachable(f"no live updates from {url} ({error}): is the server running?") from error
        await clock.sleep(reconnect_pause(failures))
        failures += 1


def reconnect_pause(failures: int) -> float:
    """Milliseconds to wait before the next attempt after so many in a row that brought nothing."""
    return min(_PAUSE_MAX, _PAUSE_FIRST * 2.0 ** min(failures, 16))


def realtime_url(url: str, token: TokenSource, org: str | None) -> str:
    """The WebSocket's address. The token goes into it, since a browser cannot send headers there."""
    parts = urlsplit(url)
    query = {"token": token() if callable(token) else token, wire.ORG_HEADER: org}
    return urlunsplit(
        (
            {"http": "ws", "https": "wss"}[parts.scheme],
            parts.netloc,
            f"{parts.path.rstrip('/')}/rt",
            urlencode({name: value for name, value in query.items() if value is not None}),
            "",
        )
    )


async def _states(connection: ClientConnection, machine: str, instance: str) -> AsyncGenerator[wire.State]:
    """The states that one connection brings. Ends when the server closes it."""
    subscribe = wire.SubscribeToInstance(request_id=_REQUEST_ID, machine_name=machine, machine_instance_name=instance)
    await _say(connection, subscribe)
    while True:
        try:
            async with asyncio.timeout(_PING_SECONDS):
                frame = await connection.recv()
        except TimeoutError:
            await _say(connection, wire.Ping())
            continue
        try:
            message = _decoder.decode(frame)
        except msgspec.ValidationError:
            continue  # a message of a later release
        if isinstance(message, wire.RealtimeError):
            raise error_for(
                message.status, message.code, f"the server does not show {machine}/{instance}: {message.code}"
            )
        yield wire.State(
            ts=message.ts,
            state=message.state,
            public_context=message.public_context,
            tags=message.tags,
            done=message.done,
        )


async def _say(connection: ClientConnection, message: wire.RealtimeRequest) -> None:
    await connection.send(msgspec.json.encode(message).decode())


def _refusal(error: Exception) -> PerdureError | None:
    """The error to give up with, when trying again would get the same answer."""
    if isinstance(error, InvalidStatus) and 400 <= error.response.status_code < 500:
        answer = error_of(Response(status=error.response.status_code, body=bytes(error.response.body or b"")))
        if error.response.status_code in (401, 403) and not error.response.body:
            return InvalidToken("the server refuses live updates: is the token valid, and may its key read states?")
        return answer
    if isinstance(error, InvalidHandshake) and not isinstance(error, InvalidStatus):
        return ServerUnreachable(f"the server does not speak WebSocket: {error}")
    return None
