"""The tables in memory of who may come in: orgs, keys, identity providers and token providers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from perdure.durable.records import (
    IdentityProviderRecord,
    KeyRecord,
    OrgRecord,
    Page,
    SealedSecret,
    TokenProviderRecord,
)
from perdure.errors import InvalidState
from perdure.stores.memory.numbered import copy_of, page, record_of

__all__ = ["AccessTables"]


class AccessTables:
    """Implements ``perdure.durable.access_store.AccessStore``. ``arrivals`` numbers every row of the store."""

    def __init__(self, arrivals: Iterator[int]) -> None:
        self._arrivals = arrivals
        self._orgs: dict[str, tuple[int, OrgRecord]] = {}
        self._keys: dict[str, tuple[int, KeyRecord]] = {}
        self._identity_providers: dict[tuple[str, str | None, str | None], tuple[int, IdentityProviderRecord]] = {}
        self._token_providers: dict[tuple[str, str], tuple[int, TokenProviderRecord]] = {}

    # -- orgs and keys -------------------------------------------------------------------------------------------

    async def create_org(self, org: OrgRecord) -> None:
        if org.id in self._orgs:
            raise InvalidState(f"the org id {org.id} is taken")
        self._orgs[org.id] = (next(self._arrivals), org)

    async def org(self, org_id: str) -> OrgRecord | None:
        return record_of(self._orgs.get(org_id))

    async def list_orgs(self, *, cursor: str | None, limit: int) -> Page[OrgRecord]:
        return page(self._orgs.values(), ("orgs",), cursor, limit)

    async def create_key(self, key: KeyRecord) -> None:
        if key.id in self._keys:
            raise InvalidState(f"the key id {key.id} is taken")
        self._keys[key.id] = (next(self._arrivals), key)

    async def key(self, key_id: str) -> KeyRecord | None:
        return record_of(self._keys.get(key_id))

    async def list_keys(self, org: str, *, cursor: str | None, limit: int) -> Page[KeyRecord]:
        rows = ((arrival, key) for arrival, key in self._keys.values() if key.org == org)
        return page(rows, ("keys", org), cursor, limit)

    async def delete_key(self, org: str, key_id: str) -> bool:
        key = await self.key(key_id)
        if key is None or key.org != org:
            return False
        del self._keys[key_id]
        return True

    # -- providers -----------------------------------------------------------------------------------------------

    async def put_identity_provider(self, provider: IdentityProviderRecord) -> None:
        place = (provider.org, provider.aud, provider.iss)
        if any(kept.id == provider.id for key, (_, kept) in self._identity_providers.items() if key != place):
            raise InvalidState(f"the identity provider id {provider.id} is taken")
        arrival, _ = self._identity_providers.get(place) or (next(self._arrivals), provider)
        self._identity_providers[place] = (arrival, copy_of(provider))

    async def list_identity_providers(
        self, org: str, *, cursor: str | None, limit: int
    ) -> Page[IdentityProviderRecord]:
        rows = ((arrival, copy_of(each)) for arrival, each in self._identity_providers.values() if each.org == org)
        return page(rows, ("identity-providers", org), cursor, limit)

    async def delete_identity_provider(self, org: str, *, aud: str | None, iss: str | None) -> bool:
        return self._identity_providers.pop((org, aud, iss), None) is not None

    async def put_token_provider(self, provider: TokenProviderRecord) -> None:
        place = (provider.org, provider.service)
        arrival, _ = self._token_providers.get(place) or (next(self._arrivals), provider)
        self._token_providers[place] = (arrival, copy_of(provider))

    async def token_provider(self, org: str, service: str) -> TokenProviderRecord | None:
        found = record_of(self._token_providers.get((org, service)))
        return None if found is None else copy_of(found)

    async def list_token_providers(self, org: str, *, cursor: str | None, limit: int) -> Page[TokenProviderRecord]:
        rows = ((arrival, copy_of(each)) for arrival, each in self._token_providers.values() if each.org == org)
        return page(rows, ("token-providers", org), cursor, limit)

    async def delete_token_provider(self, org: str, service: str) -> bool:
        return self._token_providers.pop((org, service), None) is not None

    # -- sealed secrets ------------------------------------------------------------------------------------------

    async def sealed_secrets(self) -> list[SealedSecret]:
        keys = [SealedSecret(owner=key.id, sealed=key.sealed_secret) for _, key in self._keys.values()]
        return keys + [
            SealedSecret(owner=provider.id, sealed=provider.sealed_key)
            for _, provider in self._identity_providers.values()
            if provider.sealed_key is not None
        ]

    async def replace_sealed_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        seals = {secret.owner: secret.sealed for secret in secrets}
        gone = sorted(seals.keys() - {secret.owner for secret in await self.sealed_secrets()})
        if gone:
            raise InvalidState(f"there is nothing named {gone[0]} whose secret could be replaced")
        for key_id, (arrival, key) in self._keys.items():
            if key_id in seals:
                self._keys[key_id] = (arrival, msgspec.structs.replace(key, sealed_secret=seals[key_id]))
        for place, (arrival, provider) in self._identity_providers.items():
            if provider.id in seals:
                changed = msgspec.structs.replace(provider, sealed_key=seals[provider.id])
                self._identity_providers[place] = (arrival, changed)
