"""Migrations and upgrades over HTTP: the contract's endpoints, and perdure's own for whole machines."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from tests.server.world import LIGHT, ORG, World, problem, started_world

DIMMER = (
    LIGHT.replace('"off"', '"dark"')
    .replace('"on": {"tags"', '"bright": {"tags"')
    .replace('"target": "on"', '"target": "bright"')
)
"""The light with other names for its states."""

MIGRATION = """
def upgradeState(path, context):
    return {"off": "dark", "on": "bright"}.get(path[0], path)

def upgradeContext(old_paths, new_paths, context):
    if context.get("public") is None:
        raise ValueError("nothing public")
    return {**context, "from": [old_paths, new_paths]}
"""


@pytest.fixture
async def versions(world: World) -> tuple[str, str]:
    """The ids of the light's version and of a newer one, which is not current."""
    machine = await world.store.machine(ORG, "light")
    assert machine is not None
    assert machine.current_version is not None
    newer = await world.runtime.deploy(ORG, "light", DIMMER, file_name="dimmer.py", make_current=False)
    return machine.current_version, newer.id


async def announce(
    client: httpx.AsyncClient, versions: tuple[str, str], query: str = "", **more: Any
) -> httpx.Response:
    body = {"fromMachineVersionId": versions[0], "toMachineVersionId": versions[1], **more}
    return await client.post(f"/machines/light/migrations{query}", json=body)


async def upload(world: World, provisional: dict[str, Any], code: bytes, **fields: str) -> httpx.Response:
    async with world.bare_client() as bare:
        return await bare.post(
            provisional["codeUploadUrl"],
            data={**provisional["codeUploadFields"], "content-type": "application/javascript", **fields},
            files={"file": ("light_1_to_2.js", code, "application/javascript")},
        )


async def finalize(client: httpx.AsyncClient, provisional: dict[str, Any]) -> httpx.Response:
    path = f"/machines/light/migrations/{provisional['machineVersionMigrationId']}"
    return await client.put(path, headers={"content-type": "application/json"})


async def migrate(world: World, client: httpx.AsyncClient, versions: tuple[str, str], code: str = MIGRATION) -> str:
    provisional = (await announce(client, versions)).json()
    assert (await upload(world, provisional, code.encode())).status_code == 204
    response = await finalize(client, provisional)
    assert response.status_code == 200, response.text
    migration: str = response.json()["machineVersionMigrationId"]
    return migration


# -- migrations ----------------------------------------------------------------------------------------------------


async def test_a_migration_is_deployed_in_two_halves_and_seen_after_the_second(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    announced = await announce(client, versions)
    provisional = announced.json()
    assert announced.status_code == 200
    assert set(provisional) == {"machineVersionMigrationId", "codeUploadUrl", "codeUploadFields"}
    await upload(world, provisional, MIGRATION.encode())
    before = (await client.get("/machines/light/migrations")).json()
    response = await finalize(client, provisional)
    after = (await client.get("/machines/light/migrations")).json()

    assert (response.status_code, set(response.json())) == (200, {"machineVersionMigrationId"})
    assert before == {"migrations": []}
    assert after["migrations"] == [
        {
            "id": response.json()["machineVersionMigrationId"],
            "createdAt": "2026-01-02T03:04:05.678Z",
            "fromMachineVersionId": versions[0],
            "toMachineVersionId": versions[1],
        }
    ]


async def test_the_announcement_may_repeat_the_code_in_ten_times_its_size(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    code = gzip.compress(MIGRATION.encode())
    repeated = {str(place): byte for place, byte in enumerate(code * 2_000)}
    announced = await announce(client, versions, "?gzip", code=repeated, machineName="light")
    assert announced.status_code == 200
    assert announced.request.headers["content-length"] > "4000000"
    await upload(world, announced.json(), code, **{"content-encoding": "gzip"})
    assert (await finalize(client, announced.json())).status_code == 200


@pytest.mark.parametrize(
    ("start", "end", "parameter"),
    [("ver_no", 1, "fromMachineVersionId"), (0, "ver_no", "toMachineVersionId"), (0, 0, "toMachineVersionId")],
)
async def test_a_migration_between_what_are_not_two_versions_is_refused(
    client: httpx.AsyncClient, versions: tuple[str, str], start: int | str, end: int | str, parameter: str
) -> None:
    chosen = [part if isinstance(part, str) else versions[part] for part in (start, end)]
    response = await announce(client, (chosen[0], chosen[1]))
    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = 1\n", "light_1_to_2.js: it exports neither upgrade_state"),
        ("def upgrade_state(:\n", "light_1_to_2.js:1: syntax error"),
        ("x = 1\nimport nothing_of_that_name\n", "light_1_to_2.js:2: does not import"),
    ],
)
async def test_a_migration_that_does_not_load_is_refused(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str], code: str, message: str
) -> None:
    provisional = (await announce(client, versions)).json()
    await upload(world, provisional, code.encode())
    response = await finalize(client, provisional)
    assert problem(response) == (400, "invalid-machine-code")
    assert response.json()["error"].startswith(message)
    assert (await client.get("/machines/light/migrations")).json()["migrations"] == []


async def test_the_upload_of_a_migration_is_no_upload_of_a_version(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    migration = (await announce(client, versions)).json()
    version = (await client.post("/machines/light/v")).json()
    await upload(world, migration, LIGHT.encode())
    await upload(world, version, MIGRATION.encode())
    as_version = await client.put(f"/machines/light/v/{migration['machineVersionMigrationId']}")
    as_migration = await client.put(f"/machines/light/migrations/{version['machineVersionId']}")
    assert problem(as_version) == problem(as_migration) == (404, "not-found")


async def test_migrations_need_permission_to_bring_in_code() -> None:
    async with started_world(allow_code_upload=False) as world, await world.client() as client:
        assert problem(await announce(client, ("a", "b"))) == (403, "code-upload-disabled")
        assert problem(await client.put("/machines/light/migrations/x")) == (403, "code-upload-disabled")


async def test_a_deleted_machine_takes_its_migrations_along(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    await migrate(world, client, versions)
    await world.store.delete_machine(ORG, "light")
    assert problem(await client.get("/machines/light/migrations")) == (404, "not-found")
    await world.deploy_light()
    assert (await client.get("/machines/light/migrations")).json() == {"migrations": []}


# -- one instance --------------------------------------------------------------------------------------------------


async def desire(client: httpx.AsyncClient, version: str, instance: str = "hall") -> httpx.Response:
    return await client.put(f"/machines/light/i/{instance}/v", json={"targetMachineVersionId": version})


async def test_an_instance_moves_to_its_desired_version_with_its_next_event(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    migration = await migrate(world, client, versions)
    await world.create_light()
    response = await desire(client, versions[1])
    waiting = (await client.get("/machines/light/i/hall/admin")).json()
    state = (await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})).json()
    moved = (await client.get("/machines/light/i/hall/admin")).json()
    transitions = (await client.get("/machines/light/i/hall/events")).json()["transitions"]

    assert (response.status_code, response.content) == (201, b"")
    assert waiting["machineVersion"]["id"] == versions[0]
    assert waiting["desiredMachineVersion"]["id"] == versions[1]
    assert set(waiting["desiredMachineVersion"]) == {"id", "createdAt", "clientInfo"}
    assert state["state"] == "bright"
    assert moved["machineVersion"]["id"] == versions[1]
    assert "desiredMachineVersion" not in moved
    assert moved["context"]["from"] == [[["off"]], [["dark"]]]
    assert [transition["event"] for transition in transitions] == [
        {"type": "xstate.init"},
        {
            "type": "statebacked.upgrade",
            "migrationPath": [migration],
            "fromMachineVersionId": versions[0],
            "toMachineVersionId": versions[1],
        },
        {"type": "SWITCH"},
    ]


async def test_a_version_without_a_way_is_refused(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    await world.create_light()
    assert problem(await desire(client, versions[1])) == (400, "no-migration-path")
    unknown = await desire(client, "ver_no")
    assert problem(unknown) == (400, "invalid-parameter")
    assert unknown.json()["parameter"] == "targetMachineVersionId"
    assert problem(await desire(client, versions[0], "nobody")) == (404, "not-found")


async def test_a_failing_migration_is_an_answer_that_gives_nothing_away(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    await migrate(world, client, versions)
    await world.create_light()
    await client.post("/machines/light/i/hall/events", json={"event": "HIDE"})
    await desire(client, versions[1])
    response = await client.post("/machines/light/i/hall/events", json={"event": "SWITCH"})
    assert problem(response) == (422, "migration-failed")
    assert "nothing public" not in response.text
    assert (await client.get("/machines/light/i/hall")).json()["state"] == "off"


# -- whole machines ------------------------------------------------------------------------------------------------


async def three_lights(world: World, client: httpx.AsyncClient) -> None:
    """One off, one on, and one whose migration fails."""
    for name in ("attic", "bath", "cellar"):
        await world.create_light(name)
    await client.post("/machines/light/i/bath/events", json={"event": "SWITCH"})
    await client.post("/machines/light/i/cellar/events", json={"event": "HIDE"})


async def test_a_plan_says_who_moves_where_and_who_breaks_why_and_changes_nothing(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    await migrate(world, client, versions)
    await three_lights(world, client)
    await world.create_light("door")
    for event in ("SWITCH", "BREAK"):
        await client.post("/machines/light/i/door/events", json={"event": event})
    before = [await client.get(f"/machines/light/i/{name}/admin") for name in ("attic", "bath", "cellar")]
    response = await client.post("/machines/light/upgrades/plan", json={"targetMachineVersionId": versions[1]})
    after = [await client.get(f"/machines/light/i/{name}/admin") for name in ("attic", "bath", "cellar")]

    moved = {"kind": "moved", "machineVersionId": versions[0]}
    outcomes = response.json()["outcomes"]
    assert outcomes[:2] == [
        {"instance": "attic", "before": "off", "after": "dark", **moved},
        {"instance": "bath", "before": "on", "after": "bright", **moved},
    ]
    assert (outcomes[2]["kind"], outcomes[2]["code"]) == ("failed", "migration-failed")
    assert outcomes[2]["error"].endswith("raised ValueError: nothing public")
    assert outcomes[3] == {"instance": "door", "kind": "ended", "machineVersionId": versions[0]}
    assert "cursor" not in response.json()
    assert [answer.json() for answer in before] == [answer.json() for answer in after]


async def test_instances_are_moved_page_by_page_and_the_failed_ones_again_by_name(
    world: World, client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    await migrate(world, client, versions)
    await three_lights(world, client)
    seen: list[tuple[str, str]] = []
    cursor: str | None = None
    for _ in range(3):
        body = {"targetMachineVersionId": versions[1], "limit": 1, **({"cursor": cursor} if cursor else {})}
        page = (await client.post("/machines/light/upgrades", json=body)).json()
        seen += [(outcome["instance"], outcome["kind"]) for outcome in page["outcomes"]]
        cursor = page.get("cursor")
    counts = (await client.get("/machines/light/upgrades")).json()["versions"]
    await migrate(world, client, versions, "upgrade_state = lambda path, context: ['dark']\n")
    rest = {"targetMachineVersionId": versions[1], "instances": ["cellar", "bath", "nobody"]}
    again = (await client.post("/machines/light/upgrades", json=rest)).json()

    assert seen == [("attic", "moved"), ("bath", "moved"), ("cellar", "failed")]
    assert cursor is None
    assert {version["machineVersion"]["id"]: version["instances"] for version in counts} == {
        versions[0]: 1,
        versions[1]: 2,
    }
    assert [(outcome["instance"], outcome["kind"]) for outcome in again["outcomes"]] == [
        ("cellar", "moved"),
        ("bath", "there"),
    ]
    assert (await client.get("/machines/light/i/cellar")).json()["state"] == "dark"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "targetMachineVersionId"),
        ({"targetMachineVersionId": "ver_no"}, "targetMachineVersionId"),
        ({"limit": 0}, "limit"),
        ({"limit": 1_001}, "limit"),
        ({"instances": ["a b"]}, "instances"),
        ({"instances": ["a"] * 1_001}, "instances"),
        ({"cursor": "nonsense"}, "cursor"),
    ],
)
async def test_an_upgrade_that_cannot_be_meant_is_refused(
    client: httpx.AsyncClient, versions: tuple[str, str], body: dict[str, Any], parameter: str
) -> None:
    if body and "targetMachineVersionId" not in body:
        body = {"targetMachineVersionId": versions[0], **body}
    for path in ("/machines/light/upgrades", "/machines/light/upgrades/plan"):
        response = await client.post(path, json=body)
        assert problem(response) == (400, "invalid-parameter")
        assert response.json()["parameter"] == parameter


async def test_upgrades_of_a_machine_that_is_not_there_are_not_found(
    client: httpx.AsyncClient, versions: tuple[str, str]
) -> None:
    body = {"targetMachineVersionId": versions[0]}
    assert problem(await client.post("/machines/dark/upgrades", json=body)) == (404, "not-found")
    assert problem(await client.post("/machines/dark/upgrades/plan", json=body)) == (404, "not-found")
    assert problem(await client.get("/machines/dark/upgrades")) == (404, "not-found")


async def test_a_machine_of_another_org_is_as_good_as_none(world: World, versions: tuple[str, str]) -> None:
    async with await world.client(org="org_other") as stranger:
        assert problem(await announce(stranger, versions)) == (404, "not-found")
        assert problem(await desire(stranger, versions[1])) == (400, "invalid-parameter")
        assert problem(await stranger.get("/machines/light/upgrades")) == (404, "not-found")
