"""The store of the random worlds: a memory store that keeps account of itself, behind a disk that is not to be trusted.

``AuditedStore`` outlives every crash. It holds each commit against what was promised the moment it is applied: replay
of the journal, order per pair, timers, families and groups (``FamilyBook``). ``Disk`` stands between it and a runtime.
It writes commits in groups, and loses of a group what a real one may lose: all of it, its end, or the news of it. It
also hands out mail that it has handed out before.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251 - an argument, for its type
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from perdure import Address
from perdure.durable.attempt_turn import is_lease
from perdure.durable.commit import Commit
from perdure.durable.records import InstanceRecord, Mail
from perdure.durable.store import Store
from perdure.errors import StoreError
from perdure.statechart import step as engine
from perdure.stores.memory import MemoryStore
from tests.simulation.family_book import FamilyBook
from tests.simulation.process import outside_of_processes
from tests.simulation.replay import Code, as_read, replayed_step
from tests.simulation.shadows import applied_otherwise, passed_on_otherwise
from tests.simulation.trials import TrialBook, without_attempts

__all__ = ["SHARES_MAX", "AuditedStore", "Disk", "Wear", "as_store"]

SHARES_MAX = 2
"""Of a broadcast, at a time."""


class AuditedStore(MemoryStore):
    """The inner store. It keeps account of what was committed, and of what was wrong with it."""

    def __init__(self, now: Callable[[], float], code: Code) -> None:
        super().__init__()
        self.sent: list[Mail] = []
        self.applied: list[str] = []
        self.void: set[str] = set()
        """Delayed mail that was cancelled, or went with an instance that was deleted or has ended."""
        self.shares: dict[str, list[Mail]] = {}
        """What became of each broadcast whose shares are made."""
        self.failures: list[str] = []
        self.families = FamilyBook()
        self.trials = TrialBook()
        self.redriven: set[str] = set()
        self._now = now
        self._code = code
        self._latest: dict[str, float] = {}
        """The latest time that the clock has shown since a piece of mail was committed."""

    async def commit(self, commit: Commit) -> None:
        address = commit.record.address
        before = await self.load(address)
        in_order = sorted(self._mail.values(), key=lambda letter: letter.place)
        letters = {letter.mail.id: letter.mail for letter in in_order}
        removed = self._consumed(commit) | self._cancelled(commit) if self._is_current(commit) else set()
        await super().commit(commit)
        steps, taken = self._check_record(before, commit), [letters[mail_id] for mail_id in commit.consumed]
        self.failures += self.families.committed(before, commit, taken, steps)
        self.failures += self.trials.committed(before, commit, (letter.mail for letter in self._mail.values()))
        self.failures += passed_on_otherwise(before, commit, steps)
        self.failures += applied_otherwise(before, commit, taken)
        for mail_id in commit.consumed:
            self._check_delivery(letters[mail_id], letters)
            del letters[mail_id]  # what shares a commit with it comes after it
        self.applied += commit.consumed
        self.void |= removed - set(commit.consumed)
        self.sent += commit.mail
        self._latest |= {mail.id: self._now() for mail in commit.mail}

    async def delete_instance(
        self, address: Address, *, expected: InstanceRecord | None = None, mail: tuple[Mail, ...] = ()
    ) -> bool:
        before = self._kept_mail()
        existed = await super().delete_instance(address, expected=expected, mail=mail)
        self.void |= before - self._kept_mail()
        if existed:
            self.sent += mail
            self.families.deleted(address)
        return existed

    async def post_mail(self, mail: tuple[Mail, ...]) -> None:
        await super().post_mail(mail)
        self.sent += mail
        self.families.posted(mail)

    async def redrive_dead_letter(self, org: str, mail_id: str) -> bool:
        is_redriven = await super().redrive_dead_letter(org, mail_id)
        if is_redriven:
            self.redriven.add(mail_id)
            self._latest[mail_id] = max(self._latest.get(mail_id, 0.0), self._now())
        return is_redriven

    async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
        """A few shares at a time, so that there is a moment between them."""
        before = set(self._mail)
        is_more = await super().expand_broadcast(mail_id, min(limit, SHARES_MAX))
        if mail_id in before:
            made = [letter.mail for letter in self._mail.values() if letter.mail.id not in before]
            self.shares.setdefault(mail_id, []).extend(made)
        return is_more

    def mail_sent(self) -> list[Mail]:
        """All of it in the order in which it was sent, the shares of a broadcast in its place."""
        return [
            each
            for mail in self.sent
            for each in (*self.shares.get(mail.id, ()), *(() if self._is_done(mail) else (mail,)))
        ]

    def _is_done(self, mail: Mail) -> bool:
        """Whether this was a broadcast, of which there are only shares now."""
        return mail.kind == "broadcast" and mail.id not in self._mail and mail.id in self.shares

    async def drop_mail(self, mail_id: str) -> None:
        await super().drop_mail(mail_id)
        self.void.add(mail_id)

    def _kept_mail(self) -> set[str]:
        return {*self._mail, *(letter.mail.id for letter in self._dead_letters)}

    def clock_moved(self) -> None:
        """The clock shows another time than before."""
        now = self._now()
        for mail_id in self._mail:
            self._latest[mail_id] = max(self._latest.get(mail_id, now), now)

    def _is_current(self, commit: Commit) -> bool:
        kept = self._instances.get(commit.record.address)
        if kept is None or commit.expected_sequence is None:
            return kept is None and commit.expected_sequence is None
        return (commit.expected_sequence, commit.record.life) == (kept.record.sequence, kept.record.life)

    def _check_record(self, before: InstanceRecord | None, commit: Commit) -> list[engine.Step]:
        """The journal leads from the snapshot before to the one after, and time goes forward. Returns its macrosteps,
        made again.
        """
        record = commit.record
        if before is not None and not record.ts > before.ts:
            self.failures.append(f"ts of {record.address} went from {before.ts} to {record.ts}")
        snapshot = None if before is None else before.snapshot
        steps: list[engine.Step] = []
        for entry in commit.journal:
            steps.append(replayed_step(self._code, snapshot, entry, has_parent=bool(record.parents)))
            snapshot = as_read(steps[-1])
            if snapshot.value != entry.state:
                self.failures.append(f"{record.address}: {entry.event} leads to {snapshot.value}, not {entry.state}")
        if commit.journal and snapshot != without_attempts(record.snapshot):
            self.failures.append(f"{record.address}: replay leads to {snapshot}, not to {record.snapshot}")
        if not commit.journal and (
            before is None or without_attempts(before.snapshot) != without_attempts(record.snapshot)
        ):
            self.failures.append(f"{record.address}: {record.snapshot} has come about without a word in the journal")
        return steps

    def _check_delivery(self, mail: Mail, letters: dict[str, Mail]) -> None:
        """Mail is not applied before its time, nor before what its sender had sent to the same target earlier."""
        early = mail.due_at - max(self._now(), self._latest.get(mail.id, 0.0))
        is_result = mail.kind == "attempt" and is_lease(mail.event)  # what the attempt it backs has come to
        if early > 0 and not is_result:
            self.failures.append(f"mail {mail.id} was applied {early} ms early")
        for earlier in letters.values():  # in the order of their arrival, shares at that of their broadcast
            if earlier.id == mail.id or mail.is_delayed:
                break
            is_share_of = mail.id.startswith(f"{earlier.id}/")
            if earlier.sender == mail.sender and earlier.kind == "broadcast" and not is_share_of:
                self.failures.append(
                    f"mail {mail.id} was applied before the shares of broadcast {earlier.id} were made"
                )
            if (earlier.sender, earlier.target) == (mail.sender, mail.target) and not earlier.is_delayed:
                self.failures.append(f"mail {mail.id} overtook {earlier.id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """How worn a disk is: how often what goes wrong, of 1."""

    group_lost: float = 0.0
    """No commit of a group is applied."""
    group_torn: float = 0.0
    """The first ones of a group are applied, the rest is not."""
    news_lost: float = 0.0
    """Of each commit that was applied: it is answered with an error all the same."""
    mail_again: float = 0.0
    """Of each time that mail is asked for: some that was handed out before comes along."""
    ticks_max: int = 0
    """How many turns of the event loop a write takes at most."""


class Disk:
    """A store over an inner one. Commits gather while one group is written, and are written in their order."""

    def __init__(self, inner: AuditedStore, chance: random.Random, wear: Wear) -> None:
        self.inner = inner
        self.wear = wear
        self._chance = chance
        self._waiting: list[tuple[Commit, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None
        self._handed_out: list[Mail] = []

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method: Callable[..., Awaitable[Any]] = getattr(self.inner, name)
        return method

    async def commit(self, commit: Commit) -> None:
        """As the protocol says; a commit whose coroutine is gone is written all the same."""
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((commit, answer))
        if self._writing is None:
            self._writing = outside_of_processes(self._write())
        await answer

    async def due_mail(self, now: float, limit: int, **options: Any) -> list[Mail]:
        due = await self.inner.due_mail(now, limit, **options)
        again: list[Mail] = []
        if self._handed_out and self._chance.random() < self.wear.mail_again:
            again = self._chance.sample(self._handed_out, min(len(self._handed_out), 3))
            again = [mail for mail in again if mail.id in self.inner.applied and mail not in due]
        self._handed_out += due
        return [*due, *again]

    async def _write(self) -> None:
        while self._waiting:
            for _ in range(self._chance.randint(0, self.wear.ticks_max)):
                await asyncio.sleep(0)
            group, self._waiting = self._waiting, []
            fate = self._chance.random()
            end = len(group)
            if fate < self.wear.group_lost:
                end = 0
            elif fate < self.wear.group_lost + self.wear.group_torn:
                end = self._chance.randint(0, len(group))
            for place, (commit, answer) in enumerate(group):
                error = await self._apply(commit) if place < end else StoreError("this commit was not written")
                tell(answer, error)
        self._writing = None

    async def _apply(self, commit: Commit) -> Exception | None:
        """Apply a commit; what its caller is told, if it is an error."""
        try:
            await self.inner.commit(commit)
        except Exception as error:
            return error
        if self._chance.random() < self.wear.news_lost:
            return StoreError("this commit was written, and the news of it got lost")
        return None


def tell(answer: asyncio.Future[None], error: Exception | None) -> None:
    """Answer a commit; whoever waited for it may be gone."""
    if answer.done():
        return
    if error is None:
        answer.set_result(None)
    else:
        answer.set_exception(error)
        answer.exception()


def as_store(disk: Disk) -> Store:
    """The disk as what it implements: most of its methods are its inner store's."""
    return disk  # type: ignore[return-value]  # __getattr__ passes on
