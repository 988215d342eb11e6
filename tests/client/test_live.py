"""Live views and actors of both faces, against real servers that are stopped, killed and started again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest

from perdure import wire
from perdure.client import AsyncClient, Client, Retries
from perdure.clock import SystemClock
from perdure.errors import AuthorizerRefused, InvalidState, NotFound, PerdureError
from perdure.testing.server_process import ServerProcess
from perdure.tokens import sign_token
from tests.live_server import DOOR, LiveServer, live_server

SECONDS_MAX = 30.0


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running, Client(running.url, token_of(running)) as client:
        client.create_machine("door")
        client.deploy("door", DOOR, file_name="door.py")
        yield running


def token_of(server: LiveServer, subject: str = "tester") -> str:
    now = SystemClock().now()
    return sign_token(server.key_id, server.key_secret, {"sub": subject}, now=now, expires_in=timedelta(hours=1))


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    with Client(server.url, token_of(server)) as client:
        yield client


@pytest.fixture
async def async_client(server: LiveServer) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(server.url, token_of(server)) as client:
        yield client


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    return str(request.node.name)


# -- waiting -----------------------------------------------------------------------------------------------------------


async def test_waiting_ends_with_the_first_state_that_is_meant(async_client: AsyncClient, name: str) -> None:
    await async_client.create_instance("door", name)
    waiting = asyncio.create_task(
        async_client.wait_for("door", name, lambda state: state.matches("open"), timeout_seconds=SECONDS_MAX)
    )
    await asyncio.sleep(0)
    await async_client.send("door", name, "OPEN")
    assert (await waiting).state == "open"


async def test_waiting_in_vain_times_out(async_client: AsyncClient, name: str) -> None:
    await async_client.create_instance("door", name)
    with pytest.raises(TimeoutError):
        await async_client.wait_for("door", name, lambda state: state.done, timeout_seconds=0.05)


def test_waiting_in_a_thread_does_the_same(client: Client, name: str) -> None:
    client.create_instance("door", name)
    opener = threading.Timer(0.05, client.send, ("door", name, "OPEN"))
    opener.start()
    state = client.wait_for("door", name, lambda state: state.matches("open"), timeout_seconds=SECONDS_MAX)
    assert state.public_context == {"opened": 1}
    with pytest.raises(TimeoutError):
        client.wait_for("door", name, lambda state: state.done, timeout_seconds=0.05)
    opener.join()


def test_iterating_in_a_thread_shows_each_state_until_it_is_closed(client: Client, name: str) -> None:
    client.create_instance("door", name)
    seen: list[object] = []
    with client.subscribe("door", name) as states:
        for state in states:
            seen.append(state.state)
            if state.state == "shut":
                client.send("door", name, "OPEN")
            else:
                states.close()
    assert seen == ["shut", "open"]


def test_iterating_over_nobody_in_a_thread_says_not_found(client: Client) -> None:
    with client.subscribe("door", "nobody") as states, pytest.raises(NotFound):
        next(states)


# -- actors ------------------------------------------------------------------------------------------------------------


async def test_an_actor_creates_its_instance_and_keeps_up_with_it(async_client: AsyncClient, name: str) -> None:
    async with async_client.actor("door", name) as actor:
        assert actor.id == f"door/{name}"
        assert actor.get_snapshot().has_tag("safe")
        heard: list[object] = []
        unsubscribe = actor.subscribe(lambda state: heard.append(state.state))
        await async_client.send("door", name, "OPEN")  # somebody else
        state = await actor.wait_for(lambda state: state.matches("open"), timeout_seconds=SECONDS_MAX)
        assert state == actor.get_snapshot()
        assert heard == ["open"]
        unsubscribe()
        assert (await actor.send("SHUT")).state == "shut"
        assert actor.get_snapshot().state == "shut"
        assert heard == ["open"]


async def test_an_actor_knows_its_events_that_are_not_answered_yet(async_client: AsyncClient, name: str) -> None:
    async with async_client.actor("door", name) as actor:
        sending = asyncio.create_task(actor.send({"type": "OPEN"}))
        await asyncio.sleep(0)
        assert list(actor.in_flight_events) == [{"type": "OPEN"}]
        await sending
        assert not actor.in_flight_events


async def test_an_event_that_fails_is_no_longer_under_way_and_moves_nothing(
    async_client: AsyncClient, name: str
) -> None:
    async with async_client.actor("door", name) as actor:
        await async_client.set_status("door", name, "paused")
        with pytest.raises(InvalidState):
            await actor.send("OPEN")
        assert actor.in_flight_events == ()
        assert actor.get_snapshot().state == "shut"


async def test_an_actor_tells_when_its_instance_is_gone(async_client: AsyncClient, name: str) -> None:
    errors: list[PerdureError] = []
    async with async_client.actor("door", name) as actor:
        actor.subscribe(lambda state: None, errors.append)
        await async_client.delete_instance("door", name)
        with pytest.raises(NotFound):
            await actor.wait_for(lambda state: state.done, timeout_seconds=SECONDS_MAX)
    assert [type(error) for error in errors] == [NotFound]


def test_an_actor_of_a_thread_does_the_same(client: Client, name: str) -> None:
    with client.actor("door", name) as actor:
        heard: list[object] = []
        actor.subscribe(lambda state: heard.append(state.state))
        client.send("door", name, "OPEN")
        assert actor.wait_for(lambda state: state.matches("open"), timeout_seconds=SECONDS_MAX).state == "open"
        assert actor.send("SHUT").state == "shut"
        assert actor.wait_for(lambda state: state.matches("shut"), timeout_seconds=SECONDS_MAX).state == "shut"
        assert heard == ["open", "shut"]
        assert actor.in_flight_events == ()
        with pytest.raises(TimeoutError):
            actor.wait_for(lambda state: state.done, timeout_seconds=0.05)


def test_an_actor_that_has_not_begun_has_no_snapshot(client: Client) -> None:
    with pytest.raises(InvalidState, match="enter it"):
        client.actor("door", "front").get_snapshot()


def test_a_refused_creation_is_raised_where_the_actor_begins(server: LiveServer) -> None:
    with Client(server.url, token_of(server, "stranger")) as stranger:
        actor = stranger.actor("door", "theirs")
        with pytest.raises(AuthorizerRefused):
            actor.__enter__()


# -- state values ------------------------------------------------------------------------------------------------------


def state(value: object) -> wire.State:
    return wire.State(ts=1, state=value, tags=("a",), done=False)


def test_a_state_tells_its_paths() -> None:
    assert state({"pay": "due", "ship": {"box": "packed"}}).to_strings() == [
        "pay",
        "pay.due",
        "ship",
        "ship.box",
        "ship.box.packed",
    ]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("pay", True),
        ("pay.due", True),
        ("due", False),
        (["ship", "box", "packed"], True),
        ({"pay": "due"}, True),
        ({"pay": "paid"}, False),
        ({"ship": {"box": "packed"}, "pay": "due"}, True),
        ({"ship": "box"}, True),
        ({"nothing": "x"}, False),
    ],
)
def test_a_state_matches_paths_and_parts_of_its_value(pattern: object, matches: bool) -> None:
    assert state({"pay": "due", "ship": {"box": "packed"}}).matches(pattern) is matches


def test_a_state_has_its_tags() -> None:
    assert state("x").has_tag("a")
    assert not state("x").has_tag("b")


# -- restarts ----------------------------------------------------------------------------------------------------------

COUNTER = """
from perdure import assign, create_machine

machine = create_machine(
    {
        "id": "counter",
        "context": {"public": {"count": 0}},
        "initial": "counting",
        "states": {"counting": {"on": {"ADD": {"actions": "add"}}}},
    },
    actions={"add": assign(public=lambda context: {"count": context["public"]["count"] + 1})},
)


def allow_read(request):
    return True


def allow_write(request):
    return True
"""


@pytest.mark.slow
async def test_a_view_goes_on_over_kills_and_restarts_and_shows_nothing_twice_and_the_last_state(
    tmp_path: Path,
) -> None:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER, encoding="utf-8")
    async with ServerProcess(tmp_path, [file]) as server, server.client({"sub": "me"}) as client:
        await client.create_instance("counter", "c")
        seen: list[wire.State] = []

        async def watch() -> None:
            async with aclosing(client.subscribe("counter", "c")) as states:
                async for state in states:
                    seen.append(state)
                    if state.public_context["count"] == 9:
                        return

        watching = asyncio.create_task(watch())
        for restart in range(3):
            for _ in range(3):
                await client.send("counter", "c", "ADD")
            if restart < 2:
                await server.kill()
                await server.start()
        async with asyncio.timeout(SECONDS_MAX):
            await watching
        assert [state.ts for state in seen] == sorted({state.ts for state in seen})
        counts = [state.public_context["count"] for state in seen]
        assert counts == sorted(set(counts))
        assert counts[-1] == 9


@pytest.mark.slow
async def test_requests_wait_for_a_server_that_is_being_started(tmp_path: Path) -> None:
    file = tmp_path / "counter.py"
    file.write_text(COUNTER, encoding="utf-8")
    async with ServerProcess(tmp_path, [file]) as server:
        retries = Retries(attempts=60, pause_max=200)
        async with AsyncClient(server.url, lambda: server.token({"sub": "me"}), retries=retries) as client:
            await client.create_instance("counter", "c")
            await server.kill()
            sending = asyncio.create_task(client.send("counter", "c", "ADD"))
            await server.start()
            assert (await sending).public_context == {"count": 1}
