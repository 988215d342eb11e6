"""Dead letters and the retention of journals over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from perdure.durable.records import Address, Mail
from perdure.testing.store_contract.samples import send
from perdure.wire_upkeep import letter_id
from tests.server.world import ORG, OTHER_ORG, World, problem, started_world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with started_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with await world.client() as client:
        yield client


async def bury(world: World, number: int, *, org: str = ORG) -> str:
    """Let there be a dead letter to the light in the hall; its id."""
    here = Address(org, "light", "hall")
    mail = Mail(
        id=f"{org}/light/cellar@1.000#{number}.0",
        kind="event",
        sender=Address(org, "light", "cellar"),
        target=here,
        due_at=1e15,
        event={"type": "SWITCH"},
    )
    await send(world.store, mail)
    await world.store.bury_mail(mail.id, attempts=5, at=world.clock.now(), error="AuthorizerRefused: no")
    return mail.id


async def test_dead_letters_are_listed_and_read(client: httpx.AsyncClient, world: World) -> None:
    await bury(world, 1)
    await bury(world, 2)
    await bury(world, 3, org=OTHER_ORG)
    listed = (await client.get("/dead-letters")).json()
    first, second = listed["deadLetters"]
    assert first == {
        "id": first["id"],
        "kind": "event",
        "sender": {"machineName": "light", "machineInstanceName": "cellar"},
        "target": {"machineName": "light", "machineInstanceName": "hall"},
        "event": {"type": "SWITCH"},
        "attempts": 5,
        "error": "AuthorizerRefused: no",
        "buriedAt": "2026-01-02T03:04:05.678Z",
    }
    assert (await client.get(f"/dead-letters/{second['id']}")).json() == second
    assert "cursor" not in listed


async def test_dead_letters_come_page_by_page() -> None:
    async with started_world(page_size=2) as world, await world.client() as client:
        for number in range(3):
            await bury(world, number)
        page = (await client.get("/dead-letters")).json()
        assert len(page["deadLetters"]) == 2
        rest = (await client.get("/dead-letters", params={"cursor": page["cursor"]})).json()
        assert len(rest["deadLetters"]) == 1


async def test_a_dead_letter_is_redriven_or_dropped_and_gone_from_the_list(
    client: httpx.AsyncClient, world: World
) -> None:
    await bury(world, 1)
    await bury(world, 2)
    first, second = (await client.get("/dead-letters")).json()["deadLetters"]
    assert (await client.post(f"/dead-letters/{first['id']}/redrive")).status_code == 204
    assert (await client.delete(f"/dead-letters/{second['id']}")).status_code == 204
    assert (await client.get("/dead-letters")).json()["deadLetters"] == []
    (pending,) = await world.store.pending_mail(Address(ORG, "light", "hall"))
    assert pending.attempts == 0
    for method, path in (("POST", f"/dead-letters/{first['id']}/redrive"), ("DELETE", f"/dead-letters/{second['id']}")):
        assert problem(await client.request(method, path)) == (404, "not-found")


@pytest.mark.parametrize("letter_id", ["AAAA", "a", "%", "%C3%BC"])
async def test_an_unknown_dead_letter_answers_404(client: httpx.AsyncClient, letter_id: str) -> None:
    assert problem(await client.get(f"/dead-letters/{letter_id}")) == (404, "not-found")


async def test_a_dead_letter_of_another_org_is_not_found(client: httpx.AsyncClient, world: World) -> None:
    letter = letter_id(await bury(world, 1, org=OTHER_ORG))
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/redrive")):
        assert problem(await client.request(method, f"/dead-letters/{letter}{path}")) == (404, "not-found")


async def test_dead_letters_are_for_administrators_of_instances(world: World) -> None:
    async with await world.client("instances.read", "instances.write") as client:
        assert problem(await client.get("/dead-letters")) == (403, "missing-scope")


async def test_how_long_journals_are_kept_is_set_read_and_applied(client: httpx.AsyncClient, world: World) -> None:
    address = await world.create_light()
    for _ in range(5):
        await world.runtime.send(address, "SWITCH")
    path = "/machines/light/journal-retention"
    assert (await client.get(path)).json() == {}
    assert (await client.put(path, json={"entries": 2, "days": 1.5})).status_code == 204
    assert (await client.get(path)).json() == {"entries": 2, "days": 1.5}
    assert (await client.post(path)).json() == {"removed": 4}
    shown = (await client.get("/machines/light/i/hall/events")).json()["transitions"]
    assert [transition["event"]["type"] for transition in shown] == ["SWITCH", "SWITCH"]
    assert (await client.put(path, json={})).status_code == 204
    assert (await client.get(path)).json() == {}


@pytest.mark.parametrize(
    ("body", "parameter"), [({"entries": 0}, "entries"), ({"days": 0}, "days"), ({"days": "x"}, "days")]
)
async def test_a_senseless_retention_is_refused_by_its_parameter(
    client: httpx.AsyncClient, body: object, parameter: str
) -> None:
    answer = await client.put("/machines/light/journal-retention", json=body)
    assert (problem(answer), answer.json()["parameter"]) == ((400, "invalid-parameter"), parameter)


async def test_the_retention_of_an_unknown_machine_answers_404(client: httpx.AsyncClient) -> None:
    path = "/machines/nothing/journal-retention"
    assert problem(await client.get(path)) == (404, "not-found")
    assert problem(await client.put(path, json={"entries": 3})) == (404, "not-found")
    assert problem(await client.post(path)) == (404, "not-found")
