"""``/rt``: live views of instances over one WebSocket per client.

What must stay true:

- A caller without a good token is refused at the HTTP upgrade, by status. Accepting and closing would make the
  contract's client connect again at once, for ever.
- A subscription is its request id. Several may be to one instance, and a change of that instance is one frame all the
  same, since the client hands a frame to every subscription that it matches. A new subscription is answered with the
  current state, whatever was sent before.
- ``ts`` never goes back on a connection.
- A slow reader costs one state per instance and delays nobody: the newest state replaces one that is still waiting.
  Its own messages wait until it reads the answers to the earlier ones.

A connection is a reader (messages in), a writer (newest states out), a watch over silence, and one follower per
instance.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from perdure import wire
from perdure.durable.records import Address
from perdure.durable.runtime import InstanceState, Subscription
from perdure.errors import InvalidParameter, NotFound, StoreError
from perdure.json_value import encode_json
from perdure.logs import get_logger
from perdure.server.auth import Principal
from perdure.server.edge import CORS_HEADERS
from perdure.server.instances import public_context
from perdure.server.problems import (
    MethodNotAllowed,
    TooManyConnections,
    TooManySubscriptions,
    UpgradeRequired,
    code_of,
    problem_answer,
    status_of,
)
from perdure.server.resource import checked_name
from perdure.server.services import Services

__all__ = ["Connection", "RealtimeEndpoint", "routes"]

log = get_logger("perdure.server")

_SCOPES = ("state.read",)

# WebSocket close codes, RFC 6455 section 7.4.1 and the IANA registry.
_GOING_AWAY = 1001
_MESSAGE_TOO_BIG = 1009
_INTERNAL_ERROR = 1011
_SERVICE_RESTART = 1012

_PACE_WINDOW = 10_000.0
"""Milliseconds."""

_CLOSE_SECONDS_MAX = 5.0
"""How long a client that does not read can hold up the end of its connection."""

_REQUEST = msgspec.json.Decoder(wire.RealtimeRequest)


class _Identified(msgspec.Struct, rename="camel"):
    """The one thing that an answer to an unacceptable message needs of it."""

    request_id: str = ""


_IDENTIFIED = msgspec.json.Decoder(_Identified)


def routes(services: Services) -> list[BaseRoute]:
    return [WebSocketRoute("/rt", RealtimeEndpoint(services)), Route("/rt", _RefusePlainHttp())]


class _RefusePlainHttp:
    """Says what is wrong when a proxy or a browser's address bar asks for the WebSocket over plain HTTP."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            raise MethodNotAllowed(scope["method"], "GET, HEAD, OPTIONS")
        raise UpgradeRequired("this is a WebSocket endpoint; does a proxy on the way drop the upgrade header?")


class RealtimeEndpoint:
    """Lets connections in, or refuses them."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            principal = await self._principal(scope)
        except Exception as error:
            await self._refuse(scope, send, error)
            return
        connection = Connection(self._services, principal, receive, send)
        self._services.live.add(principal.key_id, connection)
        try:
            await send({"type": "websocket.accept"})
            await connection.serve()
        finally:
            self._services.live.remove(principal.key_id, connection)

    async def _principal(self, scope: Scope) -> Principal:
        query = parse_qs(scope["query_string"].decode("latin-1"))
        token = query.get("token", [""])[0]
        org = query.get(wire.ORG_HEADER, [None])[0]
        principal = await self._services.authenticator.by_token(token, org)
        principal.require_scope(_SCOPES)
        connections_max = self._services.settings.realtime_connections_max
        if self._services.live.count >= connections_max:
            raise TooManyConnections(f"this server has {connections_max} WebSockets already; try again later")
        return principal

    async def _refuse(self, scope: Scope, send: Send, error: Exception) -> None:
        if "websocket.http.response" not in scope.get("extensions", {}):
            # All that a server without the extension can say is 403.
            await send({"type": "websocket.close"})
            return
        answer = problem_answer(error, self._services.entropy, path=scope["path"])
        answer = answer._replace(headers=(*answer.headers, *CORS_HEADERS))
        await answer.write(send, prefix="websocket.http.response")


@dataclass(slots=True, eq=False)
class _Feed:
    """One instance that this connection follows, for as many subscriptions as there are to it."""

    address: Address
    subscription: Subscription
    newest_ts: float = 0.0
    request_ids: set[str] = field(default_factory=set)
    follower: asyncio.Task[None] | None = None


class Connection:
    """One accepted WebSocket."""

    def __init__(self, services: Services, principal: Principal, receive: Receive, send: Send) -> None:
        self._runtime = services.runtime
        self._settings = services.settings
        self._clock = services.clock
        self._principal = principal
        self._receive = receive
        self._send = send
        self._feeds: dict[Address, _Feed] = {}
        self._addresses: dict[str, Address] = {}
        """The instance of each subscription, by request id."""
        self._waiting: dict[Address, InstanceState] = {}
        """The newest state of each instance that has one to be sent, in the order of their first change."""
        self._has_waiting = asyncio.Event()
        self._sending = asyncio.Lock()
        self._heard_at = services.clock.now()
        self._window = 0.0
        """The stretch of time in which ``_messages`` were counted."""
        self._messages = 0
        self._end: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        """Set once, to the close code, or to ``None`` when the client is gone already."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Serve the client until it leaves, falls silent or is told to go."""
        self._start(self._read())
        self._start(self._write())
        self._start(self._watch_silence())
        try:
            close_code = await self._end
        finally:
            await self._release()
        if close_code is not None:
            await self._close(close_code)

    def stop(self, close_code: int) -> None:
        """End the connection soon. Safe to call twice."""
        self._finish(close_code)

    # -- the tasks -----------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a part of the connection; its failure ends the whole."""
        try:
            await work
        except OSError:
            # The ASGI name for: the client went away while we were sending.
            self._finish(None)
        except Exception as error:
            log.error("realtime connection failed", key_id=self._principal.key_id, exc_info=error)
            self._finish(_INTERNAL_ERROR)

    def _finish(self, close_code: int | None) -> None:
        if not self._end.done():
            self._end.set_result(close_code)

    async def _release(self) -> None:
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for feed in self._feeds.values():
            await feed.subscription.close()
        self._feeds.clear()

    async def _close(self, close_code: int) -> None:
        try:
            async with asyncio.timeout(_CLOSE_SECONDS_MAX):
                await self._send({"type": "websocket.close", "code": close_code})
        except (OSError, TimeoutError, RuntimeError):
            # Gone, or not reading: the server drops the connection when the application returns.
            return

    async def _watch_silence(self) -> None:
        while True:
            silence = self._clock.now() - self._heard_at
            if silence >= self._settings.realtime_idle_timeout:
                self._finish(_GOING_AWAY)
                return
            await self._clock.sleep(self._settings.realtime_idle_timeout - silence)

    # -- messages in ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        while True:
            message = await self._receive()
            if message["type"] == "websocket.disconnect":
                self._finish(None)
                return
            self._heard_at = self._clock.now()
            text = message.get("text")
            data = text.encode() if text is not None else message.get("bytes") or b""
            if len(data) > self._settings.realtime_message_bytes_max:
                self._finish(_MESSAGE_TOO_BIG)
                return
            await self._answer(data)
            await self._pace()

    async def _pace(self) -> None:
        """Read no further for a while when the client floods us: what it sends then waits on its own side."""
        window = self._clock.now() // _PACE_WINDOW
        if window != self._window:
            self._window, self._messages = window, 0
        self._messages += 1
        if self._messages >= self._settings.realtime_messages_max:
            await self._clock.sleep((window + 1) * _PACE_WINDOW - self._clock.now())

    async def _answer(self, data: bytes) -> None:
        """Do what a message asks; a refusal goes back under its request id."""
        try:
            request = _REQUEST.decode(data)
        except (ValueError, RecursionError) as error:
            await self._refuse(_request_id(data), InvalidParameter(f"the message is not acceptable: {error}"))
            return
        if isinstance(request, wire.SubscribeToInstance):
            try:
                await self._subscribe(request)
            except Exception as error:
                await self._refuse(request.request_id, error)
        elif isinstance(request, wire.UnsubscribeFromInstance):
            await self._unsubscribe(request.request_id)

    async def _refuse(self, request_id: str, error: Exception) -> None:
        status = status_of(error)
        if status >= 500:
            log.error("realtime request failed", key_id=self._principal.key_id, exc_info=error)
        refusal = wire.RealtimeError(request_id=request_id, status=status, code=code_of(error))
        await self._send_text(encode_json(refusal))

    async def _subscribe(self, request: wire.SubscribeToInstance) -> None:
        """Begin a subscription. Raises what ``Runtime.subscribe`` raises, and for limits and names of our own."""
        address = Address(
            self._principal.org,
            checked_name(request.machine_name, "machineName"),
            checked_name(request.machine_instance_name, "machineInstanceName"),
        )
        if self._addresses.get(request.request_id, address) != address:
            raise InvalidParameter("the request id belongs to a subscription to another instance", "requestId")
        subscriptions_max = self._settings.realtime_subscriptions_max
        if request.request_id not in self._addresses and len(self._addresses) >= subscriptions_max:
            raise TooManySubscriptions(f"one connection has at most {subscriptions_max} subscriptions")
        feed = self._feeds.get(address)
        if feed is None:
            feed = await self._follow(address)
        else:
            # The instance is followed already, and this subscriber has not seen it; it has to be let in anew.
            self._offer(feed, await self._runtime.read(address, auth_context=self._principal.auth_context()))
            if self._feeds.get(address) is not feed:
                raise NotFound(f"the instance {address} has just been deleted")
        feed.request_ids.add(request.request_id)
        self._addresses[request.request_id] = address

    async def _unsubscribe(self, request_id: str) -> None:
        """End a subscription. An id that was never seen is no error: clients unsubscribe while they connect."""
        address = self._addresses.pop(request_id, None)
        if address is None:
            return
        feed = self._feeds[address]
        feed.request_ids.discard(request_id)
        if feed.request_ids:
            return
        del self._feeds[address]
        self._waiting.pop(address, None)
        if feed.follower is not None:
            feed.follower.cancel()
        await feed.subscription.close()

    # -- states out ----------------------------------------------------------------------------------------------

    async def _follow(self, address: Address) -> _Feed:
        subscription = await self._runtime.subscribe(address, auth_context=self._principal.auth_context())
        feed = _Feed(address, subscription)
        self._feeds[address] = feed
        feed.follower = self._start(self._pass_on(feed))
        return feed

    async def _pass_on(self, feed: _Feed) -> None:
        async for state in feed.subscription:
            self._offer(feed, state)
        await self._end_of_feed(feed)

    def _offer(self, feed: _Feed, state: InstanceState) -> None:
        """Have a state sent, unless a newer one of its instance was offered before."""
        if state.ts < feed.newest_ts or self._feeds.get(feed.address) is not feed:
            return
        feed.newest_ts = state.ts
        self._waiting[feed.address] = state
        self._has_waiting.set()

    async def _end_of_feed(self, feed: _Feed) -> None:
        """The runtime ended a subscription: either the instance is deleted, or the runtime itself is closing."""
        try:
            await self._runtime.inspect(feed.address)
        except NotFound as error:
            self._feeds.pop(feed.address, None)
            self._waiting.pop(feed.address, None)
            for request_id in sorted(feed.request_ids):
                self._addresses.pop(request_id, None)
                await self._refuse(request_id, error)
            return
        except StoreError:
            log.info("realtime connection ends with its store", key_id=self._principal.key_id)
        self._finish(_SERVICE_RESTART)

    async def _write(self) -> None:
        while True:
            await self._has_waiting.wait()
            self._has_waiting.clear()
            while self._waiting:
                async with self._sending:
                    # Chosen only once it can go out, so that it is the newest there is.
                    address = next(iter(self._waiting), None)
                    if address is not None:
                        state = self._waiting.pop(address)
                        await self._send({"type": "websocket.send", "text": _update(state).decode()})

    async def _send_text(self, data: bytes) -> None:
        async with self._sending:
            await self._send({"type": "websocket.send", "text": data.decode()})


def _update(state: InstanceState) -> bytes:
    """The frame that tells of a state."""
    public = public_context(state.context)
    update = wire.InstanceUpdate(
        machine_name=state.address.machine,
        machine_instance_name=state.address.instance,
        ts=state.ts,
        state=state.state,
        public_context={} if public is None else public,
        tags=state.tags,
        done=state.done,
    )
    return encode_json(update)


def _request_id(data: bytes) -> str:
    """The request id of a message that is otherwise unacceptable, ``""`` when it has none."""
    try:
        return _IDENTIFIED.decode(data).request_id
    except (ValueError, RecursionError):
        return ""
