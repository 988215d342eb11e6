"""What machine code has said, over HTTP, with the traps that the contract's own client sets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from perdure.durable.upkeep_records import LogEntry
from tests.server.world import ORG, OTHER_ORG, STARTED_AT, World, problem, started_world

START = "2026-01-02T03:04:05.678Z"

PARROT = """
from perdure import create_machine

def speak(context, event):
    print(event["text"])

machine = create_machine(
    {"initial": "a", "states": {"a": {"on": {"SAY": {"actions": "speak"}}}}}, actions={"speak": speak}
)

def allow_read(request):
    return True

def allow_write(request):
    return True
"""


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with started_world() as world:
        yield world


@pytest.fixture
async def client(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with await world.client() as client:
        yield client


async def logs(client: httpx.AsyncClient, **query: str) -> dict[str, Any]:
    response = await client.get("/logs", params=query)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def said(at: float, text: str = "x\n", *, org: str = ORG, instance: str = "polly") -> LogEntry:
    return LogEntry(
        org=org, machine="parrot", instance=instance, version_id="ver_1", at=at, output_type="stdout", text=text
    )


async def test_what_machine_code_prints_is_answered_with_all_its_fields(
    world: World, client: httpx.AsyncClient
) -> None:
    await world.runtime.create_machine(ORG, "parrot")
    version = await world.runtime.deploy(ORG, "parrot", PARROT, file_name="parrot.py")
    await client.post("/machines/parrot", json={"slug": "polly", "context": {}})
    await client.post("/machines/parrot/i/polly/events", json={"event": {"type": "SAY", "text": "two\nlines"}})
    await world.clock.advance(5)
    assert await logs(client, **{"from": START}) == {
        "logs": [
            {
                "timestamp": START,
                "orgId": ORG,
                "machineName": "parrot",
                "instanceName": "polly",
                "machineVersionId": version.id,
                "outputType": "stdout",
                "log": "two\nlines\n",
            }
        ],
        "maxTimestamp": "2026-01-02T03:04:05.679Z",
    }


@pytest.mark.parametrize(
    "since", [START, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678901+00:00", "2026-01-02T04:04:05.7+01:00"]
)
async def test_with_nothing_new_the_time_asked_from_comes_back_to_the_letter(
    client: httpx.AsyncClient, since: str
) -> None:
    assert await logs(client, **{"from": since}) == {"logs": [], "maxTimestamp": since}


async def test_whoever_goes_on_from_the_answer_sees_each_entry_once(world: World, client: httpx.AsyncClient) -> None:
    await world.store.append_logs([said(STARTED_AT + number // 7, f"{number}\n") for number in range(350)])
    await world.clock.advance(1_000)
    since, seen, sizes = START, [], []
    while (page := await logs(client, **{"from": since}))["maxTimestamp"] != since:
        since = page["maxTimestamp"]
        sizes.append(len(page["logs"]))
        seen += [entry["log"] for entry in page["logs"]]
    assert seen == [f"{number}\n" for number in range(350)]
    assert sizes == [98, 98, 98, 56]


async def test_with_an_end_the_last_answer_says_that_it_is_reached(world: World, client: httpx.AsyncClient) -> None:
    await world.store.append_logs([said(STARTED_AT), said(STARTED_AT + 500)])
    await world.clock.advance(10_000)
    until = "2026-01-02T03:04:06.000Z"
    page = await logs(client, **{"from": START, "to": until})
    assert (len(page["logs"]), page["maxTimestamp"]) == (1, until)
    assert await logs(client, **{"from": until, "to": until}) == {"logs": [], "maxTimestamp": until}


async def test_filters_narrow_and_orgs_are_apart(world: World, client: httpx.AsyncClient) -> None:
    await world.store.append_logs([said(STARTED_AT), said(STARTED_AT, instance="jack"), said(1.0, org=OTHER_ORG)])
    await world.clock.advance(5)

    async def names(**query: str) -> list[str]:
        return [entry["instanceName"] for entry in (await logs(client, **{"from": "1970-01-01", **query}))["logs"]]

    assert await names() == ["polly", "jack"]
    assert await names(machine="parrot", instance="jack") == ["jack"]
    assert await names(machine="cat") == []
    assert await names(version="ver_1") == ["polly", "jack"]
    assert await names(version="ver_2") == []


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ({}, "from"),
        ({"from": ""}, "from"),
        ({"from": "yesterday"}, "from"),
        ({"from": "0000-01-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-02T03:04:05.678Z", "to": "9999999999999"}, "to"),
        ({"from": "2026-01-02T03:04:05.678Z", "machine": "a/b"}, "machine"),
        ({"from": "2026-01-02T03:04:05.678Z", "instance": ""}, "instance"),
    ],
)
async def test_a_bad_question_is_refused_by_the_name_of_its_parameter(
    client: httpx.AsyncClient, query: dict[str, str], parameter: str
) -> None:
    response = await client.get("/logs", params=query)
    assert response.status_code == 400
    body = response.json()
    assert (body["code"], body["parameter"]) == ("invalid-parameter", parameter)


async def test_times_at_the_ends_of_the_calendar_are_understood(world: World, client: httpx.AsyncClient) -> None:
    await world.store.append_logs([said(STARTED_AT)])
    await world.clock.advance(5)
    page = await logs(client, **{"from": "0001-01-01T00:00:00+23:59", "to": "9999-12-31T23:59:59-23:59"})
    assert len(page["logs"]) == 1


async def test_logs_need_their_scope(world: World) -> None:
    async with await world.client("instances.read") as client:
        response = await client.get("/logs", params={"from": START})
    assert problem(response)[0] == 403


async def test_logs_are_for_whoever_has_the_scope(world: World) -> None:
    async with await world.client("logs.read") as client:
        assert (await client.get("/logs", params={"from": START})).status_code == 200
