"""Keys and orgs over HTTP."""

from __future__ import annotations

import httpx
import pytest

from perdure.tokens import KEY_USES, SCOPES, KeyPair
from tests.server.world import ORG, World, problem, started_world


@pytest.mark.parametrize("use", ["production", "ci"])
async def test_a_key_made_for_a_use_has_its_scopes(client: httpx.AsyncClient, world: World, use: str) -> None:
    response = await client.post("/keys", json={"name": "web", "use": use})

    assert response.status_code == 200
    assert set(response.json()) == {"id", "key"}
    record = await world.store.key(response.json()["id"])
    assert record is not None
    assert (record.org, record.name, record.scopes) == (ORG, "web", KEY_USES[use])


async def test_a_new_key_signs_tokens_that_the_server_takes(client: httpx.AsyncClient, world: World) -> None:
    answer = (await client.post("/keys", json={"name": "web", "scopes": ["machines.read"]})).json()
    assert answer["id"].startswith("sbk_")
    assert len(answer["id"]) == len("sbk_") + 22
    assert answer["key"].startswith("sbsec_")

    token = world.token(KeyPair(id=answer["id"], secret=answer["key"]))
    async with world.bare_client(token=token) as other:
        assert (await other.get("/machines")).status_code == 200
        assert problem(await other.get("/keys")) == (403, "missing-scope")


async def test_the_secret_of_a_key_does_not_lie_in_the_store(client: httpx.AsyncClient, world: World) -> None:
    answer = (await client.post("/keys", json={"name": "web", "use": "ci"})).json()

    record = await world.store.key(answer["id"])
    assert record is not None
    assert answer["key"].encode() not in record.sealed_secret
    assert world.secret_box.open(record.sealed_secret, owner=answer["id"]) == answer["key"]


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({"use": "ci"}, "name"),
        ({"name": "", "use": "ci"}, "name"),
        ({"name": "x" * 257, "use": "ci"}, "name"),
        ({"name": "web"}, "scopes"),
        ({"name": "web", "use": "ci", "scopes": ["machines.read"]}, "scopes"),
        ({"name": "web", "use": "staging"}, "use"),
        ({"name": "web", "scopes": ["machines.read", "everything"]}, "scopes"),
        ({"name": "web", "scopes": "machines.read"}, "scopes"),
    ],
)
async def test_an_unacceptable_key_is_refused_by_its_parameter(
    client: httpx.AsyncClient, body: object, parameter: str
) -> None:
    response = await client.post("/keys", json=body)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


async def test_keys_are_listed_page_by_page_without_their_secrets() -> None:
    async with started_world(page_size=1) as world, await world.client() as client:
        made = (await client.post("/keys", json={"name": "web", "scopes": ["state.read", "state.read"]})).json()
        first = (await client.get("/keys")).json()
        second = (await client.get("/keys", params={"cursor": first["cursor"]})).json()

    assert second == {
        "keys": [{"id": made["id"], "name": "web", "scopes": ["state.read"], "createdAt": "2026-01-02T03:04:05.678Z"}]
    }


async def test_a_deleted_key_is_refused_at_once(client: httpx.AsyncClient, world: World) -> None:
    key = await world.key("machines.read")
    async with world.bare_client(token=world.token(key)) as other:
        assert (await other.get("/machines")).status_code == 200
        response = await client.delete(f"/keys/{key.id}")

        assert (response.status_code, response.content) == (204, b"")
        assert problem(await other.get("/machines")) == (401, "invalid-token")


async def test_a_key_of_another_org_cannot_be_deleted(client: httpx.AsyncClient, world: World) -> None:
    key = await world.key(org="org_other")

    assert problem(await client.delete(f"/keys/{key.id}")) == (404, "not-found")
    assert await world.store.key(key.id) is not None


async def test_a_key_sees_its_own_org_alone() -> None:
    async with started_world(page_size=1) as world:
        answers = []
        for scopes in (tuple(SCOPES), ("org.read",)):
            async with await world.client(*scopes, org="org_other") as client:
                answers.append(await client.get("/orgs"))

    assert [answer.status_code for answer in answers] == [200, 200]
    (org,) = answers[0].json()["orgs"]
    limits = org.pop("limits")
    assert org == {"id": "org_other", "name": "Other", "role": "admin", "createdAt": "2026-01-02T03:04:05.678Z"}
    assert set(limits) == {"monthlyEventsLimit", "monthlyReadsLimit"}
    assert answers[1].json()["orgs"][0]["role"] == "read"


async def test_a_key_of_an_org_without_a_record_sees_no_org(world: World) -> None:
    async with await world.client(org="org_gone") as client:
        assert (await client.get("/orgs")).json() == {"orgs": []}
