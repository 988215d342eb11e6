"""Watchers: live views of instances.

Every commit is published to whoever watches its instance. A watcher holds only the newest state it has not given out
yet, so a slow reader costs no memory and misses states in between, never the last one; ``ts`` never goes back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from perdure.durable.records import Address, InstanceRecord
from perdure.json_value import Json, json_copy
from perdure.statechart.snapshot import StateValue

__all__ = ["InstanceState", "Subscription", "Watchers", "state_of"]


class InstanceState(msgspec.Struct, frozen=True, kw_only=True):
    """An instance as its readers see it."""

    address: Address
    ts: float
    """Milliseconds; grows strictly with every commit of the instance."""
    state: StateValue
    context: Json
    """The whole context, a copy of its own; only ``context["public"]`` may leave the server."""
    tags: tuple[str, ...]
    done: bool


def state_of(record: InstanceRecord, *, is_own: bool = False) -> InstanceState:
    """``is_own`` says that nobody else has this record's context."""
    snapshot = record.snapshot
    return InstanceState(
        address=record.address,
        ts=record.ts,
        state=snapshot.value,
        context=snapshot.context if is_own else json_copy(snapshot.context),
        tags=snapshot.tags,
        done=snapshot.is_done,
    )


class Subscription:
    """A live view of one instance: an async iterator over its states, the current one first.

    A reader slower than the instance sees the newest state and may miss ones between; ``ts`` never goes back. The
    iteration ends when the instance is deleted or the runtime closes. ``close()`` ends it from the outside.
    """

    def __init__(self, watchers: Watchers, address: Address) -> None:
        self.address = address
        self._watchers = watchers
        self._newest: InstanceState | None = None
        self._given_ts = 0.0
        self._is_closed = False
        self._changed = asyncio.Event()

    def offer(self, state: InstanceState) -> None:
        """Take over a state, unless a newer one was seen already."""
        if state.ts > self._given_ts and (self._newest is None or state.ts > self._newest.ts):
            self._newest = state
            self._changed.set()

    def end(self) -> None:
        self._is_closed = True
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[InstanceState]:
        return self

    async def __anext__(self) -> InstanceState:
        while True:
            if self._newest is not None:
                state, self._newest = self._newest, None
                self._given_ts = state.ts
                return state
            if self._is_closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()

    async def close(self) -> None:
        """Stop watching; a pending iteration ends."""
        self._watchers.remove(self)
        self.end()


class Watchers:
    """All subscriptions of a runtime, by instance."""

    def __init__(self) -> None:
        self._by_address: dict[Address, set[Subscription]] = {}

    @property
    def subscriptions(self) -> int:
        return sum(map(len, self._by_address.values()))

    def add(self, address: Address) -> Subscription:
        subscription = Subscription(self, address)
        self._by_address.setdefault(address, set()).add(subscription)
        return subscription

    def remove(self, subscription: Subscription) -> None:
        watching = self._by_address.get(subscription.address)
        if watching is not None:
            watching.discard(subscription)
            if not watching:
                del self._by_address[subscription.address]

    def publish(self, record: InstanceRecord) -> None:
        watching = self._by_address.get(record.address)
        if watching:
            state = state_of(record)
            for subscription in watching:
                subscription.offer(state)

    def end(self, address: Address) -> None:
        """The instance is gone."""
        for subscription in self._by_address.pop(address, set()):
            subscription.end()

    def end_all(self) -> None:
        for address in list(self._by_address):
            self.end(address)
