"""Live views over a real WebSocket: the test is the server, frame by frame."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import TypeAlias

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from perdure.client import AsyncClient, watching
from perdure.client.watching import realtime_url, reconnect_pause
from perdure.errors import InvalidToken, NotFound, ServerUnreachable

Behaviour: TypeAlias = Callable[[ServerConnection], Awaitable[None]]


class Pauses:
    """A clock whose pauses end at once and are written down."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> float:
        return 0.0

    async def sleep(self, milliseconds: float) -> None:
        self.slept.append(milliseconds)
        await asyncio.sleep(0)


@asynccontextmanager
async def server(*behaviours: Behaviour) -> AsyncIterator[str]:
    """A server that treats its first connection as the first behaviour says, and so on; the last one stays."""
    left = list(behaviours)

    async def on_connection(connection: ServerConnection) -> None:
        behaviour = left.pop(0) if len(left) > 1 else left[0]
        await behaviour(connection)

    async with serve(on_connection, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"


def update(ts: float, state: str) -> str:
    return json.dumps(
        {
            "type": "instance-update",
            "machineName": "door",
            "machineInstanceName": "front",
            "ts": ts,
            "state": state,
            "publicContext": {},
            "tags": [],
            "done": False,
        }
    )


def sending(*frames: str, then_wait: bool = False) -> Behaviour:
    async def behave(connection: ServerConnection) -> None:
        await connection.recv()
        for frame in frames:
            await connection.send(frame)
        if then_wait:
            await connection.wait_closed()

    return behave


async def first_states(url: str, number: int, clock: Pauses) -> list[str]:
    async with AsyncClient(url, "t", clock=clock) as client, aclosing(client.subscribe("door", "front")) as states:
        found: list[str] = []
        async for state in states:
            found.append(state.state)
            if len(found) == number:
                break
        return found


async def test_watching_subscribes_with_its_token_and_yields_each_state() -> None:
    asked: list[object] = []

    async def behave(connection: ServerConnection) -> None:
        assert connection.request is not None
        asked.append(connection.request.path)
        asked.append(json.loads(await connection.recv()))
        await connection.send(update(1, "shut"))
        await connection.send(update(2, "open"))
        await connection.wait_closed()

    async with server(behave) as url:
        assert await first_states(url, 2, Pauses()) == ["shut", "open"]
    assert asked[0] == "/rt?token=t"
    assert asked[1] == {
        "type": "subscribe-to-instance",
        "requestId": "view",
        "machineName": "door",
        "machineInstanceName": "front",
    }


async def test_states_that_are_not_newer_are_dropped() -> None:
    frames = [update(5, "a"), update(4, "older"), update(5, "the same"), update(5.001, "b")]
    async with server(sending(*frames, then_wait=True)) as url:
        assert await first_states(url, 2, Pauses()) == ["a", "b"]


async def test_a_lost_connection_is_made_again_and_repeats_nothing() -> None:
    clock = Pauses()
    async with server(sending(update(1, "a")), sending(update(1, "a"), update(2, "b"), then_wait=True)) as url:
        assert await first_states(url, 2, clock) == ["a", "b"]
    assert len(clock.slept) == 1


async def test_pauses_grow_while_reconnecting_brings_nothing_and_start_over_when_it_does() -> None:
    clock = Pauses()
    nothing = sending()
    behaviours = [sending(update(1, "a")), nothing, nothing, sending(update(2, "b")), sending(update(3, "c"))]
    async with server(*behaviours) as url:
        assert await first_states(url, 3, clock) == ["a", "b", "c"]
    assert clock.slept == [100, 200, 400, 100]


def test_pauses_between_attempts_are_bounded() -> None:
    assert reconnect_pause(0) == 100
    assert reconnect_pause(1_000_000) == 10_000


async def test_messages_of_a_later_release_are_passed_over() -> None:
    frames = ['{"type": "news"}', update(1, "a")]
    async with server(sending(*frames, then_wait=True)) as url:
        assert await first_states(url, 1, Pauses()) == ["a"]


async def test_a_silent_connection_is_kept_alive_with_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "PING_SECONDS", 0.01)

    async def behave(connection: ServerConnection) -> None:
        await connection.recv()
        assert json.loads(await connection.recv()) == {"type": "ping"}
        await connection.send(update(1, "a"))
        await connection.wait_closed()

    async with server(behave) as url:
        assert await first_states(url, 1, Pauses()) == ["a"]


async def test_a_server_that_speaks_no_websocket_ends_the_view_at_once() -> None:
    clock = Pauses()

    async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: tea\r\n\r\n")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(answer_http, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(ServerUnreachable, match="WebSocket"):
            await first_states(f"http://127.0.0.1:{port}", 1, clock)
    assert clock.slept == []


async def test_an_instance_that_is_not_there_ends_the_view() -> None:
    refusal = json.dumps({"type": "error", "requestId": "view", "status": 404, "code": "not-found"})
    async with server(sending(refusal, then_wait=True)) as url:
        with pytest.raises(NotFound, match="door/front: there is no such instance"):
            await first_states(url, 1, Pauses())


async def test_a_refused_token_ends_the_view_at_once() -> None:
    clock = Pauses()

    def refuse(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(403, "")

    async def never(connection: ServerConnection) -> None:
        raise AssertionError("the handshake was refused")

    async with serve(never, "127.0.0.1", 0, process_request=refuse) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(InvalidToken):
            await first_states(f"http://127.0.0.1:{port}", 1, clock)
    assert clock.slept == []


async def test_watching_fails_at_once_when_there_is_no_server() -> None:
    clock = Pauses()
    async with server(sending()) as url:
        pass
    with pytest.raises(ServerUnreachable, match="no live updates"):
        await first_states(url, 1, clock)
    assert clock.slept == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://host:1", "ws://host:1/rt?token=a%2Bb"),
        ("https://host/api", "wss://host/api/rt?token=a%2Bb"),
    ],
)
def test_the_socket_is_below_the_url_with_the_token_in_its_query(url: str, expected: str) -> None:
    assert realtime_url(url, "a+b", None) == expected


def test_the_socket_names_the_org_when_there_is_one() -> None:
    assert realtime_url("http://host", None, "org_1") == "ws://host/rt?x-statebacked-org-id=org_1"
