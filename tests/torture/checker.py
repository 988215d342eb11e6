"""Whether the evidence of a torture is consistent with what was promised. A pure function of it.

Each ledger has to be linearizable: there is one order of all that happened to it, its journal, in which every
acknowledged event stands exactly once and every other at most once; each answer shows the ledger after a beginning of
that order that has the event in it; and what began after something had ended stands behind all that that had seen.
Whoever reads sees a beginning of it too, under the same rule. Then: timers ring once and not early, clerks and ledgers
hear each word of the other once and in order, and work is begun at most once and only for a line in the journal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tests.torture.machines.ledger import digest_after
from tests.torture.records import Entry, Evidence, Ledger, Operation

__all__ = ["violations"]

EARLY_MILLISECONDS_MAX = 1.0
"""The journal's times are made to grow, by a thousandth of a millisecond each where the clock does not."""
WORK_ENDS = ("done.invoke.work", "error.platform.work")
LOG_BYTES_MAX = 128 * 1024 * 1024
"""A log that is longer was not copied into the database for many kills."""
CLIENTS_EVENTS = ("NOTE", "TIMER", "CALL", "WORK")


def violations(evidence: Evidence) -> list[str]:
    """Everything that is not as promised, in words; nothing when all is well."""
    found = [f"left over: {mail}" for mail in evidence.pending]
    if evidence.longest_log > LOG_BYTES_MAX:
        found.append(f"the database's log has grown to {evidence.longest_log:,} bytes")
    by_ledger: dict[str, list[Operation]] = defaultdict(list)
    for operation in evidence.operations:
        by_ledger[operation.ledger].append(operation)
    for name, operations in by_ledger.items():
        ledger = evidence.ledgers.get(name)
        if ledger is not None:
            found += [f"{name}: {line}" for line in broken(ledger, operations)]
        elif any(operation.outcome == "answered" for operation in operations):
            found.append(f"{name}: something of it was answered, and it is not there")
    for name in evidence.ledgers.keys() - by_ledger.keys():
        found.append(f"{name}: nobody asked for it")
    return [*found, *work_broken(evidence)]


def broken(ledger: Ledger, operations: Sequence[Operation]) -> list[str]:
    """What is wrong with one ledger."""
    return [
        *refusals(operations),
        *journal_broken(ledger),
        *presence_broken(ledger, operations),
        *answers_broken(ledger, operations),
        *order_broken(ledger, operations),
        *timers_broken(ledger, operations),
        *clerk_broken(ledger),
    ]


def refusals(operations: Iterable[Operation]) -> list[str]:
    """Nothing that the clients do may be refused: they send each id once, to ledgers that are there."""
    return [f"{each.kind} {each.id} was refused: {each.reason}" for each in operations if each.outcome == "refused"]


def journal_broken(ledger: Ledger) -> list[str]:
    """The journal begins with the beginning and leads to the state that is stored."""
    found = []
    if [entry.type for entry in ledger.journal].count("xstate.init") != 1 or ledger.journal[0].type != "xstate.init":
        found.append("the journal does not begin once")
    if ledger.count != len(ledger.journal) - 1:
        found.append(f"{ledger.count} lines were counted, and the journal has {len(ledger.journal) - 1}")
    if ledger.digest != digests(ledger)[-1]:
        found.append("the journal leads to another state than the one that is stored")
    if ledger.state != ledger.journal[-1].state:
        found.append(f"the state is {ledger.state}, and the journal ends in {ledger.journal[-1].state}")
    return found


def digests(ledger: Ledger) -> list[int]:
    """The digest after each number of lines."""
    found = [0]
    for entry in ledger.journal[1:]:
        found.append(digest_after(found[-1], {"type": entry.type, "id": entry.id}))
    return found


def presence_broken(ledger: Ledger, operations: Sequence[Operation]) -> list[str]:
    """Acknowledged events are there once, others at most once, and nothing is there that nobody sent."""
    times = Counter((entry.type, entry.id) for entry in ledger.journal if entry.type in CLIENTS_EVENTS)
    sent = {(each.kind, each.id): each for each in operations if each.kind in CLIENTS_EVENTS}
    found = [f"{kind} {name} is there, and nobody sent it" for kind, name in times.keys() - sent.keys()]
    for (kind, name), each in sent.items():
        if times[kind, name] > 1:
            found.append(f"{kind} {name} is there {times[kind, name]} times")
        if times[kind, name] == 0 and each.outcome == "answered":
            found.append(f"{kind} {name} was acknowledged, and is lost")
    return found


def places_of(ledger: Ledger) -> dict[tuple[str, str], int]:
    """How many lines there are up to each event and with it."""
    return {(entry.type, entry.id): place for place, entry in enumerate(ledger.journal)}


def answers_broken(ledger: Ledger, operations: Iterable[Operation]) -> list[str]:
    """An answer shows the ledger after a beginning of the journal, and one that has the event in it."""
    found = []
    after, places = digests(ledger), places_of(ledger)
    for each in operations:
        if each.outcome != "answered":
            continue
        if not 0 <= each.count < len(after) or after[each.count] != each.digest:
            found.append(f"the answer to {each.kind} {each.id} shows what the journal does not: {each.count} lines")
        elif ledger.journal[each.count].state != each.state:
            found.append(f"the answer to {each.kind} {each.id} shows the state {each.state} after {each.count} lines")
        elif each.count < places.get((each.kind, each.id), 0):
            found.append(f"the answer to {each.kind} {each.id} does not show its effect")
    return found


def order_broken(ledger: Ledger, operations: Sequence[Operation]) -> list[str]:
    """What begins after an answer stands behind all that the answer had seen, and sees no less."""
    found = []
    places = places_of(ledger)
    answered = sorted((each for each in operations if each.outcome == "answered"), key=lambda each: each.ended)
    seen, at = Operation(kind="READ", ledger="", id="", begun=0, ended=0, outcome="unknown", count=0), 0
    for each in sorted(operations, key=lambda each: each.begun):
        while at < len(answered) and answered[at].ended < each.begun:
            seen = max(seen, answered[at], key=lambda former: former.count)
            at += 1
        place = places.get((each.kind, each.id))
        if place is not None and place <= seen.count:
            found.append(f"{each.kind} {each.id} stands before what {seen.kind} {seen.id} had seen, and was sent later")
        if each.outcome == "answered" and each.count < seen.count:
            found.append(f"{each.kind} {each.id} saw less than {seen.kind} {seen.id} before it")
    return found


def timers_broken(ledger: Ledger, operations: Iterable[Operation]) -> list[str]:
    """Each timer that was set has rung, once, and not before its time."""
    delays = {each.id: each.delay for each in operations if each.kind == "TIMER"}
    set_at = {entry.id: entry.at for entry in ledger.journal if entry.type == "TIMER"}
    rang_at: dict[str, list[float]] = defaultdict(list)
    for entry in ledger.journal:
        if entry.type == "RANG":
            rang_at[entry.id].append(entry.at)
    found = [f"the timer {name} rang, and nobody set it" for name in rang_at.keys() - set_at.keys()]
    for name, at in set_at.items():
        if len(rang_at[name]) != 1:
            found.append(f"the timer {name} rang {len(rang_at[name])} times")
        found += [
            f"the timer {name} rang {at + delays.get(name, 0) - rang:.3f} ms early"
            for rang in rang_at[name]
            if rang < at + delays.get(name, 0) - EARLY_MILLISECONDS_MAX
        ]
    return found


def clerk_broken(ledger: Ledger) -> list[str]:
    """The clerk hears each call once and in order, and so does the ledger each echo."""
    called = ids_of(ledger.journal, "CALL")
    found = []
    if [entry.type for entry in ledger.clerk].count("xstate.init") != 1:
        found.append("its clerk was not created exactly once")
    for hearing, heard in (
        ("its clerk", ids_of(ledger.clerk, "ASK")),
        ("it from its clerk", ids_of(ledger.journal, "ECHO")),
    ):
        if heard != called:
            wrong = [name for name, times in (Counter(called) - Counter(heard)).items() if times]
            more = [name for name, times in (Counter(heard) - Counter(called)).items() if times]
            found.append(f"{hearing} heard not what was called, in order: lost {wrong}, doubled or new {more}")
    return found


def ids_of(entries: Iterable[Entry], event_type: str) -> list[str]:
    return [entry.id for entry in entries if entry.type == event_type]


def work_broken(evidence: Evidence) -> list[str]:
    """Work is begun at most once, only once its event is committed, and each that was begun or lost has ended."""
    found = [f"work {name} was begun {times} times" for name, times in Counter(evidence.performed).items() if times > 1]
    ordered = {
        entry.id: name
        for name, ledger in evidence.ledgers.items()
        for entry, before in zip(ledger.journal[1:], ledger.journal, strict=False)
        if entry.type == "WORK" and before.state == "idle"
    }
    found += [f"work {name} was begun without its commit" for name in set(evidence.performed) - ordered.keys()]
    for name, ledger in evidence.ledgers.items():
        begun = sum(1 for owner in ordered.values() if owner == name)
        ended = sum(1 for entry in ledger.journal if entry.type in WORK_ENDS)
        if begun != ended:
            found.append(f"{name}: {begun} pieces of work were ordered, and it heard of {ended} that ended")
    return found
