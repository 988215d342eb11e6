"""The checker passes what is consistent and finds what is not: an honest run, and the same run doctored."""

from __future__ import annotations

import random  # noqa: TID251 - seeded
from collections.abc import Callable

import msgspec
import pytest

from tests.torture.checker import digests, violations
from tests.torture.records import Entry, Evidence, Kind, Ledger, Operation

LEDGER = "shared-0"
REPLACE = msgspec.structs.replace


def honest(seed: int) -> Evidence:
    """What three clients would note of a server that keeps its promises and dies now and then."""
    chance = random.Random(seed)
    journal = [Entry(type="xstate.init", at=0.0, state="idle")]
    clerk = [Entry(type="xstate.init", at=0.0, state={})]
    performed: list[str] = []
    operations: list[Operation] = []
    for number in range(60):
        kind: Kind = chance.choice(("READ", "NOTE", "TIMER", "CALL", "WORK"))
        name, at = f"e{number}", number * 1_000
        is_lost = chance.random() < 0.15
        if kind != "READ" and not (is_lost and chance.random() < 0.5):
            event = Entry(type=kind, at=float(at), id=name, state="busy" if kind == "WORK" else "idle")
            journal.append(event)
            if kind == "WORK":
                performed.append(name)
                journal.append(Entry(type="done.invoke.work", at=at + 1.0, state="idle"))
            if kind == "TIMER":
                journal.append(Entry(type="RANG", at=at + 20.5, id=name, state="idle"))
            if kind == "CALL":
                clerk.append(Entry(type="ASK", at=at + 1.0, id=name, state={}))
                journal.append(Entry(type="ECHO", at=at + 2.0, id=name, state="idle"))
        overlap = chance.choice((0, 1_500))
        operation = Operation(
            kind=kind,
            ledger=LEDGER,
            id=name,
            begun=at - overlap,
            ended=at + 900,
            outcome="unknown" if is_lost else "answered",
            delay=20.0 if kind == "TIMER" else 0.0,
        )
        if not is_lost:
            operation = REPLACE(operation, count=len(journal) - 1, state=journal[-1].state)
        operations.append(operation)
    ledger = Ledger(journal=journal, clerk=clerk, count=0, digest=0, state="idle")
    shown = digests(ledger)
    operations = [
        REPLACE(each, digest=shown[each.count]) if each.outcome == "answered" else each for each in operations
    ]
    return Evidence(operations=operations, ledgers={LEDGER: settled(ledger)}, performed=performed)


def settled(ledger: Ledger) -> Ledger:
    """A ledger whose stored state is the one its journal leads to: a fault that is consistent in itself."""
    return REPLACE(ledger, count=len(ledger.journal) - 1, digest=digests(ledger)[-1], state=ledger.journal[-1].state)


def with_journal(evidence: Evidence, journal: list[Entry]) -> Evidence:
    ledger = settled(REPLACE(evidence.ledgers[LEDGER], journal=journal))
    return REPLACE(evidence, ledgers={LEDGER: ledger})


def with_clerk(evidence: Evidence, clerk: list[Entry]) -> Evidence:
    return REPLACE(evidence, ledgers={LEDGER: REPLACE(evidence.ledgers[LEDGER], clerk=clerk)})


def journal_of(evidence: Evidence) -> list[Entry]:
    return list(evidence.ledgers[LEDGER].journal)


def place_of(evidence: Evidence, event_type: str, *, number: int = 1) -> int:
    """Where an acknowledged event of a type stands; the second one, so that something is before and after it."""
    answered = {each.id for each in evidence.operations if each.outcome == "answered"}
    places = [
        place
        for place, entry in enumerate(journal_of(evidence))
        if entry.type == event_type and (entry.id in answered or not entry.id)
    ]
    return places[number]


# -- doctors -----------------------------------------------------------------------------------------------------------


def lose(evidence: Evidence) -> Evidence:
    journal = journal_of(evidence)
    del journal[place_of(evidence, "NOTE")]
    return with_journal(evidence, journal)


def double(evidence: Evidence) -> Evidence:
    journal = journal_of(evidence)
    journal.append(journal[place_of(evidence, "NOTE")])
    return with_journal(evidence, journal)


def double_unacknowledged(evidence: Evidence) -> Evidence:
    lost = REPLACE(evidence.operations[0], kind="NOTE", id="unheard", outcome="unknown", count=-1)
    journal = [*journal_of(evidence), *[Entry(type="NOTE", at=99_000.0, id="unheard", state="idle")] * 2]
    return with_journal(REPLACE(evidence, operations=[*evidence.operations, lost]), journal)


def reorder(evidence: Evidence) -> Evidence:
    """Two notes that were sent one after the other change places; no answer shows a digest of what is between."""
    journal = journal_of(evidence)
    first, second = place_of(evidence, "NOTE", number=1), place_of(evidence, "NOTE", number=3)
    journal[first], journal[second] = journal[second], journal[first]
    doctored = with_journal(evidence, journal)
    shown = digests(doctored.ledgers[LEDGER])
    answers = [
        REPLACE(each, digest=shown[each.count]) if each.outcome == "answered" else each for each in evidence.operations
    ]
    return REPLACE(doctored, operations=answers)


def conjure(evidence: Evidence) -> Evidence:
    return with_journal(evidence, [*journal_of(evidence), Entry(type="NOTE", at=99_000.0, id="ghost", state="idle")])


def answer_otherwise(evidence: Evidence) -> Evidence:
    operations = list(evidence.operations)
    place = next(place for place, each in enumerate(operations) if each.kind == "NOTE" and each.outcome == "answered")
    operations[place] = REPLACE(operations[place], digest=operations[place].digest ^ 1)
    return REPLACE(evidence, operations=operations)


def answer_another_state(evidence: Evidence) -> Evidence:
    operations = list(evidence.operations)
    place = next(place for place, each in enumerate(operations) if each.kind == "NOTE" and each.outcome == "answered")
    operations[place] = REPLACE(operations[place], state="elsewhere")
    return REPLACE(evidence, operations=operations)


def shown_at(evidence: Evidence, operation: Operation, count: int) -> Operation:
    """An operation whose answer shows the ledger after so many lines."""
    ledger = evidence.ledgers[LEDGER]
    return REPLACE(operation, count=count, digest=digests(ledger)[count], state=ledger.journal[count].state)


def answer_before_applying(evidence: Evidence) -> Evidence:
    name = journal_of(evidence)[place_of(evidence, "NOTE")].id
    place = place_of(evidence, "NOTE")
    operations = [shown_at(evidence, each, place - 1) if each.id == name else each for each in evidence.operations]
    return REPLACE(evidence, operations=operations)


def read_the_past(evidence: Evidence) -> Evidence:
    last = max(each.ended for each in evidence.operations)
    reading = Operation(kind="READ", ledger=LEDGER, id="late", begun=last + 1, ended=last + 2, outcome="answered")
    return REPLACE(evidence, operations=[*evidence.operations, shown_at(evidence, reading, 1)])


def refuse(evidence: Evidence) -> Evidence:
    refused = REPLACE(evidence.operations[0], id="refused", outcome="refused", reason="store-error: no")
    return REPLACE(evidence, operations=[*evidence.operations, refused])


def ring_twice(evidence: Evidence) -> Evidence:
    return with_journal(evidence, [*journal_of(evidence), journal_of(evidence)[place_of(evidence, "RANG")]])


def ring_never(evidence: Evidence) -> Evidence:
    """The last timer, whose ringing no answer shows but those of later operations."""
    journal = journal_of(evidence)
    del journal[place_of(evidence, "RANG", number=-1)]
    return with_journal(evidence, journal)


def ring_early(evidence: Evidence) -> Evidence:
    journal = journal_of(evidence)
    place = place_of(evidence, "RANG")
    journal[place] = REPLACE(journal[place], at=journal[place].at - 15)
    return with_journal(evidence, journal)


def lose_a_call(evidence: Evidence) -> Evidence:
    clerk = list(evidence.ledgers[LEDGER].clerk)
    del clerk[2]
    return with_clerk(evidence, clerk)


def double_a_call(evidence: Evidence) -> Evidence:
    clerk = list(evidence.ledgers[LEDGER].clerk)
    return with_clerk(evidence, [*clerk, clerk[2]])


def reorder_calls(evidence: Evidence) -> Evidence:
    clerk = list(evidence.ledgers[LEDGER].clerk)
    clerk[1], clerk[2] = clerk[2], clerk[1]
    return with_clerk(evidence, clerk)


def create_a_clerk_twice(evidence: Evidence) -> Evidence:
    clerk = evidence.ledgers[LEDGER].clerk
    return with_clerk(evidence, [clerk[0], *clerk])


def work_twice(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, performed=[*evidence.performed, evidence.performed[0]])


def work_without_a_commit(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, performed=[*evidence.performed, "never-committed"])


def forget_the_end_of_work(evidence: Evidence) -> Evidence:
    journal = journal_of(evidence)
    del journal[place_of(evidence, "done.invoke.work", number=-1)]
    return with_journal(evidence, journal)


def store_another_state(evidence: Evidence) -> Evidence:
    ledger = evidence.ledgers[LEDGER]
    return REPLACE(evidence, ledgers={LEDGER: REPLACE(ledger, digest=ledger.digest ^ 1)})


def lose_a_ledger(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, ledgers={})


def conjure_a_ledger(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, ledgers={**evidence.ledgers, "ghost": evidence.ledgers[LEDGER]})


def leave_mail(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, pending=["mail that is due at 7.0"])


def let_the_log_grow(evidence: Evidence) -> Evidence:
    return REPLACE(evidence, longest_log=200_000_000)


DOCTORS: dict[Callable[[Evidence], Evidence], str] = {
    lose: "was acknowledged, and is lost",
    double: "is there 2 times",
    double_unacknowledged: "NOTE unheard is there 2 times",
    reorder: "and was sent later",
    conjure: "NOTE ghost is there, and nobody sent it",
    answer_otherwise: "shows what the journal does not",
    answer_another_state: "shows the state elsewhere",
    answer_before_applying: "does not show its effect",
    read_the_past: "READ late saw less than",
    refuse: "was refused: store-error: no",
    ring_twice: "rang 2 times",
    ring_never: "rang 0 times",
    ring_early: "ms early",
    lose_a_call: "its clerk heard not what was called, in order: lost ['e",
    double_a_call: "doubled or new ['e",
    reorder_calls: "its clerk heard not what was called, in order: lost [], doubled or new []",
    create_a_clerk_twice: "its clerk was not created exactly once",
    work_twice: "was begun 2 times",
    work_without_a_commit: "work never-committed was begun without its commit",
    forget_the_end_of_work: "pieces of work were ordered, and it heard of",
    store_another_state: "leads to another state than the one that is stored",
    lose_a_ledger: "something of it was answered, and it is not there",
    conjure_a_ledger: "ghost: nobody asked for it",
    leave_mail: "left over: mail that is due at 7.0",
    let_the_log_grow: "the database's log has grown to 200,000,000 bytes",
}


@pytest.mark.parametrize("seed", range(20))
def test_honest_evidence_has_no_violation(seed: int) -> None:
    assert violations(honest(seed)) == []


@pytest.mark.parametrize("doctor", DOCTORS, ids=[doctor.__name__ for doctor in DOCTORS])
def test_doctored_evidence_is_found_out(doctor: Callable[[Evidence], Evidence]) -> None:
    for seed in range(20):
        found = violations(doctor(honest(seed)))
        assert any(DOCTORS[doctor] in line for line in found), f"seed {seed}: {found}"
