"""Every endpoint against every kind of bad input: refused as the contract says, no failure, nothing changed."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from perdure.durable.records import Address
from perdure.server.api_table import ENDPOINTS
from perdure.server.endpoint import Endpoint
from perdure.tokens import AUDIENCE
from tests.server.world import ORG, OTHER_ORG, World, problem, started_world

REAL = {"machineSlug": "light", "instanceSlug": "hall", "service": "shop", "slug": "hook", "org": ORG}
BODIES = [endpoint for endpoint in ENDPOINTS if endpoint.body is not None]
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.scopes]
NAMED = [endpoint for endpoint in ENDPOINTS if re.search(r"\{(machineSlug|instanceSlug|service|slug)\}", endpoint.path)]

DEEP = b"[" * 50_000 + b"]" * 50_000
FIELDS = [
    "slug",
    "name",
    "status",
    "algs",
    "service",
    "clientInfo",
    "scopes",
    "use",
    "key",
    "keyId",
    "dangerDataWillBeDeletedForever",
    "aud",
    "targetMachineVersionId",
    "fromMachineVersionId",
    "entries",
    "allowAnonymousAccess",
    "limit",
    "instances",
    "machineVersionId",
    "indexes",
    "makeCurrent",
    "to",
    "versionId",
    "event",
    "mapping",
]


def every_field(value: bytes) -> bytes:
    """An object with this in every field that any endpoint takes."""
    return b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name in FIELDS) + b"}"


UNREADABLE = {
    "no JSON": b"{",
    "nothing": b" ",
    "bad UTF-8": every_field(b'"\xff\xfe"'),
    "lone surrogate": every_field(b'"\\ud800"'),
    "deep": DEEP,
    "deep in a field": every_field(b"[" * 3_000 + b"]" * 3_000),
    "two values": b"{} {}",
}
WRONG: dict[str, Any] = {
    "a list": [],
    "a number": 7,
    "a string": "x",
    "null": None,
    "fields of other types": {name: {"a": [1]} for name in FIELDS},
}
TRAVERSALS = ["..%2f..%2fetc%2fpasswd", "%2e%2e", "a%00b", "%ff", "a b", "a%0a", "é", "x" * 129, "..;", "%25"]


@pytest.fixture
async def furnished() -> AsyncIterator[World]:
    """A world with something to lose."""
    async with started_world(body_bytes_max=300_000, allow_org_creation=True) as world:
        await world.create_light()
        yield world


def url_of(endpoint: Endpoint, **parts: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda match: {**REAL, **parts}.get(match[1], "x"), endpoint.path)


def name_of(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def everything(world: World) -> str:
    """All that the store holds, to see that nothing of it has changed."""
    return repr({name: value for name, value in vars(world.store).items() if name not in ("_arrivals", "_keys")})


def check_refused(answer: httpx.Response, *, at: str) -> None:
    status, code = problem(answer)
    assert 400 <= status < 500, f"{at}: {status} {answer.text}"
    assert re.fullmatch(r"[a-z-]+", code), at
    assert "Traceback" not in answer.text, at
    assert 'File "' not in answer.text, at


@pytest.mark.parametrize("endpoint", BODIES, ids=name_of)
async def test_a_body_that_cannot_be_read_is_refused_and_nothing_changes(furnished: World, endpoint: Endpoint) -> None:
    async with await furnished.client() as client:
        before = everything(furnished)
        for what, body in UNREADABLE.items():
            answer = await client.request(endpoint.method, url_of(endpoint), content=body)
            check_refused(answer, at=what)
        assert everything(furnished) == before


@pytest.mark.parametrize("endpoint", BODIES, ids=name_of)
async def test_a_body_of_the_wrong_type_is_refused_and_nothing_changes(furnished: World, endpoint: Endpoint) -> None:
    async with await furnished.client() as client:
        before = everything(furnished)
        for what, body in WRONG.items():
            answer = await client.request(endpoint.method, url_of(endpoint), json=body)
            check_refused(answer, at=what)
        assert everything(furnished) == before


@pytest.mark.parametrize("endpoint", [each for each in BODIES if each.is_body_required], ids=name_of)
async def test_a_body_without_its_fields_is_refused_and_nothing_changes(furnished: World, endpoint: Endpoint) -> None:
    optional_all = {("PUT", "/machines/{machineSlug}/journal-retention"), ("POST", "/machines/{machineSlug}")}
    async with await furnished.client() as client:
        before = everything(furnished)
        answer = await client.request(endpoint.method, url_of(endpoint, instanceSlug="none"), json={})
        if (endpoint.method, endpoint.path) not in optional_all and answer.status_code >= 300:
            check_refused(answer, at="{}")
            assert everything(furnished) == before


@pytest.mark.parametrize("endpoint", BODIES, ids=name_of)
async def test_a_huge_body_is_refused_by_its_announced_length_and_by_what_comes(
    furnished: World, endpoint: Endpoint
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 10_000

    url = url_of(endpoint)
    async with await furnished.client() as client:
        before = everything(furnished)
        for content in (b" " * 400_000, endless()):
            answer = await client.request(endpoint.method, url, content=content)
            if endpoint.path == "/machines/{machineSlug}/migrations":
                check_refused(answer, at="a larger body is allowed here")
            else:
                assert problem(answer) in ((413, "body-too-large"), (404, "not-found")), answer.text
        assert everything(furnished) == before


async def bad_tokens(world: World) -> dict[str, tuple[str | None, int]]:
    """Tokens that are no good, with the status that they are refused with."""
    key, other = await world.key(), await world.key()
    now = world.clock.now()
    claims = {"aud": AUDIENCE, "exp": now / 1000 + 60, "act": {}}
    kid = {"kid": key.id}
    return {
        "none": (None, 401),
        "no token": ("x", 401),
        "expired": (world.token(key, now=now - 7_200_000, expires_in=timedelta(hours=1)), 401),
        "alg none": (jwt.encode(claims, "", algorithm="none", headers=kid), 401),
        "another key's secret": (jwt.encode(claims, other.secret, algorithm="HS256", headers=kid), 401),
        "another HMAC": (jwt.encode(claims, key.secret.ljust(64, "x"), algorithm="HS512", headers=kid), 401),
        "RS256 by name": (rs256_signed_with_hmac(claims, key.secret, key.id), 401),
        "unknown kid": (jwt.encode(claims, key.secret, algorithm="HS256", headers={"kid": "sbk_none"}), 401),
        "no scope": (world.token(await world.key("org-members.write")), 403),
    }


def rs256_signed_with_hmac(claims: dict[str, Any], secret: str, kid: str) -> str:
    token = jwt.encode(claims, secret, algorithm="HS256", headers={"kid": kid})
    header = jwt.utils.base64url_encode(b'{"alg":"RS256","kid":"%s"}' % kid.encode()).decode()
    return ".".join([header, *token.split(".")[1:]])


@pytest.mark.parametrize("endpoint", GUARDED, ids=name_of)
async def test_a_bad_token_opens_nothing_and_nothing_changes(furnished: World, endpoint: Endpoint) -> None:
    tokens = await bad_tokens(furnished)
    before = everything(furnished)
    for what, (token, status) in tokens.items():
        async with furnished.bare_client(token=token) as client:
            answer = await client.request(endpoint.method, url_of(endpoint), content=b"{}")
        check_refused(answer, at=what)
        assert answer.status_code == status, what
    assert everything(furnished) == before


@pytest.mark.parametrize("endpoint", [each for each in GUARDED if "{machineSlug}" in each.path], ids=name_of)
async def test_a_good_token_of_another_org_finds_nothing_and_nothing_changes(
    furnished: World, endpoint: Endpoint
) -> None:
    async with await furnished.client(org=OTHER_ORG) as client:
        before = everything(furnished)
        answer = await client.request(endpoint.method, url_of(endpoint), content=b"{}")
        check_refused(answer, at=endpoint.path)
        assert everything(furnished) == before


@pytest.mark.parametrize("endpoint", NAMED, ids=name_of)
async def test_a_name_that_climbs_out_of_its_place_is_refused_and_nothing_changes(
    furnished: World, endpoint: Endpoint
) -> None:
    async with await furnished.client() as client:
        before = everything(furnished)
        for part in re.findall(r"\{(machineSlug|instanceSlug|service|slug)\}", endpoint.path):
            for name in TRAVERSALS:
                answer = await client.request(endpoint.method, url_of(endpoint, **{part: name}), content=b"{}")
                check_refused(answer, at=f"{part}={name}")
        assert everything(furnished) == before


async def test_a_cursor_of_another_list_or_made_up_is_refused(furnished: World) -> None:
    async with await furnished.client() as client:
        for endpoint in ENDPOINTS:
            if any(query.name == "cursor" for query in endpoint.query):
                for cursor in ("x", "A" * 22, "\x00", "é", "9" * 4_000):
                    answer = await client.request(endpoint.method, url_of(endpoint), params={"cursor": cursor})
                    check_refused(answer, at=f"{endpoint.path} {cursor[:9]}")


async def test_an_upload_id_is_good_once_and_for_its_own_machine_alone(furnished: World) -> None:
    async with await furnished.client() as client:
        provisional = (await client.post("/machines/light/v")).json()
        signed = provisional["machineVersionId"]
        form = {"data": provisional["codeUploadFields"], "files": {"file": ("x.py", b"machine = 1")}}
        assert (await client.post("/code-uploads", **form)).status_code == 204
        for path in (f"/machines/other/v/{signed}", f"/machines/light/migrations/{signed}", "/machines/light/v/ver_x"):
            check_refused(await client.put(path, content=b"{}"), at=path)
        from tests.server.world import LIGHT

        form["files"] = {"file": ("light.py", LIGHT.encode())}
        await client.post("/code-uploads", **form)
        assert (await client.put(f"/machines/light/v/{signed}", content=b"{}")).status_code == 200
        check_refused(await client.put(f"/machines/light/v/{signed}", content=b"{}"), at="replayed")
        check_refused(await client.post("/code-uploads", **form), at="uploaded again")


@pytest.mark.parametrize(
    "head",
    [
        b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 5000\r\n\r\n--b\r\n",
        b"content-type: multipart/form-data\r\ncontent-length: 3\r\n\r\nabc",
        b"content-type: multipart/form-data; boundary=b\r\ncontent-length: 4\r\n\r\nabcd",
        b"content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=["breaks off", "no boundary", "no part", "no form"],
)
async def test_a_broken_upload_leaves_the_server_well(furnished: World, head: bytes) -> None:
    async with furnished.listening() as host:
        before = everything(furnished)
        reader, writer = await asyncio.open_connection(*host.split(":"))
        writer.write(b"POST /code-uploads HTTP/1.1\r\nhost: x\r\n" + head)
        await writer.drain()
        if b"5000" in head:
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        else:
            status = (await asyncio.wait_for(reader.readline(), 10)).split()[1]
            assert status == b"400"
        writer.close()
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://{host}/healthz")).status_code == 200
        assert everything(furnished) == before


async def test_a_slow_upload_holds_up_nobody(furnished: World) -> None:
    async with furnished.listening() as host, httpx.AsyncClient(base_url=f"http://{host}") as client:
        slow = [await asyncio.open_connection(*host.split(":")) for _ in range(20)]
        for _, writer in slow:
            writer.write(b"POST /code-uploads HTTP/1.1\r\nhost: x\r\ncontent-type: multipart/form-data; boundary=b\r\n")
            writer.write(b"content-length: 100000\r\n\r\n--b")
            await writer.drain()
        assert (await client.get("/healthz")).status_code == 200
        for _, writer in slow:
            writer.close()
    assert await furnished.store.load(Address(ORG, "light", "hall")) is not None


async def test_a_client_cannot_say_that_it_is_an_instance(furnished: World) -> None:
    sender = {"machineName": "bank", "machineInstanceName": "vault"}
    key = await furnished.key()
    async with furnished.bare_client(token=furnished.token(key, {"stateBackedSender": sender})) as client:
        from tests.server.test_auth import Seen

        with pytest.MonkeyPatch.context() as patch:
            seen = Seen(furnished, patch)
            await client.get("/machines/light/i/hall")
            await client.get("/machines/light/i/hall", headers={"x-statebacked-act": '{"stateBackedSender": {}}'})
        assert seen.contexts == [{}, {}]
