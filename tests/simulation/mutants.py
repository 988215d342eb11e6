"""Bugs, put in by hand: what a durable runtime must never do, and the random worlds have to notice.

Each is a small change around the real code, made while its world runs: a host, a store or a resident that does the
wrong thing at the one moment in question. `make simulate-mutants` shows after how many seeds each is found.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast
from unittest import mock

import msgspec
from rich.console import Console
from rich.table import Table

from perdure.durable import family
from perdure.durable import runtime as runtime_module
from perdure.durable.commit import Commit, Turn
from perdure.durable.envelope import Envelope
from perdure.durable.records import InstanceRecord, VersionRecord
from perdure.durable.resident import Resident
from perdure.durable.runtime import Runtime
from perdure.durable.store import Store
from perdure.errors import StoreError
from perdure.hosts.in_process import InProcessHost
from tests.simulation.invariants import violations
from tests.simulation.mutants_of_trades import MUTANTS_OF_TRADES
from tests.simulation.store import AuditedStore
from tests.simulation.world import Bugs, RandomWorld

__all__ = ["MUTANTS", "first_seed_that_finds"]

SEEDS_MAX = 300
WORLD_SECONDS_MAX = 60


class EffectBeforeCommit(Bugs):
    """Effects are performed as soon as the turn is computed."""

    def host(self, runtime_of: Callable[[], Runtime]) -> InProcessHost:
        class Hasty(InProcessHost):
            async def turn(self, version: VersionRecord, *arguments: Any, **options: Any) -> Turn:
                turn = await super().turn(version, *arguments, **options)
                resident = runtime_of()._residents[turn.commit.record.address]
                super().perform(version, turn.effects, resident)
                return turn

            def perform(self, version: VersionRecord, effects: Sequence[Any], world: Any) -> None:
                pass

        return Hasty()


class CommitsOtherwise:
    """A store that commits in a way of its own; ``inner`` is the account behind it."""

    def __init__(self, store: Store, inner: AuditedStore) -> None:
        self.outer = store
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.outer, name)

    async def commit(self, commit: Commit) -> None:
        raise NotImplementedError


class MailAcknowledgedBeforeCommit(Bugs):
    """Mail is taken off the list first, and applied then."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Eager(CommitsOtherwise):
            async def commit(self, commit: Commit) -> None:
                for mail_id in commit.consumed:
                    await self.outer.drop_mail(mail_id)
                    self.inner.void.discard(mail_id)  # nobody wanted it dropped
                taken = commit.consumed
                await self.outer.commit(msgspec.structs.replace(commit, consumed=()))
                self.inner.applied += taken

        return cast(Store, Eager(store, inner))


class NoCompareAndSwap(Bugs):
    """Whoever commits last is right."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Blind(CommitsOtherwise):
            async def commit(self, commit: Commit) -> None:
                present = await self.inner.load(commit.record.address)
                await self.outer.commit(commit if present is None else over(commit, present))

        return cast(Store, Blind(store, inner))


def over(commit: Commit, present: InstanceRecord) -> Commit:
    """The commit, as if it had been made from the present record."""
    if commit.expected_sequence is None:
        return commit
    shift = present.sequence - commit.expected_sequence
    return msgspec.structs.replace(
        commit,
        expected_sequence=present.sequence,
        record=msgspec.structs.replace(commit.record, sequence=commit.record.sequence + shift),
        journal=tuple(msgspec.structs.replace(entry, sequence=entry.sequence + shift) for entry in commit.journal),
        mail=tuple(
            msgspec.structs.replace(mail, id=f"{mail.id}+{shift}" if shift else mail.id) for mail in commit.mail
        ),
    )


class LostTimer(Bugs):
    """Timers are kept in memory for a moment, and stored when there is time."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Forgetful(CommitsOtherwise):
            async def commit(self, commit: Commit) -> None:
                await self.outer.commit(commit)
                timers = {mail.id for mail in commit.mail if mail.is_delayed}
                remembered = {mail_id: self.inner._mail.pop(mail_id) for mail_id in timers & self.inner._mail.keys()}
                if remembered:
                    await asyncio.sleep(0)
                    self.inner._mail |= remembered

        return cast(Store, Forgetful(store, inner))


class DoubleRetry(Bugs):
    """When the store fails, the message is simply handled again, though it may have been applied."""

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        class Stubborn(Resident):
            async def _run(self, envelope: Envelope) -> InstanceRecord | None:
                try:
                    return await super()._run(envelope)
                except StoreError:
                    return await super()._run(envelope)

        with mock.patch.object(runtime_module, "Resident", Stubborn):
            yield


class LateMembers(Bugs):
    """A broadcast goes to whoever is in the group when it is delivered."""

    def store(self, store: Store, inner: AuditedStore) -> Store:
        class Late(CommitsOtherwise):
            async def commit(self, commit: Commit) -> None:
                await self.outer.commit(commit)

            async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
                if mail_id in self.inner._mail:
                    self.inner._mail[mail_id].arrival = next(self.inner._arrivals)
                return await self.outer.expand_broadcast(mail_id, limit)

        return cast(Store, Late(store, inner))


class HeldForEver(Bugs):
    """Whose last parent lets go lives on."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        return mock.patch.object(family, "is_held", return_value=True)


class FirstParentOnly(Bugs):
    """Of several parents that want to know where a child stands, the first one is told."""

    def planted(self) -> contextlib.AbstractContextManager[object]:
        real = family.words_of_progress
        return mock.patch.object(family, "words_of_progress", lambda parents, snapshot: real(parents[:1], snapshot))


MUTANTS: dict[str, type[Bugs]] = {
    "effect before commit": EffectBeforeCommit,
    "mail acknowledged before commit": MailAcknowledgedBeforeCommit,
    "no compare-and-swap": NoCompareAndSwap,
    "lost timer": LostTimer,
    "double retry": DoubleRetry,
    "members as of delivery": LateMembers,
    "held for ever": HeldForEver,
    "one parent is told": FirstParentOnly,
    **MUTANTS_OF_TRADES,
}


async def verdict(seed: int, bugs: Bugs) -> list[str]:
    """What is wrong with the world of a seed; that it hangs or breaks down is something wrong too."""
    world = RandomWorld(seed, bugs)
    try:
        await asyncio.wait_for(world.run(), WORLD_SECONDS_MAX)
    except Exception as error:
        return [*world.failures, *world.store.failures, f"the world broke down: {error!r}"]
    return await violations(world)


def first_seed_that_finds(bugs: Callable[[], Bugs], seeds_max: int = SEEDS_MAX) -> tuple[int, str] | None:
    """How many seeds it takes, beginning with 0, and what the last of them finds."""
    for seed in range(seeds_max):
        found = asyncio.run(verdict(seed, bugs()))
        if found:
            return seed + 1, textwrap.shorten(found[0], 90)
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=SEEDS_MAX, help="look no further")
    seeds_max = parser.parse_args().seeds
    logging.disable(logging.CRITICAL)  # worlds in which so much fails have much to say
    table = Table("bug", "found after seeds", "by", title="bugs put in by hand")
    missed = 0
    for name, bugs in MUTANTS.items():
        found = first_seed_that_finds(bugs, seeds_max)
        missed += found is None
        table.add_row(name, *((str(found[0]), found[1]) if found else (f"not in {seeds_max}", "")))
    Console(width=160).print(table)
    raise SystemExit(1 if missed else 0)


if __name__ == "__main__":
    main()
