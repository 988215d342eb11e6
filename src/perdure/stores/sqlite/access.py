"""Who may come in, in SQLite: orgs, keys, identity providers and token providers."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import partial

from perdure.durable.records import (
    IdentityProviderRecord,
    KeyRecord,
    OrgRecord,
    Page,
    SealedSecret,
    TokenProviderRecord,
)
from perdure.errors import InvalidState
from perdure.json_value import decode_json, encode_json
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import Row, key_of, key_row, org_of
from perdure.stores.sqlite.statements import Statements

__all__ = ["AccessQueries"]


class AccessQueries(Statements):
    """Implements ``perdure.durable.access_store.AccessStore``."""

    # -- orgs and keys -------------------------------------------------------------------------------------------

    async def create_org(self, org: OrgRecord) -> None:
        if not await self._change("create_org", (org.id, org.name, org.created_at)):
            raise InvalidState(f"the org id {org.id} is taken")

    async def org(self, org_id: str) -> OrgRecord | None:
        row = await self._row("load_org", (org_id,))
        return None if row is None else org_of(row)

    async def list_orgs(self, *, cursor: str | None, limit: int) -> Page[OrgRecord]:
        return await self._page("list_orgs", ("orgs",), cursor, limit, org_of)

    async def create_key(self, key: KeyRecord) -> None:
        if not await self._change("create_key", key_row(key)):
            raise InvalidState(f"the key id {key.id} is taken")

    async def key(self, key_id: str) -> KeyRecord | None:
        row = await self._row("load_key", (key_id,))
        return None if row is None else key_of(row)

    async def list_keys(self, org: str, *, cursor: str | None, limit: int) -> Page[KeyRecord]:
        return await self._page("list_keys", ("keys", org), cursor, limit, key_of)

    async def delete_key(self, org: str, key_id: str) -> bool:
        return await self._change("delete_key", (org, key_id))

    # -- providers -----------------------------------------------------------------------------------------------

    async def put_identity_provider(self, provider: IdentityProviderRecord) -> None:
        await self._write(partial(_put_identity_provider, provider=provider))

    async def list_identity_providers(
        self, org: str, *, cursor: str | None, limit: int
    ) -> Page[IdentityProviderRecord]:
        scope = ("identity-providers", org)
        return await self._page("list_identity_providers", scope, cursor, limit, _identity_provider_of)

    async def delete_identity_provider(self, org: str, *, aud: str | None, iss: str | None) -> bool:
        return await self._change("delete_identity_provider", (org, aud, iss))

    async def put_token_provider(self, provider: TokenProviderRecord) -> None:
        await self._change(
            "put_token_provider",
            (provider.org, provider.service, provider.key_id, _text(provider.mapping), provider.created_at),
        )

    async def token_provider(self, org: str, service: str) -> TokenProviderRecord | None:
        row = await self._row("load_token_provider", (org, service))
        return None if row is None else _token_provider_of(row)

    async def list_token_providers(self, org: str, *, cursor: str | None, limit: int) -> Page[TokenProviderRecord]:
        scope = ("token-providers", org)
        return await self._page("list_token_providers", scope, cursor, limit, _token_provider_of)

    async def delete_token_provider(self, org: str, service: str) -> bool:
        return await self._change("delete_token_provider", (org, service))

    # -- sealed secrets ------------------------------------------------------------------------------------------

    async def sealed_secrets(self) -> list[SealedSecret]:
        return [SealedSecret(owner=owner, sealed=sealed) for owner, sealed in await self._rows("sealed_secrets", ())]

    async def replace_sealed_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        await self._write(partial(_replace_sealed_secrets, secrets=tuple(secrets)))


def _put_identity_provider(connection: sqlite3.Connection, provider: IdentityProviderRecord) -> None:
    row = (
        provider.id,
        provider.org,
        provider.aud,
        provider.iss,
        _text(provider.algs),
        _text(provider.mapping),
        provider.jwks_url,
        provider.sealed_key,
        provider.created_at,
    )
    place = (provider.org, provider.aud, provider.iss)
    if connection.execute(QUERIES["identity_provider_elsewhere"], (provider.id, *place)).fetchone() is not None:
        raise InvalidState(f"the identity provider id {provider.id} is taken")
    if connection.execute(QUERIES["replace_identity_provider"], (*row, *place)).rowcount == 0:
        connection.execute(QUERIES["add_identity_provider"], row)


def _replace_sealed_secrets(connection: sqlite3.Connection, secrets: tuple[SealedSecret, ...]) -> None:
    for secret in secrets:
        parameters = (secret.sealed, secret.owner)
        if connection.execute(QUERIES["replace_key_secret"], parameters).rowcount:
            continue
        if not connection.execute(QUERIES["replace_identity_provider_key"], parameters).rowcount:
            raise InvalidState(f"there is nothing named {secret.owner} whose secret could be replaced")


def _identity_provider_of(row: Row) -> IdentityProviderRecord:
    provider_id, org, aud, iss, algs, mapping, jwks_url, sealed_key, created_at = row
    return IdentityProviderRecord(
        id=provider_id,
        org=org,
        aud=aud,
        iss=iss,
        algs=tuple(decode_json(algs)),
        mapping=decode_json(mapping),
        jwks_url=jwks_url,
        sealed_key=sealed_key,
        created_at=created_at,
    )


def _token_provider_of(row: Row) -> TokenProviderRecord:
    org, service, key_id, mapping, created_at = row
    return TokenProviderRecord(
        org=org, service=service, key_id=key_id, mapping=decode_json(mapping), created_at=created_at
    )


def _text(value: object) -> str:
    return encode_json(value).decode()
