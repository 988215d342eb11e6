"""Instances and mail as the memory keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field

from perdure.durable.indexes import IndexValue
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.durable.upkeep_records import Receipt

__all__ = ["KeptInstance", "Letter"]


@dataclass(slots=True)
class KeptInstance:
    """An instance at rest. ``record`` lacks its snapshot, which lies beside it as bytes."""

    arrival: int
    record: InstanceRecord
    snapshot_json: bytes
    journal: dict[int, JournalEntry]
    indexes: tuple[IndexValue, ...] = ()
    receipts: dict[str, Receipt] = field(default_factory=dict)


@dataclass(slots=True)
class Letter:
    """Mail with its place in the order of arrival; as a dead letter, with its place in the order of burial."""

    arrival: int
    mail: Mail

    broadcast_at: int | None = None
    """Of a share: the arrival of its broadcast, which is its place in the order."""
    reached: int = 0
    """Of a broadcast: the last membership that it has made a share for."""

    @property
    def place(self) -> int:
        return self.arrival if self.broadcast_at is None else self.broadcast_at

    @property
    def order(self) -> tuple[float, int]:
        return self.mail.due_at, self.place
