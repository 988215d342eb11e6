"""What may be wrong with a database, found by reading all of it. A server may have it open.

SQLite answers for the pages and the references between tables; the rest are sentences about instances that no table
can enforce. An **error** is something that perdure never writes; a **warning** is something that may happen in an
orderly life, such as mail to an instance that was deleted, and that an operator may want to know of.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Literal

import msgspec

from perdure.errors import SnapshotMismatch
from perdure.statechart.snapshot import Snapshot, decode_snapshot
from perdure.stores.sqlite.backup import check_is_ours, open_to_read
from perdure.stores.sqlite.connection import store_error
from perdure.stores.sqlite.schema import Schema

__all__ = ["Finding", "examine"]

Progress = Callable[[int, int], None]
"""Told how many instances are read, and of how many."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be."""

    severity: Literal["error", "warning"]
    check: str
    subject: str
    message: str


def examine(database: Path, progress: Progress) -> list[Finding]:
    """Everything that is found. Raises ``StoreError`` for a file that cannot be read at all."""
    check_is_ours(database)
    with closing(open_to_read(database)) as connection:
        try:
            connection.execute("BEGIN")  # one moment, whatever is committed meanwhile
            found = [*file_findings(connection, database)]
            if not any(finding.check == "schema" for finding in found):
                found += [*instance_findings(connection, progress), *mail_findings(connection)]
        except sqlite3.DatabaseError as error:
            raise store_error(database, error) from error
    return found


def file_findings(connection: sqlite3.Connection, database: Path) -> Iterator[Finding]:
    for (problem,) in connection.execute("PRAGMA integrity_check(100)"):
        if problem != "ok":
            yield Finding(severity="error", check="integrity", subject=str(database), message=problem)
    for table, row, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        message = f"row {row} refers to a row of {parent} that is not there"
        yield Finding(severity="error", check="references", subject=table, message=message)
    (version,) = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    known = Schema.of_folder().version
    if version != known:
        message = f"the schema has version {version}, this release knows {known}: start the server, then look again"
        yield Finding(severity="warning", check="schema", subject=str(database), message=message)


def instance_findings(connection: sqlite3.Connection, progress: Progress) -> Iterator[Finding]:
    (total,) = connection.execute("SELECT count(*) FROM instance").fetchone()
    rows = connection.execute(
        "SELECT key, org, machine, instance, sequence, version_id, snapshot, "
        "EXISTS (SELECT 1 FROM version WHERE version.id = instance.version_id), "
        "(SELECT max(sequence) FROM journal WHERE journal.instance_key = instance.key) FROM instance ORDER BY key"
    )
    for number, row in enumerate(rows, start=1):
        _, org, machine, instance, sequence, version_id, snapshot_json, has_version, newest = row
        subject = f"{machine}/{instance}"
        if not has_version:
            message = f"there is no version {version_id}, which it runs"
            yield Finding(severity="error", check="versions", subject=subject, message=message)
        if newest is None or newest > sequence:
            message = f"its history ends at {newest}, and it is at {sequence}"
            yield Finding(severity="error", check="journal", subject=subject, message=message)
        try:
            snapshot = decode_snapshot(snapshot_json)
        except SnapshotMismatch as error:
            yield Finding(severity="error", check="snapshots", subject=subject, message=str(error))
        else:
            yield from child_findings(connection, org, subject, snapshot)
        if number % 1_000 == 0 or number == total:
            progress(number, total)


def child_findings(connection: sqlite3.Connection, org: str, subject: str, snapshot: Snapshot) -> Iterator[Finding]:
    """A machine that runs counts on its persistent children: each is there, or its creation is on its way."""
    if snapshot.status != "active":
        return
    for child in snapshot.children.values():
        place = (org, child.source, child.instance)
        if child.instance is None or has_row(connection, "instance", place):
            continue
        if not has_row(connection, "mail", place, "kind = 'create'"):
            message = f"its child {child.source}/{child.instance} is not there, and nothing is on its way to create it"
            yield Finding(severity="warning", check="children", subject=subject, message=message)


def has_row(connection: sqlite3.Connection, table: str, place: tuple[object, ...], condition: str = "TRUE") -> bool:
    prefix = "target_" if table == "mail" else ""
    where = f"{prefix}org = ? AND {prefix}machine = ? AND {prefix}instance = ? AND {condition}"
    # The names are ours.
    (found,) = connection.execute(f"SELECT EXISTS (SELECT 1 FROM {table} WHERE {where})", place).fetchone()  # noqa: S608
    return bool(found)


def mail_findings(connection: sqlite3.Connection) -> Iterator[Finding]:
    rows = connection.execute(
        "SELECT target_machine, target_instance, count(*) FROM mail WHERE kind <> 'create' AND NOT EXISTS ("
        "SELECT 1 FROM instance WHERE org = target_org AND machine = target_machine AND instance = target_instance"
        ") GROUP BY target_org, target_machine, target_instance"
    )
    for machine, instance, number in rows:
        message = f"{number} messages wait for it, and it is not there"
        yield Finding(severity="warning", check="mail", subject=f"{machine}/{instance}", message=message)
    (number,) = connection.execute("SELECT count(*) FROM dead_letter").fetchone()
    if number:
        message = f"{number} messages were given up: see `perdure dead-letters list`"
        yield Finding(severity="warning", check="dead-letters", subject="dead letters", message=message)
