"""What must be true of every world that has come to rest, whatever happened in it."""

from __future__ import annotations

from collections import Counter

from perdure import Address, Snapshot
from perdure.durable.records import InstanceRecord, JournalEntry, Mail
from tests.simulation.family_invariants import broadcasts_broken, errors_broken, ties_broken, updates_broken
from tests.simulation.replay import Code, replayed
from tests.simulation.trials import without_attempts
from tests.simulation.world import ORG, UNKNOWN_LIFE, RandomWorld, Request

__all__ = ["violations"]


async def violations(world: RandomWorld) -> list[str]:
    """Everything that is not as promised, in words."""
    found = [*world.failures, *world.store.failures]
    records = await all_records(world)
    journals = {address: await journal(world, address) for address in records}
    dead = list((await world.store.list_dead_letters(ORG, cursor=None, limit=100_000)).rows)
    for address, record in records.items():
        found += replayed_otherwise(world.code, record, journals[address])
    found += requests_broken(world, journals)
    found += readings_broken(world)
    found += mail_broken(world, dead)
    found += children_broken(world, records, dead)
    found += ties_broken(world, records, dead)
    found += updates_broken(world, records, dead)
    found += broadcasts_broken(world, records, dead)
    found += errors_broken(journals)
    return found


async def all_records(world: RandomWorld) -> dict[Address, InstanceRecord]:
    records = {}
    for machine in world.definitions:
        for summary in (await world.store.list_instances(ORG, machine, cursor=None, limit=100_000)).rows:
            address = Address(ORG, machine, summary.name)
            record = await world.store.load(address)
            assert record is not None
            records[address] = record
    return records


async def journal(world: RandomWorld, address: Address) -> list[JournalEntry]:
    return list((await world.store.journal(address, cursor=None, limit=100_000)).rows)


# -- the journal says how the instance came to where it is -------------------------------------------------------------


def replayed_otherwise(code: Code, record: InstanceRecord, entries: list[JournalEntry]) -> list[str]:
    found: list[str] = []
    snapshot: Snapshot | None = None
    for entry in entries:
        snapshot = replayed(code, snapshot, entry, has_parent=bool(record.parents))
        if snapshot.value != entry.state:
            found.append(
                f"{record.address}: the journal has {entry.state} after {entry.event}, replay {snapshot.value}"
            )
    if snapshot != without_attempts(record.snapshot):
        found.append(f"{record.address}: the journal leads to {snapshot}, the store has {record.snapshot}")
    times = [entry.created_at for entry in entries]
    if times != sorted(times):
        found.append(f"{record.address}: the times of the journal go back")
    return found


# -- what clients were told --------------------------------------------------------------------------------------------


def requests_broken(world: RandomWorld, journals: dict[Address, list[JournalEntry]]) -> list[str]:
    found: list[str] = []
    asked: dict[Address, list[tuple[Request, int]]] = {}
    for request in world.requests:
        entries = journals.get(request.address, [])
        places = [
            place
            for place, entry in enumerate(entries)
            if entry.event.get("number") == request.number and entry.sender is None and is_clients(entry)
        ]
        is_present_life = request.life == world.deletes.get(request.address, 0)
        if len(places) > 1:
            found.append(f"{request} was applied {len(places)} times")
        if request.ended_at is not None and is_present_life and not places:
            found.append(f"{request} was acknowledged and is not in the journal")
        if places and (is_present_life or request.life == UNKNOWN_LIFE):
            asked.setdefault(request.address, []).append((request, places[0]))
    for pairs in asked.values():
        for former, place in pairs:
            for later, later_place in pairs:
                if former.ended_at is not None and former.ended_at < later.begun_at:
                    if place > later_place:
                        found.append(f"{former} was answered before {later} was sent, and applied after it")
                    if later.ended_at is not None and former.ts >= later.ts:
                        found.append(f"ts does not grow from {former} to {later}")
    return found


def readings_broken(world: RandomWorld) -> list[str]:
    """Whoever reads after an answer sees what it answered, or something newer."""
    return [
        f"{reading} saw less than {request} had been answered"
        for reading in world.readings
        for request in world.requests
        if (request.address, request.life) == (reading.address, reading.life)
        and reading.life != UNKNOWN_LIFE
        and request.ended_at is not None
        and request.ended_at < reading.begun_at
        and request.ts > reading.ts
    ]


def is_clients(entry: JournalEntry) -> bool:
    """Not a timer or a message of the instance to itself, which carry the number of the event they came of."""
    return entry.event["type"] not in ("ECHO", "RING", "TOLD", "CRIED", "CALLED")


# -- mail --------------------------------------------------------------------------------------------------------------


def mail_broken(world: RandomWorld, dead: list[Mail]) -> list[str]:
    found = [
        f"mail {mail_id} was applied {times} times"
        for mail_id, times in Counter(world.store.applied).items()
        if times > 1
    ]
    found += [
        f"mail {mail_id} is {times} dead letters"
        for mail_id, times in Counter(mail.id for mail in dead).items()
        if times > 1
    ]
    place = {mail_id: number for number, mail_id in enumerate(world.store.applied)}
    buried = {mail.id for mail in dead}
    last: dict[tuple[Address, Address], int] = {}
    for mail in world.store.mail_sent():
        if mail.id in place and mail.id in buried:
            found.append(f"mail {mail.id} was applied and is a dead letter")
        is_over = mail.id in place or mail.id in buried or mail.id in world.store.void
        if not is_over and (mail.is_delayed or not world.deletes.get(mail.target)):
            found.append(f"mail {mail.id} of kind {mail.kind} from {mail.sender} to {mail.target} is lost")
        if mail.is_delayed:
            continue
        pair = (mail.sender, mail.target)
        if mail.id in place:
            if mail.id in world.store.redriven:
                continue  # others went on without it
            if place[mail.id] < last.get(pair, -1):
                found.append(f"mail {mail.id} from {mail.sender} to {mail.target} was overtaken")
            last[pair] = place[mail.id]
    return found


# -- children ----------------------------------------------------------------------------------------------------------


def children_broken(world: RandomWorld, records: dict[Address, InstanceRecord], dead: list[Mail]) -> list[str]:
    """At rest and after a poke: no service runs, and every child that a machine counts on is there and at work."""
    found: list[str] = []
    unheard = {mail.sender for mail in dead if mail.is_platform}
    for address, record in records.items():
        for child in record.snapshot.children.values():
            if child.instance is None:
                found.append(f"{address} counts on its service {child.id}, which nobody runs")
                continue
            kid = Address(ORG, child.source, child.instance)
            if world.deletes.get(kid) or record.snapshot.status != "active":
                continue  # of a child that is deleted nobody is told
            if kid not in records:
                found.append(f"{address} counts on its child {kid}, which is not there")
            elif records[kid].snapshot.status == "stopped" and child.detached:
                continue  # who does not hold a child is not told that those who did have stopped it
            elif records[kid].snapshot.status != "active" and kid not in unheard:
                found.append(f"{address} was not told that {kid} has ended")
    return found
