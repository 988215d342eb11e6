"""Identity providers and token providers are listed without secrets, and refused by their field when they are wrong."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.identity_provider import AUD, ISS, SHARED_SECRET, base64url, configured_key
from tests.server.world import OTHER_ORG, World, problem, started_world

SECRET = base64url(SHARED_SECRET)
PROVIDER = {"aud": AUD, "iss": ISS, "algs": ["HS256"], "key": SECRET, "mapping": {"sub.$": "$.sub"}}


async def test_identity_providers_are_listed_without_their_keys_page_by_page() -> None:
    async with started_world(page_size=2) as world, await world.client() as client:
        for number in range(3):
            await client.post("/idps", json={**PROVIDER, "iss": f"https://{number}.test/"})
        first = (await client.get("/idps")).json()
        second = (await client.get("/idps", params={"cursor": first["cursor"]})).json()

    assert [idp["iss"] for idp in first["idps"] + second["idps"]] == [f"https://{n}.test/" for n in range(3)]
    assert first["idps"][0] == {
        "aud": AUD,
        "iss": "https://0.test/",
        "algs": ["HS256"],
        "mapping": {"sub.$": "$.sub"},
    }
    assert "cursor" not in second


async def test_an_identity_provider_is_replaced_by_one_with_its_aud_and_iss(client: httpx.AsyncClient) -> None:
    await client.post("/idps", json=PROVIDER)
    changed = {
        "aud": AUD,
        "iss": ISS,
        "algs": ["RS256"],
        "jwksUrl": "https://idp.test/jwks.json",
        "mapping": {"kind": "user"},
    }
    assert (await client.post("/idps", json=changed)).status_code == 204

    assert (await client.get("/idps")).json() == {"idps": [changed]}


async def test_the_key_of_an_identity_provider_does_not_lie_in_the_store(
    client: httpx.AsyncClient, world: World
) -> None:
    await client.post("/idps", json=PROVIDER)

    (provider,) = (await world.store.list_identity_providers("org_test", cursor=None, limit=9)).rows
    assert provider.sealed_key is not None
    assert SHARED_SECRET not in provider.sealed_key
    assert SHARED_SECRET.hex().encode() not in provider.sealed_key
    assert world.secret_box.open(provider.sealed_key, owner=provider.id) == SHARED_SECRET.hex()


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"algs": []}, "algs"),
        ({"algs": ["none"]}, "algs"),
        ({"algs": "HS256"}, "algs"),
        ({"algs": None}, "algs"),
        ({"algs": ["HS256", "ES256"]}, "algs"),
        ({"aud": None, "iss": None}, "aud"),
        ({"aud": ""}, "aud"),
        ({"iss": "x" * 3000}, "iss"),
        ({"key": None}, "key"),
        ({"key": ""}, "key"),
        ({"key": "a*b"}, "key"),
        ({"key": "A"}, "key"),
        ({"jwksUrl": "https://idp.test/"}, "key"),
        ({"key": None, "jwksUrl": "https://idp.test/"}, "jwksUrl"),
        ({"algs": ["RS256"]}, "key"),
        ({"algs": ["RS256"], "key": None, "jwksUrl": "http://idp.test/"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwksUrl": "file:///etc/passwd"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwksUrl": "https://"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwksUrl": "https://[x"}, "jwksUrl"),
        ({"algs": ["RS256"], "key": None, "jwksUrl": "https://é.test/"}, "jwksUrl"),
        ({"mapping": None}, "mapping"),
        ({"mapping": []}, "mapping"),
        ({"mapping": {"sub.$": "sub"}}, "mapping"),
        ({"mapping": {"sub.$": 1}}, "mapping"),
        ({"mapping": {"sub.$": "$." + "a" * 600}}, "mapping"),
        ({"mapping": {"a": {"b": {"c.$": "$["}}}}, "mapping"),
        ({"mapping": {"sub": "x", "sub.$": "$.sub"}}, "mapping"),
    ],
    ids=str,
)
async def test_a_wrong_identity_provider_is_refused_by_its_field(
    client: httpx.AsyncClient, change: dict[str, Any], parameter: str
) -> None:
    body = {name: value for name, value in {**PROVIDER, **change}.items() if value is not None}
    answer = await client.post("/idps", json=body)

    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == parameter
    assert (await client.get("/idps")).json() == {"idps": []}


async def test_a_mapping_that_is_nested_absurdly_is_refused(client: httpx.AsyncClient) -> None:
    mapping: dict[str, Any] = {}
    for _ in range(20):
        mapping = {"a": mapping}

    assert problem(await client.post("/idps", json={**PROVIDER, "mapping": mapping})) == (400, "invalid-parameter")


async def test_a_public_key_may_be_given_as_pem_or_der(client: httpx.AsyncClient) -> None:
    for as_der in (False, True):
        key = configured_key("ES256", as_der=as_der)
        assert (await client.post("/idps", json={**PROVIDER, "algs": ["ES256"], "key": key})).status_code == 204


async def test_token_providers_are_listed_and_replaced_by_service(client: httpx.AsyncClient, world: World) -> None:
    key = await world.key()
    shop = {"service": "shop", "keyId": key.id, "mapping": {"sub.$": "$.sub"}}
    bank = {"service": "bank", "keyId": key.id, "mapping": {}}
    for body in (shop, bank, {**shop, "mapping": {"a": 1}}):
        assert (await client.post("/token-providers", json=body)).status_code == 204

    assert (await client.get("/token-providers")).json() == {"tokenProviders": [{**shop, "mapping": {"a": 1}}, bank]}


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"service": "no spaces"}, "service"),
        ({"service": None}, "service"),
        ({"keyId": "sbk_unknown"}, "keyId"),
        ({"keyId": None}, "keyId"),
        ({"mapping": {"a.$": "b"}}, "mapping"),
    ],
    ids=str,
)
async def test_a_wrong_token_provider_is_refused_by_its_field(
    client: httpx.AsyncClient, world: World, change: dict[str, Any], parameter: str
) -> None:
    provider = {"service": "shop", "keyId": (await world.key()).id, "mapping": {}, **change}
    body = {name: value for name, value in provider.items() if value is not None}
    answer = await client.post("/token-providers", json=body)

    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == parameter


async def test_a_token_provider_cannot_use_another_orgs_key(client: httpx.AsyncClient, world: World) -> None:
    key = await world.key(org=OTHER_ORG)
    answer = await client.post("/token-providers", json={"service": "shop", "keyId": key.id, "mapping": {}})

    assert problem(answer) == (400, "invalid-parameter")
