"""``/idps`` and ``/token-providers``: whose tokens an org exchanges, and for which of its own.

Everything that can be known to be wrong is refused here, when it is configured: a key that fits no algorithm, a mapping
that is none, a key of another org.
"""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)
from starlette.routing import Route

from perdure import wire_access
from perdure.durable.records import IdentityProviderRecord, TokenProviderRecord
from perdure.entropy import prefixed_id
from perdure.errors import InvalidParameter, NotFound
from perdure.server.answer import Answer, no_content, ok
from perdure.server.claim_mapping import check_mapping
from perdure.server.identity_tokens import SHARED_SECRET_ALGORITHMS
from perdure.server.resource import Call, Operation, Resource, checked_name
from perdure.server.services import Services

__all__ = ["routes"]

_UPSERT_IDENTITY = msgspec.json.Decoder(wire_access.UpsertIdentityProvider)
_DELETE_IDENTITY = msgspec.json.Decoder(wire_access.DeleteIdentityProvider)
_UPSERT_TOKEN = msgspec.json.Decoder(wire_access.TokenProvider)

_SCOPES = ("tokens.admin",)
_CHARACTERS_MAX = 2_048
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def routes(services: Services) -> list[Route]:
    return [
        Route(
            "/idps",
            Resource(
                services,
                GET=Operation(list_identity_providers, _SCOPES),
                POST=Operation(put_identity_provider, _SCOPES),
                DELETE=Operation(delete_identity_provider, _SCOPES),
            ),
        ),
        Route(
            "/token-providers",
            Resource(
                services,
                GET=Operation(list_token_providers, _SCOPES),
                POST=Operation(put_token_provider, _SCOPES),
            ),
        ),
        Route("/token-providers/{service}", Resource(services, DELETE=Operation(delete_token_provider, _SCOPES))),
    ]


# -- identity providers ------------------------------------------------------------------------------------------------


async def list_identity_providers(call: Call) -> Answer:
    page = await call.services.runtime.store.list_identity_providers(
        call.org, cursor=call.cursor, limit=call.services.settings.page_size
    )
    idps = [
        wire_access.IdentityProvider(
            algs=row.algs, mapping=row.mapping, aud=row.aud, iss=row.iss, jwks_url=row.jwks_url
        )
        for row in page.rows
    ]
    return ok(wire_access.IdentityProvidersPage(idps=idps, cursor=page.cursor))


async def put_identity_provider(call: Call) -> Answer:
    services = call.services
    request = await call.body(_UPSERT_IDENTITY)
    _check_place(request.aud, request.iss)
    if not request.algs:
        raise InvalidParameter("name at least one algorithm", "algs")
    shared = SHARED_SECRET_ALGORITHMS.intersection(request.algs)
    if shared and len(shared) < len(set(request.algs)):
        raise InvalidParameter(
            "one identity provider has either HS algorithms, with a shared secret, or others, with a public key", "algs"
        )
    check_mapping(request.mapping)
    if (request.key is None) == (request.jwks_url is None):
        raise InvalidParameter("an identity provider has either a key or a jwksUrl", "key")
    provider_id = prefixed_id("idp", services.entropy.uuid())
    sealed_key = None
    if request.key is not None:
        key = _key_bytes(request.key, is_shared=bool(shared))
        sealed_key = services.secret_box.seal(key.hex(), owner=provider_id)
    elif request.jwks_url is not None:
        _check_jwks_url(request.jwks_url, is_shared=bool(shared))
    record = IdentityProviderRecord(
        id=provider_id,
        org=call.org,
        aud=request.aud,
        iss=request.iss,
        algs=tuple(dict.fromkeys(request.algs)),
        mapping=request.mapping,
        jwks_url=request.jwks_url,
        sealed_key=sealed_key,
        created_at=services.clock.now(),
    )
    await services.runtime.store.put_identity_provider(record)
    return no_content()


async def delete_identity_provider(call: Call) -> Answer:
    request = await call.body(_DELETE_IDENTITY)
    _check_place(request.aud, request.iss)
    if not await call.services.runtime.store.delete_identity_provider(call.org, aud=request.aud, iss=request.iss):
        raise NotFound("there is no identity provider with exactly this aud and iss")
    return no_content()


def _check_place(aud: str | None, iss: str | None) -> None:
    if aud is None and iss is None:
        raise InvalidParameter("an identity provider is known by its aud, its iss, or both: give one", "aud")
    for name, value in (("aud", aud), ("iss", iss)):
        if value is not None and not 0 < len(value) <= _CHARACTERS_MAX:
            raise InvalidParameter(f"{name} has 1 to {_CHARACTERS_MAX} characters", name)


def _key_bytes(text: str, *, is_shared: bool) -> bytes:
    """A key as it is verified with: the bytes of a shared secret, a public key as PEM. Raises ``InvalidParameter``."""
    try:
        raw = base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParameter("the key is not base64url", "key") from error
    if not raw:
        raise InvalidParameter("the key is empty", "key")
    if is_shared:
        return raw
    try:
        load = load_pem_public_key if raw.lstrip().startswith(b"-----BEGIN") else load_der_public_key
        return load(raw).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidParameter("the key is not a public key as PEM or DER", "key") from error


def _check_jwks_url(url: str, *, is_shared: bool) -> None:
    if is_shared:
        raise InvalidParameter("a shared secret cannot be had from a jwksUrl: give it as key", "jwksUrl")
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError as error:
        raise InvalidParameter(f"the jwksUrl is not a URL: {error}", "jwksUrl") from error
    is_fit = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    if not is_fit or not host or len(url) > _CHARACTERS_MAX or not url.isascii() or not url.isprintable():
        raise InvalidParameter("the jwksUrl has to be an absolute https URL", "jwksUrl")


# -- token providers ---------------------------------------------------------------------------------------------------


async def list_token_providers(call: Call) -> Answer:
    page = await call.services.runtime.store.list_token_providers(
        call.org, cursor=call.cursor, limit=call.services.settings.page_size
    )
    providers = [
        wire_access.TokenProvider(service=row.service, key_id=row.key_id, mapping=row.mapping) for row in page.rows
    ]
    return ok(wire_access.TokenProvidersPage(token_providers=providers, cursor=page.cursor))


async def put_token_provider(call: Call) -> Answer:
    services = call.services
    request = await call.body(_UPSERT_TOKEN)
    service = checked_name(request.service, "service")
    check_mapping(request.mapping)
    key = await services.runtime.store.key(request.key_id)
    if key is None or key.org != call.org:
        raise InvalidParameter(f"this org has no key {request.key_id!r}", "keyId")
    record = TokenProviderRecord(
        org=call.org,
        service=service,
        key_id=key.id,
        mapping=request.mapping,
        created_at=services.clock.now(),
    )
    await services.runtime.store.put_token_provider(record)
    return no_content()


async def delete_token_provider(call: Call) -> Answer:
    service = checked_name(call.path("service"), "service")
    if not await call.services.runtime.store.delete_token_provider(call.org, service):
        raise NotFound(f"there is no token provider {service}")
    return no_content()
