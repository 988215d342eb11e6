"""The published document says what there is, all of it, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
from starlette.routing import Route

from perdure.durable.runtime import Runtime
from perdure.server.api_table import ENDPOINTS
from perdure.server.openapi import machine_path, openapi_document
from perdure.server.resource import Resource
from tests.server.test_auth import SCOPES_OF
from tests.server.world import ORG, World, problem

TYPED = (Path(__file__).parent / "typed_machine.py").read_text(encoding="utf-8")
WITHOUT_OPERATIONS = {"/rt": {"GET"}}


def served(world: World) -> set[tuple[str, str]]:
    """Every method and path that the application has routes for."""
    found = set()
    for route in world.app.routes:
        if not isinstance(route, Route):
            continue  # the WebSocket, whose path is also a plain one
        methods = getattr(route.endpoint, "operations", WITHOUT_OPERATIONS.get(route.path))
        assert methods is not None, f"{route.path} does not say which methods it has"
        found |= {(method, route.path) for method in methods if method != "HEAD"}
    return found


async def test_every_route_is_in_the_document_and_nothing_else_is(world: World) -> None:
    assert served(world) == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


async def test_the_document_names_the_scopes_that_the_routes_need(world: World) -> None:
    documented = {(each.method, each.path): each.scopes for each in ENDPOINTS}
    for route in world.app.routes:
        if isinstance(route, Route) and isinstance(route.endpoint, Resource):
            for method, operation in route.endpoint.operations.items():
                if method != "HEAD":
                    assert documented[method, route.path] == operation.scopes, f"{method} {route.path}"


def test_every_endpoint_that_needs_a_token_is_in_the_test_of_scopes() -> None:
    tested = set(SCOPES_OF.values())
    assert {scope for endpoint in ENDPOINTS for scope in endpoint.scopes[:1]} <= tested


def test_every_schema_of_the_document_is_one() -> None:
    document = openapi_document("1")
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name
    assert document["openapi"].startswith("3.1")


def test_operation_ids_are_unique_and_references_lead_somewhere() -> None:
    document = openapi_document("1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids)
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"]


def references(part: Any) -> list[str]:
    if isinstance(part, list):
        return [found for each in part for found in references(each)]
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [found for each in part.values() for found in references(each)]
    return []


async def test_the_document_is_served_without_a_token_and_tells_of_no_machine(world: World) -> None:
    await world.runtime.create_machine(ORG, "cart")
    await world.runtime.deploy(ORG, "cart", TYPED, file_name="cart.py")
    async with world.bare_client() as client:
        answer = await client.get("/openapi.json")

    assert answer.status_code == 200
    assert set(answer.json()["paths"]) == {endpoint.path for endpoint in ENDPOINTS}
    assert "cart" not in answer.text


async def test_typed_machines_have_the_schemas_of_their_events_in_the_document(
    world: World, client: httpx.AsyncClient
) -> None:
    await world.runtime.create_machine(ORG, "cart")
    await world.runtime.deploy(ORG, "cart", TYPED, file_name="cart.py")
    paths = (await client.get("/openapi.json")).json()["paths"]

    operation = paths[machine_path("cart")]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = jsonschema_rs.validator_for(schema)
    assert validator.is_valid({"event": {"type": "add", "item": "tea"}})
    assert not validator.is_valid({"event": {"type": "add"}})
    assert not validator.is_valid({"event": {"type": "add", "item": 1}})
    assert not validator.is_valid({"event": {"type": "remove", "item": "tea"}})
    assert machine_path("light") not in paths


async def test_the_document_of_machines_needs_a_good_token_that_may_read_them(world: World) -> None:
    async with world.bare_client(token="x") as stranger, await world.client("state.read") as reader:
        assert problem(await stranger.get("/openapi.json")) == (401, "invalid-token")
        assert problem(await reader.get("/openapi.json")) == (403, "missing-scope")


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("/docs", "text/html", "docs/start.js"),
        ("/docs/start.js", "text/javascript", "openapi.json"),
        ("/docs/swagger-ui-bundle.js", "text/javascript", "SwaggerUIBundle"),
        ("/docs/swagger-ui.css", "text/css", ".swagger-ui"),
    ],
)
async def test_the_page_is_made_of_files_of_its_own(world: World, path: str, kind: str, part: str) -> None:
    async with world.bare_client() as client:
        answer = await client.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    assert part in answer.text


async def test_the_page_lets_the_browser_load_nothing_of_another_origin(world: World) -> None:
    async with world.bare_client() as client:
        answer = await client.get("/docs")

    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "http://" not in answer.text
    assert "https://" not in answer.text


@pytest.mark.parametrize("name", ["swagger-ui.js", "..%2f..%2fsettings.py", "LICENSE", "%2e%2e"])
async def test_no_other_file_of_the_package_is_served(world: World, name: str) -> None:
    async with world.bare_client() as client:
        assert problem(await client.get(f"/docs/{name}")) == (404, "not-found")


async def test_a_runtime_describes_events_without_a_server(world: World) -> None:
    runtime: Runtime = world.runtime
    await runtime.create_machine(ORG, "cart")
    version = await runtime.deploy(ORG, "cart", TYPED, file_name="cart.py")

    schemas = await runtime.host.event_schemas(version)
    assert schemas["add"]["required"] == ["type", "item"]
    assert schemas["add"]["properties"]["type"] == {"const": "add"}
