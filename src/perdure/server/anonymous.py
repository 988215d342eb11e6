"""Anonymous sessions: callers without an account, each with a session id of its own.

A client signs its own subject token with the org's id, which is no secret, so anybody can begin a session and say what
its id is; a session id is therefore as good as a password and as bad. What a session may do is up to the machines'
authorisers, which see ``{"sid", "did", "auth": "anonymous"}``, and bounded by the scopes of a production key.
"""

from __future__ import annotations

from perdure.durable.access_store import AccessStore
from perdure.durable.records import IdentityProviderRecord, TokenProviderRecord
from perdure.entropy import Entropy, prefixed_id
from perdure.server.secrets import SecretBox, new_key
from perdure.tokens import KEY_USES

__all__ = ["ANONYMOUS_SERVICE", "allow_anonymous_access", "is_anonymous"]

ANONYMOUS_SERVICE = "anonymous-statebacked-dev"
_KEY_NAME = "anonymous sessions"


def is_anonymous(provider: IdentityProviderRecord) -> bool:
    """Whether this is what vouches for the anonymous sessions of its org."""
    return _scope(provider.org) in (provider.aud, provider.iss)


async def allow_anonymous_access(
    store: AccessStore, org: str, *, now: float, entropy: Entropy, secret_box: SecretBox
) -> None:
    """Give the org what anonymous sessions need, unless it has it."""
    if await store.token_provider(org, ANONYMOUS_SERVICE) is not None:
        return
    key, _ = new_key(
        org=org, name=_KEY_NAME, scopes=KEY_USES["production"], now=now, entropy=entropy, secret_box=secret_box
    )
    await store.create_key(key)
    provider_id = prefixed_id("idp", entropy.uuid())
    await store.put_identity_provider(
        IdentityProviderRecord(
            id=provider_id,
            org=org,
            aud=_scope(org),
            iss=_scope(org),
            algs=("HS256",),
            mapping={"sid.$": "$.sid", "did.$": "$.did"},
            sealed_key=secret_box.seal(org.encode().hex(), owner=provider_id),
            created_at=now,
        )
    )
    await store.put_token_provider(  # last, as it says that all is there
        TokenProviderRecord(
            org=org,
            service=ANONYMOUS_SERVICE,
            key_id=key.id,
            mapping={"sid.$": "$.sid", "did.$": "$.did", "auth": "anonymous"},
            created_at=now,
        )
    )


def _scope(org: str) -> str:
    """Both the audience and the issuer of anonymous subject tokens."""
    return f"https://{org}.anonymous.auth.statebacked.dev"
