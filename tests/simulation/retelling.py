"""What random worlds have asked of their store, asked of another one, which has to answer the same.

The store of the worlds keeps everything in memory and cannot lose any of it. Every question and every write that it was
given, in the order in which it took them, with what it answered or raised, is a trial for a store with a disk: groups,
broadcasts, receipts, dead letters and all. Commits that came one after the other are handed over at once, so that they
make groups; now and then the other store is closed, and opened again.

The ids of the shares of a broadcast are each store's own; here a share goes by its broadcast and its receiver. No share
is before another of the same broadcast.
"""

from __future__ import annotations

import asyncio
import itertools
import random  # noqa: TID251 - seeded: a seed is a retelling
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.records import Mail, Page
from perdure.durable.store import Store
from perdure.errors import PerdureError
from tests.simulation.store import SHARES_MAX
from tests.simulation.world import RandomWorld

__all__ = ["Call", "overheard", "told_otherwise"]

HEARD = (
    "add_migration",
    "add_version",
    "amend_receipt",
    "bury_mail",
    "commit",
    "create_machine",
    "create_org",
    "dead_letter",
    "defer_mail",
    "delete_instance",
    "drop_mail",
    "due_mail",
    "expand_broadcast",
    "is_broadcasting",
    "journal",
    "list_dead_letters",
    "list_instances",
    "list_members",
    "load",
    "machine",
    "next_mail_at",
    "next_times",
    "pending_mail",
    "post_mail",
    "receipt",
    "redrive_dead_letter",
    "version",
)
GROUP_MAX = 12
REOPENED = 0.005
"""How often the store is closed and opened again, of each call."""


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    outcome: Any
    """What was answered, or the type of what was raised."""


def overheard(world: RandomWorld) -> list[Call]:
    """Everything that the store of this world is asked from now on."""
    calls: list[Call] = []
    for method in HEARD:
        setattr(world.store, method, listening(method, getattr(world.store, method), calls))
    return calls


def listening(method: str, real: Callable[..., Awaitable[Any]], calls: list[Call]) -> Callable[..., Awaitable[Any]]:
    async def call(*arguments: Any, **options: Any) -> Any:
        if method == "expand_broadcast":
            arguments = (arguments[0], min(arguments[1], SHARES_MAX))
        try:
            answer = await real(*arguments, **options)
        except PerdureError as error:
            calls.append(Call(method, arguments, options, type(error)))
            raise
        calls.append(Call(method, arguments, options, plain(answer)))
        return answer

    return call


def plain(answer: Any) -> Any:
    """What is compared of an answer: of pages their rows, since each store has cursors of its own."""
    return [*answer.rows] if isinstance(answer, Page) else answer


class Names:
    """What one store calls the shares of broadcasts."""

    def __init__(self) -> None:
        self._ids: dict[tuple[str, str], str] = {}
        self._places: dict[str, tuple[str, str]] = {}

    def learnt(self, answer: Any) -> Any:
        """An answer, without these ids."""
        if isinstance(answer, list):
            runs = itertools.groupby((self.learnt(each) for each in answer), broadcast_of)
            return [each for key, run in runs for each in (sorted(run, key=str) if key else run)]
        if not isinstance(answer, Mail) or answer.kind != "share" or "/" not in answer.id:
            return answer
        place = (answer.id.partition("/")[0], str(answer.target))
        self._ids[place], self._places[answer.id] = answer.id, place
        return msgspec.structs.replace(answer, id="/".join(place))

    def said_by(self, other: Names, argument: Any) -> Any:
        """What the other store was told, as this one has to be."""
        if isinstance(argument, str):
            place = other._places.get(argument)
            return argument if place is None else self._ids.get(place, argument)
        if isinstance(argument, list | tuple | set | frozenset):
            return [self.said_by(other, each) for each in argument]
        if isinstance(argument, Commit):
            return msgspec.structs.replace(argument, consumed=tuple(self.said_by(other, argument.consumed)))
        return argument


def broadcast_of(answer: Any) -> str | None:
    return answer.id.partition("/")[0] if isinstance(answer, Mail) and answer.kind == "share" else None


async def told_otherwise(calls: list[Call], open_store: Callable[[], Awaitable[Store]], seed: int) -> str | None:
    """The first answer of a store that differs, if any. It is opened as often as it has to be."""
    chance, reference, names = random.Random(seed), Names(), Names()
    store = await open_store()
    place = 0
    try:
        while place < len(calls):
            group = calls[place : place + 1]
            if group[0].method == "commit":
                end = place + chance.randint(1, GROUP_MAX)
                while place + len(group) < end and place + len(group) < len(calls):
                    if calls[place + len(group)].method != "commit":
                        break
                    group.append(calls[place + len(group)])
            answers = await asyncio.gather(*(asked(store, call, reference, names) for call in group))
            for call, answer in zip(group, answers, strict=True):
                if names.learnt(answer) != reference.learnt(call.outcome):
                    return f"{call} of {len(calls)}, at {place}: answered {answer}"
            place += len(group)
            if chance.random() < REOPENED:
                await store.close()
                store = await open_store()
    finally:
        await store.close()
    return None


async def asked(store: Store, call: Call, reference: Names, names: Names) -> Any:
    arguments = [names.said_by(reference, argument) for argument in call.arguments]
    options = {name: names.said_by(reference, option) for name, option in call.options.items()}
    try:
        return plain(await getattr(store, call.method)(*arguments, **options))
    except PerdureError as error:
        return type(error)
