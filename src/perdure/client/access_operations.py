"""Operations of the HTTP API about who may come in: orgs, keys, identity providers, token providers, exchange."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

import msgspec

from perdure import wire, wire_access
from perdure.client.exchange import Operation, ask, follow, tell
from perdure.json_value import JsonObject
from perdure.wire_access import SigningAlgorithm

__all__ = [
    "create_key",
    "create_org",
    "delete_identity_provider",
    "delete_key",
    "delete_token_provider",
    "exchange_token",
    "list_identity_providers",
    "list_keys",
    "list_orgs",
    "list_token_providers",
    "put_identity_provider",
    "put_token_provider",
]


class _Exchanged(msgspec.Struct, frozen=True):
    """As much of the answer to an exchange as every server of the contract gives."""

    access_token: str


def list_orgs(limit: int | None = None) -> Operation[list[wire.Org]]:
    return (yield from follow("/orgs", wire.OrgsPage, lambda page: page.orgs, limit))


def create_org(name: str, *, allow_anonymous_access: bool = True) -> Operation[wire_access.CreatedOrg]:
    body = wire_access.CreateOrg(name=name, allow_anonymous_access=allow_anonymous_access)
    return (yield from ask("POST", "/orgs", wire_access.CreatedOrg, body=body))


def list_keys(limit: int | None = None) -> Operation[list[wire.Key]]:
    return (yield from follow("/keys", wire.KeysPage, lambda page: page.keys, limit))


def create_key(
    name: str, *, scopes: Sequence[str] = (), use: Literal["production", "ci"] | None = None
) -> Operation[wire.CreatedKey]:
    body = wire.CreateKey(name=name, scopes=list(scopes) if scopes else None, use=use)
    return (yield from ask("POST", "/keys", wire.CreatedKey, body=body))


def delete_key(key_id: str) -> Operation[None]:
    return (yield from tell("DELETE", f"/keys/{quote(key_id, safe='')}"))


def list_identity_providers(limit: int | None = None) -> Operation[list[wire_access.IdentityProvider]]:
    return (yield from follow("/idps", wire_access.IdentityProvidersPage, lambda page: page.idps, limit))


def put_identity_provider(
    *,
    algs: Sequence[SigningAlgorithm],
    mapping: JsonObject,
    aud: str | None = None,
    iss: str | None = None,
    key: bytes | None = None,
    jwks_url: str | None = None,
) -> Operation[None]:
    body = wire_access.UpsertIdentityProvider(
        algs=list(algs),
        mapping=mapping,
        aud=aud,
        iss=iss,
        key=None if key is None else base64.urlsafe_b64encode(key).rstrip(b"=").decode(),
        jwks_url=jwks_url,
    )
    return (yield from tell("POST", "/idps", body=body))


def delete_identity_provider(*, aud: str | None = None, iss: str | None = None) -> Operation[None]:
    return (yield from tell("DELETE", "/idps", body=wire_access.DeleteIdentityProvider(aud=aud, iss=iss)))


def list_token_providers(limit: int | None = None) -> Operation[list[wire_access.TokenProvider]]:
    page_type = wire_access.TokenProvidersPage
    return (yield from follow("/token-providers", page_type, lambda page: page.token_providers, limit))


def put_token_provider(service: str, *, key_id: str, mapping: JsonObject) -> Operation[None]:
    body = wire_access.TokenProvider(service=service, key_id=key_id, mapping=mapping)
    return (yield from tell("POST", "/token-providers", body=body))


def delete_token_provider(service: str) -> Operation[None]:
    return (yield from tell("DELETE", f"/token-providers/{quote(service, safe='')}"))


def exchange_token(org: str, service: str, subject_token: str) -> Operation[str]:
    """Trade somebody else's token for one of the server's; it needs no token to ask."""
    form = {
        "grant_type": wire_access.TOKEN_EXCHANGE,
        "requested_token_type": wire_access.ACCESS_TOKEN_TYPE,
        "audience": f"{wire_access.EXCHANGE_AUDIENCE}/{org}/{service}",
        "subject_token": subject_token,
    }
    answer = yield from ask("POST", "/tokens", _Exchanged, form=form)
    return answer.access_token
