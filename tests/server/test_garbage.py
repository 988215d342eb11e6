"""What requests leave for the garbage collector: no cycles, so that it has nothing to hold everybody up for."""

from __future__ import annotations

import gc

import pytest
from starlette.types import Message

from tests.server.world import World

REQUESTS = 50


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/machines/light/i/hall", b""),
        ("POST", "/machines/light/i/hall/events", b'{"event": "SWITCH"}'),
        ("POST", "/machines/light/i/hall/events", b'{"event": 1}'),
        ("GET", "/machines/light/i/nobody", b""),
        ("GET", "/nothing", b""),
    ],
)
async def test_requests_leave_no_cycles_behind(world: World, method: str, path: str, body: bytes) -> None:
    await world.create_light()
    token = world.token(await world.key())

    async def ask() -> None:
        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(b"authorization", f"Bearer {token}".encode())],
        }

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        async def send(message: Message) -> None:
            pass

        await world.app(scope, receive, send)
        await world.runtime.idle()

    await ask()
    gc.collect()
    gc.disable()
    try:
        for _ in range(REQUESTS):
            await ask()
        assert gc.collect() < REQUESTS
    finally:
        gc.enable()
