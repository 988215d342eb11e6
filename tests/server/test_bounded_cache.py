"""The cache that forgets."""

from __future__ import annotations

from perdure.server.bounded_cache import BoundedCache


def test_a_full_cache_forgets_what_was_put_first() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    for number, key in enumerate("abc"):
        cache.put(key, number)

    assert (cache.get("a"), cache.get("b"), cache.get("c"), len(cache)) == (None, 1, 2, 2)


def test_putting_a_key_again_replaces_its_value_and_forgets_nothing() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 3)

    assert (cache.get("a"), cache.get("b")) == (3, 2)


def test_discarding_an_unknown_key_is_no_error() -> None:
    cache: BoundedCache[str, int] = BoundedCache(2)
    cache.put("a", 1)
    cache.discard("a")
    cache.discard("a")

    assert (cache.get("a"), len(cache)) == (None, 0)
