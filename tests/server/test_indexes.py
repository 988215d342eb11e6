"""Indexes over HTTP: selectors of versions, queries, and building anew."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.test_versions import finalize, provision, upload
from tests.server.world import LIGHT, ORG, World, problem

GUESTS = (
    LIGHT.replace(
        '"FAIL": {',
        '"NAME": {"actions": assign({"guests": lambda context, event: event["guests"]})},\n            "FAIL": {',
    )
    + '\nindex_selectors = {"secret": "$.secret"}\n'
)


async def name(client: httpx.AsyncClient, instance: str, guests: Any) -> None:
    response = await client.post(
        f"/machines/inn/i/{instance}/events", json={"event": {"type": "NAME", "guests": guests}}
    )
    assert response.status_code == 200, response.text


@pytest.fixture
async def inn(world: World, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client, and a machine with an index of guests."""
    await client.post("/machines", json={"slug": "inn", "indexes": ["guest", "owner"]})
    await world.runtime.deploy(
        ORG, "inn", GUESTS, file_name="inn.py", index_selectors={"guest": "$.guests", "owner": "$.public.owner"}
    )
    for instance, guests in (("a", "Zoe"), ("b", ["Ann", "Bob", "Ann", 7, None, {"x": "y"}]), ("c", 7)):
        await client.post("/machines/inn", json={"slug": instance})
        await name(client, instance, guests)
    return client


async def found(client: httpx.AsyncClient, query: str = "", index: str = "guest") -> list[str]:
    response = await client.get(f"/machines/inn/indexes/{index}/query{query}")
    assert response.status_code == 200, response.text
    return [f"{row['indexValue']}/{row['slug']}" for row in response.json()["instances"]]


async def test_strings_and_lists_of_strings_are_found_and_nothing_else(inn: httpx.AsyncClient) -> None:
    assert await found(inn) == ["Ann/b", "Bob/b", "Zoe/a"]
    assert await found(inn, "?dir=desc") == ["Zoe/a", "Bob/b", "Ann/b"]
    assert await found(inn, index="owner") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?op=eq&value=Bob", ["Bob/b"]),
        ("?op=ne&value=Bob", ["Ann/b", "Zoe/a"]),
        ("?op=gt&value=Bob", ["Zoe/a"]),
        ("?op=gte&value=Bob", ["Bob/b", "Zoe/a"]),
        ("?op=lt&value=Bob", ["Ann/b"]),
        ("?op=lte&value=Bob&dir=desc", ["Bob/b", "Ann/b"]),
        ("?op=&value=&limit=2000", ["Ann/b", "Bob/b", "Zoe/a"]),
    ],
)
async def test_an_operator_compares_values_as_strings(inn: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    assert await found(inn, query) == expected


async def test_pages_are_followed_with_the_same_parameters(inn: httpx.AsyncClient) -> None:
    path = "/machines/inn/indexes/guest/query?dir=desc&limit=2"
    first = (await inn.get(path)).json()
    second = (await inn.get(f"{path}&cursor={first['cursor']}")).json()
    assert [row["indexValue"] for row in first["instances"]] == ["Zoe", "Bob"]
    assert [row["indexValue"] for row in second["instances"]] == ["Ann"]
    assert set(second) == {"instances"}
    refused = await inn.get(f"/machines/inn/indexes/guest/query?limit=2&cursor={first['cursor']}")
    assert problem(refused) == (400, "invalid-parameter")


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("?op=like&value=x", "op"),
        ("?value=x", "op"),
        ("?op=eq", "value"),
        ("?dir=up", "dir"),
        ("?limit=0", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=ten", "limit"),
        ("?limit=1.5", "limit"),
    ],
)
async def test_a_query_that_cannot_be_meant_is_refused(inn: httpx.AsyncClient, query: str, parameter: str) -> None:
    response = await inn.get(f"/machines/inn/indexes/guest/query{query}")
    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


async def test_indexes_and_machines_that_are_not_there_are_not_found(inn: httpx.AsyncClient) -> None:
    assert problem(await inn.get("/machines/inn/indexes/age/query")) == (404, "not-found")
    assert problem(await inn.get("/machines/cave/indexes/guest/query")) == (404, "not-found")
    assert problem(await inn.post("/machines/inn/indexes/age/rebuild")) == (404, "not-found")
    assert problem(await inn.put("/machines/inn/indexes/age")) == (404, "not-found")


async def test_what_leaves_the_context_or_is_deleted_is_found_no_more(inn: httpx.AsyncClient, world: World) -> None:
    await name(inn, "b", ["Eve"])
    assert await found(inn) == ["Eve/b", "Zoe/a"]
    await world.runtime.delete_instance(await world.create_light("x", machine="inn"))
    await name(inn, "a", None)
    assert await found(inn) == ["Eve/b"]


async def test_an_event_that_fails_changes_no_index(inn: httpx.AsyncClient) -> None:
    response = await inn.post(
        "/machines/inn/i/a/events", json={"event": {"type": "NAME", "guests": ["Max", "x" * 500_000]}}
    )
    assert response.status_code == 413
    assert await found(inn) == ["Ann/b", "Bob/b", "Zoe/a"]


async def test_a_selector_that_the_code_exports_makes_its_index(inn: httpx.AsyncClient) -> None:
    machine = (await inn.get("/machines/inn")).json()["machine"]
    assert machine["indexes"] == ["guest", "owner", "secret"]
    assert await found(inn, index="secret") == ["wattage/a", "wattage/b", "wattage/c"]


async def deploy(world: World, client: httpx.AsyncClient, **body: Any) -> httpx.Response:
    provisional = await provision(client)
    await upload(world, provisional, LIGHT.encode())
    return await finalize(client, provisional, **body)


async def test_selectors_that_a_version_does_not_name_are_those_of_the_current_one(
    world: World, client: httpx.AsyncClient
) -> None:
    for index in ("one", "two"):
        await world.store.add_index(ORG, "light", index)
    first = await deploy(world, client, makeCurrent=True, indexSelectors={"one": "$.a", "two": "$.b"})
    second = await deploy(world, client, makeCurrent=True, indexSelectors={"two": "$.c"})
    third = await deploy(world, client)
    versions = [await world.store.version(response.json()["machineVersionId"]) for response in (first, second, third)]
    assert [version.index_selectors for version in versions if version is not None] == [
        {"one": "$.a", "two": "$.b"},
        {"one": "$.a", "two": "$.c"},
        {"one": "$.a", "two": "$.c"},
    ]


@pytest.mark.parametrize(
    ("selectors", "message"),
    [
        ({"age": "$.age"}, "no index 'age'"),
        ({"guest": "guests"}, "is not JSONPath"),
        ({"guest": "$.a["}, "line 1"),
    ],
)
async def test_bad_selectors_are_refused_and_make_no_version(
    world: World, client: httpx.AsyncClient, selectors: dict[str, str], message: str
) -> None:
    await world.store.add_index(ORG, "light", "guest")
    before = (await client.get("/machines/light/v")).json()
    response = await deploy(world, client, indexSelectors=selectors)
    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "indexSelectors"
    assert message in response.json()["error"]
    assert (await client.get("/machines/light/v")).json() == before


async def test_a_machine_gets_an_index_later_and_its_resting_instances_are_brought_in(inn: httpx.AsyncClient) -> None:
    assert (await inn.put("/machines/inn/indexes/switched", json={"selector": "$.secret"})).status_code == 201
    assert await found(inn, index="switched") == []
    pages: list[int] = []
    cursor: str | None = None
    while True:
        body = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await inn.post("/machines/inn/indexes/switched/rebuild", json=body)).json()
        assert page["failed"] == {}
        pages.append(page["rebuilt"])
        cursor = page.get("cursor")
        if cursor is None:
            break
    assert pages == [2, 1]
    assert await found(inn, index="switched") == ["wattage/a", "wattage/b", "wattage/c"]


async def test_a_rebuilt_index_is_kept_up_to_date_by_old_versions_too(inn: httpx.AsyncClient, world: World) -> None:
    await inn.put("/machines/inn/indexes/late", json={"selector": "$.guests"})
    await name(inn, "a", "Uma")
    assert await found(inn, index="late") == ["Uma/a"]


@pytest.mark.parametrize(("body", "parameter"), [({"selector": "guests"}, "indexSelectors"), ({}, "selector")])
async def test_an_index_needs_a_selector(inn: httpx.AsyncClient, world: World, body: Any, parameter: str) -> None:
    await world.store.add_index(ORG, "inn", "bare")
    response = await inn.put("/machines/inn/indexes/bare", json=body)
    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter
