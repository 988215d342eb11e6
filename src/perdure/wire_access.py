"""What travels about who may come in: identity providers, token providers, exchanged tokens, new orgs, billing.

The rules are those of ``perdure.wire``. The messages of the token exchange itself are OAuth's (RFC 8693) and have its
snake case on the wire.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from perdure.json_value import JsonObject
from perdure.wire import WireStruct

__all__ = [
    "ACCESS_TOKEN_TYPE",
    "EXCHANGE_AUDIENCE",
    "TOKEN_EXCHANGE",
    "Billing",
    "CreateOrg",
    "CreatedOrg",
    "DeleteIdentityProvider",
    "ExchangedToken",
    "IdentityProvider",
    "IdentityProvidersPage",
    "SigningAlgorithm",
    "TokenProvider",
    "TokenProvidersPage",
    "UpsertIdentityProvider",
]

TOKEN_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a name, not a token
ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a name, not a token
EXCHANGE_AUDIENCE = "https://tokens.statebacked.dev"
"""With ``/<org>/<service>`` after it: the audience of an exchange, whatever host serves the API."""

SigningAlgorithm: TypeAlias = Literal[
    "HS256",
    "HS384",
    "HS512",
    "PS256",
    "PS384",
    "PS512",
    "RS256",
    "RS384",
    "RS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
]


class UpsertIdentityProvider(WireStruct, frozen=True, kw_only=True):
    """At least one of ``aud`` and ``iss``; exactly one of ``key`` and ``jwks_url``."""

    algs: list[SigningAlgorithm]
    mapping: JsonObject
    aud: str | None = None
    iss: str | None = None
    key: str | None = None
    """The bytes of the key as unpadded base64url."""
    jwks_url: str | None = None


class DeleteIdentityProvider(WireStruct, frozen=True, kw_only=True):
    aud: str | None = None
    iss: str | None = None


class IdentityProvider(WireStruct, frozen=True, kw_only=True):
    """Its key is never shown."""

    algs: tuple[str, ...]
    mapping: JsonObject
    aud: str | None = None
    iss: str | None = None
    jwks_url: str | None = None


class IdentityProvidersPage(WireStruct, frozen=True, kw_only=True):
    idps: list[IdentityProvider]
    cursor: str | None = None


class TokenProvider(WireStruct, frozen=True, kw_only=True):
    """The same for reading and for writing; unique by ``service``."""

    service: str
    key_id: str
    mapping: JsonObject


class TokenProvidersPage(WireStruct, frozen=True, kw_only=True):
    token_providers: list[TokenProvider]
    cursor: str | None = None


class ExchangedToken(msgspec.Struct, frozen=True, kw_only=True):
    access_token: str
    issued_token_type: str = ACCESS_TOKEN_TYPE
    token_type: str = "Bearer"  # noqa: S105 - OAuth's word for how it is used
    expires_in: int
    """Seconds."""


class CreateOrg(WireStruct, frozen=True, kw_only=True):
    name: str
    allow_anonymous_access: bool = True


class CreatedOrg(WireStruct, frozen=True, kw_only=True):
    """A new org and its first key, without which nobody could do anything in it."""

    id: str
    key_id: str
    key: str
    """The secret; nothing ever shows it again."""


class Billing(WireStruct, frozen=True, kw_only=True):
    url: str
    notice: str
