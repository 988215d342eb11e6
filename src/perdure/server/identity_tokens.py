"""Tokens of other issuers: which identity provider of an org vouches for one, and what it says.

A token is believed when an identity provider whose ``aud`` and ``iss`` fit it (an absent one fits everything) verifies
its signature with one of the algorithms that were configured for it, and its times hold. ``alg`` in the token picks
among the configured ones and nothing more; and since no provider mixes shared secrets with key pairs, a public key can
never be taken for a shared secret. The more exactly a provider is configured, the earlier it is asked.
"""

from __future__ import annotations

import math
from typing import Any

import jwt
from jwt.algorithms import HMACAlgorithm

from perdure.clock import Clock
from perdure.durable.records import IdentityProviderRecord
from perdure.json_value import JsonObject, decode_json
from perdure.server.jwks import JwksCache
from perdure.server.problems import ExchangeRefused, KeySetUnavailable
from perdure.server.secrets import SecretBox

__all__ = ["SHARED_SECRET_ALGORITHMS", "IdentityTokens"]

SHARED_SECRET_ALGORITHMS = frozenset({"HS256", "HS384", "HS512"})

_TOKEN_CHARACTERS_MAX = 16_384


class _AnyLength(HMACAlgorithm):
    """HMAC without a warning about short keys: how long it is was decided by whoever configured the provider."""

    def check_key_length(self, key: bytes) -> str | None:
        return None


_jws = jwt.PyJWS()
for _name, _hash in (("HS256", HMACAlgorithm.SHA256), ("HS384", HMACAlgorithm.SHA384), ("HS512", HMACAlgorithm.SHA512)):
    _jws.unregister_algorithm(_name)
    _jws.register_algorithm(_name, _AnyLength(_hash))


class IdentityTokens:
    """Verifies the tokens that callers bring to be exchanged."""

    def __init__(self, secret_box: SecretBox, clock: Clock, *, leeway: float) -> None:
        self._secret_box = secret_box
        self._clock = clock
        self._leeway = leeway
        self._jwks = JwksCache(clock)

    async def verify(
        self, token: str, providers: list[IdentityProviderRecord]
    ) -> tuple[IdentityProviderRecord, JsonObject]:
        """The provider that vouches for the token, and the token's claims.

        Raises ``ExchangeRefused``, and ``KeySetUnavailable`` when that is all that stood in the way.
        """
        if len(token) > _TOKEN_CHARACTERS_MAX:
            raise ExchangeRefused(f"the subject token has more than {_TOKEN_CHARACTERS_MAX} characters")
        header, claims = _unverified(token)
        fitting = [provider for provider in providers if _fits(provider, claims)]
        if not fitting:
            raise ExchangeRefused("no identity provider of this org is for tokens with this aud and iss")
        refusals: list[str] = []
        unavailable: KeySetUnavailable | None = None
        for provider in sorted(fitting, key=_exactness, reverse=True):
            try:
                await self._verify_signature(token, header, provider)
            except jwt.PyJWTError as error:
                refusals.append(str(error))
            except KeySetUnavailable as error:
                unavailable = error
            else:
                self._check_times(claims)
                return provider, claims
        if unavailable is not None:
            raise unavailable
        raise ExchangeRefused(f"the subject token does not verify: {refusals[0]}")

    async def _verify_signature(self, token: str, header: JsonObject, provider: IdentityProviderRecord) -> None:
        """Raises ``jwt.PyJWTError``, ``KeySetUnavailable``."""
        algorithm = header.get("alg")
        if algorithm not in provider.algs:
            raise jwt.InvalidAlgorithmError("its algorithm is not one of the identity provider's")
        if provider.sealed_key is not None:
            secret = self._secret_box.open(provider.sealed_key, owner=provider.id)
            _verify(token, bytes.fromhex(secret), algorithm)
            return
        assert provider.jwks_url is not None
        key_id = header.get("kid")
        candidates = await self._jwks.keys(provider.jwks_url, key_id if isinstance(key_id, str) else None)
        refusal: jwt.PyJWTError = jwt.InvalidKeyError("the identity provider's key set has no key for it")
        for candidate in candidates:
            try:
                _verify(token, jwt.PyJWK.from_dict(candidate, algorithm).key, algorithm)
            except jwt.PyJWTError as error:
                refusal = error
            else:
                return
        raise refusal

    def _check_times(self, claims: JsonObject) -> None:
        now = self._clock.now()
        expires_at = _milliseconds(claims, "exp")
        if expires_at is None:
            raise ExchangeRefused("the subject token has no exp: only tokens that expire are exchanged")
        if now >= expires_at + self._leeway:
            raise ExchangeRefused("the subject token has expired")
        not_before = _milliseconds(claims, "nbf")
        if not_before is not None and now < not_before - self._leeway:
            raise ExchangeRefused("the subject token is not valid yet")


def _unverified(token: str) -> tuple[JsonObject, JsonObject]:
    """The header and the claims of a token, before anything is known about their truth."""
    try:
        decoded = _jws.decode_complete(token, options={"verify_signature": False})
        claims = decode_json(decoded["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise ExchangeRefused(f"the subject token is not a JWT: {error}") from error
    if not isinstance(claims, dict):
        raise ExchangeRefused("the subject token's claims are not an object")
    return decoded["header"], claims


def _verify(token: str, key: Any, algorithm: str) -> None:
    """Raises ``jwt.PyJWTError``, also for a key that is not one for the algorithm."""
    try:
        _jws.decode_complete(token, key, algorithms=[algorithm])
    except (TypeError, ValueError) as error:
        raise jwt.InvalidKeyError("the identity provider's key is not one for this algorithm") from error


def _fits(provider: IdentityProviderRecord, claims: JsonObject) -> bool:
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return (provider.aud is None or provider.aud in audiences) and (
        provider.iss is None or provider.iss == claims.get("iss")
    )


def _exactness(provider: IdentityProviderRecord) -> int:
    return (provider.aud is not None) + (provider.iss is not None)


def _milliseconds(claims: JsonObject, name: str) -> float | None:
    seconds = claims.get(name)
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise ExchangeRefused(f"the subject token's {name} is not a number of seconds")
    return seconds * 1000.0
