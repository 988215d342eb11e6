"""What holds for every HTTP request: errors, origins, slashes, log lines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import Message

from perdure.durable.records import Address
from perdure.durable.runtime import Runtime
from perdure.errors import PerdureError, SnapshotMismatch, StoreError
from perdure.hosts.in_process import InProcessHost
from perdure.stores.memory import MemoryStore
from tests.server.captured_log import captured_log
from tests.server.world import ORG, World, problem, started_world


@pytest.mark.parametrize(
    "path",
    ["/", "/nothing", "/machines/", "/machines/light/i/hall/x", "/machines/light%0Ax/y", "/logs/x", "/idps/x"],
)
async def test_an_unknown_path_answers_404_without_asking_for_a_token(world: World, path: str) -> None:
    async with world.bare_client() as client:
        assert problem(await client.get(path)) == (404, "not-found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PATCH", "/machines", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/machines/light", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("GET", "/keys/x", "DELETE, OPTIONS"),
        ("GET", "/code-uploads", "OPTIONS, POST"),
        ("PUT", "/orgs", "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_a_method_that_a_path_lacks_answers_405_with_those_it_has(
    client: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    response = await client.request(method, path)

    assert problem(response) == (405, "method-not-allowed")
    assert response.headers["allow"] == allowed


async def test_the_websocket_path_over_plain_http_says_what_is_missing(world: World) -> None:
    async with world.bare_client() as client:
        response = await client.get("/rt")

    assert problem(response) == (426, "upgrade-required")
    assert response.headers["upgrade"] == "websocket"


@pytest.mark.parametrize("path", ["//machines", "/machines//light", "///machines/light///i//hall"])
async def test_duplicate_slashes_count_as_one(client: httpx.AsyncClient, world: World, path: str) -> None:
    await world.create_light()

    assert (await client.get(f"http://perdure.test{path}")).status_code == 200


async def test_a_preflight_of_any_path_is_allowed(world: World) -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "DELETE",
        "access-control-request-headers": "authorization,x-statebacked-act",
    }
    async with world.bare_client() as client:
        for path in ("/machines", "/code-uploads", "/nothing"):
            response = await client.options(path, headers=asked)

            assert (response.status_code, response.content) == (204, b"")
            assert response.headers["access-control-allow-origin"] == "*"
            methods = set(response.headers["access-control-allow-methods"].split(", "))
            assert methods == {"GET", "POST", "PUT", "DELETE"}
            headers = set(response.headers["access-control-allow-headers"].split(", "))
            contract = {"authorization", "content-type", "x-statebacked-org-id", "x-statebacked-act"}
            assert headers == contract | {"idempotency-key"}


async def test_every_success_is_for_all_origins(client: httpx.AsyncClient) -> None:
    for response in (
        await client.get("/machines"),
        await client.post("/machines", json={"slug": "lamp"}),
        await client.get("/healthz"),
    ):
        assert response.is_success
        assert response.headers.get_list("access-control-allow-origin") == ["*"]


async def test_health_needs_no_token(world: World) -> None:
    async with world.bare_client() as client:
        response = await client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_answers_are_not_to_be_kept(client: httpx.AsyncClient) -> None:
    assert (await client.get("/machines")).headers["cache-control"] == "no-store"


def failing(error: Exception) -> Callable[..., Any]:
    async def fail(*arguments: Any, **options: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RuntimeError("password=hunter2"), "internal-error"),
        (StoreError("password=hunter2"), "store-error"),
        (SnapshotMismatch("password=hunter2"), "snapshot-mismatch"),
        (PerdureError("password=hunter2"), "internal-error"),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_a_failure_is_answered_with_an_id_that_the_log_explains(
    client: httpx.AsyncClient, world: World, monkeypatch: pytest.MonkeyPatch, error: Exception, code: str
) -> None:
    monkeypatch.setattr(world.runtime, "read", failing(error))

    with captured_log() as lines:
        response = await client.get("/machines/light/i/hall")

    assert problem(response) == (500, code)
    assert "hunter2" not in response.text
    (line,) = lines
    assert line["log_level"] == "error"
    assert line["error_id"] in response.json()["error"]
    assert line["exc_info"] is error


async def test_every_request_is_one_log_line_that_can_be_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "perdure.server")
    async with started_world(log_requests=True) as world, await world.client() as client:
        with captured_log() as lines:
            await client.get("/machines?cursor=")
            await client.get("/nothing")

    assert [(line["log_level"], line["method"], line["path"], line["status"]) for line in lines] == [
        ("info", "GET", "/machines", 200),
        ("info", "GET", "/nothing", 404),
    ]
    async with started_world(log_requests=False) as world, await world.client() as client:
        with captured_log() as lines:
            await client.get("/machines")

    assert lines == []


async def test_a_caller_that_hangs_up_early_is_no_failure(world: World) -> None:
    token = world.token(await world.key())
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/machines",
        "query_string": b"",
        "headers": [(b"authorization", f"Bearer {token}".encode())],
    }
    messages: list[Message] = [
        {"type": "http.request", "body": b'{"slug"', "more_body": True},
        {"type": "http.disconnect"},
    ]
    answers: list[Message] = []

    async def receive() -> Message:
        return messages.pop(0)

    async def send(message: Message) -> None:
        answers.append(message)

    with captured_log() as lines:
        await world.app(scope, receive, send)

    assert answers == []
    assert lines == []


async def test_an_answer_that_breaks_off_is_logged_and_left_to_the_server(world: World) -> None:
    scope = {"type": "http", "method": "GET", "path": "/healthz", "query_string": b"", "headers": []}

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ValueError("the socket has a bug")

    with captured_log() as lines, pytest.raises(ValueError, match="bug"):
        await world.app(scope, receive, send)

    assert [(line["log_level"], line["status"]) for line in lines] == [("error", 200)]


async def test_the_app_can_be_mounted_under_a_prefix(world: World) -> None:
    outer = Starlette(routes=[Mount("/api", world.app)])

    async with await world.client(app=outer) as client:
        listed = await client.get("/api/machines")
        doubled = await client.get("/api//machines//light")
        provisional = await client.post("/api/machines/light/v")
        missing = await client.get("/api/nothing")

    assert listed.status_code == 200
    assert doubled.status_code == 200
    assert provisional.json()["codeUploadUrl"] == "http://perdure.test/api/code-uploads"
    assert problem(missing) == (404, "not-found")


async def test_one_of_two_creators_gets_409_and_then_finds_the_instance(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(client.post("/machines/light", json={"slug": "hall"}) for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert (await client.get("/machines/light/i/hall")).status_code == 200


async def test_the_exact_statuses_hold_over_a_real_socket(world: World) -> None:
    token = world.token(await world.key())
    headers = {"authorization": f"Bearer {token}"}
    async with world.listening() as host, httpx.AsyncClient(base_url=f"http://{host}", headers=headers) as client:
        machine = await client.post("/machines", json={"slug": "lamp"})
        instance = await client.post("/machines/light", json={"slug": "hall"})
        paused = await client.put("/machines/light/i/hall/status", json={"status": "paused"})
        head = await client.head("/machines")
        too_large = await client.post("/machines", content=b"x" * (world.settings.body_bytes_max + 1))
        preflight = await client.options("/machines")

    assert (machine.status_code, machine.headers["content-length"]) == (201, "0")
    assert instance.status_code == 200
    assert (paused.status_code, "content-length" in paused.headers) == (204, False)
    assert (head.status_code, head.content) == (200, b"")
    assert problem(too_large) == (413, "body-too-large")
    assert preflight.status_code == 204


@pytest.mark.parametrize(
    ("owns_runtime", "runs_within", "runs_before"), [(True, True, False), (False, False, False), (True, True, True)]
)
async def test_the_lifespan_starts_and_closes_a_runtime_that_the_app_owns_and_that_does_not_run_yet(
    world: World, owns_runtime: bool, runs_within: bool, runs_before: bool
) -> None:
    from perdure.server.app import create_app

    runtime = Runtime(MemoryStore(), InProcessHost(), clock=world.clock, entropy=world.entropy)
    if runs_before:
        await runtime.start()
    app = create_app(
        runtime,
        settings=world.settings,
        secret_box=world.secret_box,
        clock=world.clock,
        entropy=world.entropy,
        owns_runtime=owns_runtime,
    )
    async with app.router.lifespan_context(app):
        assert runtime.is_running == runs_within
    assert runtime.is_running == runs_before
    await runtime.close()


async def test_names_of_other_orgs_are_separate(world: World) -> None:
    await world.deploy_light(org="org_other")
    await world.create_light(org="org_other")
    async with await world.client() as client:
        assert (await client.post("/machines/light", json={"slug": "hall"})).status_code == 200

    assert (await world.runtime.inspect(Address(ORG, "light", "hall"))).sequence == 1
