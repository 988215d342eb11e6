"""What the Stately Inspector is told, as a WebSocket client of it sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from perdure import assign, create_machine, from_reducer, interpret, send_to, spawn
from perdure.actors.inspection import EventSent
from perdure.actors.stately_inspector import StatelyInspector, StatelyMessages
from tests.actors.machines import counter

# The fields of each message, as convertXStateEvent and createInspector of @statelyai/inspect 0.7.2 write them.
ALWAYS = {"type", "sessionId", "rootId", "createdAt", "id", "_version"}
FIELDS = {
    "@xstate.actor": ALWAYS | {"name", "definition", "snapshot"},
    "@xstate.event": ALWAYS | {"event"},
    "@xstate.snapshot": ALWAYS | {"event", "snapshot"},
}
OPTIONAL = {"@xstate.actor": {"parentId"}, "@xstate.event": {"sourceId"}, "@xstate.snapshot": set[str]()}

FAMILY = create_machine(
    {
        "id": "family",
        "initial": "living",
        "context": {},
        "entry": assign(ref=lambda: spawn(counter(), "kid")),
        "states": {
            "living": {"on": {"GO": {"target": "gone", "actions": send_to("kid", "INC")}}},
            "gone": {"on": {"END": "over"}},
            "over": {"type": "final"},
        },
    }
)


@pytest.fixture
async def inspector() -> AsyncIterator[StatelyInspector]:
    async with StatelyInspector(port=0) as running:
        yield running


async def received(client: ClientConnection, count: int) -> list[dict[str, Any]]:
    messages = []
    for _ in range(count):
        message: dict[str, Any] = json.loads(await asyncio.wait_for(client.recv(), 10))
        assert FIELDS[message["type"]] <= message.keys() <= FIELDS[message["type"]] | OPTIONAL[message["type"]]
        messages.append(message)
    return messages


async def test_a_client_sees_actors_events_and_snapshots_as_they_come(inspector: StatelyInspector) -> None:
    async with connect(f"ws://127.0.0.1:{inspector.port}") as client:
        root = interpret(FAMILY, inspect=inspector).start()
        born, stands, kid, kid_stands = await received(client, 4)
        assert (born["name"], born["sessionId"], born["rootId"], "parentId" in born) == ("family", "x:0", "x:0", False)
        assert json.loads(born["definition"])["states"]["living"]["on"]["GO"]["target"] == "gone"
        assert (stands["snapshot"]["status"], stands["snapshot"]["value"]) == ("active", "living")
        assert (kid["name"], kid["sessionId"], kid["parentId"], kid["rootId"]) == ("kid", "x:1", "x:0", "x:0")
        assert kid_stands["snapshot"]["context"] == {"n": 0}
        root.send("GO")
        sent, moved, passed_on, counted = await received(client, 4)
        assert (sent["event"], sent["sessionId"], "sourceId" in sent) == ({"type": "GO"}, "x:0", False)
        assert (moved["snapshot"]["value"], moved["event"]) == ("gone", {"type": "GO"})
        assert (passed_on["event"], passed_on["sourceId"], passed_on["sessionId"]) == ({"type": "INC"}, "x:0", "x:1")
        assert counted["snapshot"]["context"] == {"n": 1}
        root.send("END")
        messages = await received(client, 4)
        ends = {message["sessionId"]: message["snapshot"]["status"] for message in messages if "snapshot" in message}
        assert ends == {"x:0": "done", "x:1": "stopped"}


async def test_a_client_that_comes_late_sees_what_has_happened(inspector: StatelyInspector) -> None:
    interpret(FAMILY, inspect=inspector).start()
    async with connect(f"ws://127.0.0.1:{inspector.port}") as client:
        assert [message["type"] for message in await received(client, 4)] == [
            "@xstate.actor",
            "@xstate.snapshot",
            "@xstate.actor",
            "@xstate.snapshot",
        ]


async def test_what_json_cannot_say_is_described(inspector: StatelyInspector) -> None:
    async with connect(f"ws://127.0.0.1:{inspector.port}") as client:
        actor = interpret(create_machine({"id": "m", "context": {}}), context={"odd": object()}, inspect=inspector)
        actor.start().send({"type": "GO", "key": {(1, 2): "tuple"}})
        messages = await received(client, 4)
        assert "object object" in messages[1]["snapshot"]["context"]["odd"]
        assert "tuple" in str(messages[2]["event"])


async def test_a_state_of_another_kind_is_shown_as_its_context(inspector: StatelyInspector) -> None:
    logic = from_reducer(lambda state, event: state + 1, 0)
    async with connect(f"ws://127.0.0.1:{inspector.port}") as client:
        interpret(create_machine({"id": "m", "invoke": {"id": "r", "src": logic}}), inspect=inspector).start()
        messages = await received(client, 4)
        assert messages[-1]["snapshot"] == {"status": "active", "context": 0}


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Origin": "null"}])
async def test_pages_of_other_origins_are_refused(inspector: StatelyInspector, headers: dict[str, str]) -> None:
    with pytest.raises(InvalidStatus, match="403"):
        await connect(f"ws://127.0.0.1:{inspector.port}", additional_headers=headers)


async def test_a_name_that_was_given_our_address_is_refused(inspector: StatelyInspector) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", inspector.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
    assert b" 403 " in await asyncio.wait_for(reader.readline(), 10)
    writer.close()


async def test_a_browser_gets_a_page_that_shows_the_inspector(inspector: StatelyInspector) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", inspector.port)
    writer.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{inspector.port}\r\n\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert b'<iframe id="page" src="https://stately.ai/inspect">' in answer
    writer.close()


def test_records_of_actors_it_was_not_told_of_make_no_messages() -> None:
    assert StatelyMessages().messages(EventSent(at=0.0, path="m", sender=None, event={"type": "GO"})) == []
