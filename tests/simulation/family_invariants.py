"""What must be true of relatives and groups, in a world that has come to rest."""

from __future__ import annotations

from collections import Counter

from perdure import Address
from perdure.durable.family import standing
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from perdure.statechart.event import ERROR_PLATFORM, UPDATE, snapshot_type
from tests.simulation.families import ORG
from tests.simulation.world import RandomWorld

__all__ = ["broadcasts_broken", "errors_broken", "ties_broken", "updates_broken"]


def broadcasts_broken(world: RandomWorld, records: dict[Address, InstanceRecord], dead: list[Mail]) -> list[str]:
    """Who was in the group as of the commit has applied a broadcast once, nobody else has, and nobody twice."""
    book = world.store.families
    buried = {(mail.event["number"], mail.target) for mail in dead if mail.kind == "share" and mail.event is not None}
    found = []
    for (number, life), times in book.heard.items():
        if number not in book.cries:
            found.append(f"broadcast {number} was applied by {life[0]} and committed by nobody")
        elif life not in book.cries[number].members:
            found.append(f"broadcast {book.cries[number]} was applied by {life[0]}, which was not in the group")
        elif times > 1:
            found.append(f"broadcast {number} was applied {times} times by {life[0]}")
    for cry in book.cries.values():
        for address, life_name in cry.members:
            record = records.get(address)
            if record is None or record.life != life_name or record.snapshot.status != "active":
                continue  # who is gone, or has ended, is passed over
            if (cry.number, address) not in buried and not book.heard[cry.number, (address, life_name)]:
                found.append(f"broadcast {cry} was never applied by {address}")
    return found


def ties_broken(world: RandomWorld, records: dict[Address, InstanceRecord], dead: list[Mail]) -> list[str]:
    """Who was ever held is held still or has ended; parents and children count on each other."""
    found = []
    unstopped = {mail.target for mail in dead if mail.kind == "stop"}
    for address, record in records.items():
        if record.snapshot.status != "active":
            continue
        is_held = any(
            not tie.detached and counts_on(records, tie.address, tie.child_id, address) for tie in record.parents
        )
        if not is_held and (address, record.life) in world.store.families.held and address not in unstopped:
            found.append(f"{address} lives on though none of {record.parents} holds it")
        for child in record.snapshot.children.values():
            kid = Address(ORG, child.source, child.instance or "")
            if kid not in records or world.deletes.get(kid) or records[kid].snapshot.status != "active":
                continue
            if not any((tie.address, tie.child_id) == (address, child.id) for tie in records[kid].parents):
                found.append(f"{address} counts on its child {child.id}, and {kid} does not know it")
    return found


def counts_on(records: dict[Address, InstanceRecord], parent: Address, child_id: str, kid: Address) -> bool:
    record = records.get(parent)
    child = None if record is None else record.snapshot.children.get(child_id)
    return (
        record is not None
        and record.snapshot.status == "active"
        and child is not None
        and (child.source, child.instance) == (kid.machine, kid.instance)
    )


def updates_broken(world: RandomWorld, records: dict[Address, InstanceRecord], dead: list[Mail]) -> list[str]:
    """A parent that asked for it knows where each living child stands."""
    latest = {
        (mail.sender, mail.target, mail.event["type"], mail.event.get("id")): mail.id
        for mail in world.store.mail_sent()
        if mail.event is not None and mail.event["type"].startswith("xstate.")
    }
    buried = {mail.id for mail in dead}
    found = []
    for address, record in records.items():
        for child in record.snapshot.children.values():
            kid = Address(ORG, child.source, child.instance or "")
            if address.machine not in ("clan", "boss") or record.snapshot.status != "active":
                continue
            if kid not in records or records[kid].snapshot.status != "active":
                continue
            if not child.sync and address.machine == "clan":
                continue
            word = (UPDATE, child.id) if child.sync else (snapshot_type(child.id), None)
            known = record.snapshot.context["known"].get(child.id)
            if known != standing(records[kid].snapshot) and latest.get((kid, address, *word)) not in buried:
                found.append(f"{address} has {known} of its child {child.id}, which is at {records[kid].snapshot}")
    return found


def errors_broken(journals: dict[Address, list[JournalEntry]]) -> list[str]:
    """An error that a child has reported is heard once by each parent that had it, as the journals of both say."""
    heard = Counter(
        (address, entry.event["type"], entry.event["data"]["number"])
        for address, entries in journals.items()
        for entry in entries
        if entry.event["type"].startswith(ERROR_PLATFORM) and "number" in (entry.event.get("data") or {})
    )
    return [
        f"{address} has heard {event_type} of {number} {times} times"
        for (address, event_type, number), times in heard.items()
        if times > 1
    ]
