"""Tokens of identity providers are exchanged for ours, and only where everything about them holds."""

from __future__ import annotations

import hmac
import json
from typing import Any

import httpx
import jwt
import pytest

from perdure.server.anonymous import allow_anonymous_access
from perdure.server.auth import Authenticator
from perdure.tokens import SCOPES
from perdure.wire_access import ACCESS_TOKEN_TYPE, TOKEN_EXCHANGE
from tests.server.identity_provider import (
    AUD,
    ISS,
    SHARED_SECRET,
    base64url,
    configured_key,
    key_set_server,
    private_key,
    public_jwk,
    subject_token,
)
from tests.server.world import ORG, OTHER_ORG, World, problem, started_world

REFUSED = (403, "token-exchange-refused")
ALGORITHMS = ["HS256", "HS384", "HS512", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512", "ES256", "ES384"]
ALGORITHMS += ["ES512", "EdDSA"]
PROVIDER = {"aud": AUD, "iss": ISS, "algs": ["HS256"], "key": base64url(SHARED_SECRET), "mapping": {"sub.$": "$.sub"}}


async def configure(world: World, client: httpx.AsyncClient, **provider: Any) -> str:
    """An identity provider with these changes, and a token provider `shop` with a key that may read and write."""
    body = {name: value for name, value in {**PROVIDER, **provider}.items() if value is not None}
    answer = await client.post("/idps", json=body)
    assert answer.status_code == 204, answer.text
    key = await world.key("state.read", "instances.write", "events.write")
    shop = {"service": "shop", "keyId": key.id, "mapping": {"sub.$": "$.sub", "via": "shop"}}
    assert (await client.post("/token-providers", json=shop)).status_code == 204
    return key.id


async def exchange(world: World, token: str, *, service: str = "shop", org: str = ORG, **form: Any) -> httpx.Response:
    fields = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": f"https://tokens.statebacked.dev/{org}/{service}",
        "requested_token_type": ACCESS_TOKEN_TYPE,
        "subject_token": token,
        **form,
    }
    async with world.bare_client() as caller:
        return await caller.post("/tokens", data={name: value for name, value in fields.items() if value is not None})


def act_of(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return jwt.decode(answer.json()["access_token"], options={"verify_signature": False})["act"]


async def test_a_subject_token_is_exchanged_for_one_that_the_server_takes(
    world: World, client: httpx.AsyncClient
) -> None:
    key_id = await configure(world, client)
    answer = await exchange(world, subject_token(world.clock.now()))

    assert answer.status_code == 200
    body = answer.json()
    assert body == {
        "access_token": body["access_token"],
        "issued_token_type": ACCESS_TOKEN_TYPE,
        "token_type": "Bearer",
        "expires_in": 3600,
    }
    assert jwt.get_unverified_header(body["access_token"])["kid"] == key_id
    assert act_of(answer) == {"sub": "alice", "via": "shop"}
    async with world.bare_client(token=body["access_token"]) as caller:
        assert (await caller.post("/machines/light", json={"slug": "mine"})).status_code == 200
        assert problem(await caller.get("/machines")) == (403, "missing-scope")


@pytest.mark.parametrize("as_der", [False, True])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_every_algorithm_is_verified_with_a_configured_key(
    world: World, client: httpx.AsyncClient, algorithm: str, as_der: bool
) -> None:
    await configure(world, client, algs=[algorithm], key=configured_key(algorithm, as_der=as_der))

    assert act_of(await exchange(world, subject_token(world.clock.now(), algorithm)))["sub"] == "alice"


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if not name.startswith("HS")])
async def test_every_public_key_algorithm_is_verified_with_a_key_set(
    world: World, client: httpx.AsyncClient, algorithm: str
) -> None:
    async with key_set_server() as server:
        server.set_keys(public_jwk(private_key(algorithm), algorithm, kid="k", use="sig"))
        await configure(world, client, algs=[algorithm], key=None, jwksUrl=server.url)

        token = subject_token(world.clock.now(), algorithm, headers={"kid": "k"})
        assert act_of(await exchange(world, token))["sub"] == "alice"


@pytest.mark.parametrize(
    "changes",
    [
        {"key": b"another secret, which is long enough for the algorithm."},
        {"algorithm": "HS512"},
        {"algorithm": "none", "key": ""},
        {"aud": "https://other.test/"},
        {"aud": None},
        {"iss": "https://other.test/"},
        {"iss": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"exp": True},
        {"nbf": 9_999_999_999},
        {"nbf": "now"},
    ],
    ids=str,
)
async def test_a_subject_token_with_one_fault_is_refused(
    world: World, client: httpx.AsyncClient, changes: dict[str, Any]
) -> None:
    await configure(world, client)
    now = world.clock.now()

    assert problem(await exchange(world, subject_token(now, **changes))) == REFUSED
    assert (await exchange(world, subject_token(now))).status_code == 200


@pytest.mark.parametrize("token", ["x", "a.b.c", "é.é.é", "e30.W10.x", "." * 20_000, "eyJhbGciOiJIUzI1NiJ9.W10.AA"])
async def test_what_is_no_token_is_refused(world: World, client: httpx.AsyncClient, token: str) -> None:
    await configure(world, client)

    assert problem(await exchange(world, token)) == REFUSED


async def test_a_public_key_is_never_taken_for_a_shared_secret(world: World, client: httpx.AsyncClient) -> None:
    """The oldest trick with RS256: sign with HMAC, and the public key as the secret."""
    await configure(world, client, algs=["RS256"], key=configured_key("RS256"))
    pem = jwt.utils.base64url_decode(configured_key("RS256"))
    header, payload = ({"alg": "HS256"}, {"aud": AUD, "iss": ISS, "exp": world.clock.now() / 1000 + 60})
    signing_input = f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(payload).encode())}"
    signature = hmac.digest(pem, signing_input.encode(), "sha256")  # PyJWT itself would not sign with this
    forged = f"{signing_input}.{base64url(signature)}"

    assert problem(await exchange(world, forged)) == REFUSED
    mixed = {**PROVIDER, "algs": ["RS256", "HS256"], "key": base64url(pem)}
    refusal = await client.post("/idps", json=mixed)
    assert (problem(refusal), refusal.json()["parameter"]) == ((400, "invalid-parameter"), "algs")


async def test_a_provider_without_aud_or_iss_takes_any(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client, aud=None)

    for aud in (None, "https://any.test/", ["https://one.test/", "https://two.test/"]):
        assert act_of(await exchange(world, subject_token(world.clock.now(), aud=aud)))["sub"] == "alice"


async def test_any_member_of_an_aud_list_may_fit(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)

    assert act_of(await exchange(world, subject_token(world.clock.now(), aud=["x", AUD])))["sub"] == "alice"
    assert problem(await exchange(world, subject_token(world.clock.now(), aud=["x", "y"]))) == REFUSED


async def test_the_more_exact_provider_goes_first_and_the_other_is_still_asked(
    world: World, client: httpx.AsyncClient
) -> None:
    await configure(world, client, aud=None, mapping={"sub": "by iss alone"})
    other = b"the secret of the exact one, long enough for the algorithm"
    await client.post("/idps", json={**PROVIDER, "key": base64url(other), "mapping": {"sub": "exact"}})
    now = world.clock.now()

    assert act_of(await exchange(world, subject_token(now, key=other)))["sub"] == "exact"
    assert act_of(await exchange(world, subject_token(now)))["sub"] == "by iss alone"


async def test_mappings_take_paths_constants_and_objects(world: World, client: httpx.AsyncClient) -> None:
    mapping = {
        "sub.$": "$.sub",
        "roles.$": "$.auth.roles[*]",
        "missing.$": "$.nowhere",
        "who": {"mail.$": "$.email", "kind": "user"},
        "list": ["a.$", {"b.$": "$.sub"}],
    }
    await configure(world, client, mapping=mapping)
    key = await world.key()
    await client.post("/token-providers", json={"service": "shop", "keyId": key.id, "mapping": {"all.$": "$"}})

    token = subject_token(world.clock.now(), auth={"roles": ["r", "w"]})
    assert act_of(await exchange(world, token)) == {
        "all": {
            "sub": "alice",
            "roles": ["r", "w"],
            "who": {"mail": "a@shop.test", "kind": "user"},
            "list": ["a.$", {"b.$": "$.sub"}],
        }
    }


@pytest.mark.parametrize(
    ("change", "parameter"),
    [
        ({"grant_type": "password"}, "grant_type"),
        ({"grant_type": None}, "grant_type"),
        ({"requested_token_type": "urn:x"}, "requested_token_type"),
        ({"audience": None}, "audience"),
        ({"audience": "https://tokens.statebacked.dev/"}, "audience"),
        ({"audience": "https://tokens.statebacked.dev/org_test"}, "audience"),
        ({"audience": "https://tokens.statebacked.dev/org_test/shop/more"}, "audience"),
        ({"audience": "https://tokens.else.test/org_test/shop"}, "audience"),
        ({"subject_token": None}, "subject_token"),
        ({"subject_token": ["a", "b"]}, "subject_token"),
    ],
    ids=str,
)
async def test_a_malformed_exchange_is_refused_by_its_field(
    world: World, client: httpx.AsyncClient, change: dict[str, Any], parameter: str
) -> None:
    await configure(world, client)
    answer = await exchange(world, subject_token(world.clock.now()), **change)

    assert problem(answer) == (400, "invalid-parameter")
    assert answer.json()["parameter"] == parameter


@pytest.mark.parametrize("body", [b"\xff=1", b"%ff=1", b"&".join(b"%d=1" % number for number in range(99))])
async def test_what_is_no_form_is_refused(world: World, body: bytes) -> None:
    async with world.bare_client() as caller:
        assert problem(await caller.post("/tokens", content=body)) == (400, "invalid-parameter")


async def test_the_misspelt_field_of_some_clients_is_ignored(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    form: dict[str, Any] = {"requested_token_type": None, "requested_token-type": "whatever"}

    assert (await exchange(world, subject_token(world.clock.now()), **form)).status_code == 200


async def test_another_orgs_providers_are_of_no_use(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    async with await world.client(org=OTHER_ORG) as other:
        key = await world.key(org=OTHER_ORG)
        await other.post("/token-providers", json={"service": "shop", "keyId": key.id, "mapping": {}})
        assert (await other.get("/idps")).json() == {"idps": []}

    assert problem(await exchange(world, subject_token(world.clock.now()), org=OTHER_ORG)) == REFUSED
    assert problem(await exchange(world, subject_token(world.clock.now()), org="org_none")) == REFUSED
    assert problem(await exchange(world, subject_token(world.clock.now()), service="none")) == REFUSED


async def test_the_org_header_of_an_exchange_has_to_be_the_audiences(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": f"https://tokens.statebacked.dev/{ORG}/shop",
        "subject_token": subject_token(world.clock.now()),
    }
    async with world.bare_client() as caller:
        own = await caller.post("/tokens", data=form, headers={"x-statebacked-org-id": ORG, "x-statebacked-act": "{}"})
        other = await caller.post("/tokens", data=form, headers={"x-statebacked-org-id": OTHER_ORG})

    assert own.status_code == 200
    assert problem(other) == (403, "missing-org")


async def test_a_deleted_identity_provider_is_refused_at_once(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    assert (await exchange(world, subject_token(world.clock.now()))).status_code == 200
    gone = await client.request("DELETE", "/idps", json={"aud": AUD, "iss": ISS})

    assert gone.status_code == 204
    assert problem(await exchange(world, subject_token(world.clock.now()))) == REFUSED
    assert problem(await client.request("DELETE", "/idps", json={"aud": AUD, "iss": ISS})) == (404, "not-found")


async def test_a_deleted_token_provider_is_refused_at_once(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    assert (await client.delete("/token-providers/shop")).status_code == 204

    assert problem(await exchange(world, subject_token(world.clock.now()))) == REFUSED
    assert problem(await client.delete("/token-providers/shop")) == (404, "not-found")


async def test_a_service_whose_key_was_deleted_gives_no_tokens(world: World, client: httpx.AsyncClient) -> None:
    key_id = await configure(world, client)
    assert (await exchange(world, subject_token(world.clock.now()))).status_code == 200
    await client.delete(f"/keys/{key_id}")

    assert problem(await exchange(world, subject_token(world.clock.now()))) == REFUSED


async def test_an_exchanged_token_never_speaks_for_an_instance(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    key = await world.key()
    mapping = {"stateBackedSender": {"machineName": "bank", "machineInstanceName": "vault"}, "sub.$": "$.sub"}
    await client.post("/token-providers", json={"service": "shop", "keyId": key.id, "mapping": mapping})
    token = (await exchange(world, subject_token(world.clock.now()))).json()["access_token"]

    seen = Authenticator(world.runtime, world.secret_box, world.clock, world.settings)
    assert (await seen.by_token(token, None)).auth_context() == {"sub": "alice"}


async def test_an_exchanged_token_can_be_read_as_plain_base64(world: World, client: httpx.AsyncClient) -> None:
    """The contract's client does, to learn when it expires."""
    await configure(world, client)
    token = (await exchange(world, subject_token(world.clock.now(), sub="who? ~>~ é 名"))).json()["access_token"]
    payload = token.split(".")[1]

    assert "-" not in payload
    assert "_" not in payload
    assert jwt.decode(token, options={"verify_signature": False})["act"]["sub"] == "who? ~>~ é 名"


# -- key sets by URL ---------------------------------------------------------------------------------------------------


async def test_a_key_set_is_fetched_once_and_again_when_a_key_is_missing(
    world: World, client: httpx.AsyncClient
) -> None:
    old, new = private_key("ES256"), private_key("ES384")
    async with key_set_server() as server:
        server.set_keys(public_jwk(old, "ES256", kid="old"))
        await configure(world, client, algs=["ES256", "ES384"], key=None, jwksUrl=server.url)
        now = world.clock.now()
        for _ in range(3):
            assert (await exchange(world, subject_token(now, "ES256", headers={"kid": "old"}))).status_code == 200
        assert server.asked == 1

        await world.clock.advance(11_000)
        server.set_keys(public_jwk(old, "ES256", kid="old"), public_jwk(new, "ES384", kid="new"))
        assert (await exchange(world, subject_token(now, "ES384", headers={"kid": "new"}))).status_code == 200
        assert server.asked == 2


async def test_made_up_key_ids_do_not_flood_the_provider(world: World, client: httpx.AsyncClient) -> None:
    async with key_set_server() as server:
        server.set_keys(public_jwk(private_key("ES256"), "ES256", kid="k"))
        await configure(world, client, algs=["ES256"], key=None, jwksUrl=server.url)
        for number in range(20):
            token = subject_token(world.clock.now(), "ES256", headers={"kid": f"unknown-{number}"})
            assert problem(await exchange(world, token)) == REFUSED

        assert server.asked == 1


async def test_a_key_set_outlives_a_provider_that_is_away_and_not_for_ever(
    world: World, client: httpx.AsyncClient
) -> None:
    async with key_set_server() as server:
        server.set_keys(public_jwk(private_key("ES256"), "ES256"))
        await configure(world, client, algs=["ES256"], key=None, jwksUrl=server.url)
        assert (await exchange(world, subject_token(world.clock.now(), "ES256"))).status_code == 200
        server.status = 500
        await world.clock.advance(660_000)
        assert (await exchange(world, subject_token(world.clock.now(), "ES256"))).status_code == 200
        assert server.asked == 2
        await world.clock.advance(4_000_000)

        refusal = await exchange(world, subject_token(world.clock.now(), "ES256"))
        assert problem(refusal) == (503, "key-set-unavailable")
        assert server.url not in refusal.text


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"not json"},
        {"body": b'{"keys": 1}'},
        {"body": b"[]"},
        {"body": b" " * 300_000},
        {"status": 404},
        {"status": 302, "headers": {"location": "http://127.0.0.1:1/"}},
    ],
    ids=["text", "number", "list", "huge", "absent", "redirect"],
)
async def test_what_is_no_key_set_is_unavailable(
    world: World, client: httpx.AsyncClient, change: dict[str, Any]
) -> None:
    async with key_set_server() as server:
        for name, value in change.items():
            setattr(server, name, value)
        await configure(world, client, algs=["ES256"], key=None, jwksUrl=server.url)

        token = subject_token(world.clock.now(), "ES256")
        assert problem(await exchange(world, token)) == (503, "key-set-unavailable")


async def test_keys_of_a_set_that_do_not_fit_are_passed_over(world: World, client: httpx.AsyncClient) -> None:
    async with key_set_server() as server:
        server.set_keys(
            {"kty": "what"},
            {"kty": "oct", "k": base64url(SHARED_SECRET)},
            public_jwk(private_key("ES256"), "ES256", use="enc"),
            public_jwk(private_key("RS256"), "RS256"),
        )
        await configure(world, client, algs=["ES256"], key=None, jwksUrl=server.url)
        assert problem(await exchange(world, subject_token(world.clock.now(), "ES256"))) == REFUSED


# -- anonymous sessions ------------------------------------------------------------------------------------------------


def session_token(world: World, org: str = ORG, **claims: Any) -> str:
    scope = f"https://{org}.anonymous.auth.statebacked.dev"
    session = {"aud": scope, "iss": scope, "exp": world.clock.now() / 1000 + 86_400, "sid": "s", "did": "d", **claims}
    key = org.encode().ljust(32, b"\0")  # HMAC pads a short key with zeros, so this is the same key without a warning
    return jwt.encode(session, key, algorithm="HS256")


async def allow(world: World, org: str = ORG) -> None:
    await allow_anonymous_access(
        world.store, org, now=world.clock.now(), entropy=world.entropy, secret_box=world.secret_box
    )


async def test_an_anonymous_session_is_its_session_and_device_and_nothing_else(world: World) -> None:
    await allow(world)
    answer = await exchange(world, session_token(world, sub="root", auth="admin"), service="anonymous-statebacked-dev")

    assert act_of(answer) == {"sid": "s", "did": "d", "auth": "anonymous"}
    async with world.bare_client(token=answer.json()["access_token"]) as caller:
        assert (await caller.post("/machines/light", json={"slug": "mine"})).status_code == 200
        assert problem(await caller.get("/keys")) == (403, "missing-scope")


async def test_an_org_without_anonymous_access_takes_no_anonymous_session(world: World) -> None:
    await allow(world)
    token = session_token(world, OTHER_ORG)

    assert problem(await exchange(world, token, service="anonymous-statebacked-dev", org=OTHER_ORG)) == REFUSED
    assert problem(await exchange(world, token, service="anonymous-statebacked-dev")) == REFUSED


async def test_an_anonymous_session_is_of_no_use_for_another_service(world: World, client: httpx.AsyncClient) -> None:
    await configure(world, client)
    await allow(world)

    assert problem(await exchange(world, session_token(world))) == REFUSED


async def test_allowing_anonymous_access_twice_makes_one_key(world: World) -> None:
    await allow(world)
    await allow(world)

    keys = await world.store.list_keys(ORG, cursor=None, limit=9)
    assert [key.name for key in keys.rows] == ["anonymous sessions"]


async def test_a_new_org_comes_with_a_key_and_with_anonymous_access_unless_told_otherwise() -> None:
    async with started_world(allow_org_creation=True) as world:
        async with await world.client() as client:
            usual = (await client.post("/orgs", json={"name": "Usual"})).json()
            closed = (await client.post("/orgs", json={"name": "Closed", "allowAnonymousAccess": False})).json()
        service = "anonymous-statebacked-dev"
        let_in = await exchange(world, session_token(world, usual["id"]), service=service, org=usual["id"])
        refused = await exchange(world, session_token(world, closed["id"]), service=service, org=closed["id"])

        assert act_of(let_in)["auth"] == "anonymous"
        assert problem(refused) == REFUSED
        record = await world.store.key(usual["keyId"])
        assert record is not None
        assert record.org == usual["id"]
        assert set(record.scopes) == SCOPES
        assert world.secret_box.open(record.sealed_secret, owner=record.id) == usual["key"]


async def test_an_org_is_not_created_unless_the_server_allows_it(world: World, client: httpx.AsyncClient) -> None:
    assert problem(await client.post("/orgs", json={"name": "More"})) == (403, "org-creation-disabled")
    assert len((await world.store.list_orgs(cursor=None, limit=9)).rows) == 2


async def test_billing_says_that_there_is_none(client: httpx.AsyncClient) -> None:
    answer = await client.get("/billing")

    assert answer.status_code == 200
    assert answer.json()["url"] == "about:blank"
    assert "nothing is billed" in answer.json()["notice"]
