"""Groups and broadcasts in memory.

A membership says between which moments it counts: it was begun at one arrival and, where a broadcast still needs to
know, ended at another. A broadcast reaches those memberships that its own arrival lies between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from perdure.durable.commit import Commit
from perdure.durable.records import Address, Mail, Page, group_address
from perdure.errors import StoreError
from perdure.stores.memory.kept import Letter
from perdure.stores.memory.numbered import copy_of, page

__all__ = ["GroupTables"]


@dataclass(slots=True)
class Membership:
    """An instance in a group, from one arrival to another."""

    group: Address
    member: Address
    begun_at: int
    ended_at: int | None = None

    def counts_at(self, arrival: int) -> bool:
        return self.begun_at < arrival and (self.ended_at is None or arrival < self.ended_at)


class GroupTables:
    """Implements ``perdure.durable.group_store.GroupStore`` over the letters of the store."""

    _arrivals: Iterator[int]
    _mail: dict[str, Letter]

    def __init__(self) -> None:
        self._memberships: dict[int, Membership] = {}

    async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
        broadcast = self._mail.get(mail_id)
        if broadcast is None or broadcast.mail.kind != "broadcast":
            return False
        mail, place = broadcast.mail, broadcast.arrival
        waiting = [
            (key, membership.member)
            for key, membership in self._memberships.items()
            if key > broadcast.reached and membership.group == mail.target and membership.counts_at(place)
        ]
        for key, member in waiting[:limit]:
            share = msgspec.structs.replace(mail, id=f"{mail.id}/{key}", kind="share", target=member)
            self._mail[share.id] = Letter(next(self._arrivals), share, broadcast_at=place)
            broadcast.reached = key
        if len(waiting) > limit:
            return True
        del self._mail[mail_id]
        self._forget_ended(mail.target)
        return False

    async def is_broadcasting(self, sender: Address) -> bool:
        return any(letter.mail.sender == sender for letter in self._broadcasts())

    async def list_members(self, org: str, group: str, *, cursor: str | None, limit: int) -> Page[Address]:
        name = group_address(org, group)
        rows = (
            (key, membership.member)
            for key, membership in self._memberships.items()
            if membership.group == name and membership.ended_at is None
        )
        return page(rows, ("members", org, group), cursor, limit)

    async def post_mail(self, mail: tuple[Mail, ...]) -> None:
        self._send(self._outgoing(mail, set()))

    # -- what commits do -----------------------------------------------------------------------------------------

    def _outgoing(self, mail: tuple[Mail, ...], removed: set[str]) -> list[Mail]:
        """Copies of the mail that is sent. An id stands for one letter at a time."""
        taken = {each.id for each in mail if each.id in self._mail and each.id not in removed}
        if taken or len({each.id for each in mail}) < len(mail):
            raise StoreError(f"{mail[0].sender} sends mail under an id that is already taken")
        return [copy_of(each) for each in mail]

    def _send(self, mail: list[Mail]) -> None:
        for each in mail:
            self._mail[each.id] = Letter(next(self._arrivals), each)

    def _change_memberships(self, commit: Commit) -> None:
        """A commit's leaves and joins, before its mail is sent."""
        address = commit.record.address
        left = {group_address(address.org, name) for name in commit.leaves}
        for membership in self._present(address):
            if commit.cancels_all or membership.group in left:
                membership.ended_at = next(self._arrivals)
                self._forget_ended(membership.group)
        present = {membership.group for membership in self._present(address)}
        for name in dict.fromkeys(() if commit.cancels_all else commit.joins):
            group = group_address(address.org, name)
            if group not in present:
                key = next(self._arrivals)
                self._memberships[key] = Membership(group, address, begun_at=key)

    def _end_memberships(self, address: Address) -> None:
        """The instance is gone: no broadcast that is under way reaches it."""
        self._memberships = {key: other for key, other in self._memberships.items() if other.member != address}

    def _present(self, address: Address) -> list[Membership]:
        return [each for each in self._memberships.values() if each.member == address and each.ended_at is None]

    def _broadcasts(self) -> list[Letter]:
        return [letter for letter in self._mail.values() if letter.mail.kind == "broadcast"]

    def _first_broadcasts(self) -> dict[Address, int]:
        """For each sender with broadcasts under way the place of the first one."""
        first: dict[Address, int] = {}
        for letter in self._broadcasts():
            first[letter.mail.sender] = min(letter.arrival, first.get(letter.mail.sender, letter.arrival))
        return first

    def _forget_ended(self, group: Address) -> None:
        """Forget the memberships that have ended and that no broadcast under way needs to know."""
        under_way = [letter.arrival for letter in self._broadcasts() if letter.mail.target == group]
        self._memberships = {
            key: each
            for key, each in self._memberships.items()
            if each.group != group or each.ended_at is None or any(arrival < each.ended_at for arrival in under_way)
        }
