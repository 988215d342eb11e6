"""The client and who may come in: providers, exchanged tokens, anonymous users, against a whole server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import jwt
import pytest

from perdure.bootstrap import DEFAULT_ORG
from perdure.client import Anonymous, AsyncClient, Client, TokenExchange
from perdure.clock import SystemClock
from perdure.errors import PerdureError
from perdure.json_value import JsonObject
from perdure.tokens import sign_token
from tests.live_server import DOOR, LiveServer, live_server

IDENTITY_KEY = b"the secret of the identity provider, long enough"
ISSUER = "https://identity.test"


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    with live_server() as running:
        yield running


@pytest.fixture
def client(server: LiveServer) -> Iterator[Client]:
    now = SystemClock().now()
    token = sign_token(server.key_id, server.key_secret, {"sub": "admin"}, now=now, expires_in=timedelta(hours=1))
    with Client(server.url, token) as client:
        yield client


@pytest.fixture
def exchange_service(client: Client) -> Iterator[str]:
    """A token provider whose tokens act as the subject of the identity provider's tokens."""
    key = client.create_key("exchange", use="production")
    client.put_identity_provider(algs=["HS256"], mapping={"who.$": "$.sub"}, iss=ISSUER, key=IDENTITY_KEY)
    client.put_token_provider("app", key_id=key.id, mapping={"sub.$": "$.who"})
    yield "app"
    client.delete_token_provider("app")
    client.delete_identity_provider(iss=ISSUER)
    client.delete_key(key.id)


def identity(subject: str) -> str:
    claims: JsonObject = {"iss": ISSUER, "sub": subject, "exp": SystemClock().now() / 1000 + 600}
    return jwt.encode(claims, IDENTITY_KEY, algorithm="HS256")


def test_providers_are_listed_without_their_keys_until_they_are_deleted(client: Client, exchange_service: str) -> None:
    (known,) = [provider for provider in client.list_identity_providers() if provider.iss == ISSUER]
    assert (known.algs, known.mapping, known.jwks_url) == (("HS256",), {"who.$": "$.sub"}, None)
    assert exchange_service in [provider.service for provider in client.list_token_providers()]
    client.delete_identity_provider(iss=ISSUER)
    assert ISSUER not in [provider.iss for provider in client.list_identity_providers()]
    client.put_identity_provider(algs=["HS256"], mapping={}, iss=ISSUER, key=IDENTITY_KEY)


def test_a_client_that_exchanges_acts_as_the_user_of_the_identity_provider(
    server: LiveServer, client: Client, exchange_service: str
) -> None:
    if all(machine.slug != "door" for machine in client.list_machines()):
        client.create_machine("door")
        client.deploy("door", DOOR, file_name="door.py")
    asked: list[str] = []

    def provide() -> str:
        asked.append("ann")
        return identity("ann")

    source = TokenExchange(org=DEFAULT_ORG, service=exchange_service, identity_token=provide)
    with Client(server.url, source) as ann:
        ann.create_instance("door", "anns")
        assert ann.send("door", "anns", "OPEN").state == "open"
    assert asked == ["ann"], "one exchange is enough for many requests"
    stranger = TokenExchange(org=DEFAULT_ORG, service=exchange_service, identity_token=lambda: identity("stranger"))
    with Client(server.url, stranger) as nobody, pytest.raises(PerdureError) as refusal:
        nobody.get_instance("door", "anns")
    assert refusal.value.code == "rejected-by-machine-authorizer"


async def test_an_asynchronous_function_gives_the_identity_token_to_the_asynchronous_face(
    server: LiveServer, exchange_service: str
) -> None:
    async def provide() -> str:
        return identity("bob")

    async with AsyncClient(server.url) as bare:
        token = await bare.exchange_token(DEFAULT_ORG, exchange_service, await provide())
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["act"] == {"sub": "bob"}
    source = TokenExchange(org=DEFAULT_ORG, service=exchange_service, identity_token=provide)
    async with AsyncClient(server.url, source) as bob:
        with pytest.raises(PerdureError) as refusal:
            await bob.list_keys()
    assert refusal.value.code == "missing-scope"


def test_an_asynchronous_token_function_is_refused_by_the_blocking_face(server: LiveServer) -> None:
    async def provide() -> str:
        raise AssertionError("nobody awaits this")

    with Client(server.url, provide) as client, pytest.raises(PerdureError, match="AsyncClient"):
        client.list_machines()


def test_an_org_is_listed_and_others_are_not_created_unless_the_server_allows_it(client: Client) -> None:
    assert [org.id for org in client.list_orgs()] == [DEFAULT_ORG]
    with pytest.raises(PerdureError):
        client.create_org("another")


def test_an_anonymous_user_is_refused_where_the_org_does_not_let_them_in(server: LiveServer) -> None:
    source = Anonymous(org="org_nobodyAAAAAAAAAAAAAAAA", session_id="s")
    with Client(server.url, source) as client, pytest.raises(PerdureError):
        client.list_machines()
