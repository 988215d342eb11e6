"""Who calls: from a request's headers, or a WebSocket's query, to a principal with an org, scopes and an auth context.

A token is trusted for what its key may do, and the key says which org it acts in. Two caches make the usual request
cost a dictionary lookup: keys by id, and verified tokens by their text. A token's entry is good only while the very
key object that verified it is in the key cache, so forgetting a key forgets its tokens, and no order of events can
revive them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from perdure.clock import Clock
from perdure.durable.runtime import Runtime
from perdure.errors import InvalidParameter, InvalidToken, MissingScope
from perdure.json_value import JsonObject, decode_json, encode_json
from perdure.server.bounded_cache import BoundedCache
from perdure.server.problems import OrgMismatch
from perdure.server.secrets import SecretBox
from perdure.server.settings import ServerSettings
from perdure.tokens import Claims, token_key_id, verify_token
from perdure.wire import ACT_HEADER, ORG_HEADER

__all__ = ["Authenticator", "OpenedKey", "Principal"]

_ACT_AS_SCOPE = "org.keys.write"
"""Who may create keys could sign any token, so only they may act as somebody else."""

_SENDER_CLAIM = "stateBackedSender"
"""Set by the runtime for what instances send, and therefore never taken from a client."""

_CACHED_TOKEN_CHARACTERS_MAX = 4_096

_ACT_HEADER = ACT_HEADER.encode()
_ORG_HEADER = ORG_HEADER.encode()


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller."""

    key_id: str
    org: str
    scopes: frozenset[str]
    act_json: bytes

    def auth_context(self) -> JsonObject:
        """What authorisers see of the caller; a fresh object, since machine code may change what it is given."""
        context: JsonObject = decode_json(self.act_json)
        return context

    def require_scope(self, scopes: tuple[str, ...]) -> None:
        """Raises ``MissingScope`` unless the key has one of ``scopes``."""
        if self.scopes.isdisjoint(scopes):
            raise MissingScope(f"the token's key lacks the scope {' or '.join(scopes)}")


@dataclass(frozen=True, slots=True, eq=False)
class OpenedKey:
    """An opened key, to be asked for again at ``stale_at``."""

    id: str
    org: str
    scopes: frozenset[str]
    secret: str
    stale_at: float


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    key: OpenedKey
    principal: Principal
    good_until: float


class Authenticator:
    """Verifies tokens against the keys of the store."""

    def __init__(self, runtime: Runtime, secret_box: SecretBox, clock: Clock, settings: ServerSettings) -> None:
        self._runtime = runtime
        self._secret_box = secret_box
        self._clock = clock
        self._settings = settings
        self._keys: BoundedCache[str, OpenedKey] = BoundedCache(settings.keys_cached_max)
        self._tokens: BoundedCache[str, _VerifiedToken] = BoundedCache(settings.tokens_cached_max)
        self._keys_forgotten = 0

    async def by_headers(self, headers: Mapping[bytes, bytes]) -> Principal:
        """The caller of an HTTP request, by its headers.

        Raises ``InvalidToken``, ``OrgMismatch``, and for an act-as header ``MissingScope`` and ``InvalidParameter``.
        """
        authorization, org, act_as = headers.get(b"authorization"), headers.get(_ORG_HEADER), headers.get(_ACT_HEADER)
        if authorization is None:
            raise InvalidToken("the request has no token: send the header `authorization: Bearer <token>`")
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            raise InvalidToken("the authorization header is not `Bearer <token>`")
        principal = await self.by_token(token.strip(), org.decode("latin-1") if org is not None else None)
        return principal if act_as is None else _acting_as(principal, act_as)

    async def by_token(self, token: str, org: str | None) -> Principal:
        """The bearer of a token, who may name the org it acts in. Raises ``InvalidToken``, ``OrgMismatch``."""
        now = self._clock.now()
        verified = self._tokens.get(token)
        if verified is None or not self._is_current(verified.key, now):
            verified = await self._verify(token, now)
        elif now >= verified.good_until:
            self._tokens.discard(token)
            raise InvalidToken("the token has expired")
        principal = verified.principal
        if org is not None and org != principal.org:
            raise OrgMismatch(f"the token's key belongs to the org {principal.org}, not to {org}")
        return principal

    def forget_key(self, key_id: str) -> None:
        """A key was deleted: from now on no token of it is good in this process."""
        self._keys.discard(key_id)
        self._keys_forgotten += 1

    def _is_current(self, key: OpenedKey, now: float) -> bool:
        return now < key.stale_at and self._keys.get(key.id) is key

    async def _verify(self, token: str, now: float) -> _VerifiedToken:
        key = await self._key(token_key_id(token), now)
        leeway = self._settings.token_leeway
        claims = verify_token(token, key.secret, now=now, leeway=leeway)
        principal = Principal(key.id, key.org, key.scopes, encode_json(_auth_context(claims)))
        verified = _VerifiedToken(key, principal, claims.expires_at + leeway)
        if len(token) <= _CACHED_TOKEN_CHARACTERS_MAX:
            self._tokens.put(token, verified)
        return verified

    async def opened_key(self, key_id: str, *, org: str) -> OpenedKey:
        """A key of an org, with its secret to sign with. Raises ``InvalidToken`` when the org has no such key."""
        key = await self._key(key_id, self._clock.now())
        if key.org != org:
            raise InvalidToken(f"there is no key {key_id}")
        return key

    async def _key(self, key_id: str, now: float) -> OpenedKey:
        known = self._keys.get(key_id)
        if known is not None and now < known.stale_at:
            return known
        self._keys.discard(key_id)
        forgotten_before = self._keys_forgotten
        record = await self._runtime.store.key(key_id)
        if record is None:
            raise InvalidToken(f"there is no key {key_id}")
        secret = self._secret_box.open(record.sealed_secret, owner=key_id)
        key = OpenedKey(key_id, record.org, frozenset(record.scopes), secret, now + self._settings.key_freshness)
        # A key deleted while it was being read must not come back.
        if forgotten_before == self._keys_forgotten:
            self._keys.put(key_id, key)
        return key


def _auth_context(claims: Claims) -> JsonObject:
    """The ``act`` claim, with the token's own subject where it has none."""
    context = {name: value for name, value in claims.act.items() if name != _SENDER_CLAIM}
    if claims.subject is not None:
        context.setdefault("sub", claims.subject)
    return context


def _acting_as(principal: Principal, header: bytes) -> Principal:
    """The same caller with the auth context of the act-as header, which is JSON with one byte per character."""
    principal.require_scope((_ACT_AS_SCOPE,))
    try:
        act = decode_json(header.decode("latin-1"))
    except (ValueError, RecursionError) as error:
        raise InvalidParameter(f"the header {ACT_HEADER} is not JSON: {error}", ACT_HEADER) from error
    if not isinstance(act, dict):
        raise InvalidParameter(f"the header {ACT_HEADER} is not a JSON object", ACT_HEADER)
    act.pop(_SENDER_CLAIM, None)
    return Principal(principal.key_id, principal.org, principal.scopes, encode_json(act))
