"""The part of the store protocol about groups, and about mail that does not leave in the commit of one instance.

A **group** is a name within an org, and there is nothing to it but its members: instances join and leave it in their
own commits (``Commit.joins``, ``Commit.leaves``), an instance that ends or is deleted leaves all of its groups.

A **broadcast** is one piece of mail of the kind ``broadcast``, whose target names a group (``group_address``). Whoever
delivers mail has the store turn it into one ``share`` for each member, some at a time, so that neither the commit that
sends it nor a step of its delivery grows with the group. Three things make that right:

- **The cut.** A share is made for who is a member as of the commit of the broadcast, with the joins and leaves of that
  same commit; joins and leaves of later commits do not count, however long the store takes.
- **Once.** The shares of a step and the mark of how far the broadcast has come are one atomic write.
- **Order.** A share takes the place of its broadcast in the order of mail. What the sender commits after a broadcast is
  not due before all shares of it are made.

Strong throughout.
"""

from __future__ import annotations

from typing import Protocol

from perdure.durable.records import Address, Mail, Page

__all__ = ["GroupStore"]


class GroupStore(Protocol):
    """Groups, broadcasts, and mail of the host application."""

    async def expand_broadcast(self, mail_id: str, limit: int) -> bool:
        """Make the next shares of a broadcast, at most ``limit``; whether there may be more to make.

        With the last one the broadcast itself is gone. Unknown ids are no error: there is no more to make. A share has
        the sender, the event and the due time of its broadcast.
        """
        ...

    async def is_broadcasting(self, sender: Address) -> bool:
        """Whether shares of a broadcast of this sender have yet to be made."""
        ...

    async def list_members(self, org: str, group: str, *, cursor: str | None, limit: int) -> Page[Address]:
        """The present members of a group, in the order in which they joined; none of a group that nobody has joined.

        A cursor is as in ``Store``'s lists.
        """
        ...

    async def post_mail(self, mail: tuple[Mail, ...]) -> None:
        """Insert mail that no instance's commit sends, all or nothing. Raises ``StoreError`` when an id is in use."""
        ...
