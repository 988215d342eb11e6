"""Every query is named, described, used, and finds its rows through an index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from perdure.stores.sqlite.queries import QUERIES, parse_queries
from perdure.stores.sqlite.schema import Schema, bring_up_to_date

# Lists of things of which there are few enough to walk along the primary key.
WALKED = {"count_mail", "list_orgs", "list_retentions", "sealed_secrets"}

STEP_WITHOUT_TABLE = re.compile("CONSTANT ROW|json_each|sqlite_sequence|subquery")


@pytest.fixture(scope="module")
def database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    bring_up_to_date(connection, Path("perdure.db"), Schema.of_folder())
    yield connection
    connection.close()


def plan_of(database: sqlite3.Connection, name: str) -> list[str]:
    sql = QUERIES[name]
    found = database.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?"))
    return [detail for *_, detail in found]


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_fits_the_schema_and_walks_no_whole_table(name: str, database: sqlite3.Connection) -> None:
    scans = [
        step for step in plan_of(database, name) if step.startswith("SCAN") and not STEP_WITHOUT_TABLE.search(step)
    ]
    assert not scans or name in WALKED


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("due_mail", "mail_by_due"),
        ("due_mail", "mail_tried_by_pair"),
        ("next_times", "mail_by_due"),
        ("next_times", "mail_tried_by_retry"),
        ("pending_mail", "mail_by_target"),
        ("cancel_mail", "mail_delayed_by_sender"),
        ("cancel_all_mail", "mail_delayed_by_sender"),
        ("list_instances", "instance_by_machine"),
        ("query_index_ascending", "PRIMARY KEY (org=? AND machine=? AND name=? AND (value,instance_key)>(?,?)"),
        ("query_index_descending", "PRIMARY KEY (org=? AND machine=? AND name=? AND (value,instance_key)>(?,?)"),
        ("index_values_of", "index_value_by_instance"),
        ("due_mail", "mail_broadcast_by_sender"),
        ("is_broadcasting", "mail_broadcast_by_sender"),
        ("forget_memberships", "mail_broadcast_by_target"),
        ("members_to_reach", "membership_by_group"),
        ("leave_group", "membership_present"),
        ("leave_all_groups", "membership_by_member"),
    ],
)
def test_a_query_uses_the_index_made_for_it(name: str, index: str, database: sqlite3.Connection) -> None:
    assert any(index in step for step in plan_of(database, name))


ORDERED = [
    "due_mail",
    "next_times",
    "pending_mail",
    "list_instances",
    "query_index_ascending",
    "query_index_descending",
    "members_to_reach",
    "list_members",
]


@pytest.mark.parametrize("name", ORDERED)
def test_a_query_reads_its_order_from_the_index(name: str, database: sqlite3.Connection) -> None:
    assert not [step for step in plan_of(database, name) if "TEMP B-TREE" in step and "ORDER BY" in step]


def test_every_query_is_used() -> None:
    folder = files("perdure.stores.sqlite")
    code = "".join(entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.name.endswith(".py"))
    assert set(QUERIES) == set(re.findall(r'"([a-z_]+)"', code)) & set(QUERIES)


@pytest.mark.parametrize(
    "text",
    [
        "\n-- name: bare\nSELECT 1;\n",
        "\n-- name: empty\n-- Says nothing.\n",
        "\n-- name: twice\n-- One.\nSELECT 1;\n-- name: twice\n-- Two.\nSELECT 2;\n",
    ],
)
def test_a_query_without_description_or_sql_or_with_a_taken_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="lacks its description or its SQL, or is there twice"):
        parse_queries(text)


def test_queries_are_read_without_their_descriptions() -> None:
    text = "-- About.\n\n-- name: one\n-- The first.\n-- More.\nSELECT 1;\n\n-- name: two\n-- Next.\nSELECT\n    2;\n"
    assert parse_queries(text) == {"one": "SELECT 1", "two": "SELECT\n    2"}
