"""perdure inside another application, behind a real socket: one runtime for the host's handlers and for the API."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import websockets
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import perdure
from perdure.clock import SystemClock
from perdure.tokens import SCOPES, sign_token
from tests.live_server import DOOR


def door_file(folder: Path) -> Path:
    file = folder / "door.py"
    file.write_text(DOOR, encoding="utf-8")
    return file


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The application behind a socket, with its lifespan, as ``uvicorn module:app`` serves it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="on"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        host, port = listener.getsockname()
        try:
            async with asyncio.timeout(30):
                while not server.started:
                    assert not serving.done(), "the server ended at its start"
                    await asyncio.sleep(0.01)
            yield f"{host}:{port}"
        finally:
            server.should_exit = True
            await serving


async def token_of(runtime: perdure.Runtime) -> str:
    key = await perdure.create_key(runtime, "host", scopes=tuple(SCOPES))
    return sign_token(key.id, key.secret, {"sub": "me"}, now=SystemClock().now(), expires_in=timedelta(hours=1))


def in_fastapi(folder: Path, kept: dict[str, Any]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with perdure.open(f"sqlite:///{folder}/app.db", [door_file(folder)]) as runtime:
            app.mount("/perdure", perdure.asgi(runtime))
            kept.update(runtime=runtime, token=await token_of(runtime))
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/open/{door}")
    async def open_door(door: str) -> dict[str, Any]:
        state = await kept["runtime"].send(perdure.address("door", door), "OPEN")
        return {"state": state.state}

    return app


def in_starlette(folder: Path, kept: dict[str, Any]) -> Starlette:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with perdure.open(f"sqlite:///{folder}/app.db", [door_file(folder)]) as runtime:
            app.mount("/perdure", perdure.asgi(runtime))
            kept.update(runtime=runtime, token=await token_of(runtime))
            yield

    async def open_door(request: Request) -> JSONResponse:
        state = await kept["runtime"].send(perdure.address("door", request.path_params["door"]), "OPEN")
        return JSONResponse({"state": state.state})

    return Starlette(lifespan=lifespan, routes=[Route("/open/{door}", open_door, methods=["POST"])])


@pytest.mark.parametrize("host", [in_fastapi, in_starlette], ids=["fastapi", "starlette"])
async def test_the_hosts_handlers_and_the_api_share_the_instances(
    host: Callable[[Path, dict[str, Any]], Any], tmp_path: Path
) -> None:
    kept: dict[str, Any] = {}
    async with served(host(tmp_path, kept)) as address:
        headers = {"authorization": f"Bearer {kept['token']}"}
        async with httpx.AsyncClient(base_url=f"http://{address}", headers=headers) as client:
            created = await client.post("/perdure/machines/door", json={"slug": "front"})
            url = f"ws://{address}/perdure/rt?token={kept['token']}"
            async with websockets.connect(url) as view:
                subscription = (
                    '{"type":"subscribe-to-instance","requestId":"1","machineName":"door",'
                    '"machineInstanceName":"front"}'
                )
                await view.send(subscription)
                first = await asyncio.wait_for(view.recv(), 10)
                by_host = await client.post("/open/front")
                second = await asyncio.wait_for(view.recv(), 10)
            read = await client.get("/perdure/machines/door/i/front")
            upload = await client.post("/perdure/machines/door/v")
            docs = await client.get("/perdure/docs/start.js")
            missing = await client.get("/perdure/nothing")

    assert (created.status_code, created.json()["state"]) == (200, "shut")
    assert '"state":"shut"' in str(first)
    assert by_host.json() == {"state": "open"}
    assert '"state":"open"' in str(second)
    assert read.json()["publicContext"] == {"opened": 1}
    assert (upload.status_code, upload.json()["code"]) == (403, "code-upload-disabled")
    assert docs.status_code == 200
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    assert not kept["runtime"].is_running


async def test_served_on_its_own_the_app_starts_and_closes_the_runtime(tmp_path: Path) -> None:
    from perdure.entropy import SystemEntropy
    from perdure.hosts.in_process import InProcessHost
    from perdure.stores.sqlite import SqliteStore

    store = SqliteStore(tmp_path / "app.db")
    runtime = perdure.Runtime(store, InProcessHost(), clock=SystemClock(), entropy=SystemEntropy())
    async with served(perdure.asgi(runtime)) as address, httpx.AsyncClient() as client:
        assert runtime.is_running
        assert (await client.get(f"http://{address}/healthz")).status_code == 200

    assert not runtime.is_running


async def test_the_master_key_beside_the_database_is_made_once(tmp_path: Path) -> None:
    async with perdure.open(f"sqlite:///{tmp_path}/app.db") as runtime:
        perdure.asgi(runtime)
        key = await perdure.create_key(runtime, "k", scopes=("org.read",))
    key_file = tmp_path / "app.db.key"

    assert key_file.stat().st_mode & 0o777 == 0o600
    async with perdure.open(f"sqlite:///{tmp_path}/app.db") as runtime:
        app = perdure.asgi(runtime)
        now = SystemClock().now()
        token = sign_token(key.id, key.secret, {}, now=now, expires_in=timedelta(hours=1))
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x.test") as client:
            answer = await client.get("/orgs", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 200


async def test_over_a_store_in_memory_a_key_is_good_for_the_app_of_the_same_runtime() -> None:
    async with perdure.open("memory://") as runtime:
        token = await token_of(runtime)
        transport = httpx.ASGITransport(perdure.asgi(runtime))
        async with httpx.AsyncClient(transport=transport, base_url="http://x.test") as client:
            answer = await client.get("/machines", headers={"authorization": f"Bearer {token}"})
    assert answer.json() == {"machines": []}
