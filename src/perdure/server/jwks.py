"""Key sets by URL: fetched when they are needed, kept for a while, and fetched again when a key is missing.

Rules:

- A set is used for ``_FRESH`` without asking again. A token with an unknown ``kid`` has the set fetched anew, so that a
  provider can rotate its keys at any time, but no more often than every ``_RETRY``: a flood of tokens with made-up ids
  costs its sender's time and not the provider's.
- A provider that does not answer does not end what works: the set of before is used for ``_STALE`` longer.
- One fetch at a time per URL. Redirects are not followed, and what is fetched is small and JSON, or nothing; of what a
  URL answers, nothing ever reaches a caller.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import httpx2

from perdure.clock import Clock
from perdure.json_value import JsonObject, decode_json
from perdure.logs import get_logger
from perdure.server.bounded_cache import BoundedCache
from perdure.server.problems import KeySetUnavailable

__all__ = ["JwksCache"]

log = get_logger("perdure.server")

_FRESH = 600_000.0
_RETRY = 10_000.0
_STALE = 3_600_000.0
_FETCH_SECONDS = 5.0
_BYTES_MAX = 262_144
_URLS_MAX = 256


@dataclass(slots=True)
class _KeySet:
    """What is known of one URL. Times are the clock's milliseconds."""

    keys: list[JsonObject] = field(default_factory=list)
    fetched_at: float | None = None
    tried_at: float | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class JwksCache:
    """The key sets of identity providers."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sets: BoundedCache[str, _KeySet] = BoundedCache(_URLS_MAX)

    async def keys(self, url: str, key_id: str | None) -> list[JsonObject]:
        """The keys that may have signed: those with this id, or all for a token that names none.

        Raises ``KeySetUnavailable`` when there is no set that may still be used.
        """
        known = self._sets.get(url)
        if known is None:
            known = _KeySet()
            self._sets.put(url, known)
        found = _with_id(known.keys, key_id)
        if not found or not self._is_within(known.fetched_at, _FRESH):
            async with known.lock:
                await self._refresh(known, url, key_id)
            found = _with_id(known.keys, key_id)
        if not self._is_within(known.fetched_at, _FRESH + _STALE):
            raise KeySetUnavailable(f"the key set at {url} cannot be had; the server's log says why")
        return found

    async def _refresh(self, known: _KeySet, url: str, key_id: str | None) -> None:
        """Fetch, unless another caller did while this one waited, or somebody tried a moment ago."""
        if _with_id(known.keys, key_id) and self._is_within(known.fetched_at, _FRESH):
            return
        if self._is_within(known.tried_at, _RETRY):
            return
        known.tried_at = self._clock.now()
        try:
            known.keys = await _fetch(url)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, ValueError, RecursionError) as error:
            log.warning("key set not fetched", url=url, reason=f"{type(error).__name__}: {error}")
            return
        known.fetched_at = self._clock.now()

    def _is_within(self, moment: float | None, milliseconds: float) -> bool:
        return moment is not None and self._clock.now() < moment + milliseconds


def _with_id(keys: list[JsonObject], key_id: str | None) -> list[JsonObject]:
    return [key for key in keys if key_id is None or key.get("kid") == key_id]


async def _fetch(url: str) -> list[JsonObject]:
    """The keys at a URL. Raises ``httpx2.HTTPError``, ``TimeoutError``, and ``ValueError`` for what is no key set."""
    body = bytearray()
    async with (
        asyncio.timeout(_FETCH_SECONDS),
        httpx2.AsyncClient(timeout=_FETCH_SECONDS) as client,
        client.stream("GET", url, headers={"accept": "application/json"}) as answer,
    ):
        if answer.status_code != 200:
            raise ValueError(f"it answers {answer.status_code}")
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > _BYTES_MAX:
                raise ValueError(f"it has more than {_BYTES_MAX} bytes")
    document = decode_json(bytes(body))
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list):
        raise ValueError("it is not an object with a list of keys")
    return [key for key in keys if isinstance(key, dict) and key.get("use") in (None, "sig")]
