"""Where the client's tokens come from, and when it gets a fresh one.

A **token source** is a token, a function that gives one, or an exchange: a ``TokenExchange`` trades what an identity
provider says about a user for a token of the server, keeps it until shortly before it expires, and trades again. A
token that the server refuses is given up, and the request is made once more with a fresh one where the source has one.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec
from jwt.algorithms import HMACAlgorithm

from perdure.client.access_operations import exchange_token
from perdure.client.exchange import Request
from perdure.clock import Clock
from perdure.errors import InvalidParameter

__all__ = ["Anonymous", "Ask", "Credentials", "TokenExchange", "TokenSource", "expiry_of"]

ANONYMOUS_SERVICE = "anonymous-statebacked-dev"
ANONYMOUS_LIFETIME_SECONDS = 24 * 3600
FRESH_MILLISECONDS = 30_000.0
"""A token is replaced this long before it expires, so that none expires on its way."""

Provider: TypeAlias = Callable[[], str | Awaitable[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """Trade a user's identity token for a token of the server, and again before that one expires."""

    org: str
    service: str
    """The name of the org's token provider."""
    identity_token: str | Provider
    """The identity provider's token, or a function that gives a fresh one each time it is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymous:
    """A user who needs no account: known by a session and a device, where the org allows that."""

    org: str
    session_id: str
    device_id: str | None = None
    """What outlives the session; the session's id where there is nothing."""


TokenSource: TypeAlias = str | Provider | TokenExchange | Anonymous | None
"""A token; a function (an asynchronous one for ``AsyncClient`` only) that gives one for each request; an exchange; or
``None``, which sends no token."""


@dataclass(frozen=True, slots=True)
class Ask:
    """A step of the client: call a provider, and go on with the token it gives."""

    provider: Provider


class Credentials:
    """The tokens of one client. Does no I/O: it yields what is to be asked, and is sent the answers."""

    def __init__(self, source: TokenSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._exchanged: str | None = None

    @property
    def can_renew(self) -> bool:
        """Whether a refused token may be followed by one that is not."""
        return self._source is not None and not isinstance(self._source, str)

    def give_up(self) -> None:
        """The server refuses the last token."""
        self._exchanged = None

    def token(self) -> Generator[Ask | Request, Any, str | None]:
        """The token for the next request."""
        source = self._source
        if source is None or isinstance(source, str):
            return source
        if not isinstance(source, TokenExchange | Anonymous):
            return (yield from _asked(source))
        if self._exchanged is None or expiry_of(self._exchanged) - FRESH_MILLISECONDS <= self._clock.now():
            if isinstance(source, Anonymous):
                service, identity = ANONYMOUS_SERVICE, anonymous_identity(source, self._clock.now())
            else:
                service = source.service
                identity = yield from _asked(source.identity_token)
            self._exchanged = yield from exchange_token(source.org, service, identity)
        return self._exchanged


def _asked(provider: str | Provider) -> Generator[Ask, Any, str]:
    if isinstance(provider, str):
        return provider
    token = yield Ask(provider)
    if not isinstance(token, str):
        raise InvalidParameter(f"the token function gave a {type(token).__name__} and no text", "token")
    return token


def expiry_of(token: str) -> float:
    """When a token expires, in milliseconds since the epoch; never, for one that does not say so."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return float(claims["exp"]) * 1000
    except (IndexError, KeyError, TypeError, ValueError, binascii.Error, msgspec.DecodeError):
        return math.inf


def anonymous_identity(source: Anonymous, now: float) -> str:
    """What an anonymous user says about themselves. It is signed with the org's id, which is no secret."""
    party = f"https://{source.org}.anonymous.auth.statebacked.dev"
    seconds = math.floor(now / 1000)
    claims = {
        "aud": party,
        "iss": party,
        "iat": seconds,
        "exp": seconds + ANONYMOUS_LIFETIME_SECONDS,
        "sid": source.session_id,
        "did": source.device_id if source.device_id is not None else source.session_id,
    }
    # `jwt.encode` would warn that an org's id is a short key. It is none at all: everybody knows it.
    signed = b".".join(map(_base64url, (b'{"alg":"HS256"}', msgspec.json.encode(claims))))
    signature = HMACAlgorithm(HMACAlgorithm.SHA256).sign(signed, source.org.encode())
    return b".".join((signed, _base64url(signature))).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")
