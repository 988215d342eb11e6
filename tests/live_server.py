"""A whole server on a loopback port, in a thread of the test: real sockets, a real store, no process to start."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import uvicorn

from perdure.bootstrap import Service, open_service
from perdure.cli.serving import listen, url_of
from perdure.clock import SystemClock
from perdure.entropy import SystemEntropy
from perdure.server.secrets import new_key
from perdure.server.settings import ServerSettings
from perdure.tokens import SCOPES

WAIT_SECONDS = 20.0

DOOR = """
from perdure import assign, create_machine


def count_opening(context, event):
    return {"opened": context["public"]["opened"] + 1}


machine = create_machine(
    {
        "id": "door",
        "initial": "shut",
        "context": {"public": {"opened": 0}, "secret": "under the mat"},
        "states": {
            "shut": {"tags": ["safe"], "on": {"OPEN": {"target": "open", "actions": "count"}, "BURN": "ashes"}},
            "open": {"on": {"SHUT": "shut", "BURN": "ashes"}},
            "ashes": {"type": "final"},
        },
    },
    actions={"count": assign({"public": count_opening})},
)


def allow_read(request):
    return request.auth_context.get("sub") != "stranger"


def allow_write(request):
    return request.auth_context.get("sub") != "stranger"
"""


@dataclass(frozen=True, slots=True)
class LiveServer:
    """A running server, and a key that may do everything."""

    url: str
    key_id: str = ""
    key_secret: str = ""


@contextmanager
def live_server(store_url: str = "memory://", settings: ServerSettings | None = None) -> Iterator[LiveServer]:
    """Serve a store until the block ends. Code upload is allowed unless settings say otherwise."""
    settings = settings if settings is not None else ServerSettings(allow_code_upload=True, log_requests=False)
    started: queue.Queue[LiveServer | BaseException] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(target=_serve, args=(store_url, settings, started, stop), daemon=True)
    thread.start()
    outcome = started.get(timeout=WAIT_SECONDS)
    if isinstance(outcome, BaseException):
        raise outcome
    try:
        yield outcome
    finally:
        stop.set()
        thread.join(WAIT_SECONDS)
        assert not thread.is_alive(), "the server did not stop"


def _serve(
    store_url: str,
    settings: ServerSettings,
    started: queue.Queue[LiveServer | BaseException],
    stop: threading.Event,
) -> None:
    async def main() -> None:
        service = open_service(
            store_url, master_key=b"m" * 32, settings=settings, clock=SystemClock(), entropy=SystemEntropy()
        )
        with listen("127.0.0.1", 0) as listener:
            async with service as running:
                live = await _with_key(LiveServer(url_of(listener)), running)
                server = uvicorn.Server(
                    uvicorn.Config(running.app, lifespan="off", log_config=None, timeout_graceful_shutdown=2)
                )
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                started.put(live)
                await asyncio.to_thread(stop.wait)
                server.should_exit = True
                await serving

    try:
        asyncio.run(main())
    except BaseException as error:
        started.put(error)
        raise


async def _with_key(live: LiveServer, running: Service) -> LiveServer:
    record, pair = new_key(
        org=running.org,
        name="test",
        scopes=tuple(sorted(SCOPES)),
        now=SystemClock().now(),
        entropy=SystemEntropy(),
        secret_box=running.secret_box,
    )
    await running.store.create_key(record)
    return replace(live, key_id=pair.id, key_secret=pair.secret)
