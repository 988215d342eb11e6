"""Instances over HTTP: success to the letter of the contract, and every refusal with its status and code."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator

import httpx
import pytest

from perdure import Limits
from perdure.durable.records import Address
from tests.server.world import ORG, STARTED_AT, World, problem, started_world

ISO_STARTED_AT = "2026-01-02T03:04:05.678Z"


def proof(machine: str, instance: str) -> str:
    digest = hmac.new(machine.encode(), instance.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def test_creating_an_instance_answers_200_with_its_state(client: httpx.AsyncClient) -> None:
    response = await client.post("/machines/light", json={"slug": "hall"})

    assert response.status_code == 200
    assert response.json() == {
        "ts": STARTED_AT,
        "state": "off",
        "publicContext": {"switched": 0},
        "tags": [],
        "done": False,
    }


async def test_given_context_is_merged_over_the_machines_own(client: httpx.AsyncClient, world: World) -> None:
    await client.post("/machines/light", json={"slug": "hall", "context": {"public": {"switched": 7}}})

    record = await world.runtime.inspect(Address(ORG, "light", "hall"))
    assert record.snapshot.context == {"public": {"switched": 7}, "secret": "wattage"}


async def test_creating_an_instance_twice_answers_409(client: httpx.AsyncClient) -> None:
    await client.post("/machines/light", json={"slug": "hall"})

    assert problem(await client.post("/machines/light", json={"slug": "hall"})) == (409, "invalid-state")


async def test_creating_an_instance_of_an_unknown_machine_answers_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/machines/lamp", json={"slug": "hall"})) == (404, "not-found")


async def test_an_instance_can_be_created_with_a_version_that_is_not_current(
    client: httpx.AsyncClient, world: World
) -> None:
    version = await world.deploy(make_current=False, client_info="older")

    await client.post("/machines/light", json={"slug": "hall", "machineVersionId": version})

    admin = await client.get("/machines/light/i/hall/admin")
    assert admin.json()["machineVersion"]["id"] == version


async def test_a_version_of_another_machine_is_refused_by_its_parameter(
    client: httpx.AsyncClient, world: World
) -> None:
    version = await world.deploy_light("lamp")

    response = await client.post("/machines/light", json={"slug": "hall", "machineVersionId": version})

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "machineVersionId"


@pytest.mark.parametrize("name", ["", "a b", "ä", "a/b", "x" * 129, "hall\n"])
async def test_a_malformed_instance_name_is_refused_by_its_parameter(client: httpx.AsyncClient, name: str) -> None:
    response = await client.post("/machines/light", json={"slug": name})

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "slug"


async def test_a_malformed_name_in_the_path_is_refused_by_its_parameter(client: httpx.AsyncClient) -> None:
    response = await client.get("/machines/light/i/[object Object]")

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "instanceSlug"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"", "body"),
        (b"{", "body"),
        (b"[]", "body"),
        (b"\xff", "body"),
        (b"{}", "slug"),
        (b'{"slug": 5}', "slug"),
        (b'{"slug": "hall", "context": []}', "context"),
        (b'{"slug": "hall", "machineVersionId": {}}', "machineVersionId"),
        (b'{"slug": "hall", "context": {"a": ' + b"[" * 100_000, "body"),
    ],
)
async def test_an_unacceptable_body_is_refused_by_its_parameter(
    client: httpx.AsyncClient, body: bytes, parameter: str
) -> None:
    response = await client.post("/machines/light", content=body)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


async def test_unknown_fields_of_a_body_are_ignored(client: httpx.AsyncClient) -> None:
    assert (await client.post("/machines/light", json={"slug": "hall", "colour": "red"})).status_code == 200


@pytest.mark.parametrize("event", ["SWITCH", {"type": "SWITCH", "force": 3}])
async def test_an_event_is_sent_as_a_string_or_as_an_object(
    client: httpx.AsyncClient, world: World, event: object
) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json={"event": event})

    assert response.status_code == 200
    body = response.json()
    assert body.pop("ts") > STARTED_AT
    assert body == {"state": "on", "publicContext": {"switched": 1}, "tags": ["lit"], "done": False}


async def test_a_final_state_is_done(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()
    await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})

    response = await client.post("/machines/light/i/hall/events", json={"event": "BREAK"})

    assert response.json()["done"] is True


async def test_an_event_that_nothing_handles_answers_200(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json={"event": "SING"})

    assert (response.status_code, response.json()["state"]) == (200, "off")


async def test_public_context_is_absent_when_there_is_none(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json={"event": "HIDE"})

    assert "publicContext" not in response.json()


@pytest.mark.parametrize("body", [{}, {"event": 5}, {"event": {}}, {"event": {"type": 5}}, {"event": ""}])
async def test_an_event_without_a_type_is_refused(client: httpx.AsyncClient, world: World, body: object) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json=body)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "event"


async def test_a_machine_that_raises_answers_422_and_changes_nothing(client: httpx.AsyncClient, world: World) -> None:
    address = await world.create_light()
    before = await world.runtime.inspect(address)

    response = await client.post("/machines/light/i/hall/events", json={"event": "FAIL"})

    assert problem(response) == (422, "machine-error")
    assert await world.runtime.inspect(address) == before


async def test_a_machine_that_does_not_become_stable_answers_422(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json={"event": "SPIN"})

    assert problem(response) == (422, "microstep-limit")


async def test_a_context_beyond_its_limit_answers_413(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    response = await client.post("/machines/light/i/hall/events", json={"event": {"type": "GROW", "size": 400_001}})

    assert problem(response) == (413, "context-too-large")


async def test_an_event_to_an_unknown_instance_answers_404(client: httpx.AsyncClient) -> None:
    response = await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})

    assert problem(response) == (404, "not-found")


@pytest.mark.parametrize("scope", ["events.write", "instances.write"])
async def test_either_write_scope_may_send_events(world: World, scope: str) -> None:
    await world.create_light()

    async with await world.client(scope) as client:
        response = await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})

    assert response.status_code == 200


async def test_the_authorizers_decide_by_the_act_claim(world: World) -> None:
    await world.create_light()
    refused = (403, "rejected-by-machine-authorizer")

    async with await world.client(act={"role": "reader"}) as reader:
        assert problem(await reader.post("/machines/light", json={"slug": "attic"})) == refused
        assert problem(await reader.post("/machines/light/i/hall/events", json={"event": "SWITCH"})) == refused
        assert (await reader.get("/machines/light/i/hall")).status_code == 200
    async with await world.client(act={"role": "stranger"}) as stranger:
        assert problem(await stranger.get("/machines/light/i/hall")) == refused


async def test_reading_an_instance_answers_its_state(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    response = await client.get("/machines/light/i/hall")

    assert response.status_code == 200
    assert set(response.json()) == {"ts", "state", "publicContext", "tags", "done"}


async def test_reading_an_unknown_instance_answers_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/machines/light/i/hall")) == (404, "not-found")


async def test_an_instance_of_another_org_is_not_found(world: World) -> None:
    await world.create_light()

    async with await world.client(org="org_other") as client:
        assert problem(await client.get("/machines/light/i/hall")) == (404, "not-found")


async def test_administrators_see_the_whole_context_without_an_authorizer(world: World) -> None:
    await world.create_light()

    async with await world.client("instances.admin", act={"role": "stranger"}) as client:
        response = await client.get("/machines/light/i/hall/admin")

    assert response.status_code == 200
    body = response.json()
    version = body.pop("machineVersion")
    assert set(version) == {"id", "createdAt", "clientInfo"}
    assert version["id"].startswith("ver_")
    assert body == {
        "state": "off",
        "context": {"public": {"switched": 0}, "secret": "wattage"},
        "tags": [],
        "done": False,
        "status": "running",
        "createdAt": ISO_STARTED_AT,
    }


async def test_transitions_come_oldest_first_and_page_by_page() -> None:
    async with started_world(page_size=2) as world, await world.client() as client:
        await world.create_light()
        for _ in range(4):
            await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})

        transitions, cursors, cursor = [], 0, ""
        while True:
            page = (await client.get(f"/machines/light/i/hall/events?cursor={cursor}")).json()
            transitions += page["transitions"]
            if "cursor" not in page:
                break
            cursor = page["cursor"]
            cursors += 1

    assert cursors == 2
    assert [each["state"] for each in transitions] == ["off", "on", "off", "on", "off"]
    assert transitions[1] == {"createdAt": ISO_STARTED_AT, "state": "on", "event": {"type": "SWITCH"}}


async def test_transitions_of_an_unknown_instance_answer_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/machines/light/i/hall/events")) == (404, "not-found")


async def test_a_cursor_that_was_never_given_out_is_refused(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    for path in ("/machines", "/machines/light/v", "/machines/light/i", "/machines/light/i/hall/events", "/keys"):
        response = await client.get(path, params={"cursor": "rubbish"})
        assert problem(response) == (400, "invalid-parameter"), path
        assert response.json()["parameter"] == "cursor"


async def test_instances_are_listed_with_their_status_and_version(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light("hall")
    await world.runtime.set_status(await world.create_light("attic"), "paused")

    response = await client.get("/machines/light/i")

    assert response.status_code == 200
    hall, attic = response.json()["instances"]
    assert set(hall) == {"slug", "createdAt", "status", "machineVersion"}
    assert (hall["slug"], hall["status"], hall["createdAt"]) == ("hall", "running", ISO_STARTED_AT)
    assert (attic["slug"], attic["status"]) == ("attic", "paused")
    assert set(hall["machineVersion"]) == {"id", "createdAt", "clientInfo"}


async def test_instances_of_an_unknown_machine_answer_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/machines/lamp/i")) == (404, "not-found")


async def test_a_paused_instance_refuses_events_and_can_be_read(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()

    paused = await client.put("/machines/light/i/hall/status", json={"status": "paused"})
    refused = await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})
    read = await client.get("/machines/light/i/hall")
    await client.put("/machines/light/i/hall/status", json={"status": "running"})
    accepted = await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})

    assert (paused.status_code, paused.content) == (204, b"")
    assert problem(refused) == (409, "invalid-state")
    assert read.status_code == 200
    assert accepted.status_code == 200


async def test_an_unknown_status_is_refused_by_its_parameter_with_those_there_are(
    client: httpx.AsyncClient, world: World
) -> None:
    await world.create_light()

    response = await client.put("/machines/light/i/hall/status", json={"status": "asleep"})

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "status"
    assert response.json()["error"].endswith("; use running or paused")


async def test_deleting_an_instance_needs_both_proofs(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()
    flag, field = "dangerDataWillBeDeletedForever", "hmacSha256OfMachineInstanceNameWithMachineNameKey"
    good = {flag: True, field: proof("light", "hall")}

    for body, parameter in [
        ({}, flag),
        ({**good, flag: False}, flag),
        ({**good, flag: "true"}, flag),
        ({flag: True}, field),
        ({**good, field: proof("hall", "light")}, field),
        ({**good, field: "ä"}, field),
        ({**good, field: 5}, field),
    ]:
        response = await client.request("DELETE", "/machines/light/i/hall", json=body)
        assert problem(response) == (400, "invalid-parameter"), body
        assert response.json()["parameter"] == parameter, body
    response = await client.request("DELETE", "/machines/light/i/hall", json=good)

    assert (response.status_code, response.content) == (204, b"")
    assert problem(await client.get("/machines/light/i/hall")) == (404, "not-found")


async def test_a_body_beyond_its_limit_answers_413_however_it_is_sent() -> None:
    async with started_world(body_bytes_max=100) as world, await world.client() as client:
        body = b'{"slug": "' + b"x" * 200 + b'"}'

        async def in_parts() -> AsyncIterator[bytes]:
            for start in range(0, len(body), 20):
                yield body[start : start + 20]

        assert problem(await client.post("/machines/light", content=body)) == (413, "body-too-large")
        assert problem(await client.post("/machines/light", content=in_parts())) == (413, "body-too-large")


async def test_a_body_may_come_in_parts(client: httpx.AsyncClient) -> None:
    async def in_parts() -> AsyncIterator[bytes]:
        yield b'{"slug":'
        yield b' "hall"}'

    assert (await client.post("/machines/light", content=in_parts())).status_code == 200


async def test_a_request_beyond_the_mailbox_answers_429_and_says_when_to_try_again(
    client: httpx.AsyncClient, world: World
) -> None:
    address = await world.create_light()
    world.runtime.limits = Limits(inbox_max=1)
    path = f"/machines/{address.machine}/i/{address.instance}/events"
    answers = await asyncio.gather(*(client.post(path, json={"event": "SWITCH"}) for _ in range(9)))
    refused = [answer for answer in answers if answer.status_code != 200]
    assert refused
    assert {problem(answer) for answer in refused} == {(429, "mailbox-full")}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


async def test_a_request_with_an_idempotency_key_is_applied_once_and_answered_the_same(
    client: httpx.AsyncClient, world: World
) -> None:
    create = {"slug": "hall", "context": {"public": {"switched": 3}}}
    key = {"idempotency-key": "c-1"}
    created = await client.post("/machines/light", json=create, headers=key)
    again = await client.post("/machines/light", json=create, headers=key)
    assert (created.status_code, created.content) == (again.status_code, again.content)
    path, key = "/machines/light/i/hall/events", {"Idempotency-Key": "e-1"}
    sent = await client.post(path, json={"event": "SWITCH"}, headers=key)
    again = await client.post(path, json={"event": "SWITCH"}, headers=key)
    assert (sent.status_code, again.status_code) == (200, 200)
    assert sent.content == again.content
    assert sent.json()["state"] == "on"


async def test_an_idempotency_key_of_another_request_answers_422(client: httpx.AsyncClient, world: World) -> None:
    await world.create_light()
    path, key = "/machines/light/i/hall/events", {"idempotency-key": "e-1"}
    await client.post(path, json={"event": "SWITCH"}, headers=key)
    assert problem(await client.post(path, json={"event": "OTHER"}, headers=key)) == (422, "idempotency-key-reused")
    bad = await client.post(path, json={"event": "SWITCH"}, headers={"idempotency-key": "x" * 256})
    assert (problem(bad), bad.json()["parameter"]) == ((400, "invalid-parameter"), "idempotency-key")
