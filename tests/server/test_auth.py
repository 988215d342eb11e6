"""Who is let in, as whom, and for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest

from perdure.durable.records import KeyRecord
from perdure.errors import InvalidToken
from perdure.server.auth import Authenticator
from perdure.stores.memory import MemoryStore
from perdure.tokens import AUDIENCE, KeyPair
from tests.server.captured_log import captured_log
from tests.server.world import ORG, World, problem, started_world

REFUSED = (401, "invalid-token")

SCOPES_OF = {
    ("GET", "/machines"): "machines.read",
    ("GET", "/metrics"): "analytics.read",
    ("GET", "/logs?from=2026-01-02"): "logs.read",
    ("POST", "/machines"): "machines.write",
    ("GET", "/machines/light"): "machines.read",
    ("DELETE", "/machines/light"): "machines.admin",
    ("GET", "/machines/light/v"): "machine-versions.read",
    ("POST", "/machines/light/v"): "machine-versions.write",
    ("PUT", "/machines/light/v/x"): "machine-versions.write",
    ("GET", "/machines/light/i"): "instances.read",
    ("POST", "/machines/light"): "instances.write",
    ("GET", "/machines/light/i/hall"): "state.read",
    ("DELETE", "/machines/light/i/hall"): "instances.admin",
    ("GET", "/machines/light/i/hall/admin"): "instances.admin",
    ("GET", "/machines/light/i/hall/events"): "instances.admin",
    ("POST", "/machines/light/i/hall/events"): "events.write",
    ("PUT", "/machines/light/i/hall/status"): "instances.admin",
    ("GET", "/machines/light/migrations"): "machine-versions.read",
    ("POST", "/machines/light/migrations"): "machine-versions.write",
    ("PUT", "/machines/light/migrations/x"): "machine-versions.write",
    ("PUT", "/machines/light/i/hall/v"): "instances.write",
    ("GET", "/machines/light/upgrades"): "instances.read",
    ("POST", "/machines/light/upgrades"): "instances.admin",
    ("POST", "/machines/light/upgrades/plan"): "instances.admin",
    ("GET", "/machines/light/indexes/owner/query"): "indexes.read",
    ("PUT", "/machines/light/indexes/owner"): "machines.write",
    ("POST", "/machines/light/indexes/owner/rebuild"): "instances.admin",
    ("GET", "/keys"): "tokens.admin",
    ("POST", "/keys"): "org.keys.write",
    ("DELETE", "/keys/x"): "org.keys.write",
    ("GET", "/orgs"): "org.read",
    ("GET", "/billing"): "org.write",
    ("GET", "/idps"): "tokens.admin",
    ("POST", "/idps"): "tokens.admin",
    ("DELETE", "/idps"): "tokens.admin",
    ("GET", "/token-providers"): "tokens.admin",
    ("POST", "/token-providers"): "tokens.admin",
    ("DELETE", "/token-providers/x"): "tokens.admin",
}


@pytest.mark.parametrize(("operation", "scope"), SCOPES_OF.items(), ids=" ".join)
async def test_an_operation_needs_its_scope(world: World, operation: tuple[str, str], scope: str) -> None:
    related = {scope, "instances.write"} if scope == "events.write" else {scope}
    others = sorted(set(SCOPES_OF.values()) - related)
    async with await world.client(*others) as without, await world.client(scope) as with_it:
        assert problem(await without.request(*operation)) == (403, "missing-scope")
        allowed = await with_it.request(*operation)

    assert allowed.status_code not in (401, 403), allowed.text


@pytest.mark.parametrize("operation", SCOPES_OF, ids=" ".join)
async def test_an_operation_needs_a_token(world: World, operation: tuple[str, str]) -> None:
    async with world.bare_client() as client:
        response = await client.request(*operation)

    assert problem(response) == REFUSED
    assert response.headers["www-authenticate"] == "Bearer"


def forged(pair: KeyPair, now: float, **changes: Any) -> str:
    """A token as an attacker or a careless library might make one; ``None`` removes a claim."""
    claims = {"aud": AUDIENCE, "iat": now / 1000, "exp": now / 1000 + 60, "act": {}, **changes.pop("claims", {})}
    options = {"algorithm": "HS256", "key": pair.secret, "headers": {"kid": pair.id}, **changes}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, **options)


@pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")  # of the attacker's algorithm
@pytest.mark.parametrize(
    "changes",
    [
        {"key": "another secret, long enough for the algorithm"},
        {"algorithm": "HS512"},
        {"algorithm": "none", "key": None},
        {"headers": {}},
        {"headers": {"kid": "sbk_unknown"}},
        {"headers": {"kid": ""}},
        {"claims": {"aud": "https://api.statebacked.dev"}},
        {"claims": {"aud": None}},
        {"claims": {"exp": None}},
        {"claims": {"exp": "tomorrow"}},
        {"claims": {"exp": True}},
        {"claims": {"exp": 1}},
        {"claims": {"nbf": 9_999_999_999}},
        {"claims": {"act": "me"}},
    ],
    ids=str,
)
async def test_a_token_that_does_not_verify_is_refused(world: World, changes: dict[str, Any]) -> None:
    key = await world.key()

    async with world.bare_client(token=forged(key, world.clock.now(), **changes)) as client:
        assert problem(await client.get("/machines")) == REFUSED


async def test_a_token_like_the_forged_ones_is_good_without_its_fault(world: World) -> None:
    key = await world.key()
    ahead = {"iat": world.clock.now() / 1000 + 3600, "act": None, "aud": [AUDIENCE, "else"]}

    async with world.bare_client(token=forged(key, world.clock.now(), claims=ahead)) as client:
        assert (await client.get("/machines")).status_code == 200


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Bearer x", "Bearer a.b.c", "Basic eDp5", "Bearer é"])
async def test_an_authorization_header_without_a_token_is_refused(world: World, header: str) -> None:
    async with world.bare_client() as client:
        response = await client.get("/machines", headers={b"authorization": header.encode("latin-1")})

    assert problem(response) == REFUSED


async def test_the_name_of_the_scheme_may_be_spelt_in_any_case(world: World) -> None:
    token = world.token(await world.key())
    async with world.bare_client() as client:
        assert (await client.get("/machines", headers={"authorization": f"bearer {token}"})).status_code == 200


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_token_is_good_for_its_leeway_after_it_expired(world: World, is_known: bool) -> None:
    key = await world.key()
    token = world.token(key, expires_in=timedelta(seconds=60))
    async with world.bare_client(token=token) as client:
        if is_known:
            assert (await client.get("/machines")).status_code == 200
        # The tests' clock starts within a second, and a token counts whole ones.
        await world.clock.advance(60_000 + world.settings.token_leeway - 1_000)
        within = await client.get("/machines")
        await world.clock.advance(1_000)
        after = await client.get("/machines")
        again = await client.get("/machines")

    assert within.status_code == 200
    assert problem(after) == REFUSED
    assert problem(again) == REFUSED


async def test_leeway_covers_the_second_that_the_contracts_client_needs(world: World) -> None:
    assert world.settings.token_leeway >= 2_000


async def test_naming_ones_own_org_is_accepted_and_another_is_not(world: World) -> None:
    async with await world.client() as client:
        own = await client.get("/machines", headers={"x-statebacked-org-id": ORG})
        other = await client.get("/machines", headers={"x-statebacked-org-id": "org_other"})

    assert own.status_code == 200
    assert problem(other) == (403, "missing-org")


class Seen:
    """Records the auth contexts that a runtime is given."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.contexts: list[Any] = []
        read = world.runtime.read

        async def recorded_read(address: Any, *, auth_context: Any = None) -> Any:
            if auth_context is not None:
                self.contexts.append(json.loads(json.dumps(auth_context)))
                auth_context["changed"] = "by careless machine code"
            return await read(address, auth_context=auth_context)

        monkeypatch.setattr(world.runtime, "read", recorded_read)


@pytest.fixture
async def seen(world: World, monkeypatch: pytest.MonkeyPatch) -> Seen:
    await world.create_light()
    return Seen(world, monkeypatch)


async def test_the_auth_context_is_the_act_claim(world: World, seen: Seen) -> None:
    act = {"sub": "ada", "roles": ["a", "b"], "name": "Ada Lövelace 😀"}
    async with await world.client(act=act) as client:
        await client.get("/machines/light/i/hall")
        await client.get("/machines/light/i/hall")

    assert seen.contexts == [act, act]


@pytest.mark.parametrize(("act", "expected"), [({}, "top"), ({"sub": "own"}, "own"), ({"sub": None}, None)])
async def test_the_subject_of_the_token_fills_in_for_one_in_act(
    world: World, seen: Seen, act: dict[str, Any], expected: object
) -> None:
    token = world.token(await world.key(), act, subject="top")
    async with world.bare_client(token=token) as client:
        await client.get("/machines/light/i/hall")

    assert seen.contexts == [{"sub": expected}]


async def test_a_client_cannot_claim_to_be_an_instance(world: World, seen: Seen) -> None:
    claim = {"stateBackedSender": {"machineName": "light", "machineInstanceName": "hall"}}
    async with await world.client(act=claim) as client:
        await client.get("/machines/light/i/hall")
        await client.get("/machines/light/i/hall", headers={"x-statebacked-act": json.dumps(claim)})

    assert seen.contexts == [{}, {}]


async def test_act_as_replaces_the_auth_context_for_those_who_make_keys(world: World, seen: Seen) -> None:
    act_as = '{"sub": "\u00e9mile"}'.encode("latin-1")
    token = world.token(await world.key(), {"sub": "ada"}, subject="top")
    async with world.bare_client(token=token) as client:
        await client.get("/machines/light/i/hall", headers={b"x-statebacked-act": act_as})
        await client.get("/machines/light/i/hall", headers={"x-statebacked-act": "{}"})

    assert seen.contexts == [{"sub": "émile"}, {}]


async def test_act_as_is_refused_for_everybody_else(world: World, seen: Seen) -> None:
    async with await world.client("state.read") as client:
        response = await client.get("/machines/light/i/hall", headers={"x-statebacked-act": "{}"})

    assert problem(response) == (403, "missing-scope")
    assert seen.contexts == []


@pytest.mark.parametrize("header", ["", "{", "[]", "5", '"x"'])
async def test_an_act_as_that_is_no_object_is_refused(client: httpx.AsyncClient, header: str) -> None:
    response = await client.get("/machines", headers={"x-statebacked-act": header})

    assert problem(response) == (400, "invalid-parameter")
    assert response.json()["parameter"] == "x-statebacked-act"


class CountingStore(MemoryStore):
    """Counts the keys that are asked for, and lets something happen in between."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_read = 0
        self.meanwhile: Callable[[], None] = lambda: None

    async def key(self, key_id: str) -> KeyRecord | None:
        self.keys_read += 1
        record = await super().key(key_id)
        self.meanwhile()
        return record


@pytest.fixture
async def counted(world: World) -> tuple[CountingStore, Authenticator, str, KeyPair]:
    store = CountingStore()
    world.store, world.runtime.store = store, store
    key = await world.key()
    return store, Authenticator(world.runtime, world.secret_box, world.clock, world.settings), world.token(key), key


async def test_a_key_is_read_once_while_it_is_fresh(
    world: World, counted: tuple[CountingStore, Authenticator, str, KeyPair]
) -> None:
    store, authenticator, token, key = counted
    for _ in range(3):
        await authenticator.by_token(token, None)
        await authenticator.by_token(world.token(key, {"sub": "other"}), None)
    assert store.keys_read == 1

    await world.clock.advance(world.settings.key_freshness)
    await authenticator.by_token(token, None)
    assert store.keys_read == 2


async def test_a_deletion_elsewhere_is_noticed_once_the_key_is_stale(
    world: World, counted: tuple[CountingStore, Authenticator, str, KeyPair]
) -> None:
    store, authenticator, token, key = counted
    await authenticator.by_token(token, None)
    await store.delete_key(ORG, key.id)
    await authenticator.by_token(token, None)

    await world.clock.advance(world.settings.key_freshness)

    with pytest.raises(InvalidToken):
        await authenticator.by_token(token, None)


async def test_a_key_deleted_while_it_was_read_is_not_kept(
    counted: tuple[CountingStore, Authenticator, str, KeyPair],
) -> None:
    store, authenticator, token, key = counted
    store.meanwhile = lambda: authenticator.forget_key(key.id)
    await authenticator.by_token(token, None)
    store.meanwhile = lambda: None
    await store.delete_key(ORG, key.id)

    with pytest.raises(InvalidToken):
        await authenticator.by_token(token, None)


async def test_a_key_sealed_with_another_master_key_is_a_failure_of_the_server() -> None:
    async with started_world() as world:
        record = await world.store.key((await world.key()).id)
        assert record is not None
        moved = KeyRecord(
            id="sbk_moved",
            org=ORG,
            name="moved",
            scopes=record.scopes,
            sealed_secret=record.sealed_secret,
            created_at=0.0,
        )
        await world.store.create_key(moved)
        token = world.token(KeyPair(id="sbk_moved", secret="sbsec_does_not_matter_here_at_all"))
        async with world.bare_client(token=token) as client:
            with captured_log() as lines:
                response = await client.get("/machines")

    assert problem(response) == (500, "internal-error")
    assert "master key" in str(lines[0]["exc_info"])
