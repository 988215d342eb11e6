"""A store that fails on purpose: before or after a call took effect, late, or for good.

``with_faults`` wraps any store. What goes wrong is decided by ``Faults``: by chance from a seeded random, so that a
seed stands for one course of events, or by a test that names the call. A failure *after* is a lost acknowledgement: the
call has happened and its caller cannot know. A crash is for good: every call raises, as for a process whose machine has
died, until a new runtime is built over the inner store.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from perdure.durable.store import Store
from perdure.errors import StoreError

if TYPE_CHECKING:
    from random import Random  # noqa: TID251 - an argument, for its type

__all__ = ["Faults", "Gate", "Moment", "with_faults"]

Moment: TypeAlias = Literal["before", "after"]
"""Whether a call fails, or is held, before it takes effect or after."""

LIFE = ("open", "close")
"""Never fail: a store that cannot be opened has no runtime to try."""


class Gate:
    """Calls wait at it until it is opened."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def wait_reached(self) -> None:
        """Return once a call waits here."""
        await asyncio.wait_for(self._reached.wait(), 10)

    def open(self) -> None:
        self._opened.set()

    async def _pass(self) -> None:
        self._reached.set()
        await self._opened.wait()


class Faults:
    """What goes wrong with a store, and when.

    With ``chance``, each call fails before it takes effect with probability ``before``, after it with probability
    ``after``, and yields to other tasks up to ``delays_max`` times on either side.
    """

    def __init__(
        self, chance: Random | None = None, *, before: float = 0.0, after: float = 0.0, delays_max: int = 0
    ) -> None:
        self.calls: Counter[str] = Counter()
        """How often each method was called."""
        self._chance = chance
        self._rates: dict[Moment, float] = {"before": before, "after": after}
        self._delays_max = delays_max
        self._ordered: dict[tuple[str, Moment], int] = {}
        self._gates: dict[tuple[str, Moment], deque[Gate]] = {}
        self._has_crashed = False

    def fail(self, method: str, moment: Moment = "before", *, times: int = 1) -> None:
        """Let the next calls of a method fail."""
        self._ordered[method, moment] = times

    def hold(self, method: str, moment: Moment = "before") -> Gate:
        """Let the next call of a method wait at a gate; held twice, the one after it waits at the second."""
        gate = Gate()
        self._gates.setdefault((method, moment), deque()).append(gate)
        return gate

    def crash(self) -> None:
        """From now on every call fails, also the ones in progress; what took effect stands."""
        self._has_crashed = True

    def end(self) -> None:
        """Nothing goes wrong by chance or by order any more; gates stay."""
        self._rates = {"before": 0.0, "after": 0.0}
        self._ordered.clear()

    async def at(self, method: str, moment: Moment) -> None:
        """What a call meets on its way. Raises ``StoreError``."""
        if self._chance is not None and self._delays_max:
            for _ in range(self._chance.randint(0, self._delays_max)):
                await asyncio.sleep(0)
        gates = self._gates.get((method, moment))
        if gates:
            await gates.popleft()._pass()
        if self._has_crashed:
            raise StoreError("the store has crashed")
        ordered = self._ordered.get((method, moment), 0)
        if ordered:
            self._ordered[method, moment] = ordered - 1
        elif self._chance is None or self._chance.random() >= self._rates[moment]:
            return
        raise StoreError(f"{method} failed on purpose {moment} it took effect")


def with_faults(store: Store, faults: Faults) -> Store:
    """The same store, seen through its faults."""
    return cast(Store, _FaultyStore(store, faults))


class _FaultyStore:
    def __init__(self, inner: Store, faults: Faults) -> None:
        self._inner = inner
        self._faults = faults

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method: Callable[..., Awaitable[Any]] = getattr(self._inner, name)
        return method if name in LIFE else _faulty(name, method, self._faults)


def _faulty(name: str, method: Callable[..., Awaitable[Any]], faults: Faults) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any, **options: Any) -> Any:
        faults.calls[name] += 1
        await faults.at(name, "before")
        answer = await method(*arguments, **options)
        await faults.at(name, "after")
        return answer

    return call
