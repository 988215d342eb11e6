"""A dictionary that forgets its oldest entries, so that what callers send cannot fill the memory."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["BoundedCache"]

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """Keeps at most ``entries_max`` entries; the one that was put first goes first.

    First in, first out and not least recently used: a hit then writes nothing, and what drops out is cheap to find.
    """

    def __init__(self, entries_max: int) -> None:
        self._entries: dict[Key, Value] = {}
        self._entries_max = max(1, entries_max)

    def get(self, key: Key) -> Value | None:
        return self._entries.get(key)

    def put(self, key: Key, value: Value) -> None:
        if key not in self._entries and len(self._entries) >= self._entries_max:
            del self._entries[next(iter(self._entries))]
        self._entries[key] = value

    def discard(self, key: Key) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)
