"""The Stately Inspector's side of inspection: its messages, and a server that its published page can look through.

The messages are those of the npm package ``@statelyai/inspect`` 0.7: one JSON object per text frame, of the types
``@xstate.actor``, ``@xstate.event`` and ``@xstate.snapshot``. Whoever connects first gets the last messages again, so
that a page opened late sees the actors that are there.

The server has no authentication and shows all contexts and events: it listens on the loopback interface unless it is
told otherwise, and refuses pages of other origins, which a browser would let connect.
"""

from __future__ import annotations

import itertools
from collections import deque
from http import HTTPStatus
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.server import Server, ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from perdure.actors.inspection import ActorCreated, ActorEnded, EventSent, InspectionEvent, MicrostepTaken
from perdure.actors.machine_actor import MachineActor
from perdure.json_value import Json, JsonObject, encode_model
from perdure.statechart.snapshot import Snapshot
from perdure.statechart.xstate_export import export_xstate

__all__ = ["StatelyInspector", "StatelyMessages"]

FORMAT = "0.7.2"
"""The release of ``@statelyai/inspect`` whose messages these are."""
KEPT_MESSAGES = 1_000
"""Messages kept for whoever connects later."""
LOOPBACK = frozenset(("127.0.0.1", "::1", "localhost"))
PAGE_URL = "https://stately.ai/inspect"
"""The inspector's published page, which shows what is posted to its window."""

BRIDGE = """<!doctype html>
<meta charset="utf-8"><title>perdure: Stately Inspector</title>
<style>html, body, iframe {{ margin: 0; width: 100%; height: 100%; border: 0 }}</style>
<iframe id="page" src="{page}"></iframe>
<script>
  const page = document.getElementById("page"), waiting = [];
  let ready = false;
  const pass = (message) => page.contentWindow.postMessage(message, "{origin}");
  addEventListener("message", (event) => {{
    if (event.origin !== "{origin}" || event.data?.type !== "@statelyai.connected") return;
    ready = true;
    waiting.splice(0).forEach(pass);
  }});
  new WebSocket(`ws://${{location.host}}`).onmessage = (event) => {{
    const message = JSON.parse(event.data);
    ready ? pass(message) : waiting.push(message);
  }};
</script>
"""


class StatelyMessages:
    """Turns the records of inspection into the inspector's messages. Gives each actor a session id of its own."""

    def __init__(self) -> None:
        self._sessions: dict[str, str] = {}
        self._roots: dict[str, str] = {}
        self._count = itertools.count()

    def messages(self, record: InspectionEvent) -> list[JsonObject]:
        """The messages for a record; none for one that the inspector does not show."""
        if isinstance(record, ActorCreated):
            return [self._actor(record)]
        if record.path not in self._sessions or isinstance(record, MicrostepTaken):
            return []
        if isinstance(record, EventSent):
            source = None if record.sender is None else self._sessions.get(record.sender)
            message = self._message("@xstate.event", record, event=record.event)
            return [message if source is None else {**message, "sourceId": source}]
        if isinstance(record, ActorEnded):
            message = self._message(
                "@xstate.snapshot", record, event={"type": f"xstate.{record.status}"}, snapshot=standing(record.actor)
            )
            del self._sessions[record.path], self._roots[record.path]
            return [message]
        snapshot = shown(record.snapshot)
        return [
            self._message("@xstate.snapshot", record, event=record.event or {"type": "xstate.init"}, snapshot=snapshot)
        ]

    def _actor(self, record: ActorCreated) -> JsonObject:
        session = self._sessions[record.path] = f"x:{next(self._count)}"
        parent = None if record.parent is None else self._sessions.get(record.parent)
        self._roots[record.path] = session if parent is None else self._roots[record.parent or ""]
        message = self._message(
            "@xstate.actor", record, name=record.id, definition=definition_of(record), snapshot={"status": "active"}
        )
        return message if parent is None else {**message, "parentId": parent}

    def _message(self, message_type: str, record: InspectionEvent, **more: Any) -> JsonObject:
        return {
            "type": message_type,
            "sessionId": self._sessions[record.path],
            "rootId": self._roots[record.path],
            "createdAt": str(int(record.at)),
            "id": None,
            "_version": FORMAT,
            **more,
        }


class StatelyInspector:
    """A WebSocket server for the inspector: ``interpret(machine, inspect=inspector)`` shows a system's actors in it.

    Use it with ``async with``. Open ``http://127.0.0.1:<port>`` in a browser for the published page, or connect with
    the package's ``createWebSocketReceiver``.
    """

    def __init__(self, *, host: str = "127.0.0.1", port: int = 8080, page: str = PAGE_URL) -> None:
        """``port`` 0 takes a free one; ``page`` is the inspector that the bridge page shows."""
        self._host = host
        self._port = port
        self._page = page
        self._messages = StatelyMessages()
        self._kept: deque[str] = deque(maxlen=KEPT_MESSAGES)
        self._server: Server | None = None
        self._connections: set[ServerConnection] = set()

    def __call__(self, record: InspectionEvent) -> None:
        """Take a record of inspection and pass it on to whoever is connected."""
        for message in self._messages.messages(record):
            text = encoded(message)
            self._kept.append(text)
            broadcast(self._connections, text)

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        if self._server is None:
            return self._port
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def __aenter__(self) -> StatelyInspector:
        self._server = await serve(self._serve, self._host, self._port, process_request=self._answer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, connection: ServerConnection) -> None:
        for text in self._kept:  # without waiting in between, so that nothing newer slips in
            broadcast([connection], text)
        self._connections.add(connection)
        try:
            await connection.wait_closed()
        finally:
            self._connections.discard(connection)

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Refuse pages of other origins; answer a plain request with the bridge page."""
        origin, host = request.headers.get("Origin"), request.headers.get("Host", "")
        # A page of another origin may also have given its own name our address.
        is_ours = self._host not in LOOPBACK or urlsplit(f"//{host}").hostname in LOOPBACK
        if not is_ours or (origin is not None and urlsplit(origin).netloc != host):
            return connection.respond(HTTPStatus.FORBIDDEN, "this inspector is not for pages of other origins\n")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return None
        shown_at = urlsplit(self._page)
        body = BRIDGE.format(page=self._page, origin=f"{shown_at.scheme}://{shown_at.netloc}").encode()
        headers = Headers({"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(body))})
        return Response(HTTPStatus.OK, "OK", headers, body)


def definition_of(record: ActorCreated) -> str:
    """What the inspector draws: a machine's config, and of other kinds only the name."""
    config: Json = {"id": record.id}
    if isinstance(record.actor, MachineActor):
        config = {**export_xstate(record.actor.machine).config, "id": record.actor.machine.id}
    return encoded(config)


def standing(actor: Any) -> JsonObject:
    """Where an actor stood at its end."""
    snapshot = shown(actor.snapshot if actor.kind != "machine" or actor.place() is not None else None)
    snapshot = {**snapshot, "status": actor.status}
    return {**snapshot, "error": actor.error} if actor.status == "error" else snapshot


def shown(snapshot: Any) -> JsonObject:
    """A snapshot as XState v5 has it; of what is no machine the state is the context."""
    if not isinstance(snapshot, Snapshot):
        return {"status": "active", "context": snapshot}
    found = {
        "status": snapshot.status,
        "value": snapshot.value,
        "context": snapshot.context,
        "tags": list(snapshot.tags),
        "children": {child_id: {"id": child_id} for child_id in snapshot.children},
        "historyValue": {},
    }
    return {**found, "output": snapshot.output} if snapshot.status == "done" else found


def described(value: Any) -> Any:
    """What JSON cannot say, as a text."""
    try:
        return encode_model(value)
    except TypeError:
        return repr(value)


_encoder = msgspec.json.Encoder(enc_hook=described)


def encoded(value: JsonObject) -> str:
    """The JSON of a message; where a part of it cannot be said at all, a description in its place."""
    try:
        return _encoder.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        return _encoder.encode(
            {key: part if isinstance(part, str) else repr(part) for key, part in value.items()}
        ).decode()
