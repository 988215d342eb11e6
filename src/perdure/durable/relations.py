"""What the host application may do about families and groups of instances: a part of the runtime.

Machines do the same with the actions ``adopt``, ``broadcast``, ``join_group`` and ``leave_group``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perdure.durable.checked_input import ensure_name, sendable
from perdure.durable.envelope import Envelope
from perdure.durable.message import TakeIn
from perdure.durable.records import Address, Mail, Page, group_address, host_address
from perdure.durable.store import Store
from perdure.errors import InvalidParameter
from perdure.statechart.event import EventLike

if TYPE_CHECKING:
    from perdure.durable.delivery import Delivery
    from perdure.durable.limits import Limits
    from perdure.durable.watchers import InstanceState

__all__ = ["Relations"]


class Relations(ABC):
    """Adoption, broadcasts and groups. A base of ``Runtime``, which has the rest."""

    store: Store
    delivery: Delivery
    limits: Limits

    async def adopt(
        self,
        parent: Address,
        child: Address,
        *,
        child_id: str | None = None,
        detached: bool = False,
        auto_forward: bool = False,
        sync: bool = False,
    ) -> None:
        """Have one instance adopt another, as if its machine had done so with the action ``adopt``.

        What the child says to it comes later, or ``error.platform.<child_id>`` when it refuses, has ended or is not
        there. Raises ``NotFound``, ``InvalidState`` and ``InstanceEnded`` of the parent; ``EventFailed`` when the two
        are one; ``TooManyChildren``; ``InvalidParameter`` for instances of two orgs.
        """
        if parent.org != child.org:
            raise InvalidParameter(f"{child} belongs to another org than {parent}", "child")
        message = TakeIn(child=child, child_id=child_id, detached=detached, auto_forward=auto_forward, sync=sync)
        await self._ask(parent, Envelope(message))

    async def broadcast(self, org: str, to: str | Sequence[Address], event: EventLike) -> None:
        """Send an event to every member of a group of the org, or to each of a list of its instances, in the name of
        the host application: no ``allow_write`` is asked.

        Once this returns, each of them gets it exactly once, whatever dies meanwhile, but for members that end or are
        deleted before; who joins the group later does not. Raises ``InvalidParameter``, ``EventTooLarge``.
        """
        sent = sendable(event, self.limits.event_bytes_max)
        if isinstance(to, str):
            ensure_name(to, "group")
        receivers = [group_address(org, to)] if isinstance(to, str) else list(to)
        name, kind = self.fresh_name(), "broadcast" if isinstance(to, str) else "share"
        mail = tuple(
            Mail(
                id=f"{name}#{place}",
                kind=kind,  # type: ignore[arg-type]  # one of two kinds
                sender=host_address(org),
                target=receiver,
                due_at=0.0,
                event=sent,
            )
            for place, receiver in enumerate(receivers)
        )
        if mail:
            await self.store.post_mail(mail)
            self.delivery.notice(mail)

    async def group_members(
        self, org: str, group: str, *, cursor: str | None = None, limit: int = 1000
    ) -> Page[Address]:
        """The present members of a group, in the order in which they joined it, in pages. Raises ``InvalidParameter``
        for a cursor that is none.
        """
        return await self.store.list_members(org, group, cursor=cursor, limit=limit)

    # -- of the runtime ----------------------------------------------------------------------------

    @abstractmethod
    def fresh_name(self) -> str: ...

    @abstractmethod
    async def _ask(self, address: Address, envelope: Envelope) -> InstanceState: ...
