"""The part of the store protocol about who may come in: orgs, their keys, and whose tokens they exchange.

Strong throughout, as a deleted key or provider must be gone for whoever asks next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from perdure.durable.records import (
    IdentityProviderRecord,
    KeyRecord,
    OrgRecord,
    Page,
    SealedSecret,
    TokenProviderRecord,
)

__all__ = ["AccessStore"]


class AccessStore(Protocol):
    """Orgs, keys, identity providers and token providers. Lists are as in ``Store``: oldest first, opaque cursors."""

    async def create_org(self, org: OrgRecord) -> None:
        """Raises ``InvalidState`` when the id is taken."""
        ...

    async def org(self, org_id: str) -> OrgRecord | None: ...

    async def list_orgs(self, *, cursor: str | None, limit: int) -> Page[OrgRecord]: ...

    async def create_key(self, key: KeyRecord) -> None:
        """Raises ``InvalidState`` when the id is taken."""
        ...

    async def key(self, key_id: str) -> KeyRecord | None: ...

    async def list_keys(self, org: str, *, cursor: str | None, limit: int) -> Page[KeyRecord]: ...

    async def delete_key(self, org: str, key_id: str) -> bool: ...

    async def put_identity_provider(self, provider: IdentityProviderRecord) -> None:
        """Keep a provider in the place of the one with the same org, ``aud`` and ``iss``, an absent one being a value
        of its own. Raises ``InvalidState`` when the id is another one's."""
        ...

    async def list_identity_providers(
        self, org: str, *, cursor: str | None, limit: int
    ) -> Page[IdentityProviderRecord]: ...

    async def delete_identity_provider(self, org: str, *, aud: str | None, iss: str | None) -> bool: ...

    async def put_token_provider(self, provider: TokenProviderRecord) -> None:
        """Keep a provider in the place of the one with the same org and service."""
        ...

    async def token_provider(self, org: str, service: str) -> TokenProviderRecord | None: ...

    async def list_token_providers(self, org: str, *, cursor: str | None, limit: int) -> Page[TokenProviderRecord]: ...

    async def delete_token_provider(self, org: str, service: str) -> bool: ...

    async def sealed_secrets(self) -> list[SealedSecret]:
        """Every sealed secret there is: of all orgs, of keys and of identity providers."""
        ...

    async def replace_sealed_secrets(self, secrets: Sequence[SealedSecret]) -> None:
        """Put other seals in the place of these owners', all or none, durably.

        Raises ``InvalidState`` when an owner is not there.
        """
        ...
