"""Groups and broadcasts in SQLite. What the writer does to a commit's memberships is here too."""

from __future__ import annotations

import sqlite3
from functools import partial

from perdure.durable.commit import Commit
from perdure.durable.records import Address, Mail, Page
from perdure.stores.sqlite.queries import QUERIES
from perdure.stores.sqlite.rows import address_row, mail_row
from perdure.stores.sqlite.statements import Statements

__all__ = ["GroupQueries", "MembershipChanges"]


class GroupQueries(Statements):
    """Implements ``perdure.durable.group_store.GroupStore``."""

    async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
        return await self._write(partial(_expand_broadcast, mail_id=mail_id, limit=limit))

    async def is_broadcasting(self, sender: Address) -> bool:
        return bool(await self._value("is_broadcasting", address_row(sender)))

    async def list_members(self, org: str, group: str, *, cursor: str | None, limit: int) -> Page[Address]:
        return await self._page("list_members", ("members", org, group), cursor, limit, lambda row: Address(*row))

    async def post_mail(self, mail: tuple[Mail, ...]) -> None:
        sent = [mail_row(each) for each in mail]
        await self._write(lambda connection: _post_mail(connection, sent))

    async def _value(self, query: str, parameters: tuple[object, ...]) -> object:
        """The one value that a query answers."""
        row = await self._row(query, parameters)
        assert row is not None
        return row[0]


def _post_mail(connection: sqlite3.Connection, sent: list[tuple[object, ...]]) -> None:
    connection.executemany(QUERIES["send_mail"], sent)


def _expand_broadcast(connection: sqlite3.Connection, mail_id: str, limit: int) -> bool:
    broadcast = connection.execute(QUERIES["load_broadcast"], (mail_id,)).fetchone()
    if broadcast is None:
        return False
    place, reached, org, name = broadcast
    found = connection.execute(QUERIES["members_to_reach"], (org, name, reached, place, place, limit + 1)).fetchall()
    members = found[:limit]
    connection.executemany(QUERIES["send_share"], [(*member, mail_id) for member in members])
    if len(found) > limit:
        connection.execute(QUERIES["mark_broadcast"], (members[-1][0], mail_id))
        return True
    connection.execute(QUERIES["delete_mail"], (mail_id,))
    connection.execute(QUERIES["forget_memberships"], (org, name))
    return False


class MembershipChanges:
    """A commit's leaves and joins."""

    __slots__ = ("address", "joins", "leaves", "leaves_all")

    def __init__(self, commit: Commit) -> None:
        self.address = commit.record.address
        self.leaves_all = commit.cancels_all
        self.leaves = commit.leaves
        self.joins = () if commit.cancels_all else commit.joins

    def apply(self, connection: sqlite3.Connection) -> None:
        """To be done before the commit's mail is sent."""
        org, machine, instance = address_row(self.address)
        left = set(self.leaves)
        for name in self.leaves:
            connection.execute(QUERIES["leave_group"], (org, name, machine, instance))
        if self.leaves_all:
            rows = connection.execute(QUERIES["leave_all_groups"], (org, machine, instance)).fetchall()
            left |= {name for (name,) in rows}
        for name in left:
            connection.execute(QUERIES["forget_memberships"], (org, name))
        for name in self.joins:
            connection.execute(QUERIES["join_group"], (org, name, machine, instance))
