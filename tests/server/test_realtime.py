"""``/rt`` over a real socket: who is let in, what is pushed when, and how a connection ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from starlette.types import Message
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from perdure.durable.records import Address
from perdure.errors import StoreError
from tests.server.captured_log import captured_log
from tests.server.world import ORG, World, started_world

HALL = Address(ORG, "light", "hall")


@asynccontextmanager
async def connected(world: World, *scopes: str, act: dict[str, Any] | None = None) -> AsyncIterator[ClientConnection]:
    token = world.token(await world.key(*scopes), act)
    async with world.listening() as host, connect(f"ws://{host}/rt?token={token}") as socket:
        yield socket


def subscription(request_id: str, instance: str = "hall", machine: str = "light") -> dict[str, str]:
    return {
        "type": "subscribe-to-instance",
        "requestId": request_id,
        "machineName": machine,
        "machineInstanceName": instance,
    }


def end_of(request: dict[str, str]) -> dict[str, str]:
    return {**request, "type": "unsubscribe-from-instance"}


async def say(socket: ClientConnection, *messages: dict[str, Any]) -> None:
    for message in messages:
        await socket.send(json.dumps(message))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    text = await socket.recv()
    assert isinstance(text, str), "frames are text"
    message: dict[str, Any] = json.loads(text)
    return message


async def silence(socket: ClientConnection) -> None:
    """Nothing is on its way: the answer to something said now is the next thing heard."""
    await say(socket, subscription("silence?", machine="not a name"))
    message = await hear(socket)
    assert message == {"type": "error", "requestId": "silence?", "status": 400, "code": "invalid-parameter"}


async def closing_code(socket: ClientConnection) -> int:
    with pytest.raises(ConnectionClosed) as closed:
        await hear(socket)
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code


async def test_a_subscriber_gets_the_current_state_at_once(world: World) -> None:
    await world.create_light()
    await world.runtime.send(HALL, "SWITCH")
    async with connected(world) as socket:
        await say(socket, subscription("1"))
        first = await hear(socket)

    assert first == {
        "type": "instance-update",
        "machineName": "light",
        "machineInstanceName": "hall",
        "ts": (await world.runtime.read(HALL)).ts,
        "state": "on",
        "publicContext": {"switched": 1},
        "tags": ["lit"],
        "done": False,
    }


async def test_every_change_is_pushed_with_a_growing_ts(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        await say(socket, subscription("1"))
        heard = [await hear(socket)]
        for _ in range(4):
            await world.runtime.send(HALL, "SWITCH")
            heard.append(await hear(socket))

    assert [message["state"] for message in heard] == ["off", "on", "off", "on", "off"]
    stamps = [message["ts"] for message in heard]
    assert stamps == sorted(set(stamps))


async def test_a_push_has_an_empty_public_context_when_there_is_none(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        await say(socket, subscription("1"))
        await hear(socket)
        await world.runtime.send(HALL, "HIDE")

        assert (await hear(socket))["publicContext"] == {}


async def test_two_subscriptions_to_one_instance_get_one_frame_per_change(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        for request_id in ("1", "2"):
            await say(socket, subscription(request_id))
            assert (await hear(socket))["state"] == "off"
        await world.runtime.send(HALL, "SWITCH")

        assert (await hear(socket))["state"] == "on"
        await silence(socket)


async def test_ending_one_of_two_subscriptions_leaves_the_other(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        for request_id in ("1", "2"):
            await say(socket, subscription(request_id))
            await hear(socket)

        await say(socket, end_of(subscription("1")))
        await silence(socket)
        await world.runtime.send(HALL, "SWITCH")
        assert (await hear(socket))["state"] == "on"

        await say(socket, end_of(subscription("2")))
        await silence(socket)
        await world.runtime.send(HALL, "SWITCH")
        await silence(socket)


async def test_a_connection_follows_several_instances(world: World) -> None:
    await world.create_light("hall")
    await world.create_light("attic")
    async with connected(world) as socket:
        await say(socket, subscription("1", "hall"), subscription("2", "attic"))
        assert {(await hear(socket))["machineInstanceName"] for _ in range(2)} == {"hall", "attic"}

        await world.runtime.send(Address(ORG, "light", "attic"), "SWITCH")
        assert (await hear(socket))["machineInstanceName"] == "attic"
        await silence(socket)


async def test_an_ended_subscription_can_begin_again(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        for _ in range(2):
            await say(socket, subscription("1"))
            assert (await hear(socket))["state"] == "off"
            await say(socket, end_of(subscription("1")))
        await silence(socket)


async def test_ending_an_unknown_subscription_is_tolerated(world: World) -> None:
    async with connected(world) as socket:
        await say(socket, end_of(subscription("never seen")))
        await silence(socket)


@pytest.mark.parametrize(
    ("request_", "act", "status", "code"),
    [
        (subscription("1", "attic"), {}, 404, "not-found"),
        (subscription("1", machine="lamp"), {}, 404, "not-found"),
        (subscription("1"), {"role": "stranger"}, 403, "rejected-by-machine-authorizer"),
        (subscription("1", "a b"), {}, 400, "invalid-parameter"),
        ({"type": "subscribe-to-instance", "requestId": "1"}, {}, 400, "invalid-parameter"),
        ({"type": "subscribe-to-everything", "requestId": "1"}, {}, 400, "invalid-parameter"),
    ],
)
async def test_a_refused_subscription_is_told_so_and_the_connection_stays(
    world: World, request_: dict[str, str], act: dict[str, str], status: int, code: str
) -> None:
    await world.create_light()
    async with connected(world, act=act) as socket:
        await say(socket, request_)

        assert await hear(socket) == {"type": "error", "requestId": "1", "status": status, "code": code}
        await silence(socket)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", '{"requestId": 5}', '{"type": "ping"', "[" * 9_999])
async def test_what_is_no_message_is_refused_without_a_request_id(world: World, text: str) -> None:
    async with connected(world) as socket:
        await socket.send(text)

        assert await hear(socket) == {"type": "error", "requestId": "", "status": 400, "code": "invalid-parameter"}


async def test_a_message_may_come_in_a_binary_frame(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        await socket.send(json.dumps(subscription("1")).encode())

        assert (await hear(socket))["state"] == "off"


async def test_a_request_id_cannot_move_to_another_instance(world: World) -> None:
    await world.create_light("hall")
    await world.create_light("attic")
    async with connected(world) as socket:
        await say(socket, subscription("1", "hall"))
        await hear(socket)
        await say(socket, subscription("1", "attic"))

        assert (await hear(socket))["code"] == "invalid-parameter"


async def test_subscribing_again_under_the_same_id_pushes_the_state_again(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        for _ in range(2):
            await say(socket, subscription("1"))
            assert (await hear(socket))["state"] == "off"
        await say(socket, end_of(subscription("1")))
        await silence(socket)
        await world.runtime.send(HALL, "SWITCH")
        await silence(socket)


async def test_subscriptions_are_limited() -> None:
    async with started_world(realtime_subscriptions_max=2) as world:
        await world.create_light()
        async with connected(world) as socket:
            for request_id in ("1", "2"):
                await say(socket, subscription(request_id))
                await hear(socket)
            await say(socket, subscription("3"))

            refusal = await hear(socket)
            assert (refusal["status"], refusal["code"]) == (429, "too-many-subscriptions")


async def test_subscribers_of_a_deleted_instance_are_told_and_can_subscribe_anew(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        for request_id in ("1", "2"):
            await say(socket, subscription(request_id))
            await hear(socket)
        await world.runtime.delete_instance(HALL)
        refusals = [await hear(socket), await hear(socket)]
        await world.create_light()
        await say(socket, subscription("1"))
        again = await hear(socket)

    assert [refusal["requestId"] for refusal in refusals] == ["1", "2"]
    assert {(refusal["status"], refusal["code"]) for refusal in refusals} == {(404, "not-found")}
    assert again["type"] == "instance-update"


async def test_a_failing_subscription_is_an_internal_error_for_its_subscriber(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*arguments: Any, **options: Any) -> Any:
        raise StoreError("the disk is full")

    monkeypatch.setattr(world.runtime, "subscribe", fail)
    async with connected(world) as socket:
        with captured_log() as lines:
            await say(socket, subscription("1"))
            refusal = await hear(socket)
        await silence(socket)

    assert refusal == {"type": "error", "requestId": "1", "status": 500, "code": "store-error"}
    assert [line["log_level"] for line in lines] == ["error"]


# -- who is let in -----------------------------------------------------------------------------------------------------


async def refusal_of(world: World, query: str) -> tuple[int, str]:
    async with world.listening() as host:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{host}/rt{query}")
    response = refused.value.response
    assert response.headers["access-control-allow-origin"] == "*"
    return response.status_code, json.loads(response.body)["code"]


@pytest.mark.parametrize("query", ["", "?token=", "?token=x", "?token=a.b.c"])
async def test_a_bad_token_is_refused_at_the_upgrade(world: World, query: str) -> None:
    assert await refusal_of(world, query) == (401, "invalid-token")


async def test_an_expired_token_is_refused_at_the_upgrade(world: World) -> None:
    token = world.token(await world.key(), expires_in=timedelta(seconds=-10))

    assert await refusal_of(world, f"?token={token}") == (401, "invalid-token")


async def test_a_key_without_state_read_is_refused_at_the_upgrade(world: World) -> None:
    token = world.token(await world.key("events.write", "instances.admin"))

    assert await refusal_of(world, f"?token={token}") == (403, "missing-scope")


async def test_another_org_is_refused_at_the_upgrade_and_ones_own_is_not(world: World) -> None:
    token = world.token(await world.key())

    assert await refusal_of(world, f"?token={token}&x-statebacked-org-id=org_other") == (403, "missing-org")
    async with world.listening() as host, connect(f"ws://{host}/rt?token={token}&x-statebacked-org-id={ORG}"):
        pass


async def test_duplicate_slashes_before_rt_count_as_one(world: World) -> None:
    token = world.token(await world.key())
    async with world.listening() as host, connect(f"ws://{host}//rt?token={token}") as socket:
        await silence(socket)


async def test_a_server_that_cannot_refuse_by_status_closes_instead(world: World) -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/rt", "query_string": b"token=x", "headers": []}
    await world.app(scope, receive, send)

    assert sent == [{"type": "websocket.close"}]


# -- how a connection ends ---------------------------------------------------------------------------------------------


async def test_a_silent_connection_is_closed_after_the_idle_timeout(world: World) -> None:
    async with connected(world) as socket:
        await silence(socket)
        await world.clock.advance(world.settings.realtime_idle_timeout)

        assert await closing_code(socket) == 1001


async def test_pings_keep_a_connection_and_are_not_answered(world: World) -> None:
    await world.create_light()
    most_of_it = world.settings.realtime_idle_timeout * 0.6
    async with connected(world) as socket:
        await silence(socket)
        for _ in range(3):
            await world.clock.advance(most_of_it)
            await say(socket, {"type": "ping"})
            await silence(socket)

        await world.clock.advance(most_of_it)
        await silence(socket)


async def test_the_idle_timeout_leaves_room_for_a_ping_every_five_minutes(world: World) -> None:
    assert world.settings.realtime_idle_timeout >= 2 * 5 * 60 * 1000


async def test_a_message_beyond_its_limit_closes_the_connection(world: World) -> None:
    async with connected(world) as socket:
        await socket.send("x" * (world.settings.realtime_message_bytes_max + 1))

        assert await closing_code(socket) == 1009


async def test_deleting_a_key_closes_the_connections_it_opened(world: World) -> None:
    key = await world.key()
    async with world.listening() as host:
        url = f"ws://{host}/rt?token={world.token(key)}"
        async with connect(url) as socket, await world.client() as client:
            await silence(socket)
            await client.delete(f"/keys/{key.id}")

            assert await closing_code(socket) == 1008


async def test_a_closing_runtime_ends_connections_so_that_clients_come_back(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        await say(socket, subscription("1"))
        await hear(socket)
        await world.runtime.close()

        assert await closing_code(socket) == 1012


def tasks_of_connections() -> int:
    return sum("Connection." in getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())


async def test_a_client_that_leaves_leaves_nothing_behind(world: World) -> None:
    await world.create_light()
    async with connected(world) as socket:
        await say(socket, subscription("1"))
        await hear(socket)
        assert tasks_of_connections() > 0

    assert tasks_of_connections() == 0


# -- a slow reader -----------------------------------------------------------------------------------------------------


class SlowReader:
    """The far end of a connection whose sends wait until the test lets one through."""

    def __init__(self, world: World, token: str) -> None:
        self.frames: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.blocked = asyncio.Event()
        self.failure: Exception | None = None
        """What sending raises from now on."""
        self.close_code: int | None = None
        self._may_send = asyncio.Semaphore(0)
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._inbox.put_nowait({"type": "websocket.connect"})
        scope = {"type": "websocket", "path": "/rt", "query_string": f"token={token}".encode(), "headers": []}
        self.serving = asyncio.create_task(world.app(scope, self._inbox.get, self._send))

    async def _send(self, message: Message) -> None:
        if message["type"] == "websocket.close":
            self.close_code = message["code"]
        if message["type"] == "websocket.send":
            self.blocked.set()
            await self._may_send.acquire()
            if self.failure is not None:
                raise self.failure
            self.frames.put_nowait(json.loads(message["text"]))

    def say(self, message: dict[str, Any]) -> None:
        self._inbox.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def let_through(self) -> None:
        self._may_send.release()

    async def read_one(self) -> dict[str, Any]:
        self.let_through()
        return await self.frames.get()

    async def leave(self) -> None:
        self._inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
        self._may_send.release()
        await self.serving


async def test_a_slow_reader_misses_states_and_gets_the_newest(world: World) -> None:
    await world.create_light()
    reader = SlowReader(world, world.token(await world.key()))
    reader.say(subscription("1"))
    await reader.blocked.wait()
    for _ in range(7):
        await world.runtime.send(HALL, "SWITCH")
        for _ in range(9):  # let every task of the connection run
            await asyncio.sleep(0)

    first, second = await reader.read_one(), await reader.read_one()

    assert (first["state"], first["publicContext"]) == ("off", {"switched": 0})
    assert (second["state"], second["publicContext"]) == ("on", {"switched": 4})
    await reader.leave()
    assert reader.frames.empty()


async def test_a_slow_reader_does_not_delay_the_machine(world: World) -> None:
    await world.create_light()
    reader = SlowReader(world, world.token(await world.key()))
    reader.say(subscription("1"))
    await reader.blocked.wait()

    async with asyncio.timeout(5):
        state = await world.runtime.send(HALL, "SWITCH")

    assert state.state == "on"
    await reader.leave()


async def test_a_client_that_is_gone_while_we_send_is_no_failure(world: World) -> None:
    await world.create_light()
    reader = SlowReader(world, world.token(await world.key()))
    reader.say(subscription("1"))
    await reader.blocked.wait()

    with captured_log() as lines:
        reader.failure = ConnectionResetError("gone")
        reader.let_through()
        await reader.serving

    assert lines == []
    assert reader.close_code is None


async def test_a_failure_of_ours_is_logged_and_closes_the_connection(world: World) -> None:
    await world.create_light()
    reader = SlowReader(world, world.token(await world.key()))
    reader.say(subscription("1"))
    await reader.blocked.wait()

    with captured_log() as lines:
        reader.failure = ValueError("a bug")
        reader.let_through()
        await reader.serving

    assert [line["log_level"] for line in lines] == ["error"]
    assert reader.close_code == 1011
