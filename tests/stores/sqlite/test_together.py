"""Plain commits of a group are written together: it comes to the same as one after the other, also where one fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perdure.durable.commit import Commit
from perdure.durable.records import Address
from perdure.errors import MailGone, SequenceConflict, StoreError
from perdure.stores.sqlite import writer as writer_module
from perdure.stores.sqlite.inbox import Failed
from perdure.stores.sqlite.writer import Writer
from perdure.stores.sqlite.writes import PreparedCommit, delete_instance
from perdure.testing.store_contract.samples import ALICE, BOB, CAROL, commit_at, entry_at, letter, timer
from tests.stores.sqlite.writers import writer_of_file

PEOPLE = (ALICE, BOB, CAROL)


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = writer_of_file(tmp_path / "perdure.db")
    yield writer
    writer.connection.close()


def write(writer: Writer, *commits: Commit) -> list[type[BaseException] | None]:
    """The errors of commits that are written in one group."""
    outcomes, *_ = writer.write([PreparedCommit.of(commit) for commit in commits])
    return [type(outcome.error) if isinstance(outcome, Failed) else None for outcome in outcomes]


def value(writer: Writer, sql: str) -> Any:
    return writer.connection.execute(sql).fetchone()[0]


def statements_of(writer: Writer, *commits: Commit) -> list[str]:
    seen: list[str] = []
    writer.connection.set_trace_callback(seen.append)
    assert write(writer, *commits) == [None] * len(commits)
    writer.connection.set_trace_callback(None)
    return [" ".join(statement.split()[:2]) for statement in seen]


def advancing(sequence: int, *, mails: bool = False) -> list[Commit]:
    """A commit of each of the people, with all that a plain commit may have."""
    return [
        commit_at(
            sequence,
            person,
            journal=[entry_at(sequence)],
            consumed=[f"{person}:{sequence - 1}"] if mails else [],
            mail=[letter(f"{person}:{sequence}", sender=person, target=person)] if sequence > 1 or mails else [],
        )
        for person in PEOPLE
    ]


def test_each_statement_is_executed_for_all_commits_before_the_next_one(writer: Writer) -> None:
    write(writer, *(commit_at(1, person, mail=[letter(f"{person}:1", target=person)]) for person in PEOPLE))
    assert statements_of(writer, *advancing(2, mails=True)) == [
        "BEGIN IMMEDIATE",
        *["UPDATE instance"] * 3,
        *["DELETE FROM"] * 3,
        *["INSERT INTO"] * 6,
        "COMMIT",
    ]


def test_mail_of_commits_written_together_arrives_in_the_order_of_the_commits(writer: Writer) -> None:
    write(writer, *(commit_at(1, person) for person in PEOPLE))
    sent = {CAROL: ["c1", "c2"], ALICE: ["a1"], BOB: ["b1", "b2"]}
    write(writer, *(commit_at(2, person, mail=[letter(name) for name in names]) for person, names in sent.items()))
    found = writer.connection.execute("SELECT id FROM mail ORDER BY place").fetchall()
    assert [mail_id for (mail_id,) in found] == ["c1", "c2", "a1", "b1", "b2"]


def test_a_lost_race_among_commits_fails_alone(writer: Writer) -> None:
    write(writer, *(commit_at(1, person) for person in PEOPLE))
    late = commit_at(9, BOB, journal=[entry_at(9)], mail=[letter("late")])
    assert write(writer, commit_at(2, ALICE), late, commit_at(2, CAROL)) == [None, SequenceConflict, None]
    assert value(writer, "SELECT group_concat(sequence) FROM (SELECT sequence FROM instance ORDER BY key)") == "2,1,2"
    assert value(writer, "SELECT count(*) FROM journal") + value(writer, "SELECT count(*) FROM mail") == 0


def test_mail_that_is_gone_fails_its_own_commit_alone(writer: Writer) -> None:
    write(writer, commit_at(1, ALICE, mail=[letter("m", target=CAROL)]), commit_at(1, BOB), commit_at(1, CAROL))
    group = [commit_at(2, ALICE), commit_at(2, BOB, consumed=["m"]), commit_at(2, CAROL, consumed=["m"])]
    assert write(writer, *group) == [None, MailGone, None]
    assert value(writer, "SELECT sequence FROM instance WHERE instance = 'bob'") == 1


@pytest.mark.parametrize(
    "bad",
    [
        commit_at(2, BOB, journal=[entry_at(1)]),
        commit_at(2, BOB, mail=[letter("taken", sender=BOB)]),
        commit_at(2, BOB, mail=[timer("half a pair \ud800", due_at=1.0, send_id="t", owner=BOB)]),
    ],
)
def test_what_a_commit_may_not_hold_fails_it_alone(writer: Writer, bad: Commit) -> None:
    write(
        writer,
        commit_at(1, ALICE, mail=[letter("taken")]),
        commit_at(1, BOB, journal=[entry_at(1)]),
        commit_at(1, CAROL),
    )
    (first, failure, last) = write(writer, commit_at(2, ALICE), bad, commit_at(2, CAROL))
    assert (first, last) == (None, None)
    assert failure in (StoreError, UnicodeEncodeError)
    assert value(writer, "SELECT sequence FROM instance WHERE instance = 'bob'") == 1
    assert value(writer, "SELECT count(*) FROM mail") == 1


def test_several_commits_of_an_instance_are_written_one_after_the_other(writer: Writer) -> None:
    write(writer, *(commit_at(1, person) for person in PEOPLE))
    commits = [commit_at(sequence, person) for sequence in (2, 3) for person in (ALICE, BOB)]
    assert write(writer, *commits, commit_at(3, ALICE)) == [None] * 4 + [SequenceConflict]
    assert write(writer, *(commit_at(sequence, ALICE) for sequence in (4, 5, 6))) == [None] * 3


def test_mail_may_be_consumed_in_the_group_in_which_it_was_sent(writer: Writer) -> None:
    write(writer, *(commit_at(1, person) for person in PEOPLE))
    sent, applied = commit_at(2, ALICE, mail=[letter("m")]), commit_at(2, BOB, consumed=["m"])
    assert write(writer, sent, applied) == [None, None]
    assert write(writer, commit_at(3, BOB, consumed=["n"]), commit_at(3, ALICE, mail=[letter("n")])) == [MailGone, None]


def test_an_instance_of_the_same_name_after_a_deletion_is_another_one(writer: Writer) -> None:
    write(writer, commit_at(1, ALICE), commit_at(1, BOB))
    deletion = writer.write([lambda connection: delete_instance(connection, ALICE, None, [])])
    assert deletion[0] == [True]
    assert write(writer, commit_at(2, ALICE), commit_at(2, BOB)) == [SequenceConflict, None]
    write(writer, commit_at(1, ALICE))
    assert write(writer, commit_at(2, ALICE), commit_at(3, BOB)) == [None, None]


def test_a_key_is_remembered_only_of_what_was_committed(writer: Writer) -> None:
    def fail(_: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("the whole group fails")

    with pytest.raises(sqlite3.OperationalError):
        writer.write([PreparedCommit.of(commit_at(1, ALICE)), fail])
    write(writer, commit_at(1, BOB))  # gets the key that Alice would have had
    assert write(writer, commit_at(2, ALICE), commit_at(2, BOB)) == [SequenceConflict, None]


def test_no_more_keys_are_remembered_than_there_is_room_for(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "KEYS_MAX", 2)
    write(writer, *(commit_at(1, person) for person in PEOPLE))
    by_name = "org ="
    seen: list[str] = []
    writer.connection.set_trace_callback(seen.append)
    assert write(writer, *(commit_at(2, person) for person in PEOPLE)) == [None] * 3
    swaps = [statement for statement in seen if statement.startswith("UPDATE instance")]
    assert [by_name in statement.split("WHERE")[1] for statement in swaps].count(True) == 1
    assert write(writer, *(commit_at(3, person) for person in PEOPLE)) == [None] * 3


# -- any groups of any commits -----------------------------------------------------------------------------------------

MAIL_IDS = ("m1", "m2", "m3")


@st.composite
def commits(draw: st.DrawFn) -> Commit:
    """A commit that may lack what it counts on: the instance, its sequence, mail, a free id."""
    person: Address = draw(st.sampled_from(PEOPLE))
    sequence = draw(st.integers(1, 4))
    sent = [
        draw(st.sampled_from([letter(mail_id, sender=person), timer(mail_id, due_at=5.0, send_id="t", owner=person)]))
        for mail_id in draw(st.lists(st.sampled_from(MAIL_IDS), max_size=2))
    ]
    return commit_at(
        sequence,
        person,
        consumed=draw(st.lists(st.sampled_from(MAIL_IDS), max_size=1)),
        cancelled=["t"] if draw(st.integers(0, 5)) == 0 else [],
        indexes=(("color", "red"),) if draw(st.integers(0, 5)) == 0 else None,
        mail=sent,
        journal=[entry_at(draw(st.integers(1, 4)))] if draw(st.booleans()) else [],
    )


def all_rows(writer: Writer) -> dict[str, list[Any]]:
    tables = ("instance", "journal", "mail", "index_value")
    return {table: writer.connection.execute(f"SELECT * FROM {table} ORDER BY 1, 2").fetchall() for table in tables}


def whole_outcome(writer: Writer, group: Sequence[Commit]) -> list[str]:
    outcomes, *_ = writer.write([PreparedCommit.of(commit) for commit in group])
    return [repr(outcome.error) if isinstance(outcome, Failed) else "done" for outcome in outcomes]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(commits(), min_size=1, max_size=6), min_size=1, max_size=5))
def test_any_groups_of_commits_come_to_the_same_as_the_commits_one_by_one(groups: list[list[Commit]]) -> None:
    with TemporaryDirectory() as folder:
        together, alone = (writer_of_file(Path(folder) / f"{name}.db") for name in ("together", "alone"))
        with closing(together.connection), closing(alone.connection):
            for person in PEOPLE[:2]:
                write(together, commit_at(1, person))
                write(alone, commit_at(1, person))
            for group in groups:
                assert whole_outcome(together, group) == [whole_outcome(alone, [commit])[0] for commit in group]
                assert all_rows(together) == all_rows(alone)
