"""Machines over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac

import httpx
import pytest

from tests.server.world import ORG, World, problem, started_world


def proof(machine: str) -> str:
    digest = hmac.new(machine.encode(), machine.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def test_creating_a_machine_answers_201_without_a_body(client: httpx.AsyncClient, world: World) -> None:
    response = await client.post("/machines", json={"slug": "lamp", "indexes": ["room"]})

    assert (response.status_code, response.content) == (201, b"")
    machine = await world.store.machine(ORG, "lamp")
    assert machine is not None
    assert machine.indexes == ("room",)


async def test_creating_a_machine_twice_answers_409(client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/machines", json={"slug": "light"})) == (409, "invalid-state")


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "slug"),
        ({"slug": "a b"}, "slug"),
        ({"slug": "lamp", "indexes": ["a b"]}, "indexes"),
        ({"slug": "lamp", "indexes": ["room", "room"]}, "indexes"),
        ({"slug": "lamp", "indexes": [5]}, "indexes"),
        ({"slug": "lamp", "indexes": "room"}, "indexes"),
    ],
)
async def test_an_unacceptable_machine_is_refused_by_its_parameter(
    client: httpx.AsyncClient, body: object, parameter: str
) -> None:
    response = await client.post("/machines", json=body)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


async def test_a_machine_is_answered_wrapped_with_its_current_version(client: httpx.AsyncClient, world: World) -> None:
    version = await world.deploy(client_info="v2")

    response = await client.get("/machines/light")

    created_at = "2026-01-02T03:04:05.678Z"
    assert response.status_code == 200
    assert response.json() == {
        "machine": {
            "createdAt": created_at,
            "currentVersion": {"id": version, "createdAt": created_at, "clientInfo": "v2"},
            "indexes": [],
        }
    }


async def test_a_machine_without_a_version_has_no_current_version(client: httpx.AsyncClient) -> None:
    await client.post("/machines", json={"slug": "lamp"})

    assert "currentVersion" not in (await client.get("/machines/lamp")).json()["machine"]


async def test_an_unknown_machine_answers_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/machines/lamp")) == (404, "not-found")


async def test_a_machine_of_another_org_is_not_found(world: World) -> None:
    async with await world.client(org="org_other") as client:
        assert problem(await client.get("/machines/light")) == (404, "not-found")
        assert (await client.get("/machines")).json() == {"machines": []}


async def test_machines_are_listed_page_by_page() -> None:
    async with started_world(page_size=2) as world, await world.client() as client:
        for name in ("b", "c"):
            await client.post("/machines", json={"slug": name})

        first = (await client.get("/machines")).json()
        second = (await client.get("/machines", params={"cursor": first["cursor"]})).json()

    assert [machine["slug"] for machine in first["machines"]] == ["light", "b"]
    assert set(first["machines"][0]) == {"slug", "createdAt", "currentVersion"}
    assert set(first["machines"][1]) == {"slug", "createdAt"}
    assert [machine["slug"] for machine in second["machines"]] == ["c"]
    assert "cursor" not in second


async def test_an_empty_cursor_is_the_first_page(client: httpx.AsyncClient) -> None:
    assert len((await client.get("/machines?cursor=")).json()["machines"]) == 1


async def test_deleting_a_machine_needs_both_proofs(client: httpx.AsyncClient) -> None:
    flag, field = "dangerDataWillBeDeletedForever", "hmacSha256OfMachineNameWithMachineNameKey"
    good = {flag: True, field: proof("light")}

    for body, parameter in [
        ({**good, flag: None}, flag),
        ({field: proof("light")}, flag),
        ({flag: True}, field),
        ({**good, field: "x"}, field),
    ]:
        response = await client.request("DELETE", "/machines/light", json=body)
        assert problem(response) == (400, "invalid-parameter"), body
        assert response.json()["parameter"] == parameter, body
    response = await client.request("DELETE", "/machines/light", json=good)

    assert (response.status_code, response.content) == (204, b"")
    assert problem(await client.get("/machines/light")) == (404, "not-found")
    assert problem(await client.request("DELETE", "/machines/light", json=good)) == (404, "not-found")


async def test_a_deletion_without_a_body_is_refused_by_its_flag(client: httpx.AsyncClient) -> None:
    response = await client.delete("/machines/light")

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "dangerDataWillBeDeletedForever"


async def test_a_machine_with_instances_cannot_be_deleted(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()
    body = {"dangerDataWillBeDeletedForever": True, "hmacSha256OfMachineNameWithMachineNameKey": proof("light")}

    assert problem(await client.request("DELETE", "/machines/light", json=body)) == (409, "invalid-state")
