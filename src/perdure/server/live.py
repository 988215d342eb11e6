"""The open WebSockets of this process, by the key that let them in."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

__all__ = ["LiveConnection", "LiveConnections"]


class LiveConnection(Protocol):
    """Something that can be told to end."""

    def stop(self, close_code: int) -> None:
        """End soon, with this WebSocket close code. Safe to call twice."""
        ...


class LiveConnections:
    """Lets the deletion of a key end what the key has opened."""

    def __init__(self) -> None:
        self._by_key: defaultdict[str, set[LiveConnection]] = defaultdict(set)
        self._count = 0

    def add(self, key_id: str, connection: LiveConnection) -> None:
        self._by_key[key_id].add(connection)
        self._count += 1

    def remove(self, key_id: str, connection: LiveConnection) -> None:
        self._by_key[key_id].discard(connection)
        self._count -= 1
        if not self._by_key[key_id]:
            del self._by_key[key_id]

    @property
    def count(self) -> int:
        return self._count

    def stop_key(self, key_id: str, close_code: int) -> None:
        """End every connection that this key has opened."""
        for connection in tuple(self._by_key.get(key_id, ())):
            connection.stop(close_code)
