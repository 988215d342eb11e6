"""Keys and the tokens they sign.

A key is a public id and a secret. A token is a JWT signed with HMAC-SHA-256 by the UTF-8 bytes of the whole secret,
prefix included; its header names the key (``kid``), its audience is the same constant for every server, and its ``act``
claim is what the machine's authorisers see. Nothing here needs a server: the command line and an application's own back
end sign with it, the server verifies with it. Times are milliseconds, as everywhere, and a JWT's seconds here only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import jwt
import msgspec

from perdure.entropy import Entropy, prefixed_id
from perdure.errors import InvalidParameter, InvalidToken
from perdure.json_value import JsonObject

__all__ = [
    "AUDIENCE",
    "KEY_USES",
    "SCOPES",
    "Claims",
    "KeyPair",
    "new_key_pair",
    "sign_token",
    "token_key_id",
    "verify_token",
]

AUDIENCE = "https://api.statebacked.dev/"
"""The audience of every token, whatever host serves the API; the trailing slash belongs to it."""

SCOPES = frozenset(
    {
        "analytics.read",
        "events.read",
        "events.write",
        "indexes.read",
        "instances.admin",
        "instances.read",
        "instances.write",
        "logs.read",
        "machine-versions.read",
        "machine-versions.write",
        "machines.admin",
        "machines.read",
        "machines.write",
        "org-members.write",
        "org.keys.write",
        "org.read",
        "org.write",
        "state.read",
        "tokens.admin",
    }
)
"""Everything a key may be allowed to do."""

_SECRET_BYTES_MIN = 32
"""As RFC 7518 asks of HMAC-SHA-256; fresh secrets are longer."""

KEY_USES: Mapping[str, tuple[str, ...]] = {
    "production": ("events.write", "state.read", "instances.write", "indexes.read"),
    "ci": ("machines.read", "machines.write", "machine-versions.read", "machine-versions.write"),
}
"""Named sets of scopes for the two usual kinds of key."""


class KeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A key's public id and its secret."""

    id: str
    secret: str


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """What a verified token says."""

    act: JsonObject
    subject: str | None
    expires_at: float
    """Milliseconds since the Unix epoch, without leeway."""


def new_key_pair(entropy: Entropy) -> KeyPair:
    """A fresh key: ``sbk_`` and a UUID, ``sbsec_`` and at least 32 bytes of randomness."""
    return KeyPair(id=prefixed_id("sbk", entropy.uuid()), secret=f"sbsec_{entropy.secret()}")


def sign_token(
    key_id: str,
    secret: str,
    act: JsonObject,
    *,
    now: float,
    expires_in: timedelta,
    subject: str | None = None,
    issuer: str | None = None,
) -> str:
    """A token that lets its bearer act as ``act`` with the key's scopes, from ``now`` until ``now + expires_in``.

    Raises ``InvalidParameter`` for a secret that is too short to be any key's.
    """
    if len(secret.encode()) < _SECRET_BYTES_MIN:
        raise InvalidParameter(
            f"what is given as the secret of the key {key_id} is too short to be one: it begins with sbsec_ and was "
            "shown when the key was created. Make another key if it is lost",
            "secret",
        )
    claims: dict[str, Any] = {
        "iss": issuer if issuer is not None else f"https://{key_id}.client.statebacked.dev/",
        "aud": AUDIENCE,
        "iat": math.floor(now / 1000),
        "exp": math.floor(now / 1000 + expires_in.total_seconds()),
        "act": act,
    }
    if subject is not None:
        claims["sub"] = subject
    # An empty `typ` leaves the header out: the contract's tokens have none.
    return jwt.encode(
        claims, secret.encode(), algorithm="HS256", headers={"kid": key_id, "typ": ""}, json_encoder=_Legible
    )


class _Legible(json.JSONEncoder):
    """Writes claims so that their base64url has no `-` and no `_`.

    The contract's client reads when a token expires as if it were plain base64, and takes one that it cannot read for
    one that never does. Of ASCII, only these three characters become one of the two; they occur in strings alone.
    """

    def encode(self, o: Any) -> str:
        return super().encode(o).replace(">", r"\u003e").replace("?", r"\u003f").replace("~", r"\u007e")


def token_key_id(token: str) -> str:
    """The id of the key that a token claims to be signed with. Raises ``InvalidToken`` when it names none."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError as error:
        raise InvalidToken(f"the token is not a JWT: {error}") from error
    if not isinstance(key_id, str) or not key_id:
        raise InvalidToken("the token's header has no kid: sign it with the id of a key")
    return key_id


def verify_token(token: str, secret: str, *, now: float, leeway: float) -> Claims:
    """The claims of a token whose signature, audience and times hold.

    ``leeway`` is how long after its expiry a token is still good, in milliseconds: clients go on using one for a
    moment. Raises ``InvalidToken``. When it was issued is not looked at, since callers' clocks run ahead.
    """
    try:
        claims = jwt.decode(
            token,
            secret.encode(),
            algorithms=["HS256"],
            audience=AUDIENCE,
            # PyJWT would compare times with the operating system's clock; they are compared below, with the caller's.
            options={
                "require": ["exp", "aud"],
                "verify_exp": False,
                "verify_nbf": False,
                "verify_iat": False,
                "verify_iss": False,
                "verify_sub": False,
                "verify_jti": False,
            },
        )
    except jwt.PyJWTError as error:
        raise InvalidToken(f"the token does not verify: {error}") from error
    expires_at = _claimed_time(claims, "exp")
    if now >= expires_at + leeway:
        raise InvalidToken("the token has expired")
    if "nbf" in claims and now < _claimed_time(claims, "nbf") - leeway:
        raise InvalidToken("the token is not valid yet")
    act = claims.get("act", {})
    if not isinstance(act, dict):
        raise InvalidToken("the token's act claim is not an object")
    subject = claims.get("sub")
    return Claims(act=act, subject=subject if isinstance(subject, str) else None, expires_at=expires_at)


def _claimed_time(claims: JsonObject, name: str) -> float:
    """A time claim in milliseconds."""
    seconds = claims[name]
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not math.isfinite(seconds):
        raise InvalidToken(f"the token's {name} claim is not a number of seconds")
    return seconds * 1000.0
