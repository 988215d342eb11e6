"""A live view of one instance, one that survives the connection it runs on.

The server pushes the current state at once and every later one as it comes. A lost connection is made again with
growing pauses, and the server then starts from the current state, so that a reader always ends at the newest one; what
the reader has seen is dropped by its ``ts``, so that nothing comes twice. Only what will not mend by itself ends the
view: a refused token, an instance that is not there or may not be read.

``View`` decides all of this without I/O; the faces only connect, send, receive and wait as it says.
"""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec
from websockets.exceptions import InvalidHandshake, InvalidStatus

from perdure import wire
from perdure.client.exchange import Response, error_for, error_of
from perdure.errors import InvalidToken, PerdureError, ServerUnreachable

__all__ = ["MESSAGE_BYTES_MAX", "PING", "PING_SECONDS", "View", "realtime_url", "reconnect_pause"]

PING_SECONDS = 240.0
"""Servers close connections that say nothing for five minutes or more."""
MESSAGE_BYTES_MAX = 4_000_000
PING = msgspec.json.encode(wire.Ping()).decode()

_PAUSE_FIRST = 100.0
_PAUSE_MAX = 10_000.0
_REQUEST_ID = "view"
_REFUSALS = {
    "not-found": "there is no such instance",
    "rejected-by-machine-authorizer": "allow_read of the machine refused",
    "missing-scope": "the token's key lacks the scope state.read",
}
"""What a refusal means, of which the protocol gives the code alone."""
_decoder = msgspec.json.Decoder(wire.InstanceUpdate | wire.RealtimeError)


class View:
    """What a subscription has seen, and what to do next."""

    def __init__(self, url: str, machine: str, instance: str) -> None:
        self._url = url
        self._machine = machine
        self._instance = instance
        self._newest = float("-inf")
        self._failures = 0
        self._has_connected = False
        self._has_renewed = False

    def opening(self) -> str:
        """A connection was made: what to send on it first."""
        self._has_connected = True
        self._has_renewed = False
        subscribe = wire.SubscribeToInstance(
            request_id=_REQUEST_ID, machine_name=self._machine, machine_instance_name=self._instance
        )
        return msgspec.json.encode(subscribe).decode()

    def received(self, frame: str | bytes) -> wire.State | None:
        """The state that a message brings, if it brings one that is news.

        Raises the server's refusal of the subscription; ``ConnectionError`` when the server failed, and another
        attempt may do better.
        """
        try:
            message = _decoder.decode(frame)
        except msgspec.ValidationError:
            return None  # a message of a later release
        if isinstance(message, wire.RealtimeError):
            if message.status >= 500:
                raise ConnectionError(f"the server failed to show the instance: {message.code}")
            what = f"{self._machine}/{self._instance}"
            why = _REFUSALS.get(message.code, message.code)
            raise error_for(message.status, message.code, f"the server does not show {what}: {why}")
        self._failures = 0
        if message.ts <= self._newest:
            return None
        self._newest = message.ts
        return wire.State(
            ts=message.ts,
            state=message.state,
            public_context=message.public_context,
            tags=message.tags,
            done=message.done,
        )

    def must_renew(self, error: Exception) -> bool:
        """Whether the connection was refused for its token, which may have expired since the last one was made."""
        if not isinstance(error, InvalidStatus) or error.response.status_code not in (401, 403) or self._has_renewed:
            return False
        self._has_renewed = True
        return True

    def lost(self, error: Exception | None) -> float:
        """The connection ended, or was not made: milliseconds to wait before the next one.

        Raises the error to give up with, when trying again would get the same answer.
        """
        if error is not None:
            refusal = _refusal(error)
            if refusal is not None:
                raise refusal from error
            if not self._has_connected:
                raise ServerUnreachable(
                    f"no live updates from {self._url} ({error}): is the server running?"
                ) from error
        pause = reconnect_pause(self._failures)
        self._failures += 1
        return pause


def reconnect_pause(failures: int) -> float:
    """Milliseconds to wait before the next attempt after so many in a row that brought nothing."""
    return min(_PAUSE_MAX, _PAUSE_FIRST * 2.0 ** min(failures, 16))


def realtime_url(url: str, token: str | None, org: str | None) -> str:
    """The WebSocket's address. The token goes into it, since a browser cannot send headers there."""
    parts = urlsplit(url)
    query = {"token": token, wire.ORG_HEADER: org}
    return urlunsplit(
        (
            {"http": "ws", "https": "wss"}[parts.scheme],
            parts.netloc,
            f"{parts.path.rstrip('/')}/rt",
            urlencode({name: value for name, value in query.items() if value is not None}),
            "",
        )
    )


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
