"""What the store promises about identity providers, token providers and sealed secrets."""

from __future__ import annotations

import msgspec
import pytest

from perdure.durable.records import SealedSecret
from perdure.durable.store import Store
from perdure.errors import InvalidState
from perdure.testing.store_contract.binding import StoreBinding
from perdure.testing.store_contract.samples import (
    identity_provider_named,
    key_named,
    org_named,
    token_provider_named,
)

__all__ = ["AccessContract"]


class AccessContract(StoreBinding):
    """Whose tokens are exchanged for which, and where the secrets lie."""

    async def test_an_org_is_found_by_its_id(self, store: Store) -> None:
        await store.create_org(org_named("a"))
        assert await store.org("org_a") == org_named("a")
        assert await store.org("org_b") is None

    async def test_an_identity_provider_is_answered_as_put(self, store: Store) -> None:
        provider = identity_provider_named("1")
        bare = msgspec.structs.replace(
            identity_provider_named("2"), aud=None, sealed_key=None, jwks_url="https://idp.test/jwks"
        )
        await store.put_identity_provider(provider)
        await store.put_identity_provider(bare)
        assert (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows == [provider, bare]

    async def test_an_identity_provider_takes_the_place_of_the_one_with_its_aud_and_iss(self, store: Store) -> None:
        first = identity_provider_named("1")
        second = msgspec.structs.replace(identity_provider_named("2"), aud=first.aud, iss=first.iss)
        await store.put_identity_provider(first)
        await store.put_identity_provider(identity_provider_named("3"))
        await store.put_identity_provider(second)
        rows = (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows
        assert rows == [second, identity_provider_named("3")]

    async def test_an_absent_aud_is_a_place_of_its_own(self, store: Store) -> None:
        with_aud = identity_provider_named("1")
        without = msgspec.structs.replace(identity_provider_named("2"), aud=None, iss=with_aud.iss)
        again = msgspec.structs.replace(without, id="idp_again", algs=("ES256",))
        for provider in (with_aud, without, again):
            await store.put_identity_provider(provider)
        assert (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows == [with_aud, again]
        assert await store.delete_identity_provider("org-a", aud=None, iss=with_aud.iss) is True
        assert await store.delete_identity_provider("org-a", aud=None, iss=with_aud.iss) is False
        assert (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows == [with_aud]

    async def test_an_identity_provider_may_be_put_again_under_its_own_id_and_under_no_others(
        self, store: Store
    ) -> None:
        first = identity_provider_named("1")
        await store.put_identity_provider(first)
        await store.put_identity_provider(first)
        with pytest.raises(InvalidState):
            await store.put_identity_provider(msgspec.structs.replace(identity_provider_named("2"), id=first.id))
        assert (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows == [first]

    async def test_providers_belong_to_their_org(self, store: Store) -> None:
        identity = identity_provider_named("1")
        token = token_provider_named("1")
        await store.put_identity_provider(identity)
        await store.put_token_provider(token)
        assert (await store.list_identity_providers("org-b", cursor=None, limit=9)).rows == []
        assert (await store.list_token_providers("org-b", cursor=None, limit=9)).rows == []
        assert await store.token_provider("org-b", token.service) is None
        assert await store.delete_identity_provider("org-b", aud=identity.aud, iss=identity.iss) is False
        assert await store.delete_token_provider("org-b", token.service) is False
        assert await store.token_provider("org-a", token.service) == token

    async def test_a_token_provider_takes_the_place_of_the_one_with_its_service(self, store: Store) -> None:
        first = token_provider_named("1")
        changed = msgspec.structs.replace(first, key_id="sbk_other", mapping={"sub.$": "$.email"}, created_at=7.0)
        await store.put_token_provider(first)
        await store.put_token_provider(token_provider_named("2"))
        await store.put_token_provider(changed)
        assert await store.token_provider("org-a", first.service) == changed
        rows = (await store.list_token_providers("org-a", cursor=None, limit=9)).rows
        assert rows == [changed, token_provider_named("2")]
        assert await store.delete_token_provider("org-a", first.service) is True
        assert await store.delete_token_provider("org-a", first.service) is False
        assert await store.token_provider("org-a", first.service) is None

    async def test_sealed_secrets_are_those_of_keys_and_providers_of_all_orgs(self, store: Store) -> None:
        provider = identity_provider_named("1")
        without_key = msgspec.structs.replace(identity_provider_named("2"), sealed_key=None)
        keys = [key_named("1"), key_named("2", "org-b")]
        for key in keys:
            await store.create_key(key)
        await store.put_identity_provider(provider)
        await store.put_identity_provider(without_key)
        found = {secret.owner: secret.sealed for secret in await store.sealed_secrets()}
        assert found == {**{key.id: key.sealed_secret for key in keys}, provider.id: provider.sealed_key}

    async def test_sealed_secrets_are_replaced_and_nothing_else_is(self, store: Store) -> None:
        key, provider = key_named("1"), identity_provider_named("1")
        await store.create_key(key)
        await store.create_key(key_named("2"))
        await store.put_identity_provider(provider)
        await store.replace_sealed_secrets(
            [SealedSecret(owner=key.id, sealed=b"k"), SealedSecret(owner=provider.id, sealed=b"p")]
        )
        assert await store.key(key.id) == msgspec.structs.replace(key, sealed_secret=b"k")
        assert await store.key("sbk_2") == key_named("2")
        rows = (await store.list_identity_providers("org-a", cursor=None, limit=9)).rows
        assert rows == [msgspec.structs.replace(provider, sealed_key=b"p")]

    async def test_no_sealed_secret_is_replaced_when_one_owner_is_unknown(self, store: Store) -> None:
        await store.create_key(key_named("1"))
        secrets = [SealedSecret(owner="sbk_1", sealed=b"new"), SealedSecret(owner="sbk_9", sealed=b"new")]
        with pytest.raises(InvalidState):
            await store.replace_sealed_secrets(secrets)
        assert await store.key("sbk_1") == key_named("1")
