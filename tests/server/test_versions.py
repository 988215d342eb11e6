"""Bringing code in: the upload in two halves, and every way it is refused."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest

from perdure.server.app import create_app
from tests.server.world import LIGHT, ORG, World, problem, started_world

OK_AFTER_UPLOAD = 204


async def provision(client: httpx.AsyncClient, query: str = "") -> dict[str, Any]:
    response = await client.post(f"/machines/light/v{query}")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def upload(
    world: World, provisional: dict[str, Any], code: bytes, *, encoding: str | None = None
) -> httpx.Response:
    """What the contract's client posts: the fields, two more, the file last, and no token."""
    fields = {**provisional["codeUploadFields"], "content-type": "application/javascript"}
    if encoding is not None:
        fields["content-encoding"] = encoding
    async with world.bare_client() as bare:
        return await bare.post(
            provisional["codeUploadUrl"],
            data=fields,
            files={"file": ("light.js", code, "application/javascript")},
        )


async def finalize(client: httpx.AsyncClient, provisional: dict[str, Any], **body: Any) -> httpx.Response:
    return await client.put(f"/machines/light/v/{provisional['machineVersionId']}", json=body)


async def deploy(world: World, client: httpx.AsyncClient, code: bytes, **body: Any) -> httpx.Response:
    provisional = await provision(client)
    assert (await upload(world, provisional, code)).status_code == OK_AFTER_UPLOAD
    return await finalize(client, provisional, **body)


async def test_a_version_is_deployed_in_two_halves(client: httpx.AsyncClient, world: World) -> None:
    provisional = await provision(client)
    assert set(provisional) == {"machineVersionId", "codeUploadUrl", "codeUploadFields"}
    uploaded = await upload(world, provisional, LIGHT.encode())
    before = (await client.get("/machines/light/v")).json()["versions"]
    response = await finalize(client, provisional, clientInfo="abc123", makeCurrent=True)

    assert (uploaded.status_code, uploaded.content) == (204, b"")
    assert uploaded.headers["access-control-allow-origin"] == "*"
    assert len(before) == 1
    assert response.status_code == 200
    assert set(response.json()) == {"machineVersionId"}
    version = response.json()["machineVersionId"]
    current = (await client.get("/machines/light")).json()["machine"]["currentVersion"]
    assert (current["id"], current["clientInfo"]) == (version, "abc123")
    assert (await client.post("/machines/light", json={"slug": "hall"})).status_code == 200


@pytest.mark.parametrize("query", ["?gzip", "?gzip=", "?gzip=true"])
async def test_gzipped_code_is_unzipped(client: httpx.AsyncClient, world: World, query: str) -> None:
    provisional = await provision(client, query)
    await upload(world, provisional, gzip.compress(LIGHT.encode()), encoding="gzip")

    response = await finalize(client, provisional)

    version = await world.store.version(response.json()["machineVersionId"])
    assert version is not None
    assert version.source == LIGHT


async def test_a_version_does_not_become_current_unasked(client: httpx.AsyncClient, world: World) -> None:
    before = (await client.get("/machines/light")).json()

    await deploy(world, client, LIGHT.encode())

    assert (await client.get("/machines/light")).json() == before
    assert len((await client.get("/machines/light/v")).json()["versions"]) == 2


async def test_versions_are_listed_with_client_info_even_when_it_is_empty(client: httpx.AsyncClient) -> None:
    response = await client.get("/machines/light/v")

    assert response.status_code == 200
    (version,) = response.json()["versions"]
    assert set(version) == {"id", "createdAt", "clientInfo"}
    assert version["clientInfo"] == ""


async def test_versions_of_an_unknown_machine_answer_404(client: httpx.AsyncClient) -> None:
    assert problem(await client.get("/machines/lamp/v")) == (404, "not-found")
    assert problem(await client.post("/machines/lamp/v")) == (404, "not-found")


async def test_code_that_is_not_python_is_refused_with_file_and_line(client: httpx.AsyncClient, world: World) -> None:
    response = await deploy(world, client, b"machine = 1\nmachine = (\n")

    assert problem(response) == (400, "invalid-machine-code")
    assert (response.json()["file"], response.json()["line"]) == ("light.js", 2)


async def test_code_that_lacks_an_export_is_refused_without_a_line(client: httpx.AsyncClient, world: World) -> None:
    response = await deploy(world, client, b"machine = 1\n")

    assert problem(response) == (400, "invalid-machine-code")
    assert "allow_read" in response.json()["error"]


async def test_a_config_is_refused_with_every_defect(client: httpx.AsyncClient, world: World) -> None:
    code = b"""
from perdure.statechart import create_machine
machine = create_machine({"id": "x", "initial": "nowhere", "states": {"a": {"onn": {}}}})
"""

    response = await deploy(world, client, code)

    assert problem(response) == (400, "invalid-machine")
    defects = response.json()["defects"]
    assert len(defects) == 2
    for defect in defects:
        assert set(defect) <= {"path", "message", "suggestion"}
        assert defect["path"] in response.json()["error"]


async def test_code_that_is_not_utf8_is_refused_by_line(client: httpx.AsyncClient, world: World) -> None:
    response = await deploy(world, client, b"# first\n# \xff\n")

    assert problem(response) == (400, "invalid-machine-code")
    assert response.json()["line"] == 2


async def test_a_refused_version_leaves_the_current_one(client: httpx.AsyncClient, world: World) -> None:
    before = (await client.get("/machines/light")).json()

    await deploy(world, client, b"machine = (", makeCurrent=True)

    assert (await client.get("/machines/light")).json() == before


async def test_finalizing_before_the_upload_answers_409(client: httpx.AsyncClient) -> None:
    assert problem(await finalize(client, await provision(client))) == (409, "invalid-state")


async def test_finalizing_twice_answers_404(client: httpx.AsyncClient, world: World) -> None:
    provisional = await provision(client)
    await upload(world, provisional, LIGHT.encode())
    await finalize(client, provisional)

    assert problem(await finalize(client, provisional)) == (404, "not-found")


async def test_an_upload_belongs_to_its_org_and_machine(client: httpx.AsyncClient, world: World) -> None:
    await world.deploy_light("lamp")
    await world.deploy_light(org="org_other")
    provisional = await provision(client)
    await upload(world, provisional, LIGHT.encode())
    signed = provisional["machineVersionId"]

    assert problem(await client.put(f"/machines/lamp/v/{signed}", json={})) == (404, "not-found")
    async with await world.client(org="org_other") as stranger:
        assert problem(await stranger.put(f"/machines/light/v/{signed}", json={})) == (404, "not-found")


async def test_an_upload_expires(client: httpx.AsyncClient, world: World) -> None:
    late, too_late = await provision(client), await provision(client)
    await upload(world, late, LIGHT.encode())
    await world.clock.advance(world.settings.upload_lifetime)
    async with await world.client() as later:
        assert problem(await finalize(later, late)) == (404, "not-found")

    assert problem(await upload(world, too_late, LIGHT.encode())) == (404, "not-found")
    assert await world.store.upload(late["machineVersionId"]) is None


async def test_code_announced_as_gzipped_has_to_be(client: httpx.AsyncClient, world: World) -> None:
    provisional = await provision(client, "?gzip")
    await upload(world, provisional, LIGHT.encode())

    assert problem(await finalize(client, provisional)) == (400, "invalid-parameter")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-9], lambda data: data[:2] + b"x" * 20, lambda data: data + data]
)
async def test_damaged_gzip_is_refused(client: httpx.AsyncClient, world: World, damage: Any) -> None:
    provisional = await provision(client, "?gzip")
    await upload(world, provisional, damage(gzip.compress(LIGHT.encode())))

    response = await finalize(client, provisional)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "file"


async def test_code_beyond_its_limits_answers_413() -> None:
    limits = {"code_bytes_max": 5_000, "gzipped_code_bytes_max": 1_000}
    async with started_world(**limits) as world, await world.client() as client:
        plain = await upload(world, await provision(client), b"#" * 5_001)
        far_too_long = await upload(world, await provision(client), b"#" * 100_000)
        zipped = await upload(world, await provision(client, "?gzip"), b"\x1f\x8b" + b"x" * 1_000)
        bomb = await provision(client, "?gzip")
        assert (await upload(world, bomb, gzip.compress(b"#" * 5_001))).status_code == OK_AFTER_UPLOAD
        unzipped = await finalize(client, bomb)

    for response in (plain, far_too_long, zipped, unzipped):
        assert problem(response) == (413, "body-too-large")


@pytest.mark.parametrize(
    ("fields", "files", "parameter"),
    [
        ({}, {"file": ("light.js", b"x")}, "key"),
        ({"key": "x"}, {}, "file"),
        ({"key": "x"}, {"code": ("light.js", b"x")}, "file"),
    ],
)
async def test_an_incomplete_upload_form_is_refused_by_its_field(
    world: World, fields: dict[str, str], files: dict[str, Any], parameter: str
) -> None:
    async with world.bare_client() as bare:
        response = await bare.post("/code-uploads", data=fields, files=files)

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == parameter


async def test_an_upload_that_is_not_a_form_is_refused(world: World) -> None:
    for content_type in ("multipart/form-data; boundary=x", "multipart/form-data", "text/plain"):
        async with world.bare_client() as bare:
            response = await bare.post("/code-uploads", content=b"rubbish", headers={"content-type": content_type})

        assert problem(response) == (400, "invalid-parameter"), content_type


async def test_an_upload_under_an_unknown_id_answers_404(world: World) -> None:
    response = await upload(world, {"codeUploadUrl": "/code-uploads", "codeUploadFields": {"key": "x"}}, b"x")

    assert problem(response) == (404, "not-found")


async def test_index_selectors_are_refused_rather_than_forgotten(client: httpx.AsyncClient, world: World) -> None:
    response = await deploy(world, client, LIGHT.encode(), indexSelectors={"room": "$.room"})

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "indexSelectors"


async def test_finalizing_needs_no_body(client: httpx.AsyncClient, world: World) -> None:
    provisional = await provision(client)
    await upload(world, provisional, LIGHT.encode())

    assert (await client.put(f"/machines/light/v/{provisional['machineVersionId']}")).status_code == 200


async def test_the_upload_address_is_built_from_the_public_url() -> None:
    async with started_world(public_url="https://machines.example/api/") as world, await world.client() as client:
        assert (await provision(client))["codeUploadUrl"] == "https://machines.example/api/code-uploads"


async def test_without_a_public_url_the_upload_address_is_the_requests_own(client: httpx.AsyncClient) -> None:
    assert (await provision(client))["codeUploadUrl"] == "http://perdure.test/code-uploads"


async def test_code_is_refused_unless_the_server_allows_it() -> None:
    async with started_world() as world, await world.client() as client:
        provisional = await provision(client)
        await upload(world, provisional, LIGHT.encode())
        world.app = create_app(
            world.runtime,
            settings=type(world.settings)(log_requests=False),
            secret_box=world.secret_box,
            clock=world.clock,
            entropy=world.entropy,
        )
        refused = (403, "code-upload-disabled")
        async with await world.client() as strict:
            assert problem(await strict.post("/machines/light/v")) == refused
            assert problem(await upload(world, provisional, LIGHT.encode())) == refused
            assert problem(await finalize(strict, provisional)) == refused
        async with await world.client("state.read") as reader:
            assert problem(await reader.post("/machines/light/v")) == (403, "missing-scope")

    assert len((await world.store.list_versions(ORG, "light", cursor=None, limit=9)).rows) == 1
