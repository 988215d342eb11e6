"""Both faces of the client against a whole server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from datetime import timedelta

import pytest

from perdure.client import AsyncClient, Client
from perdure.clock import SystemClock
from perdure.errors import (
    AuthorizerRefused,
    InvalidState,
    InvalidToken,
    MachineCodeError,
    MachineConfigError,
    MissingScope,
    NotFound,
    ServerUnreachable,
)
from perdure.tokens import sign_token
from tests.live_server import DOOR, LiveServer, live_server


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running, Client(running.url, token_of(running)) as client:
        client.create_machine("door")
        client.deploy("door", DOOR, file_name="door.py", client_info="first")
        yield running


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
    """An instance name that no other test uses."""
    return str(request.node.name)


def token_of(server: LiveServer, subject: str = "tester") -> str:
    now = SystemClock().now()
    return sign_token(server.key_id, server.key_secret, {"sub": subject}, now=now, expires_in=timedelta(hours=1))


def test_a_machine_is_listed_with_its_versions(client: Client) -> None:
    assert "door" in [machine.slug for machine in client.list_machines()]
    current = client.get_machine("door").current_version
    assert current is not None
    assert current.client_info == "first"
    assert client.list_versions("door")[0].id == current.id


def test_an_instance_lives_from_creation_to_deletion(client: Client, name: str) -> None:
    assert client.create_instance("door", name).state == "shut"
    opened = client.send("door", name, "OPEN")
    assert (opened.state, opened.public_context, opened.tags) == ("open", {"opened": 1}, ())
    assert client.get_instance("door", name) == opened
    assert [transition.state for transition in client.list_transitions("door", name)] == ["shut", "open"]
    assert client.inspect_instance("door", name).context["secret"] == "under the mat"
    assert name in [instance.slug for instance in client.list_instances("door")]
    client.delete_instance("door", name)
    with pytest.raises(NotFound):
        client.get_instance("door", name)


async def test_the_asynchronous_face_does_the_same(async_client: AsyncClient, name: str) -> None:
    assert (await async_client.create_instance("door", name)).state == "shut"
    opened = await async_client.send("door", name, {"type": "OPEN"})
    assert await async_client.get_instance("door", name) == opened
    assert [transition.state for transition in await async_client.list_transitions("door", name)] == ["shut", "open"]
    assert (await async_client.inspect_instance("door", name)).context["secret"] == "under the mat"
    assert "door" in [machine.slug for machine in await async_client.list_machines()]
    await async_client.delete_instance("door", name)
    with pytest.raises(NotFound):
        await async_client.get_instance("door", name)


async def test_the_asynchronous_face_manages_machines_and_keys_too(async_client: AsyncClient, name: str) -> None:
    await async_client.create_machine("another")
    version = await async_client.deploy("another", DOOR, file_name="door.py")
    assert [known.id for known in await async_client.list_versions("another")] == [version]
    current = (await async_client.get_machine("another")).current_version
    assert current is not None
    assert current.id == version
    await async_client.create_instance("another", name)
    await async_client.set_status("another", name, "paused")
    (instance,) = await async_client.list_instances("another")
    assert (instance.slug, instance.status) == (name, "paused")
    await async_client.delete_instance("another", name)
    await async_client.delete_machine("another")
    key = await async_client.create_key("short lived", use="production")
    assert key.id in [known.id for known in await async_client.list_keys()]
    await async_client.delete_key(key.id)
    assert key.id not in [known.id for known in await async_client.list_keys()]


async def test_of_many_that_get_or_create_at_once_all_get_the_same_instance(
    async_client: AsyncClient, name: str
) -> None:
    states = await asyncio.gather(*(async_client.get_or_create_instance("door", name) for _ in range(8)))
    assert {state.ts for state in states} == {states[0].ts}
    assert len(await async_client.list_transitions("door", name)) == 1


def test_a_paused_instance_refuses_events_until_it_runs_again(client: Client, name: str) -> None:
    client.create_instance("door", name)
    client.set_status("door", name, "paused")
    with pytest.raises(InvalidState, match="paused"):
        client.send("door", name, "OPEN")
    client.set_status("door", name, "running")
    assert client.send("door", name, "OPEN").state == "open"


async def test_watching_shows_each_state_from_the_current_one_on(async_client: AsyncClient, name: str) -> None:
    await async_client.create_instance("door", name)
    seen: list[object] = []
    async with aclosing(async_client.subscribe("door", name)) as states:
        async for state in states:
            seen.append((state.state, state.public_context))
            if state.state == "shut":
                await async_client.send("door", name, "OPEN")
            else:
                break
    assert seen == [("shut", {"opened": 0}), ("open", {"opened": 1})]


async def test_watching_ends_with_not_found_when_there_is_no_such_instance(async_client: AsyncClient) -> None:
    with pytest.raises(NotFound):
        await anext(async_client.subscribe("door", "nobody"))


async def test_watching_ends_with_an_error_when_the_token_is_refused(server: LiveServer) -> None:
    async with AsyncClient(server.url, "no token at all") as client:
        with pytest.raises(InvalidToken):
            await anext(client.subscribe("door", "nobody"))


def test_an_authoriser_that_says_no_is_told_apart_from_a_missing_scope(server: LiveServer, client: Client) -> None:
    with Client(server.url, token_of(server, "stranger")) as stranger, pytest.raises(AuthorizerRefused):
        stranger.create_instance("door", "theirs")
    poor = client.create_key("poor", scopes=["state.read"])
    now = SystemClock().now()
    token = sign_token(poor.id, poor.key, {}, now=now, expires_in=timedelta(minutes=1))
    with Client(server.url, token) as restricted, pytest.raises(MissingScope):
        restricted.create_instance("door", "theirs")


def test_a_deleted_key_signs_no_more(server: LiveServer, client: Client) -> None:
    key = client.create_key("short lived", use="ci")
    assert key.id in [known.id for known in client.list_keys()]
    client.delete_key(key.id)
    now = SystemClock().now()
    token = sign_token(key.id, key.key, {}, now=now, expires_in=timedelta(minutes=1))
    with Client(server.url, token) as nobody, pytest.raises(InvalidToken):
        nobody.list_machines()


def test_wrong_code_comes_back_with_its_file_and_line(client: Client) -> None:
    with pytest.raises(MachineCodeError) as caught:
        client.deploy("door", "import perdure\n\nmachine = perdure.nothing\n", file_name="wrong.py")
    assert (caught.value.file, caught.value.line) == ("wrong.py", 3)


def test_a_wrong_machine_comes_back_with_each_defect(client: Client) -> None:
    wrong = DOOR.replace('"SHUT": "shut"', '"SHUT": "shutt"').replace('"initial"', '"intial"')
    with pytest.raises(MachineConfigError) as caught:
        client.deploy("door", wrong, file_name="wrong.py")
    assert len(caught.value.defects) > 1
    assert any("shutt" in str(defect) for defect in caught.value.defects)


def test_deleting_a_machine_needs_its_instances_gone(client: Client) -> None:
    client.create_machine("short-lived")
    client.deploy("short-lived", DOOR, file_name="door.py")
    client.create_instance("short-lived", "only")
    with pytest.raises(InvalidState):
        client.delete_machine("short-lived")
    client.delete_instance("short-lived", "only")
    client.delete_machine("short-lived")
    assert "short-lived" not in [machine.slug for machine in client.list_machines()]


def test_a_version_that_is_not_made_current_is_for_those_who_name_it(client: Client, name: str) -> None:
    before = client.get_machine("door").current_version
    other = client.deploy(
        "door", DOOR.replace('"initial": "shut"', '"initial": "open"'), file_name="d.py", make_current=False
    )
    assert client.get_machine("door").current_version == before
    assert client.create_instance("door", name, version=other).state == "open"


def test_no_server_is_an_error_that_names_the_url() -> None:
    with live_server() as gone:
        pass
    with Client(gone.url) as client, pytest.raises(ServerUnreachable, match=gone.url):
        client.list_machines()


async def test_no_server_is_the_same_error_for_the_asynchronous_face() -> None:
    with live_server() as gone:
        pass
    async with AsyncClient(gone.url) as client:
        with pytest.raises(ServerUnreachable, match=gone.url):
            await client.list_machines()
