"""A server for one test: an application over a runtime and a store in memory, with a clock that the test moves."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from perdure.durable.records import Address, OrgRecord
from perdure.durable.runtime import Runtime, RuntimeSettings
from perdure.hosts.in_process import InProcessHost
from perdure.json_value import JsonObject
from perdure.server.app import create_app
from perdure.server.secrets import SecretBox, new_key
from perdure.server.settings import ServerSettings
from perdure.stores.memory import MemoryStore
from perdure.testing.simulated_clock import CountingEntropy, SimulatedClock
from perdure.tokens import SCOPES, KeyPair, sign_token

ORG = "org_test"
OTHER_ORG = "org_other"
LIGHT = (Path(__file__).parent / "light_machine.py").read_text(encoding="utf-8")
STARTED_AT = 1_767_323_045_678.0
"""2026-01-02T03:04:05.678Z"""


class World:
    """Everything a test of the server may reach for."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings
        self.clock = SimulatedClock(STARTED_AT)
        self.entropy = CountingEntropy()
        self.secret_box = SecretBox(b"a master key of thirty-two bytes", self.entropy)
        self.store = MemoryStore()
        self.runtime = Runtime(
            self.store,
            InProcessHost(),
            clock=self.clock,
            entropy=self.entropy,
            settings=RuntimeSettings(closing_grace=0),
        )
        self.app: Starlette = create_app(
            self.runtime,
            settings=settings,
            secret_box=self.secret_box,
            clock=self.clock,
            entropy=self.entropy,
            owns_runtime=False,
        )

    async def key(self, *scopes: str, org: str = ORG) -> KeyPair:
        """A key with these scopes, or with all."""
        record, pair = new_key(
            org=org,
            name="test",
            scopes=scopes or tuple(sorted(SCOPES)),
            now=self.clock.now(),
            entropy=self.entropy,
            secret_box=self.secret_box,
        )
        await self.store.create_key(record)
        return pair

    def token(self, key: KeyPair, act: JsonObject | None = None, **changes: Any) -> str:
        options: dict[str, Any] = {"now": self.clock.now(), "expires_in": timedelta(hours=1), **changes}
        return sign_token(key.id, key.secret, act or {}, **options)

    async def client(
        self, *scopes: str, act: JsonObject | None = None, org: str = ORG, app: ASGIApp | None = None
    ) -> httpx.AsyncClient:
        """A client whose token has these scopes, or all."""
        key = await self.key(*scopes, org=org)
        return self.bare_client(app, token=self.token(key, act))

    def bare_client(self, app: ASGIApp | None = None, *, token: str | None = None) -> httpx.AsyncClient:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app or self.app)
        return httpx.AsyncClient(transport=transport, base_url="http://perdure.test", headers=headers)

    async def deploy_light(self, machine: str = "light", *, org: str = ORG, **options: Any) -> str:
        """A machine with one current version; the version's id."""
        await self.runtime.create_machine(org, machine)
        return await self.deploy(machine, org=org, **options)

    async def deploy(self, machine: str = "light", *, org: str = ORG, **options: Any) -> str:
        version = await self.runtime.deploy(org, machine, LIGHT, file_name="light.py", **options)
        return version.id

    async def create_light(self, instance: str = "hall", *, machine: str = "light", org: str = ORG) -> Address:
        address = Address(org, machine, instance)
        await self.runtime.create_instance(address)
        return address

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """The application behind a real socket: ``host:port``."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(self.app, log_config=None, access_log=False, ws="websockets-sansio")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            host, port = listener.getsockname()
            try:
                yield f"{host}:{port}"
            finally:
                server.should_exit = True
                await serving


@asynccontextmanager
async def started_world(**settings: Any) -> AsyncIterator[World]:
    """A world with an org and the light deployed, running."""
    world = World(ServerSettings(**{"allow_code_upload": True, "log_requests": False, **settings}))
    await world.runtime.start()
    try:
        await world.store.create_org(OrgRecord(id=ORG, name="Test", created_at=world.clock.now()))
        await world.store.create_org(OrgRecord(id=OTHER_ORG, name="Other", created_at=world.clock.now()))
        await world.deploy_light()
        yield world
    finally:
        await world.runtime.close()


def problem(response: httpx.Response) -> tuple[int, str]:
    """The status and the code of a refusal, having checked that it has the shape of one."""
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["access-control-allow-origin"] == "*"
    assert isinstance(body["error"], str)
    assert body["error"]
    return response.status_code, body["code"]
